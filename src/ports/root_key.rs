//! Where the root key is kept.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::keys::Generation;
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

    /// Keeps a first generation. Fails when there is a key already, and where a key is not made in passing.
    async fn create(&self, key: &RootKey) -> Result<(), RootKeyError>;

    /// Keeps one generation more, whose number is new.
    async fn add(&self, key: &RootKey) -> Result<(), RootKeyError>;

    /// Keeps this generation, and forgets all others.
    async fn keep_only(&self, generation: Generation) -> Result<(), RootKeyError>;

    /// How long it may take until every replica finds here what was added.
    fn delay(&self) -> Duration;

    /// Where that is, in words.
    fn place(&self) -> String;
}
