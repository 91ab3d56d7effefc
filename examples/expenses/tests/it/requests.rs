//! Each request stands for itself.

use reqwest::Method;
use serde_json::Value;
use serde_json::json;

use crate::support::issuer::ALICE;
use crate::support::issuer::BOB;
use crate::support::issuer::now;
use crate::support::issuer::token;
use crate::support::server::Server;
use crate::support::server::expense;

async fn content(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    body["result"]["structuredContent"].clone()
}

#[tokio::test]
async fn there_is_no_session_to_take_over() {
    let server = Server::start().await;
    let (alice, bob) = (server.token(ALICE), server.token(BOB));
    let handshake = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let request = server.request(Method::POST).bearer_auth(&alice).body(handshake.to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert!(!response.headers().contains_key("mcp-session-id"));

    let session = |request: reqwest::RequestBuilder| request.header("mcp-session-id", "of-alice");
    content(session(server.post(&alice, "add_expense", &expense("travel", 100)))).await;
    let his = content(session(server.post(&bob, "list_expenses", &json!({})))).await;
    assert_eq!(his["count"], 0, "the token of the request decides, not the session that it names");
    for method in [Method::GET, Method::DELETE] {
        let response = session(server.request(method)).bearer_auth(&alice).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 405);
    }
}

#[tokio::test]
async fn a_connection_does_not_outlive_its_token() {
    let server = Server::start().await;
    let http = reqwest::Client::new();
    let mut claims = server.claims(ALICE);
    for (exp, status) in [(now() + 300, 200), (now() - 70, 401), (now() + 300, 200)] {
        claims["exp"] = exp.into();
        let request = server.post(&token(&claims), "whoami", &json!({})).build().unwrap();
        assert_eq!(http.execute(request).await.unwrap().status().as_u16(), status);
    }
}

#[tokio::test]
async fn only_known_hosts_are_answered() {
    let server = Server::start().await;
    let token = server.token(ALICE);
    let port = server.audience.rsplit(':').next().unwrap().trim_end_matches("/mcp");
    let own = format!("127.0.0.1:{port}");
    for (host, status) in [("rebound.example", 403), ("localhost:1", 200), (&own, 200)] {
        let request = server.post(&token, "whoami", &json!({})).header("host", host);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn a_body_that_no_expense_needs_is_refused() {
    let server = Server::start().await;
    let huge = json!({ "note": "x".repeat(70_000) });
    let response = server.post(&server.token(ALICE), "add_expense", &huge).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 413);
}
