//! Which tokens are good here.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use serde_json::Value;
use serde_json::json;

use crate::support::issuer::ALICE;
use crate::support::issuer::encode;
use crate::support::issuer::es256;
use crate::support::issuer::message;
use crate::support::issuer::now;
use crate::support::issuer::rs256;
use crate::support::issuer::rsa;
use crate::support::issuer::rsa_jwk;
use crate::support::issuer::token;
use crate::support::server::Server;

fn header() -> Value {
    json!({ "alg": "RS256", "typ": "at+jwt", "kid": "rsa" })
}

#[tokio::test]
async fn claims_that_are_wrong_or_missing_are_refused() {
    let server = Server::start().await;
    let with = |claim: &str, value: Value| {
        let mut claims = server.claims(ALICE);
        claims[claim] = value;
        token(&claims)
    };
    let without = |claim: &str| {
        let mut claims = server.claims(ALICE);
        claims.as_object_mut().unwrap().remove(claim);
        token(&claims)
    };
    let slash = format!("{}/", server.audience);
    let bad = [
        ("another issuer", with("iss", json!("https://elsewhere.example"))),
        ("a slash after the issuer", with("iss", json!(format!("{}/", server.issuer.url)))),
        ("another audience", with("aud", json!("https://mcp.example.com/expenses"))),
        ("a slash after the audience", with("aud", json!(slash))),
        ("an audience that begins like ours", with("aud", json!(format!("{}x", server.audience)))),
        ("expired", with("exp", json!(now() - 70))),
        ("an expiry that is no number", with("exp", json!("never"))),
        ("not yet", with("nbf", json!(now() + 120))),
        ("no issuer", without("iss")),
        ("no audience", without("aud")),
        ("no expiry", without("exp")),
        ("no subject", without("sub")),
        ("no object id", without("oid")),
        ("no client", without("client_id")),
        ("no scope", without("scope")),
    ];
    for (what, token) in bad {
        assert_eq!(server.status(&token).await, 401, "{what}");
    }
    let good = [
        ("as it comes", server.token(ALICE)),
        ("expired within the skew", with("exp", json!(now() - 30))),
        ("not yet within the skew", with("nbf", json!(now() + 30))),
        ("ours among the audiences", with("aud", json!(["https://other.example", server.audience]))),
    ];
    for (what, token) in good {
        assert_eq!(server.status(&token).await, 200, "{what}");
    }
}

#[tokio::test]
async fn signatures_and_headers_that_are_wrong_are_refused() {
    let server = Server::start().await;
    let claims = server.claims(ALICE);
    let headed = |name: &str, value: Value| {
        let mut header = header();
        header[name] = value;
        header
    };
    let hmac = |header: Value, secret: &[u8]| {
        let message = message(&header, &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", encode(tag))
    };
    let good = token(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut forged = claims.clone();
    forged["oid"] = "somebody-else".into();
    let modulus = rsa_jwk("rsa")["n"].as_str().unwrap().to_owned();
    let none = headed("alg", json!("none"));
    let bad = [
        ("claims of somebody else's", format!("{}.{signature}", message(&header(), &forged))),
        ("no signature", format!("{signed}.")),
        ("two parts", signed.to_owned()),
        ("half a signature", good[..good.len() - 100].to_owned()),
        ("none", format!("{}.", message(&none, &claims))),
        ("none, with a signature", rs256(&none, &claims)),
        ("None", format!("{}.", message(&headed("alg", json!("None")), &claims))),
        ("HS256 with the public key for a secret", hmac(headed("alg", json!("HS256")), modulus.as_bytes())),
        ("HS256 without a secret", hmac(headed("alg", json!("HS256")), b"")),
        ("ES256 by the RSA key", rs256(&headed("alg", json!("ES256")), &claims)),
        ("RS256 by the elliptic key", es256(&header(), &claims)),
        ("RS512", rsa(&RSA_PKCS1_SHA512, &headed("alg", json!("RS512")), &claims)),
        ("PS256", rsa(&RSA_PSS_SHA256, &headed("alg", json!("PS256")), &claims)),
        ("a key that the issuer has not", rs256(&headed("kid", json!("other")), &claims)),
        ("no key id", rs256(&headed("kid", Value::Null), &claims)),
        ("an ID token", rs256(&headed("typ", json!("JWT")), &claims)),
        ("no type", rs256(&headed("typ", Value::Null), &claims)),
        ("an extension that must be known", rs256(&headed("crit", json!(["exp"])), &claims)),
        ("its own key", es256(&headed("jwk", rsa_jwk("rsa")), &claims)),
        ("garbage", "garbage".to_owned()),
        ("dots", "..".to_owned()),
    ];
    for (what, token) in bad {
        assert_eq!(server.status(&token).await, 401, "{what}");
    }
    assert_eq!(server.status(&good).await, 200);
}

#[tokio::test]
async fn the_challenge_says_bearer_and_nothing_of_the_reason() {
    let server = Server::start().await;
    let good = server.token(ALICE);
    let requests = [
        (server.request(reqwest::Method::POST), "Bearer"),
        (server.request(reqwest::Method::GET), "Bearer"),
        (server.request(reqwest::Method::POST).header("authorization", "Basic YTpi"), "Bearer"),
        (reqwest::Client::new().post(format!("{}?access_token={good}", server.audience)), "Bearer"),
        (server.request(reqwest::Method::POST).bearer_auth(&good).bearer_auth("other"), "Bearer"),
        (server.request(reqwest::Method::POST).bearer_auth("garbage"), "Bearer error=\"invalid_token\""),
    ];
    for (request, challenge) in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401);
        assert_eq!(response.headers()["www-authenticate"], challenge);
        assert!(response.text().await.unwrap().len() < 60);
    }
}
