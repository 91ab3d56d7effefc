//! MCP clients as they are: each file in `real_clients/` says what one of them registers, asks for, sends and
//! does when it is refused, and where that was seen. Nobody's code is run here; `e2e` runs that of those who give it.

mod fixture;
mod session;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use entrada::flows::administer::Selection;
use futures_util::future::join_all;

use crate::real_clients::fixture::Fixture;
use crate::real_clients::fixture::Habit;
use crate::real_clients::fixture::Revision;
use crate::real_clients::session::Session;
use crate::real_clients::session::has_null;
use crate::real_clients::session::register;
use crate::real_clients::world::Found;
use crate::real_clients::world::World;
use crate::real_clients::world::parameter;
use crate::support::browser::Browser;
use crate::support::client::Tokens;
use crate::support::entrada::ISSUER;

/// The ids of all of them stay below this: they travel in addresses and cookies.
const LONGEST_ID: usize = 400;

/// Seconds. Bursts of one client's refreshes were spread over so much.
const LONGEST_BURST: u64 = 76;

/// Makes the tests of each client, in a module of its name.
macro_rules! real_clients {
    ($($client:ident),+ $(,)?) => {
        const CLIENTS: &[&str] = &[$(stringify!($client)),+];

        $(mod $client {
            use crate::real_clients::fixture::Fixture;

            fn fixture() -> Fixture {
                let file = include_str!(concat!("real_clients/", stringify!($client), ".toml"));
                Fixture::read(stringify!($client), file)
            }

            #[tokio::test]
            async fn is_registered_as_it_needs() {
                super::is_registered_as_it_needs(&fixture()).await;
            }

            #[tokio::test]
            async fn gets_in() {
                super::gets_in(&fixture()).await;
            }

            #[tokio::test]
            async fn refreshes_in_its_way() {
                super::refreshes_in_its_way(&fixture()).await;
            }

            #[tokio::test]
            async fn recovers() {
                super::recovers(&fixture()).await;
            }
        })+
    };
}

real_clients! {
    antigravity,
    chatgpt,
    chatgpt_document,
    chatgpt_public,
    claude,
    claude_document,
    claude_code,
    claude_code_document,
    claude_confidential,
    codex,
    codex_document,
    copilot_cli,
    copilot_studio,
    cursor,
    fastmcp,
    gemini_cli,
    inspector_cli,
    inspector_web,
    mcp_remote,
    microsoft_365_copilot,
    opencode,
    opencode_document,
    perplexity,
    python_sdk,
    python_sdk_confidential,
    rmcp,
    typescript_sdk,
    vs_code,
    vs_code_document,
    zed,
    zed_document,
}

async fn is_registered_as_it_needs(fixture: &Fixture) {
    let who = &fixture.client;
    let world = World::of(fixture).await;
    let found = Found::by(&world, fixture).await;
    let Some(expected) = &fixture.registered else {
        return match fixture.document() {
            Some((id, _)) => is_known_by_its_document(&world, fixture, &id).await,
            None => is_known_already(&world, fixture).await,
        };
    };
    let (_, sent) = fixture.registration().unwrap();
    let answer = register(&world, fixture, &found).await;
    assert_eq!(answer.status, 201, "{who}: {}", answer.body);
    let registered = answer.json();
    assert!(!has_null(&registered), "{who} does not accept a null: {registered}");
    assert_eq!(registered["token_endpoint_auth_method"], expected.method, "{who}");
    assert_eq!(registered["client_secret"].is_string(), expected.secret, "{who}: {registered}");
    let expires = registered.get("client_secret_expires_at");
    assert_eq!(
        expires.and_then(serde_json::Value::as_u64),
        expected.secret.then_some(0),
        "{who}: {registered}"
    );
    assert_eq!(registered["application_type"], expected.application_type, "{who}");
    assert_eq!(registered["redirect_uris"], sent["redirect_uris"], "{who}: each of them was kept as it was");
    assert_eq!(registered["client_name"], sent["client_name"], "{who}");
    let grants = ["authorization_code", "refresh_token"].map(serde_json::Value::from).to_vec();
    assert_eq!(registered["grant_types"], serde_json::Value::from(grants), "{who}");
    assert_eq!(registered["response_types"][0], "code", "{who}");
    let id = registered["client_id"].as_str().unwrap();
    assert!(id.len() < LONGEST_ID, "{who}: an id of {} characters: {id}", id.len());

    let again = register(&world, fixture, &found).await.json();
    assert_eq!(
        again["client_id"] == id,
        !expected.secret,
        "{who} registers twice, and only a secret tells them apart"
    );
    assert!(!expected.secret || again["client_secret"] != registered["client_secret"], "{who}");
}

