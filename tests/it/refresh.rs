//! Refreshing: rotation with a grace that repeats itself, and the identity provider's word.

use std::sync::Arc;
use std::time::Duration;

use entrada::demo::idp::GrantKind;
use entrada::demo::idp::Reply;
use entrada::demo::idp::Signature;
use entrada::domain::event::EventName;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::race::Course;
use crate::support::race::Raced;

async fn signed_in() -> (Entrada, Client, Tokens) {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    (entrada, client, tokens)
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.error())
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[tokio::test]
async fn the_token_before_leads_to_the_same_successor_within_the_grace() {
    let (entrada, client, first) = signed_in().await;
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    entrada.advance(89);
    let again = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    assert_eq!(again.refresh, second.refresh);
    assert_ne!(again.access, second.access, "each answer has an access token of its own");
    assert_eq!(entrada.events.count(EventName::TokenRepeated), 1);
    Tokens::of(&client.refresh(&entrada, &second.refresh).await);
}

#[tokio::test]
async fn after_the_grace_it_is_a_copy_and_the_session_ends() {
    let (entrada, client, first) = signed_in().await;
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    entrada.advance(90);
    assert_eq!(refused(&client.refresh(&entrada, &first.refresh).await), invalid_grant());
    assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["refresh_token_replayed"]);
    assert_eq!(refused(&client.refresh(&entrada, &second.refresh).await), invalid_grant());
}

#[tokio::test]
async fn the_grace_is_over_when_the_successor_was_used() {
    let (entrada, client, first) = signed_in().await;
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    let third = Tokens::of(&client.refresh(&entrada, &second.refresh).await);
    assert_eq!(refused(&client.refresh(&entrada, &first.refresh).await), invalid_grant());
    assert_eq!(refused(&client.refresh(&entrada, &third.refresh).await), invalid_grant());
    assert_eq!(entrada.events.count(EventName::TokenReplayed), 1);
}

#[tokio::test]
async fn without_a_grace_every_second_use_ends_the_session() {
    let mut setup = Setup::default();
    setup.lifetimes.grace = Duration::ZERO;
    let entrada = Entrada::with(setup).await;
    let client = Client::register(&entrada).await;
    let first = client.tokens(&entrada).await;
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    assert_eq!(refused(&client.refresh(&entrada, &first.refresh).await), invalid_grant());
    assert_eq!(refused(&client.refresh(&entrada, &second.refresh).await), invalid_grant());
}

#[tokio::test]
async fn another_client_cannot_use_or_end_a_session() {
    let (entrada, client, tokens) = signed_in().await;
    let other = Client::register_with(&entrada, json!({ "client_name": "Another" })).await;
    assert_eq!(refused(&other.refresh(&entrada, &tokens.refresh).await), invalid_grant());
    let form = [("client_id", other.id.as_str()), ("token", &tokens.refresh)];
    assert_eq!(refused(&entrada.post_form("/revoke", &form).await), invalid_grant());
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn either_token_ends_the_whole_session() {
    for by_access_token in [true, false] {
        let (entrada, client, tokens) = signed_in().await;
        entrada.advance(if by_access_token { 3_599 } else { 7_200 });
        let token = if by_access_token { &tokens.access } else { &tokens.refresh };
        let revoked = entrada.post_form("/revoke", &[("client_id", &client.id), ("token", token)]).await;
        assert_eq!((revoked.status.as_u16(), revoked.body.as_str()), (200, ""));
        assert_eq!(refused(&client.refresh(&entrada, &tokens.refresh).await), invalid_grant());
        assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["revoked_by_client"]);
    }
}

#[tokio::test]
async fn a_session_ends_when_it_idles_and_at_the_latest_after_its_maximum() {
    let (entrada, client, tokens) = signed_in().await;
    let day = 24 * 60 * 60;
    entrada.advance(30 * day + 1);
    assert_eq!(refused(&client.refresh(&entrada, &tokens.refresh).await), invalid_grant());

    let mut tokens = client.tokens(&entrada).await;
    for _ in 0..3 {
        entrada.advance(29 * day);
        tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    }
    entrada.advance(3 * day - 600);
    let last = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(last.expires_in, 600, "no access token outlives its session");
    entrada.advance(600);
    assert_eq!(refused(&client.refresh(&entrada, &last.refresh).await), invalid_grant());
}

#[tokio::test]
async fn a_narrower_scope_narrows_one_access_token() {
    let (entrada, client, tokens) = signed_in().await;
    let mut form = client.refresh_form(&tokens.refresh);
    form.push(("scope".to_owned(), "mcp.read openid unknown".to_owned()));
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let narrow = Tokens::of(&entrada.post_form("/token", &form).await);
    assert_eq!((narrow.scope.as_str(), narrow.claims()["scope"].as_str()), ("mcp.read", Some("mcp.read")));
    let wide = Tokens::of(&client.refresh(&entrada, &narrow.refresh).await);
    assert_eq!(wide.scope, "mcp.read mcp.write");
}

#[tokio::test]
async fn another_resource_is_refused_before_anything_is_spent() {
    let (entrada, client, tokens) = signed_in().await;
    let mut form = client.refresh_form(&tokens.refresh);
    form.push(("resource".to_owned(), "https://mcp.example.com/other".to_owned()));
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let answer = entrada.post_form("/token", &form).await;
    assert_eq!(refused(&answer), (400, "invalid_target".to_owned()));
    let second = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_ne!(second.refresh, tokens.refresh);
}

fn failing(status: u16, body: &str) -> Reply {
    Reply::Http { status, headers: Vec::new(), body: body.to_owned() }
}

