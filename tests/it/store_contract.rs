//! What every store promises, whatever it keeps the documents in.
//!
//! An adapter's own test calls [`keeps_its_promises`], on a runtime of several threads, with a
//! function that gives an empty store and the clock it goes by.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::State;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::domain::document::WriteId;
use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::clock::MovedClock;

const RACERS: u32 = 32;
const ROUNDS: u32 = 8;

/// An empty store, and the clock it goes by.
pub struct Subject {
    pub store: Arc<dyn Store>,
    pub clock: Arc<MovedClock>,
}

impl Subject {
    fn in_seconds(&self, seconds: u64) -> Option<Timestamp> {
        Some(self.clock.now().plus(Duration::from_secs(seconds)))
    }

    fn pass_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn read(&self, document: &Document) -> Option<Stored> {
        self.store.read(&document.key).await.unwrap()
    }

    async fn keys(&self, listing: Listing<'_>, limit: usize) -> Vec<String> {
        let listed = self.store.list(listing, None, limit).await.unwrap();
        listed
            .iter()
            .map(|stored| format!("{}/{}", stored.document.key.partition, stored.document.key.id))
            .collect()
    }

    /// Sweeps until nothing is left to sweep.
    async fn sweep(&self) {
        for _ in 0..100 {
            if self.store.sweep().await.unwrap() == 0 {
                return;
            }
        }
        panic!("sweeping does not end");
    }
}

/// A document that never expires, as a new write.
pub fn document(partition: &str, id: &str) -> Document {
    Document {
        key: DocumentKey { partition: partition.to_owned(), id: id.to_owned() },
        schema: 1,
        state: State::Plain,
        generation: 0,
        write_id: write_id(),
        expires_at: None,
        body: b"sealed".to_vec(),
    }
}

/// The same document as its next write.
pub fn rewritten(document: &Document) -> Document {
    Document { write_id: write_id(), generation: document.generation + 1, ..document.clone() }
}

fn write_id() -> WriteId {
    static WRITES: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&WRITES.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    WriteId(id)
}

pub fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

/// Runs every clause, each on a store of its own.
pub async fn keeps_its_promises<F: AsyncFn() -> Subject>(fresh: F) {
    what_was_written_is_read_back(fresh().await).await;
    what_exists_is_not_created_again(fresh().await).await;
    what_is_absent_is_neither_read_nor_replaced(fresh().await).await;
    a_replacement_needs_the_current_version(fresh().await).await;
    every_write_makes_another_version(fresh().await).await;
    what_has_expired_is_absent(fresh().await).await;
    what_has_expired_may_be_created_again(fresh().await).await;
    of_racing_replacements_one_wins(fresh().await).await;
    of_racing_creations_one_wins(fresh().await).await;
    a_partition_is_listed_in_the_order_of_its_keys(fresh().await).await;
    a_prefix_is_listed_across_partitions(fresh().await).await;
    a_list_hides_what_has_expired_and_does_not_count_it(fresh().await).await;
    a_sweep_removes_what_has_expired_and_nothing_else(fresh().await).await;
    a_sweep_goes_by_the_latest_expiry(fresh().await).await;
    large_bodies_are_kept_whole(fresh().await).await;
}

async fn what_was_written_is_read_back(subject: Subject) {
    for (id, state) in
        [("a", State::Plain), ("b", State::Pending), ("c", State::Active), ("d", State::Revoked)]
    {
        let written = Document {
            schema: 7,
            state,
            generation: 4_000_000_000,
            expires_at: subject.in_seconds(60),
            body: (0..=255).collect(),
            ..document("p", id)
        };
        let version = subject.store.create(written.clone()).await.unwrap();
        let stored = subject.read(&written).await.unwrap();
        assert_eq!((stored.document, stored.version), (written, version));
    }
    let empty = Document { body: Vec::new(), ..document("p", "empty") };
    subject.store.create(empty.clone()).await.unwrap();
    assert_eq!(subject.read(&empty).await.unwrap().document, empty);
}

