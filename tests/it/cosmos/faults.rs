//! What Cosmos DB and the network do wrong, at each operation: for a while, and for good.

use std::sync::Arc;
use std::time::Duration;

use azure_data_cosmos::CosmosClientBuilder;
use azure_data_cosmos::fault_injection::FaultInjectionConditionBuilder;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::ConnectionError;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::InternalServerError;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::PartitionIsGone;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::ResponseTimeout;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::ResponseTimeoutAfterService;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::RetryWith;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::ServiceUnavailable;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::Timeout;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::TooManyRequests;
use azure_data_cosmos::fault_injection::FaultInjectionErrorType::WriteForbidden;
use azure_data_cosmos::fault_injection::FaultInjectionResultBuilder;
use azure_data_cosmos::fault_injection::FaultInjectionRule;
use azure_data_cosmos::fault_injection::FaultInjectionRuleBuilder;
use azure_data_cosmos::fault_injection::FaultOperationType;
use entrada::adapters::cosmos::CosmosStore;
use entrada::adapters::cosmos::Settings;
use entrada::domain::document::Document;
use entrada::domain::document::Version;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::store_contract::document;
use crate::store_contract::is_conflict;
use crate::store_contract::rewritten;
use crate::support::clock::MovedClock;
use crate::support::cosmos::HostedCosmos;

use super::NOW;
use super::account;

const OPERATIONS: [FaultOperationType; 4] = [
    FaultOperationType::CreateItem,
    FaultOperationType::ReadItem,
    FaultOperationType::ReplaceItem,
    FaultOperationType::QueryItem,
];

const FAULTS: [FaultInjectionErrorType; 9] = [
    TooManyRequests,
    ServiceUnavailable,
    InternalServerError,
    Timeout,
    RetryWith,
    PartitionIsGone,
    ConnectionError,
    ResponseTimeout,
    ResponseTimeoutAfterService,
];

/// A fault at one operation, so many times or for good. It begins when it is enabled.
fn rule(
    operation: FaultOperationType,
    fault: FaultInjectionErrorType,
    times: Option<u32>,
) -> Arc<FaultInjectionRule> {
    let condition = FaultInjectionConditionBuilder::new().with_operation_type(operation).build();
    let result = FaultInjectionResultBuilder::new().with_error(fault).build();
    let mut rule = FaultInjectionRuleBuilder::new(format!("{operation}"), result).with_condition(condition);
    if let Some(times) = times {
        rule = rule.with_hit_limit(times);
    }
    let rule = Arc::new(rule.build());
    rule.disable();
    rule
}

async fn store(
    cosmos: &HostedCosmos,
    rules: Vec<Arc<FaultInjectionRule>>,
    patience: Duration,
) -> CosmosStore {
    let builder = CosmosClientBuilder::new().with_fault_injection_rules(rules).unwrap();
    let settings = Settings { patience, ..cosmos.settings() };
    CosmosStore::connect_with(builder, &settings, MovedClock::at(NOW)).await.unwrap()
}

/// What came of an operation, in a word; `there` was created before the fault.
async fn outcome(
    store: &CosmosStore,
    operation: FaultOperationType,
    there: &Document,
    version: &Version,
) -> Result<&'static str, StoreError> {
    let is = |found, what| if found { what } else { "not what was written" };
    match operation {
        FaultOperationType::CreateItem => {
            let new = document("p", "new");
            let version = store.create(new.clone()).await?;
            let read = store.read(&new.key).await?.unwrap();
            Ok(is((read.document, read.version) == (new, version), "done once"))
        }
        FaultOperationType::ReplaceItem => {
            let next = rewritten(there);
            let new = store.replace(next.clone(), version).await?;
            let read = store.read(&next.key).await?.unwrap();
            Ok(is((read.document, read.version) == (next, new), "done once"))
        }
        FaultOperationType::ReadItem => {
            let read = store.read(&there.key).await?;
            Ok(is(read.is_some_and(|read| read.document == *there), "done once"))
        }
        _ => {
            let listed = store.list(Listing::Partition("p"), None, 9).await?;
            Ok(is(listed.len() == 1 && listed[0].document == *there, "done once"))
        }
    }
}

/// Each trial has an account of its own; so many at a time.
static ROOM: Semaphore = Semaphore::const_new(6);

async fn under_fault(
    operation: FaultOperationType,
    fault: FaultInjectionErrorType,
    times: Option<u32>,
    patience: Duration,
) -> Result<&'static str, StoreError> {
    let _room = ROOM.acquire().await.unwrap();
    let cosmos = HostedCosmos::ready(MovedClock::at(NOW)).await;
    let there = document("p", "there");
    let version = cosmos.store().await.create(there.clone()).await.unwrap();
    let rule = rule(operation, fault, times);
    let store = store(&cosmos, vec![Arc::clone(&rule)], patience).await;
    rule.enable();
    let outcome = outcome(&store, operation, &there, &version).await;
    assert!(rule.hit_count() > 0, "{fault} did not happen to {operation}");
    outcome
}

