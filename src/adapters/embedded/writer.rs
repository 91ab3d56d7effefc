//! The one thread that writes. Whatever is queued goes to the disk in one commit, because the
//! commit's sync costs far more than the writes in it; nobody is answered before it.

use std::io;
use std::sync::Arc;
use std::thread;

use redb::Database;
use redb::Durability;
use redb::ReadableTable;
use redb::Table;
use redb::WriteTransaction;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Version;
use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;
use crate::ports::store::StoreError;

use super::DOCUMENTS;
use super::EXPIRIES;
use super::expired;
use super::record;
use super::store_error;

/// Requests that may wait; whoever comes next waits for a place.
pub(super) const QUEUE: usize = 1_024;

/// Requests of one commit.
const BATCH: usize = 512;

/// Documents that one sweep removes, so that a sweep never holds the others up for long.
const SWEEP: usize = 1_000;

pub(super) enum Operation {
    Create(Document),
    Replace(Document, Version),
    Sweep,
}

/// How many documents an operation changed, as its caller hears it.
type Outcome = Result<usize, StoreError>;

/// Why an operation was not carried out: alone, or together with its whole batch.
enum Failure {
    Refused(StoreError),
    Batch(redb::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<redb::StorageError> for Failure {
    fn from(error: redb::StorageError) -> Self {
        Self::Batch(error.into())
    }
}

pub(super) struct Request {
    operation: Operation,
    answer: oneshot::Sender<Outcome>,
}

impl Request {
    pub(super) fn new(operation: Operation) -> (Self, oneshot::Receiver<Outcome>) {
        let (answer, answered) = oneshot::channel();
        (Self { operation, answer }, answered)
    }
}

/// What callers hear when the thread has ended before its store, which only a panic makes it do.
pub(super) fn gone() -> StoreError {
    StoreError::Away("its writer has stopped; restart Entrada".to_owned())
}

/// The running thread; joined when dropped, for which all senders must be gone.
pub(super) struct Writer(Option<thread::JoinHandle<()>>);

impl Writer {
    pub(super) fn spawn(
        database: Arc<Database>,
        clock: Arc<dyn Clock>,
        queue: mpsc::Receiver<Request>,
    ) -> io::Result<Self> {
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&database, &*clock, queue))
            .map(|thread| Self(Some(thread)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

fn run(database: &Database, clock: &dyn Clock, mut queue: mpsc::Receiver<Request>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        // Asked after the batch is complete, so that no request sees an earlier time than its caller.
        let outcomes = commit(database, clock.now(), &batch);
        let answers = batch.drain(..).map(|request| request.answer);
        // A caller that no longer listens has dropped its future, and needs no answer.
        match outcomes {
            Ok(outcomes) => answers.zip(outcomes).for_each(|(answer, outcome)| drop(answer.send(outcome))),
            Err(error) => answers.for_each(|answer| drop(answer.send(Err(store_error(&error))))),
        }
    }
}

/// Carries all requests out in one transaction. An error is everybody's: nothing, or nobody knows
/// what, was written.
fn commit(database: &Database, now: Timestamp, batch: &[Request]) -> Result<Vec<Outcome>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut tables = Tables::open(&transaction, now)?;
    let outcomes = batch
        .iter()
        .map(|request| match tables.apply(&request.operation) {
            Ok(changed) => Ok(Ok(changed)),
            Err(Failure::Refused(error)) => Ok(Err(error)),
            Err(Failure::Batch(error)) => Err(error),
        })
        .collect::<Result<Vec<Outcome>, redb::Error>>()?;
    drop(tables);
    if outcomes.iter().any(|outcome| matches!(outcome, Ok(changed) if *changed > 0)) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(outcomes)
}

struct Tables<'t> {
    documents: Table<'t, (&'static str, &'static str), &'static [u8]>,
    expiries: Table<'t, (i64, &'static str, &'static str), ()>,
    now: Timestamp,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction, now: Timestamp) -> Result<Self, redb::Error> {
        Ok(Self {
            documents: transaction.open_table(DOCUMENTS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            now,
        })
    }

    fn apply(&mut self, operation: &Operation) -> Result<usize, Failure> {
        match operation {
            Operation::Create(document) => self.create(document),
            Operation::Replace(document, expected) => self.replace(document, expected),
            Operation::Sweep => self.sweep(),
        }
    }

    fn create(&mut self, document: &Document) -> Result<usize, Failure> {
        let former = self.condition(&document.key)?;
        if former.as_ref().is_some_and(|former| !expired(former.expires_at, self.now)) {
            return Err(StoreError::Conflict.into());
        }
        self.put(document, former.and_then(|former| former.expires_at))
    }

    fn replace(&mut self, document: &Document, expected: &Version) -> Result<usize, Failure> {
        let former = self.condition(&document.key)?.ok_or(StoreError::Conflict)?;
        if expired(former.expires_at, self.now) || former.version != *expected {
            return Err(StoreError::Conflict.into());
        }
        self.put(document, former.expires_at)
    }

    fn sweep(&mut self) -> Result<usize, Failure> {
        let mut keys = Vec::new();
        for entry in self.expiries.range(..(self.now.0, "", ""))?.take(SWEEP) {
            let (key, _) = entry?;
            let (instant, partition, id) = key.value();
            keys.push((instant, partition.to_owned(), id.to_owned()));
        }
        for (instant, partition, id) in &keys {
            self.expiries.remove((*instant, partition.as_str(), id.as_str()))?;
            self.documents.remove((partition.as_str(), id.as_str()))?;
        }
        Ok(keys.len())
    }

    fn condition(&self, key: &DocumentKey) -> Result<Option<record::Condition>, Failure> {
        let former = self.documents.get((key.partition.as_str(), key.id.as_str()))?;
        Ok(former.map(|bytes| record::condition(key, bytes.value())).transpose()?)
    }

    /// Writes the document, whose former state expired `formerly`, and its place among the expiries.
    fn put(&mut self, document: &Document, formerly: Option<Timestamp>) -> Result<usize, Failure> {
        let (partition, id) = (document.key.partition.as_str(), document.key.id.as_str());
        if formerly != document.expires_at {
            if let Some(instant) = formerly {
                self.expiries.remove((instant.0, partition, id))?;
            }
            if let Some(instant) = document.expires_at {
                self.expiries.insert((instant.0, partition, id), ())?;
            }
        }
        self.documents.insert((partition, id), record::encode(document).as_slice())?;
        Ok(1)
    }
}