async fn what_exists_is_not_created_again(subject: Subject) {
    let first = document("p", "one");
    let version = subject.store.create(first.clone()).await.unwrap();
    assert!(is_conflict(&subject.store.create(rewritten(&first)).await));
    // A store whose answers can be lost may recognise the same write; it is never another version.
    let again = subject.store.create(first.clone()).await;
    assert!(is_conflict(&again) || again.is_ok_and(|again| again == version));
    assert_eq!(subject.read(&first).await.unwrap().document, first);
    subject.store.create(document("p", "two")).await.unwrap();
    subject.store.create(document("q", "one")).await.unwrap();
}

async fn what_is_absent_is_neither_read_nor_replaced(subject: Subject) {
    let there = document("p", "one");
    let version = subject.store.create(there.clone()).await.unwrap();
    for absent in [document("p", "on"), document("p", "one1"), document("pone", ""), document("q", "one")] {
        assert!(subject.read(&absent).await.is_none());
        assert!(is_conflict(&subject.store.replace(absent.clone(), &version).await));
        assert!(subject.read(&absent).await.is_none());
    }
}

async fn a_replacement_needs_the_current_version(subject: Subject) {
    let first = document("p", "one");
    let second = Document { state: State::Revoked, body: b"other".to_vec(), ..rewritten(&first) };
    let old = subject.store.create(first.clone()).await.unwrap();
    let new = subject.store.replace(second.clone(), &old).await.unwrap();
    let stored = subject.read(&first).await.unwrap();
    assert_eq!((stored.document, &stored.version), (second.clone(), &new));
    for stale in [&old, &Version(String::new()), &Version("no version of ours".to_owned())] {
        assert!(is_conflict(&subject.store.replace(rewritten(&second), stale).await));
    }
    assert_eq!(subject.read(&first).await.unwrap().document, second);
    subject.store.replace(rewritten(&second), &stored.version).await.unwrap();
}

async fn every_write_makes_another_version(subject: Subject) {
    let mut current = document("p", "one");
    let mut version = subject.store.create(current.clone()).await.unwrap();
    let mut seen = BTreeSet::from([version.0.clone()]);
    for _ in 0..10 {
        // The same content, but for the write's id.
        current = Document { write_id: write_id(), ..current };
        version = subject.store.replace(current.clone(), &version).await.unwrap();
        assert!(seen.insert(version.0.clone()));
        assert_eq!(subject.read(&current).await.unwrap().version, version);
    }
}

async fn what_has_expired_is_absent(subject: Subject) {
    let document = Document { expires_at: subject.in_seconds(60), ..document("p", "one") };
    let version = subject.store.create(document.clone()).await.unwrap();
    subject.pass_seconds(60);
    assert!(subject.read(&document).await.is_some(), "expires after the instant, not at it");
    subject.pass_seconds(1);
    assert!(subject.read(&document).await.is_none());
    let revived = Document { expires_at: subject.in_seconds(60), ..rewritten(&document) };
    assert!(is_conflict(&subject.store.replace(revived, &version).await));
    assert!(subject.read(&document).await.is_none());
}

async fn what_has_expired_may_be_created_again(subject: Subject) {
    let first = Document { expires_at: subject.in_seconds(60), ..document("p", "one") };
    let old = subject.store.create(first.clone()).await.unwrap();
    subject.pass_seconds(61);
    let second = Document { expires_at: subject.in_seconds(60), ..rewritten(&first) };
    let new = subject.store.create(second.clone()).await.unwrap();
    assert_ne!(old, new);
    assert!(is_conflict(&subject.store.create(rewritten(&second)).await));
    assert!(is_conflict(&subject.store.replace(rewritten(&second), &old).await), "of another life");
    assert_eq!(subject.read(&first).await.unwrap().document, second);
}

