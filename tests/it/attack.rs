//! Attacks that need code: late answers of the store, sockets, floods. What is a request stands in `attacks/`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use entrada::app::accept::FIRST_REQUEST;
use entrada::app::accept::accept;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::State;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::domain::document::WriteId;
use entrada::domain::event::EventName;
use entrada::domain::trust::Trust;
use entrada::flows::administer::Selection;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use futures_util::future::join_all;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tower::ServiceExt;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

/// A store whose answers can come late, after the work was done.
#[derive(Default)]
struct Late {
    hold_read: AtomicBool,
    hold_replace: AtomicBool,
    /// Which of the next replacements fails, counted from 1.
    fail_replace: AtomicUsize,
    lose_acknowledgement: AtomicBool,
    hold_meta: AtomicBool,
    reads: AtomicUsize,
    held: Notify,
    go: Notify,
}

struct LateStore(Arc<dyn Store>, Arc<Late>);

#[async_trait]
impl Store for LateStore {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.0.create(document).await
    }
    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        let found = self.0.read(key).await;
        if key.partition.starts_with("g.") && self.1.hold_read.swap(false, Ordering::SeqCst) {
            self.1.held.notify_one();
            self.1.go.notified().await;
        }
        if key.partition == "meta" && self.1.hold_meta.load(Ordering::SeqCst) {
            self.1.reads.fetch_add(1, Ordering::SeqCst);
            others_run().await;
        }
        found
    }
    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        let before = self.1.fail_replace.load(Ordering::SeqCst);
        self.1.fail_replace.store(before.saturating_sub(1), Ordering::SeqCst);
        if before == 1 {
            return Err(StoreError::Away("told to be".to_owned()));
        }
        let written = self.0.replace(document, expected).await;
        if self.1.lose_acknowledgement.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Away("told to be".to_owned()));
        }
        if self.1.hold_replace.swap(false, Ordering::SeqCst) {
            self.1.held.notify_one();
            self.1.go.notified().await;
        }
        written
    }
    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.0.list(listing, after, limit).await
    }
    async fn sweep(&self) -> Result<usize, StoreError> {
        self.0.sweep().await
    }
}

/// Lets everything else that is ready go as far as it can, as a slow answer would.
async fn others_run() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

type Decorate = Box<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store>>;

fn late() -> (Arc<Late>, Decorate) {
    let late = Arc::new(Late::default());
    let there = Arc::clone(&late);
    (late, Box::new(move |store| Arc::new(LateStore(store, Arc::clone(&there))) as _))
}

async fn behind_gateway() -> (Entrada, Upstream, Arc<Late>) {
    let upstream = Upstream::start().await;
    let (late, decorate) = late();
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    (Entrada::with(Setup { resources, decorate, ..Setup::default() }).await, upstream, late)
}

fn call(token: &str, method: &str, target: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(target)
        .header("authorization", format!("Bearer {token}"))
        .body(Body::from("{}"))
        .unwrap()
}

/// 64 KiB of words that are all different: reduced to what exists, at a cost that grows with their number.
#[tokio::test]
async fn a_scope_of_64_kib_is_reduced_to_what_exists() {
    let entrada = Entrada::start().await;
    let words: Vec<String> = (0..12_000).map(|n| format!("{n:03x}")).collect();
    let scope = format!("{} mcp.write", words.join(" "));
    let body = json!({ "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"], "scope": scope });
    let answer = entrada.post_json("/register", &body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["scope"]), (201, &json!("mcp.write")));
}

async fn revoke(entrada: &Entrada, client: &Client, token: &str) -> Answer {
    entrada.post_form("/revoke", &[("client_id", &client.id), ("token", token)]).await
}

/// the gateway's look at the grant is answered late, after a revocation on the same replica.
#[tokio::test]
async fn a_late_answer_of_the_store_does_not_bring_a_revoked_grant_back() {
    let (entrada, _upstream, late) = behind_gateway().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(31);
    late.hold_read.store(true, Ordering::SeqCst);
    let slow = entrada.send(call(&tokens.access, "POST", "/mcp"));
    let revoked = async {
        late.held.notified().await;
        assert_eq!(revoke(&entrada, &client, &tokens.refresh).await.status, 200);
        late.go.notify_one();
    };
    tokio::join!(slow, revoked);
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 1);
    assert_eq!(
        entrada.send(call(&tokens.access, "POST", "/mcp")).await.status,
        401,
        "revoked on this replica, at once"
    );
}

