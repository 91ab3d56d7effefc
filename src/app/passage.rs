//! What stands around the gateway, on one screen, and composed as it is compiled: a layer of a router is boxed and copied
//! for each request, which here would cost as much as all the rest.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::response::Response;
use axum::routing::on;
use futures_util::FutureExt;

use crate::app::closed;
use crate::app::cors;
use crate::app::host;
use crate::app::host::Hosts;
use crate::app::limit;
use crate::app::limit::Limiter;
use crate::app::observe;
use crate::app::unread;
use crate::flows::AuthServer;
use crate::gateway;
use crate::gateway::Gate;
use crate::gateway::METHODS;
use crate::http::Pages;

/// What requests to the gateway pass through.
#[derive(Clone)]
pub struct Passage {
    pub auth: AuthServer,
    pub pages: Pages,
    pub hosts: Hosts,
    pub limiter: Limiter,
}

impl Passage {
    /// The routes of the gateway, for the methods of MCP. Whatever else is asked there is the router's.
    pub fn routes(self, gates: &[Gate]) -> Router {
        let mut router = Router::new();
        for gate in gates {
            let state = Arc::new((self.clone(), gate.clone()));
            for route in gate.routes() {
                router = router.route(&route, on(METHODS, pass).with_state(Arc::clone(&state)));
            }
        }
        router
    }
}

/// From the inside out: the gateway; whether the keys are known without which no token can be judged; how often one
/// address may ask without a token; which other origins may read the answer, and what it carries in any case; whether the
/// name is ours. A panic becomes an answer without detail; every request is given an id, a span, a count and a
/// time; what a refusal has left of a body is read.
async fn pass(State(state): State<Arc<(Passage, Gate)>>, request: Request) -> Response {
    let (Passage { auth, pages, hosts, limiter }, gate) = &*state;
    // Apart: what stands around it would otherwise be as large as all that it holds, and is moved at each step.
    let forwarded = |request| Box::pin(gate.forward(request));
    let open = |request| closed::unless_open(auth, pages, request, forwarded);
    let limited = |request| limit::strangers(limiter, request, open);
    let sealed = |request| limited(request).map(cors::readable).map(gateway::sealed);
    let named = |request| host::ours(hosts, request, sealed);
    let caught = |request| AssertUnwindSafe(named(request)).catch_unwind().map(observe::unless_panicked);
    let observed = |request| observe::observe(auth, request, caught);
    unread::read_the_rest(request, observed).await
}
