//! What a request costs the store, exactly: whoever has not signed in writes nothing, and reads nothing but who is
//! blocked, once in 10 s for all requests together.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use entrada::domain::resource::Resource;
use serde_json::json;
use url::Url;

use crate::support::api_key::made;
use crate::support::api_key::new;
use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::counted::Operations;
use crate::support::counted::counted;
use crate::support::counted::writes;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

/// What anybody can send: its status, and what it costs when nobody has asked who is blocked for 10 s. The second time
/// it costs nothing, whatever it is.
const STRANGERS: &[(&str, u16, &[&str])] = &[
    ("a registration", 201, &[]),
    ("a registration that is refused", 400, &[]),
    ("a consent page", 200, &["read blocks"]),
    ("a look at it with HEAD", 200, &[]),
    ("a page for an unknown client", 400, &[]),
    ("a page for a redirect URI that is not registered", 400, &["read blocks"]),
    ("an authorization request that is refused", 302, &["read blocks"]),
    ("a consent form that is garbage", 400, &[]),
    ("an approval", 303, &["read blocks"]),
    ("a refusal", 303, &["read blocks"]),
    ("a garbage callback", 403, &[]),
    ("a callback with a code that the provider did not give", 403, &[]),
    ("a garbage code", 400, &["read blocks"]),
    ("a garbage refresh token", 400, &["read blocks"]),
    ("a code of an unknown client", 401, &[]),
    ("a garbage token to revoke", 200, &[]),
    ("a 401 at the gateway", 401, &[]),
    ("a garbage access token", 401, &[]),
    ("an API key that somebody made up", 401, &[]),
    ("metadata of the server", 200, &[]),
    ("metadata of the resource", 200, &[]),
    ("the keys", 200, &[]),
    ("a preflight", 200, &[]),
    ("an address that is not there", 404, &[]),
];

/// What costs more needs a person's sign-in, or a credential that came of one. Who is blocked is known throughout.
const SIGNED_IN: &[(&str, &[&str])] = &[
    ("the first sign-in with a client", &["create grant", "create client"]),
    ("a callback that comes again", &[]),
    ("a code", &["read grant", "replace grant"]),
    ("the first call", &[]),
    ("a call 20 s after that", &["read grant"]),
    ("another call within 20 s", &[]),
    ("a refresh", &["read grant", "replace grant"]),
    ("the token before it, within the grace", &["read grant"]),
    ("a refresh that asks the identity provider", &["read grant", "replace grant"]),
    ("a refresh token that came too late", &["read grant", "read grant", "replace grant"]),
    ("the same once more", &["read grant"]),
    ("another sign-in with the client", &["create grant"]),
    ("a code of another client", &["read grant"]),
    ("a code without its verifier", &["read grant"]),
    ("a code that has expired", &["read grant"]),
    ("a sign-in just before a day has gone", &["create grant"]),
    ("a sign-in a day after the first", &["create grant", "create client", "read client", "replace client"]),
    ("another one on that day", &["create grant"]),
    ("a sign-in with a second client", &["create grant", "create client"]),
    ("a revocation", &["read grant", "read grant", "replace grant"]),
    ("the same revocation again", &["read grant", "read grant"]),
    ("a call after it", &[]),
    ("the first call with an API key", &[]),
    ("a call with it 20 s after that", &["read key"]),
    ("its use, a minute later", &["read key", "read use", "create use"]),
    ("its use, where there was none", &[]),
];

fn takes_keys(upstream: Option<Url>) -> Resource {
    let mut resource = resource(ISSUER, "/mcp", upstream);
    resource.allowed.keys = true;
    resource
}

/// Whole, and not ours.
async fn another_deployments_key() -> String {
    let other = Entrada::with(Setup { resources: vec![takes_keys(None)], ..Setup::default() }).await;
    made(&other, new("theirs")).await.text.expose().to_owned()
}

/// A stand whose store tells what it is asked.
struct Stand {
    entrada: Entrada,
    store: Arc<Operations>,
    client: Client,
    _upstream: Upstream,
}

impl Stand {
    async fn start() -> Self {
        let upstream = Upstream::start().await;
        let (store, decorate) = counted();
        let resources = vec![takes_keys(Some(upstream.url.clone()))];
        let entrada = Entrada::with(Setup { resources, decorate, ..Setup::default() }).await;
        let client = Client::register(&entrada).await;
        Self { entrada, store, client, _upstream: upstream }
    }

    async fn call(&self, token: &str) -> Answer {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
        self.entrada.send(request.body(Body::from("{}")).unwrap()).await
    }

    async fn send(&self, method: &str, target: &str) -> Answer {
        let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        self.entrada.send(request).await
    }

