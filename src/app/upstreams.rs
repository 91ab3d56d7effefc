//! The clients towards the MCP servers.

use std::time::Duration;

use axum::BoxError;
use axum::http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use tower::ServiceExt;
use tower::service_fn;
use tower::util::BoxCloneSyncService;

use crate::adapters::tls;
use crate::app::exit::Failure;
use crate::domain::forwarding::Forwarding;
use crate::domain::resource::Resources;
use crate::gateway::Connector;
use crate::gateway::Upstream;
use crate::gateway::Upstreams;

/// Shorter than the five seconds after which Node and uvicorn hang up: a request on a connection that closes at that
/// moment is lost, and must not be sent twice.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// After so long without a byte a connection is asked whether it is there (TCP).
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Bytes of the head of an answer. No client takes more.
const HEAD: u32 = 64 * 1024;

/// Bytes that are under way to one reader, and to all of a connection: who does not read must not keep the others from
/// reading.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;

/// A client for each resource that has an upstream.
pub fn upstreams(resources: &Resources) -> Result<Upstreams, Failure> {
    let forwarded = resources.iter().filter(|resource| resource.upstream.is_some());
    forwarded.map(|resource| Ok((resource.path.clone(), client(&resource.forwarding)?))).collect()
}

fn client(forwarding: &Forwarding) -> Result<Upstream, Failure> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    // A name may have several addresses, one of which does not answer.
    http.set_connect_timeout(Some(forwarding.connect_timeout));
    // A server that is gone without a word is found out, and what stands between keeps no idle connection waiting.
    http.set_keepalive(Some(KEEP_ALIVE));
    http.set_keepalive_interval(Some(KEEP_ALIVE / 3));
    http.set_keepalive_retries(Some(3));
    let tls = tls::client_config(forwarding.ca.as_deref()).map_err(|error| {
        let setting = if forwarding.ca.is_some() { "resource[].ca_file" } else { "resource[].upstream" };
        Failure::Usage(format!("{setting}: {error}."))
    })?;
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let https = match forwarding.http2 {
        true => https.enable_http2().wrap_connector(http),
        false => https.enable_http1().wrap_connector(http),
    };
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http1_max_buf_size(HEAD as usize)
        .http2_only(forwarding.http2)
        .http2_max_header_list_size(HEAD)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        // A connection that has silently died would be asked again and again.
        .http2_keep_alive_interval(Some(Duration::from_secs(20)))
        .build(in_time(https, forwarding.connect_timeout)))
}

/// The name, the address and TLS together.
fn in_time(https: HttpsConnector<HttpConnector>, patience: Duration) -> Connector {
    BoxCloneSyncService::new(service_fn(move |address: Uri| {
        let connecting = https.clone().oneshot(address);
        async move {
            let late = |_| BoxError::from("no connection was made in time");
            tokio::time::timeout(patience, connecting).await.map_err(late)?
        }
    }))
}