/// Starts all racers at once and gives the winners' numbers.
async fn race<F, R>(start: F) -> Vec<u32>
where
    F: Fn(u32) -> R,
    R: Future<Output = Result<Version, StoreError>> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(RACERS as usize));
    let mut racers = JoinSet::new();
    for racer in 1..=RACERS {
        let (barrier, run) = (Arc::clone(&barrier), start(racer));
        racers.spawn(async move {
            barrier.wait().await;
            (racer, run.await)
        });
    }
    let finished = racers.join_all().await;
    for (_, result) in &finished {
        assert!(result.is_ok() || is_conflict(result), "{result:?}");
    }
    finished.into_iter().filter(|(_, result)| result.is_ok()).map(|(racer, _)| racer).collect()
}

async fn of_racing_replacements_one_wins(subject: Subject) {
    let mut current = document("p", "one");
    let mut version = subject.store.create(current.clone()).await.unwrap();
    for _ in 0..ROUNDS {
        let winners = race(|racer| {
            let (store, expected) = (Arc::clone(&subject.store), version.clone());
            let document = Document { generation: racer, ..rewritten(&current) };
            async move { store.replace(document, &expected).await }
        })
        .await;
        assert_eq!(winners.len(), 1, "one version was replaced {} times", winners.len());
        let stored = subject.read(&current).await.unwrap();
        assert_eq!(stored.document.generation, winners[0]);
        (current, version) = (stored.document, stored.version);
    }
}

async fn of_racing_creations_one_wins(subject: Subject) {
    for round in 0..ROUNDS {
        let key = document("p", &format!("round{round}"));
        let winners = race(|racer| {
            let store = Arc::clone(&subject.store);
            let document = Document { generation: racer, ..rewritten(&key) };
            async move { store.create(document).await }
        })
        .await;
        assert_eq!(winners.len(), 1, "one document was created {} times", winners.len());
        assert_eq!(subject.read(&key).await.unwrap().document.generation, winners[0]);
    }
}

/// Written in another order than that of the keys, which is by partition, then by id, bytewise.
async fn fill(subject: &Subject) {
    for (partition, id) in
        [("p.a", "0"), ("p", "z"), ("q", "a"), ("p-a", "1"), ("p", "B"), ("p", "a"), ("o", "z"), ("p", "_")]
    {
        subject.store.create(document(partition, id)).await.unwrap();
    }
}

async fn a_partition_is_listed_in_the_order_of_its_keys(subject: Subject) {
    fill(&subject).await;
    assert_eq!(subject.keys(Listing::Partition("p"), 9).await, ["p/B", "p/_", "p/a", "p/z"]);
    assert_eq!(subject.keys(Listing::Partition("p"), 4).await.len(), 4);
    assert_eq!(subject.keys(Listing::Partition("p"), 2).await, ["p/B", "p/_"]);
    assert!(subject.keys(Listing::Partition("p"), 0).await.is_empty());
    assert!(subject.keys(Listing::Partition(""), 9).await.is_empty());
    assert!(subject.keys(Listing::Partition("p."), 9).await.is_empty());
    let listed = subject.store.list(Listing::Partition("q"), None, 9).await.unwrap();
    let read = subject.read(&document("q", "a")).await.unwrap();
    assert_eq!((&listed[0].document, &listed[0].version), (&read.document, &read.version));
}

async fn a_prefix_is_listed_across_partitions(subject: Subject) {
    fill(&subject).await;
    let under_p = ["p/B", "p/_", "p/a", "p/z", "p-a/1", "p.a/0"];
    assert_eq!(subject.keys(Listing::Prefix("p"), 9).await, under_p);
    assert_eq!(subject.keys(Listing::Prefix("p"), 5).await, under_p[..5]);
    assert_eq!(subject.keys(Listing::Prefix("p-"), 9).await, ["p-a/1"]);
    assert!(subject.keys(Listing::Prefix("pq"), 9).await.is_empty());
    // Page by page, each behind the last key of the one before, nothing is left out or seen twice.
    let (mut after, mut walked) = (None, Vec::new());
    loop {
        let page = subject.store.list(Listing::Prefix("p"), after.as_ref(), 2).await.unwrap();
        walked.extend(page.iter().map(|s| format!("{}/{}", s.document.key.partition, s.document.key.id)));
        match page.last() {
            Some(last) => after = Some(last.document.key.clone()),
            None => break,
        }
    }
    assert_eq!(walked, under_p);
    assert_eq!(subject.keys(Listing::Prefix(""), 9).await.len(), 8);
}

