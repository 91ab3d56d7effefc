//! A store that notes what it is asked, so that a test can state what a request costs.

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use entrada::domain::api_key;
use entrada::domain::block::Blocks;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::domain::grant;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;

use crate::support::entrada::Decorate;

/// What the store was asked, in order: the operation and the kind of document, as in `read grant`.
#[derive(Default)]
pub struct Operations(Mutex<Vec<String>>);

impl Operations {
    /// What was asked since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, operation: &str, kind: &str) {
        self.0.lock().unwrap().push(format!("{operation} {kind}"));
    }
}

/// How many of these operations write.
pub fn writes(operations: &[String]) -> usize {
    let writes = |operation: &&String| operation.starts_with("create ") || operation.starts_with("replace ");
    operations.iter().filter(writes).count()
}

/// The operations, and what to put between the flows and the store so that they are noted.
pub fn counted() -> (Arc<Operations>, Decorate) {
    let operations = Arc::new(Operations::default());
    let there = Arc::clone(&operations);
    let decorate = move |store| Arc::new(Counted { store, operations: Arc::clone(&there) }) as _;
    (operations, Box::new(decorate))
}

struct Counted {
    store: Arc<dyn Store>,
    operations: Arc<Operations>,
}

fn kind(key: &DocumentKey) -> &'static str {
    match key.partition.as_str() {
        _ if *key == Blocks::key() => "blocks",
        partition if partition.starts_with(grant::PARTITION_PREFIX) => "grant",
        partition if partition.starts_with("c.") => "client",
        partition if partition.starts_with(api_key::PARTITION_PREFIX) && key.id == "use" => "use",
        partition if partition.starts_with(api_key::PARTITION_PREFIX) => "key",
        _ => "other",
    }
}

#[async_trait]
impl Store for Counted {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.operations.note("create", kind(&document.key));
        self.store.create(document).await
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        self.operations.note("read", kind(key));
        self.store.read(key).await
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        self.operations.note("replace", kind(&document.key));
        self.store.replace(document, expected).await
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let (Listing::Partition(name) | Listing::Prefix(name)) = listing;
        self.operations.note("list", name);
        self.store.list(listing, after, limit).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.operations.note("sweep", "all");
        self.store.sweep().await
    }
}
