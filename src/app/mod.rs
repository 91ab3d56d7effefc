//! Where the layers meet: the program from its configuration, and the middleware stack on one screen.

pub mod accept;
mod address;
pub mod admin;
mod closed;
mod cors;
pub mod cosmos;
pub mod exit;
mod host;
mod identity;
mod identity_provider;
mod limit;
pub mod observe;
mod passage;
pub mod policy;
pub mod registration;
pub mod serve;
pub mod start;
pub mod stop;
mod unread;
pub mod upstreams;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::middleware::Next;
use axum::middleware::from_fn;
use axum::middleware::from_fn_with_state;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::MethodRouter;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::cors::cors;
use crate::app::host::Hosts;
use crate::app::limit::Limiter;
use crate::app::passage::Passage;
use crate::flows::AuthServer;
use crate::gateway;
use crate::gateway::Gate;
use crate::gateway::Upstreams;
use crate::http as endpoints;
use crate::http::Endpoints;
use crate::http::Pages;

/// Everything that is served on the public listener.
///
/// From the outside in: what a refusal has left of a body is read; every request is given an id, a span, a
/// count and a time; a panic becomes an answer without detail. Then, around everything but the probes, whether the name is
/// ours; and around each kind of endpoint what its answers carry in any case, which other origins may read them, how
/// often one address may ask, and whether the keys are known without which none is to be had. The gateway has the same
/// around it, in `passage`.
pub fn router(auth: &AuthServer, upstreams: &Upstreams) -> Router {
    let pages = Pages::new(auth.policy());
    let limiter = Limiter::new(auth, &pages);
    let hosts = Hosts::new(auth);
    let gates = gateway::gates(auth, upstreams);
    let passage =
        Passage { auth: auth.clone(), pages: pages.clone(), hosts: hosts.clone(), limiter: limiter.clone() };
    let open = from_fn_with_state((auth.clone(), pages.clone()), open);
    let strangers = from_fn_with_state(limiter.clone(), strangers);
    let everybody = from_fn_with_state(limiter, everybody);
    let named = from_fn_with_state(hosts, named);
    let with_security_headers = map_response(endpoints::with_security_headers);
    let Endpoints { documents, clients, people, probes } = Endpoints::new(auth.clone(), pages);

    let documents = documents.layer(everybody.clone()).layer(cors([Method::GET, Method::HEAD]));
    let clients = clients.layer(open.clone()).layer(everybody.clone()).layer(cors([Method::POST]));
    // What people answer with their cookies is for this origin alone.
    let people = people.layer(open).layer(everybody);
    let endpoints = documents.merge(clients).merge(people).layer(with_security_headers.clone());
    // A preflight has no credentials, and is answered before anybody asks for them; other methods are not served.
    let beside_the_gateway = other_methods(&gates)
        .layer(strangers)
        .layer(cors([Method::GET, Method::HEAD, Method::POST, Method::DELETE]))
        .layer(map_response(async |response| gateway::sealed(response)));
    let rest = endpoints
        .merge(beside_the_gateway)
        .layer(named)
        .merge(probes.layer(with_security_headers))
        // Within the observation, so that a panic is counted like any other answer.
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(auth.clone(), observed))
        .layer(from_fn(read_the_rest));
    rest.merge(passage.routes(&gates))
}

/// What is asked at the paths of the gateway by other methods than those of MCP.
fn other_methods(gates: &[Gate]) -> Router {
    let refused = || MethodRouter::new().fallback(gateway::method_not_allowed);
    gates.iter().flat_map(Gate::routes).fold(Router::new(), |router, route| router.route(&route, refused()))
}

async fn open(State((auth, pages)): State<(AuthServer, Pages)>, request: Request, next: Next) -> Response {
    closed::unless_open(&auth, &pages, request, |request| next.run(request)).await
}

async fn everybody(State(limiter): State<Limiter>, request: Request, next: Next) -> Response {
    limit::everybody(&limiter, request, |request| next.run(request)).await
}

async fn strangers(State(limiter): State<Limiter>, request: Request, next: Next) -> Response {
    limit::strangers(&limiter, request, |request| next.run(request)).await
}

async fn named(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    host::ours(&hosts, request, |request| next.run(request)).await
}

async fn observed(State(auth): State<AuthServer>, request: Request, next: Next) -> Response {
    observe::observe(&auth, request, |request| next.run(request)).await
}

async fn read_the_rest(request: Request, next: Next) -> Response {
    unread::read_the_rest(request, |request| next.run(request)).await
}
