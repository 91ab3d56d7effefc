//! How much an API key is used: counted in memory, merged in the store by addition, so that the order in which replicas
//! come does not matter and none undoes another's.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::api_key::KeyId;
use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::WriteId;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::seal::SealNonce;
use crate::domain::seal::Sealed;
use crate::domain::time::Timestamp;

const SCHEMA: u16 = 1;
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;
/// Days that are told of, today among them.
pub const DAYS: i64 = 30;
/// Replicas whose last count is remembered, the latest last.
const MAX_REPLICAS: usize = 64;

/// A day in UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(i64);

impl Day {
    /// The day of an instant.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.0.div_euclid(SECONDS_OF_A_DAY))
    }

    fn is_told_of(self, today: Self) -> bool {
        self.0 > today.0 - DAYS
    }
}

/// Requests on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OnDay {
    day: Day,
    requests: u64,
}

/// Requests, by day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    days: Vec<OnDay>,
    last_used_at: Option<Timestamp>,
}

impl Counts {
    /// Counts one request.
    pub fn add(&mut self, now: Timestamp) {
        self.add_on(Day::of(now), 1);
        self.last_used_at = self.last_used_at.max(Some(now));
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.days.iter().map(|on| on.requests).sum()
    }

    fn add_on(&mut self, day: Day, requests: u64) {
        match self.days.iter_mut().find(|on| on.day == day) {
            Some(on) => on.requests = on.requests.saturating_add(requests),
            None => self.days.push(OnDay { day, requests }),
        }
    }

    fn add_all(&mut self, other: &Self) {
        for on in &other.days {
            self.add_on(on.day, on.requests);
        }
        self.last_used_at = self.last_used_at.max(other.last_used_at);
    }
}

/// Who counts: a process, by a random name.
pub type Replica = [u8; 8];

/// A replica's counts since its last, numbered, so that none is added twice when an answer of the store is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flush {
    pub number: u64,
    pub counts: Counts,
}

/// What the store knows of a key's use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    counts: Counts,
    /// The number of each replica's last flush in it.
    merged: Vec<(Replica, u64)>,
    /// The day on which it was last told that the key nears its end.
    told: Option<Day>,
}

impl KeyUse {
    /// What it is called beside its key.
    pub const ID: &str = "use";

    /// These counts and a replica's, unless they are in it already.
    #[must_use]
    pub fn with(mut self, replica: Replica, flush: &Flush, now: Timestamp) -> Self {
        let merged = self.merged.iter().position(|(known, _)| *known == replica);
        let last = merged.map(|at| self.merged.remove(at).1);
        if last.is_none_or(|last| last < flush.number) {
            self.counts.add_all(&flush.counts);
        }
        let today = Day::of(now);
        self.counts.days.retain(|on| on.day.is_told_of(today));
        self.merged.push((replica, last.unwrap_or(0).max(flush.number)));
        let many = self.merged.len().saturating_sub(MAX_REPLICAS);
        self.merged.drain(..many);
        self
    }

    /// The same, when it was not told today yet that the key nears its end: whoever writes it tells.
    #[must_use]
    pub fn telling(mut self, now: Timestamp) -> Option<Self> {
        let today = Some(Day::of(now));
        (self.told < today).then(|| {
            self.told = today;
            self
        })
    }

    /// Requests on the day of `now`.
    #[must_use]
    pub fn today(&self, now: Timestamp) -> u64 {
        let today = Day::of(now);
        self.counts.days.iter().filter(|on| on.day == today).map(|on| on.requests).sum()
    }

    /// Requests on the last [`DAYS`] days.
    #[must_use]
    pub fn lately(&self, now: Timestamp) -> u64 {
        let today = Day::of(now);
        self.counts.days.iter().filter(|on| on.day.is_told_of(today)).map(|on| on.requests).sum()
    }

    /// When the last request was.
    #[must_use]
    pub fn last_used_at(&self) -> Option<Timestamp> {
        self.counts.last_used_at
    }

    /// Where a key's use lies.
    #[must_use]
    pub fn key(id: KeyId) -> DocumentKey {
        DocumentKey { partition: id.partition(), id: Self::ID.to_owned() }
    }

    /// The document of it, which lies there as long as that of the key.
    #[must_use]
    pub fn to_document(
        &self,
        id: KeyId,
        expires_at: Timestamp,
        keys: &KeyRing,
        write_id: WriteId,
        nonce: SealNonce,
    ) -> Document {
        let key = Self::key(id);
        let body = Sealed::record(keys, &place(&key), nonce, self).into_bytes();
        Document { expires_at: Some(expires_at), ..Document::plain(key, SCHEMA, write_id, body) }
    }

    /// Reads it back.
    pub fn from_document(keys: &KeyRing, document: Document) -> Result<Self, NotAuthentic> {
        Sealed::from_bytes(document.body).open_record(keys, &place(&document.key))
    }
}

fn place(key: &DocumentKey) -> String {
    format!("{}/{}/{SCHEMA}", key.partition, key.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_014_400);

    fn flush(number: u64, requests: usize, at: Timestamp) -> Flush {
        let mut counts = Counts::default();
        (0..requests).for_each(|_| counts.add(at));
        Flush { number, counts }
    }

    fn later(days: i64) -> Timestamp {
        Timestamp(NOON.0 + days * SECONDS_OF_A_DAY)
    }

    #[test]
    fn replicas_may_come_in_any_order_and_none_is_counted_twice() {
        let flushes = [([1; 8], flush(1, 3, NOON)), ([2; 8], flush(1, 4, NOON)), ([1; 8], flush(2, 5, NOON))];
        for order in [[0, 1, 2], [1, 0, 2], [0, 2, 1]] {
            let merged = order.into_iter().fold(KeyUse::default(), |merged, at| {
                let (replica, flush) = &flushes[at];
                // Each comes again, as it does where the answer was lost.
                merged.with(*replica, flush, NOON).with(*replica, flush, NOON)
            });
            assert_eq!((merged.today(NOON), merged.lately(NOON)), (12, 12), "{order:?}");
            assert_eq!(merged.last_used_at(), Some(NOON));
        }
    }

    #[test]
    fn what_is_older_than_thirty_days_is_forgotten_and_a_day_ends_at_midnight() {
        let used = KeyUse::default().with([1; 8], &flush(1, 1, NOON), NOON).with(
            [1; 8],
            &flush(2, 2, later(29)),
            later(29),
        );
        assert_eq!((used.today(later(29)), used.lately(later(29))), (2, 3));
        assert_eq!((used.today(later(30)), used.lately(later(30))), (0, 2));
        let used = used.with([1; 8], &flush(3, 1, later(30)), later(30));
        assert_eq!((used.counts.days.len(), used.lately(later(30))), (2, 3));
        let midnight = Timestamp(NOON.0 + SECONDS_OF_A_DAY / 2);
        assert_ne!(Day::of(midnight), Day::of(Timestamp(midnight.0 - 1)));
    }

    #[test]
    fn replicas_that_are_gone_do_not_pile_up() {
        let mut used = KeyUse::default();
        for name in 0..200 {
            used = used.with([name; 8], &flush(1, 1, NOON), NOON);
        }
        assert_eq!((used.merged.len(), used.lately(NOON)), (MAX_REPLICAS, 200));
        assert_eq!(used.clone().with([199; 8], &flush(1, 1, NOON), NOON), used);
    }

    #[test]
    fn the_end_of_a_key_is_told_of_once_a_day() {
        let told = KeyUse::default().telling(NOON).unwrap();
        assert_eq!(told.clone().telling(NOON), None);
        assert!(told.telling(later(1)).is_some());
    }
}
