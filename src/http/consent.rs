//! `/consent`: the user's decision.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::flows::consent::Decided;
use crate::flows::consent::Submitted;
use crate::http::Shared;
use crate::http::answer::see_other;
use crate::http::cookies::Cookies;
use crate::http::extract::Form;

pub async fn consent(
    State(Shared { auth, pages }): State<Shared>,
    cookies: Cookies,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let submitted = Submitted {
        login: form.first("login").unwrap_or_default(),
        decision: form.first("decision"),
        browser: cookies.browser(),
        ended: cookies.ended(),
        cross_site: headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin"),
    };
    match auth.consent(submitted).await {
        Ok(Decided::Approved { sign_in, state, login }) => {
            let mut response = see_other(sign_in.as_str());
            for name in auth.surplus(cookies.all_approved()) {
                cookies.drop(&mut response, name);
            }
            cookies.keep_approved(&mut response, &state, &login);
            response
        }
        Ok(Decided::Denied { back, ended }) => {
            let mut response = see_other(&back);
            cookies.keep_ended(&mut response, &ended);
            response
        }
        Err(reason) => pages.refusal(reason, None),
    }
}
