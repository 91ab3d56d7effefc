//! The store of several replicas: one container of Azure Cosmos DB for NoSQL.
//!
//! Every write is a creation, or a replacement on condition of the ETag. The SDK sends writes again by itself,
//! so a write that is refused may be our own: each document carries the random id of the write that made it.

mod account;
mod attempt;
mod connect;
#[cfg(feature = "store-key")]
mod init;
mod late;
mod pinned;
mod record;
mod settings;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use azure_data_cosmos::CosmosClientBuilder;
use azure_data_cosmos::CosmosError;
use azure_data_cosmos::FeedScope;
use azure_data_cosmos::Query;
use azure_data_cosmos::models::ResponseHeaders;
use azure_data_cosmos::options::ItemWriteOptions;
use azure_data_cosmos::options::MaxItemCountHint;
use azure_data_cosmos::options::Precondition;
use azure_data_cosmos::options::QueryOptions;
use futures_util::StreamExt;
use serde_json::Value;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Stored;
use crate::domain::document::Version;
use crate::ports::clock::Clock;
use crate::ports::store::Listing;
use crate::ports::store::Store;
use crate::ports::store::StoreError;

#[cfg(feature = "store-key")]
pub use init::init;
pub use late::LateCosmosStore;
pub use settings::Access;
pub use settings::ConnectError;
pub use settings::Settings;

use attempt::Patience;
use attempt::Trouble;
use pinned::Pinned;
use record::Record;

/// A [`Store`] in a container of Cosmos DB.
pub struct CosmosStore {
    pinned: Arc<Pinned>,
    patience: Patience,
    clock: Arc<dyn Clock>,
}

impl CosmosStore {
    /// Opens the container, and refuses one that cannot keep what the store promises.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        Self::connect_with(CosmosClientBuilder::new(), settings, clock).await
    }

    /// The same by a client of which something is set already, such as faults that tests want.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect_with(
        builder: CosmosClientBuilder,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let pinned = Pinned::connect(builder, settings, Arc::clone(&clock)).await?;
        Ok(Self { pinned, patience: Patience::of(settings.patience), clock })
    }

    /// One operation, for as long as it may take.
    async fn persist<T, F>(&self, send: impl Fn(bool) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        self.pinned.watch(false);
        let watched = |doubtful| {
            let sent = send(doubtful);
            async {
                let outcome = sent.await;
                if matches!(outcome, Err(Trouble::Unknown(_))) {
                    self.pinned.watch(true);
                }
                outcome
            }
        };
        let outcome = self.patience.persist(watched).await;
        if matches!(outcome, Err(StoreError::Away(_))) {
            self.pinned.watch(true);
        }
        outcome
    }

    /// Creates, or takes the place of what has expired.
    async fn try_create(&self, record: &Record, doubtful: bool) -> Result<Version, Trouble> {
        if doubtful && let Some(own) = self.own(record).await? {
            return Ok(own);
        }
        let created = self.pinned.container().create_item(record.pk.clone(), &record.id, record, None).await;
        match written("create", record, created) {
            Err(Trouble::Refused) => {}
            done => return done,
        }
        match self.fetch(&record.pk, &record.id).await? {
            Some(found) if found.nonce == record.nonce => Ok(found.version()),
            Some(found) if found.expired(self.clock.now()) => self.overwrite(record, found.etag()).await,
            Some(_) => Err(StoreError::Conflict.into()),
            None => Err(Trouble::Unknown("a document went while it was created".to_owned())),
        }
    }

    /// Replaces what is still there as `etag`; refused, it was another write, or this one.
    async fn overwrite(&self, record: &Record, etag: &str) -> Result<Version, Trouble> {
        let options = ItemWriteOptions::default().with_precondition(Precondition::if_match(etag.to_owned()));
        let replaced =
            self.pinned.container().replace_item(record.pk.clone(), &record.id, record, Some(options)).await;
        match written("replace", record, replaced) {
            Err(Trouble::Refused) => self.own(record).await?.ok_or(StoreError::Conflict.into()),
            done => done,
        }
    }

    async fn try_replace(&self, record: &Record, etag: &str, doubtful: bool) -> Result<Version, Trouble> {
        if doubtful && let Some(own) = self.own(record).await? {
            return Ok(own);
        }
        self.overwrite(record, etag).await
    }

    /// The version that this very write made, if what is stored is it.
    async fn own(&self, record: &Record) -> Result<Option<Version>, Trouble> {
        let found = self.fetch(&record.pk, &record.id).await?;
        Ok(found.filter(|found| found.nonce == record.nonce).map(|found| found.version()))
    }

    /// What lies there, expired or not.
    async fn fetch(&self, pk: &str, id: &str) -> Result<Option<Record>, Trouble> {
        match self.pinned.container().read_item(pk.to_owned(), id, None).await {
            Ok(response) => {
                charge("read", response.headers());
                response.into_model().map(Some).map_err(|_| record::unreadable().into())
            }
            Err(error) => match failed("read", &error) {
                Trouble::Refused => Ok(None),
                trouble => Err(trouble),
            },
        }
    }

    async fn try_list(&self, asked: &Asked, limit: usize) -> Result<Vec<Stored>, Trouble> {
        // A page more than needed costs; a page that is smaller than needed is followed by the next.
        let page = NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let options = QueryOptions::default().with_max_item_count(MaxItemCountHint::Limit(page));
        let found = self
            .pinned
            .container()
            .query_items::<Value>(asked.query.clone(), asked.scope.clone(), Some(options))
            .await;
        let mut pages = found.map_err(|error| failed("list", &error))?.into_pages();
        let mut listed = Vec::new();
        while listed.len() < limit
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| failed("list", &error))?;
            charge("list", page.headers());
            for item in page.into_items() {
                let record = serde_json::from_value(item).map_err(|_| record::unreadable());
                // Somebody else has put it there, and it must not be in the way of all others.
                match record.and_then(Record::read) {
                    Ok(stored) => listed.push(stored),
                    Err(error) => tracing::warn!(%error, "a document was passed over in a list"),
                }
            }
        }
        listed.truncate(limit);
        Ok(listed)
    }
}

