//! The contract suite on an account of Azure: docs/testing.md says how.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use entrada::adapters::azure_credential::Source;
use entrada::adapters::azure_credential::credential;
use entrada::adapters::cosmos::Access;
use entrada::adapters::cosmos::CosmosStore;
use entrada::adapters::cosmos::Settings;
use entrada::adapters::system::SystemClock;
use entrada::adapters::system::SystemEntropy;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::ports::clock::Clock;
use entrada::ports::clock::Entropy;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use secrecy::SecretString;

use crate::store_contract::Subject;
use crate::store_contract::keeps_its_promises;
use crate::support::clock::MovedClock;
use crate::support::cosmos::HostedCosmos;

/// A store whose partitions have names of their own, so that many of them share a container.
struct Apart {
    store: CosmosStore,
    prefix: String,
}

impl Apart {
    fn outer(&self, key: &DocumentKey) -> DocumentKey {
        DocumentKey { partition: format!("{}{}", self.prefix, key.partition), id: key.id.clone() }
    }

    fn inner(&self, mut stored: Stored) -> Stored {
        let partition = stored.document.key.partition.strip_prefix(&self.prefix).unwrap().to_owned();
        stored.document.key.partition = partition;
        stored
    }

    fn moved(&self, document: Document) -> Document {
        Document { key: self.outer(&document.key), ..document }
    }
}

#[async_trait]
impl Store for Apart {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.store.create(self.moved(document)).await
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.store.read(&self.outer(key)).await?.map(|stored| self.inner(stored)))
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        self.store.replace(self.moved(document), expected).await
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let (Listing::Partition(name) | Listing::Prefix(name)) = listing;
        let name = format!("{}{name}", self.prefix);
        let listing = match listing {
            Listing::Partition(_) => Listing::Partition(&name),
            Listing::Prefix(_) => Listing::Prefix(&name),
        };
        let after = after.map(|key| self.outer(key));
        let listed = self.store.list(listing, after.as_ref(), limit).await?;
        Ok(listed.into_iter().map(|stored| self.inner(stored)).collect())
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.store.sweep().await
    }
}

/// Runs the suite in one container. The clock begins with the machine's, since `ttl` counts from the account's.
async fn suite(settings: &Settings) {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let run = u64::from_be_bytes(entropy.bytes());
    let clauses = AtomicU32::new(0);
    keeps_its_promises(async || {
        let clock = MovedClock::at(SystemClock::new().now());
        let store = CosmosStore::connect(settings, clock.clone()).await.unwrap();
        let clause = clauses.fetch_add(1, Ordering::Relaxed);
        Subject { store: Arc::new(Apart { store, prefix: format!("t{run:016x}-{clause}.") }), clock }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_for_real_accounts_runs_on_the_emulator_too() {
    let cosmos = HostedCosmos::ready(Arc::new(SystemClock::new())).await;
    suite(&cosmos.settings()).await;
}

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: docs/testing.md says which variables are needed"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an account of Azure Cosmos DB: docs/testing.md"]
async fn it_keeps_the_promises_on_a_real_account() {
    let access = match std::env::var("COSMOS_KEY") {
        Ok(key) => Access::Key(SecretString::from(key)),
        Err(_) => Access::Token(credential(Source::Developer, Arc::new(SystemClock::new()))),
    };
    let settings = Settings {
        endpoint: variable("COSMOS_ENDPOINT").parse().unwrap(),
        database: variable("COSMOS_DATABASE"),
        container: variable("COSMOS_CONTAINER"),
        region: None,
        access,
        patience: Duration::from_secs(10),
    };
    suite(&settings).await;
}
