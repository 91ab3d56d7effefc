//! A store that need not be there yet.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Stored;
use crate::domain::document::Version;
use crate::ports::clock::Clock;
use crate::ports::store::Listing;
use crate::ports::store::Store;
use crate::ports::store::StoreError;

use super::ConnectError;
use super::CosmosStore;
use super::Settings;

/// A [`CosmosStore`] that connects when it is first asked for something, and tries again the next time as long as it
/// could not: until then it is away.
pub struct LateCosmosStore {
    settings: Settings,
    clock: Arc<dyn Clock>,
    store: OnceCell<CosmosStore>,
}

impl LateCosmosStore {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock, store: OnceCell::new() }
    }

    async fn store(&self) -> Result<&CosmosStore, StoreError> {
        let connect = || CosmosStore::connect(&self.settings, Arc::clone(&self.clock));
        let connected = timeout(self.settings.patience, self.store.get_or_try_init(connect)).await;
        connected
            .map_err(|_| StoreError::Away("Cosmos DB did not answer in time".to_owned()))?
            .map_err(Into::into)
    }
}

impl From<ConnectError> for StoreError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Away(_) => Self::Away(error.to_string()),
            ConnectError::Wrong(words) => Self::Unsuitable(words),
        }
    }
}

#[async_trait]
impl Store for LateCosmosStore {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.store().await?.create(document).await
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        self.store().await?.read(key).await
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        self.store().await?.replace(document, expected).await
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store().await?.list(listing, after, limit).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        Ok(0)
    }
}
