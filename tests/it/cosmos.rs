//! The store on Cosmos DB, against the SDK's emulator.

mod faults;
mod flows;
mod real;
mod start;
mod stored;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use entrada::adapters::cosmos::CosmosStore;
use entrada::domain::document::Document;
use entrada::domain::time::Timestamp;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;

use crate::store_contract::Subject;
use crate::store_contract::document;
use crate::store_contract::is_conflict;
use crate::store_contract::keeps_its_promises;
use crate::store_contract::rewritten;
use crate::support::clock::MovedClock;
use crate::support::cosmos::HostedCosmos;

const NOW: Timestamp = Timestamp(1_795_392_000);

/// An account, a store on it, and the clock of both.
async fn account() -> (HostedCosmos, Arc<CosmosStore>, Arc<MovedClock>) {
    let clock = MovedClock::at(NOW);
    let cosmos = HostedCosmos::ready(clock.clone()).await;
    let store = cosmos.store().await;
    (cosmos, store, clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_promises_of_a_store() {
    let accounts = Mutex::new(Vec::new());
    keeps_its_promises(async || {
        let (cosmos, store, clock) = account().await;
        accounts.lock().unwrap().push(cosmos);
        Subject { store, clock }
    })
    .await;
}

/// Lists of two physical partitions have to be merged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_them_in_two_physical_partitions() {
    let accounts = Mutex::new(Vec::new());
    keeps_its_promises(async || {
        let (cosmos, store, clock) = account().await;
        cosmos.split().await;
        accounts.lock().unwrap().push(cosmos);
        Subject { store, clock }
    })
    .await;
}

#[tokio::test]
async fn replicas_read_each_others_writes_at_once_and_only_one_of_them_wins() {
    let (cosmos, one, _) = account().await;
    let other = cosmos.store().await;
    for n in 0..20 {
        let first = document("p", &format!("d{n}"));
        let version = one.create(first.clone()).await.unwrap();
        let read = other.read(&first.key).await.unwrap().unwrap();
        assert_eq!((read.document, &read.version), (first.clone(), &version));
        let (mine, theirs) = (rewritten(&first), rewritten(&first));
        let (mine, theirs) = tokio::join!(one.replace(mine, &version), other.replace(theirs, &version));
        assert!(mine.is_ok() != theirs.is_ok() && (is_conflict(&mine) || is_conflict(&theirs)));
    }
}

/// What every request says, so that it holds for an account with more regions and a weaker default too.
#[tokio::test]
async fn every_read_asks_for_the_latest_version() {
    let (cosmos, store, _) = account().await;
    cosmos.requests();
    let one = document("p", "one");
    store.create(one.clone()).await.unwrap();
    store.read(&one.key).await.unwrap();
    store.list(Listing::Partition("p"), None, 9).await.unwrap();
    store.list(Listing::Prefix("p"), None, 9).await.unwrap();
    let requests = cosmos.requests();
    let reads = requests.iter().filter(|asked| asked.what == "GET docs" || asked.is_query());
    let strategies: Vec<_> =
        reads.map(|asked| asked.headers["x-ms-cosmos-read-consistency-strategy"].to_str().unwrap()).collect();
    assert!(strategies.len() >= 3, "{strategies:?}");
    assert!(strategies.iter().all(|strategy| *strategy == "LatestCommitted"), "{strategies:?}");
}

/// A token leads to one point read, a change is one write, a person's grants are one query of one partition.
#[tokio::test]
async fn each_operation_is_one_request() {
    let (cosmos, store, _) = account().await;
    let asked = || cosmos.requests().into_iter().map(|asked| asked.what).collect::<Vec<_>>();
    let one = document("p", "one");
    // The first of a client looks where the partitions are.
    store.read(&one.key).await.unwrap();
    asked();
    let version = store.create(one.clone()).await.unwrap();
    assert_eq!(asked(), ["POST docs"]);
    store.read(&one.key).await.unwrap();
    assert_eq!(asked(), ["GET docs"]);
    store.replace(rewritten(&one), &version).await.unwrap();
    assert_eq!(asked(), ["PUT docs"]);
    store.list(Listing::Partition("p"), None, 9).await.unwrap();
    let list = cosmos.requests();
    let queries: Vec<_> = list.iter().filter(|asked| asked.is_query()).collect();
    assert_eq!(queries.len(), 1, "{list:?}");
    assert_eq!(queries[0].headers["x-ms-documentdb-partitionkey"], "[\"p\"]");
}

/// A removed document is gone, and one that expires by our clock first is not given out in between.
#[tokio::test]
async fn cosmos_db_removes_what_has_expired_some_time_after_we_have_stopped_to_see_it() {
    let (cosmos, store, clock) = account().await;
    let one = Document { expires_at: Some(NOW.plus(Duration::from_secs(60))), ..document("p", "one") };
    store.create(one.clone()).await.unwrap();
    clock.advance(Duration::from_secs(61));
    assert!(store.read(&one.key).await.unwrap().is_none());
    assert_eq!(cosmos.documents().await.len(), 1);
    clock.advance(Duration::from_secs(299));
    assert!(store.read(&one.key).await.unwrap().is_none());
    assert_eq!(cosmos.documents().await.len(), 0);
}
