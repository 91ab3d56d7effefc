//! Which container is meant, by what right, and why it may not be had.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
#[cfg(feature = "store-key")]
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

/// Which container, and how to get at it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// https, or http on loopback, where an emulator may be.
    pub endpoint: Url,
    pub database: String,
    pub container: String,
    /// The account's write region, for an operator who wants to be sure which one that is.
    pub region: Option<String>,
    pub access: Access,
    /// How long one operation may take.
    pub patience: Duration,
}

/// By what right.
#[derive(Clone)]
pub enum Access {
    /// An identity of Entra ID with a role on the account's data.
    Token(Arc<dyn TokenCredential>),
    /// The key of the whole account, as emulators have one.
    #[cfg(feature = "store-key")]
    Key(SecretString),
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            #[cfg(feature = "store-key")]
            Self::Key(_) => "Key",
        })
    }
}

/// Why there is no store. The words are for the operator.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It may be there later.
    #[error("Cosmos DB is away: {0}.")]
    Away(String),
    /// Somebody has to change something first.
    #[error("{0}")]
    Wrong(String),
}

pub(super) const FORBIDDEN: &str = "Cosmos DB refuses the credential. Give the identity the role \"Cosmos DB Built-in \
    Data Contributor\" on the account's data, which can take some minutes to count, and see that the account's \
    firewall lets this machine in.";
