//! Keys that are replaced: by themselves, by hand, and because somebody else has them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::adapters::root_key_file::RootKeyFile;
use entrada::domain::document::Document;
use entrada::domain::event::EventName;
use entrada::domain::grant::GrantId;
use entrada::domain::keys::Generation;
use entrada::domain::keys::KeyRing;
use entrada::domain::person::UserKey;
use entrada::domain::reference::Kind;
use entrada::domain::reference::Reference;
use entrada::domain::root_check::RootCheck;
use entrada::domain::signing::SigningAlg;
use entrada::domain::signing_keys::StoredSigningKeys;
use entrada::flows::AuthServer;
use entrada::flows::block::Target;
use entrada::flows::rotate::NotRotated;
use entrada::flows::rotate::RootStage;
use entrada::flows::rotate::Rotated;
use entrada::flows::rotate::Rotation;
use entrada::ports::root_key::RootKeyStore;
use entrada::protocol::issuer::Issuer;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::resource;
use crate::support::race::Course;
use crate::support::race::Raced;
use crate::support::upstream::Upstream;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// With a resource behind the gateway, where access tokens show what they are worth.
async fn guarded() -> (Entrada, Upstream) {
    guarded_with(Setup::default()).await
}

async fn guarded_with(setup: Setup) -> (Entrada, Upstream) {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    (Entrada::with(Setup { resources, ..setup }).await, upstream)
}

async fn get_from(entrada: &Entrada, router: &Router, path: &str) -> Answer {
    entrada.send_to(router, Request::get(path).body(Body::empty()).unwrap()).await
}

/// The ids of the published keys, the oldest first.
async fn kids(entrada: &Entrada, router: &Router) -> Vec<String> {
    let keys = get_from(entrada, router, "/.well-known/jwks.json").await.json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

/// What an access token is worth at a replica's gateway.
async fn call(entrada: &Entrada, router: &Router, token: &str) -> u16 {
    let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    entrada.send_to(router, request.body(Body::empty()).unwrap()).await.status.as_u16()
}

async fn refresh_at(entrada: &Entrada, router: &Router, client: &Client, token: &str) -> Answer {
    let form = client.refresh_form(token);
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    entrada.send_to(router, form_request("/token", &form)).await
}

/// Which generation of the root key made a code or a refresh token.
fn generation(credential: &str) -> u8 {
    let (_, encoded) = credential.split_once('_').unwrap();
    URL_SAFE_NO_PAD.decode(encoded).unwrap()[1]
}

#[tokio::test]
async fn a_signing_key_is_published_an_hour_before_it_signs_and_until_its_last_token_has_expired() {
    let (entrada, _upstream) = guarded().await;
    let client = Client::register(&entrada).await;
    let first = kids(&entrada, &entrada.router).await;
    assert_eq!(first.len(), 1);

    entrada.advance(30 * DAY - HOUR - 1);
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(kids(&entrada, &entrada.router).await, first, "it is not time yet");
    entrada.advance(1);
    entrada.auth.keep_keys().await.unwrap();
    let both = kids(&entrada, &entrada.router).await;
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    assert_eq!(entrada.events.count(EventName::KeysRotated), 1);

    entrada.advance(HOUR - 1);
    let last = client.tokens(&entrada).await;
    assert_eq!(kid(&last.access), both[0], "the new one is published, and does not sign yet");
    entrada.advance(1);
    assert_eq!(kid(&client.tokens(&entrada).await.access), both[1], "now it does");

    entrada.advance(HOUR - 2);
    assert_eq!(call(&entrada, &entrada.router, &last.access).await, 200, "its last second");
    assert_eq!(kids(&entrada, &entrada.router).await, both);
    entrada.advance(2 + 120);
    assert_eq!(kids(&entrada, &entrada.router).await, both[1..], "nothing that it signed is valid any more");
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(entrada.events.count(EventName::KeysRotated), 1);
}

#[tokio::test]
async fn of_many_replicas_one_rotates() {
    const REPLICAS: usize = 8;
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
    let entrada = Entrada::with(Setup { decorate: Box::new(decorate), ..Setup::default() }).await;
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(entrada.replica_with_auth().await);
    }
    entrada.advance(30 * DAY);
    course.gather_at(StoredSigningKeys::key(), REPLICAS);
    let mut keeping: JoinSet<_> = replicas
        .iter()
        .map(|(auth, _)| auth.clone())
        .map(|auth: AuthServer| async move { auth.keep_keys().await.unwrap() })
        .collect();
    while let Some(kept) = keeping.join_next().await {
        kept.unwrap();
    }
    assert_eq!(entrada.events.count(EventName::KeysRotated), 1);
    let published = kids(&entrada, &replicas[0].1).await;
    assert_eq!(published.len(), 2);
    for (_, router) in &replicas {
        assert_eq!(kids(&entrada, router).await, published);
    }
}

