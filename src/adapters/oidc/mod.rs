//! The identity provider over OpenID Connect: Entra ID with one tenant or several, or any other provider.
//!
//! ID tokens and key sets are the `openidconnect` crate's to judge. The token request and the reading of
//! its answer are ours: a flow must tell a provider that failed (ask again) from an ID token that does
//! not hold (never ask again), and the crate reports both as one parse error, without the status.
//!
//! Nothing that the provider says reaches an error or a log, but for its error number and its
//! correlation id.

mod aadsts;
mod certificate;
mod claims;
mod client_authentication;
pub(super) mod cloud;
mod discovery;
mod entra;
mod failure;
mod graph;
mod http_client;
mod id_token;
mod kept;
mod key_set;
mod proof;
mod provider;
mod realm;
mod refusal;
mod spread;
#[cfg(test)]
#[cfg(feature = "demo")]
mod tests;
mod token_endpoint;

use thiserror::Error;
use url::Url;

pub use certificate::BadCertificate;
pub use certificate::Certificate;
pub use proof::Proof;
pub use provider::OidcProvider;

/// Our registration at the provider.
#[derive(Debug)]
pub struct Settings {
    pub kind: Kind,
    pub client_id: String,
    pub proof: Proof,
    /// Our one redirect URI, byte for byte as it is registered.
    pub redirect_uri: String,
    /// What is asked for besides `openid profile offline_access`.
    pub scopes: Vec<String>,
}

/// What the provider is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Entra ID.
    Entra(Entra),
    /// Any provider with a discovery document (OpenID Connect Discovery 1.0 §4).
    Oidc { issuer: Url },
}

/// Entra ID, and whom it may vouch for.
#[derive(Clone, Debug)]
pub struct Entra {
    /// The cloud: `https://login.microsoftonline.com`, or a sovereign one.
    pub authority: Url,
    pub tenants: Tenants,
    /// Whether guests of a tenant may sign in. Where they may not, ID tokens need the claim `acct`.
    pub guests: bool,
    /// The root of Microsoft Graph, where it is not that of the cloud.
    pub graph: Option<Url>,
}

/// Whose people may sign in. A tenant is a GUID: a domain name can be moved to another tenant.
#[derive(Clone, Debug)]
pub enum Tenants {
    One(String),
    /// Those of these that come by `organizations`.
    Several(Vec<String>),
}

/// Why a provider cannot be made of the settings. No text shows a value.
#[derive(Debug, Error)]
pub enum SettingsError {
    #[error("the identity provider's address has to be https, or http on this machine, without a query")]
    Address,
    #[error("a tenant has to be its id, a GUID, not a name, and there has to be one at least")]
    Tenant,
    #[error("another provider than Entra takes a client secret, and nothing else")]
    Proof,
    #[error("the redirect URI is not a URL")]
    RedirectUri,
    #[error("the HTTP client cannot be made")]
    HttpClient(#[source] reqwest::Error),
}
