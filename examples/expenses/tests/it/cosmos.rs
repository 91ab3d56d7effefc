//! The ledger in Cosmos DB, and the program with it.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Json;
use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use expenses::CosmosLedger;
use expenses::managed_identity;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::support::cosmos::CONTAINER;
use crate::support::cosmos::Cosmos;
use crate::support::cosmos::DATABASE;
use crate::support::cosmos::is_query;
use crate::support::issuer::ALICE;
use crate::support::issuer::BOB;
use crate::support::issuer::Issuer;
use crate::support::issuer::TENANT;
use crate::support::issuer::now;
use crate::support::issuer::token;
use crate::support::server::Client;
use crate::support::server::Server;
use crate::support::server::discover;
use crate::support::server::expense;

const AWAY: &str = "The ledger cannot be reached just now. Try again later.";
const IDENTITY: &str = "12345678-1234-4234-8234-123456789012";

#[tokio::test]
async fn two_people_are_apart_and_only_the_callers_partition_is_asked() {
    let cosmos = Cosmos::start().await;
    let server = Server::over(cosmos.ledger()).await;
    let (alice, bob) = (server.client(ALICE).await, server.client(BOB).await);
    alice.add("travel", 12000).await;
    bob.add("meals", 950).await;
    assert_eq!(bob.list().await["count"], 1);
    cosmos.asked();
    let hers = alice.list().await;
    assert_eq!((&hers["count"], &hers["expenses"][0]["category"]), (&json!(1), &json!("travel")));
    let queries: Vec<_> = cosmos.asked().into_iter().filter(|asked| is_query(&asked.headers)).collect();
    assert!(!queries.is_empty());
    for query in queries {
        let partition = query.headers["x-ms-documentdb-partitionkey"].to_str().unwrap();
        assert_eq!(partition, format!("[\"{TENANT}:{ALICE}\"]"), "{}", query.what);
    }
}

#[tokio::test]
async fn all_are_there_in_the_order_in_which_they_were_added_on_however_many_pages() {
    let cosmos = Cosmos::start().await;
    let server = Server::over(cosmos.ledger()).await;
    let client = server.client(ALICE).await;
    for cents in 1..=130 {
        client.add("travel", cents).await;
    }
    let listed = client.call("list_expenses", json!({ "limit": 200 })).await.unwrap();
    let found: Vec<_> = listed["expenses"].as_array().unwrap().iter().map(|e| e["cents"].as_i64()).collect();
    assert_eq!(found, (1..=130).rev().map(Some).collect::<Vec<_>>(), "of one day, the latest first");
}

#[tokio::test]
async fn a_second_process_sees_what_the_first_has_added() {
    let cosmos = Cosmos::start().await;
    let server = Server::over(cosmos.ledger()).await;
    let (url, replica) = server.replica_over(cosmos.ledger()).await;
    let here = server.client(ALICE).await;
    let there = Client::connect(&url, &server.token(ALICE), discover()).await;
    let mut known = Vec::new();
    for cents in 1..=10 {
        let (one, other) = if cents % 2 == 0 { (&here, &there) } else { (&there, &here) };
        known.insert(0, one.add("travel", cents).await);
        assert_eq!(other.list().await, json!({ "count": cents, "expenses": known }));
    }
    replica.abort();
}

#[tokio::test]
async fn what_is_stored_is_the_expense_with_whose_it_is_and_by_what_right() {
    let cosmos = Cosmos::start().await;
    let server = Server::over(cosmos.ledger()).await;
    let mut new = expense("travel", 1250);
    new["note"] = json!("To Rome");
    let began = now();
    server.client(ALICE).await.call("add_expense", new).await.unwrap();
    let [document] = <[Value; 1]>::try_from(cosmos.documents().await).unwrap();
    let mut document = document.as_object().unwrap().clone();
    document.retain(|name, _| !name.starts_with('_'));
    let added = document.remove("added").unwrap().as_u64().unwrap();
    assert!((began * 1_000_000..=(now() + 1) * 1_000_000).contains(&added), "{added}");
    assert_eq!(document.remove("id").unwrap().as_str().unwrap().len(), 36);
    assert_eq!(
        Value::Object(document),
        json!({
            "sub": format!("{TENANT}:{ALICE}"), "scope": "mcp.read mcp.write", "client_id": "client-one",
            "date": "2026-03-01", "cents": 1250, "currency": "EUR", "category": "travel", "note": "To Rome",
        })
    );
}

#[tokio::test]
async fn what_is_sent_again_because_its_answer_was_lost_is_added_once() {
    let cosmos = Cosmos::start().await;
    let server = Server::over(cosmos.ledger()).await;
    let client = server.client(ALICE).await;
    client.add("travel", 1).await;
    cosmos.lose_an_answer();
    client.add("travel", 2).await;
    assert_eq!(cosmos.answers_to_lose(), 0);
    assert_eq!(client.list().await["count"], 2);
}

