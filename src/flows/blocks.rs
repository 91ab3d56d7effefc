//! Who is kept out, as this replica knows it: one small document, held in memory.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::MutexGuard;

use crate::domain::block::Blocks;
use crate::domain::document::Version;
use crate::domain::document::WriteId;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::grants::GrantError;
use crate::flows::remembered::STORE_RETRY;
use crate::ports::store::StoreError;

/// The document is read at most this often, and a block that another replica made is known after this time.
const FRESH: Duration = Duration::from_secs(10);

/// How long a read may take. The store has limits of its own; this one is for the others who wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a change is tried when another replica keeps coming first.
const ATTEMPTS: usize = 8;

/// What is known of the blocks.
#[derive(Clone)]
struct Known {
    blocks: Arc<Blocks>,
    /// From then on the store is asked again.
    until: Timestamp,
}

impl Known {
    fn holds(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make it hold for longer.
        now < self.until && self.until <= now.plus(FRESH)
    }
}

/// The blocks in memory.
#[derive(Default)]
pub(in crate::flows) struct KnownBlocks {
    known: RwLock<Option<Known>>,
    /// Held by whoever asks the store: the others go by what is known meanwhile.
    turn: Mutex<()>,
    /// Until then those who know nothing do not ask a store that has just failed.
    failed: RwLock<Option<Timestamp>>,
}

/// The turn to ask the store. A read outside of it could bring back what a change has just replaced.
type Turn<'a> = MutexGuard<'a, ()>;

impl KnownBlocks {
    fn get(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, blocks: &Arc<Blocks>, until: Timestamp) {
        let known = Known { blocks: Arc::clone(blocks), until };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    fn has_just_failed(&self, now: Timestamp) -> bool {
        let until = *self.failed.read().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until && until <= now.plus(STORE_RETRY))
    }

    fn fail(&self, until: Timestamp) {
        *self.failed.write().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// The turn to ask the store, or what is known while another has it.
    async fn turn(&self, known: Option<Known>) -> Result<Turn<'_>, Known> {
        match (self.turn.try_lock(), known) {
            (Ok(turn), _) => Ok(turn),
            (Err(_), Some(known)) => Err(known),
            (Err(_), None) => Ok(self.turn.lock().await),
        }
    }
}

impl AuthServer {
    /// The blocks, at most [`FRESH`] old. While the store is away the last known ones hold; where none were ever
    /// read, nobody is let in.
    pub(in crate::flows) async fn blocks(&self) -> Result<Arc<Blocks>, GrantError> {
        let state = &self.0.blocks;
        let now = self.now();
        let known = match state.get() {
            Some(known) if known.holds(now) => return Ok(known.blocks),
            known => known,
        };
        let turn = match state.turn(known).await {
            Ok(turn) => turn,
            Err(known) => return Ok(known.blocks),
        };
        // Another may have asked while we waited for the turn.
        let now = self.now();
        let known = match state.get() {
            Some(known) if known.holds(now) => return Ok(known.blocks),
            None if state.has_just_failed(now) => return Err(GrantError::Away),
            known => known,
        };
        match (self.read_blocks(&turn).await, known) {
            (Ok((blocks, _)), _) => {
                state.set(&blocks, now.plus(FRESH));
                Ok(blocks)
            }
            (Err(_), Some(known)) => {
                state.set(&known.blocks, self.now().plus(STORE_RETRY));
                Ok(known.blocks)
            }
            (Err(error), None) => {
                state.fail(self.now().plus(STORE_RETRY));
                Err(error)
            }
        }
    }

    /// Changes the blocks, for this replica at once, unless `change` finds a reason not to.
    pub(in crate::flows) async fn change_blocks<E: From<GrantError>>(
        &self,
        change: impl Fn(Blocks) -> Result<Blocks, E>,
    ) -> Result<(), E> {
        let turn = self.0.blocks.turn.lock().await;
        for _ in 0..ATTEMPTS {
            let (blocks, version) = self.read_blocks(&turn).await?;
            let changed = change(Blocks::clone(&blocks))?;
            let document = changed.to_document(&self.keys(), WriteId(self.random()), self.random());
            let written = match version {
                Some(version) => self.store().replace(document, &version).await,
                None => self.store().create(document).await,
            };
            match written {
                Ok(_) => {
                    self.0.blocks.set(&Arc::new(changed), self.now().plus(FRESH));
                    return Ok(());
                }
                // Another replica was first: once more, on what it wrote.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(self.store_failed("replace", &error).into()),
            }
        }
        Err(GrantError::Away.into())
    }

    async fn read_blocks(&self, _: &Turn<'_>) -> Result<(Arc<Blocks>, Option<Version>), GrantError> {
        // A read that hangs must not keep the turn: nobody would learn of a block any more.
        let read = tokio::time::timeout(PATIENCE, self.store().read(&Blocks::key())).await;
        let read = read.unwrap_or_else(|_| Err(StoreError::Away("it did not answer in time".to_owned())));
        let stored = read.map_err(|error| self.store_failed("read", &error))?;
        let Some(stored) = stored else { return Ok((Arc::default(), None)) };
        let blocks = Blocks::from_document(&self.keys(), stored.document).map_err(|_| {
            let what = "the blocks do not open with any known key".to_owned();
            self.store_failed("read", &StoreError::Corrupt(what))
        })?;
        Ok((Arc::new(blocks), Some(stored.version)))
    }
}
