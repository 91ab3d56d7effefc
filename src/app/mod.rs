//! Where the layers meet: the program from its configuration, and the middleware stack on one screen.

pub mod accept;
pub mod admin;
pub mod exit;
pub mod observe;
pub mod policy;
pub mod serve;
pub mod start;
pub mod stop;
mod unread;

use axum::Router;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;

use crate::flows::AuthServer;
use crate::gateway;
use crate::gateway::Upstream;
use crate::http as endpoints;

/// Everything that is served on the public listener.
///
/// From the outside in: what a refusal has left of a body is read; every request is given an id, a span, a
/// count and a time; a panic becomes an answer without detail; then the gateway's paths, then the
/// authorization server's.
pub fn router(auth: &AuthServer, upstream: &Upstream) -> Router {
    gateway::router(auth, upstream)
        .merge(endpoints::router(auth.clone()))
        // Within the observation, so that a panic is counted like any other answer.
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(auth.clone(), observe::observe))
        .layer(from_fn(unread::read_the_rest))
}
