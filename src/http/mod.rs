//! How the authorization server is asked: routes, what they read, how they answer.

mod answer;
mod authorize;
mod callback;
mod consent;
mod cookies;
mod discovery;
mod extract;
mod health;
mod look;
mod page;
mod register;
mod token;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn;
use axum::middleware::map_response;
use axum::routing::get;
use axum::routing::post;

use crate::flows::AuthServer;
use crate::http::page::Pages;
use crate::protocol::metadata::path;

pub use answer::with_security_headers;
pub use extract::RequestId;
pub use look::Look;
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

/// Every endpoint of the authorization server.
pub fn router(auth: AuthServer) -> Router {
    let pages = Pages::new(auth.policy());
    Router::new()
        .route(path::AUTHORIZE, get(authorize::authorize))
        .route(path::CONSENT, post(consent::consent))
        .route(path::CALLBACK, get(callback::callback))
        .route(path::TOKEN, post(token::token))
        .route(path::REVOKE, post(token::revoke))
        .route(path::REGISTER, post(register::register))
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
        .route(path::LIVE, get(health::live))
        .route(path::READY, get(health::ready))
        .fallback(page::not_found)
        .method_not_allowed_fallback(page::method_not_allowed)
        .layer(map_response(with_security_headers))
        .layer(from_fn(answer::to_the_end))
        .with_state(Shared { auth, pages })
}
