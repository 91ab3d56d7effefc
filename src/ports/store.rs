//! The store: create if absent, read, replace if unchanged. Nothing else is needed, and nothing else
//! is offered, so that an embedded file and Cosmos DB can keep the same promises.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Stored;
use crate::domain::document::Version;

/// Why a store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The document exists already (create), or is not the one that was read (replace).
    #[error("another write came first")]
    Conflict,
    /// The store could not be asked, or did not answer in time. Whether a write happened is unknown.
    #[error("the store is away: {0}")]
    Away(String),
    /// It was reached, and is not one that can be used; in words for the operator.
    #[error("{0}")]
    Unsuitable(String),
    /// What is stored cannot be read back.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
}

/// Which documents to list.
#[derive(Clone, Copy, Debug)]
pub enum Listing<'a> {
    /// All of one partition.
    Partition(&'a str),
    /// All partitions whose name begins so: for administration only, it reads across partitions.
    Prefix(&'a str),
}

/// Durable, linearisable per document. Every adapter passes the same contract suite.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes a document that must not exist yet. An expired one that still lies there does not count.
    ///
    /// When this returns `Ok`, the document survives the process and the machine's power.
    async fn create(&self, document: Document) -> Result<Version, StoreError>;

    /// The document, unless it is absent or expired.
    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError>;

    /// Replaces the document if it is still the `expected` version; [`StoreError::Conflict`] if it
    /// is not, is absent or has expired.
    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError>;

    /// At most `limit` documents, in the order of their keys, of those behind `after`.
    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError>;

    /// Removes expired documents, a bounded number at a time, and says how many. A store that
    /// expires by itself has nothing to do.
    async fn sweep(&self) -> Result<usize, StoreError>;
}
