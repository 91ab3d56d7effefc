//! What outlives the process: registrations, sessions, tokens. And how it ends.

use entrada::demo::idp::Person;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::entrada::TENANT;
use crate::support::mcp;
use crate::support::mcp::Authorizing;
use crate::support::mcp::request;
use crate::support::program::PATIENCE;
use crate::support::program::Site;
use crate::support::upload::Upload;

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
async fn while_others_are_told_that_it_leaves_it_answers_everybody() {
    let site = Site::new().await;
    let settings = site.settings().replace("data_dir = ", "stop_delay = \"5m\"\ndata_dir = ");
    let program = site.start_with(&settings).await;
    let client = mcp::sign_in(&site, 0).await;
    program.terminate();
    program.logged("message", "stopping after a delay: readiness says no; another signal stops now").await;
    let status =
        async |path: &str| reqwest::get(format!("{}{path}", site.public_url)).await.unwrap().status();
    assert_eq!(status("/healthz/ready").await, 503, "nothing new is sent here");
    assert_eq!(status("/healthz/live").await, 200, "and nobody kills it");
    client.connect().await.call("whoami").await.unwrap();
    client.refresh().await.unwrap();
    program.terminate();
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn it_lets_open_requests_end_and_then_ends_with_0() {
    let site = Site::new().await;
    let program = site.start().await;
    let held = mcp::sign_in(&site, 0).await.held().await;
    let mut silent = TcpStream::connect(program.address).await.unwrap();
    let upload = Upload::begin(&site, &held.access);
    upload.send("first");
    assert_eq!(site.tools.piece().await, "first");

    program.terminate();
    program.logged("message", "stopping").await;
    let closed = tokio::time::timeout(PATIENCE, silent.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "nobody waits for a connection that asks nothing");
    assert!(TcpStream::connect(program.address).await.is_err(), "it listens no more");
    upload.send("last");
    assert_eq!(upload.end().await, (200, "2 pieces".to_owned()));
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
