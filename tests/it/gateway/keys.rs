//! API keys: who gets through with one, what the server is told, and how they end.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrada::domain::api_key::ApiKey;
use entrada::domain::api_key::KeyId;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::State;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::domain::event::EventName;
use entrada::domain::forwarding::Identity;
use entrada::domain::key_use::KeyUse;
use entrada::domain::limits::Limits;
use entrada::domain::limits::Rate;
use entrada::domain::time::Timestamp;
use entrada::flows::administer_keys::KeyLine;
use entrada::flows::administer_keys::KeyRotation;
use entrada::flows::administer_keys::MadeKey;
use entrada::flows::administer_keys::NewKey;
use entrada::flows::administer_keys::NoKey;
use entrada::ports::clock::Clock;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use entrada::protocol::scope::Scopes;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use serde_json::json;
use tokio::sync::Notify;

use crate::gateway::claims;
use crate::gateway::silence::streaming;
use crate::gateway::stand::Stand;
use crate::gateway::tools::every_tool_needs_a_scope;
use crate::gateway::wire::Wire;
use crate::support::api_key::made;
use crate::support::api_key::new;
use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;

const DAY: Duration = Duration::from_hours(24);
const MINUTE: u64 = 60;

async fn stand() -> Stand {
    Stand::with(|resource| resource.allowed.keys = true).await
}

fn request(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::post("/mcp");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from("{\"jsonrpc\":\"2.0\"}")).unwrap()
}

async fn with(entrada: &Entrada, name: &str, value: &str) -> Answer {
    entrada.send(request(&[(name, value)])).await
}

async fn call(entrada: &Entrada, key: &MadeKey) -> u16 {
    with(entrada, "x-api-key", key.text.expose()).await.status.as_u16()
}

async fn call_at(entrada: &Entrada, router: &Router, key: &MadeKey) -> u16 {
    entrada.send_to(router, request(&[("x-api-key", key.text.expose())])).await.status.as_u16()
}

fn reason(entrada: &Entrada) -> &'static str {
    entrada.events.reasons(EventName::RequestRefused).pop().unwrap()
}

async fn listed(entrada: &Entrada) -> Vec<KeyLine> {
    entrada.auth.list_api_keys().await.unwrap().keys
}

#[tokio::test]
async fn three_headers_bring_a_key_and_the_server_learns_its_name_and_never_the_key() {
    let stand = stand().await;
    let key = made(&stand.entrada, new("ci")).await;
    for (name, value) in [
        ("authorization", format!("Bearer {}", key.text.expose())),
        ("authorization", format!("bearer  {} ", key.text.expose())),
        ("x-api-key", key.text.expose().to_owned()),
        ("X-Functions-Key", format!(" {}", key.text.expose())),
    ] {
        assert_eq!(with(&stand.entrada, name, &value).await.status, 200, "{name}");
        let arrived = stand.upstream.arrived().remove(0);
        for (header, value) in &arrived.headers {
            assert!(!value.to_str().unwrap().contains("ent_"), "{header}");
        }
        assert!(
            !arrived.headers.contains_key("x-api-key") && !arrived.headers.contains_key("x-functions-key")
        );
        let token = arrived.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let said = claims(token);
        assert_eq!((said["sub"].as_str(), said["client_id"].as_str()), (Some(&*key.id), Some(&*key.id)));
        assert_eq!(
            (said["aud"].as_str(), said["scope"].as_str()),
            (Some(stand.upstream.url.as_str()), Some("mcp.read"))
        );
        for none in ["oid", "tid", "sid", "name", "auth_time"] {
            assert!(said.get(none).is_none(), "{none}");
        }
    }
}

#[tokio::test]
async fn the_other_forms_of_identity_name_the_key_and_no_person() {
    let stand = Stand::with(|resource| {
        resource.allowed.keys = true;
        resource.forwarding.identity = vec![Identity::Headers, Identity::EasyAuth];
    })
    .await;
    let key = made(&stand.entrada, new("ci")).await;
    assert_eq!(call(&stand.entrada, &key).await, 200);
    let arrived = stand.upstream.arrived().remove(0);
    let text = |name: &str| arrived.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!((text("x-entrada-sub"), text("x-entrada-client")), (Some(&*key.id), Some(&*key.id)));
    for none in ["x-entrada-oid", "x-entrada-tid", "x-entrada-name", "authorization"] {
        assert_eq!(text(none), None, "{none}");
    }
    assert_eq!(
        (text("x-ms-client-principal-id"), text("x-ms-client-principal-idp")),
        (Some(&*key.id), Some("entrada"))
    );
    let principal = STANDARD.decode(text("x-ms-client-principal").unwrap()).unwrap();
    let principal: Value = serde_json::from_slice(&principal).unwrap();
    assert!(!principal.to_string().contains("objectidentifier"), "{principal}");
}

