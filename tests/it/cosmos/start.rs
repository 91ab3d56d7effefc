//! What is refused when the store is opened, in words that say what to do.

use std::net::Ipv4Addr;

use axum::Router;
use axum::http::StatusCode;
use azure_data_cosmos_driver::in_memory_emulator::WriteMode;
use entrada::adapters::cosmos::ConnectError;
use entrada::adapters::cosmos::CosmosStore;
use entrada::adapters::cosmos::Settings;
use entrada::adapters::cosmos::init;
use entrada::ports::store::Store;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

use crate::store_contract::document;
use crate::support::clock::MovedClock;
use crate::support::cosmos::CONTAINER;
use crate::support::cosmos::HostedCosmos;

use super::NOW;

async fn refused(settings: &Settings) -> String {
    match CosmosStore::connect(settings, MovedClock::at(NOW)).await.unwrap_err() {
        ConnectError::Wrong(words) => words,
        ConnectError::Away(words) => panic!("it is not away: {words}"),
    }
}

/// An indexing policy with one composite index.
fn composite(first: &str, second: &str) -> Value {
    let ascending = |path| json!({ "path": path, "order": "ascending" });
    json!({
        "automatic": true,
        "indexingMode": "consistent",
        "includedPaths": [{ "path": "/*" }],
        "compositeIndexes": [[ascending(first), ascending(second)]],
    })
}

/// A container as it has to be, with other members.
async fn with_container(more: Value) -> HostedCosmos {
    let mut container = json!({
        "id": CONTAINER,
        "partitionKey": { "paths": ["/pk"], "kind": "Hash", "version": 2 },
        "defaultTtl": -1,
        "indexingPolicy": composite("/pk", "/id"),
    });
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let cosmos = HostedCosmos::start(MovedClock::at(NOW)).await;
    cosmos.make(&container).await;
    cosmos
}

#[tokio::test]
async fn a_container_that_infrastructure_made_is_taken() {
    let cosmos = with_container(json!({})).await;
    cosmos.store().await.create(document("p", "one")).await.unwrap();
}

#[tokio::test]
async fn a_container_that_would_lose_or_keep_documents_is_refused() {
    let cases = [
        (json!({ "defaultTtl": null }), "never removes what has expired. Set its default time to live to -1"),
        (
            json!({ "defaultTtl": 3_600 }),
            "removes every document after 3600 s, keys and clients too. Set its",
        ),
        (
            json!({ "partitionKey": { "paths": ["/id"], "kind": "Hash", "version": 2 } }),
            "is partitioned by /id, and has to be by /pk. That cannot be changed: make another one",
        ),
        (json!({ "indexingPolicy": null }), "has no composite index of /pk and /id, both ascending"),
        (
            json!({ "indexingPolicy": composite("/id", "/pk") }),
            "Add it to the indexing policy: docs/storage.md shows the whole of it.",
        ),
    ];
    for (more, words) in cases {
        let cosmos = with_container(more).await;
        let refused = refused(&cosmos.settings()).await;
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn an_account_that_writes_in_several_regions_is_refused() {
    let clock = MovedClock::at(NOW);
    let cosmos = HostedCosmos::with(clock, |config| config.with_write_mode(WriteMode::Multi)).await;
    let refused = refused(&cosmos.settings()).await;
    assert!(refused.contains("turn multi-region writes off"), "{refused}");
    assert_eq!(cosmos.requests().len(), 1, "nothing is asked after that");
}

#[tokio::test]
async fn the_region_has_to_be_the_one_that_is_written_to() {
    let cosmos = HostedCosmos::ready(MovedClock::at(NOW)).await;
    for region in ["West Europe", "westeurope"] {
        let settings = Settings { region: Some(region.to_owned()), ..cosmos.settings() };
        CosmosStore::connect(&settings, MovedClock::at(NOW)).await.unwrap();
    }
    let settings = Settings { region: Some("North Europe".to_owned()), ..cosmos.settings() };
    let refused = refused(&settings).await;
    let words = "store.region is \"North Europe\", but the account writes in \"West Europe\"";
    assert!(refused.starts_with(words), "{refused}");
}

#[tokio::test]
async fn what_is_missing_is_named_and_is_made_by_init() {
    let clock = MovedClock::at(NOW);
    let cosmos = HostedCosmos::start(clock.clone()).await;
    let words = "The account has no container \"grants\" in a database \"entrada\".";
    assert!(refused(&cosmos.settings()).await.starts_with(words));
    init(&cosmos.settings(), clock.as_ref()).await.unwrap();
    // Once more: it is there.
    init(&cosmos.settings(), clock.as_ref()).await.unwrap();
    cosmos.store().await;
}

#[tokio::test]
async fn init_refuses_a_container_of_another_making() {
    let cosmos = with_container(json!({ "defaultTtl": 60 })).await;
    let error = init(&cosmos.settings(), MovedClock::at(NOW).as_ref()).await.unwrap_err();
    assert!(error.to_string().contains("removes every document after 60 s"), "{error}");
}

/// A server that answers everything with one status.
async fn server(status: StatusCode) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move || async move { (status, "Hello") });
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

#[tokio::test]
async fn what_is_no_account_or_refuses_us_is_told_from_an_outage() {
    let cosmos = HostedCosmos::ready(MovedClock::at(NOW)).await;
    let at = |endpoint: &str| Settings { endpoint: endpoint.parse().unwrap(), ..cosmos.settings() };
    for (status, words) in [
        (StatusCode::OK, "is no Cosmos DB account for NoSQL"),
        (StatusCode::NOT_FOUND, "is no Cosmos DB account for NoSQL"),
        (StatusCode::UNAUTHORIZED, "Give the identity the role \"Cosmos DB Built-in Data Contributor\""),
        (StatusCode::FORBIDDEN, "see that the account's firewall lets this machine in"),
    ] {
        let refused = refused(&at(&server(status).await)).await;
        assert!(refused.contains(words), "{refused}");
    }
    let words = refused(&at("http://example.documents.azure.com/")).await;
    assert!(words.starts_with("store.endpoint has to begin with https://"), "{words}");
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
        let settings = at(&server(status).await);
        let error = CosmosStore::connect(&settings, MovedClock::at(NOW)).await.unwrap_err();
        let words = format!("Cosmos DB is away: store.endpoint answered {}.", status.as_u16());
        assert!(matches!(error, ConnectError::Away(_)) && error.to_string() == words, "{error}");
    }
    cosmos.reachable(false);
    let error = CosmosStore::connect(&cosmos.settings(), MovedClock::at(NOW)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Away(_)), "{error}");
}
