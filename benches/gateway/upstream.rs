//! A server that does as little as one can: JSON-RPC gets an empty result, GET a stream of events.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::Response;
use axum::http::header;
use futures_util::StreamExt;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::Interval;
use tokio::time::MissedTickBehavior;

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

/// Streams on a connection.
const MANY: u32 = 100_000;

/// Between two events of a stream that is not idle.
pub const PACE: Duration = Duration::from_millis(5);

/// Prints where it serves, by HTTP/1.1, or by HTTP/2 on one connection.
pub async fn serve(http2: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (stream, answer) = (TokioIo::new(stream), service_fn(answer));
        // Whoever hangs up has what it wanted.
        match http2 {
            true => {
                let mut server = http2::Builder::new(TokioExecutor::new());
                server.max_concurrent_streams(MANY);
                tokio::spawn(async move { server.serve_connection(stream, answer).await.ok() });
            }
            false => {
                let connection = http1::Builder::new().serve_connection(stream, answer);
                tokio::spawn(async { connection.await.ok() });
            }
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (kind, body) = match *request.method() {
        Method::GET => ("text/event-stream", events(request.uri().query() == Some("events"))),
        _ => {
            // It breaks off when its sender was told to end.
            request.into_body().collect().await.ok();
            ("application/json", Body::from(RESULT))
        }
    };
    Ok(Response::builder().header(header::CONTENT_TYPE, kind).body(body).unwrap())
}

/// A comment at once, and then events or nothing.
fn events(come: bool) -> Body {
    let opened = stream::once(ready(": open\n\n".to_owned()));
    if !come {
        return Body::from_stream(opened.chain(stream::pending()).map(Ok::<_, Infallible>));
    }
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Body::from_stream(opened.chain(stream::unfold(ticks, next)).map(Ok::<_, Infallible>))
}

async fn next(mut ticks: Interval) -> Option<(String, Interval)> {
    ticks.tick().await;
    Some((format!("data: {}\n\n", now()), ticks))
}

/// Nanoseconds, by the clock that all processes of this machine share.
pub fn now() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()
}
