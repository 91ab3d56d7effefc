//! How much an address may ask without a credential.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use entrada::domain::event::EventName;
use entrada::domain::limits::Limits;
use entrada::domain::limits::Rate;

use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

const HERE: &str = "198.51.100.1";
const THERE: &str = "198.51.100.2";
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// `count` requests a minute.
async fn stand(count: u32, proxies: usize) -> Entrada {
    let rate = Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_mins(1) };
    with(Limits { per_address: Some(rate), proxies, ..Limits::default() }).await
}

async fn with(limits: Limits) -> Entrada {
    Entrada::with(Setup { limits, ..Setup::default() }).await
}

/// A request from a connection of `peer`.
fn from(peer: &str, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)));
    request
}

async fn get(entrada: &Entrada, peer: &str, path: &str) -> Answer {
    entrada.send(from(peer, Request::get(path).body(Body::empty()).unwrap())).await
}

async fn forwarded(entrada: &Entrada, peer: &str, header: &str) -> u16 {
    let request = Request::get(METADATA).header("x-forwarded-for", header).body(Body::empty()).unwrap();
    entrada.send(from(peer, request)).await.status.as_u16()
}

async fn status(entrada: &Entrada, peer: &str) -> u16 {
    get(entrada, peer, METADATA).await.status.as_u16()
}

#[tokio::test]
async fn who_has_asked_too_often_waits_as_long_as_it_is_told() {
    let entrada = stand(3, 0).await;
    for _ in 0..3 {
        assert_eq!(status(&entrada, HERE).await, 200, "a whole minute's worth may come at once");
    }
    let refused = get(&entrada, HERE, METADATA).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "20"));
    assert_eq!(
        (refused.error().as_str(), refused.header("cache-control")),
        ("temporarily_unavailable", "no-store")
    );
    assert_eq!(refused.header("access-control-allow-origin"), "*");

    entrada.clock.advance(Duration::from_millis(19_500));
    let refused = get(&entrada, HERE, METADATA).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (429, "1"),
        "a part of a second is one"
    );
    entrada.clock.advance(Duration::from_millis(500));
    assert_eq!(status(&entrada, HERE).await, 200);
    assert_eq!(status(&entrada, HERE).await, 429);

    entrada.advance(60);
    for _ in 0..3 {
        assert_eq!(status(&entrada, HERE).await, 200);
    }
    assert_eq!(status(&entrada, HERE).await, 429);
}

#[tokio::test]
async fn each_address_has_a_limit_of_its_own_for_all_endpoints_together() {
    let entrada = stand(2, 0).await;
    assert_eq!(get(&entrada, HERE, "/nothing").await.status, 404);
    assert_eq!(get(&entrada, HERE, "/authorize").await.status, 400);
    assert_eq!(status(&entrada, HERE).await, 429);
    assert_eq!(status(&entrada, THERE).await, 200);
    assert_eq!(status(&entrada, &format!("::ffff:{THERE}")).await, 200);
    assert_eq!(status(&entrada, THERE).await, 429, "the same address, written as IPv6");
}

#[tokio::test]
async fn an_ipv6_network_is_one_address() {
    let entrada = stand(1, 0).await;
    for (peer, expected) in [
        ("2001:db8:1:2::1", 200),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", 429),
        ("2001:db8:1:3::1", 200),
        ("2001:db8:1:2::2", 429),
    ] {
        assert_eq!(status(&entrada, peer).await, expected, "{peer}");
    }
}

#[tokio::test]
async fn without_a_proxy_the_header_is_nobodys_word() {
    let entrada = stand(1, 0).await;
    assert_eq!(forwarded(&entrada, HERE, THERE).await, 200);
    assert_eq!(forwarded(&entrada, HERE, "203.0.113.1").await, 429);
    assert_eq!(status(&entrada, THERE).await, 200, "it was never asked from there");
}

