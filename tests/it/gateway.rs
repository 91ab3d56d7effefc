//! The gateway: who gets through, what crosses it, and what never does.

mod hostile;
mod identity;
mod keys;
mod limits;
mod policy;
mod sessions;
mod shared;
mod silence;
mod stand;
mod streams;
mod tools;
mod upstream_answers;
mod wire;

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;

use crate::gateway::stand::Stand;
use crate::support::entrada::ISSUER;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::domain::event::EventName;
use serde_json::Value;

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn without_a_token_the_challenge_leads_to_the_metadata_and_names_the_scopes() {
    let stand = Stand::new().await;
    for request in
        [Request::get("/mcp"), Request::post("/mcp"), Request::delete("/mcp"), Request::post("/mcp/below")]
    {
        let answer = stand.entrada.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.header("www-authenticate"),
            format!(
                "Bearer resource_metadata=\"{ISSUER}/.well-known/oauth-protected-resource/mcp\", scope=\"mcp.read mcp.write\""
            )
        );
    }
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn the_upstream_learns_who_calls_and_nothing_that_the_caller_claims() {
    let stand = Stand::new().await;
    let smuggled = [
        ("cookie", "session=stolen"),
        ("x-entrada-oid", "somebody-else"),
        ("x_entrada_oid", "somebody-else"),
        ("x-ms-client-principal-id", "somebody-else"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("proxy-authorization", "Basic c3RvbGVu"),
        ("connection", "x-secret-hop"),
        ("x-secret-hop", "1"),
        ("origin", "https://app.example.net"),
        ("accept", "text/event-stream"),
    ];
    let answer = stand.call_with(&stand.tokens.access, "/mcp?cursor=1", &smuggled).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "upstream says hello"));
    let arrived = stand.upstream.arrived().remove(0);
    assert_eq!((arrived.method.as_str(), arrived.target.as_str()), ("POST", "/mcp?cursor=1"));
    assert_eq!(arrived.body, "{\"jsonrpc\":\"2.0\"}");
    for (name, _) in &smuggled[..10] {
        assert!(!arrived.headers.contains_key(*name), "{name} travelled upstream");
    }
    assert_eq!(arrived.headers["accept"], "text/event-stream");
    let token = arrived.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (theirs, ours) = (claims(token), claims(&stand.tokens.access));
    assert_eq!(theirs["aud"], stand.upstream.url.as_str());
    assert_eq!(theirs["exp"].as_i64().unwrap() - theirs["iat"].as_i64().unwrap(), 300);
    for claim in ["iss", "sub", "oid", "tid", "sid", "client_id", "scope", "name"] {
        assert_eq!(theirs[claim], ours[claim], "{claim}");
    }
    assert_ne!(theirs["jti"], ours["jti"]);
}

#[tokio::test]
async fn the_downstream_token_is_signed_once_and_anew_before_it_expires() {
    let stand = Stand::new().await;
    let mut seen = Vec::new();
    for seconds in [0, 1, 239, 1] {
        stand.entrada.advance(seconds);
        stand.call().await;
        seen.push(stand.upstream.arrived().remove(0).headers["authorization"].clone());
    }
    assert_eq!((&seen[0], &seen[0]), (&seen[1], &seen[2]));
    assert_ne!(seen[2], seen[3], "less than a minute was left");
}

/// Whoever has been known a moment ago does not wait for a store that hangs, but for the one who asks it.
#[tokio::test]
async fn while_one_request_asks_the_store_the_others_go_on() {
    let stand = Stand::new().await;
    assert_eq!(stand.call().await.status, 200);
    stand.entrada.advance(21);
    // It answers the first when a second asks, and there is none.
    stand.course.gather(2);
    let mut first = pin!(stand.call());
    for _ in 0..5 {
        let second = async {
            // Everybody has had a turn: the first is there and asks.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            tokio::time::timeout(Duration::from_secs(20), stand.call()).await
        };
        tokio::select! {
            biased;
            answer = &mut first => panic!("the store has answered: {}", answer.status),
            answer = second => assert_eq!(answer.expect("it waits for the store").status, 200),
        }
    }
    stand.entrada.advance(5);
    let late = stand.call();
    tokio::select! {
        biased;
        _ = late => panic!("what is known is too old by now"),
        () = async { for _ in 0..200 { tokio::task::yield_now().await } } => {}
    }
}