/// A replica that has not heard of the rotation for as long as it may verifies what the others sign.
#[tokio::test]
async fn no_replica_meets_a_token_of_a_key_that_it_does_not_know() {
    let (entrada, _upstream) = guarded().await;
    let (late, router) = entrada.replica_with_auth().await;
    let client = Client::register(&entrada).await;
    entrada.advance(30 * DAY);
    entrada.auth.keep_keys().await.unwrap();
    entrada.advance(30);
    late.keep_keys().await.unwrap();
    entrada.advance(HOUR - 30);
    let tokens = client.tokens(&entrada).await;
    assert_eq!(call(&entrada, &router, &tokens.access).await, 200);
    assert_eq!(kid(&tokens.access), kids(&entrada, &router).await[1]);
}

#[tokio::test]
async fn another_algorithm_begins_when_everybody_knows_its_key() {
    let (entrada, upstream) = guarded().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let client = Client::register(&entrada).await;
    let old = client.tokens(&entrada).await;
    let setup = Setup { signing_alg: SigningAlg::RS256, resources, ..Setup::default() };
    let entrada = entrada.again(setup).await;
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(kids(&entrada, &entrada.router).await.len(), 2, "one waits, and no other is made meanwhile");
    assert_eq!(header(&client.tokens(&entrada).await.access)["alg"], "ES256");
    entrada.advance(HOUR);
    assert_eq!(header(&client.tokens(&entrada).await.access)["alg"], "RS256");
    assert_eq!(call(&entrada, &entrada.router, &old.access).await, 401, "it has expired");
    let again = Tokens::of(&client.refresh(&entrada, &old.refresh).await);
    assert_eq!(call(&entrada, &entrada.router, &again.access).await, 200);
}

