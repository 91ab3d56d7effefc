//! Scopes for single tools.

use axum::body::Body;
use axum::http::Request;
use entrada::domain::event::EventName;
use entrada::domain::forwarding::Forwarding;
use entrada::domain::resource::Resource;
use entrada::domain::tools::ImpliedScopes;
use entrada::domain::tools::ToolPattern;
use entrada::domain::tools::ToolScopes;
use entrada::protocol::scope::Scopes;

use crate::gateway::stand::Stand;
use crate::support::browser::Browser;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Answer;

/// So that a body is read before it goes on.
pub fn every_tool_needs_a_scope(resource: &mut Resource) {
    resource.forwarding.tools = ToolScopes(vec![(ToolPattern::new("*"), Scopes::parse("mcp.read"))]);
}

fn rules(resource: &mut Resource) {
    let rule = |pattern, scopes| (ToolPattern::new(pattern), Scopes::parse(scopes));
    let tools = ToolScopes(vec![rule("*", "mcp.read"), rule("delete_*", "mcp.write")]);
    resource.forwarding = Forwarding { tools, body_limit: 4096, ..Forwarding::default() };
    resource.implied = ImpliedScopes(vec![("mcp.write".to_owned(), Scopes::parse("mcp.read"))]);
    resource.default_scopes = Scopes::parse("mcp.read");
}

async fn with_scope(stand: &Stand, scope: &str) -> Tokens {
    let authorize = stand.client.authorize(&[("scope", scope)]);
    let back = Browser::default().sign_in(&stand.entrada, &authorize).await;
    Tokens::of(&stand.client.redeem(&stand.entrada, &code_of(&back)).await)
}

fn call(tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#)
}

async fn post(stand: &Stand, tokens: &Tokens, headers: &[(&str, &str)], body: &str) -> Answer {
    let json = [("content-type", "application/json")];
    stand.post(&tokens.access, "/mcp", &[&json, headers].concat(), body.to_owned()).await
}

#[tokio::test]
async fn a_call_without_its_scope_is_told_all_that_it_needs_and_gets_it_by_asking_for_that() {
    let stand = Stand::with(rules).await;
    let reader = with_scope(&stand, "mcp.read").await;
    assert_eq!(post(&stand, &reader, &[], &call("list")).await.status, 200);
    stand.upstream.arrived();
    let answer = post(&stand, &reader, &[], &call("delete_all")).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (403, "insufficient_scope"));
    let challenge = answer.header("www-authenticate").to_owned();
    assert!(challenge.contains("scope=\"mcp.read mcp.write\""), "{challenge}");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("resource_metadata=\"https://mcp.example.com/.well-known/"), "{challenge}");
    assert!(stand.upstream.arrived().is_empty());
    let event = stand.entrada.events.last(EventName::RequestRefused).unwrap();
    assert_eq!((event.reason, event.status), (Some("insufficient_scope"), Some(403)));
    assert_eq!(event.scope.as_deref(), Some("mcp.read mcp.write"));
    assert!(event.subject.is_some_and(|subject| subject.ends_with(":0a1c0de0-0000-4000-8000-000000000001")));
    assert!(event.client.is_some());
    let writer = with_scope(&stand, "mcp.read mcp.write").await;
    assert_eq!(post(&stand, &writer, &[], &call("delete_all")).await.status, 200);
}

#[tokio::test]
async fn what_is_implied_is_granted_consented_to_and_told() {
    let stand = Stand::with(rules).await;
    let writer = with_scope(&stand, "mcp.write").await;
    assert_eq!(writer.scope, "mcp.write mcp.read");
    for tool in ["list", "delete_all"] {
        assert_eq!(post(&stand, &writer, &[], &call(tool)).await.status, 200, "{tool}");
    }
}

#[tokio::test]
async fn a_batch_is_judged_by_each_of_its_calls() {
    let stand = Stand::with(rules).await;
    let reader = with_scope(&stand, "mcp.read").await;
    let batch = format!("[{},{}]", call("list"), call("delete_one"));
    assert_eq!(post(&stand, &reader, &[], &batch).await.status, 403);
    let batch = format!("[{},{}]", call("list"), call("show"));
    assert_eq!(post(&stand, &reader, &[], &batch).await.status, 200);
    assert_eq!(stand.upstream.arrived().len(), 1);
}

