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
    let browser = cookies.browser().map_or_else(|| auth.new_browser(), str::to_owned);
    let submitted = Submitted {
        login: form.first("login").unwrap_or_default(),
        decision: form.first("decision"),
        browser: &browser,
        asked_again: form.first("again").is_some(),
        approved: cookies.approved(),
        ended: cookies.ended(),
        cross_site: headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin"),
    };
    match auth.consent(submitted).await {
        Ok(Decided::Approved { sign_in, slot, login, emptied }) => {
            let mut response = see_other(sign_in.as_str());
            for emptied in emptied {
                cookies.drop_approved(&mut response, emptied);
            }
            cookies.keep_approved(&mut response, slot, &login);
            // A page that was fetched at the same time may have left another name in this browser.
            cookies.keep_browser(&mut response, &browser);
            response
        }
        Ok(Decided::AskAgain(begun)) => {
            let mut response = pages.consent(begun, true);
            cookies.keep_browser(&mut response, &browser);
            response
        }
        Ok(Decided::Denied { back, ended }) => {
            let mut response = pages.back_to_client(&back);
            cookies.keep_ended(&mut response, &ended);
            response
        }
        Err(reason) => pages.refusal(reason, None),
    }
}
