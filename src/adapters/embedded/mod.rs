//! The store of one process: a redb file in the data directory.
//!
//! One thread writes, and commits whatever has queued up while the last commit was on its way to
//! the disk. Readers see the last commit and wait for nobody.

mod backend;
mod file;
mod record;
mod writer;

use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use redb::Database;
use redb::ReadTransaction;
use redb::ReadableDatabase;
use redb::TableDefinition;
use tokio::sync::mpsc;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Stored;
use crate::domain::document::Version;
use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;
use crate::ports::store::Listing;
use crate::ports::store::Store;
use crate::ports::store::StoreError;

pub use file::OpenError;

use writer::Operation;
use writer::Request;
use writer::Writer;

/// Partition and id to the record. Tuples are ordered by their parts, as [`DocumentKey`] is.
const DOCUMENTS: TableDefinition<'static, (&str, &str), &[u8]> = TableDefinition::new("documents");

/// Expiry, partition and id of every document that expires.
const EXPIRIES: TableDefinition<'static, (i64, &str, &str), ()> = TableDefinition::new("expiries");

/// Facts about the file itself: its format.
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

/// A [`Store`] in one local file, for one process at a time.
///
/// Dropping it waits until everything that was asked for is on disk, and gives the file free.
pub struct EmbeddedStore {
    // Fields are dropped in this order: without a sender the writer finishes what is queued, then
    // it is joined, then the last reference to the database closes the file.
    requests: mpsc::Sender<Request>,
    _writer: Writer,
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
}

impl EmbeddedStore {
    /// Opens `data_dir/entrada.redb`, or creates it (0600) and, where it is missing, the directory (0700).
    ///
    /// Every page is verified first, which takes some two seconds per gigabyte.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A file refused as locked, damaged or of another format has not been changed.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let database = Arc::new(file::open(data_dir)?);
        let (requests, queue) = mpsc::channel(writer::QUEUE);
        let writer = Writer::spawn(Arc::clone(&database), Arc::clone(&clock), queue)
            .map_err(|error| OpenError::io("start the writer of", data_dir, error))?;
        Ok(Self { requests, _writer: writer, database, clock })
    }

    /// How many documents the operation changed.
    ///
    /// Dropping this future before the request is queued withdraws it; afterwards the writer
    /// carries it out and finds nobody to tell.
    async fn ask(&self, operation: Operation) -> Result<usize, StoreError> {
        let (request, answer) = Request::new(operation);
        self.requests.send(request).await.map_err(|_| writer::gone())?;
        answer.await.unwrap_or_else(|_| Err(writer::gone()))
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        let version = record::version(document.write_id);
        self.ask(Operation::Create(document)).await?;
        Ok(version)
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        // On the calling thread: what is in the cache takes 2 to 5 µs, also while others write, and
        // the way to another thread and back takes 15 to 20. A miss costs a read from a local disk
        // for each of the two or three levels of the tree that are not cached.
        let transaction = self.database.begin_read().map_err(failed)?;
        find(&transaction, key, self.clock.now())
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        let version = record::version(document.write_id);
        self.ask(Operation::Replace(document, expected.clone())).await?;
        Ok(version)
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let now = self.clock.now();
        let (start, whole) = match listing {
            Listing::Partition(partition) => (partition.to_owned(), true),
            Listing::Prefix(prefix) => (prefix.to_owned(), false),
        };
        let after = after.cloned();
        // A list may walk the whole file. Only the transaction moves there, not the database, so
        // that a list whose caller has gone does not keep a dropped store's file locked.
        tokio::task::spawn_blocking(move || scan(&transaction, &start, whole, after.as_ref(), limit, now))
            .await
            .map_err(|_| StoreError::Away("listing stopped half way".to_owned()))?
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.ask(Operation::Sweep).await
    }
}

fn find(
    transaction: &ReadTransaction,
    key: &DocumentKey,
    now: Timestamp,
) -> Result<Option<Stored>, StoreError> {
    let documents = transaction.open_table(DOCUMENTS).map_err(failed)?;
    let found = documents.get((key.partition.as_str(), key.id.as_str())).map_err(failed)?;
    let Some(bytes) = found else { return Ok(None) };
    record::decode(key.clone(), bytes.value(), now)
}

/// Documents behind `after`, in key order, as long as the partition is `start` (`whole`) or begins so.
fn scan(
    transaction: &ReadTransaction,
    start: &str,
    whole: bool,
    after: Option<&DocumentKey>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Stored>, StoreError> {
    let documents = transaction.open_table(DOCUMENTS).map_err(failed)?;
    let from = match after {
        Some(key) if (key.partition.as_str(), key.id.as_str()) >= (start, "") => {
            Bound::Excluded((key.partition.as_str(), key.id.as_str()))
        }
        _ => Bound::Included((start, "")),
    };
    let range = documents.range((from, Bound::Unbounded)).map_err(failed)?;
    let mut listed = Vec::new();
    for entry in range {
        if listed.len() == limit {
            break;
        }
        let (key, bytes) = entry.map_err(failed)?;
        let (partition, id) = key.value();
        let listed_too = if whole { partition == start } else { partition.starts_with(start) };
        if !listed_too {
            break;
        }
        let key = DocumentKey { partition: partition.to_owned(), id: id.to_owned() };
        listed.extend(record::decode(key, bytes.value(), now)?);
    }
    Ok(listed)
}

/// After this instant, not at it ([`Document::expires_at`]).
fn expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|expires_at| expires_at < now)
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    store_error(&error.into())
}

/// redb's errors name tables, pages and system errors, never what is stored.
fn store_error(error: &redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_) => StoreError::Corrupt(error.to_string()),
        redb::Error::PreviousIo => StoreError::Away(
            "an earlier write to its disk failed; see to the disk, then restart Entrada".to_owned(),
        ),
        _ => StoreError::Away(error.to_string()),
    }
}
