//! Clients that the operator keeps out, and those that the operator wrote down.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use entrada::demo::idp::Endpoint;
use entrada::domain::block::Blocked;
use entrada::domain::block::MAX_BLOCKS;
use entrada::domain::event::EventName;
use entrada::flows::block::NotChanged;
use entrada::flows::block::Target;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

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

const HOST: &str = "claude.ai";

struct Stand {
    entrada: Entrada,
    course: Arc<Course>,
    client: Client,
    tokens: Tokens,
    _upstream: Upstream,
}

async fn stand() -> Stand {
    stand_before(false).await
}

/// Before Entra, or before a provider that rotates its refresh tokens.
async fn stand_before(oidc: bool) -> Stand {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = Box::new(move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _);
    let entrada = Entrada::with(Setup { resources, decorate, oidc, ..Setup::default() }).await;
    let uris = json!({ "redirect_uris": [format!("https://{HOST}/api/mcp/auth_callback")] });
    let client = Client::register_with(&entrada, uris).await;
    let tokens = client.tokens(&entrada).await;
    Stand { entrada, course, client, tokens, _upstream: upstream }
}

impl Stand {
    fn me(&self) -> Target {
        Target::Client(self.client.id.clone())
    }

    async fn call(&self) -> Answer {
        self.entrada.send(self.call_request()).await
    }

    fn call_request(&self) -> Request<Body> {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {}", self.tokens.access));
        request.body(Body::from("{}")).unwrap()
    }

    /// Asserts that the client gets in nowhere, and is told so as RFC 6749 says.
    async fn is_out(&self) {
        let page = self.entrada.get(&self.client.authorize(&[])).await;
        assert_eq!((page.status.as_u16(), page.header("location")), (400, ""));
        assert!(
            page.body.contains("client_blocked") && page.body.contains("rm -rf ~/.mcp-auth"),
            "{}",
            page.body
        );
        let refused = self.client.refresh(&self.entrada, &self.tokens.refresh).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"));
        let answer = self.call().await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_token"));
        assert!(answer.body.contains("has blocked this client"), "{}", answer.body);
    }

    fn is_blocked_while_the_provider_answers(&self) {
        let (auth, id) = (self.entrada.auth.clone(), self.client.id.clone());
        self.entrada.script.answer_with(move |endpoint, _| {
            if endpoint == Endpoint::Token {
                let (auth, target) = (auth.clone(), Target::Client(id.clone()));
                let block = async move { auth.block(target).await };
                block_in_place(|| Handle::current().block_on(block)).unwrap();
            }
            None
        });
    }

    async fn is_in(&self) {
        assert_eq!(self.call().await.status, 200);
        assert_eq!(self.entrada.get(&self.client.authorize(&[])).await.status, 200);
    }
}

#[tokio::test]
async fn a_client_is_kept_out_at_once_and_let_in_again_with_its_grants() {
    let stand = stand().await;
    let auth = &stand.entrada.auth;
    stand.is_in().await;
    let Blocked::Client(digest) = auth.block(stand.me()).await.unwrap() else { panic!("a client") };
    stand.is_out().await;
    assert_eq!(auth.block(Target::Client(digest.clone())).await, Err(NotChanged::Already));
    let listed = auth.list_clients().await.unwrap();
    assert_eq!(listed.clients.iter().map(|c| (&c.client, c.blocked)).collect::<Vec<_>>(), [(&digest, true)]);
    auth.unblock(Target::Client(digest)).await.unwrap();
    stand.is_in().await;
    Tokens::of(&stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await);
    assert_eq!(stand.entrada.events.count(EventName::GrantRevoked), 0);
    assert_eq!(auth.unblock(stand.me()).await, Err(NotChanged::Already));
}

#[tokio::test]
async fn a_host_is_blocked_for_every_client_whose_codes_go_there_and_for_no_other() {
    let stand = stand().await;
    stand.entrada.auth.block(Target::RedirectHost(HOST.to_owned())).await.unwrap();
    stand.is_out().await;
    // The same client, at another of its redirect URIs.
    let both =
        json!({ "redirect_uris": ["http://localhost/cb", format!("https://{HOST}/api/mcp/auth_callback")] });
    let client = Client::register_with(&stand.entrada, both).await;
    assert_eq!(stand.entrada.get(&client.authorize(&[])).await.status, 200);
    let there = format!("https://{HOST}/api/mcp/auth_callback");
    assert_eq!(stand.entrada.get(&client.authorize(&[("redirect_uri", &there)])).await.status, 400);
    client.tokens(&stand.entrada).await;
}