#[tokio::test]
async fn two_credentials_are_refused_wherever_they_stand() {
    let stand = stand().await;
    let key = made(&stand.entrada, new("ci")).await;
    let (key, token) = (key.text.expose(), format!("Bearer {}", stand.tokens.access));
    let bearer = format!("Bearer {key}");
    for two in [
        [("authorization", token.as_str()), ("x-api-key", key)],
        [("authorization", token.as_str()), ("x-functions-key", "")],
        [("authorization", bearer.as_str()), ("x-api-key", key)],
        [("authorization", "Basic eDp5"), ("x-api-key", key)],
        [("authorization", bearer.as_str()), ("authorization", token.as_str())],
        [("x-api-key", key), ("x-functions-key", key)],
        [("x-api-key", key), ("x-api-key", key)],
    ] {
        let answer = stand.entrada.send(request(&two)).await;
        assert_eq!((answer.status.as_u16(), reason(&stand.entrada)), (400, "two_credentials"), "{two:?}");
    }
    let answer = stand
        .entrada
        .send(Request::post("/mcp?access_token=x").header("x-api-key", key).body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 400);
    assert!(stand.upstream.arrived().is_empty());
}

/// What a stranger sees is always the same, and the audit trail knows.
#[tokio::test]
async fn every_key_that_is_not_good_gets_the_same_answer_and_a_reason_in_the_trail() {
    let stand = stand().await;
    let entrada = &stand.entrada;
    let [good, revoked] = [made(entrada, new("good")).await, made(entrada, new("revoked")).await];
    let short = made(entrada, NewKey { expires_in: Duration::from_secs(60), ..new("short") }).await;
    let rotated = made(entrada, new("rotated")).await;
    let rotation = KeyRotation { key: "rotated".to_owned(), overlap: Duration::ZERO, expires_in: None };
    entrada.vigil.never(entrada.auth.rotate_key(rotation).await.unwrap().text.expose());
    entrada.auth.revoke_key("revoked").await.unwrap();
    entrada.advance(60);
    let elsewhere = self::stand().await;
    let theirs = made(&elsewhere.entrada, new("theirs")).await;
    let (rest, last) = good.text.expose().split_at(67);
    let mistyped = format!("{rest}{}", if last == "x" { 'y' } else { 'x' });
    let mut bodies = Vec::new();
    for (key, expected, named) in [
        (revoked.text.expose(), "key_revoked", Some(&revoked.id)),
        (short.text.expose(), "key_expired", Some(&short.id)),
        (rotated.text.expose(), "key_replaced", Some(&rotated.id)),
        (theirs.text.expose(), "key_not_ours", None),
        (&*mistyped, "key_mistyped", None),
        ("", "key_mistyped", None),
        (&*stand.tokens.access, "key_mistyped", None),
    ] {
        let answer = with(entrada, "x-api-key", key).await;
        assert_eq!((answer.status.as_u16(), reason(entrada)), (401, expected));
        let event = entrada.events.last(EventName::RequestRefused).unwrap();
        assert_eq!((event.subject.as_ref(), event.client), (named, None), "{expected}");
        bodies.push((answer.header("www-authenticate").to_owned(), answer.body));
    }
    let (challenge, body) = bodies[0].clone();
    assert!(
        challenge.starts_with("Bearer resource_metadata=") && !challenge.contains("error"),
        "{challenge}"
    );
    assert!(body.contains("X-Request-Id") && !body.contains("revoked"), "{body}");
    assert!(bodies.iter().all(|told| *told == (challenge.clone(), body.clone())), "{bodies:?}");
    assert_eq!(call(entrada, &good).await, 200);
    assert_eq!(stand.upstream.arrived().len(), 1);
}

