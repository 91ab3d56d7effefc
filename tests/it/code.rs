//! Redeeming a code: everything is proved before anything is spent or ended.

use entrada::domain::event::EventName;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;

async fn with_code() -> (Entrada, Client, String) {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    (entrada, client, code)
}

/// Redeems with some parameters replaced; an empty value removes one.
async fn redeem(entrada: &Entrada, client: &Client, code: &str, changes: &[(&str, &str)]) -> Answer {
    let form = client.redeem_form(code);
    let kept = form
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .filter(|(n, _)| !changes.iter().any(|(c, _)| c == n));
    let changed = changes.iter().copied().filter(|(_, value)| !value.is_empty());
    entrada.post_form("/token", &kept.chain(changed).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn a_wrong_proof_is_refused_and_does_not_burn_the_code() {
    let (entrada, client, code) = with_code().await;
    let other = Client::register_with(&entrada, json!({ "client_name": "Another" })).await;
    let short = "a".repeat(42);
    let wrong: &[(&[(&str, &str)], &str)] = &[
        (&[("code_verifier", "another-verifier-another-verifier-another-verifier")], "invalid_grant"),
        (&[("code_verifier", &short)], "invalid_grant"),
        (&[("code_verifier", "")], "invalid_request"),
        (&[("redirect_uri", "http://127.0.0.1:33418/other")], "invalid_grant"),
        (&[("redirect_uri", "http://127.0.0.1:33419/callback")], "invalid_grant"),
        (&[("resource", "https://mcp.example.com/other")], "invalid_target"),
        (&[("client_id", &other.id)], "invalid_grant"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (&[("grant_type", "")], "invalid_request"),
        (&[("code", "")], "invalid_request"),
    ];
    for (changes, error) in wrong {
        let answer = redeem(&entrada, &client, &code, changes).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, *error), "{changes:?}");
    }
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 0);
    let good = [
        ("resource", "https://mcp.example.com/mcp"),
        ("resource", "https://mcp.example.com/mcp"),
        ("redirect_uri", ""),
    ];
    Tokens::of(&redeem(&entrada, &client, &code, &good).await);
}

#[tokio::test]
async fn a_code_lives_for_a_minute() {
    let (entrada, client, code) = with_code().await;
    entrada.advance(60);
    let answer = client.redeem(&entrada, &code).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    let code = client.code(&entrada).await;
    entrada.advance(59);
    Tokens::of(&client.redeem(&entrada, &code).await);
}

#[tokio::test]
async fn a_retry_within_ten_seconds_ends_nothing() {
    let (entrada, client, code) = with_code().await;
    let tokens = Tokens::of(&client.redeem(&entrada, &code).await);
    entrada.advance(10);
    assert_eq!(client.redeem(&entrada, &code).await.error(), "invalid_grant");
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn a_replay_with_full_proof_after_that_ends_the_session() {
    let (entrada, client, code) = with_code().await;
    let tokens = Tokens::of(&client.redeem(&entrada, &code).await);
    let refreshed = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    entrada.advance(11);
    assert_eq!(client.redeem(&entrada, &code).await.error(), "invalid_grant");
    assert_eq!(entrada.events.count(EventName::CodeReplayed), 1);
    assert_eq!(client.refresh(&entrada, &refreshed.refresh).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_replay_without_the_verifier_ends_nothing() {
    let (entrada, client, code) = with_code().await;
    let tokens = Tokens::of(&client.redeem(&entrada, &code).await);
    entrada.advance(11);
    let wrong = [("code_verifier", "another-verifier-another-verifier-another-verifier")];
    assert_eq!(redeem(&entrada, &client, &code, &wrong).await.error(), "invalid_grant");
    assert_eq!(entrada.events.count(EventName::CodeReplayed), 0);
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn an_unknown_client_is_told_to_register_again() {
    let (entrada, client, code) = with_code().await;
    let mut id = client.id.clone();
    id.replace_range(10..11, if &id[10..11] == "A" { "B" } else { "A" });
    for id in [id.as_str(), "edc_", "edc_AAAA", "something", "https://client.example.com/metadata.json"] {
        let answer = redeem(&entrada, &client, &code, &[("client_id", id)]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"), "{id}");
    }
    let answer = redeem(&entrada, &client, &code, &[("client_id", "")]).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"));
}
