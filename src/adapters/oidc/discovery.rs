use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::ports::idp::UpstreamError;

use super::client_authentication::ClientAuthentication;
use super::failure::away;
use super::http_client::HttpClient;
use super::key_set::KeySet;
use super::realm::Realm;
use super::refusal::of_document;

/// What we use of the provider's metadata, checked.
pub(super) struct Discovered {
    /// What ID tokens have to name as their issuer; for several tenants a template of it.
    pub issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    /// `None` when the provider accepts no client secret.
    pub authentication: Option<ClientAuthentication>,
}

/// The metadata (OpenID Connect Discovery 1.0 §3), as far as we read it. What we do not use cannot
/// fail to parse.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// Fetches the metadata. Whatever is wrong with it is `Away`: a provider that publishes nonsense for an
/// hour has not ended anybody's session.
pub(super) async fn discover(http: &HttpClient, realm: &Realm) -> Result<Discovered, UpstreamError> {
    let url = Url::parse(&realm.discovery_url()).map_err(|_| away("its metadata has no address"))?;
    let answer = http.get(&url).await?;
    if answer.status != StatusCode::OK {
        return Err(of_document(&answer, "it does not publish its metadata"));
    }
    let metadata: Metadata =
        serde_json::from_slice(&answer.body).map_err(|_| away("its metadata cannot be read"))?;
    let issuer =
        realm.issuer(&metadata.issuer).ok_or_else(|| away("its metadata is that of another issuer"))?;
    let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
    if !endpoints.into_iter().all(|endpoint| realm.accepts(endpoint)) {
        return Err(away("its metadata names an endpoint that is not protected"));
    }
    let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
    let authentication = if realm.posts_secret() {
        Some(ClientAuthentication::Post)
    } else {
        ClientAuthentication::choose(methods)
    };
    Ok(Discovered {
        issuer,
        authorization_endpoint: metadata.authorization_endpoint,
        token_endpoint: metadata.token_endpoint,
        jwks_uri: metadata.jwks_uri,
        authentication,
    })
}

/// Fetches the key set (RFC 7517 §5).
pub(super) async fn fetch_keys(http: &HttpClient, url: &Url) -> Result<KeySet, UpstreamError> {
    let answer = http.get(url).await?;
    if answer.status != StatusCode::OK {
        return Err(of_document(&answer, "it does not publish its keys"));
    }
    let keys = KeySet::read(&answer.body).ok_or_else(|| away("its key set cannot be read"))?;
    // An empty set would take the place of a good one.
    if keys.is_empty() { Err(away("its key set has no key that we can use")) } else { Ok(keys) }
}
