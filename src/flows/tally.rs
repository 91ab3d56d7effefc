//! How much API keys are used. Requests are counted in memory and written each minute, not one by one: what a process has
//! not written when it is killed is lost, and that is a minute at most.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::domain::api_key::ApiKey;
use crate::domain::api_key::KeyId;
use crate::domain::document::Version;
use crate::domain::document::WriteId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::key_use::Counts;
use crate::domain::key_use::Flush;
use crate::domain::key_use::KeyUse;
use crate::domain::key_use::Replica;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::caller::Basis;
use crate::flows::caller::Credential;
use crate::flows::grants::GrantError;
use crate::ports::store::StoreError;

/// How often a count is tried when another replica keeps coming first.
const ATTEMPTS: usize = 8;

/// After so many nobody goes on until the next time.
const FAILURES: usize = 3;

/// What this process has counted.
#[derive(Default)]
pub(in crate::flows) struct Tallies {
    of: Mutex<HashMap<KeyId, Tally>>,
    /// Held by whoever writes them.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Tally {
    fresh: Counts,
    /// Given to the store, which has not said yet that it has them.
    sent: Option<Flush>,
    /// The number of the last.
    number: u64,
}

impl Tally {
    /// What is to be written next.
    fn next(&mut self) -> Option<Flush> {
        if self.sent.is_none() && !self.fresh.is_empty() {
            self.number += 1;
            self.sent = Some(Flush { number: self.number, counts: std::mem::take(&mut self.fresh) });
        }
        self.sent.clone()
    }
}

impl Tallies {
    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, Tally>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> Vec<KeyId> {
        self.lock().keys().copied().collect()
    }

    fn next(&self, id: KeyId) -> Option<Flush> {
        self.lock().get_mut(&id)?.next()
    }

    fn written(&self, id: KeyId) {
        if let Some(tally) = self.lock().get_mut(&id) {
            tally.sent = None;
        }
    }
}

impl AuthServer {
    /// Counts one request, if it was made with a key.
    pub(in crate::flows) fn count_use(&self, credential: &Credential) {
        if let Basis::Key(presented) = credential.basis() {
            let now = self.now();
            self.0.tallies.lock().entry(presented.id).or_default().fresh.add(now);
        }
    }

    /// Writes what was counted, each minute and at the end. What the store does not take is kept for the next time.
    pub async fn write_key_uses(&self) {
        let _turn = self.0.tallies.turn.lock().await;
        let mut failures = 0;
        for id in self.0.tallies.used() {
            // What was sent before, and what came since; what comes meanwhile waits.
            for _ in 0..2 {
                let Some(flush) = self.0.tallies.next(id) else { break };
                if self.write_key_use(id, &flush).await.is_err() {
                    failures += 1;
                    break;
                }
                self.0.tallies.written(id);
            }
            // One document may be beyond reading. When more fail it is the store, and each try takes its time.
            if failures == FAILURES {
                return;
            }
        }
    }

    async fn write_key_use(&self, id: KeyId, flush: &Flush) -> Result<(), GrantError> {
        let replica = self.replica();
        let written = self.change_key_use(id, |used, now| Some(used.with(replica, flush, now))).await?;
        if let Some(key) = written {
            let n = u32::try_from(flush.counts.total()).ok();
            let (subject, resource) = (Some(id.to_string()), Some(key.body.resource));
            self.record(EventName::KeyUsed, Event { subject, resource, n, ..Event::default() });
        }
        Ok(())
    }

    /// Changes what is known of a key's use, by compare-and-swap. Returns the key, if it is there and `change` wants
    /// something.
    pub(in crate::flows) async fn change_key_use(
        &self,
        id: KeyId,
        change: impl Fn(KeyUse, Timestamp) -> Option<KeyUse>,
    ) -> Result<Option<ApiKey>, GrantError> {
        let Some((key, _)) = self.load_key(id).await? else { return Ok(None) };
        for _ in 0..ATTEMPTS {
            let (used, version) = self.load_key_use(id).await?;
            let Some(changed) = change(used, self.now()) else { return Ok(None) };
            let (write_id, nonce) = (WriteId(self.random()), self.random());
            let document = changed.to_document(id, key.forgotten_at(), &self.keys(), write_id, nonce);
            let written = match version {
                Some(version) => self.store().replace(document, &version).await,
                None => self.store().create(document).await,
            };
            match written {
                Ok(_) => return Ok(Some(key)),
                // Another replica was first: once more, on what it wrote.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(self.store_failed("replace", &error)),
            }
        }
        Err(GrantError::Conflict)
    }

    async fn load_key_use(&self, id: KeyId) -> Result<(KeyUse, Option<Version>), GrantError> {
        let stored = self.store().read(&KeyUse::key(id)).await;
        let Some(stored) = stored.map_err(|error| self.store_failed("read", &error))? else {
            return Ok((KeyUse::default(), None));
        };
        // What no root key opens any more is begun anew: nobody has a right by it.
        let used = KeyUse::from_document(&self.keys(), stored.document).unwrap_or_default();
        Ok((used, Some(stored.version)))
    }

    /// By what name this process counts.
    fn replica(&self) -> Replica {
        *self.0.replica.get_or_init(|| self.random())
    }
}
