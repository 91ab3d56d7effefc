//! Who is who, and what is whose.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::Value;
use serde_json::json;

use crate::support::issuer::ALICE;
use crate::support::issuer::BOB;
use crate::support::issuer::TENANT;
use crate::support::issuer::es256;
use crate::support::issuer::token;
use crate::support::server::Client;
use crate::support::server::Server;
use crate::support::server::discover;
use crate::support::server::expense;
use crate::support::server::initialize;

#[tokio::test]
async fn whoami_names_the_caller_in_both_protocols_and_by_both_algorithms() {
    let server = Server::start().await;
    let claims = server.claims(ALICE);
    let es256 = es256(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" }), &claims);
    for (lifecycle, version) in [(initialize(), "2025-11-25"), (discover(), "2026-07-28")] {
        for token in [token(&claims), es256.clone()] {
            let client = Client::connect(&server.audience, &token, lifecycle.clone()).await;
            assert_eq!(client.0.peer_info().unwrap().protocol_version.as_str(), version);
            assert_eq!(
                client.call("whoami", json!({})).await.unwrap(),
                json!({
                    "sub": format!("{TENANT}:{ALICE}"), "oid": ALICE, "tid": TENANT,
                    "client_id": "client-one", "scope": "mcp.read mcp.write",
                })
            );
        }
    }
}

#[tokio::test]
async fn a_person_of_another_provider_has_no_tenant() {
    let server = Server::start().await;
    let mut claims = server.claims(ALICE);
    claims["sub"] = "auth0|7".into();
    claims["oid"] = "auth0|7".into();
    claims.as_object_mut().unwrap().remove("tid");
    let client = Client::connect(&server.audience, &token(&claims), initialize()).await;
    let who = client.call("whoami", json!({})).await.unwrap();
    assert_eq!((&who["sub"], &who["tid"]), (&json!("auth0|7"), &Value::Null));
}

#[tokio::test]
async fn nobody_sees_what_is_anothers() {
    let server = Server::start().await;
    let (alice, bob) = (server.client(ALICE).await, server.client(BOB).await);
    alice.add("travel", 12000).await;
    bob.add("meals", 950).await;
    let (hers, his) = (alice.list().await, bob.list().await);
    assert_eq!((&hers["count"], &hers["expenses"][0]["category"]), (&json!(1), &json!("travel")));
    assert_eq!((&his["count"], &his["expenses"][0]["category"]), (&json!(1), &json!("meals")));
    let totals = bob.call("total_by_category", json!({})).await.unwrap();
    assert_eq!(
        totals,
        json!({ "totals": [{ "category": "meals", "currency": "EUR", "cents": 950, "count": 1 }] })
    );
    let asked = json!({ "sub": format!("{TENANT}:{ALICE}"), "oid": ALICE, "user": ALICE });
    assert_eq!(bob.call("list_expenses", asked).await.unwrap(), his, "arguments name nobody");
}

#[tokio::test]
async fn the_same_object_id_in_another_tenant_is_another_person() {
    let server = Server::start().await;
    server.client(ALICE).await.add("travel", 12000).await;
    let mut claims = server.claims(ALICE);
    claims["tid"] = "99999999-2222-4333-8444-555555555555".into();
    claims["sub"] = format!("99999999-2222-4333-8444-555555555555:{ALICE}").into();
    let other = Client::connect(&server.audience, &token(&claims), initialize()).await;
    assert_eq!(other.list().await["count"], 0);
}

#[tokio::test]
async fn each_expense_tells_the_client_that_added_it() {
    let server = Server::start().await;
    let mut claims = server.claims(ALICE);
    claims["client_id"] = "client-two".into();
    let two = Client::connect(&server.audience, &token(&claims), discover()).await;
    server.client(ALICE).await.add("travel", 100).await;
    two.add("travel", 200).await;
    let listed = two.list().await;
    let by =
        |at: usize| (listed["expenses"][at]["cents"].clone(), listed["expenses"][at]["client_id"].clone());
    assert_eq!(by(0), (json!(200), json!("client-two")));
    assert_eq!(by(1), (json!(100), json!("client-one")));
}

#[tokio::test]
async fn a_missing_permission_is_named_in_words() {
    let server = Server::start().await;
    let table = [("mcp.read", "add_expense", "mcp.write"), ("mcp.write", "whoami", "mcp.read")];
    let read = [("mcp.write mcp.reader", "list_expenses", "mcp.read"), ("", "total_by_category", "mcp.read")];
    for (granted, tool, missing) in table.into_iter().chain(read) {
        let mut claims = server.claims(ALICE);
        claims["scope"] = granted.into();
        let client = Client::connect(&server.audience, &token(&claims), initialize()).await;
        let said = client.call(tool, expense("travel", 100)).await.unwrap_err();
        assert!(said.starts_with(&format!("This needs the permission {missing}, which")), "{said}");
    }
    assert_eq!(server.client(ALICE).await.list().await["count"], 0);
}

#[tokio::test]
async fn expenses_added_at_once_through_two_processes_are_all_there() {
    let server = Server::start().await;
    let (url, replica) = server.replica().await;
    let here = server.client(ALICE).await;
    let there = Client::connect(&url, &server.token(ALICE), discover()).await;
    let adds = (1..=40).map(|cents| {
        let client = if cents % 2 == 0 { &here } else { &there };
        client.add("travel", cents)
    });
    join_all(adds).await;
    replica.abort();
    let listed = here.call("list_expenses", json!({ "limit": 100 })).await.unwrap();
    let found: BTreeSet<_> = listed["expenses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|expense| expense["cents"].as_i64().unwrap())
        .collect();
    assert_eq!(found, (1..=40).collect());
    assert_eq!(listed["count"], 40);
}

#[tokio::test]
async fn no_sub_leads_out_of_the_directory() {
    let server = Server::start().await;
    let long = "x".repeat(4_000);
    let subs =
        ["../../escaped", "/etc/escaped", "..", ".", "a/b", "a\\b", "nul\0", "con", "a.json", "é", &long];
    for sub in subs {
        let mut claims = server.claims(ALICE);
        claims["sub"] = sub.into();
        let client = Client::connect(&server.audience, &token(&claims), initialize()).await;
        client.add("travel", 100).await;
        assert_eq!(client.list().await["count"], 1, "{sub:?} has a file of its own");
    }
    let names: Vec<String> = std::fs::read_dir(server.data.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .inspect(|entry| assert!(entry.file_type().unwrap().is_file()))
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert_eq!(names.len(), subs.len());
    for name in names {
        let hash = name.strip_suffix(".json").unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_said_in_words_and_left_as_it_is() {
    let server = Server::start().await;
    let client = server.client(ALICE).await;
    client.add("travel", 100).await;
    let file = std::fs::read_dir(server.data.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "json"))
        .unwrap();
    std::fs::write(&file, "[{\"date\":").unwrap();
    for (tool, arguments) in [("list_expenses", json!({})), ("add_expense", expense("travel", 100))] {
        let said = client.call(tool, arguments).await.unwrap_err();
        assert_eq!(said, "The ledger cannot be reached just now. Try again later.");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "[{\"date\":");
    server.client(BOB).await.add("meals", 100).await;
}