/// A client that the operator entered: the wrong secret does not help it.
async fn is_known_already(world: &World, fixture: &Fixture) {
    let who = &fixture.client;
    let mut session = Session::begin(world, fixture).await;
    let redirect_uri = &fixture.authorize.redirect_uris[0];
    let tokens = session.connect(world, redirect_uri).await;
    session.secret = Some("another secret".to_owned());
    let refused = session.refresh_at(world, &world.entrada.router, &tokens).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"), "{who}");
}

/// A client that publishes what it is: nothing is stored for it before somebody signs in, and its document is fetched
/// once.
async fn is_known_by_its_document(world: &World, fixture: &Fixture, id: &str) {
    let who = &fixture.client;
    let session = Session::begin(world, fixture).await;
    for redirect_uri in &fixture.authorize.redirect_uris {
        let page = Browser::default().open(&world.entrada, &session.authorize(redirect_uri)).await;
        let (host, path) = id.strip_prefix("https://").and_then(|rest| rest.split_once('/')).unwrap();
        let vouched = format!("The website <code>{host}</code><code class=\"path\">/{path}</code> says");
        assert!(page.body.contains(&vouched), "{who}: {}", page.body);
    }
    session.connect(world, &fixture.authorize.redirect_uris[0]).await;
    assert_eq!(world.web.requests(id), 1, "{who}");
}

async fn gets_in(fixture: &Fixture) {
    let world = World::of(fixture).await;
    let session = Session::begin(&world, fixture).await;
    for redirect_uri in &fixture.authorize.redirect_uris {
        session.connect(&world, redirect_uri).await;
    }
}

async fn refreshes_in_its_way(fixture: &Fixture) {
    let who = &fixture.client;
    let world = World::of(fixture).await;
    let session = Session::begin(&world, fixture).await;
    let mut tokens = session.connect(&world, &fixture.authorize.redirect_uris[0]).await;
    for habit in &fixture.refresh.habits {
        world.entrada.advance(3_600);
        let refused = world.call(&tokens.access).await.expect_err("the access token has expired");
        let challenge = refused.header("www-authenticate");
        assert_eq!(
            (refused.status.as_u16(), parameter(challenge, "error")),
            (401, Some("invalid_token")),
            "{who}"
        );
        let answers = habit_of(&world, &session, &tokens, *habit).await;
        let successors: BTreeSet<&str> = answers.iter().map(|answer| answer.refresh.as_str()).collect();
        assert_eq!(successors.len(), 1, "{who}, {habit:?}: whichever answer it keeps is good");
        for answer in &answers {
            session.check_call(&world, answer).await;
        }
        tokens = answers.into_iter().next().unwrap();
    }
    session.refreshed_at(&world, &world.entrada.router, &tokens).await;
}

/// What comes of refreshing in a habit: all answers that arrive.
async fn habit_of(world: &World, session: &Session<'_>, tokens: &Tokens, habit: Habit) -> Vec<Tokens> {
    let here = &world.entrada.router;
    match habit {
        Habit::Once => vec![session.refreshed_at(world, here, tokens).await],
        Habit::SixAtOnce => {
            // Every one of them has read the grant before any writes.
            let replicas = join_all((0..6).map(|_| world.entrada.replica())).await;
            world.course.gather(6);
            let first = at_once(world, session, tokens, &replicas).await;
            world.entrada.advance(3_600);
            // And all at one, where they take turns.
            at_once(world, session, &first[0], &vec![here.clone(); 6]).await
        }
        Habit::TwoNodes => {
            let there = world.entrada.replica().await;
            let first = session.refreshed_at(world, here, tokens).await;
            world.entrada.advance(5);
            vec![first, session.refreshed_at(world, &there, tokens).await]
        }
        Habit::AnswerLost => {
            session.refreshed_at(world, here, tokens).await;
            world.entrada.advance(LONGEST_BURST);
            vec![session.refreshed_at(world, here, tokens).await]
        }
    }
}

async fn at_once(world: &World, session: &Session<'_>, tokens: &Tokens, routers: &[Router]) -> Vec<Tokens> {
    let answers = join_all(routers.iter().map(|router| session.refreshed_at(world, router, tokens))).await;
    assert!(answers.iter().all(|answer| answer.refresh == answers[0].refresh), "{}", session.fixture.client);
    answers
}

async fn recovers(fixture: &Fixture) {
    let redirect_uri = &fixture.authorize.redirect_uris[0];
    let before = World::of(fixture).await;
    let mut session = Session::begin(&before, fixture).await;
    let tokens = session.connect(&before, redirect_uri).await;

    // The session has ended: it keeps its registration and has the person sign in.
    before.entrada.auth.revoke_grants(&Selection::All).await.unwrap();
    refuses_to_refresh(&before, &session, &tokens, (400, "invalid_grant")).await;
    session.connect(&before, redirect_uri).await;

    // The server has another key, and knows nothing of what the client has stored.
    let after = World::of(fixture).await;
    let refused = after.call(&tokens.access).await.expect_err("a token of another key");
    let challenge = refused.header("www-authenticate");
    assert!(parameter(challenge, "resource_metadata").is_some(), "{}: {challenge}", fixture.client);
    if fixture.registered.is_some() {
        shows_a_page(&after, &session).await;
        refuses_to_refresh(&after, &session, &tokens, (401, "invalid_client")).await;
        session = Session::begin(&after, fixture).await;
    } else {
        refuses_to_refresh(&after, &session, &tokens, (400, "invalid_grant")).await;
    }
    session.connect(&after, redirect_uri).await;
}

