//! Races that are forced: a store that lets nobody write before everybody has read.

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::domain::grant;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use tokio::sync::Barrier;

/// What the store does besides storing.
#[derive(Default)]
pub struct Course(Mutex<Plan>);

/// Who waits for each other, and how many are still to come.
type Gathering = Option<(Arc<Barrier>, usize)>;

#[derive(Default)]
struct Plan {
    /// The next so many reads of a grant wait for each other, when they have read.
    readers: Gathering,
    /// The same for reads of this document.
    readers_of: Option<DocumentKey>,
    /// The next so many creations wait for each other, before they write.
    creators: Gathering,
    /// Versions are not compared, and what exists is overwritten: the guard that races are lost by is gone.
    unguarded: bool,
    away: bool,
    /// The next so many replacements happen, and nobody is told.
    untold: usize,
    /// Which of the next writes of any document fails, counted from 1.
    failing: usize,
    fails: bool,
    reads: usize,
    writes: usize,
}

impl Course {
    /// The next `count` reads of a grant are answered together, when the last of them has come.
    pub fn gather(&self, count: usize) {
        self.0.lock().unwrap().readers = Some((Arc::new(Barrier::new(count)), count));
    }

    /// The next `count` reads of a document are answered together.
    pub fn gather_at(&self, key: DocumentKey, count: usize) {
        let mut plan = self.0.lock().unwrap();
        plan.readers = Some((Arc::new(Barrier::new(count)), count));
        plan.readers_of = Some(key);
    }

    /// Whether who reads this has to wait.
    fn gathers(&self, key: &DocumentKey) -> bool {
        match &self.0.lock().unwrap().readers_of {
            Some(gathered) => key == gathered,
            None => is_grant(key),
        }
    }

    /// The next `count` creations of a grant are tried together, when the last of them has come.
    pub fn gather_creations(&self, count: usize) {
        self.0.lock().unwrap().creators = Some((Arc::new(Barrier::new(count)), count));
    }

    /// Takes away the comparison.
    pub fn unguarded(&self) {
        self.0.lock().unwrap().unguarded = true;
    }

    /// The store does not answer.
    pub fn away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }

    /// The next `count` replacements happen, and their answers are lost.
    pub fn lose_answers(&self, count: usize) {
        self.0.lock().unwrap().untold = count;
    }

    /// The `nth` write from now on fails, counted from 1.
    pub fn fail_write(&self, nth: usize) {
        let mut plan = self.0.lock().unwrap();
        (plan.failing, plan.fails) = (nth, true);
    }

    /// Whether the write that was meant has come, and failed.
    pub fn has_failed(&self) -> bool {
        !self.0.lock().unwrap().fails
    }

    fn writes(&self) -> Result<(), StoreError> {
        let mut plan = self.0.lock().unwrap();
        plan.writes += 1;
        plan.failing = plan.failing.saturating_sub(1);
        match plan.failing == 0 && std::mem::take(&mut plan.fails) {
            true => Err(StoreError::Away("this write was told to fail".to_owned())),
            false => Ok(()),
        }
    }

    /// Whether the answer of a replacement is lost.
    fn loses(&self) -> bool {
        let mut plan = self.0.lock().unwrap();
        let lost = plan.untold > 0;
        plan.untold = plan.untold.saturating_sub(1);
        lost
    }

    /// Reads and writes of any document since the last call.
    pub fn counts(&self) -> (usize, usize) {
        let mut plan = self.0.lock().unwrap();
        (std::mem::take(&mut plan.reads), std::mem::take(&mut plan.writes))
    }

    fn arrive(&self) -> Result<(), StoreError> {
        match self.0.lock().unwrap().away {
            true => Err(StoreError::Away("told to be".to_owned())),
            false => Ok(()),
        }
    }

    /// Waits for the others, if there are any to wait for.
    async fn wait(&self, gathering: fn(&mut Plan) -> &mut Gathering) {
        let barrier = {
            let mut plan = self.0.lock().unwrap();
            let Some((barrier, left)) = gathering(&mut plan).take() else { return };
            if left > 1 {
                *gathering(&mut plan) = Some((Arc::clone(&barrier), left - 1));
            }
            barrier
        };
        barrier.wait().await;
    }
}

/// A store on a race course.
pub struct Raced {
    pub store: Arc<dyn Store>,
    pub course: Arc<Course>,
}

fn is_grant(key: &DocumentKey) -> bool {
    key.partition.starts_with(grant::PARTITION_PREFIX)
}

#[async_trait]
impl Store for Raced {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.course.arrive()?;
        self.course.writes()?;
        if is_grant(&document.key) {
            self.course.wait(|plan| &mut plan.creators).await;
        }
        let unguarded = self.course.0.lock().unwrap().unguarded;
        if unguarded && let Some(there) = self.store.read(&document.key).await? {
            return self.store.replace(document, &there.version).await;
        }
        self.store.create(document).await
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        self.course.arrive()?;
        self.course.0.lock().unwrap().reads += 1;
        let found = self.store.read(key).await;
        if self.course.gathers(key) {
            self.course.wait(|plan| &mut plan.readers).await;
        }
        found
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        self.course.arrive()?;
        self.course.writes()?;
        if !self.course.0.lock().unwrap().unguarded {
            let replaced = self.store.replace(document, expected).await;
            return if self.course.loses() {
                Err(StoreError::Away("its answer was lost".to_owned()))
            } else {
                replaced
            };
        }
        loop {
            let there = self.store.read(&document.key).await?.ok_or(StoreError::Conflict)?;
            match self.store.replace(document.clone(), &there.version).await {
                Err(StoreError::Conflict) => {}
                written => return written,
            }
        }
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.course.arrive()?;
        self.store.list(listing, after, limit).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.store.sweep().await
    }
}
