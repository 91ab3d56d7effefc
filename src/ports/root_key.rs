//! Where the root key is kept.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::keys::RootKey;

/// Why there is no root key. The texts are for the operator: they say what to do.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct RootKeyError(pub String);

/// Keeps the generations of the root key.
#[async_trait]
pub trait RootKeyStore: Send + Sync {
    /// Every generation there is; none when no key was ever made here.
    async fn load(&self) -> Result<Vec<RootKey>, RootKeyError>;

    /// Keeps a first generation. Fails when there is a key already.
    async fn create(&self, key: &RootKey) -> Result<(), RootKeyError>;

    /// Where that is, in words.
    fn place(&self) -> String;
}