async fn a_list_hides_what_has_expired_and_does_not_count_it(subject: Subject) {
    for (id, seconds) in [("a", 10), ("b", 100), ("c", 10), ("d", 100)] {
        let document = Document { expires_at: subject.in_seconds(seconds), ..document("p", id) };
        subject.store.create(document).await.unwrap();
    }
    subject.pass_seconds(11);
    assert_eq!(subject.keys(Listing::Partition("p"), 2).await, ["p/b", "p/d"]);
    assert_eq!(subject.keys(Listing::Prefix("p"), 1).await, ["p/b"]);
}

async fn a_sweep_removes_what_has_expired_and_nothing_else(subject: Subject) {
    subject.sweep().await;
    let dying = Document { expires_at: subject.in_seconds(10), ..document("p", "dying") };
    let living = Document { expires_at: subject.in_seconds(11), ..document("p", "living") };
    let lasting = document("p", "lasting");
    for document in [&dying, &living, &lasting] {
        subject.store.create(document.clone()).await.unwrap();
    }
    subject.pass_seconds(11);
    subject.sweep().await;
    assert!(subject.read(&dying).await.is_none());
    assert_eq!(subject.read(&living).await.unwrap().document, living);
    assert_eq!(subject.read(&lasting).await.unwrap().document, lasting);
    subject.store.create(Document { expires_at: None, ..rewritten(&dying) }).await.unwrap();
}

async fn a_sweep_goes_by_the_latest_expiry(subject: Subject) {
    let first = subject.in_seconds(10);
    let (extended, kept, shortened, reborn) = (
        document("p", "extended"),
        document("p", "kept"),
        document("p", "shortened"),
        document("p", "reborn"),
    );
    for (document, expires_at) in
        [(&extended, first), (&kept, first), (&shortened, subject.in_seconds(100)), (&reborn, first)]
    {
        let created = Document { expires_at, ..document.clone() };
        let version = subject.store.create(created.clone()).await.unwrap();
        let expires_at = match document.key.id.as_str() {
            "extended" => subject.in_seconds(100),
            "kept" => None,
            "shortened" => first,
            _ => continue,
        };
        subject.store.replace(Document { expires_at, ..rewritten(&created) }, &version).await.unwrap();
    }
    subject.pass_seconds(11);
    subject.store.create(rewritten(&reborn)).await.unwrap();
    subject.sweep().await;
    assert_eq!(subject.keys(Listing::Partition("p"), 9).await, ["p/extended", "p/kept", "p/reborn"]);
    subject.pass_seconds(100);
    subject.sweep().await;
    assert_eq!(subject.keys(Listing::Partition("p"), 9).await, ["p/kept", "p/reborn"]);
}

async fn large_bodies_are_kept_whole(subject: Subject) {
    let body: Vec<u8> = (0..200 * 1024_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let large = Document { body: body.clone(), ..document("p", "large") };
    let version = subject.store.create(large.clone()).await.unwrap();
    assert_eq!(subject.read(&large).await.unwrap().document, large);
    let larger = Document { body: [body.clone(), body].concat(), ..rewritten(&large) };
    let version = subject.store.replace(larger.clone(), &version).await.unwrap();
    assert_eq!(subject.store.list(Listing::Partition("p"), None, 2).await.unwrap()[0].document, larger);
    let small = Document { body: Vec::new(), ..rewritten(&larger) };
    subject.store.replace(small.clone(), &version).await.unwrap();
    assert_eq!(subject.read(&large).await.unwrap().document, small);
}