/// More often than the SDK tries by itself.
const A_WHILE: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_by_is_waited_for_and_everything_happens_once() {
    let mut trials = JoinSet::new();
    for operation in OPERATIONS {
        for fault in FAULTS {
            trials.spawn(async move {
                let outcome = under_fault(operation, fault, Some(A_WHILE), Duration::from_secs(20)).await;
                (operation, fault, outcome.map_err(|error| error.to_string()))
            });
        }
    }
    for (operation, fault, outcome) in trials.join_all().await {
        assert_eq!(outcome, Ok("done once"), "{fault} at {operation}");
    }
}

/// Never that somebody else was first, and never that there is nothing: both would end a session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lasts_is_an_outage_within_the_deadline() {
    let mut trials = JoinSet::new();
    for operation in OPERATIONS {
        for fault in FAULTS.into_iter().chain([WriteForbidden]) {
            let lost = fault == ResponseTimeoutAfterService;
            let written =
                matches!(operation, FaultOperationType::CreateItem | FaultOperationType::ReplaceItem);
            trials.spawn(async move {
                let outcome = under_fault(operation, fault, None, Duration::from_secs(5)).await;
                (operation, fault, lost && written, outcome)
            });
        }
    }
    for (operation, fault, answers_lost, outcome) in trials.join_all().await {
        match outcome {
            // It was carried out, and found by a read.
            Ok(outcome) => {
                assert!(answers_lost && outcome == "done once", "{fault} at {operation}: {outcome}");
            }
            Err(StoreError::Away(words)) => {
                assert!(!answers_lost, "{fault} at {operation}: {words}");
                assert!(!words.contains("there") && !words.contains("new"), "it tells an id: {words}");
            }
            Err(other) => panic!("{fault} at {operation}: {other}"),
        }
    }
}

/// One of two replicas that lose every answer wins, and knows it; the other knows that it did not.
#[tokio::test]
async fn of_two_who_never_hear_an_answer_one_wins() {
    for operation in [FaultOperationType::CreateItem, FaultOperationType::ReplaceItem] {
        let (cosmos, plain, _) = account().await;
        let mut stores = Vec::new();
        for _ in 0..2 {
            let rule = rule(operation, ResponseTimeoutAfterService, None);
            stores.push(store(&cosmos, vec![Arc::clone(&rule)], Duration::from_secs(5)).await);
            rule.enable();
        }
        let first = document("p", "one");
        let (mine, theirs) = (rewritten(&first), rewritten(&first));
        let (mine, theirs) = if operation == FaultOperationType::CreateItem {
            tokio::join!(stores[0].create(mine.clone()), stores[1].create(theirs.clone()))
        } else {
            let version = plain.create(first.clone()).await.unwrap();
            tokio::join!(
                stores[0].replace(mine.clone(), &version),
                stores[1].replace(theirs.clone(), &version)
            )
        };
        let stored = plain.read(&first.key).await.unwrap().unwrap();
        let (won, lost) = if mine.is_ok() { (mine, theirs) } else { (theirs, mine) };
        assert_eq!(won.unwrap(), stored.version);
        assert!(is_conflict(&lost), "{lost:?}");
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_reached_is_away_and_is_used_again_when_it_is_back() {
    let (cosmos, plain, _) = account().await;
    let one = document("p", "one");
    let version = plain.create(one.clone()).await.unwrap();
    let hasty = store(&cosmos, Vec::new(), Duration::from_millis(800)).await;
    cosmos.reachable(false);
    for outcome in [
        hasty.read(&one.key).await.map(drop),
        hasty.create(document("p", "two")).await.map(drop),
        hasty.replace(rewritten(&one), &version).await.map(drop),
        hasty.list(Listing::Partition("p"), None, 9).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(StoreError::Away(_))), "{outcome:?}");
    }
    cosmos.reachable(true);
    assert_eq!(plain.read(&one.key).await.unwrap().unwrap().document, one);
    assert_eq!(hasty.read(&one.key).await.unwrap().unwrap().document, one);
}

/// After a failover writes go to the other region at once, and reads when the time has come to look.
#[tokio::test]
async fn a_failover_is_followed() {
    let (cosmos, store, clock) = account().await;
    let other = cosmos.store().await;
    let one = document("p", "one");
    let version = store.create(one.clone()).await.unwrap();
    cosmos.fail_over();
    let second = rewritten(&one);
    let version = store.replace(second.clone(), &version).await.unwrap();
    let third = rewritten(&second);
    other.replace(third.clone(), &version).await.unwrap();
    clock.advance(Duration::from_secs(15));
    for replica in [&store, &other] {
        // The first request after that time looks behind, so that nobody waits for it.
        let followed = async {
            loop {
                cosmos.requests();
                let read = replica.read(&one.key).await.unwrap().unwrap();
                if cosmos.requests().iter().any(|asked| asked.what == "GET docs" && asked.region == 1) {
                    return read.document;
                }
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(20), followed).await;
        assert_eq!(read.expect("its reads have not followed"), third);
    }
}
