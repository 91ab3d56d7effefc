//! Durable writes to the embedded store, by one caller and by 64 at once. The elements per second
//! are writes; with many callers they share their commits.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use entrada::adapters::embedded::EmbeddedStore;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::State;
use entrada::domain::document::WriteId;
use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;
use entrada::ports::store::Store;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const CALLERS: [u64; 2] = [1, 64];

/// About what a grant with its upstream tokens takes.
const BODY: usize = 2_048;

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// A document of its own for every number.
fn document(number: u64, write: u64) -> Document {
    let mut write_id = [0; 16];
    write_id[..8].copy_from_slice(&write.to_be_bytes());
    Document {
        // As keys are: without an order that the store could profit from.
        key: DocumentKey {
            partition: format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            id: "grant".to_owned(),
        },
        schema: 1,
        state: State::Active,
        generation: 1,
        write_id: WriteId(write_id),
        expires_at: Some(Timestamp(1_800_000_000)),
        body: vec![7; BODY],
    }
}

fn open(data_dir: &Path) -> Arc<EmbeddedStore> {
    Arc::new(EmbeddedStore::open(data_dir, Arc::new(StandingClock)).unwrap())
}

/// How long `callers` need for `each` new documents each.
async fn create(store: Arc<EmbeddedStore>, next: Arc<AtomicU64>, callers: u64, each: u64) -> Duration {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        tasks.spawn(async move {
            for _ in 0..each {
                let number = next.fetch_add(1, Ordering::Relaxed);
                store.create(document(number, number)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    begin.elapsed()
}

/// How long `callers` need for `each` replacements each of a document of their own.
async fn replace(store: Arc<EmbeddedStore>, next: Arc<AtomicU64>, callers: u64, each: u64) -> Duration {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        tasks.spawn(async move {
            let key = document(caller, 0).key;
            let mut version = store.read(&key).await.unwrap().unwrap().version;
            for _ in 0..each {
                let written = document(caller, next.fetch_add(1, Ordering::Relaxed));
                version = store.replace(written, &version).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    begin.elapsed()
}

fn writes(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    // Ten thousand documents lie there already.
    runtime.block_on(create(Arc::clone(&store), Arc::default(), 100, 100));
    let next = Arc::new(AtomicU64::new(10_000));

    let mut group = criterion.benchmark_group("store");
    for callers in CALLERS {
        group.throughput(Throughput::Elements(callers));
        group.bench_function(BenchmarkId::new("create", callers), |bencher| {
            let bencher = &mut bencher.to_async(&runtime);
            bencher.iter_custom(|each| create(Arc::clone(&store), Arc::clone(&next), callers, each));
        });
        group.bench_function(BenchmarkId::new("replace", callers), |bencher| {
            let bencher = &mut bencher.to_async(&runtime);
            bencher.iter_custom(|each| replace(Arc::clone(&store), Arc::clone(&next), callers, each));
        });
    }
    group.finish();
}

criterion_group!(benches, writes);
criterion_main!(benches);