#[tokio::test]
async fn a_resource_takes_keys_when_it_says_so_and_only_its_own() {
    let Stand { entrada, upstream, course, client, tokens } = stand().await;
    let of = |path: &str, keys| {
        let mut resource = resource(ISSUER, path, Some(upstream.url.clone()));
        resource.allowed.keys = keys;
        resource
    };
    let key = made(&entrada, new("ci")).await;
    // At the other one it is no more than any stranger's, whatever its own resource thinks of it.
    let mut closed = of("/mcp", true);
    closed.allowed.users = vec!["somebody".to_owned()];
    let both = vec![closed, of("/other", true)];
    let entrada = entrada.again(Setup { resources: both, ..Setup::default() }).await;
    let request = Request::post("/other").header("x-api-key", key.text.expose()).body(Body::empty()).unwrap();
    assert_eq!(
        (entrada.send(request).await.status.as_u16(), reason(&entrada)),
        (401, "key_for_another_resource")
    );
    let both = vec![of("/mcp", true), of("/other", true)];
    let entrada = entrada.again(Setup { resources: both, ..Setup::default() }).await;
    let at = async |entrada: &Entrada, path: &str| {
        let request = Request::post(path).header("x-api-key", key.text.expose());
        entrada.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    assert_eq!((at(&entrada, "/mcp").await, at(&entrada, "/mcp/below").await), (200, 200));
    assert_eq!((at(&entrada, "/other").await, reason(&entrada)), (401, "key_for_another_resource"));
    let entrada = entrada.again(Setup { resources: vec![of("/mcp", false)], ..Setup::default() }).await;
    assert_eq!((at(&entrada, "/mcp").await, reason(&entrada)), (401, "keys_off"));
    assert_eq!(entrada.auth.make_key(new("more")).await.unwrap_err(), NoKey::Off("/mcp".to_owned()));
    let rotation = KeyRotation { key: "ci".to_owned(), overlap: DAY, expires_in: None };
    assert_eq!(entrada.auth.rotate_key(rotation).await.unwrap_err(), NoKey::Off("/mcp".to_owned()));
    let entrada = entrada.again(Setup { resources: vec![of("/other", true)], ..Setup::default() }).await;
    assert_eq!((at(&entrada, "/other").await, reason(&entrada)), (401, "key_unknown"));
    // Nobody's token is worse for it.
    let resources = vec![of("/mcp", false)];
    let entrada = entrada.again(Setup { resources, ..Setup::default() }).await;
    let stand = Stand { entrada, upstream, course, client, tokens };
    assert_eq!(stand.call().await.status, 200);
}

#[tokio::test]
async fn a_revocation_bites_at_once_here_and_within_30_seconds_elsewhere_and_ends_no_other_key() {
    let stand = stand().await;
    let entrada = &stand.entrada;
    let there = entrada.replica().await;
    let [key, other] = [made(entrada, new("ci")).await, made(entrada, new("other")).await];
    assert_eq!(call_at(entrada, &there, &key).await, 200);
    entrada.auth.revoke_key(&key.id).await.unwrap();
    assert_eq!((call(entrada, &key).await, call(entrada, &other).await), (401, 200));
    entrada.advance(30);
    assert_eq!((call_at(entrada, &there, &key).await, call_at(entrada, &there, &other).await), (401, 200));
    for named in ["ci", &key.id] {
        assert_eq!(entrada.auth.revoke_key(named).await.unwrap().state, "revoked", "once more is no mistake");
    }
    assert_eq!(entrada.auth.revoke_key("nobody").await.unwrap_err(), NoKey::NoSuchKey);
}

#[tokio::test]
async fn while_the_store_is_away_a_key_is_as_good_as_it_was_half_a_minute_ago_and_no_longer() {
    let stand = stand().await;
    let (entrada, course) = (&stand.entrada, &stand.course);
    let [key, unknown] = [made(entrada, new("ci")).await, made(entrada, new("unknown")).await];
    let there = entrada.replica().await;
    assert_eq!(call_at(entrada, &there, &key).await, 200);
    course.away(true);
    entrada.advance(29);
    assert_eq!(call_at(entrada, &there, &key).await, 200);
    let answer = entrada.send_to(&there, request(&[("x-api-key", unknown.text.expose())])).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"), "it was never read");
    entrada.advance(2);
    assert_eq!(call_at(entrada, &there, &key).await, 503, "nobody has said that it was not revoked");
    let now = entrada.clock.now();
    entrada.clock.set(Timestamp(now.0 - 3_600));
    assert_eq!(call_at(entrada, &there, &key).await, 503, "nor does a clock that was set back");
    entrada.clock.set(now);
    assert_eq!(entrada.auth.make_key(new("more")).await.unwrap_err(), NoKey::StoreAway);
    course.away(false);
    entrada.advance(1);
    assert_eq!(call_at(entrada, &there, &key).await, 200);
}

#[tokio::test]
async fn a_rotated_key_has_two_secrets_for_as_long_as_was_said_and_stays_the_same_caller() {
    let stand = stand().await;
    let entrada = &stand.entrada;
    let old = made(entrada, new("ci")).await;
    stand.upstream.answers(200, &[("mcp-session-id", "of-the-server")]);
    let begun = with(entrada, "x-api-key", old.text.expose()).await;
    let session = begun.header("mcp-session-id").to_owned();
    let rotation = |key: &str| KeyRotation { key: key.to_owned(), overlap: DAY, expires_in: None };
    let rotated = entrada.auth.rotate_key(rotation("ci")).await.unwrap();
    entrada.vigil.never(rotated.text.expose());
    assert_eq!((&rotated.id, rotated.text.expose() == old.text.expose()), (&old.id, false));
    assert_eq!((call(entrada, &old).await, call(entrada, &rotated).await), (200, 200));
    assert_eq!(listed(entrada).await[0].state, "rotating");
    let headers = [("x-api-key", rotated.text.expose()), ("mcp-session-id", &*session)];
    assert_eq!(entrada.send(request(&headers)).await.status, 200, "its sessions go on");
    entrada.advance(DAY.as_secs());
    assert_eq!((call(entrada, &old).await, call(entrada, &rotated).await), (401, 200));
    assert_eq!(reason(entrada), "key_replaced");
    for _ in 0..3 {
        let again = entrada.auth.rotate_key(rotation(&old.id)).await.unwrap();
        entrada.vigil.never(again.text.expose());
    }
    assert_eq!(entrada.auth.rotate_key(rotation(&old.id)).await.unwrap_err(), NoKey::TooManySecrets);
    entrada.advance(90 * DAY.as_secs());
    assert_eq!((call(entrada, &rotated).await, reason(entrada)), (401, "key_replaced"));
    for named in ["ci", &old.id] {
        assert_eq!(entrada.auth.rotate_key(rotation(named)).await.unwrap_err(), NoKey::Ended, "it has ended");
    }
}

/// Whoever has just been given the new secret uses it at once, wherever that leads.
#[tokio::test]
async fn a_secret_that_was_made_elsewhere_is_good_a_second_later_and_not_only_when_the_old_one_is_forgotten()
{
    let stand = stand().await;
    let (entrada, course) = (&stand.entrada, &stand.course);
    let old = made(entrada, new("ci")).await;
    let there = entrada.replica().await;
    assert_eq!(call_at(entrada, &there, &old).await, 200);
    entrada.advance(1);
    let rotation = KeyRotation { key: "ci".to_owned(), overlap: Duration::ZERO, expires_in: None };
    let rotated = entrada.auth.rotate_key(rotation).await.unwrap();
    entrada.vigil.never(rotated.text.expose());
    course.counts();
    assert_eq!(call_at(entrada, &there, &rotated).await, 200);
    assert_eq!(call_at(entrada, &there, &old).await, 401, "which is known by then");
    assert_eq!(course.counts(), (1, 0));
}

#[tokio::test]
async fn where_keys_are_off_what_a_proxy_puts_into_their_headers_is_no_credential_and_goes_no_further() {
    let stand = Stand::new().await;
    for (name, value) in [("x-functions-key", "the-proxys-own"), ("x-api-key", "")] {
        assert_eq!(stand.call_with(&stand.tokens.access, "/mcp", &[(name, value)]).await.status, 200);
        assert!(!stand.upstream.arrived().remove(0).headers.contains_key(name));
        assert_eq!(with(&stand.entrada, name, value).await.status, 401);
        assert_eq!(reason(&stand.entrada), "no_token");
    }
    assert_eq!(
        (with(&stand.entrada, "x-api-key", "ent_x").await.status.as_u16(), reason(&stand.entrada)),
        (401, "keys_off")
    );
}

#[tokio::test]
async fn tools_and_lists_ask_of_keys_what_they_ask_of_people() {
    let stand = Stand::with(|resource| {
        every_tool_needs_a_scope(resource);
        resource.allowed.keys = true;
    })
    .await;
    let entrada = &stand.entrada;
    let [reads, writes] =
        ["mcp.read", "mcp.write"].map(|scopes| NewKey { scopes: Scopes::parse(scopes), ..new(scopes) });
    let (reads, writes) = (made(entrada, reads).await, made(entrada, writes).await);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"}}"#;
    let call = async |key: &MadeKey| {
        let request = Request::post("/mcp")
            .header("x-api-key", key.text.expose())
            .header("content-type", "application/json");
        entrada.send(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(call(&reads).await.status, 200);
    let refused = call(&writes).await;
    assert_eq!(refused.status, 403);
    assert_eq!((refused.error().as_str(), refused.header("www-authenticate")), ("insufficient_scope", ""));
    assert!(refused.body.contains("API key"), "{}", refused.body);
    let event = entrada.events.last(EventName::RequestRefused).unwrap();
    assert!(event.scope.is_some() && event.subject.unwrap().starts_with("key:"));
}

#[tokio::test]
async fn a_list_that_a_key_does_not_meet_keeps_it_out_and_its_name_lets_it_in() {
    let stand = stand().await;
    let first = made(&stand.entrada, new("ci")).await;
    let with_users = |users: &[&str]| {
        let mut resource = resource(ISSUER, "/mcp", Some(stand.upstream.url.clone()));
        resource.allowed.keys = true;
        resource.allowed.users = users.iter().map(|&user| user.to_owned()).collect();
        Setup { resources: vec![resource], ..Setup::default() }
    };
    let closed = with_users(&["somebody"]);
    let open = with_users(&["somebody", &first.id]);
    let Stand { entrada, upstream, .. } = stand;
    let entrada = entrada.again(closed).await;
    let answer = with(&entrada, "x-api-key", first.text.expose()).await;
    assert_eq!((answer.status.as_u16(), reason(&entrada)), (403, "user_not_allowed"));
    assert!(answer.body.contains("This API key is not let in"), "{}", answer.body);
    let more = made(&entrada, new("more")).await;
    assert_eq!(more.lacking.as_deref(), Some("allowed_users"));
    let entrada = entrada.again(open).await;
    assert_eq!((call(&entrada, &first).await, call(&entrada, &more).await), (200, 403));
    assert_eq!(upstream.arrived().len(), 1);
}

#[tokio::test]
async fn a_key_has_a_limit_of_its_own_in_place_of_a_persons() {
    let rate = |count| Some(Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_mins(1) });
    let Stand { entrada, upstream, .. } = stand().await;
    let mut resource = resource(ISSUER, "/mcp", Some(upstream.url.clone()));
    resource.allowed.keys = true;
    let limits = Limits { per_user: rate(2), per_client: rate(2), ..Limits::default() };
    let entrada = entrada.again(Setup { limits, resources: vec![resource], ..Setup::default() }).await;
    let [slow, usual, quick] = [(rate(1), "slow"), (None, "usual"), (rate(5), "quick")]
        .map(|(rate, name)| NewKey { rate, ..new(name) });
    for (new, count) in [(slow, 1), (usual, 2), (quick, 5)] {
        let of = if new.rate.is_some() { "key_limit" } else { "user_limit" };
        let key = made(&entrada, new).await;
        for _ in 0..count {
            assert_eq!(call(&entrada, &key).await, 200, "{count}");
        }
        let answer = with(&entrada, "x-api-key", key.text.expose()).await;
        assert_eq!((answer.status.as_u16(), reason(&entrada)), (429, of), "{count}");
        assert_ne!(answer.header("retry-after"), "");
    }
}

#[tokio::test]
async fn use_is_counted_over_replicas_by_day_and_costs_a_request_no_write() {
    let stand = stand().await;
    let (entrada, course) = (&stand.entrada, &stand.course);
    let key = made(entrada, new("ci")).await;
    let (there, router) = entrada.replica_with_auth().await;
    assert_eq!(call_at(entrada, &router, &key).await, 200);
    course.counts();
    for _ in 0..3 {
        assert_eq!(call(entrada, &key).await, 200);
        assert_eq!(call_at(entrada, &router, &key).await, 200);
    }
    assert_eq!(course.counts(), (0, 0));
    let (here, there) = (entrada.auth.clone(), there);
    futures_util::future::join(here.write_key_uses(), there.write_key_uses()).await;
    assert_eq!(entrada.events.count(EventName::KeyUsed), 2);
    let line = listed(entrada).await.remove(0);
    assert_eq!((line.today, line.lately, line.last_used_at.is_some()), (7, 7, true));
    entrada.advance(DAY.as_secs());
    assert_eq!(call(entrada, &key).await, 200);
    let line = listed(entrada).await.remove(0);
    assert_eq!((line.today, line.lately), (1, 8), "what this process has counted is written first");
    assert_eq!(with(entrada, "x-api-key", "ent_").await.status, 401);
    entrada.advance(29 * DAY.as_secs());
    let line = listed(entrada).await.remove(0);
    assert_eq!((line.today, line.lately), (0, 1), "and what is refused is not counted");
}

/// Both replicas have read what is written there before either writes.
#[tokio::test]
async fn counts_that_come_at_once_are_both_in_it_and_one_whose_answer_is_lost_is_in_it_once() {
    let stand = stand().await;
    let (entrada, course) = (&stand.entrada, &stand.course);
    let key = made(entrada, new("ci")).await;
    let (there, router) = entrada.replica_with_auth().await;
    assert_eq!((call(entrada, &key).await, call_at(entrada, &router, &key).await), (200, 200));
    entrada.auth.write_key_uses().await;
    assert_eq!(call(entrada, &key).await, 200);
    course.gather_at(KeyUse::key(KeyId::parse(&key.id).unwrap()), 2);
    futures_util::future::join(entrada.auth.write_key_uses(), there.write_key_uses()).await;
    assert_eq!(listed(entrada).await[0].today, 3);
    assert_eq!(call(entrada, &key).await, 200);
    course.lose_answers(1);
    entrada.auth.write_key_uses().await;
    for _ in 0..2 {
        entrada.advance(MINUTE);
        assert_eq!(listed(entrada).await[0].today, 4, "the count was taken though nobody said so");
    }
    assert_eq!(call(entrada, &key).await, 200);
    course.away(true);
    entrada.auth.write_key_uses().await;
    course.away(false);
    assert_eq!(listed(entrada).await[0].today, 5);
    assert_eq!(call(entrada, &key).await, 200);
    // Two who write in one process, as the clock and a command do.
    course.gather_at(KeyUse::key(KeyId::parse(&key.id).unwrap()), 1);
    futures_util::future::join(entrada.auth.write_key_uses(), entrada.auth.write_key_uses()).await;
    assert_eq!(listed(entrada).await[0].today, 6);
}

#[tokio::test]
async fn a_key_that_nears_its_end_is_told_of_once_a_day_by_one_replica() {
    let stand = stand().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let shows = |count: u8| {
        let (text, line) = (metrics.render(), format!("entrada_api_keys_expiring {count}"));
        assert!(text.lines().any(|shown| shown == line), "{count}: {text}");
    };
    let entrada = &stand.entrada;
    let key = made(entrada, new("ci")).await;
    made(entrada, NewKey { expires_in: 200 * DAY, ..new("later") }).await;
    let (there, _) = entrada.replica_with_auth().await;
    let tell = async || {
        entrada.auth.tell_of_keys_that_end().await;
        there.tell_of_keys_that_end().await;
        entrada.events.count(EventName::KeyExpiring)
    };
    assert_eq!(tell().await, 0);
    shows(0);
    entrada.advance(80 * DAY.as_secs());
    assert_eq!((tell().await, tell().await), (1, 1));
    shows(1);
    let event = entrada.events.last(EventName::KeyExpiring).unwrap();
    assert_eq!((event.subject.as_ref(), event.n), (Some(&key.id), Some(10)));
    entrada.advance(DAY.as_secs());
    assert_eq!(tell().await, 2);
    let rotation = KeyRotation { key: "ci".to_owned(), overlap: DAY, expires_in: None };
    entrada.vigil.never(entrada.auth.rotate_key(rotation).await.unwrap().text.expose());
    entrada.advance(DAY.as_secs());
    assert_eq!(tell().await, 2, "it has a successor");
    shows(0);
}

#[tokio::test]
async fn what_no_key_can_be_is_said() {
    let stand = stand().await;
    let auth = &stand.entrada.auth;
    let fails = async |new: NewKey| auth.make_key(new).await.unwrap_err();
    let first = made(&stand.entrada, new("ci")).await;
    assert_eq!(fails(new("ci")).await, NoKey::NameTaken(first.id.clone()));
    assert_eq!(
        fails(NewKey { resource: "/no".to_owned(), ..new("a") }).await,
        NoKey::NoSuchResource(vec!["/mcp".to_owned()])
    );
    let all = Scopes::parse("mcp.read mcp.write");
    for scopes in ["", "mcp.read mcp.admin"] {
        assert_eq!(
            fails(NewKey { scopes: Scopes::parse(scopes), ..new("a") }).await,
            NoKey::NoSuchScope(all.clone())
        );
    }
    for expires_in in [Duration::ZERO, 366 * DAY] {
        assert_eq!(fails(NewKey { expires_in, ..new("a") }).await, NoKey::BadExpiry);
    }
    made(
        &stand.entrada,
        NewKey { expires_in: 365 * DAY, resource: format!("{ISSUER}/mcp"), ..new("a year") },
    )
    .await;
    auth.revoke_key("ci").await.unwrap();
    made(&stand.entrada, new("ci")).await;
    let states: Vec<_> =
        listed(&stand.entrada).await.into_iter().map(|line| (line.name, line.state)).collect();
    let line = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(states[0], line("a year", "active"));
    assert!(states.contains(&line("ci", "active")) && states.contains(&line("ci", "revoked")), "{states:?}");
}

#[tokio::test]
async fn in_the_store_nothing_lies_in_clear() {
    let stand = stand().await;
    let key = made(&stand.entrada, new("a-name-in-clear")).await;
    assert_eq!(call(&stand.entrada, &key).await, 200);
    stand.entrada.auth.write_key_uses().await;
    let stored = stand.entrada.store.list(Listing::Prefix("k."), None, 10).await.unwrap();
    assert_eq!(
        stored.iter().map(|stored| stored.document.key.id.as_str()).collect::<Vec<_>>(),
        ["key", "use"]
    );
    for stored in stored {
        let text = String::from_utf8_lossy(&stored.document.body).into_owned();
        for clear in ["a-name-in-clear", "mcp.read", &key.text.expose()[4..30]] {
            assert!(!text.contains(clear), "{clear}");
        }
        // A month after the key has ended.
        let expires_at = stored.document.expires_at.unwrap();
        assert_eq!(expires_at, key.expires_at.plus(30 * DAY));
    }
}

#[tokio::test]
async fn a_stream_that_was_begun_with_a_key_ends_with_it() {
    let mut wire = Wire::with(|resource| resource.allowed.keys = true).await;
    let key = made(&wire.entrada, new("ci")).await;
    key.text.expose().clone_into(&mut wire.tokens.access);
    let (mut client, mut upstream) = streaming(&wire, "text/event-stream", "data: 1\n\n").await;
    wire.entrada.auth.revoke_key("ci").await.unwrap();
    tokio::time::pause();
    client.until("0\r\n\r\n").await;
    upstream.hung_up().await;
}

#[tokio::test]
async fn no_person_is_called_as_a_key_is() {
    let entrada = Entrada::with(Setup { oidc: true, ..Setup::default() }).await;
    entrada.script.lie(|_, token| {
        token.claims.insert("sub".to_owned(), json!("key:0123456789abcdef"));
    });
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let callback = browser.to_callback(&entrada, &client.authorize(&[])).await;
    browser.open(&entrada, callback.as_str()).await;
    assert_eq!(entrada.events.count(EventName::SignInCompleted), 0);
    assert_eq!(entrada.events.count(EventName::UpstreamRefused), 1);
}

#[tokio::test]
async fn where_people_have_no_limit_a_key_has_that_of_a_client() {
    let Stand { entrada, upstream, .. } = stand().await;
    let mut resource = resource(ISSUER, "/mcp", Some(upstream.url.clone()));
    resource.allowed.keys = true;
    let per_client = Some(Rate { count: NonZeroU32::MIN, period: Duration::from_mins(1) });
    let limits = Limits { per_client, ..Limits::default() };
    let entrada = entrada.again(Setup { limits, resources: vec![resource], ..Setup::default() }).await;
    let key = made(&entrada, new("ci")).await;
    assert_eq!(
        (call(&entrada, &key).await, call(&entrada, &key).await, reason(&entrada)),
        (200, 429, "client_limit")
    );
}

/// A store whose next answer about one document is given when it is let go.
struct Slow {
    store: Arc<dyn Store>,
    of: Mutex<Option<DocumentKey>>,
    asked: Notify,
    goes: Notify,
}

#[async_trait]
impl Store for Slow {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.store.create(document).await
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        let read = self.store.read(key).await;
        let waits = self.of.lock().unwrap().take_if(|of| of == key).is_some();
        if waits {
            self.asked.notify_one();
            self.goes.notified().await;
        }
        read
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        self.store.replace(document, expected).await
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store.list(listing, after, limit).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.store.sweep().await
    }
}

#[tokio::test]
async fn a_slower_answer_from_before_its_end_does_not_revive_a_key() {
    let Stand { entrada, upstream, .. } = stand().await;
    let slow: Arc<OnceLock<Arc<Slow>>> = Arc::default();
    let there = Arc::clone(&slow);
    let decorate = Box::new(move |store| {
        let slow = Slow { store, of: Mutex::default(), asked: Notify::new(), goes: Notify::new() };
        Arc::clone(there.get_or_init(|| Arc::new(slow))) as _
    });
    let mut resource = resource(ISSUER, "/mcp", Some(upstream.url.clone()));
    resource.allowed.keys = true;
    drop(entrada);
    let entrada = Entrada::with(Setup { decorate, resources: vec![resource], ..Setup::default() }).await;
    let slow = slow.get().unwrap();
    let key = made(&entrada, new("ci")).await;
    let at = ApiKey::key(KeyId::parse(&key.id).unwrap());
    entrada.advance(20);
    *slow.of.lock().unwrap() = Some(at.clone());
    let revoke = async {
        slow.asked.notified().await;
        let auth = entrada.auth.clone();
        let revoked = tokio::spawn(async move { auth.revoke_key("ci").await.map(|line| line.state) });
        while slow.store.read(&at).await.unwrap().unwrap().document.state != State::Revoked {
            tokio::task::yield_now().await;
        }
        // All that does not wait for the answer is done by now.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        slow.goes.notify_one();
        revoked.await.unwrap()
    };
    let (begun_before, revoked) = futures_util::future::join(call(&entrada, &key), revoke).await;
    assert_eq!((begun_before, revoked), (200, Ok("revoked".to_owned())));
    assert_eq!((call(&entrada, &key).await, reason(&entrada)), (401, "key_revoked"));
}

#[tokio::test]
async fn a_key_that_ends_while_a_body_comes_is_refused_as_any_other_and_stays_ended_while_the_store_is_away()
{
    let stand = Stand::with(|resource| {
        every_tool_needs_a_scope(resource);
        resource.allowed.keys = true;
    })
    .await;
    let key = made(&stand.entrada, NewKey { expires_in: Duration::from_secs(60), ..new("short") }).await;
    let (clock, late) = (Arc::clone(&stand.entrada.clock), Arc::new(Notify::new()));
    let body = {
        let late = Arc::clone(&late);
        futures_util::stream::once(async move {
            late.notify_one();
            clock.advance(Duration::from_secs(60));
            Ok::<_, std::io::Error>(
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"}}"#,
            )
        })
    };
    let request = Request::post("/mcp")
        .header("x-api-key", key.text.expose())
        .header("content-type", "application/json");
    let answer = stand.entrada.send(request.body(Body::from_stream(body)).unwrap()).await;
    late.notified().await;
    assert_eq!((answer.status.as_u16(), reason(&stand.entrada)), (401, "key_expired"));
    assert!(!answer.header("www-authenticate").contains("error"), "{answer:?}");
    assert!(stand.upstream.arrived().is_empty());
    stand.course.away(true);
    assert_eq!(
        (call(&stand.entrada, &key).await, reason(&stand.entrada)),
        (401, "key_expired"),
        "an end is one"
    );
}
