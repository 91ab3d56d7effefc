//! Whole flows of people and clients, on Cosmos DB.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use entrada::domain::event::EventName;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

fn on_cosmos() -> Setup {
    Setup { cosmos: Some(Duration::from_secs(5)), ..Setup::default() }
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.error())
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[tokio::test]
async fn a_person_signs_in_and_the_client_refreshes_on_any_replica() {
    let entrada = Entrada::with(on_cosmos()).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let cosmos = entrada.cosmos();
    let store = cosmos.store().await;
    let other = entrada.replica_on(store).await;
    let form = client.refresh_form(&tokens.refresh);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let refreshed = entrada.send_to(&other, form_request("/token", &form)).await;
    let second = Tokens::of(&refreshed);
    let again = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(again.refresh, second.refresh, "the grace gives the same successor, on the other replica too");
    let stored = serde_json::to_string(&cosmos.documents().await).unwrap();
    entrada.vigil.not_in("the container", &stored);
}

#[tokio::test]
async fn a_replayed_token_and_a_revocation_end_the_session() {
    let entrada = Entrada::with(on_cosmos()).await;
    let client = Client::register(&entrada).await;
    let first = client.tokens(&entrada).await;
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    entrada.advance(90);
    assert_eq!(refused(&client.refresh(&entrada, &first.refresh).await), invalid_grant());
    assert_eq!(refused(&client.refresh(&entrada, &second.refresh).await), invalid_grant());
    assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["refresh_token_replayed"]);

    let tokens = client.tokens(&entrada).await;
    let revoked =
        entrada.post_form("/revoke", &[("client_id", &client.id), ("token", &tokens.refresh)]).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(refused(&client.refresh(&entrada, &tokens.refresh).await), invalid_grant());
}

/// `temporarily_unavailable` and when to come again: never `invalid_grant`, for which clients sign people out.
#[tokio::test]
async fn while_cosmos_db_is_away_nobody_is_signed_out() {
    let setup = Setup { cosmos: Some(Duration::from_millis(700)), ..Setup::default() };
    let entrada = Entrada::with(setup).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let code = client.code(&entrada).await;
    entrada.cosmos().reachable(false);
    for answer in [client.refresh(&entrada, &tokens.refresh).await, client.redeem(&entrada, &code).await] {
        assert_eq!(refused(&answer), (503, "temporarily_unavailable".to_owned()), "{answer:?}");
        assert_ne!(answer.header("retry-after"), "");
    }
    entrada.cosmos().reachable(true);
    Tokens::of(&client.redeem(&entrada, &code).await);
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

/// The gateway goes by what it knew, also on a replica that never saw the token.
#[tokio::test]
async fn while_cosmos_db_is_away_no_good_token_is_called_bad_at_the_gateway() {
    let upstream = Upstream::start().await;
    let resource = resource(ISSUER, "/mcp", Some(upstream.url.clone()));
    let setup =
        Setup { cosmos: Some(Duration::from_millis(700)), resources: vec![resource], ..Setup::default() };
    let entrada = Entrada::with(setup).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let other = entrada.replica_on(entrada.cosmos().store_of(Duration::from_millis(700)).await).await;
    let call = || {
        Request::post("/mcp")
            .header("authorization", format!("Bearer {}", tokens.access))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(Body::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#))
            .unwrap()
    };
    assert_eq!(entrada.send(call()).await.status, 200);
    entrada.cosmos().reachable(false);
    entrada.advance(31);
    for router in [&entrada.router, &other] {
        let answer = entrada.send_to(router, call()).await;
        assert_ne!(answer.status, 401, "{answer:?}");
        assert_ne!(answer.status, 403, "{answer:?}");
    }
}

/// At once on the one that did it, and for whatever reads the store; within half a minute at the gateway of another.
#[tokio::test]
async fn a_revocation_on_one_replica_bites_on_the_others_within_half_a_minute() {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let entrada = Entrada::with(Setup { resources, ..on_cosmos() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let other = entrada.replica_on(entrada.cosmos().store().await).await;
    let call = || {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {}", tokens.access));
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(entrada.send_to(&other, call()).await.status, 200);
    entrada.post_form("/revoke", &[("client_id", &client.id), ("token", &tokens.refresh)]).await;
    assert_eq!(entrada.send(call()).await.status, 401);
    let form = client.refresh_form(&tokens.refresh);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let third = entrada.replica_on(entrada.cosmos().store().await).await;
    let refreshed = entrada.send_to(&third, form_request("/token", &form)).await;
    assert_eq!(refused(&refreshed), invalid_grant());
    entrada.advance(19);
    assert_eq!(entrada.send_to(&other, call()).await.status, 200, "it has not heard of it yet");
    entrada.advance(1);
    assert_eq!(entrada.send_to(&other, call()).await.status, 401);
}
