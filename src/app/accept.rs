//! Connections: accepted, bounded in time, and let go in order.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::app::stop;

/// Who connects and has not sent a whole request header until then is not going to.
pub const FIRST_REQUEST: Duration = Duration::from_secs(15);
/// A header has to be complete by then. It bounds the pause between two requests of a connection as
/// well, and has to be longer than a proxy in front of us keeps idle connections.
const HEADER: Duration = Duration::from_secs(90);
/// How long open requests may take to end after the word to stop; what is left is cut then. Azure Container Apps and
/// Kubernetes wait 30 s before they kill.
const DRAIN: Duration = Duration::from_secs(25);
/// After `accept` failed (out of file descriptors, say), before it is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes. Room for the cookies of four approved logins; the default is 16 KiB in HTTP/2, and some 400 in HTTP/1.1.
const HEADER_LIST: u32 = 64 * 1024;

/// Answers connections until told to stop, then lets open requests end. Closes those on which no request
/// comes within `first_request`.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    first_request: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(HEADER_LIST as usize);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_LIST)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    let open = GracefulShutdown::new();
    let mut failed: u32 = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop::told(&mut stopped) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // A line for the first, and one for a minute of them.
                if failed.is_multiple_of(1200) {
                    tracing::warn!(%error, "connections cannot be accepted: are there descriptors enough? (ulimit -n)");
                }
                failed = failed.wrapping_add(1);
                pause().await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let asked = Arc::new(AtomicBool::new(false));
        let asks = Arc::clone(&asked);
        let service = router.clone().map_request(move |mut request: Request<Incoming>| {
            asks.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        // Boxed here: pinned within the task, it would be there twice, and that for as long as the connection.
        let mut connection = Box::pin(open.watch(connection.into_owned()));
        tokio::spawn(async move {
            // The server itself waits without limit for the bytes that tell HTTP/1 from HTTP/2.
            let ended = tokio::time::timeout(first_request, connection.as_mut()).await.is_ok();
            if !ended && asked.load(Ordering::Relaxed) {
                let _ = connection.await;
            }
        });
    }
    // New connections are refused from here on, rather than left to wait.
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, open.shutdown()).await;
}

/// Waits a moment where nothing tells when it is worth trying again.
pub async fn pause() {
    #[expect(clippy::disallowed_methods, reason = "nothing says when there are descriptors again")]
    tokio::time::sleep(PAUSE).await;
}
