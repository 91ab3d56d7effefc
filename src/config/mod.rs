//! The configuration: a TOML file, and environment variables that win over it.
//!
//! Every setting is a row of [`SETTINGS`]. `load` tells all problems at once, each in a sentence, and none
//! of them shows a value.

mod brand;
mod clients;
mod document;
mod environment;
mod file;
mod forwarding;
mod identity;
mod keys;
mod load;
mod markdown;
mod nearest;
mod problems;
mod resource_table;
mod resources;
mod settings;
mod storage_table;
mod store;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_table;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::domain::allowed::Allowed;
use crate::domain::brand::Brand;
use crate::domain::client::ConfiguredClient;
use crate::domain::forwarding::Forwarding;
use crate::domain::limits::Limits;
use crate::domain::policy::Registration;
use crate::domain::resource::Claim;
use crate::domain::signing::SigningAlg;
use crate::domain::tools::ImpliedScopes;
use crate::domain::trust::Trust;

pub use load::load;
pub use markdown::markdown_table;
pub use problems::Problem;
pub use problems::Problems;
pub use settings::Fallback;
pub use settings::Kind;
pub use settings::Setting;
pub use table::SETTINGS;

/// A configuration without problems. Durations are whole seconds.
#[derive(Debug, Clone)]
pub struct Config {
    /// The issuer, byte for byte: an origin in its normal form, without a slash at the end.
    pub public_url: String,
    /// One at least.
    pub listen: Vec<SocketAddr>,
    /// Names under which requests may come, besides that of `public_url`.
    pub hosts: Vec<String>,
    pub data_dir: PathBuf,
    /// From the word to stop until no connection is accepted any more.
    pub stop_delay: Duration,
    pub keys: Keys,
    pub upstream: Upstream,
    pub store: Store,
    pub trust: Trust,
    pub registration: Registration,
    pub documents: Documents,
    /// No two with the same id.
    pub clients: Vec<ConfiguredClient>,
    pub tokens: Tokens,
    pub limits: Limits,
    /// One at least; at most one is the default, and no path lies below another.
    pub resources: Vec<Resource>,
    pub brand: Brand,
    pub log_format: LogFormat,
    /// The listener for `/metrics`, if there is one.
    pub metrics: Option<SocketAddr>,
}

/// Where the root key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    File(PathBuf),
    Vault(Vault),
}

/// A secret in Azure Key Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// An origin; https, except on loopback.
    pub url: Url,
    pub secret: String,
    pub identity: Identity,
}

/// The identity provider and how it knows Entrada.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub idp: Idp,
    pub client_id: String,
    pub proof: Proof,
    /// Asked for besides `openid profile offline_access`.
    pub scopes: Vec<String>,
}

/// By what Entrada proves to the identity provider who it is.
#[derive(Debug, Clone)]
pub enum Proof {
    Secret(SecretString),
    /// A user-assigned managed identity, which the registration has a federated credential for.
    ManagedIdentity {
        client_id: String,
    },
    /// A pod's identity in Kubernetes, in the same way.
    WorkloadIdentity,
    Certificate {
        /// PEM: the certificate and its private key.
        file: PathBuf,
    },
}

/// Which identity provider, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idp {
    Entra {
        tenants: Tenants,
        /// Whether guests of a tenant may sign in.
        guests: bool,
        /// An origin in its normal form, without a slash at the end.
        authority: String,
        /// Microsoft Graph, if it is not that of the authority's cloud.
        graph: Option<Url>,
    },
    Oidc {
        /// As the operator wrote it, byte for byte.
        issuer: String,
    },
}

/// Whose people may sign in. Tenants are GUIDs in lower case, as in the claim `tid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    One(String),
    /// Those of `organizations` that are listed, one at least.
    Several(Vec<String>),
}

/// Where documents are kept.
#[derive(Debug, Clone)]
pub enum Store {
    /// A file in the data directory.
    Embedded,
    Cosmos(Box<Cosmos>),
}

/// A container of Azure Cosmos DB for NoSQL.
#[derive(Debug, Clone)]
pub struct Cosmos {
    /// https, except on loopback.
    pub endpoint: Url,
    pub database: String,
    pub container: String,
    /// The account's write region, if it was said.
    pub region: Option<String>,
    pub credential: Credential,
}

/// As whom Entrada comes to Azure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Of the machine that it runs on; without a client id its own.
    Managed { client_id: Option<String> },
    /// Of a pod in Kubernetes; without a client id that of its environment.
    Workload { client_id: Option<String> },
    /// Whoever is signed in to the Azure CLI.
    Developer,
}

/// By what right Entrada gets at Cosmos DB.
#[derive(Debug, Clone)]
pub enum Credential {
    Identity(Identity),
    /// The key of the whole account. Only where the feature `store-key` is built.
    Key(SecretString),
}

impl Store {
    /// Whether other replicas may use the same one.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Embedded => false,
            Self::Cosmos(_) => true,
        }
    }
}

/// Client ID Metadata Documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    pub enabled: bool,
    /// PEM: certificates to trust besides the system's.
    pub ca: Option<Vec<u8>>,
}

/// How tokens are signed, and how long everything lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub signing_alg: SigningAlg,
    /// Access tokens for resources behind the gateway that say nothing else.
    pub access: Duration,
    pub refresh_idle: Duration,
    /// No shorter than `refresh_idle`.
    pub refresh_max: Duration,
    pub code: Duration,
    pub login: Duration,
    /// Zero is strict.
    pub grace: Duration,
    /// Zero asks the identity provider at every refresh.
    pub recheck: Duration,
}

/// An MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub path: String,
    /// The audience of its access tokens, byte for byte (RFC 8707).
    pub identifier: String,
    /// Where the gateway finds it. Its normal form, which is never an identifier, is the audience of
    /// downstream tokens. Without one, tokens are only issued.
    pub upstream: Option<Url>,
    pub name: String,
    /// Whether a request that names no resource means this one.
    pub default: bool,
    pub access: Duration,
    /// One at least, each with what it permits in words, in the order of the configuration.
    pub scopes: Vec<(String, String)>,
    /// One at least, all among `scopes`.
    pub default_scopes: Vec<String>,
    pub implied: ImpliedScopes,
    pub claims: Vec<Claim>,
    pub allowed: Allowed,
    pub forwarding: Forwarding,
    /// Whether nobody else reaches the upstream.
    pub trusted_network: bool,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}
