//! `/auth/callback`: the user comes back from the identity provider.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::flows::callback::Held;
use crate::flows::callback::Refused;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedFor;
use crate::http::Shared;
use crate::http::cookies::Cookies;
use crate::http::extract::Query;
use crate::http::extract::RequestId;
use crate::http::page::Mend;
use crate::http::page::Pages;
use crate::ports::idp::UpstreamReason;

pub async fn callback(
    State(Shared { auth, pages }): State<Shared>,
    cookies: Cookies,
    request_id: RequestId,
    Query(answer): Query,
) -> Response {
    let state = answer.first("state").unwrap_or_default();
    if state.is_empty() && answer.first("admin_consent").is_some() {
        return consented(&pages);
    }
    let held = cookies.approved();
    let held = auth.held_under(state, &held);
    let approved = held.map(|(_, login)| login.as_str());
    let outcome =
        auth.callback(&answer, Held { browser: cookies.browser(), approved, ended: cookies.ended() }).await;
    let mut response = match outcome {
        Ok(location) => pages.back_to_client(&location, true),
        Err(refused) => refusal(&pages, &refused, request_id, &auth.policy().upstream.client_id),
    };
    if let Some((slot, _)) = held {
        cookies.drop_approved(&mut response, *slot);
    }
    response
}

/// An administrator comes back from the address of [`admin_consent`], in whichever browser: it is about nobody's sign-in.
fn consented(pages: &Pages) -> Response {
    let sentence = "The sign-in service has asked an administrator for consent to this server's application. Whoever was kept out by that can start again from their application.";
    let mut response = pages.words(StatusCode::OK, "Admin consent", sentence, "admin_consent");
    response.extensions_mut().remove::<RefusedFor>();
    response
}

fn refusal(pages: &Pages, refused: &Refused, request_id: RequestId, application: &str) -> Response {
    let Refused { reason, back, at_once, upstream } = refused;
    let mut response = match (at_once, back.as_deref()) {
        (true, Some(back)) => pages.back_to_client(back, false),
        (_, back) => {
            let explanation = upstream.as_ref().and_then(|upstream| upstream.explanation);
            let sentence = explanation.unwrap_or(reason.row().sentence);
            let about = about(upstream.as_ref(), request_id, application);
            let mend = upstream.as_ref().and_then(admin_consent);
            pages.refusal_explained(*reason, sentence, back, &about, mend.as_ref())
        }
    };
    response.extensions_mut().insert(RefusedFor(reason.row().name));
    response
}

/// An administrator may be somebody else, on another machine: the address is there to be copied.
fn admin_consent(upstream: &UpstreamReason) -> Option<Mend> {
    let address = upstream.admin_consent.as_ref()?.to_string();
    Some(Mend { who: "An administrator of your organization grants admin consent here:", address })
}

/// What whoever helps looks for: the first three in the identity provider's log, the last in ours.
fn about(
    upstream: Option<&UpstreamReason>,
    RequestId(request_id): RequestId,
    application: &str,
) -> Vec<(&'static str, String)> {
    let code = upstream.and_then(|upstream| upstream.code).map(|code| format!("AADSTS{code}"));
    let correlation_id = upstream.and_then(|upstream| upstream.correlation_id.clone());
    let application = code.is_some().then(|| application.to_owned());
    let rows = [
        ("Error code", code),
        ("Correlation ID", correlation_id),
        ("Application ID", application),
        ("Request ID", Some(request_id)),
    ];
    rows.into_iter().filter_map(|(label, value)| value.map(|value| (label, value))).collect()
}