async fn refuses_to_refresh(world: &World, session: &Session<'_>, tokens: &Tokens, expected: (u16, &str)) {
    let who = &session.fixture.client;
    let refused = session.refresh_at(world, &world.entrada.router, tokens).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), expected, "{who}: {}", refused.body);
    let named = refused.header("www-authenticate").starts_with("Basic ");
    assert_eq!(named, expected.0 == 401 && session.uses_basic(), "{who}: RFC 6749 section 5.2");
}

/// At /authorize a client that is not known learns nothing: the person reads what to do, and a program that asks
/// for JSON gets the code.
async fn shows_a_page(world: &World, session: &Session<'_>) {
    let who = &session.fixture.client;
    let address = session.authorize(&session.fixture.authorize.redirect_uris[0]);
    let page = Browser::default().open(&world.entrada, &address).await;
    assert_eq!((page.status.as_u16(), page.header("location")), (400, ""), "{who}: {}", page.body);
    assert!(page.header("content-type").starts_with("text/html"), "{who}");
    assert!(page.body.contains("Remove what the application has stored"), "{who}: {}", page.body);
    let request = Request::get(&address).header("accept", "application/json");
    let asked = world.entrada.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (asked.status.as_u16(), asked.error().as_str()),
        (401, "invalid_client"),
        "{who}: {}",
        asked.body
    );
    if let Some(status) =
        session.fixture.authorize.looks_first.as_ref().and_then(|look| look.registers_again_at)
    {
        let seen = session.look_first(world, &session.fixture.authorize.redirect_uris[0]).await;
        assert_eq!(seen.status.as_u16(), status, "{who} does not register again by itself: {}", seen.body);
    }
}

#[test]
fn every_file_has_its_tests() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/real_clients");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let found: BTreeSet<String> =
        files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(found, CLIENTS.iter().map(|client| (*client).to_owned()).collect());
}

/// Wherever a client of any revision looks, in whatever order, it finds the same server, or nothing that it could
/// take for one.
#[tokio::test]
async fn every_revision_finds_the_same_server() {
    let fixture = Fixture::read("claude", include_str!("real_clients/claude.toml"));
    let world = World::of(&fixture).await;
    let endpoints = ["issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint"];
    let expected = world.document(&format!("{ISSUER}/.well-known/oauth-authorization-server")).await.unwrap();
    let named = format!("{ISSUER}/.well-known/oauth-protected-resource/mcp");
    for revision in [Revision::March2025, Revision::June2025, Revision::November2025, Revision::July2026] {
        let challenged = revision.resource_metadata(Some(&named));
        let unchallenged = revision.resource_metadata(None);
        for address in challenged.iter().chain(&unchallenged) {
            let found = world.document(address).await.unwrap_or_else(|| panic!("{revision:?}: {address}"));
            assert_eq!(found["resource"], World::mcp(), "{revision:?}: {address}");
            assert_eq!(found["authorization_servers"][0], expected["issuer"], "{revision:?}: {address}");
        }
        // Those that take the MCP server's own address for the authorization server's append its path.
        for server in [ISSUER.to_owned(), World::mcp()] {
            for address in revision.server_metadata(&server) {
                let Some(found) = world.document(&address).await else {
                    assert!(
                        address.ends_with("/mcp/.well-known/openid-configuration"),
                        "{revision:?}: {address}"
                    );
                    continue;
                };
                for member in endpoints {
                    assert_eq!(found[member], expected[member], "{revision:?}: {member} at {address}");
                }
            }
        }
    }
}

/// A member that a client has no value for may come as `null`, and goes back to nobody.
#[tokio::test]
async fn a_null_in_a_registration_is_passed_over() {
    let file = include_str!("real_clients/inspector_web.toml");
    let fixture = Fixture::read("inspector_web", file);
    let world = World::of(&fixture).await;
    let (_, mut body) = fixture.registration().unwrap();
    let plain = world.entrada.post_json("/register", &body).await.json();
    for member in ["contacts", "logo_uri", "client_uri", "scope", "application_type", "jwks", "software_id"] {
        body[member] = serde_json::Value::Null;
    }
    let answer = world.entrada.post_json("/register", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(!has_null(&answer.json()), "{}", answer.body);
    assert_eq!(answer.json()["client_id"], plain["client_id"]);
}
