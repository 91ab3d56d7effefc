//! What is seen of every request: an id, a span, a count, a time, and the reason of a refusal.

use std::any::Any;

use axum::Json;
use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;
use tracing::Instrument;
use tracing::info_span;

use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::flows::AuthServer;
use crate::flows::refusal::RefusedClient;
use crate::flows::refusal::RefusedFor;
use crate::flows::refusal::Repeated;
use crate::http::REQUEST_ID;

/// Around everything that answers a request; reading what is left of its body comes after, and is not in the
/// time. The id is ours: one that a client sends could be anything.
pub async fn observe<R>(auth: &AuthServer, mut request: Request, next: impl FnOnce(Request) -> R) -> Response
where
    R: Future<Output = Response>,
{
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = known_method(request.method().as_str());
    let request_id = auth.request_id();
    let named = HeaderValue::from_str(&request_id).expect("it is base64url");
    request.headers_mut().insert(REQUEST_ID, named.clone());
    let span = info_span!("request", request_id, method, route);
    let began = auth.elapsed();
    let mut response = next(request).instrument(span.clone()).await;
    let took = auth.elapsed().saturating_sub(began);
    let status = response.status().as_u16();
    if let Some(RefusedFor(reason)) = response.extensions_mut().remove::<RefusedFor>() {
        metrics::counter!("entrada_refusals_total", "route" => route.clone(), "reason" => reason)
            .increment(1);
        if response.extensions_mut().remove::<Repeated>().is_none() {
            let RefusedClient { client, redirect_host, subject, scope } =
                response.extensions_mut().remove().unwrap_or_default();
            let event = Event {
                client,
                redirect_host,
                subject,
                scope,
                endpoint: Some(route.clone()),
                status: Some(status),
                reason: Some(reason),
                ..Event::default()
            };
            span.in_scope(|| auth.record(EventName::RequestRefused, event));
        }
    }
    let labels = [("route", route), ("method", method.to_owned()), ("status", status.to_string())];
    metrics::counter!("entrada_requests_total", &labels).increment(1);
    metrics::histogram!("entrada_request_seconds", &labels[..1]).record(took);
    response.headers_mut().insert(REQUEST_ID, named);
    response
}

/// Methods are text of the client's choosing: unknown ones are one label.
fn known_method(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// What came of a request, if it did not panic.
pub fn unless_panicked(outcome: Result<Response, Box<dyn Any + Send>>) -> Response {
    outcome.unwrap_or_else(panicked)
}

/// A defect of ours: the answer tells nothing of it, and it is counted like any other refusal. The text
/// of the panic goes where panics go, standard error; it may hold anything.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request panicked: this is a defect, please report it");
    let body =
        json!({ "error": "server_error", "error_description": "The server failed. Its log has the reason." });
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut response = (StatusCode::INTERNAL_SERVER_ERROR, headers, Json(body)).into_response();
    response.extensions_mut().insert(RefusedFor("panic"));
    response
}
