//! Where the layers meet: the program from its configuration, and the middleware stack on one screen.

pub mod admin;
pub mod exit;
pub mod observe;
pub mod policy;
pub mod serve;
pub mod start;
pub mod stop;

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::Response;
use http_body_util::Full;
use tower_http::catch_panic::CatchPanicLayer;

use crate::flows::AuthServer;
use crate::gateway;
use crate::gateway::Upstream;
use crate::http as endpoints;

/// Everything that is served on the public listener.
///
/// From the outside in: every request is given an id, a span, a count and a time; a panic becomes an
/// answer without detail; then the gateway's paths, then the authorization server's.
pub fn router(auth: &AuthServer, upstream: &Upstream) -> Router {
    gateway::router(auth, upstream)
        .merge(endpoints::router(auth.clone()))
        // Within the observation, so that a panic is counted like any other answer.
        .layer(CatchPanicLayer::custom(|_| {
            let body = r#"{"error":"server_error","error_description":"The server failed. The log has the reason."}"#;
            Response::builder()
                .status(500)
                .header("content-type", "application/json")
                .header("cache-control", "no-store")
                .body(Full::from(body))
                .expect("a constant response is well-formed")
        }))
        .layer(from_fn_with_state(auth.clone(), observe::observe))
}
