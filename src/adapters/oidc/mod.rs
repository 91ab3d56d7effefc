//! The identity provider over OpenID Connect: Entra ID with one tenant, or any other provider.
//!
//! ID tokens and key sets are the `openidconnect` crate's to judge. The token request and the reading of
//! its answer are ours: a flow must tell a provider that failed (ask again) from an ID token that does
//! not hold (never ask again), and the crate reports both as one parse error, without the status.
//!
//! Nothing that the provider says reaches an error or a log, but for its error number and its
//! correlation id.

mod aadsts;
mod claims;
mod client_authentication;
mod discovery;
mod entra;
mod failure;
mod http_client;
mod kept;
mod provider;
mod realm;
mod refusal;
#[cfg(test)]
#[cfg(feature = "demo")]
mod tests;
mod token_endpoint;

use secrecy::SecretString;
use thiserror::Error;
use url::Url;

pub use provider::OidcProvider;

/// Our registration at the provider.
#[derive(Debug)]
pub struct Settings {
    pub kind: Kind,
    pub client_id: String,
    pub client_secret: SecretString,
    /// Our one redirect URI, byte for byte as it is registered.
    pub redirect_uri: String,
    /// What is asked for besides `openid profile offline_access`.
    pub scopes: Vec<String>,
}

/// What the provider is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Entra ID, one tenant.
    Entra {
        /// The cloud: `https://login.microsoftonline.com`, or a sovereign one.
        authority: Url,
        /// The tenant's id, a GUID. A domain name can be moved to another tenant.
        tenant: String,
    },
    /// Any provider with a discovery document (OpenID Connect Discovery 1.0 §4).
    Oidc { issuer: Url },
}

/// Why a provider cannot be made of the settings. No text shows a value.
#[derive(Debug, Error)]
pub enum SettingsError {
    #[error("the identity provider's address has to be https, or http on this machine, without a query")]
    Address,
    #[error("the tenant has to be its id, a GUID, not a name: this service is for one tenant")]
    Tenant,
    #[error("the redirect URI is not a URL")]
    RedirectUri,
    #[error("the HTTP client cannot be made")]
    HttpClient(#[source] reqwest::Error),
}