#[tokio::test]
async fn behind_a_proxy_only_what_the_proxy_wrote_counts() {
    let proxy = "10.0.0.1";
    let entrada = stand(1, 1).await;
    assert_eq!(forwarded(&entrada, proxy, HERE).await, 200);
    assert_eq!(forwarded(&entrada, proxy, &format!("203.0.113.1, {HERE}")).await, 429, "forged further left");
    assert_eq!(forwarded(&entrada, "10.0.0.2", HERE).await, 429, "the same through another proxy");
    assert_eq!(forwarded(&entrada, proxy, &format!("{HERE}, {THERE}")).await, 200);
    // What cannot be read is from the peer.
    assert_eq!(forwarded(&entrada, proxy, "unknown").await, 200);
    assert_eq!(forwarded(&entrada, proxy, "someone else").await, 429);

    let entrada = stand(1, 2).await;
    assert_eq!(forwarded(&entrada, proxy, &format!("203.0.113.1, {HERE}, 10.0.0.2")).await, 200);
    assert_eq!(forwarded(&entrada, proxy, &format!("203.0.113.2, {HERE}, 10.0.0.3")).await, 429);
    assert_eq!(forwarded(&entrada, proxy, HERE).await, 200, "too short: from the peer");
    assert_eq!(forwarded(&entrada, proxy, THERE).await, 429);
}

#[tokio::test]
async fn people_get_a_page_that_says_what_to_do_and_clients_an_oauth_error() {
    let entrada = stand(1, 0).await;
    status(&entrada, HERE).await;
    for (method, path) in [("GET", "/authorize?a=b"), ("POST", "/consent"), ("GET", "/auth/callback")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = entrada.send(from(HERE, request)).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "60"), "{path}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        assert!(answer.body.contains("Wait a minute, then reload this page."), "{path}");
        assert!(answer.body.contains("<code>address_limited</code>"), "{path}");
        assert!(answer.header("content-security-policy").contains("style-src 'sha256-"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    for (method, path, origin) in [
        ("POST", "/token", "*"),
        ("POST", "/revoke", "*"),
        ("POST", "/register", "*"),
        ("GET", "/.well-known/jwks.json", "*"),
        ("GET", "/.well-known/nothing", "*"),
        ("GET", "/nothing", ""),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = entrada.send(from(HERE, request)).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "60"), "{path}");
        let body = answer.json();
        assert_eq!(body["error"], "temporarily_unavailable", "{path}");
        assert_eq!(
            body["error_description"],
            "Too many requests came from this address. Wait as long as Retry-After says."
        );
        assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
}

#[tokio::test]
async fn a_person_is_told_how_many_minutes() {
    let rate = Rate { count: NonZeroU32::new(7).unwrap(), period: Duration::from_hours(1) };
    let entrada = with(Limits { per_address: Some(rate), proxies: 0, ..Limits::default() }).await;
    for _ in 0..7 {
        status(&entrada, HERE).await;
    }
    let answer = get(&entrada, HERE, "/authorize").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "515"));
    assert!(answer.body.contains("Wait 9 minutes, then reload this page."), "{}", answer.body);
}

#[tokio::test]
async fn at_the_gateway_only_requests_without_a_credential_count() {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let rate = Rate { count: NonZeroU32::new(20).unwrap(), period: Duration::from_mins(1) };
    let limits = Limits { per_address: Some(rate), proxies: 0, ..Limits::default() };
    let entrada = Entrada::with(Setup { limits, resources, ..Setup::default() }).await;
    // Without a connection, which is an address too, and not HERE.
    let token = Client::register(&entrada).await.tokens(&entrada).await.access;
    let call = async |authorization: Option<&str>| {
        let request = Request::post("/mcp/x");
        let request = authorization.into_iter().fold(request, |r, value| r.header("authorization", value));
        entrada.send(from(HERE, request.body(Body::empty()).unwrap())).await
    };
    let bearer = format!("Bearer {token}");
    for _ in 0..30 {
        assert_eq!(call(Some(&bearer)).await.status, 200);
    }
    assert_eq!(upstream.arrived().len(), 30);
    for _ in 0..20 {
        assert_eq!(call(None).await.status, 401, "the calls before were not counted");
    }
    let refused = call(None).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "3"));
    assert_eq!(
        (refused.error().as_str(), refused.header("www-authenticate")),
        ("temporarily_unavailable", "")
    );
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    assert_eq!(refused.header("content-security-policy"), "sandbox");
    assert_eq!(call(Some(&bearer)).await.status, 200, "who is signed in goes on");
    // A browser that is refused has to be able to read it.
    let preflight = Request::options("/mcp/x").header("access-control-request-method", "POST");
    assert_eq!(entrada.send(from(HERE, preflight.body(Body::empty()).unwrap())).await.status, 200);
}

