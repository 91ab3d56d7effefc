//! What a page of another origin may read, and ask.

use axum::body::Body;
use axum::http::Request;

use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

const ORIGIN: &str = "https://inspector.example.net";

/// Every endpoint that is asked from other origins, with what it is asked by.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/oauth-authorization-server/mcp"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/.well-known/openid-configuration/mcp"),
    ("GET", "/.well-known/oauth-protected-resource"),
    ("GET", "/.well-known/oauth-protected-resource/mcp"),
    ("GET", "/.well-known/oauth-protected-resource/nothing"),
    ("GET", "/.well-known/nothing"),
    ("POST", "/register"),
    ("POST", "/token"),
    ("POST", "/revoke"),
    ("GET", "/mcp"),
    ("POST", "/mcp"),
    ("DELETE", "/mcp"),
    ("POST", "/mcp/"),
    ("POST", "/mcp/below"),
];

/// Every path of a page, a probe, and nothing.
const CLOSED: &[(&str, &str)] = &[
    ("GET", "/authorize"),
    ("POST", "/consent"),
    ("GET", "/auth/callback?state=a&code=b"),
    ("GET", "/healthz/live"),
    ("GET", "/healthz/ready"),
    ("GET", "/nothing"),
    ("GET", "/"),
];

async fn stand() -> (Entrada, Upstream) {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    (Entrada::with(Setup { resources, ..Setup::default() }).await, upstream)
}

async fn ask(entrada: &Entrada, method: &str, path: &str, more: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("origin", ORIGIN);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    entrada.send(request.body(Body::empty()).unwrap()).await
}

async fn preflight(entrada: &Entrada, method: &str, path: &str) -> Answer {
    let asked = [
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,content-type,mcp-protocol-version"),
    ];
    ask(entrada, "OPTIONS", path, &asked).await
}

fn names(answer: &Answer, header: &str) -> Vec<String> {
    answer.header(header).split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// The headers of the fetch standard that an answer has.
fn permissions(answer: &Answer) -> Vec<&str> {
    answer.headers.keys().map(|name| name.as_str()).filter(|n| n.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn a_preflight_permits_the_method_and_the_authorization_header_for_a_while() {
    let (entrada, upstream) = stand().await;
    for (method, path) in OPEN {
        let answer = preflight(&entrada, method, path).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let methods = names(&answer, "access-control-allow-methods");
        assert!(methods.contains(&method.to_ascii_lowercase()), "{method} {path}: {methods:?}");
        let headers = names(&answer, "access-control-allow-headers");
        assert_eq!(headers, ["authorization", "content-type", "mcp-protocol-version"], "{path}");
        assert_eq!(answer.header("access-control-max-age"), "7200", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-request-id").len(), 22, "{path}");
    }
    assert!(upstream.arrived().is_empty(), "a preflight reached the upstream");
}

#[tokio::test]
async fn no_more_methods_are_permitted_than_there_are() {
    let (entrada, _upstream) = stand().await;
    for (path, expected) in [
        ("/.well-known/oauth-authorization-server", "GET,HEAD"),
        ("/token", "POST"),
        ("/mcp", "GET,HEAD,POST,DELETE"),
    ] {
        let answer = preflight(&entrada, "PUT", path).await;
        assert_eq!(answer.header("access-control-allow-methods"), expected, "{path}");
    }
}

#[tokio::test]
async fn every_answer_can_be_read_refusals_too() {
    let (entrada, upstream) = stand().await;
    let token = Client::register(&entrada).await.tokens(&entrada).await.access;
    let bearer = format!("Bearer {token}");
    upstream.answers(200, &[("mcp-session-id", "s1"), ("vary", "accept")]);
    let mut statuses = Vec::new();
    for more in [&[][..], &[("authorization", "Bearer garbage")], &[("authorization", bearer.as_str())]] {
        for (method, path) in OPEN {
            let answer = ask(&entrada, method, path, more).await;
            assert_eq!(answer.headers.get_all("access-control-allow-origin").iter().count(), 1);
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{method} {path}");
            let exposed = names(&answer, "access-control-expose-headers");
            for name in ["www-authenticate", "mcp-session-id", "retry-after", "x-request-id"] {
                assert!(exposed.iter().any(|exposed| exposed == name), "{method} {path}: no {name}");
            }
            // It is the same for every origin, so that no cache has to keep it apart.
            assert!(!names(&answer, "vary").contains(&"origin".to_owned()), "{method} {path}");
            statuses.push(answer.status.as_u16());
        }
    }
    for status in [200, 400, 401, 404] {
        assert!(statuses.contains(&status), "nothing was answered with {status}: {statuses:?}");
    }
    let refused = ask(&entrada, "POST", "/mcp", &[]).await;
    assert!(refused.header("www-authenticate").starts_with("Bearer resource_metadata="), "{refused:?}");
    let answered = ask(&entrada, "POST", "/mcp", &[("authorization", &bearer)]).await;
    assert_ne!(answered.header("mcp-session-id"), "", "sealed, but there");
    assert_eq!(answered.header("vary"), "accept");
    let not_so = ask(&entrada, "PUT", "/token", &[]).await;
    assert_eq!((not_so.status.as_u16(), not_so.header("access-control-allow-origin")), (405, "*"));
}

#[tokio::test]
async fn what_has_cookies_is_for_its_own_origin() {
    let (entrada, _upstream) = stand().await;
    for (method, path) in CLOSED {
        for answer in [ask(&entrada, method, path, &[]).await, preflight(&entrada, method, path).await] {
            assert_eq!(permissions(&answer), [""; 0], "{method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_ever_asked_with_credentials() {
    let (entrada, upstream) = stand().await;
    upstream.answers(200, &[("access-control-allow-credentials", "true")]);
    let token = Client::register(&entrada).await.tokens(&entrada).await.access;
    let authorization = format!("Bearer {token}");
    for (method, path) in OPEN.iter().chain(CLOSED) {
        let bearer = [("authorization", authorization.as_str()), ("cookie", "a=b")];
        for answer in [ask(&entrada, method, path, &bearer).await, preflight(&entrada, method, path).await] {
            assert!(!permissions(&answer).contains(&"access-control-allow-credentials"), "{method} {path}");
        }
    }
    assert!(!upstream.arrived().is_empty());
}

#[tokio::test]
async fn options_is_answered_here_whoever_asks() {
    let (entrada, upstream) = stand().await;
    let token = Client::register(&entrada).await.tokens(&entrada).await.access;
    for more in [&[][..], &[("authorization", format!("Bearer {token}").as_str())]] {
        let answer = ask(&entrada, "OPTIONS", "/mcp", more).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-security-policy")), (200, "sandbox"));
    }
    assert!(upstream.arrived().is_empty());
}
