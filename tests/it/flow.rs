//! The whole flow, as a client and a person go through it.

use entrada::domain::event::EventName;
use entrada::domain::signing::SigningAlg;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::TENANT;
use crate::support::entrada::parameter;

#[tokio::test]
async fn a_client_registers_signs_a_person_in_and_refreshes() {
    let entrada = Entrada::with(Setup { signing_alg: SigningAlg::RS256, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let back = Browser::default().sign_in(&entrada, &client.authorize(&[])).await;
    assert!(back.as_str().starts_with("http://127.0.0.1:33418/callback?code=edac_"), "{back}");
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-clients-state"));
    assert_eq!(parameter(&back, "iss").as_deref(), Some(ISSUER));

    let tokens = Tokens::of(&client.redeem(&entrada, &parameter(&back, "code").unwrap()).await);
    assert_eq!(tokens.scope, "mcp.read mcp.write");
    let claims = tokens.claims();
    let (oid, tid) = (claims["oid"].as_str().unwrap(), claims["tid"].as_str().unwrap());
    assert_eq!(tid, TENANT);
    assert_eq!(claims["sub"], format!("{tid}:{oid}"));
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], format!("{ISSUER}/mcp"));
    assert_eq!(claims["scope"], "mcp.read mcp.write");
    assert_eq!(claims["client_id"], client.id);
    assert!(claims["sid"].is_string() && claims["jti"].is_string() && claims["name"].is_string());
    assert!(claims.get("preferred_username").is_none(), "the resource did not ask for it");

    let refreshed = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_ne!(refreshed.refresh, tokens.refresh);
    assert_eq!(refreshed.claims()["sid"], claims["sid"]);
    assert_eq!(entrada.upstream_refreshes(), 0, "the identity provider's word was still good");
    for name in [
        EventName::ConsentApproved,
        EventName::SignInCompleted,
        EventName::CodeRedeemed,
        EventName::TokenRefreshed,
    ] {
        assert_eq!(entrada.events.count(name), 1, "{}", name.as_str());
    }
}

#[tokio::test]
async fn a_provider_without_tenants_is_served_too() {
    let entrada = Entrada::with(Setup { oidc: true, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let claims = tokens.claims();
    assert_eq!(claims["sub"], claims["oid"]);
    assert!(claims.get("tid").is_none());
    entrada.advance(301);
    let refreshed = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(entrada.upstream_refreshes(), 1);
    entrada.advance(301);
    Tokens::of(&client.refresh(&entrada, &refreshed.refresh).await);
    assert_eq!(entrada.upstream_refreshes(), 2, "the rotated upstream token was remembered");
}

#[tokio::test]
async fn a_confidential_client_has_a_secret_and_needs_it() {
    let entrada = Entrada::start().await;
    let client =
        Client::register_with(&entrada, json!({ "token_endpoint_auth_method": "client_secret_basic" })).await;
    let secret = client.secret.clone().unwrap();
    assert!(secret.starts_with("edcs_"));
    let without = Client { secret: None, ..client.clone() };
    let code = client.code(&entrada).await;
    let refused = without.redeem(&entrada, &code).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"));
    let form = without.redeem_form(&code);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let wrong = client.token_by_basic(&entrada, "edcs_AQEAAAAAAAAAAAAAAAAAAAAAAA", &form).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("www-authenticate").starts_with("Basic ")), (401, true));
    let by_basic = client.token_by_basic(&entrada, &secret, &form).await;
    let tokens = Tokens::of(&by_basic);
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn registering_twice_gives_one_client_and_secrets_are_never_shared() {
    let entrada = Entrada::start().await;
    let (one, two) = (Client::register(&entrada).await, Client::register(&entrada).await);
    assert_eq!(one.id, two.id);
    let uris = |port: u16| json!({ "redirect_uris": [format!("http://127.0.0.1:{port}/callback")] });
    let other_port = Client::register_with(&entrada, uris(50_123)).await;
    assert_eq!(other_port.id, one.id, "the port of a loopback address is no part of a client");
    let confidential = json!({ "token_endpoint_auth_method": "client_secret_post" });
    let (one, two) = (
        Client::register_with(&entrada, confidential.clone()).await,
        Client::register_with(&entrada, confidential).await,
    );
    assert_ne!(one.id, two.id);
    assert_ne!(one.secret, two.secret);
}

#[tokio::test]
async fn a_code_is_good_at_every_replica() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    let replica = entrada.replica().await;
    let form = client.redeem_form(&code);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let answer = entrada.send_to(&replica, crate::support::entrada::form_request("/token", &form)).await;
    Tokens::of(&answer);
}
