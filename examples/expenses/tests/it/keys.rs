//! The issuer's keys: when they are fetched, and what happens while they cannot be.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use serde_json::json;

use crate::support::issuer::ALICE;
use crate::support::issuer::ec_jwk;
use crate::support::issuer::es256;
use crate::support::issuer::rs256;
use crate::support::issuer::rsa_jwk;
use crate::support::issuer::token;
use crate::support::server::Server;

/// The clock stands still only for the jump: sockets need it to run.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

fn by_key(kid: &str, claims: &Value) -> String {
    rs256(&json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }), claims)
}

#[tokio::test]
async fn requests_that_come_together_cause_one_fetch() {
    let server = Server::start().await;
    let token = server.token(ALICE);
    let statuses = join_all((0..20).map(|_| server.status(&token))).await;
    assert_eq!(statuses, [200; 20]);
    assert_eq!(server.issuer.fetches(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_looked_up_once_in_30_seconds() {
    let server = Server::start().await;
    let claims = server.claims(ALICE);
    assert_eq!(server.status(&token(&claims)).await, 200);
    let new = by_key("new", &claims);
    pass(20).await;
    assert_eq!(server.status(&new).await, 401);
    assert_eq!(server.issuer.fetches(), 1, "the keys are some 20 seconds old");
    server.issuer.publish(&[rsa_jwk("rsa"), rsa_jwk("new")]);
    pass(10).await;
    assert_eq!(server.status(&new).await, 200);
    for kid in ["made", "up"] {
        assert_eq!(server.status(&by_key(kid, &claims)).await, 401);
    }
    assert_eq!(server.issuer.fetches(), 2);
}

#[tokio::test]
async fn a_good_token_is_not_refused_while_the_keys_are_away() {
    let server = Server::start().await;
    let token = server.token(ALICE);
    server.issuer.away(true);
    let statuses = join_all((0..20).map(|_| server.status(&token))).await;
    assert_eq!(statuses, [503; 20]);
    assert_eq!(server.issuer.fetches(), 1, "those who wait share the failure");
    let response = server.post(&token, "whoami", &json!({})).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"5".parse().unwrap())
    );
    server.issuer.away(false);
    pass(5).await;
    assert_eq!(server.status(&token).await, 200);
    assert_eq!(server.issuer.fetches(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_gone_is_away_too() {
    let server = Server::start().await;
    let token = server.token(ALICE);
    server.issuer.stop().await;
    assert_eq!(server.status(&token).await, 503);
}

#[tokio::test]
async fn known_keys_go_on_while_the_issuer_is_away_and_unknown_ones_wait() {
    let server = Server::start().await;
    let claims = server.claims(ALICE);
    assert_eq!(server.status(&token(&claims)).await, 200);
    server.issuer.away(true);
    pass(31).await;
    assert_eq!(server.status(&by_key("new", &claims)).await, 503);
    assert_eq!(server.status(&token(&claims)).await, 200);
    pass(3_600).await;
    assert_eq!(server.status(&token(&claims)).await, 200, "the keys are old, and the best there is");
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_trusted_for_ten_minutes_at_most() {
    let server = Server::start().await;
    let token = server.token(ALICE);
    assert_eq!(server.status(&token).await, 200);
    server.issuer.publish(&[ec_jwk("ec")]);
    pass(590).await;
    assert_eq!((server.status(&token).await, server.issuer.fetches()), (200, 1));
    pass(10).await;
    assert_eq!((server.status(&token).await, server.issuer.fetches()), (401, 2));
}

#[tokio::test]
async fn keys_for_other_purposes_verify_nothing() {
    let server = Server::start().await;
    let claims = server.claims(ALICE);
    let named = |mut jwk: Value, name: &str, value: &str| {
        jwk["kid"] = value.into();
        jwk[name] = value.into();
        jwk
    };
    let secret = json!({ "kty": "oct", "kid": "oct", "k": "AAAA" });
    let strange = json!({ "kty": "from the future", "kid": "strange" });
    let broken = json!(7);
    let encryption = named(rsa_jwk(""), "use", "enc");
    let other = named(rsa_jwk(""), "alg", "PS256");
    server.issuer.publish(&[secret, strange, broken, encryption, other, ec_jwk("ec")]);
    for kid in ["oct", "strange", "enc", "PS256"] {
        assert_eq!(server.status(&by_key(kid, &claims)).await, 401, "{kid}");
    }
    let good = es256(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" }), &claims);
    assert_eq!(server.status(&good).await, 200);
}