#[tokio::test]
async fn a_private_use_scheme_is_blocked_by_its_name() {
    let entrada = Entrada::start().await;
    let uris = json!({ "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"] });
    let client = Client::register_with(&entrada, uris).await;
    entrada.auth.block(Target::RedirectHost("cursor:".to_owned())).await.unwrap();
    assert_eq!(entrada.get(&client.authorize(&[])).await.status, 400);
}

#[tokio::test]
async fn a_block_stops_a_login_that_is_under_way_at_every_step() {
    let stand = stand().await;
    let auth = &stand.entrada.auth;
    let mut browser = Browser::default();
    let page = browser.open(&stand.entrada, &stand.client.authorize(&[])).await;
    let callback = browser.to_callback(&stand.entrada, &stand.client.authorize(&[])).await;
    let code = stand.client.code(&stand.entrada).await;
    auth.block(stand.me()).await.unwrap();
    let refused = browser.decide(&stand.entrada, &page, "approve").await;
    assert!(refused.status == 400 && refused.body.contains("client_blocked"), "{}", refused.body);
    let refused = browser.open(&stand.entrada, callback.as_str()).await;
    assert!(refused.status == 400 && refused.body.contains("client_blocked"), "{}", refused.body);
    let refused = stand.client.redeem(&stand.entrada, &code).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"));
    // Nothing of it was spent.
    auth.unblock(stand.me()).await.unwrap();
    Tokens::of(&stand.client.redeem(&stand.entrada, &code).await);
}

#[tokio::test]
async fn another_replica_knows_within_ten_seconds_at_the_gateway_as_well() {
    let stand = stand().await;
    let other = stand.entrada.replica().await;
    let authorize = |target: String| Request::get(target).body(Body::empty()).unwrap();
    let send = |request| stand.entrada.send_to(&other, request);
    assert_eq!(send(authorize(stand.client.authorize(&[]))).await.status, 200);
    assert_eq!(send(stand.call_request()).await.status, 200);
    stand.entrada.auth.block(stand.me()).await.unwrap();
    stand.entrada.advance(9);
    assert_eq!(send(authorize(stand.client.authorize(&[]))).await.status, 200, "what it knows is still good");
    stand.entrada.advance(1);
    assert_eq!(send(authorize(stand.client.authorize(&[]))).await.status, 400);
    assert_eq!(send(stand.call_request()).await.status, 401);
}

#[tokio::test]
async fn who_is_blocked_is_read_once_in_ten_seconds_however_many_ask() {
    let stand = stand().await;
    stand.entrada.advance(10);
    stand.course.counts();
    let target = stand.client.authorize(&[]);
    for answer in futures_util::future::join_all((0..20).map(|_| stand.entrada.get(&target))).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(stand.course.counts(), (1, 0));
    stand.entrada.advance(9);
    stand.entrada.get(&stand.client.authorize(&[])).await;
    assert_eq!(stand.course.counts(), (0, 0));
    stand.entrada.advance(1);
    stand.entrada.get(&stand.client.authorize(&[])).await;
    assert_eq!(stand.course.counts(), (1, 0));
}

#[tokio::test]
async fn while_the_store_is_away_the_last_known_blocks_hold_and_without_any_nobody_is_let_in() {
    let stand = stand().await;
    let other = Client::register(&stand.entrada).await;
    stand.entrada.auth.block(stand.me()).await.unwrap();
    stand.course.away(true);
    stand.entrada.advance(3_600);
    assert_eq!(stand.entrada.get(&stand.client.authorize(&[])).await.status, 400);
    assert_eq!(stand.entrada.get(&other.authorize(&[])).await.status, 200);
    let fresh = stand.entrada.replica_while_away(&stand.course).await;
    let request = Request::get(other.authorize(&[])).body(Body::empty()).unwrap();
    let answer = stand.entrada.send_to(&fresh, request).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    let form = [("grant_type", "authorization_code"), ("code", "x"), ("client_id", other.id.as_str())];
    let answer = stand.entrada.send_to(&fresh, form_request("/token", &form)).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    stand.course.away(false);
    stand.entrada.advance(1);
    let request = Request::get(stand.client.authorize(&[])).body(Body::empty()).unwrap();
    assert_eq!(stand.entrada.send_to(&fresh, request).await.status, 400);
}

#[tokio::test]
async fn blocks_that_are_made_at_once_are_all_kept() {
    let stand = stand().await;
    let auth = &stand.entrada.auth;
    let blocks = (0..20).map(|n| auth.block(Target::RedirectHost(format!("h{n}.example"))));
    for block in futures_util::future::join_all(blocks).await {
        block.unwrap();
    }
    assert_eq!(auth.list_clients().await.unwrap().blocks.len(), 20);
    // And by two replicas: the second has to write on what the first wrote.
    let (other, _) = stand.entrada.replica_with_auth().await;
    for n in 20..30 {
        let auth = if n % 2 == 0 { auth } else { &other };
        auth.block(Target::RedirectHost(format!("h{n}.example"))).await.unwrap();
    }
    stand.entrada.advance(10);
    assert_eq!(auth.list_clients().await.unwrap().blocks.len(), 30);
}

