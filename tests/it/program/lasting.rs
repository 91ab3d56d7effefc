//! What outlives the process: registrations, sessions, tokens. And how it ends.

use axum::body::Bytes;
use entrada::demo::idp::Person;
use futures_util::stream;
use http::Request;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::entrada::TENANT;
use crate::support::mcp;
use crate::support::mcp::Authorizing;
use crate::support::mcp::request;
use crate::support::program::PATIENCE;
use crate::support::program::Site;

#[tokio::test]
async fn after_a_restart_everything_goes_on() {
    let site = Site::new().await;
    let program = site.start().await;
    let ada = &Person::three(TENANT)[0].oid;
    let client = mcp::sign_in(&site, 0).await;
    assert_eq!(&client.connect().await.call("whoami").await.unwrap(), ada);
    let first = client.held().await;

    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    site.settled().await;
    // Killed this time, without a chance to tidy up: what was acknowledged is on disk all the same.
    let program = site.start().await;
    let session = client.connect().await;
    assert_eq!(client.held().await, first, "the access token was enough");
    assert_eq!(&session.call("whoami").await.unwrap(), ada);
    let second = client.refresh().await.unwrap();
    assert_ne!(second.refresh, first.refresh);
    drop(program);
    site.settled().await;

    let _program = site.start().await;
    client.refresh().await.unwrap();
    assert_eq!(&client.connect().await.call("whoami").await.unwrap(), ada);
    let known = request("Bearer").with_preregistered_client(&first.client_id);
    let again = Authorizing::begin(&site, known).await;
    assert!(again.asked().iter().all(|asked| asked.url.path() != "/register"));
    let back = again.signed_in(&site, 0).await.back;
    let held = again.finish(&back).await.unwrap().held().await;
    assert_eq!(held.client_id, first.client_id);
}

#[tokio::test]
async fn it_lets_open_requests_end_and_then_ends_with_0() {
    let site = Site::new().await;
    let program = site.start().await;
    let held = mcp::sign_in(&site, 0).await.held().await;
    let mut silent = TcpStream::connect(program.address).await.unwrap();
    let (pieces, body) = mpsc::unbounded_channel::<&'static str>();
    let body = stream::unfold(body, |mut body| async {
        let piece = body.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(piece))), body))
    });
    let request = Request::post(format!("{}/upload", site.mcp_url()))
        .header("authorization", format!("Bearer {}", held.access))
        .body(StreamBody::new(Box::pin(body)))
        .unwrap();
    let uploading = tokio::spawn(Client::builder(TokioExecutor::new()).build_http().request(request));
    pieces.send("first").unwrap();
    assert_eq!(site.tools.piece().await, "first");

    program.terminate();
    program.logged("message", "stopping").await;
    let closed = tokio::time::timeout(PATIENCE, silent.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "nobody waits for a connection that asks nothing");
    assert!(TcpStream::connect(program.address).await.is_err(), "it listens no more");
    pieces.send("last").unwrap();
    drop(pieces);
    let answer = tokio::time::timeout(PATIENCE, uploading).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "2 pieces");
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