/// Trouble that says nothing about the person: nothing is spent, and later it goes on.
#[tokio::test]
async fn trouble_at_the_identity_provider_costs_nobody_a_session() {
    let troubles: Vec<(&str, Reply)> = vec![
        ("down", Reply::down()),
        ("throttled", Reply::throttled(30)),
        ("garbage", Reply::garbage()),
        ("our own fault", Reply::error("invalid_client", 7_000_215, "Invalid client secret provided.")),
        ("temporarily_unavailable", Reply::error("temporarily_unavailable", 90_033, "A transient error.")),
        ("an end that a failing server claims", failing(500, r#"{"error":"invalid_grant"}"#)),
        ("another 5xx", failing(502, "<html>Bad gateway</html>")),
        ("blocked on the way", failing(403, "<html>Blocked by policy</html>")),
        // It counts our requests, and calls that the end of this one.
        ("too many requests", Reply::error("invalid_grant", 50_196, "The server encountered a loop.")),
    ];
    for (name, reply) in troubles {
        let (entrada, client, tokens) = signed_in().await;
        entrada.advance(301);
        entrada.script.token_endpoint_says(reply);
        let answer = client.refresh(&entrada, &tokens.refresh).await;
        assert_eq!(refused(&answer), (503, "temporarily_unavailable".to_owned()), "{name}");
        assert_eq!(answer.header("retry-after"), "5", "{name}");
        assert!(!answer.body.contains("AADSTS") && !answer.body.contains("secret"), "{}", answer.body);
        assert_eq!(entrada.events.count(EventName::GrantRevoked), 0, "{name}");
        entrada.script.honest();
        Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_in_time_costs_nobody_a_session() {
    // Waited out in full, and long enough for the honest answers before and after.
    let setup = Setup { upstream_patience: Duration::from_secs(2), ..Setup::default() };
    let entrada = Entrada::with(setup).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    entrada.script.token_endpoint_hangs();
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!(refused(&answer), (503, "temporarily_unavailable".to_owned()));
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(entrada.events.reasons(EventName::UpstreamRefused), ["it did not answer in time"]);
    entrada.script.honest();
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

/// An ID token that does not hold is no word about the person either.
#[tokio::test]
async fn an_id_token_that_does_not_hold_costs_nobody_a_session() {
    let (entrada, client, tokens) = signed_in().await;
    entrada.advance(301);
    entrada.script.lie(|_, token| token.signature = Signature::Stranger);
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!(refused(&answer), (503, "temporarily_unavailable".to_owned()));
    entrada.script.honest();
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn the_end_of_the_session_at_the_identity_provider_ends_ours() {
    for (error, aadsts) in [("invalid_grant", 50_173), ("interaction_required", 50_076)] {
        let (entrada, client, tokens) = signed_in().await;
        entrada.advance(301);
        entrada.script.token_endpoint_says(Reply::error(error, aadsts, "The session is over."));
        assert_eq!(refused(&client.refresh(&entrada, &tokens.refresh).await), invalid_grant());
        assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["upstream_session_ended"]);
        entrada.script.honest();
        assert_eq!(
            refused(&client.refresh(&entrada, &tokens.refresh).await),
            invalid_grant(),
            "it stays ended"
        );
    }
}

#[tokio::test]
async fn another_person_tenant_or_issuer_ends_the_session() {
    for (claim, value) in [
        ("oid", "00000000-0000-4000-8000-000000000000"),
        ("tid", "00000000-0000-4000-8000-000000000000"),
        ("iss", "https://login.example.net/v2.0"),
    ] {
        let (entrada, client, tokens) = signed_in().await;
        entrada.advance(301);
        entrada.script.lie(move |grant, token| {
            if grant == GrantKind::Refresh {
                token.claims.insert(claim.to_owned(), json!(value));
            }
        });
        assert_eq!(refused(&client.refresh(&entrada, &tokens.refresh).await), invalid_grant(), "{claim}");
        assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["upstream_other_person"], "{claim}");
    }
}

#[tokio::test]
async fn the_identity_provider_is_asked_only_when_its_word_is_old() {
    let (entrada, client, tokens) = signed_in().await;
    entrada.advance(299);
    let tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(entrada.upstream_refreshes(), 0);
    entrada.advance(1);
    let tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(entrada.upstream_refreshes(), 1);
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(entrada.upstream_refreshes(), 1);
}

#[tokio::test]
async fn without_a_refresh_token_upstream_there_is_none_of_ours() {
    let entrada = Entrada::start().await;
    entrada.script.change_answer(|_, answer| {
        answer.remove("refresh_token");
    });
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    assert_eq!(tokens.refresh, "");
}

#[tokio::test]
async fn a_store_that_is_away_costs_nobody_a_session() {
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = Box::new(move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _);
    let entrada = Entrada::with(Setup { decorate, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    course.away(true);
    let answer = client.redeem(&entrada, &code).await;
    assert_eq!(refused(&answer), (503, "temporarily_unavailable".to_owned()));
    course.away(false);
    let tokens = Tokens::of(&client.redeem(&entrada, &code).await);
    course.away(true);
    assert_eq!(refused(&client.refresh(&entrada, &tokens.refresh).await).0, 503);
    assert_eq!(entrada.get("/healthz/ready").await.json(), json!({ "status": "ready", "store": "away" }));
    course.away(false);
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    entrada.advance(6);
    assert_eq!(entrada.get("/healthz/ready").await.json(), json!({ "status": "ready", "store": "ok" }));
}