    /// What it takes to have a stranger's request ready, and the request.
    async fn ask(&self, what: &str, seconds: u64) -> (Answer, Vec<String>) {
        let (entrada, client) = (&self.entrada, &self.client);
        let mut browser = Browser::default();
        let page = browser.open(entrada, &client.authorize(&[])).await;
        let callback = browser.to_callback(entrada, &client.authorize(&[])).await;
        entrada.advance(seconds);
        self.store.take();
        let answer = match what {
            "a registration" => {
                entrada.post_json("/register", &json!({ "redirect_uris": ["http://localhost/cb"] })).await
            }
            "a registration that is refused" => {
                entrada.post_json("/register", &json!({ "redirect_uris": ["javascript:alert(1)"] })).await
            }
            "a consent page" => entrada.get(&client.authorize(&[])).await,
            "a look at it with HEAD" => self.send("HEAD", &client.authorize(&[])).await,
            "a page for an unknown client" => {
                entrada.get(&client.authorize(&[("client_id", "edc_unknown")])).await
            }
            "a page for a redirect URI that is not registered" => {
                entrada.get(&client.authorize(&[("redirect_uri", "http://localhost/other")])).await
            }
            "an authorization request that is refused" => {
                entrada.get(&client.authorize(&[("response_type", "token")])).await
            }
            "a consent form that is garbage" => {
                entrada.post_form("/consent", &[("login", "AAAA"), ("decision", "approve")]).await
            }
            "an approval" => browser.decide(entrada, &page, "approve").await,
            "a refusal" => browser.decide(entrada, &page, "deny").await,
            "a garbage callback" => entrada.get("/auth/callback?state=x&code=y").await,
            "a callback with a code that the provider did not give" => {
                let state = crate::support::entrada::parameter(&callback, "state").unwrap();
                browser.open(entrada, &format!("/auth/callback?state={state}&code=y")).await
            }
            "a garbage code" => client.redeem(entrada, "edac_garbage").await,
            "a garbage refresh token" => client.refresh(entrada, "edr_garbage").await,
            "a code of an unknown client" => {
                let unknown = Client { id: "edc_unknown".to_owned(), ..client.clone() };
                unknown.redeem(entrada, "edac_garbage").await
            }
            "a garbage token to revoke" => {
                entrada.post_form("/revoke", &[("client_id", &client.id), ("token", "edr_garbage")]).await
            }
            "a 401 at the gateway" => self.send("POST", "/mcp").await,
            "a garbage access token" => self.call("garbage").await,
            "an API key that somebody made up" => self.call(&another_deployments_key().await).await,
            "metadata of the server" => entrada.get("/.well-known/oauth-authorization-server").await,
            "metadata of the resource" => entrada.get("/.well-known/oauth-protected-resource/mcp").await,
            "the keys" => entrada.get("/.well-known/jwks.json").await,
            "a preflight" => self.send("OPTIONS", "/token").await,
            "an address that is not there" => entrada.get("/nothing").await,
            _ => unreachable!("{what}"),
        };
        (answer, self.store.take())
    }
}