#[tokio::test]
async fn cosmos_db_may_be_away_at_the_start_and_in_between() {
    let cosmos = Cosmos::start().await;
    cosmos.away(true);
    let server = Server::over(cosmos.ledger()).await;
    let client = server.client(ALICE).await;
    for _ in 0..2 {
        for (tool, arguments) in [("list_expenses", json!({})), ("add_expense", expense("travel", 100))] {
            assert_eq!(client.call(tool, arguments).await.unwrap_err(), AWAY);
        }
        client.call("whoami", json!({})).await.unwrap();
        cosmos.away(false);
        client.add("travel", 100).await;
        client.list().await;
        cosmos.away(true);
    }
    cosmos.away(false);
    assert_eq!(client.list().await["count"], 2);
}

#[tokio::test]
async fn a_token_goes_to_https_or_to_loopback() {
    let made = |endpoint: &str| {
        CosmosLedger::new(endpoint, DATABASE, CONTAINER, managed_identity(None).unwrap()).map(drop)
    };
    for good in ["https://example.documents.azure.com:443/", "http://127.0.0.1:8081", "http://localhost:1"] {
        assert_eq!(made(good), Ok(()), "{good}");
    }
    for bad in ["http://example.documents.azure.com/", "http://localhost.example.com", "ftp://127.0.0.1/"] {
        assert_eq!(made(bad).unwrap_err(), "It has to begin with https://, except on loopback.", "{bad}");
    }
    assert!(made("example").unwrap_err().starts_with("It is no URL."));
}

#[tokio::test]
async fn the_program_keeps_expenses_there_by_its_managed_identity() {
    let cosmos = Cosmos::start().await;
    let (issuer, asked) = (Issuer::start().await, Arc::default());
    let identity = identity_endpoint(Arc::clone(&asked)).await;
    let audience = "http://expenses.test/mcp";
    // None of the three is reached through a proxy.
    let program = Program::start(&[
        ("EXPENSES_ISSUER", &issuer.url),
        ("EXPENSES_AUDIENCE", audience),
        ("EXPENSES_COSMOS_ENDPOINT", cosmos.endpoint()),
        ("EXPENSES_COSMOS_DATABASE", DATABASE),
        ("EXPENSES_COSMOS_CONTAINER", CONTAINER),
        ("EXPENSES_MANAGED_IDENTITY", IDENTITY),
        ("IDENTITY_ENDPOINT", &identity),
        ("IDENTITY_HEADER", "header-0012345"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("ALL_PROXY", "http://127.0.0.1:9"),
    ])
    .await;
    assert!(cosmos.asked().is_empty(), "nobody has called yet");
    let client = Client::connect(&program.url, &token(&issuer.claims(audience, ALICE)), discover()).await;
    let added = client.add("travel", 100).await;
    assert_eq!(client.list().await, json!({ "count": 1, "expenses": [added] }));
    let asked = asked.lock().unwrap().clone();
    let [asked] = asked.as_slice() else { panic!("one token does for everything: {asked:?}") };
    assert!(
        asked.contains(&format!("client_id={IDENTITY}")) && asked.ends_with(" header-0012345"),
        "{asked}"
    );
    for request in cosmos.asked() {
        let authorization = request.headers["authorization"].to_str().unwrap();
        assert_eq!(authorization, "type%3Daad%26ver%3D1.0%26sig%3Dthe-token", "{}", request.what);
    }
}

/// What Container Apps have beside a program: tokens of its managed identity.
async fn identity_endpoint(asked: Arc<Mutex<Vec<String>>>) -> String {
    async fn answer(State(asked): State<Arc<Mutex<Vec<String>>>>, request: Request) -> Json<Value> {
        let header = request.headers()["x-identity-header"].to_str().unwrap();
        asked.lock().unwrap().push(format!("{} {header}", request.uri()));
        Json(json!({
            "access_token": "the-token", "expires_on": (now() + 3_600).to_string(),
            "resource": "https://cosmos.azure.com", "token_type": "Bearer",
        }))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(asked);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/msi/token")
}

/// The program, listening.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_expenses"));
        command.env_clear().envs(variables.iter().copied());
        command.env("EXPENSES_LISTEN", "127.0.0.1:0").env("NO_COLOR", "1").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(|line| line.unwrap());
        let (line, lines) = spawn_blocking(move || {
            let line = lines.find(|line| line.contains("listening"));
            (line.expect("the program listens"), lines)
        })
        .await
        .unwrap();
        // Shown with a test that fails; unread, they would stop the program at some time.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
        let address = line.split_once("address=").unwrap().1.split(' ').next().unwrap();
        Self { child, url: format!("http://{address}/mcp") }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
