//! Where the root key is kept.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use crate::domain::keys::RootKey;

/// Why there is no root key. The texts are for the operator: they say what to do.
#[derive(Debug, Error)]
pub enum RootKeyError {
    /// The place does not answer, or does not show yet what is known to be there. Later it may.
    #[error("{0}")]
    Away(String),
    /// Somebody has to change something first.
    #[error("{0}")]
    Wrong(String),
}

/// Where root keys are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A file at this path, of which every replica has a copy.
    File(String),
    /// A secret in a vault, which every replica reads.
    Secret { name: String, vault: String },
}

impl Place {
    /// Whether what one replica adds is found by the others without anybody's doing.
    #[must_use]
    pub fn is_common(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Secret { .. } => true,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {path}"),
            Self::Secret { name, vault } => write!(f, "the secret {name} in {vault}"),
        }
    }
}

/// Keeps the generations of the root key.
#[async_trait]
pub trait RootKeyStore: Send + Sync {
    /// Every key there is, the oldest first; none when no key was ever made here. What this process has added is among
    /// them. Where nothing hinders two replicas from adding at the same time, two may have one number: which of them
    /// counts is for the store to say.
    async fn load(&self) -> Result<Vec<RootKey>, RootKeyError>;

    /// Keeps a first generation. Fails when there is a key already, as far as that can be told, and where a key is not
    /// made in passing.
    async fn create(&self, key: &RootKey) -> Result<(), RootKeyError>;

    /// Keeps one generation more, whose number is new.
    async fn add(&self, key: &RootKey) -> Result<(), RootKeyError>;

    /// Takes back what was created or added, because another came first. Nothing is made with it, and it counts for
    /// nothing where it stays.
    async fn withdraw(&self, key: &RootKey) -> Result<(), RootKeyError>;

    /// Keeps this key, and forgets those that were there before it. Where it fails, some of them may be forgotten.
    async fn keep_only(&self, key: &RootKey) -> Result<(), RootKeyError>;

    /// How long it may take until every replica finds here what was added.
    fn delay(&self) -> Duration;

    /// Where that is.
    fn place(&self) -> Place;
}