#[tokio::test]
async fn what_names_no_client_blocks_nobody_and_there_is_an_end_to_blocks() {
    let stand = stand().await;
    let auth = &stand.entrada.auth;
    for nobody in ["edc_unknown", "", "not a client", &stand.client.id[..60]] {
        assert_eq!(
            auth.block(Target::Client(nobody.to_owned())).await,
            Err(NotChanged::NoSuchClient),
            "{nobody}"
        );
    }
    // Addresses of metadata documents are ids, too.
    auth.block(Target::Client("https://client.example.com/oauth.json".to_owned())).await.unwrap();
    for n in 1..MAX_BLOCKS {
        auth.block(Target::RedirectHost(format!("h{n}.example"))).await.unwrap();
    }
    assert_eq!(auth.block(Target::RedirectHost("one.more".to_owned())).await, Err(NotChanged::TooMany));
}

#[tokio::test]
async fn who_is_refused_is_in_the_audit_trail() {
    let stand = stand().await;
    let Blocked::Client(digest) = stand.entrada.auth.block(stand.me()).await.unwrap() else {
        panic!("a client")
    };
    stand.is_out().await;
    let refused = stand.entrada.events.all(EventName::RequestRefused);
    let at =
        |endpoint: &str| refused.iter().find(|event| event.endpoint.as_deref() == Some(endpoint)).unwrap();
    let authorize = at("/authorize");
    assert_eq!((authorize.client.as_ref(), authorize.reason), (Some(&digest), Some("client_blocked")));
    assert_eq!((at("/token").client.as_ref(), at("/token").reason), (Some(&digest), Some("client_blocked")));
}

/// The operator blocks the client while the identity provider takes its time over a refresh.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_during_a_refresh_lets_no_token_out_and_spends_nothing() {
    let stand = stand().await;
    stand.entrada.advance(301);
    stand.is_blocked_while_the_provider_answers();
    let refused = stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"));
    assert_eq!(stand.call().await.status, 401);
    stand.entrada.script.honest();
    stand.entrada.auth.unblock(stand.me()).await.unwrap();
    Tokens::of(&stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await);
}

/// A provider that rotates has spent the token that it was asked with.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_during_a_refresh_keeps_what_the_provider_gave_for_later() {
    let stand = stand_before(true).await;
    stand.entrada.advance(301);
    stand.is_blocked_while_the_provider_answers();
    let refused = stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"));
    stand.entrada.script.honest();
    stand.entrada.advance(301);
    stand.entrada.auth.unblock(stand.me()).await.unwrap();
    Tokens::of(&stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await);
}

#[tokio::test]
async fn a_blocked_client_may_end_what_it_has_and_no_browser_is_sent_to_it() {
    let stand = stand().await;
    let mut browser = Browser::default();
    let page = browser.open(&stand.entrada, &stand.client.authorize(&[])).await;
    let callback = browser.to_callback(&stand.entrada, &stand.client.authorize(&[])).await;
    stand.entrada.auth.block(stand.me()).await.unwrap();
    let declined = browser.decide(&stand.entrada, &page, "deny").await;
    assert_eq!((declined.status.as_u16(), declined.header("location")), (400, ""));
    let back = browser.open(&stand.entrada, callback.as_str()).await;
    assert!(back.status == 400 && !back.body.contains(HOST), "{}", back.body);
    let form = [("client_id", stand.client.id.as_str()), ("token", &stand.tokens.refresh)];
    assert_eq!(stand.entrada.post_form("/revoke", &form).await.status, 200);
    stand.entrada.auth.unblock(stand.me()).await.unwrap();
    assert_eq!(stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await.error(), "invalid_grant");
}

/// A store that fails slowly is asked once, and not by each request in turn.
#[tokio::test]
async fn who_knows_no_blocks_does_not_queue_at_a_store_that_fails() {
    let stand = stand().await;
    let fresh = stand.entrada.replica_while_away(&stand.course).await;
    stand.course.counts();
    let target = stand.client.authorize(&[]);
    let ask = || stand.entrada.send_to(&fresh, Request::get(&target).body(Body::empty()).unwrap());
    for answer in futures_util::future::join_all((0..10).map(|_| ask())).await {
        assert_eq!(answer.status, 503);
    }
    assert_eq!(stand.entrada.events.count(EventName::StoreAway), 1);
    stand.course.away(false);
    stand.entrada.advance(1);
    assert_eq!(ask().await.status, 200);
}