#[tokio::test]
async fn a_stranger_writes_nothing_and_reads_only_who_is_blocked_once_in_ten_seconds() {
    let stand = Stand::start().await;
    let mut wrong = Vec::new();
    for (what, status, first) in STRANGERS {
        let (answer, cost) = stand.ask(what, 10).await;
        let (again, nothing) = stand.ask(what, 0).await;
        assert_eq!(
            [answer.status.as_u16(), again.status.as_u16()],
            [*status; 2],
            "{what} is another request than its name says: {}",
            answer.body
        );
        if cost != *first || !nothing.is_empty() {
            wrong.push(format!("{what}: {first:?}, then nothing; it was {cost:?}, then {nothing:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each step of a session cost, by its name.
struct Bill<'a> {
    stand: &'a Stand,
    steps: Vec<(&'static str, Vec<String>)>,
}

impl Bill<'_> {
    /// The next step, to be taken when who is blocked is known, so that asking for it is on nobody's bill.
    async fn next(&self) {
        self.stand.client.redeem(&self.stand.entrada, "edac_garbage").await;
        self.stand.store.take();
    }

    fn note(&mut self, step: &'static str) {
        self.steps.push((step, self.stand.store.take()));
    }

    /// The step of a sign-in that costs something: the way to the callback is a stranger's.
    async fn sign_in(&mut self, step: &'static str, client: &Client) -> String {
        let mut browser = Browser::default();
        let callback = browser.to_callback(&self.stand.entrada, &client.authorize(&[])).await;
        self.next().await;
        let back = browser.open(&self.stand.entrada, callback.as_str()).await;
        self.note(step);
        code_of(&back.location())
    }
}

#[tokio::test]
async fn a_sign_in_a_code_and_a_refresh_cost_what_they_have_to() {
    let stand = Stand::start().await;
    let Stand { entrada, client, .. } = &stand;
    let mut bill = Bill { stand: &stand, steps: Vec::new() };

    let mut browser = Browser::default();
    let callback = browser.to_callback(entrada, &client.authorize(&[])).await;
    bill.next().await;
    let code = code_of(&browser.open(entrada, callback.as_str()).await.location());
    bill.note("the first sign-in with a client");
    assert_eq!(browser.open(entrada, callback.as_str()).await.status, 403);
    bill.note("a callback that comes again");
    let tokens = Tokens::of(&client.redeem(entrada, &code).await);
    bill.note("a code");

    assert_eq!(stand.call(&tokens.access).await.status, 200);
    bill.note("the first call");
    entrada.advance(20);
    bill.next().await;
    assert_eq!(stand.call(&tokens.access).await.status, 200);
    bill.note("a call 20 s after that");
    entrada.advance(19);
    bill.next().await;
    assert_eq!(stand.call(&tokens.access).await.status, 200);
    bill.note("another call within 20 s");
    entrada.advance(20);
    bill.next().await;

    let second = Tokens::of(&client.refresh(entrada, &tokens.refresh).await);
    bill.note("a refresh");
    assert_eq!(Tokens::of(&client.refresh(entrada, &tokens.refresh).await).refresh, second.refresh);
    bill.note("the token before it, within the grace");
    entrada.advance(301);
    bill.next().await;
    let asked = entrada.upstream_refreshes();
    Tokens::of(&client.refresh(entrada, &second.refresh).await);
    assert_eq!(entrada.upstream_refreshes(), asked + 1);
    bill.note("a refresh that asks the identity provider");
    entrada.advance(91);
    bill.next().await;
    assert_eq!(client.refresh(entrada, &second.refresh).await.error(), "invalid_grant");
    bill.note("a refresh token that came too late");
    assert_eq!(client.refresh(entrada, &second.refresh).await.error(), "invalid_grant");
    bill.note("the same once more");

    let code = bill.sign_in("another sign-in with the client", client).await;
    let other = Client::register_with(entrada, json!({ "client_name": "Another" })).await;
    assert_eq!(other.redeem(entrada, &code).await.error(), "invalid_grant");
    bill.note("a code of another client");
    let mut form = client.redeem_form(&code);
    form.retain(|(name, _)| name != "code_verifier");
    form.push(("code_verifier".to_owned(), "v".repeat(43)));
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(entrada.post_form("/token", &form).await.error(), "invalid_grant");
    bill.note("a code without its verifier");
    entrada.advance(60);
    bill.next().await;
    assert_eq!(client.redeem(entrada, &code).await.error(), "invalid_grant");
    bill.note("a code that has expired");

    let gone = 30 + 29 + 301 + 91 + 60;
    entrada.advance(24 * 3_600 - gone - 1);
    bill.sign_in("a sign-in just before a day has gone", client).await;
    entrada.advance(1);
    bill.sign_in("a sign-in a day after the first", client).await;
    bill.sign_in("another one on that day", client).await;
    let code = bill.sign_in("a sign-in with a second client", &other).await;

    let tokens = Tokens::of(&other.redeem(entrada, &code).await);
    let revoked = [("client_id", other.id.as_str()), ("token", &tokens.refresh)];
    stand.store.take();
    for step in ["a revocation", "the same revocation again"] {
        assert_eq!(entrada.post_form("/revoke", &revoked).await.status, 200);
        bill.note(step);
    }
    assert_eq!(stand.call(&tokens.access).await.status, 401);
    bill.note("a call after it");

    let key = made(entrada, new("ci")).await;
    stand.store.take();
    assert_eq!(stand.call(key.text.expose()).await.status, 200);
    bill.note("the first call with an API key");
    entrada.advance(20);
    bill.next().await;
    assert_eq!(stand.call(key.text.expose()).await.status, 200);
    bill.note("a call with it 20 s after that");
    entrada.auth.write_key_uses().await;
    bill.note("its use, a minute later");
    entrada.auth.write_key_uses().await;
    bill.note("its use, where there was none");

    let named: Vec<&str> = bill.steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(named, SIGNED_IN.iter().map(|(step, _)| *step).collect::<Vec<_>>());
    let differs = bill.steps.iter().zip(SIGNED_IN).filter(|((_, cost), (_, stated))| cost != stated);
    let wrong: Vec<_> =
        differs.map(|((step, cost), (_, stated))| format!("{step}: {stated:?}; it was {cost:?}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a replica remembers of clients is its own: the first sign-in there looks, and notes the use again.
#[tokio::test]
async fn a_replica_that_has_just_started_notes_a_client_once_more() {
    let stand = Stand::start().await;
    let Stand { entrada, client, store, .. } = &stand;
    client.code(entrada).await;
    let replica = entrada.replica().await;
    for expected in
        [&["create grant", "create client", "read client", "replace client"][..], &["create grant"][..]]
    {
        let mut browser = Browser::default();
        let callback = browser.to_callback(entrada, &client.authorize(&[])).await;
        let cookies: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let target = crate::support::browser::path_of(callback.as_str());
        let request = Request::get(target).header("cookie", cookies.join("; ")).body(Body::empty()).unwrap();
        store.take();
        assert_eq!(entrada.send_to(&replica, request).await.status, 303);
        let cost: Vec<String> = store.take().into_iter().filter(|read| read != "read blocks").collect();
        assert_eq!(cost, expected);
        assert!(writes(&cost) > 0);
    }
}
