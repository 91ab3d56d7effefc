//! What becomes of the upstream's answer when it is none that a client should see.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufStream;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tower::ServiceExt;
use url::Url;

use crate::gateway::stand::Stand;
use crate::support::client::Client;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;

#[tokio::test]
async fn a_refusal_of_the_upstream_is_not_taken_for_a_login_problem() {
    let stand = Stand::new().await;
    stand.upstream.answers(401, &[("www-authenticate", "Bearer")]);
    let answer = stand.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (502, ""));
    stand.upstream.answers(307, &[("location", "http://internal.example.net/mcp/")]);
    let answer = stand.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (502, ""));
    assert!(
        stand.entrada.log.text().contains("http://internal.example.net/mcp/"),
        "the operator reads where it is"
    );
    for passed in [403, 404, 429, 503] {
        stand.upstream.answers(passed, &[]);
        assert_eq!(stand.call().await.status.as_u16(), passed);
    }
}

/// An Entrada before what listens here, and a call.
async fn before(upstream: SocketAddr) -> (Entrada, Request<Body>) {
    let url = Url::parse(&format!("http://{upstream}/mcp")).unwrap();
    let resources = vec![resource(ISSUER, "/mcp", Some(url))];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let tokens = Client::register(&entrada).await.tokens(&entrada).await;
    let request = Request::post("/mcp").header("authorization", format!("Bearer {}", tokens.access));
    (entrada, request.body(Body::empty()).unwrap())
}

/// An upstream that answers a request with these bytes, whatever they are.
async fn saying(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut stream = BufStream::new(listener.accept().await.unwrap().0);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    });
    address
}

#[tokio::test]
async fn a_status_that_is_no_final_answer_is_a_bad_gateway() {
    let whole = "content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
    for (status, passed) in [(101, 502), (599, 599), (600, 502), (999, 502)] {
        let more = if status == 101 { "upgrade: websocket\r\nconnection: upgrade\r\n" } else { "" };
        let said = format!("HTTP/1.1 {status} x\r\n{more}{whole}");
        let (entrada, request) = before(saying(said).await).await;
        let answer = entrada.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.body == "hello"), (passed, passed == status), "{status}");
        assert_eq!(answer.header("upgrade"), "");
    }
    for interim in ["100 Continue", "103 Early Hints"] {
        let said = format!("HTTP/1.1 {interim}\r\nlink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n{whole}");
        let (entrada, request) = before(saying(said).await).await;
        let answer = entrada.send(request).await;
        let got = (answer.status.as_u16(), answer.body.as_str(), answer.header("link"));
        assert_eq!(got, (200, "hello", ""), "{interim} is for us, and what it says stays here");
    }
}

/// They are headers that come late.
#[tokio::test]
async fn no_trailer_comes_down() {
    let said = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: set-cookie, mcp-session-id\r\n\r\n\
                5\r\nhello\r\n0\r\nset-cookie: __Host-entrada=planted\r\nmcp-session-id: s1\r\n\r\n";
    let (entrada, request) = before(saying(said.to_owned()).await).await;
    let answer = entrada.router.clone().oneshot(request).await.unwrap();
    assert!(answer.headers().get("trailer").is_none());
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers(), None);
    assert_eq!(body.to_bytes(), "hello");
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_a_bad_gateway() {
    // A port that is taken and on which nobody listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let (entrada, request) = before(socket.local_addr().unwrap()).await;
    let answer = entrada.send(request).await;
    assert_eq!(answer.status, 502);
    assert!(!answer.body.contains("127.0.0.1"), "nothing internal leaves: {}", answer.body);
}
