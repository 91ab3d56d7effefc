//! The embedded store: the contract, and what a file on a disk promises besides.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entrada::adapters::embedded::EmbeddedStore;
use entrada::adapters::embedded::OpenError;
use entrada::domain::document::Document;
use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use redb::Database;
use redb::TableDefinition;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::store_contract::Subject;
use crate::store_contract::document;
use crate::store_contract::is_conflict;
use crate::store_contract::keeps_its_promises;
use crate::store_contract::rewritten;
use crate::support::clock::MovedClock;

const START: Timestamp = Timestamp(1_700_000_000);

fn open(data_dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(data_dir, MovedClock::at(START)).unwrap()
}

fn refusal(data_dir: &Path) -> OpenError {
    EmbeddedStore::open(data_dir, MovedClock::at(START)).unwrap_err()
}

fn file_in(data_dir: &Path) -> PathBuf {
    data_dir.join("entrada.redb")
}

/// A store with a hundred documents, `p/0` to `p/99`, that has been closed.
async fn filled() -> TempDir {
    let directory = TempDir::new().unwrap();
    fill(&open(directory.path())).await;
    directory
}

async fn fill(store: &EmbeddedStore) {
    for number in 0..100 {
        store.create(document("p", &number.to_string())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_promises_of_every_store() {
    let directory = TempDir::new().unwrap();
    let stores = AtomicUsize::new(0);
    keeps_its_promises(async || {
        let clock = MovedClock::at(START);
        let number = stores.fetch_add(1, Ordering::Relaxed);
        let data_dir = directory.path().join(number.to_string());
        let store = EmbeddedStore::open(&data_dir, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Subject { store: Arc::new(store), clock }
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let (first, second) = (document("p", "one"), document("p", "two"));
    let store = open(directory.path());
    let version = store.create(first.clone()).await.unwrap();
    store.create(second.clone()).await.unwrap();
    let changed = rewritten(&first);
    let version = store.replace(changed.clone(), &version).await.unwrap();
    drop(store);

    let store = open(directory.path());
    let stored = store.read(&first.key).await.unwrap().unwrap();
    assert_eq!((&stored.document, &stored.version), (&changed, &version));
    assert_eq!(store.read(&second.key).await.unwrap().unwrap().document, second);
    store.replace(rewritten(&changed), &version).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_of_many_are_all_acknowledged_and_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(directory.path()));
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for number in 0..20 {
                let written = document(&format!("p{writer}"), &number.to_string());
                let version = store.create(written.clone()).await.unwrap();
                store.replace(rewritten(&written), &version).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    drop(Arc::into_inner(store).unwrap());

    let listed = open(directory.path()).list(Listing::Prefix("p"), None, 10_000).await.unwrap();
    assert_eq!(listed.len(), 64 * 20);
    assert!(listed.iter().all(|stored| stored.document.generation == 1));
}

/// The file of a running store is what a crash would leave of it.
#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    fill(&store).await;
    let copy = TempDir::new().unwrap();
    fs::copy(file_in(directory.path()), file_in(copy.path())).unwrap();
    let recovered = open(copy.path());
    assert_eq!(recovered.list(Listing::Partition("p"), None, 1_000).await.unwrap().len(), 100);
    recovered.create(document("p", "another")).await.unwrap();
}

#[tokio::test]
async fn a_store_is_opened_once_at_a_time() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let error = refusal(directory.path());
    assert!(matches!(&error, OpenError::Locked { path } if *path == file_in(directory.path())));
    let sentence = error.to_string();
    assert!(sentence.contains("entrada.redb is in use by another process; stop that one"), "{sentence}");
    store.create(document("p", "one")).await.unwrap();
    drop(store);
    open(directory.path());
}

#[test]
fn of_many_that_make_the_store_at_once_one_has_it() {
    let directory = TempDir::new().unwrap();
    let barrier = Barrier::new(4);
    let opened: Vec<_> = std::thread::scope(|scope| {
        let open = || {
            barrier.wait();
            EmbeddedStore::open(directory.path(), MovedClock::at(START))
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1, "{opened:?}");
    let mut refusals = opened.iter().filter_map(|opened| opened.as_ref().err());
    assert!(refusals.all(|error| matches!(error, OpenError::Locked { .. })));
}

/// Each makes the store or finds it made, writes, and leaves it to the next.
#[test]
fn of_many_that_make_the_store_in_turn_none_undoes_the_others() {
    for _ in 0..20 {
        let directory = TempDir::new().unwrap();
        let barrier = Barrier::new(4);
        let take_a_turn = |number: usize| {
            barrier.wait();
            let store = loop {
                match EmbeddedStore::open(directory.path(), MovedClock::at(START)) {
                    Ok(store) => break store,
                    Err(OpenError::Locked { .. }) => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            };
            block_on(store.create(document("p", &number.to_string()))).unwrap();
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|number| drop(scope.spawn(move || take_a_turn(number))));
        });
        let listed = block_on(open(directory.path()).list(Listing::Partition("p"), None, 9)).unwrap();
        assert_eq!(listed.len(), 4);
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_store_that_was_never_finished_is_begun_again() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("entrada.redb.new"), [7; 10_000]).unwrap();
    drop(open(directory.path()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn only_its_owner_can_read_it() {
    let directory = TempDir::new().unwrap();
    let data_dir = directory.path().join("var/entrada");
    let _store = open(&data_dir);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    assert_eq!(mode(&file_in(&data_dir)), 0o600);
}

/// Puts each of these in the place of a store; none may be opened, or changed.
fn refuses_and_leaves_alone(damaged: impl IntoIterator<Item = Vec<u8>>) {
    for bytes in damaged {
        let directory = TempDir::new().unwrap();
        let path = file_in(directory.path());
        fs::write(&path, &bytes).unwrap();
        let error = refusal(directory.path());
        let of = bytes.len();
        assert!(
            matches!(&error, OpenError::Corrupt { path: named, .. } if *named == path),
            "{of}: {error:?}"
        );
        let sentence = error.to_string();
        assert!(sentence.contains("is damaged: ") && sentence.contains("left as it is"), "{sentence}");
        assert!(fs::read(&path).unwrap() == bytes, "{of} bytes were changed by a refusal");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let text = b"a file that somebody else put here\n".repeat(1_000);
    refuses_and_leaves_alone([vec![0], text, vec![0; 100_000], b"redb\x1a\x0a\xa9\x0d\x0a".to_vec()]);
}

/// As redb would make a new database of.
#[test]
fn an_empty_file_is_refused_and_left_alone() {
    refuses_and_leaves_alone([vec![]]);
    let directory = TempDir::new().unwrap();
    fs::write(file_in(directory.path()), b"").unwrap();
    let sentence = refusal(directory.path()).to_string();
    assert!(sentence.contains("is damaged: the file is empty; "), "{sentence}");
}

#[tokio::test]
async fn a_truncated_store_is_refused_and_left_alone() {
    let directory = filled().await;
    let whole = fs::read(file_in(directory.path())).unwrap();
    let lengths = [1, 9, 64, 320, 4_096, 8_192, whole.len() / 2, whole.len() - 4_096, whole.len() - 1];
    refuses_and_leaves_alone(lengths.map(|len| whole[..len].to_vec()));
}

/// redb would write to this one before it finds that it cannot repair it.
#[tokio::test]
async fn a_truncated_store_that_was_not_closed_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    fill(&store).await;
    let whole = fs::read(file_in(directory.path())).unwrap();
    let lengths = [320, 4_096, 8_192, 16_384, whole.len() / 2];
    refuses_and_leaves_alone(lengths.map(|len| whole[..len].to_vec()));
}

/// redb would not look at most of these before it needs them, and then panic at some.
#[tokio::test]
async fn a_store_with_a_damaged_page_is_refused_and_left_alone() {
    let directory = filled().await;
    let whole = fs::read(file_in(directory.path())).unwrap();
    // Some of the pages are earlier states of others, which nobody reads any more.
    let pages = whole.chunks(4_096).map(|page| page.windows(6).position(|window| window == b"sealed"));
    let (mut flipped, mut zeroed) = (whole.clone(), whole.clone());
    for (page, found) in pages.enumerate() {
        if let Some(at) = found {
            flipped[page * 4_096 + at] ^= 1;
            zeroed[page * 4_096..(page + 1) * 4_096].fill(0);
        }
    }
    refuses_and_leaves_alone([flipped, zeroed]);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("theirs");
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    refuses_and_leaves_alone([fs::read(path).unwrap()]);
}

#[tokio::test]
async fn a_store_of_another_format_is_refused_and_left_alone() {
    let directory = filled().await;
    let path = file_in(directory.path());
    edit(&path, |transaction| {
        let mut meta = transaction.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap();
        meta.insert("format", 2).unwrap();
    });
    let before = fs::read(&path).unwrap();
    let error = refusal(directory.path());
    assert!(matches!(error, OpenError::Format { found: 2, known: 1, .. }));
    assert!(
        error.to_string().contains("has format 2, and this version of Entrada reads format 1"),
        "{error}"
    );
    assert!(fs::read(&path).unwrap() == before);
}

fn edit(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_document_that_cannot_be_decoded_is_named_by_its_key_alone() {
    let directory = filled().await;
    edit(&file_in(directory.path()), |transaction| {
        let documents = TableDefinition::<(&str, &str), &[u8]>::new("documents");
        let mut documents = transaction.open_table(documents).unwrap();
        documents.insert(("p", "7"), &b"\xffsecret"[..]).unwrap();
    });
    let store = open(directory.path());
    let damaged = document("p", "7");
    let version = store.read(&document("p", "8").key).await.unwrap().unwrap().version;
    let errors = [
        store.read(&damaged.key).await.unwrap_err(),
        store.list(Listing::Partition("p"), None, 1_000).await.unwrap_err(),
        store.create(damaged.clone()).await.unwrap_err(),
        store.replace(damaged, &version).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Corrupt(_)));
        assert_eq!(error.to_string(), "the store is corrupt: document p/7 cannot be decoded");
    }
    store.replace(rewritten(&document("p", "8")), &version).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_removes_at_most_a_thousand() {
    let directory = TempDir::new().unwrap();
    let clock = MovedClock::at(START);
    let store =
        Arc::new(EmbeddedStore::open(directory.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap());
    let mut writers = JoinSet::new();
    for number in 0..1_200 {
        let store = Arc::clone(&store);
        let document = Document { expires_at: Some(START), ..document("p", &number.to_string()) };
        writers.spawn(async move { store.create(document).await.unwrap() });
    }
    writers.join_all().await;
    assert_eq!(store.sweep().await.unwrap(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.sweep().await.unwrap(), 1_000);
    assert_eq!(store.sweep().await.unwrap(), 200);
    assert_eq!(store.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_write_costs_no_commit() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    store.create(document("p", "one")).await.unwrap();
    let before = fs::read(file_in(directory.path())).unwrap();
    assert!(is_conflict(&store.create(document("p", "one")).await));
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert!(fs::read(file_in(directory.path())).unwrap() == before);
}

/// As when the client has hung up: the write is already on its way.
#[tokio::test]
async fn a_write_whose_caller_has_gone_is_carried_out() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let left = document("p", "left");
    let mut creation = store.create(left.clone());
    let _ = futures_util::poll!(&mut creation);
    drop(creation);
    let version = store.create(document("p", "next")).await.unwrap();
    assert_eq!(store.read(&left.key).await.unwrap().unwrap().document, left);
    let mut replacement = store.replace(rewritten(&document("p", "next")), &version);
    let _ = futures_util::poll!(&mut replacement);
    drop(replacement);
    drop(store);

    let store = open(directory.path());
    assert_eq!(store.read(&document("p", "next").key).await.unwrap().unwrap().document.generation, 1);
}

struct BreakingClock(AtomicBool);

impl Clock for BreakingClock {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        START
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test]
async fn without_its_writer_the_store_is_away() {
    let directory = TempDir::new().unwrap();
    let clock = Arc::new(BreakingClock(AtomicBool::new(false)));
    let store = EmbeddedStore::open(directory.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let version = store.create(document("p", "one")).await.unwrap();
    clock.0.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(matches!(store.create(document("p", "two")).await, Err(StoreError::Away(_))));
        assert!(matches!(store.replace(document("p", "one"), &version).await, Err(StoreError::Away(_))));
    }
    clock.0.store(false, Ordering::SeqCst);
    assert!(store.read(&document("p", "one").key).await.unwrap().is_some());
    drop(store);
    assert!(open(directory.path()).read(&document("p", "two").key).await.unwrap().is_none());
}
