//! Which answers a page of another origin may read: those that no cookie has a part in.

use std::sync::LazyLock;
use std::time::Duration;

use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use axum::http::header::RETRY_AFTER;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::Response;
use tower_http::cors::AllowHeaders;
use tower_http::cors::Any;
use tower_http::cors::CorsLayer;

/// What a client has to read of an answer.
const EXPOSED: [HeaderName; 5] = [
    WWW_AUTHENTICATE,
    RETRY_AFTER,
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("x-request-id"),
];

/// Chromium remembers no preflight for longer.
const REMEMBERED: Duration = Duration::from_hours(2);

/// The same for an answer that is made elsewhere: no preflight comes there.
pub fn readable(mut response: Response) -> Response {
    static NAMES: LazyLock<HeaderValue> = LazyLock::new(|| {
        let names = EXPOSED.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(",");
        HeaderValue::from_str(&names).expect("names of headers are visible ASCII")
    });
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, NAMES.clone());
    response
}

/// Any origin, never with credentials. Answers every OPTIONS by itself.
pub fn cors(methods: impl IntoIterator<Item = Method>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(methods.into_iter().collect::<Vec<_>>())
        // As asked for: `*` does not stand for Authorization.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(REMEMBERED)
        // Only the answer to OPTIONS depends on the request, and no cache keeps that (RFC 9110 §9.3.7).
        .vary([])
}
