//! What the token endpoint gives: RFC 6749 §5.1 around it, RFC 9068 in it, and nothing that nobody asked for.

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::demo::idp::Reply;
use entrada::domain::resource::Claim;
use entrada::domain::resource::Resource;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn an_answer_with_tokens_is_json_for_nobody_elses_cache() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    let redeemed = client.redeem(&entrada, &code).await;
    let refreshed = client.refresh(&entrada, &Tokens::of(&redeemed).refresh).await;
    let secret = json!({ "redirect_uris": ["https://claude.ai/cb"], "token_endpoint_auth_method": "client_secret_post" });
    let registered = entrada.post_json("/register", &secret).await;
    for answer in [&redeemed, &refreshed, &registered] {
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for answer in [&redeemed, &refreshed] {
        assert_eq!(
            names(&answer.json()),
            ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
        );
        assert!(answer.json()["expires_in"].as_u64().unwrap() > 0);
    }
}

/// RFC 9068 §2: type, key and claims.
#[tokio::test]
async fn an_access_token_is_a_jwt_of_rfc_9068_and_says_no_more_than_its_resource_asked_for() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let head = header(&tokens.access);
    assert_eq!((&head["typ"], &head["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let keys = entrada.get("/.well-known/jwks.json").await.json();
    assert_eq!(head["kid"], keys["keys"][0]["kid"]);
    let claims = tokens.claims();
    let mut expected = vec![
        "aud",
        "auth_time",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "name",
        "nbf",
        "oid",
        "scope",
        "sid",
        "sub",
        "tid",
    ];
    expected.sort_unstable();
    assert_eq!(names(&claims), expected);
    let at = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!((at("exp") - at("iat"), at("nbf")), (3_600, at("iat")));
    let again = client.tokens(&entrada).await.claims();
    assert!(again["jti"] != claims["jti"] && again["sid"] != claims["sid"]);
    assert_eq!(again["sub"], claims["sub"]);
}

/// 200 groups would make a token of many kilobytes, in every request.
#[tokio::test]
async fn groups_are_in_a_token_only_where_they_are_asked_for() {
    let groups: Vec<String> = (0..200).map(|n| format!("{n:08}-0000-4000-8000-000000000000")).collect();
    for (claims, there) in [(vec![], false), (vec![Claim::Groups], true)] {
        let resources = vec![Resource { claims, ..resource(ISSUER, "/mcp", None) }];
        let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
        let told = groups.clone();
        entrada.script.lie(move |_, token| drop(token.claims.insert("groups".to_owned(), json!(told))));
        let client = Client::register(&entrada).await;
        let tokens = client.tokens(&entrada).await;
        assert_eq!(tokens.claims().get("groups").is_some(), there);
        assert!(there || tokens.access.len() < 1_500, "{} characters", tokens.access.len());
    }
}

/// An identity provider that says nothing of use about lifetimes does not decide ours.
#[tokio::test]
async fn the_providers_expires_in_is_not_ours() {
    for expires_in in [json!(0), json!(-1), json!("soon"), json!(null), json!(9_999_999_999_u64)] {
        let entrada = Entrada::start().await;
        let told = expires_in.clone();
        entrada
            .script
            .change_answer(move |_, answer| drop(answer.insert("expires_in".to_owned(), told.clone())));
        let client = Client::register(&entrada).await;
        let code = client.code(&entrada).await;
        assert_eq!(Tokens::of(&client.redeem(&entrada, &code).await).expires_in, 3_600, "{expires_in}");
    }
}

/// A provider that only then says no: the person is told at the callback, not by a first call that fails.
#[tokio::test]
async fn who_gets_tokens_gets_through() {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.script.token_endpoint_says(Reply::down());
    let request = Request::post("/mcp").header("authorization", format!("Bearer {}", tokens.access));
    let answer = entrada.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.status, 200, "and no call asks the provider");
    assert_eq!(upstream.arrived().len(), 1);
}

/// RFC 6749 §4.1.2: not only what would be refreshed.
#[tokio::test]
async fn a_replayed_code_takes_the_access_tokens_with_it() {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    let tokens = Tokens::of(&client.redeem(&entrada, &code).await);
    let call = || {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {}", tokens.access));
        entrada.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(call().await.status, 200);
    entrada.advance(11);
    assert_eq!(client.redeem(&entrada, &code).await.error(), "invalid_grant");
    assert_eq!(call().await.status, 401);
}