/// the same by a refresh whose acknowledgement is late.
#[tokio::test]
async fn a_late_acknowledgement_does_not_bring_a_revoked_grant_back() {
    let (entrada, _upstream, late) = behind_gateway().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    late.hold_replace.store(true, Ordering::SeqCst);
    let slow = client.refresh(&entrada, &tokens.refresh);
    let revoked = async {
        late.held.notified().await;
        assert_eq!(revoke(&entrada, &client, &tokens.refresh).await.status, 200);
        late.go.notify_one();
    };
    tokio::join!(slow, revoked);
    assert_eq!(entrada.send(call(&tokens.access, "POST", "/mcp")).await.status, 401);
}

/// The revocation was written, its acknowledgement lost; the client does what 503 tells it to.
#[tokio::test]
async fn a_revocation_that_is_tried_again_bites_at_once() {
    let (entrada, _upstream, late) = behind_gateway().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    late.lose_acknowledgement.store(true, Ordering::SeqCst);
    assert_eq!(revoke(&entrada, &client, &tokens.refresh).await.status, 503);
    assert_eq!(revoke(&entrada, &client, &tokens.refresh).await.status, 200);
    assert_eq!(entrada.send(call(&tokens.access, "POST", "/mcp")).await.status, 401);
}

/// the client hangs up while its revocation is being written.
#[tokio::test]
async fn a_revocation_whose_client_hung_up_is_whole() {
    let (entrada, _upstream, late) = behind_gateway().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    late.hold_replace.store(true, Ordering::SeqCst);
    let request = form_request("/revoke", &[("client_id", &client.id), ("token", &tokens.refresh)]);
    let call_it = tokio::spawn(entrada.router.clone().oneshot(request));
    late.held.notified().await;
    call_it.abort();
    let _ = call_it.await;
    late.go.notify_one();
    others_run().await;
    let alive = entrada.send(call(&tokens.access, "POST", "/mcp")).await.status;
    let audited = entrada.events.count(EventName::GrantRevoked);
    assert_eq!(
        (alive.as_u16(), audited),
        (401, 1),
        "revoked in the store, unknown here, and not in the audit"
    );
}

/// ten thousand other grants hide one from `grant revoke <sid>`.
#[tokio::test]
async fn an_operator_can_end_any_grant_by_its_sid() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let sid = tokens.claims()["sid"].as_str().unwrap().to_owned();
    let other = |n: usize| Document {
        key: DocumentKey { partition: "g.-".to_owned(), id: format!("{n:022}") },
        schema: 1,
        state: State::Active,
        generation: 0,
        write_id: WriteId([0; 16]),
        expires_at: None,
        body: Vec::new(),
    };
    for created in join_all((0..10_000).map(|n| entrada.store.create(other(n)))).await {
        created.unwrap();
    }
    let ended = entrada.auth.revoke_grants(&Selection::Grant(sid)).await.unwrap();
    assert_eq!(ended.grants.len(), 1, "\"0 ended.\", says the command, and the thief goes on");
}

/// one login, two people.
#[tokio::test]
async fn one_login_never_makes_two_grants_with_one_sid() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let mut sids = Vec::new();
    let mut callbacks = Vec::new();
    for person in 0..2 {
        let approved = browser.decide(&entrada, &page, "approve").await;
        entrada.script.person(person);
        callbacks.push(browser.at_idp(&entrada, &approved.location()).await);
    }
    for callback in callbacks {
        let back = browser.open(&entrada, callback.as_str()).await;
        if back.status != 303 {
            continue;
        }
        let tokens = Tokens::of(&client.redeem(&entrada, &code_of(&back.location())).await);
        sids.push((tokens.claims()["sid"].clone(), tokens.claims()["sub"].clone()));
    }
    assert!(sids.len() < 2 || sids[0].0 != sids[1].0, "two people, one sid: {sids:?}");
}

/// probes are open to everybody.
#[tokio::test]
async fn probes_cost_the_store_one_read_at_a_time() {
    let (entrada, _upstream, late) = behind_gateway().await;
    late.hold_meta.store(true, Ordering::SeqCst);
    join_all((0..50).map(|_| entrada.get("/healthz/ready"))).await;
    assert_eq!(late.reads.load(Ordering::SeqCst), 1);
}