impl fmt::Debug for CosmosStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CosmosStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for CosmosStore {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        let record = &Record::of(&document, self.clock.now());
        self.persist(move |doubtful| self.try_create(record, doubtful)).await
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        // An address without an id would be that of all items.
        if key.id.is_empty() {
            return Ok(None);
        }
        let found = self.persist(move |_| self.fetch(&key.partition, &key.id)).await?;
        let now = self.clock.now();
        found.filter(|found| !found.expired(now)).map(Record::read).transpose()
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        let now = self.clock.now();
        let etag = record::living(expected, now).ok_or(StoreError::Conflict)?;
        if document.key.id.is_empty() {
            return Err(StoreError::Conflict);
        }
        let record = &Record::of(&document, now);
        self.persist(move |doubtful| self.try_replace(record, etag, doubtful)).await
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let asked = &Asked::of(listing, after, self.clock.now().0);
        self.persist(move |_| self.try_list(asked, limit)).await
    }

    /// Cosmos DB removes what has expired by itself.
    async fn sweep(&self) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// A question for documents that have not expired.
struct Asked {
    query: Query,
    scope: FeedScope,
}

impl Asked {
    fn of(listing: Listing<'_>, after: Option<&DocumentKey>, now: i64) -> Self {
        let (text, scope, name) = match listing {
            Listing::Partition(name) => (ONE_PARTITION, FeedScope::partition(name.to_owned()), name),
            Listing::Prefix(name) => (ALL_PARTITIONS, FeedScope::full_container(), name),
        };
        let (pk, id) = after.map_or(("", ""), |key| (&key.partition, &key.id));
        let parameters = [("@name", name), ("@pk", pk), ("@id", id)];
        let query = parameters
            .into_iter()
            .try_fold(Query::from(text), |query, (name, value)| query.with_parameter(name, value));
        let query = query.and_then(|query| query.with_parameter("@now", now));
        Self { query: query.expect("text and numbers are JSON"), scope }
    }
}

const ONE_PARTITION: &str = "SELECT * FROM c WHERE c.pk = @name AND (c.pk > @pk OR (c.pk = @pk AND c.id > @id)) \
    AND (NOT IS_DEFINED(c.exp) OR c.exp >= @now) ORDER BY c.id";

const ALL_PARTITIONS: &str = "SELECT * FROM c WHERE STARTSWITH(c.pk, @name) AND (c.pk > @pk OR (c.pk = @pk AND \
    c.id > @id)) AND (NOT IS_DEFINED(c.exp) OR c.exp >= @now) ORDER BY c.pk, c.id";

/// The version that a write made, or what became of it.
fn written(
    operation: &'static str,
    record: &Record,
    answer: Result<azure_data_cosmos::models::ItemResponse, CosmosError>,
) -> Result<Version, Trouble> {
    let response = answer.map_err(|error| failed(operation, &error))?;
    charge(operation, response.headers());
    match response.headers().etag() {
        Some(etag) => Ok(record.version_at(etag.as_ref())),
        None => Err(Trouble::Unknown("Cosmos DB answered without an ETag".to_owned())),
    }
}

fn failed(operation: &'static str, error: &CosmosError) -> Trouble {
    // Refusals are charged for too.
    if let Some(charged) = error.response().and_then(|response| response.headers().request_charge) {
        metrics::histogram!(REQUEST_UNITS, "operation" => operation).record(charged.value());
    }
    attempt::trouble(error)
}

/// Request units are fractions, which a counter of the metrics crate does not take: the sum of this is the counter.
const REQUEST_UNITS: &str = "entrada_store_request_units";

fn charge(operation: &'static str, headers: &ResponseHeaders) {
    if let Some(charged) = headers.request_charge() {
        metrics::histogram!(REQUEST_UNITS, "operation" => operation).record(charged.value());
    }
}