/// A resource with longer tokens than those that the keys were kept for.
#[tokio::test]
async fn keys_are_kept_as_long_as_the_longest_tokens_live() {
    let (entrada, upstream) = guarded().await;
    let mut longer = resource(ISSUER, "/mcp", Some(upstream.url.clone()));
    longer.access = Duration::from_secs(20 * HOUR);
    let entrada = entrada.again(Setup { resources: vec![longer], ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    entrada.advance(30 * DAY);
    entrada.auth.keep_keys().await.unwrap();
    entrada.advance(HOUR - 1);
    let last = client.tokens(&entrada).await;
    entrada.advance(20 * HOUR - 1);
    assert_eq!(call(&entrada, &entrada.router, &last.access).await, 200);
}

#[tokio::test]
async fn by_hand_the_next_signing_key_comes_early_and_only_one_waits() {
    let (entrada, _upstream) = guarded().await;
    let rotated = entrada.auth.rotate_keys(Rotation::Signing).await.unwrap();
    let Rotated::Published { kid, signs_from } = rotated else { panic!("{rotated:?}") };
    assert_eq!(kids(&entrada, &entrada.router).await[1], kid);
    let again = entrada.auth.rotate_keys(Rotation::Signing).await;
    assert_eq!(again, Err(NotRotated::HasSuccessor { kid: kid.clone(), signs_from }));
    entrada.advance(HOUR);
    let found = entrada.auth.list_keys().await.unwrap();
    let states: Vec<String> = found.signing.iter().map(|key| format!("{:?}", key.stage)).collect();
    assert_eq!(states, ["Retired", "Signing"]);
}

#[tokio::test]
async fn a_signing_key_in_other_hands_is_out_of_the_key_set_at_once_and_signs_in_nobody_out() {
    let (entrada, _upstream) = guarded().await;
    let (other, router) = entrada.replica_with_auth().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    assert_eq!(call(&entrada, &router, &tokens.access).await, 200);
    let before = kids(&entrada, &entrada.router).await;

    let rotated = entrada.auth.rotate_keys(Rotation::SigningCompromised).await.unwrap();
    let after = kids(&entrada, &entrada.router).await;
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
    assert_eq!(rotated, Rotated::Replaced { kid: after[0].clone() });
    assert_eq!(call(&entrada, &entrada.router, &tokens.access).await, 401, "at once");
    other.keep_keys().await.unwrap();
    assert_eq!(call(&entrada, &router, &tokens.access).await, 401, "within half a minute");
    let again = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(call(&entrada, &router, &again.access).await, 200);
}

#[tokio::test]
async fn a_new_root_key_makes_what_is_new_and_the_old_ones_go_on_verifying() {
    let (entrada, _upstream) = guarded().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let code = client.code(&entrada).await;
    let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
    entrada.auth.block(Target::RedirectHost("blocked.example".to_owned())).await.unwrap();

    let rotated = entrada.auth.rotate_keys(Rotation::Root).await.unwrap();
    assert!(matches!(rotated, Rotated::RootAdded { generation: 2, .. }), "{rotated:?}");
    assert_eq!((generation(&code), generation(&tokens.refresh)), (1, 1));
    let redeemed = Tokens::of(&client.redeem(&entrada, &code).await);
    let refreshed = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!((generation(&redeemed.refresh), generation(&refreshed.refresh)), (2, 2));
    assert_eq!(call(&entrada, &entrada.router, &tokens.access).await, 200);
    assert!(!page.body.is_empty());
    assert_eq!(entrada.auth.list_clients().await.unwrap().unreadable, 0);
    assert_eq!(entrada.auth.list_clients().await.unwrap().blocks.len(), 1);
    assert_eq!(generation(&client.code(&entrada).await), 2);
    assert_ne!(Client::register(&entrada).await.id, client.id, "another key names it otherwise");

    let again = entrada.replica().await;
    assert!(refresh_at(&entrada, &again, &client, &refreshed.refresh).await.status.is_success());
    let lines = fs::read_to_string(entrada.root_key()).unwrap();
    assert_eq!(lines.lines().filter(|line| !line.starts_with('#')).count(), 2);
    assert_eq!(fs::metadata(entrada.root_key()).unwrap().permissions().mode() & 0o777, 0o600);
}

fn copy_of_root(entrada: &Entrada, to: &Path) {
    fs::copy(entrada.root_key(), to.join("root.key")).unwrap();
}

#[tokio::test]
async fn a_replica_without_the_new_root_key_serves_until_it_is_used_and_then_nothing_until_it_has_it() {
    let (entrada, _upstream) = guarded().await;
    let client = Client::register(&entrada).await;
    let there = TempDir::new().unwrap();
    copy_of_root(&entrada, there.path());
    let (late, router) = entrada.replica_of(RootKeyFile::copied(there.path().join("root.key")));
    late.keep_keys().await.unwrap();
    // The one that rotates knows that the others have copies.
    let (rotating, new) = entrada.replica_of(RootKeyFile::copied(entrada.root_key()));
    rotating.keep_keys().await.unwrap();
    let tokens = client.tokens(&entrada).await;
    rotating.rotate_keys(Rotation::Root).await.unwrap();

    late.keep_keys().await.unwrap();
    let tokens = Tokens::of(&refresh_at(&entrada, &new, &client, &tokens.refresh).await);
    assert_eq!(generation(&tokens.refresh), 1, "the others have a day to get it");
    let tokens = Tokens::of(&refresh_at(&entrada, &router, &client, &tokens.refresh).await);

    entrada.advance(DAY);
    let answer = refresh_at(&entrada, &router, &client, &tokens.refresh).await;
    assert_eq!(answer.status, 503, "to the second, and not when it looks again");
    rotating.keep_keys().await.unwrap();
    let error = late.keep_keys().await.unwrap_err().to_string();
    assert!(error.contains("has no generation 2 of the root key"), "{error}");
    let tokens = Tokens::of(&refresh_at(&entrada, &new, &client, &tokens.refresh).await);
    assert_eq!(generation(&tokens.refresh), 2);
    let answer = refresh_at(&entrada, &router, &client, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(call(&entrada, &router, &tokens.access).await, 503, "never 401 for a good token");
    assert_eq!(get_from(&entrada, &router, "/healthz/ready").await.status, 503);

    copy_of_root(&entrada, there.path());
    late.keep_keys().await.unwrap();
    assert_eq!(call(&entrada, &router, &tokens.access).await, 200);
    Tokens::of(&refresh_at(&entrada, &router, &client, &tokens.refresh).await);
}

#[tokio::test]
async fn a_root_key_in_other_hands_ends_everything_that_was_made_with_it_but_the_blocks() {
    let (entrada, _upstream) = guarded().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let code = client.code(&entrada).await;
    entrada.auth.block(Target::RedirectHost("blocked.example".to_owned())).await.unwrap();

    let rotated = entrada.auth.rotate_keys(Rotation::RootCompromised).await.unwrap();
    assert!(matches!(rotated, Rotated::RootReplaced { generation: 2, ended: 2, .. }), "{rotated:?}");
    for answer in [client.refresh(&entrada, &tokens.refresh).await, client.redeem(&entrada, &code).await] {
        assert_eq!(
            (answer.status.as_u16(), answer.error().as_str()),
            (401, "invalid_client"),
            "registered anew"
        );
    }
    assert_eq!(call(&entrada, &entrada.router, &tokens.access).await, 401);
    let lines = fs::read_to_string(entrada.root_key()).unwrap();
    let left: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].starts_with("2 "));

    // Whoever starts anew finds what is left in order.
    let (auth, router) = entrada.replica_with_auth().await;
    let clients = auth.list_clients().await.unwrap();
    assert_eq!((clients.blocks.len(), clients.unreadable), (1, 0));
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    assert_eq!(call(&entrada, &router, &tokens.access).await, 200);
    let grants = auth.list_grants(&entrada::flows::administer::Selection::All).await.unwrap();
    let states: Vec<&str> = grants.grants.iter().map(|grant| grant.state.as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "revoked").count(), 2, "{states:?}");
    assert_eq!(grants.unreadable, 0);
}