#[tokio::test]
async fn probes_are_always_answered() {
    let entrada = stand(1, 0).await;
    for _ in 0..5 {
        assert_eq!(get(&entrada, HERE, "/healthz/live").await.status, 200);
        assert_eq!(get(&entrada, HERE, "/healthz/ready").await.status, 200);
    }
    assert_eq!(status(&entrada, HERE).await, 200, "and are not counted");
    assert_eq!(status(&entrada, HERE).await, 429);
    assert_eq!(get(&entrada, HERE, "/healthz/live").await.status, 200);
}

#[tokio::test]
async fn off_is_off() {
    let entrada = with(Limits { per_address: None, proxies: 0, ..Limits::default() }).await;
    for _ in 0..1_300 {
        assert_eq!(status(&entrada, HERE).await, 200);
    }
}

#[tokio::test]
async fn a_flood_leaves_one_line_of_an_address_in_a_period() {
    let entrada = stand(1, 0).await;
    let refused = || entrada.events.reasons(EventName::RequestRefused);
    for _ in 0..10 {
        status(&entrada, HERE).await;
    }
    assert_eq!(refused(), ["address_limited"]);
    assert_eq!(entrada.log.text().matches("address_limited").count(), 1);
    for _ in 0..10 {
        status(&entrada, THERE).await;
    }
    assert_eq!(refused().len(), 2, "each address has its own");
    entrada.advance(59);
    status(&entrada, HERE).await;
    assert_eq!(refused().len(), 2);
    entrada.advance(1);
    status(&entrada, HERE).await;
    status(&entrada, HERE).await;
    assert_eq!(refused().len(), 3, "it goes on");
}

#[tokio::test]
async fn a_flood_of_false_tokens_is_answered_and_leaves_no_more_lines_than_the_limit() {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let rate = Rate { count: NonZeroU32::new(5).unwrap(), period: Duration::from_mins(1) };
    let limits = Limits { per_address: Some(rate), proxies: 0, ..Limits::default() };
    let entrada = Entrada::with(Setup { limits, resources, ..Setup::default() }).await;
    let with = |method: &str, target: &str| {
        Request::builder().method(method).uri(target).header("authorization", "Bearer x")
    };
    for _ in 0..20 {
        for (request, status) in [
            (with("POST", "/mcp"), 401),
            (with("POST", "/mcp").header("authorization", "Bearer y"), 400),
            (with("POST", "/mcp?access_token=x"), 400),
            (with("PUT", "/mcp"), 405),
        ] {
            let answer = entrada.send(from(HERE, request.body(Body::empty()).unwrap())).await;
            assert_eq!(answer.status.as_u16(), status, "a client that is told 429 would not sign in again");
        }
    }
    assert_eq!(entrada.events.count(EventName::RequestRefused), 5);
    // Any other scheme is no credential here.
    for n in 0..6 {
        let request = Request::post("/mcp").header("authorization", "Basic x");
        let answer = entrada.send(from(HERE, request.body(Body::empty()).unwrap())).await;
        assert_eq!(answer.status.as_u16(), if n < 5 { 401 } else { 429 });
    }
}