/// a provider that rotates, and a store that fails between its answer and the swap.
#[tokio::test]
async fn what_is_said_not_to_be_spent_is_not() {
    let (late, decorate) = late();
    let entrada = Entrada::with(Setup { oidc: true, decorate, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    // The first takes the lease.
    late.fail_replace.store(2, Ordering::SeqCst);
    assert_eq!(client.refresh(&entrada, &tokens.refresh).await.status, 503);
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

/// Over a real socket, to an upstream that would agree.
#[tokio::test]
async fn connect_does_not_make_the_gateway_a_tunnel() {
    let (entrada, upstream, _late) = behind_gateway().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(accept(listener, entrada.router.clone(), FIRST_REQUEST, stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("CONNECT /mcp HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n", tokens.access);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut out = vec![0; 8192];
    let read = stream.read(&mut out).await.unwrap();
    assert!(!String::from_utf8_lossy(&out[..read]).starts_with("HTTP/1.1 2"));
    assert!(upstream.arrived().is_empty());
}

/// four approved logins, as large as they may be, and the way back from Entra, over HTTP/2.
#[tokio::test(flavor = "multi_thread")]
async fn four_logins_fit_a_request_over_http2() {
    let trust = Trust { hosts: vec!["client.example.net".to_owned()], ..Trust::default() };
    let entrada = Entrada::with(Setup { trust, ..Setup::default() }).await;
    let redirect = format!("https://client.example.net/cb?{}", "r".repeat(460));
    let client = Client::register_with(
        &entrada,
        json!({ "redirect_uris": [redirect], "client_name": "n".repeat(80) }),
    )
    .await;
    let state = "s".repeat(1_024);
    let mut browser = Browser::default();
    for _ in 0..4 {
        browser.to_callback(&entrada, &client.authorize(&[("state", &state)])).await;
        entrada.advance(1);
    }
    let cookies: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let cookie = cookies.join("; ");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(accept(listener, entrada.router.clone(), FIRST_REQUEST, stopped));
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut http, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let mut seen = Vec::new();
    for code in [10, 1_500, 4_000] {
        let url = format!("{ISSUER}/auth/callback?state=x&code={}", "c".repeat(code));
        let request = Request::get(url).header("cookie", &cookie).header("user-agent", "u".repeat(120));
        let answer = http.send_request(request.body(Body::empty()).unwrap()).await;
        seen.push((code, answer.map(|a| a.status().as_u16()).map_err(|e| e.to_string())));
    }
    assert!(seen.iter().all(|(_, status)| *status == Ok(403)), "{seen:?}");
}

/// the store is slow to say that it is away; the last known state should hold for all at once.
#[tokio::test]
async fn a_slow_store_does_not_queue_the_callers_of_a_grant() {
    struct Slow(Arc<dyn Store>, Arc<AtomicBool>, Arc<AtomicUsize>);
    #[async_trait]
    impl Store for Slow {
        async fn create(&self, d: Document) -> Result<Version, StoreError> {
            self.0.create(d).await
        }
        async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
            if self.1.load(Ordering::SeqCst) {
                self.2.fetch_add(1, Ordering::SeqCst);
                others_run().await;
                return Err(StoreError::Away("slow".to_owned()));
            }
            self.0.read(key).await
        }
        async fn replace(&self, d: Document, v: &Version) -> Result<Version, StoreError> {
            self.0.replace(d, v).await
        }
        async fn list(
            &self,
            l: Listing<'_>,
            after: Option<&DocumentKey>,
            n: usize,
        ) -> Result<Vec<Stored>, StoreError> {
            self.0.list(l, after, n).await
        }
        async fn sweep(&self) -> Result<usize, StoreError> {
            self.0.sweep().await
        }
    }
    let (away, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (a, b) = (Arc::clone(&away), Arc::clone(&asked));
    let decorate = Box::new(move |store| Arc::new(Slow(store, Arc::clone(&a), Arc::clone(&b))) as _);
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    let entrada = Entrada::with(Setup { resources, decorate, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(31);
    away.store(true, Ordering::SeqCst);
    let answers = join_all((0..10).map(|_| entrada.send(call(&tokens.access, "POST", "/mcp")))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(
        asked.load(Ordering::SeqCst),
        2,
        "one asks of the grant and one of the blocks, and all take the last known state"
    );
}
