//! The HTTP edge, byte for byte, through the real listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use entrada::app::accept::accept;
use http::Request;
use http::Version;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::mcp;
use crate::support::program::PATIENCE;
use crate::support::program::Site;
use crate::support::upload::pieces;

/// Sends bytes, and returns what comes until the other side closes.
async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("it closes").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// An answer without a body, or with one of a known length, from a connection that may go on.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer").unwrap();
        assert_ne!(read, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() == length.unwrap_or(0) {
            return text;
        }
    }
}

/// Connects and sends the head of a request.
async fn begun(address: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_refusal_that_needs_no_body_leaves_the_connection_to_the_next_request() {
    let site = Site::new().await;
    let program = site.start().await;
    for (path, refused, reason) in [
        ("/mcp", "401", "no_token"),
        ("/nowhere", "404", "not_found"),
        ("/authorize", "405", "method_not_allowed"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n");
        let mut stream = begun(program.address, &head).await;
        program.logged("reason", reason).await;
        let early = stream.try_read(&mut [0; 1]).map_err(|error| error.kind());
        assert_eq!(early, Err(std::io::ErrorKind::WouldBlock), "{path} is decided, and answered too early");
        stream.write_all(b"ignored").await.unwrap();
        let first = answer(&mut stream).await;
        assert_eq!(status(&first), refused, "{first}");
        assert!(!first.to_ascii_lowercase().contains("\r\nconnection:"), "{first}");
        stream.write_all(b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), "200", "after {path}");
    }
}

#[tokio::test]
async fn a_client_that_waited_to_be_asked_for_its_body_keeps_its_connection() {
    let site = Site::new().await;
    let program = site.start().await;
    let body = r#"{"redirect_uris":["http://127.0.0.1/callback"]}"#;
    let head = format!(
        "POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = begun(program.address, &head).await;
    assert_eq!(status(&answer(&mut stream).await), "100");
    stream.write_all(body.as_bytes()).await.unwrap();
    let registered = answer(&mut stream).await;
    assert_eq!(status(&registered), "201", "{registered}");
    assert!(!registered.to_ascii_lowercase().contains("\r\nconnection:"), "{registered}");
}

#[tokio::test]
async fn a_refusal_says_that_it_closes_when_the_body_is_too_long_or_does_not_come() {
    let site = Site::new().await;
    let program = site.start().await;
    let long = "a".repeat(70_000);
    for (fields, body) in [
        ("Content-Length: 70000", long.as_str()),
        ("Content-Length: 7", "half"),
        ("Content-Length: 7\r\nExpect: 100-continue", ""),
    ] {
        let head = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
        let mut stream = begun(program.address, &head).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let refused = answer(&mut stream).await;
        assert_eq!(status(&refused), "401", "{refused}");
        assert!(refused.to_ascii_lowercase().contains("\r\nconnection: close"), "{fields}: {refused}");
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused_with_413() {
    let site = Site::new().await;
    let program = site.start().await;
    let form = "application/x-www-form-urlencoded";
    for (path, kind) in
        [("/token", form), ("/revoke", form), ("/consent", form), ("/register", "application/json")]
    {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nConnection: close\r\n"
        );
        for (length, refused) in [(65_536, false), (65_537, true)] {
            let body = "a".repeat(length);
            let whole = format!("{head}Content-Length: {length}\r\n\r\n{body}");
            let chunked =
                format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
            for request in [whole, chunked] {
                let answer = exchange(program.address, request.as_bytes()).await;
                assert_eq!(status(&answer) == "413", refused, "{path} {length}: {answer}");
                assert!(refused || matches!(status(&answer), "400" | "401"), "{path}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn http_2_is_spoken_without_asking() {
    let site = Site::new().await;
    let program = site.start().await;
    let stream = TokioIo::new(TcpStream::connect(program.address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let url = format!("{}/healthz/live", site.public_url);
    let request = Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
}

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_is_not_read_on() {
    let site = Site::new().await;
    let program = site.start().await;
    let held = mcp::sign_in(&site, 0).await.held().await;
    site.tools.arrived();
    let next = "GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let two_ways = |path: &str, more: &str| {
        let length = 5 + next.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\
             {more}\r\n0\r\n\r\n{next}"
        )
    };
    for request in [
        two_ways("/token", "Content-Type: application/x-www-form-urlencoded\r\n"),
        two_ways("/mcp/upload", &format!("Authorization: Bearer {}\r\n", held.access)),
    ] {
        let answer = exchange(program.address, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "what came after it was answered: {answer}");
        assert!(!answer.contains("live"), "{answer}");
    }
    let arrived = site.tools.arrived();
    assert_eq!(arrived.len(), 1);
    assert!(!arrived[0].headers.contains_key("content-length"), "{:?}", arrived[0].headers);

    for framing in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
    ] {
        let request = format!("POST /token HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n0\r\n\r\n{next}");
        let answer = exchange(program.address, request.as_bytes()).await;
        assert_eq!((status(&answer), answer.matches("HTTP/1.1 ").count()), ("400", 1), "{framing}: {answer}");
    }
}

#[tokio::test]
async fn two_authorization_headers_are_refused_at_the_gateway() {
    let site = Site::new().await;
    let program = site.start().await;
    let held = mcp::sign_in(&site, 0).await.held().await;
    site.tools.arrived();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\nContent-Length: 0\r\n\r\n",
        token = held.access
    );
    let answer = exchange(program.address, request.as_bytes()).await;
    assert_eq!(status(&answer), "400", "{answer}");
    assert!(site.tools.arrived().is_empty());
    program.logged("reason", "two_credentials").await;
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_and_an_open_answer_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pieces, body) = pieces();
    let body = Arc::new(Mutex::new(Some(body)));
    let router = Router::new().route("/", get(move || async move { body.lock().unwrap().take().unwrap() }));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(accept(listener, router, Duration::from_millis(100), stopped));

    let mut open = TcpStream::connect(address).await.unwrap();
    open.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    pieces.send("first").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"first\r\n") {
        assert!(open.read_buf(&mut seen).await.unwrap() > 0);
    }
    // One after the other, so that the time passes for the open answer too.
    for sent in [
        "",
        "P",
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let answer = exchange(address, sent.as_bytes()).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{sent:?}: {answer}");
    }
    pieces.send("second").unwrap();
    drop(pieces);
    assert!(rest(&mut open).await.contains("second"));
}

#[tokio::test]
async fn a_client_with_http_2_reaches_a_server_through_the_gateway() {
    let site = Site::new().await;
    let program = site.start().await;
    let held = mcp::sign_in(&site, 0).await.held().await;
    let stream = TokioIo::new(TcpStream::connect(program.address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("{}/upload", site.mcp_url()))
        .header("authorization", format!("Bearer {}", held.access))
        .body("one piece".to_owned())
        .unwrap();
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(site.tools.piece().await, "one piece");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "1 pieces");
}
