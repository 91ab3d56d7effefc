//! What was read of the store and is taken as it was for a while: one read for each thing and interval, whoever asks.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;

use crate::domain::policy::LOOKED_AT;
use crate::domain::policy::REVOCATION;
use crate::domain::time::Timestamp;
use crate::flows::grants::GrantError;

/// Bytes of things of one kind: some 100,000 grants whose people are in few groups.
const REMEMBERED: u64 = 64 * 1024 * 1024;

/// How long a thing is taken as it was last read.
const KNOWN: Duration = Duration::from_secs(20);

/// How long one that has just become too old is taken all the same while one request asks the store, which answers or
/// gives up within this.
const ASKING: Duration = Duration::from_secs(5);

const _: () = assert!(
    KNOWN.as_secs() + ASKING.as_secs() + LOOKED_AT.as_secs() <= REVOCATION.as_secs(),
    "an end is noticed in time"
);

/// While the store is away, what was last known is taken for this long before it is asked again.
pub(in crate::flows) const STORE_RETRY: Duration = Duration::from_secs(1);

/// Only to free memory: the clock of the cache is not ours, and the instant lies in the value.
const IDLE: Duration = Duration::from_hours(1);

/// What is known of one thing.
#[derive(Clone)]
struct Known<V> {
    /// As it was last read; an error where it never was.
    value: Result<V, GrantError>,
    /// When that was, if ever.
    read_at: Timestamp,
    /// From then on the store is asked again.
    until: Timestamp,
    /// Somebody asks: the others need not wait for what that brings.
    asked: Arc<AtomicBool>,
}

impl<V> Known<V> {
    fn new(value: Result<V, GrantError>, read_at: Timestamp, until: Timestamp) -> Self {
        Self { value, read_at, until, asked: Arc::default() }
    }

    fn holds(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make it hold for longer.
        now < self.until && self.until <= now.plus(KNOWN)
    }

    /// Whether it is taken though it is too old, while somebody asks.
    fn bridges(&self, now: Timestamp) -> bool {
        self.value.is_ok() && now < self.until.plus(ASKING) && self.until <= now.plus(KNOWN)
    }

    /// The turn to ask the store; none while another has it.
    fn turn(&self) -> Option<Turn> {
        (!self.asked.swap(true, Ordering::Relaxed)).then(|| Turn(Arc::clone(&self.asked)))
    }

    fn get(self) -> Result<(V, Timestamp), GrantError> {
        self.value.map(|value| (value, self.read_at))
    }
}

/// Whoever asks may hang up meanwhile.
struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Things of one kind, by their keys.
pub(in crate::flows) struct Remembered<K, V>(Cache<K, Known<V>>);

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// None yet. `size` says how many bytes one takes, roughly.
    pub(in crate::flows) fn new(size: fn(&V) -> usize) -> Self {
        let size = move |_: &K, known: &Known<V>| {
            u32::try_from(known.value.as_ref().map_or(0, size) + 512).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(size).max_capacity(REMEMBERED).time_to_idle(IDLE).build())
    }

    /// Notes what we wrote.
    pub(in crate::flows) async fn note(&self, key: K, value: V, now: Timestamp) {
        self.0.insert(key, Known::new(Ok(value), now, now.plus(KNOWN))).await;
    }

    /// Notes what we wrote, after whoever reads it now, who may have read what was there before. What is known and `is_newer`
    /// stays.
    pub(in crate::flows) async fn note_last(
        &self,
        key: K,
        value: V,
        clock: impl Fn() -> Timestamp,
        is_newer: impl FnOnce(&V, &V) -> bool,
    ) {
        let noted = self.0.entry(key).and_compute_with(|entry| {
            let held = entry.map(moka::Entry::into_value);
            let now = clock();
            let newer = held.is_some_and(|held| held.value.is_ok_and(|held| is_newer(&held, &value)));
            let op = if newer { Op::Nop } else { Op::Put(Known::new(Ok(value), now, now.plus(KNOWN))) };
            std::future::ready(op)
        });
        noted.await;
    }

    /// Makes the next who wants it ask the store.
    pub(in crate::flows) async fn forget(&self, key: K) {
        self.0.invalidate(&key).await;
    }

    /// The thing as it is known, and when it was read. While the store is away that is what was known last.
    pub(in crate::flows) async fn get<F: Future<Output = Result<V, GrantError>>>(
        &self,
        key: K,
        clock: impl Fn() -> Timestamp,
        read: impl FnOnce() -> F,
    ) -> Result<(V, Timestamp), GrantError> {
        let held = self.0.get(&key).await;
        let now = clock();
        let _turn = match held {
            Some(held) if held.holds(now) => return held.get(),
            Some(held) if held.bridges(now) => match held.turn() {
                Some(turn) => Some(turn),
                None => return held.get(),
            },
            _ => None,
        };
        // Apart: what nearly every call does without would be moved with it at each step.
        Box::pin(self.ask(key, clock, read(), Known::holds)).await
    }

    /// The thing as it is now, unless it was read after `before`.
    pub(in crate::flows) async fn get_newer(
        &self,
        key: K,
        before: Timestamp,
        clock: impl Fn() -> Timestamp,
        read: impl Future<Output = Result<V, GrantError>>,
    ) -> Result<(V, Timestamp), GrantError> {
        self.ask(key, clock, read, |known, _| known.read_at > before).await
    }

    /// Of those who may not go by what is known one asks, the others wait for what it learns.
    async fn ask(
        &self,
        key: K,
        clock: impl Fn() -> Timestamp,
        read: impl Future<Output = Result<V, GrantError>>,
        is_enough: impl FnOnce(&Known<V>, Timestamp) -> bool,
    ) -> Result<(V, Timestamp), GrantError> {
        let computed = self.0.entry(key).and_compute_with(|entry| async move {
            let held = entry.map(moka::Entry::into_value);
            let now = clock();
            if held.as_ref().is_some_and(|known| is_enough(known, now)) {
                return Op::Nop;
            }
            Op::Put(match (read.await, held) {
                (Ok(value), _) => Known::new(Ok(value), now, now.plus(KNOWN)),
                // From now on, not from when it was asked: those who waited for this answer go by it.
                (Err(_), Some(held)) => Known::new(held.value, held.read_at, clock().plus(STORE_RETRY)),
                (Err(error), None) => Known::new(Err(error), now, clock().plus(STORE_RETRY)),
            })
        });
        let known = computed.await.into_entry().map(moka::Entry::into_value);
        known.map_or(Err(GrantError::Away), Known::get)
    }
}