/// Whatever write fails, everybody who starts afterwards gets in, and the same command finishes the work.
#[tokio::test]
async fn a_replacement_of_the_root_key_may_be_interrupted_at_any_write() {
    for nth in 1.. {
        let course = Arc::new(Course::default());
        let there = Arc::clone(&course);
        let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
        let entrada = Entrada::with(Setup { decorate: Box::new(decorate), ..Setup::default() }).await;
        let client = Client::register(&entrada).await;
        client.tokens(&entrada).await;
        entrada.auth.block(Target::RedirectHost("blocked.example".to_owned())).await.unwrap();
        course.fail_write(nth);
        let interrupted = entrada.auth.rotate_keys(Rotation::RootCompromised).await;
        if !course.has_failed() {
            assert!(nth > 5, "it writes more often");
            assert!(interrupted.is_ok(), "{interrupted:?}");
            return;
        }
        assert_eq!(interrupted, Err(NotRotated::StoreAway), "{nth}");
        let (auth, router) = entrada.replica_with_auth().await;
        let again = auth.rotate_keys(Rotation::RootCompromised).await;
        assert!(matches!(again, Ok(Rotated::RootReplaced { .. })), "{nth}: {again:?}");
        assert_eq!(auth.list_clients().await.unwrap().blocks.len(), 1, "{nth}");
        assert_eq!(kids(&entrada, &router).await.len(), 1);
        let (_, fresh) = entrada.replica_with_auth().await;
        assert_eq!(kids(&entrada, &fresh).await, kids(&entrada, &router).await, "{nth}");
    }
}

/// Two that wait could lie in two files, of which neither is enough.
#[tokio::test]
async fn while_a_generation_waits_no_other_is_made_and_where_it_is_missing_that_is_told() {
    let entrada = Entrada::start().await;
    let there = TempDir::new().unwrap();
    copy_of_root(&entrada, there.path());
    let (one, _) = entrada.replica_of(RootKeyFile::copied(entrada.root_key()));
    one.keep_keys().await.unwrap();
    one.rotate_keys(Rotation::Root).await.unwrap();
    let again = one.rotate_keys(Rotation::Root).await.unwrap_err();
    assert!(matches!(again, NotRotated::RootPending { generation: 2, missing: false, .. }), "{again:?}");
    let (other, _) = entrada.replica_of(RootKeyFile::copied(there.path().join("root.key")));
    other.keep_keys().await.unwrap();
    let missing = other.rotate_keys(Rotation::Root).await.unwrap_err();
    assert!(matches!(missing, NotRotated::RootPending { generation: 2, missing: true, .. }), "{missing:?}");
    assert!(entrada.log.text().contains("a generation of the root key is missing here"));
    let stages: Vec<RootStage> = one.list_keys().await.unwrap().root.iter().map(|root| root.stage).collect();
    assert_eq!(stages, [RootStage::Current, RootStage::Pending]);
}

