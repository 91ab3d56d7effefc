//! Where the layers meet: the program from its configuration, and the middleware stack on one screen.

pub mod accept;
mod address;
pub mod admin;
mod closed;
mod cors;
pub mod cosmos;
pub mod exit;
mod limit;
pub mod observe;
pub mod policy;
pub mod serve;
pub mod start;
pub mod stop;
mod unread;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use axum::middleware::map_response;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::cors::cors;
use crate::app::limit::Limiter;
use crate::flows::AuthServer;
use crate::gateway;
use crate::gateway::Upstream;
use crate::http as endpoints;
use crate::http::Endpoints;
use crate::http::Pages;

/// Everything that is served on the public listener.
///
/// From the outside in: what a refusal has left of a body is read; every request is given an id, a span, a
/// count and a time; a panic becomes an answer without detail. Then, around each kind of endpoint, what its
/// answers carry in any case; which other origins may read them; how often one address may ask; and whether the keys are
/// known without which none is to be had.
pub fn router(auth: &AuthServer, upstream: &Upstream) -> Router {
    let pages = Pages::new(auth.policy());
    let limiter = Limiter::new(auth, &pages);
    let open = from_fn_with_state((auth.clone(), pages.clone()), closed::unless_open);
    let everybody = from_fn_with_state(limiter.clone(), limit::everybody);
    let strangers = from_fn_with_state(limiter, limit::strangers);
    let with_security_headers = map_response(endpoints::with_security_headers);
    let Endpoints { documents, clients, people, probes } = Endpoints::new(auth.clone(), pages);
    // A preflight has no credentials, and is answered before anybody asks for them.
    let gateway = gateway::router(auth, upstream)
        .layer(open.clone())
        .layer(strangers)
        .layer(cors([Method::GET, Method::HEAD, Method::POST, Method::DELETE]))
        .layer(map_response(gateway::sealed));
    let documents = documents.layer(everybody.clone()).layer(cors([Method::GET, Method::HEAD]));
    let clients = clients.layer(open.clone()).layer(everybody.clone()).layer(cors([Method::POST]));
    // What people answer with their cookies is for this origin alone.
    let people = people.layer(open).layer(everybody);
    let endpoints = documents.merge(clients).merge(people).merge(probes).layer(with_security_headers);
    gateway
        .merge(endpoints)
        // Within the observation, so that a panic is counted like any other answer.
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(auth.clone(), observe::observe))
        .layer(from_fn(unread::read_the_rest))
}
