//! The documents by which clients find their way: RFC 8414, RFC 9728, the JWK Set.

use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;

use crate::domain::resource::Resource;
use crate::domain::signing_keys::JWKS_LIFETIME;
use crate::flows::AuthServer;
use crate::flows::keys::NotOpen;
use crate::http::Shared;
use crate::http::answer::refused;
use crate::protocol::metadata::AuthorizationServerMetadata;
use crate::protocol::metadata::ProtectedResourceMetadata;

/// Five minutes: short enough for a changed setting, long enough to spare a request for each login. For the JWK Set it
/// is [`JWKS_LIFETIME`]: a key that somebody else has is believed no longer.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");
const _: () = assert!(JWKS_LIFETIME.as_secs() == 300, "CACHED says so in text");

pub async fn authorization_server(State(auth): State<AuthServer>) -> Response {
    document(&metadata(&auth))
}

/// The well-known path with the resource's path appended, where clients of 2025-03-26 look.
pub async fn authorization_server_of(
    State(Shared { auth, pages }): State<Shared>,
    Path(resource): Path<String>,
) -> Response {
    match served(&auth, &resource) {
        Some(_) => document(&metadata(&auth)),
        None => pages.not_found(),
    }
}

pub async fn openid_configuration(State(auth): State<AuthServer>) -> Response {
    document(&metadata(&auth).for_openid())
}

pub async fn openid_configuration_of(
    State(Shared { auth, pages }): State<Shared>,
    Path(resource): Path<String>,
) -> Response {
    match served(&auth, &resource) {
        Some(_) => document(&metadata(&auth).for_openid()),
        None => pages.not_found(),
    }
}

pub async fn protected_resource(
    State(Shared { auth, pages }): State<Shared>,
    Path(resource): Path<String>,
) -> Response {
    match served(&auth, &resource) {
        Some(resource) => document(&resource_metadata(&auth, resource)),
        None => pages.not_found(),
    }
}

pub async fn default_resource(State(Shared { auth, pages }): State<Shared>) -> Response {
    match auth.policy().resources.default() {
        Some(resource) => document(&resource_metadata(&auth, resource)),
        None => pages.not_found(),
    }
}

pub async fn jwks(State(auth): State<AuthServer>) -> Response {
    match auth.is_open() {
        true => document(&auth.jwks()),
        false => refused(NotOpen),
    }
}

fn served<'a>(auth: &'a AuthServer, path: &str) -> Option<&'a Resource> {
    auth.policy().resources.by_path(&format!("/{}", path.trim_end_matches('/')))
}

fn metadata(auth: &AuthServer) -> AuthorizationServerMetadata {
    let policy = auth.policy();
    let identifiers = policy.resources.iter().map(|resource| resource.identifier.clone()).collect();
    let scopes = policy.resources.all_scopes();
    AuthorizationServerMetadata::new(&policy.issuer, &scopes, identifiers, policy.introductions())
}

fn resource_metadata(auth: &AuthServer, resource: &Resource) -> ProtectedResourceMetadata {
    let issuer = &auth.policy().issuer;
    ProtectedResourceMetadata::new(issuer, &resource.identifier, &resource.name, &resource.all_scopes())
}

fn document(content: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, CACHED)], axum::Json(content)).into_response()
}
