//! Where documents are kept in memory.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::domain::client::ClientId;
use crate::domain::client_record::CopiedText;
use crate::domain::time::Timestamp;
use crate::ports::documents::Validators;
use crate::protocol::client_id_url::ClientIdUrl;

/// How long the last good copy serves while its host does not answer.
const MAX_COPY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Documents of 5 KiB at most: those that people have signed in with, and apart from them, so that nobody can push
/// them out, those that somebody has only named.
const USED: u64 = 2_000;
const STRANGE: u64 = 500;
/// Short hashes of what has ended. Anybody can add to them, at the pace of fetches: it takes hours to push one out.
const ENDED: u64 = 50_000;

/// What is known of one document.
pub(in crate::flows) struct Held<T> {
    pub value: Arc<T>,
    pub text: Arc<str>,
    pub validators: Validators,
    /// When its host last said that this is it.
    pub confirmed_at: Timestamp,
    /// From then on its host is asked again.
    pub fresh_until: Timestamp,
}

impl<T> Held<T> {
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make it hold for longer.
        now < self.fresh_until && self.confirmed_at <= now
    }

    /// Whether it will do, or, where somebody has found `seen` wanting, is another.
    pub(super) fn is_wanted(&self, seen: Option<&Arc<T>>, now: Timestamp) -> bool {
        seen.map_or_else(|| self.is_fresh(now), |seen| !Arc::ptr_eq(&self.value, seen))
    }

    /// Whether it may stand in for what its host does not give. One that is fresh is not missing: somebody looks for
    /// a newer one.
    pub(super) fn may_serve(&self, now: Timestamp) -> bool {
        !self.is_fresh(now) && now < self.confirmed_at.plus(MAX_COPY)
    }

    pub(super) fn to_copy(&self, address: &ClientIdUrl) -> CopiedText {
        let (address, text) = (address.as_str().to_owned(), self.text.to_string());
        CopiedText { address, text, confirmed_at: self.confirmed_at }
    }
}

/// Every document of a kind, by its address.
pub(in crate::flows) struct Shelf<T> {
    pub(super) used: Cache<String, Arc<Held<T>>>,
    pub(super) strange: Cache<String, Arc<Held<T>>>,
    /// A fetch that is under way: who comes meanwhile shares what it learns.
    pub(super) flights: Cache<String, Arc<Held<T>>>,
    /// What its host has taken back: no copy of it serves any more.
    pub(super) ended: Cache<String, ()>,
}

impl<T: Send + Sync + 'static> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            used: Cache::new(USED),
            strange: Cache::new(STRANGE),
            flights: Cache::new(USED),
            ended: Cache::new(ENDED),
        }
    }
}

impl<T: Send + Sync + 'static> Shelf<T> {
    pub(super) async fn get(&self, key: &str) -> Option<Arc<Held<T>>> {
        match self.used.get(key).await {
            None => self.strange.get(key).await,
            used => used,
        }
    }

    pub(super) async fn keep(&self, key: &str, held: &Arc<Held<T>>, used: bool, now: Timestamp) {
        // A slow fetch must not bring back what another has replaced. What a clock that ran ahead has dated is no newer.
        let newer = |there: Arc<Held<T>>| held.confirmed_at < there.confirmed_at && there.confirmed_at <= now;
        if self.get(key).await.is_some_and(newer) {
            return;
        }
        let (shelf, other) = if used { (&self.used, &self.strange) } else { (&self.strange, &self.used) };
        shelf.insert(key.to_owned(), Arc::clone(held)).await;
        other.invalidate(key).await;
    }

    /// Somebody has signed in with it.
    pub(super) async fn note_use(&self, key: &str, now: Timestamp) {
        let held = self.strange.get(key).await.filter(|_| !self.ended.contains_key(&digest(key)));
        if let Some(held) = held {
            self.keep(key, &held, true, now).await;
        }
    }

    pub(super) async fn end(&self, key: &str) {
        self.used.invalidate(key).await;
        self.strange.invalidate(key).await;
        self.ended.insert(digest(key), ()).await;
    }
}

/// A short name for what something is kept under.
pub(super) fn digest(key: &str) -> String {
    ClientId::named(key.to_owned()).digest()
}
