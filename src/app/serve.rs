//! `entrada serve`: listen, answer, sweep, and end in order.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::admin;
use crate::app::exit::Failure;
use crate::app::router;
use crate::app::start::Started;
use crate::app::start::start;
use crate::app::start::upstream_client;
use crate::app::stop;
use crate::config::Config;
use crate::ports::store::Store;

/// A client that has not sent its header by then is not going to.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may take to end after the signal; streams are cut then.
const DRAIN: Duration = Duration::from_secs(10);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Seconds. From a cached answer to a slow identity provider.
const BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Serves until SIGINT or SIGTERM.
pub async fn serve(config: &Config) -> Result<(), Failure> {
    // The store first: that a second process has it is the better news than that a port is taken.
    let Started { auth, store } = start(config).await?;
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(bind(*address, "listen").await?);
    }
    let metrics = match config.metrics {
        Some(address) => Some((bind(address, "metrics.listen").await?, metrics_recorder()?)),
        None => None,
    };
    let admin = admin::bind(&config.data_dir)?;
    let public = router(&auth, &upstream_client()?);
    warn_of_the_insecure(config);

    let told_to_end = end_signal()?;
    let (word, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tracing::info!(address = %address(&listener)?, issuer = config.public_url, "listening");
        tasks.spawn(accept(listener, public.clone(), HEADER_TIMEOUT, stopped.clone()));
    }
    if let Some((listener, handle)) = metrics {
        tracing::info!(address = %address(&listener)?, "serving metrics");
        tasks.spawn(accept(listener, metrics_router(handle), HEADER_TIMEOUT, stopped.clone()));
    }
    tasks.spawn(admin::accept(admin, auth, stopped.clone()));
    tasks.spawn(sweep(store, stopped));
    told_to_end.await;
    tracing::info!("stopping");
    let _ = word.send(true);
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Answers connections until told to stop, then lets open requests end. Closes those on which no request
/// header comes in time.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    header_timeout: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_secs(30)));
    let open = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop::told(&mut stopped) => break,
        };
        // Out of file descriptors, say: one connection is lost, the listener is not.
        let Ok((stream, _)) = stream else {
            #[expect(clippy::disallowed_methods, reason = "nothing says when there are descriptors again")]
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let asked = Arc::new(Notify::new());
        let service = announced(router.clone(), Arc::clone(&asked));
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            tokio::pin!(connection);
            // hyper's own timeout begins only when it knows which HTTP is spoken, and HTTP/2 has none.
            let in_time = tokio::select! {
                _ = &mut connection => return,
                asked = tokio::time::timeout(header_timeout, asked.notified()) => asked.is_ok(),
            };
            if in_time {
                let _ = connection.await;
            }
        });
    }
    // What connects from here on is refused at once, and can go to another replica.
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, open.shutdown()).await;
}

/// The router as hyper asks it, which tells of each request before it is answered.
fn announced(
    router: Router,
    asked: Arc<Notify>,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static> {
    let router = TowerToHyperService::new(router);
    service_fn(move |request| {
        asked.notify_one();
        router.call(request)
    })
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::Running(format!(
            "{setting}: cannot listen on {address}: {error}. Stop what listens there, or choose another port."
        ))
    })
}

/// Where it listens in fact: the setting may leave the port to the system.
fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::Running(format!("A listener has no address: {error}.")))
}

async fn sweep(store: Arc<dyn Store>, mut stopped: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {
                if let Err(error) = store.sweep().await {
                    tracing::warn!(%error, "expired documents were not removed; they count as absent all the same");
                }
            }
            () = stop::told(&mut stopped) => return,
        }
    }
}

/// SIGINT or SIGTERM. Either is caught from the call on, before the future is awaited: whoever has read
/// that the program listens may end it at once, and it ends in order.
fn end_signal() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::Running(format!("Signals cannot be received: {error}."));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn metrics_recorder() -> Result<PrometheusHandle, Failure> {
    let failed = |error| Failure::Running(format!("Metrics cannot be recorded: {error}."));
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)
}

fn metrics_router(handle: PrometheusHandle) -> Router {
    Router::new().route(
        "/metrics",
        get(move || async move {
            handle.run_upkeep();
            handle.render()
        }),
    )
}

fn warn_of_the_insecure(config: &Config) {
    if config.trust.open {
        tracing::warn!(
            "trust.open = true: ANY host may receive sign-ins after consent. Name the hosts in trust.hosts instead."
        );
    }
    if config.public_url.starts_with("http://") {
        tracing::warn!(
            "public_url is plain http: cookies and tokens are not protected. For development only."
        );
    }
}
