//! How much one person and one client may ask; which pages and under which names.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use entrada::domain::limits::Limits;
use entrada::domain::limits::Rate;
use tower::ServiceExt;

use crate::gateway::stand::Stand;
use crate::support::client::Client;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;

fn rate(count: u32) -> Option<Rate> {
    Some(Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_mins(1) })
}

async fn with(limits: Limits) -> Stand {
    let Stand { entrada, upstream, course, client, tokens } = Stand::new().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let entrada = entrada.again(Setup { limits, resources, ..Setup::default() }).await;
    Stand { entrada, upstream, course, client, tokens }
}

#[tokio::test]
async fn a_person_who_asks_too_often_waits_and_nobody_else_does() {
    let stand = with(Limits { per_user: rate(3), ..Limits::default() }).await;
    stand.entrada.script.person(1);
    let ben = stand.client.tokens(&stand.entrada).await;
    for _ in 0..3 {
        assert_eq!(stand.call().await.status, 200);
    }
    let answer = stand.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "20"));
    assert_eq!(stand.call_with(&ben.access, "/mcp", &[]).await.status, 200);
    stand.entrada.advance(19);
    assert_eq!(stand.call().await.status, 429);
    stand.entrada.advance(1);
    assert_eq!(stand.call().await.status, 200);
    assert_eq!(stand.upstream.arrived().len(), 5);
}

#[tokio::test]
async fn a_client_is_counted_for_all_of_its_people_together() {
    let stand = with(Limits { per_client: rate(2), ..Limits::default() }).await;
    stand.entrada.script.person(1);
    let ben = stand.client.tokens(&stand.entrada).await;
    let other = Client::register_with(&stand.entrada, serde_json::json!({ "client_name": "Another" })).await;
    let elsewhere = other.tokens(&stand.entrada).await;
    assert_eq!(stand.call().await.status, 200);
    assert_eq!(stand.call_with(&ben.access, "/mcp", &[]).await.status, 200);
    assert_eq!(stand.call().await.status, 429);
    assert_eq!(stand.call_with(&ben.access, "/mcp", &[]).await.status, 429);
    assert_eq!(stand.call_with(&elsewhere.access, "/mcp", &[]).await.status, 200);
}

#[tokio::test]
async fn so_many_requests_of_one_person_are_open_and_no_more() {
    let stand = with(Limits { open_per_user: 2, ..Limits::default() }).await;
    stand.entrada.script.person(1);
    let ben = stand.client.tokens(&stand.entrada).await;
    let open = || async {
        let request =
            Request::post("/mcp").header("authorization", format!("Bearer {}", stand.tokens.access));
        stand.entrada.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let held = [open().await, open().await];
    assert_eq!(held.each_ref().map(|answer| answer.status().as_u16()), [200, 200]);
    let answer = stand.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "5"));
    assert_eq!(stand.call_with(&ben.access, "/mcp", &[]).await.status, 200);
    stand.entrada.advance(3_000);
    assert_eq!(stand.call().await.status, 429, "what is open is counted however old it is");
    drop(held);
    for _ in 0..5 {
        assert_eq!(stand.call().await.status, 200, "one that has ended is not counted");
    }
}

#[tokio::test]
async fn only_the_pages_of_the_list_may_ask() {
    let origins = Some(vec!["https://app.example.com".to_owned()]);
    let stand = Stand::with(|resource| resource.forwarding.origins = origins).await;
    for (sent, status) in [
        (&["https://app.example.com"][..], 200),
        (&[], 200),
        (&["https://app.example.com.evil.net"], 403),
        (&["http://app.example.com"], 403),
        (&["null"], 403),
        (&["https://app.example.com", "https://evil.net"], 403),
    ] {
        let headers: Vec<_> = sent.iter().map(|origin| ("origin", *origin)).collect();
        assert_eq!(stand.call_with(&stand.tokens.access, "/mcp", &headers).await.status, status, "{sent:?}");
    }
    assert!(stand.upstream.arrived().iter().all(|arrived| !arrived.headers.contains_key("origin")));
    let anybody = Stand::new().await;
    let page = [("origin", "https://elsewhere.example.net")];
    assert_eq!(anybody.call_with(&anybody.tokens.access, "/mcp", &page).await.status, 200);
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_not_answered() {
    let stand = Stand::new().await;
    for (host, status) in [
        ("mcp.example.com", 200),
        ("MCP.example.com", 200),
        ("mcp.example.com:443", 200),
        ("mcp.example.com:8443", 421),
        ("mcp.example.com.evil.net", 421),
        ("evil.net", 421),
        ("127.0.0.1", 421),
        ("localhost", 421),
        ("mcp.example.com.", 421),
        ("x@mcp.example.com", 421),
        ("", 421),
    ] {
        let answer = stand.call_with(&stand.tokens.access, "/mcp", &[("host", host)]).await;
        assert_eq!(answer.status, status, "{host}");
    }
    for target in ["/authorize?client_id=x", "/.well-known/oauth-authorization-server", "/nowhere"] {
        let request = Request::get(target).header("host", "evil.net").body(Body::empty()).unwrap();
        assert_eq!(stand.entrada.send(request).await.status, 421, "{target}");
    }
    let request = Request::post("/token").header("host", "evil.net").body(Body::empty()).unwrap();
    assert_eq!(stand.entrada.send(request).await.status, 421);
    let two = Request::post("/mcp").header("host", "mcp.example.com").header("host", "evil.net");
    let two = two.header("authorization", format!("Bearer {}", stand.tokens.access));
    assert_eq!(stand.entrada.send(two.body(Body::empty()).unwrap()).await.status, 421);
    assert!(stand.entrada.log.text().contains("name=\"evil.net\""), "the operator reads which name it was");
    let probe = Request::get("/healthz/live").header("host", "10.0.0.7:8000");
    let answer = stand.entrada.send(probe.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "probes ask by address");
}
