//! `/auth/callback`: the user comes back from the identity provider.

use axum::extract::State;
use axum::response::Response;

use crate::flows::callback::Held;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedFor;
use crate::http::Shared;
use crate::http::cookies::Cookies;
use crate::http::extract::Query;

pub async fn callback(
    State(Shared { auth, pages }): State<Shared>,
    cookies: Cookies,
    Query(answer): Query,
) -> Response {
    let state = answer.first("state").unwrap_or_default();
    let held = cookies.approved();
    let held = auth.held_under(state, &held);
    let approved = held.map(|(_, login)| login.as_str());
    let outcome =
        auth.callback(&answer, Held { browser: cookies.browser(), approved, ended: cookies.ended() }).await;
    let mut response = match outcome {
        Ok(location) => pages.back_to_client(&location),
        Err(refused) => {
            let mut response = match (refused.at_once, refused.back.as_deref()) {
                (true, Some(back)) => pages.back_to_client(back),
                (_, back) => pages.refusal(refused.reason, back),
            };
            response.extensions_mut().insert(RefusedFor(refused.reason.row().name));
            response
        }
    };
    if let Some((slot, _)) = held {
        cookies.drop_approved(&mut response, *slot);
    }
    response
}