#[tokio::test]
async fn a_request_has_one_name_on_both_sides() {
    let stand = Stand::new().await;
    let theirs = [("x-request-id", "theirs"), ("connection", "x-request-id")];
    let answer = stand.call_with(&stand.tokens.access, "/mcp", &theirs).await;
    let arrived = stand.upstream.arrived().remove(0);
    assert_eq!(arrived.headers["x-request-id"].to_str().unwrap(), answer.header("x-request-id"));
    assert_ne!(answer.header("x-request-id"), "theirs");
}

#[tokio::test]
async fn nothing_that_speaks_for_the_origin_comes_down() {
    let stand = Stand::new().await;
    let unwanted = [
        ("set-cookie", "__Host-entrada=planted; Path=/; Secure"),
        ("clear-site-data", "\"*\""),
        ("service-worker-allowed", "/"),
        ("strict-transport-security", "max-age=0"),
        ("access-control-allow-origin", "https://elsewhere.example.net"),
        ("access-control-expose-headers", "x-internal"),
        ("access-control-allow-credentials", "true"),
        ("www-authenticate", "Bearer realm=\"elsewhere\""),
        ("server", "internal-7.example.net"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("cdn-cache-control", "public, max-age=600"),
        ("surrogate-control", "content=\"ESI/1.0\""),
        ("x-accel-redirect", "/internal/secrets"),
        ("x-sendfile", "/etc/passwd"),
        ("x-envoy-immediate-health-check-fail", "1"),
        ("use-as-dictionary", "match=\"/*\""),
        ("secure-session-registration", "(ES256);path=\"/x\""),
        ("link", "</x>; rel=preload"),
        ("expires", "Thu, 01 Jan 2037 00:00:00 GMT"),
        ("x-not-invented-yet", "1"),
    ];
    let wanted = [
        ("mcp-protocol-version", "2026-07-28"),
        ("content-type", "text/html"),
        ("retry-after", "7"),
        ("etag", "\"1\""),
    ];
    stand.upstream.answers(200, &[&unwanted[..], &wanted[..]].concat());
    let answer = stand.call().await;
    for (name, value) in unwanted {
        assert!(!answer.headers.get_all(name).iter().any(|held| held == value), "{name} came down");
    }
    for (name, value) in wanted {
        assert!(answer.headers.get_all(name).iter().any(|held| held == value), "{name} did not come down");
    }
    assert_eq!(answer.header("content-security-policy"), "sandbox");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// Each would let some cache keep what was given for one token.
#[tokio::test]
async fn nobody_is_told_to_keep_an_answer() {
    let stand = Stand::new().await;
    for told in [
        &["private, max-age=31536000, immutable"][..],
        &["public, s-maxage=600, x-private=1"],
        &["public, max-age=600, private=\"x-foo\""],
        &["private", "public, s-maxage=600"],
    ] {
        let headers: Vec<_> = told.iter().map(|value| ("cache-control", *value)).collect();
        stand.upstream.answers(200, &headers);
        let answer = stand.call().await;
        let kept: Vec<_> = answer.headers.get_all("cache-control").iter().collect();
        assert_eq!(kept, ["no-store"], "{told:?}");
    }
}

#[tokio::test]
async fn a_path_cannot_climb_out_of_its_resource() {
    let stand = Stand::new().await;
    for target in
        ["/mcp/../admin", "/mcp/%2e%2e/admin", "/mcp/a/.%2E/b", "/mcp/a%2fb", "/mcp/a%5Cb", "/mcp/./a"]
    {
        assert_eq!(stand.call_with(&stand.tokens.access, target, &[]).await.status, 400, "{target}");
    }
    assert_eq!(stand.call_with(&stand.tokens.access, "/mcpx", &[]).await.status, 404);
    assert!(stand.upstream.arrived().is_empty());
    stand.call_with(&stand.tokens.access, "/mcp/sub/path?x=%2F..", &[]).await;
    assert_eq!(stand.upstream.arrived()[0].target, "/mcp/sub/path?x=%2F..");
}

#[tokio::test]
async fn two_credentials_in_one_request_are_refused() {
    let stand = Stand::new().await;
    let answer = stand.call_with(&stand.tokens.access, "/mcp", &[("authorization", "Bearer other")]).await;
    assert_eq!(answer.status, 400);
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn altered_expired_and_revoked_tokens_are_refused_with_a_reason() {
    let stand = Stand::new().await;
    let token = stand.tokens.access.clone();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = claims(&token);
    let mut forged = other.clone();
    forged["oid"] = "somebody-else".into();
    let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(forged.to_string()));
    let none = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#));
    let crit = format!(
        "{}.{payload}.{signature}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","crit":["exp"],"typ":"at+jwt"}"#)
    );
    let truncated = &token[..token.len() - 2];
    let long = "a".repeat(20_000);
    for bad in [forged.as_str(), &none, &crit, truncated, "garbage", "", &long] {
        let answer = stand.call_with(bad, "/mcp", &[]).await;
        assert_eq!(answer.status, 401);
    }
    stand.entrada.advance(3_600);
    let answer = stand.call().await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").contains("The access token has expired."));
    assert!(stand.upstream.arrived().is_empty());
}

#[tokio::test]
async fn a_revocation_bites_at_once_here_and_within_30_seconds_elsewhere() {
    let stand = Stand::new().await;
    let other = stand.entrada.replica().await;
    let there = |token: String| {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
        stand.entrada.send_to(&other, request.body(Body::empty()).unwrap())
    };
    let token = stand.tokens.access.clone();
    assert_eq!(there(token.clone()).await.status, 200);
    let form = [("client_id", stand.client.id.as_str()), ("token", &stand.tokens.refresh)];
    assert_eq!(stand.entrada.post_form("/revoke", &form).await.status, 200);
    assert_eq!(stand.call().await.status, 401);
    stand.entrada.advance(19);
    assert_eq!(there(token.clone()).await.status, 200, "its last look at the grant is still good");
    stand.entrada.advance(1);
    assert_eq!(there(token).await.status, 401);
}

#[tokio::test]
async fn the_hot_path_reads_the_grant_once_in_20_seconds_and_goes_on_while_the_store_is_away() {
    let stand = Stand::new().await;
    stand.course.counts();
    for _ in 0..5 {
        assert_eq!(stand.call().await.status, 200);
    }
    assert_eq!(stand.course.counts(), (0, 0), "redeeming the code told this replica that the grant is alive");
    stand.entrada.advance(21);
    for _ in 0..5 {
        assert_eq!(stand.call().await.status, 200);
    }
    assert_eq!(stand.course.counts(), (2, 0), "the grant, and who is blocked");
    stand.course.away(true);
    stand.entrada.advance(600);
    assert_eq!(stand.call().await.status, 200, "the last known state holds");
    let fresh = stand.entrada.replica_while_away(&stand.course).await;
    let request = Request::post("/mcp").header("authorization", format!("Bearer {}", stand.tokens.access));
    let answer = stand.entrada.send_to(&fresh, request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, "5"),
        "never 401 for a good token"
    );
    stand.entrada.advance(3_600);
    assert_eq!(stand.call().await.status, 401, "at most until the token expires");
}

#[tokio::test]
async fn a_token_in_the_query_is_a_second_credential_and_never_travels_on() {
    let stand = Stand::new().await;
    let token = &stand.tokens.access;
    for query in
        [format!("access_token={token}"), format!("a=b&access%5ftoken={token}"), "access_token=".to_owned()]
    {
        let answer = stand.call_with(token, &format!("/mcp?{query}"), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_request"), "{query}");
    }
    assert!(stand.upstream.arrived().is_empty());
    assert_eq!(stand.call_with(token, "/mcp?access=token", &[]).await.status, 200);
}

#[tokio::test]
async fn a_method_that_is_not_served_is_refused_like_anything_else() {
    let stand = Stand::new().await;
    for method in ["PUT", "PATCH", "TRACE", "PROPFIND"] {
        let request = Request::builder().method(method).uri("/mcp").header("authorization", "Bearer x");
        let answer = stand.entrada.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (405, "invalid_request"), "{method}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method}");
        assert!(answer.header("allow").contains("POST"), "{method}");
    }
    assert_eq!(stand.entrada.events.reasons(EventName::RequestRefused), ["method_not_allowed"; 4]);
}
