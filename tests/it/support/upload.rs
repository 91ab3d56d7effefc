//! A request whose body is sent piece by piece, when the test says so.

use std::convert::Infallible;

use axum::body::Body;
use axum::body::Bytes;
use futures_util::stream;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::Error;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::program::PATIENCE;
use crate::support::program::Site;

pub struct Upload {
    pieces: mpsc::UnboundedSender<&'static str>,
    answering: JoinHandle<Result<Response<Incoming>, Error>>,
}

impl Upload {
    /// Begins one at the gateway, with a cookie that must not get through.
    pub fn begin(site: &Site, access: &str) -> Self {
        let (pieces, body) = pieces();
        let request = Request::post(format!("{}/upload", site.mcp_url()))
            .header("authorization", format!("Bearer {access}"))
            .header("cookie", "session=stolen")
            .body(body)
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { pieces, answering: tokio::spawn(client.request(request)) }
    }

    pub fn send(&self, piece: &'static str) {
        self.pieces.send(piece).unwrap();
    }

    pub fn is_answered(&self) -> bool {
        self.answering.is_finished()
    }

    /// Ends the body, and returns the answer's status and body.
    pub async fn end(self) -> (u16, String) {
        drop(self.pieces);
        let answer = tokio::time::timeout(PATIENCE, self.answering).await.expect("an answer");
        let answer = answer.unwrap().unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

/// A body, and what its pieces are sent by. It ends when the sender is dropped.
pub fn pieces() -> (mpsc::UnboundedSender<&'static str>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let body = stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Bytes::from_static(str::as_bytes(piece))), receiver))
    });
    (sender, Body::from_stream(body))
}