#[tokio::test]
async fn headers_refuse_a_call_and_let_none_through() {
    let stand = Stand::with(rules).await;
    let reader = with_scope(&stand, "mcp.read").await;
    let (method, name) = ("mcp-method", "mcp-name");
    let calls = |tool| [(method, "tools/call"), (name, tool)];
    let list = call("list");
    assert_eq!(post(&stand, &reader, &calls("list"), &list).await.status, 200);
    assert_eq!(post(&stand, &reader, &calls("=?base64?bGlzdA==?="), &list).await.status, 200);
    assert_eq!(post(&stand, &reader, &calls("delete_all"), &list).await.status, 403, "before the body");
    stand.upstream.arrived();
    for (headers, body) in [
        (&calls("list")[..], call("delete_all")),
        (&calls("list"), call("other")),
        (&[(method, "tools/list")], list.clone()),
        (&[(name, "other")], list.clone()),
        (&[(method, "tools/call"), (method, "tools/call"), (name, "list")], list.clone()),
        (&calls("=?base64?%?="), list.clone()),
        (&calls("list"), format!("[{list},{list}]")),
    ] {
        let answer = post(&stand, &reader, headers, &body).await;
        assert_eq!(answer.status, 400, "{headers:?} {body}");
        assert_eq!(answer.json()["error"]["code"], -32020, "{headers:?} {body}");
    }
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_or_not_at_all_is_refused() {
    let stand = Stand::with(rules).await;
    let reader = with_scope(&stand, "mcp.read").await;
    for body in [
        r#"{"method":"tools/list","method":"tools/call","params":{"name":"delete_all"}}"#,
        r#"{"method":"tools/call","Params":{"name":"delete_all"},"params":{"name":"list"}}"#,
        r#"{"method":"tools/call","params":{"name":"list","NAME":"delete_all"}}"#,
        r#"{"method":"tools/call\u0000","params":{"name":"delete_all"}}"#,
        "not json",
        "[]x",
    ] {
        assert_eq!(post(&stand, &reader, &[], body).await.status, 400, "{body}");
    }
    for headers in [
        &[("content-encoding", "gzip"), ("content-type", "application/json")][..],
        &[("content-encoding", "identity"), ("content-encoding", "br"), ("content-type", "application/json")],
        &[("content-type", "application/json; charset=utf-7")],
        &[("content-type", "application/json; charset=shift_jis")],
        &[("content-type", "application/json"), ("content-type", "application/json; charset=utf-16")],
        &[("content-type", "text/plain")],
        &[],
    ] {
        let answer = stand.post(&reader.access, "/mcp", headers, call("list")).await;
        assert_eq!(answer.status, 415, "{headers:?}");
    }
    assert_eq!(post(&stand, &reader, &[], "").await.status, 400, "nothing is no message");
    let empty = [("mcp-method", "tools/call"), ("mcp-name", "delete_all")];
    assert_eq!(
        post(&stand, &reader, &empty, "").await.status,
        403,
        "what a header asks counts without a body"
    );
    let token = format!("Bearer {}", reader.access);
    let get =
        Request::get("/mcp").header("authorization", token).body(Body::from(call("delete_all"))).unwrap();
    assert_eq!(stand.entrada.send(get).await.status, 400, "nobody would judge it");
    for kind in ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json;"] {
        let answer = stand.post(&reader.access, "/mcp", &[("content-type", kind)], call("list")).await;
        assert_eq!(answer.status, 200, "{kind}");
    }
    stand.upstream.arrived();
    let long = format!(r#"{{"method":"ping","x":"{}"}}"#, "x".repeat(5_000));
    assert_eq!(post(&stand, &reader, &[], &long).await.status, 413);
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn without_rules_nothing_is_read_of_a_body() {
    let stand = Stand::new().await;
    assert_eq!(post(&stand, &stand.tokens, &[("content-encoding", "gzip")], "not json").await.status, 200);
    assert_eq!(stand.upstream.arrived().remove(0).body, "not json");
}

/// A server that knows better: its challenge is about a token that the client does not have.
#[tokio::test]
async fn a_server_that_asks_for_scopes_asks_in_our_name() {
    let stand = Stand::with(rules).await;
    let reader = with_scope(&stand, "mcp.read").await;
    let challenge = "Bearer realm=\"x\", error=\"insufficient_scope\", scope=\"mcp.write other.scope\"";
    stand.upstream.answers(403, &[("www-authenticate", challenge)]);
    let answer = post(&stand, &reader, &[], &call("list")).await;
    assert_eq!(answer.status, 403);
    let ours = answer.header("www-authenticate");
    assert!(ours.contains("scope=\"mcp.read mcp.write\"") && !ours.contains("other.scope"), "{ours}");
    stand.upstream.answers(403, &[("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"x\"")]);
    let answer = post(&stand, &reader, &[], &call("list")).await;
    assert_eq!((answer.body.as_str(), answer.header("www-authenticate")), ("upstream says hello", ""));
    // Who has them would ask for the same again and again.
    stand.upstream.answers(403, &[("www-authenticate", challenge)]);
    let writer = with_scope(&stand, "mcp.write").await;
    let answer = post(&stand, &writer, &[], &call("list")).await;
    assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (403, ""));
}

/// MCP 2026-07-28 names tasks by headers as well, of which no rule is about any.
#[tokio::test]
async fn names_that_no_rule_is_about_are_left_alone() {
    let stand = Stand::with(rules).await;
    let reader = with_scope(&stand, "mcp.read").await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t1"}}"#;
    let headers = [("mcp-method", "tasks/get"), ("mcp-name", "t1")];
    assert_eq!(post(&stand, &reader, &headers, body).await.status, 200);
}
