//! `/consent`: the user's decision.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header;
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
        cross_site: is_cross_site(&headers, auth.policy().issuer.as_str()),
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
            let mut response = pages.back_to_client(&back, false);
            cookies.keep_ended(&mut response, &ended);
            response
        }
        Err(reason) => pages.refusal(reason),
    }
}

/// Whether the browser says that the form was on another site. Our pages send no referrer, and a form on such a page
/// has the origin `null`.
fn is_cross_site(headers: &HeaderMap, issuer: &str) -> bool {
    let fetched = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let origin = headers.get(header::ORIGIN).is_some_and(|origin| origin != "null" && origin != issuer);
    fetched || origin
}
