//! Many people at once, over connections that they share.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Version;
use axum::response::IntoResponse;
use axum::response::Response;
use entrada::domain::forwarding::Forwarding;
use entrada::domain::resource::Resource;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use url::Url;

use crate::gateway::claims;
use crate::support::certificates::Certificates;
use crate::support::client::Client;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;

const PEOPLE: usize = 50;
const CALLS: usize = 20;

/// A server that answers with whom it was told, and begins a session of that name; how many connections it has had, and
/// how many requests came by HTTP/2.
#[derive(Clone, Default)]
struct Echo {
    connections: Arc<AtomicUsize>,
    by_http2: Arc<AtomicUsize>,
}

impl Echo {
    async fn start(&self, tls: Option<TlsAcceptor>) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let echo = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(echo.clone().served(stream, tls.clone()));
            }
        });
        Url::parse(&format!("{scheme}://localhost:{port}/mcp")).unwrap()
    }

    async fn served(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let by_http2 = self.by_http2;
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let http2 = usize::from(request.version() == Version::HTTP_2);
            by_http2.fetch_add(http2, Ordering::Relaxed);
            let response = named(&request.map(Body::new));
            async move { Ok::<_, Infallible>(response) }
        });
        let server = Builder::new(TokioExecutor::new());
        let _ = match tls {
            Some(tls) => {
                server.serve_connection(TokioIo::new(tls.accept(stream).await.unwrap()), answer).await
            }
            None => server.serve_connection(TokioIo::new(stream), answer).await,
        };
    }
}

fn named(request: &Request) -> Response {
    let header = |name: &str| {
        request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let token = header("authorization");
    let oid = claims(token.strip_prefix("Bearer ").unwrap())["oid"].as_str().unwrap().to_owned();
    let body = format!("{oid} {}", header("mcp-session-id"));
    ([("mcp-session-id", format!("session-of-{oid}"))], body).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_one_ever_reaches_another() {
    let echo = Echo::default();
    let url = echo.start(None).await;
    everybody_calls(resource(ISSUER, "/mcp", Some(url))).await;
    let used = echo.connections.load(Ordering::Relaxed);
    // As many as ever ask at once, and a few that were given up.
    assert!(used < 2 * PEOPLE, "{used} connections for {} calls: they are not shared", PEOPLE * CALLS);
}

/// One connection for all of them, to a server of which only the operator's own authority knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_over_one_connection_of_http2() {
    let certificates = Certificates::new();
    let echo = Echo::default();
    let url = echo.start(Some(certificates.acceptor_of(&[b"h2"]))).await;
    let mut there = resource(ISSUER, "/mcp", Some(url));
    there.forwarding.http2 = true;
    there.forwarding.ca = Some(certificates.ca().into_bytes());
    everybody_calls(there).await;
    assert_eq!(echo.by_http2.load(Ordering::Relaxed), PEOPLE * CALLS);
    let used = echo.connections.load(Ordering::Relaxed);
    // Those who ask while the first is being made make one each; it is kept.
    assert!(used <= PEOPLE, "{used} connections");
}

#[tokio::test]
async fn a_server_that_nobody_certifies_is_not_spoken_to() {
    let certificates = Certificates::new();
    let echo = Echo::default();
    let url = echo.start(Some(certificates.acceptor_of(&[b"h2"]))).await;
    let resources = vec![Resource {
        forwarding: Forwarding { http2: true, ..Forwarding::default() },
        ..resource(ISSUER, "/mcp", Some(url))
    }];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let token = Client::register(&entrada).await.tokens(&entrada).await.access;
    let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    assert_eq!(entrada.send(request.body(Body::empty()).unwrap()).await.status, 502);
    assert!(entrada.log.text().contains("certificate"), "the operator reads why");
}

async fn everybody_calls(there: Resource) {
    let resources = vec![there];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let oid = format!("0a1c0de0-0000-4000-8000-{n:012}");
        let claimed = oid.clone();
        entrada.script.lie(move |_, token| {
            token.claims.insert("oid".to_owned(), claimed.clone().into());
        });
        people.push((oid, client.tokens(&entrada).await.access));
    }
    let mut calls = JoinSet::new();
    for (oid, token) in people {
        let router = entrada.router.clone();
        calls.spawn(async move {
            let mut session = String::new();
            for _ in 0..CALLS {
                let (answered, body) = call(&router, &token, &session).await;
                let own = if session.is_empty() { String::new() } else { format!("session-of-{oid}") };
                assert_eq!(body, format!("{oid} {own}"));
                assert!(session.is_empty() || session == answered, "the session is the same one");
                session = answered;
            }
            session
        });
    }
    let sessions: HashSet<String> = calls.join_all().await.into_iter().collect();
    assert_eq!(sessions.len(), PEOPLE, "each has a session of their own");
}

async fn call(router: &Router, token: &str, session: &str) -> (String, String) {
    let mut request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    if !session.is_empty() {
        request = request.header("mcp-session-id", session);
    }
    let answer = router.clone().oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (session, String::from_utf8(body.into()).unwrap())
}
