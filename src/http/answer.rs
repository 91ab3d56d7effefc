//! How a refusal is answered, and what every answer carries.

use std::panic::resume_unwind;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tracing::Instrument;

use crate::domain::client::ClientId;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedClient;
use crate::flows::refusal::RefusedFor;
use crate::flows::refusal::Row;
use crate::protocol::client_auth::PresentedClient;
use crate::protocol::error::ErrorCode;
use crate::protocol::error::OAuthError;
use crate::protocol::parameters::Parameters;

/// Seconds after which a client may ask again what could not be answered.
pub const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// An OAuth error as JSON (RFC 6749 §5.2), with the reason for our log beside it.
pub fn json_error(reason: &'static str, error: OAuthError) -> Response {
    let mut response = (status(error.code), axum::Json(error)).into_response();
    retry_after(&mut response, error.code);
    response.extensions_mut().insert(RefusedFor(reason));
    response
}

/// A flow's refusal as JSON.
pub fn refused(refusal: impl Refusal) -> Response {
    json_error(refusal.row().name, refusal.oauth())
}

/// A flow's refusal as JSON for a program that asked where people ask: with the remedies beside the error.
pub fn refused_with_remedies(refusal: impl Refusal) -> Response {
    let Row { name, remedies, .. } = refusal.row();
    let remedies: Map<String, Value> =
        remedies.iter().map(|remedy| (remedy.application.to_owned(), remedy.command.into())).collect();
    let mut response = refused(refusal);
    if !remedies.is_empty() {
        let OAuthError { code, description } = refusal.oauth();
        let body = json!({ "error": code.as_str(), "error_description": description, "remedies": remedies });
        response = (response.status(), axum::Json(body)).into_response();
        response.extensions_mut().insert(RefusedFor(name));
    }
    response
}

/// A flow's refusal of a client that may have tried HTTP Basic: then 401 names that scheme
/// (RFC 6749 §5.2).
pub fn refused_client(refusal: impl Refusal, authorization: Option<&str>, form: &Parameters) -> Response {
    let mut response = refused(refusal);
    let presented = PresentedClient::read(authorization, form).ok();
    let client = presented.map(|presented| ClientId::named(presented.client_id).digest());
    response.extensions_mut().insert(RefusedClient { client, ..RefusedClient::default() });
    if authorization.is_some() && response.status() == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"entrada\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// A redirect after a GET.
pub fn found(location: &str) -> Response {
    redirect(StatusCode::FOUND, location)
}

/// A redirect after a POST: the browser must not send the form again.
pub fn see_other(location: &str) -> Response {
    redirect(StatusCode::SEE_OTHER, location)
}

fn redirect(status: StatusCode, location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (status, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The status of an error code.
pub fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Says when to try again, where trying again is the remedy.
pub fn retry_after(response: &mut Response, code: ErrorCode) {
    if code == ErrorCode::TemporarilyUnavailable {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
}

/// Works a request off in a task of its own: a client that hangs up must not stop us between a write and
/// what has to follow it, or between the identity provider's answer and the swap that remembers it.
pub async fn to_the_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only the end of the runtime cancels it.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

/// What every answer of ours carries, unless it has said otherwise.
pub async fn with_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    set_absent(headers, header::CACHE_CONTROL, "no-store");
    set_absent(headers, header::REFERRER_POLICY, "no-referrer");
    set_absent(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_absent(headers, header::X_FRAME_OPTIONS, "DENY");
    set_absent(
        headers,
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    );
    response
}

fn set_absent(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
