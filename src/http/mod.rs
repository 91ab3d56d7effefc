//! How the authorization server is asked: routes, what they read, how they answer.

mod answer;
mod authorize;
mod callback;
mod consent;
mod cookies;
mod discovery;
mod extract;
mod health;
mod limited;
mod look;
mod page;
mod register;
mod token;

use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::any;
use axum::routing::get;
use axum::routing::post;

use crate::flows::AuthServer;
use crate::protocol::metadata::path;

pub use answer::with_security_headers;
pub use extract::REQUEST_ID;
pub use look::Look;
pub use page::Pages;
pub use page::page;

/// What handlers share: the flows, and the pages that some of them answer with.
#[derive(Clone)]
struct Shared {
    auth: AuthServer,
    pages: Pages,
}

impl FromRef<Shared> for AuthServer {
    fn from_ref(shared: &Shared) -> Self {
        shared.auth.clone()
    }
}

impl FromRef<Shared> for Pages {
    fn from_ref(shared: &Shared) -> Self {
        shared.pages.clone()
    }
}

/// The endpoints of the authorization server, by who asks; what stands around each kind is for the caller to
/// say.
pub struct Endpoints {
    /// What clients find their way by, and what else they look for beside it.
    pub documents: Router,
    /// What clients post to.
    pub clients: Router,
    /// The pages, and the answer to whoever asks for what is not there.
    pub people: Router,
    pub probes: Router,
}

impl Endpoints {
    /// Every endpoint.
    #[must_use]
    pub fn new(auth: AuthServer, pages: Pages) -> Self {
        let shared = Shared { auth, pages };
        let complete = |router: Router<Shared>| {
            router
                .method_not_allowed_fallback(page::method_not_allowed)
                .layer(from_fn(answer::to_the_end))
                .with_state(shared.clone())
        };
        Self {
            documents: complete(documents()),
            clients: complete(clients()),
            people: complete(people()),
            probes: complete(probes()),
        }
    }
}

fn documents() -> Router<Shared> {
    Router::new()
        .route(path::JWKS, get(discovery::jwks))
        .route(path::AUTHORIZATION_SERVER, get(discovery::authorization_server))
        .route(
            &format!("{}/{{*resource}}", path::AUTHORIZATION_SERVER),
            get(discovery::authorization_server_of),
        )
        .route(path::OPENID_CONFIGURATION, get(discovery::openid_configuration))
        .route(
            &format!("{}/{{*resource}}", path::OPENID_CONFIGURATION),
            get(discovery::openid_configuration_of),
        )
        .route(path::PROTECTED_RESOURCE, get(discovery::default_resource))
        .route(&format!("{}/{{*resource}}", path::PROTECTED_RESOURCE), get(discovery::protected_resource))
        // A client that looks further has to read that there is nothing.
        .route("/.well-known/{*rest}", any(page::not_found))
}

fn clients() -> Router<Shared> {
    Router::new()
        .route(path::TOKEN, post(token::token))
        .route(path::REVOKE, post(token::revoke))
        .route(path::REGISTER, post(register::register))
}

fn people() -> Router<Shared> {
    Router::new()
        .route(path::AUTHORIZE, get(authorize::authorize).head(looked_at))
        .route(path::CONSENT, post(consent::consent))
        .route(path::CALLBACK, get(callback::callback).head(looked_at))
        .fallback(page::not_found)
}

fn probes() -> Router<Shared> {
    Router::new().route(path::LIVE, get(health::live)).route(path::READY, get(health::ready))
}

/// HEAD where people are: a look at whether something is there. It asks nobody, spends nothing, is not recorded.
async fn looked_at() -> StatusCode {
    StatusCode::OK
}