/// With an old root key tokens can be made that are newer than all. They are not taken once a newer one is in use.
#[tokio::test]
async fn a_replaced_root_key_makes_no_token_that_is_ahead() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let stolen = RootKeyFile::new(entrada.root_key()).load().await.unwrap();
    let stolen = KeyRing::derive(&Issuer::parse(ISSUER).unwrap(), &stolen, Generation(1)).unwrap();
    entrada.auth.rotate_keys(Rotation::Root).await.unwrap();
    let tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    let mine = Reference::read(&stolen, Kind::RefreshToken, &tokens.refresh);
    assert!(mine.is_err(), "it is made with the new key");
    let (user, grant) = tokens_grant(&tokens);
    for n in [1, 2, 900] {
        let forged = Reference { user, grant, n, generation: Generation(1) };
        let forged = forged.issue(&stolen, Kind::RefreshToken).unwrap();
        let answer = client.refresh(&entrada, &forged).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"), "{n}");
    }
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

fn tokens_grant(tokens: &Tokens) -> (UserKey, GrantId) {
    let claims = tokens.claims();
    let text = |name: &str| claims[name].as_str().unwrap().to_owned();
    (UserKey::of(&text("sub")), GrantId::parse(&text("sid")).unwrap())
}

/// It was reached never: then there are no keys, and nothing that needs one is served, but all that does not.
#[tokio::test]
async fn without_its_store_a_server_lives_tells_where_things_are_and_opens_when_the_store_answers() {
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
    let (entrada, _upstream) = guarded_with(Setup { decorate: Box::new(decorate), ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    course.away(true);
    let (auth, router) = entrada.replica_of(RootKeyFile::copied(entrada.root_key()));
    assert!(auth.keep_keys().await.is_err());

    for path in [
        "/healthz/live",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        assert_eq!(get_from(&entrada, &router, path).await.status, 200, "{path}");
    }
    for path in ["/healthz/ready", "/.well-known/jwks.json"] {
        assert_eq!(get_from(&entrada, &router, path).await.status, 503, "{path}");
    }
    let page = get_from(&entrada, &router, &client.authorize(&[])).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (503, "text/html; charset=utf-8"));
    assert!(page.body.contains("Try again in a minute"), "{}", page.body);
    assert_eq!(call(&entrada, &router, &tokens.access).await, 503);
    let answer = refresh_at(&entrada, &router, &client, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    let registration = Request::post("/register").header("content-type", "application/json");
    let answer = entrada.send_to(&router, registration.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.status, 503);

    course.away(false);
    auth.keep_keys().await.unwrap();
    assert_eq!(get_from(&entrada, &router, "/healthz/ready").await.status, 200);
    assert_eq!(call(&entrada, &router, &tokens.access).await, 200);
    Tokens::of(&refresh_at(&entrada, &router, &client, &tokens.refresh).await);
    course.away(true);
    assert!(auth.keep_keys().await.is_err());
    assert_eq!(call(&entrada, &router, &tokens.access).await, 200, "a store that goes away later is no news");
}

/// Not an outage: then nobody knows which keys count.
#[tokio::test]
async fn a_check_of_the_root_key_that_cannot_be_read_closes_the_server() {
    let entrada = Entrada::start().await;
    let stored = entrada.store.read(&RootCheck::key()).await.unwrap().unwrap();
    let garbled = Document { body: b"{}".to_vec(), ..stored.document.clone() };
    let version = entrada.store.replace(garbled, &stored.version).await.unwrap();
    assert!(entrada.auth.keep_keys().await.is_err());
    assert_eq!(entrada.get("/healthz/ready").await.status, 503);
    entrada.store.replace(stored.document, &version).await.unwrap();
    entrada.auth.keep_keys().await.unwrap();
    assert_eq!(entrada.get("/healthz/ready").await.status, 200);
}

#[tokio::test]
async fn a_replica_never_makes_the_root_key_of_a_store_that_others_use() {
    let entrada = Entrada::start().await;
    let nowhere = TempDir::new().unwrap();
    let file = nowhere.path().join("root.key");
    let (auth, _) = entrada.replica_of(RootKeyFile::copied(&file));
    let error = auth.keep_keys().await.unwrap_err().to_string();
    assert!(error.contains("is missing, but the store was made with one"), "{error}");
    assert!(!file.exists());
}

#[tokio::test]
async fn another_upstream_credential_logs_nobody_out() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.idp.replace_client_secret(SecretString::from("another-secret-0054321"));
    entrada.advance(301);
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    let setup = Setup { upstream_secret: "another-secret-0054321".to_owned(), ..Setup::default() };
    let entrada = entrada.again(setup).await;
    let asked = entrada.upstream_refreshes();
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(entrada.upstream_refreshes(), asked + 1);
}
