//! `/authorize`: the consent page, or why not.

use axum::extract::State;
use axum::response::Response;

use crate::domain::login::Browser;
use crate::flows::begin::Shown;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedFor;
use crate::http::Shared;
use crate::http::answer::found;
use crate::http::cookies::Cookies;
use crate::http::extract::Query;

pub async fn authorize(
    State(Shared { auth, pages }): State<Shared>,
    cookies: Cookies,
    Query(request): Query,
) -> Response {
    let browser = cookies.browser().map_or_else(|| auth.new_browser(), str::to_owned);
    match auth.begin(&request, Browser::of(&browser)) {
        Ok(begun) => {
            let mut response = pages.consent(begun);
            cookies.keep_browser(&mut response, &browser);
            response
        }
        Err(refused) => {
            let about: Vec<_> = [("Application", refused.client_name), ("Host", refused.redirect_host)]
                .into_iter()
                .filter_map(|(label, value)| value.map(|value| (label, value)))
                .collect();
            let mut response = match refused.shown {
                Shown::Redirect(location) => found(&location),
                Shown::PageWithLink(back) => pages.refusal_about(refused.reason, Some(&back), &about),
                Shown::Page => pages.refusal_about(refused.reason, None, &about),
            };
            response.extensions_mut().insert(RefusedFor(refused.reason.row().name));
            response
        }
    }
}
