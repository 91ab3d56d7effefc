//! `entrada serve`: listen, answer, sweep, and end in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::accept::FIRST_REQUEST;
use crate::app::accept::accept;
use crate::app::admin;
use crate::app::exit::Failure;
use crate::app::router;
use crate::app::start::Started;
use crate::app::start::failure;
use crate::app::start::start;
use crate::app::stop;
use crate::app::upstreams::upstreams;
use crate::config::Config;
use crate::config::Resource;
use crate::domain::limits::Limits;
use crate::domain::limits::Rate;
use crate::flows::AuthServer;
use crate::flows::keys::KEEP_EVERY;
use crate::flows::root::Locked;
use crate::ports::store::Store;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::issuer::is_loopback;

const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// What a process that is killed has not written is lost.
const COUNT_EVERY: Duration = Duration::from_secs(60);
const TELL_EVERY: Duration = Duration::from_hours(1);
/// While the keys are not known.
const OPEN_EVERY: Duration = Duration::from_secs(1);
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Seconds. From a cached answer to a tool that takes minutes.
const BUCKETS: [f64; 15] =
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 180.0];

/// Serves until SIGINT or SIGTERM, and for a while after it.
pub async fn serve(config: &Config) -> Result<(), Failure> {
    // Before anything that may take its time: a first process of a container dies of no signal that it does not catch.
    let mut signals = Signals::catch()?;
    // The store first: that a second process has it is the better news than that a port is taken.
    let started = tokio::select! {
        started = start(config) => started?,
        () = signals.next() => return Ok(()),
    };
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(bind(*address, "listen").await?);
    }
    let public = router(&started.auth, &upstreams(&started.auth.policy().resources)?);
    let (auth, delay) = (started.auth.clone(), config.stop_delay);
    let told_to_end = async move {
        signals.next().await;
        auth.leave();
        if !delay.is_zero() && auth.is_open() {
            tracing::info!(
                delay = delay.as_secs(),
                "stopping after a delay: readiness says no; another signal stops now"
            );
            tokio::select! {
                () = later(delay) => {}
                () = signals.next() => {}
            }
        }
    };
    serve_until(told_to_end, config, started, public, listeners).await
}

/// Answers on these listeners with `public`, and does all that goes with it, until `told_to_end`. Where
/// `config` says to listen does not matter here.
pub async fn serve_until(
    told_to_end: impl Future<Output = ()>,
    config: &Config,
    Started { auth, store, away }: Started,
    public: Router,
    listeners: Vec<TcpListener>,
) -> Result<(), Failure> {
    let metrics = match config.metrics {
        Some(address) => Some((bind(address, "metrics.listen").await?, metrics_recorder()?)),
        None => None,
    };
    // Commands open a store that is shared by themselves.
    let admin = if config.store.is_shared() { None } else { Some(admin::bind(&config.data_dir)?) };
    tell_what_holds(config);
    warn_of_what_is_not_meant(config);
    if let Some(why) = away {
        tracing::warn!(
            why,
            "the keys cannot be read yet: liveness and metadata are served, and all else when they are known"
        );
    }

    let (word, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tracing::info!(address = %address(&listener)?, issuer = config.public_url, "listening");
        tasks.spawn(accept(listener, public.clone(), FIRST_REQUEST, stopped.clone()));
    }
    if let Some((listener, handle)) = metrics {
        tracing::info!(address = %address(&listener)?, "serving metrics");
        tasks.spawn(upkeep(handle.clone(), stopped.clone()));
        tasks.spawn(accept(listener, metrics_router(handle), FIRST_REQUEST, stopped.clone()));
    }
    let has_admin = admin.is_some();
    if let Some(admin) = admin {
        tasks.spawn(admin::accept(admin, auth.clone(), stopped.clone()));
    }
    tasks.spawn(sweep(store, stopped.clone()));
    tasks.spawn(look_after_api_keys(auth.clone(), stopped.clone()));
    let keeping = keep_keys(auth.clone(), stopped);
    tokio::select! {
        () = told_to_end => {}
        never_opened = keeping => return Err(failure(never_opened)),
    }
    tracing::info!("stopping");
    let _ = word.send(true);
    auth.let_go();
    while tasks.join_next().await.is_some() {}
    // Everything has been counted by now.
    auth.write_key_uses().await;
    if has_admin {
        admin::unbind(&config.data_dir);
    }
    Ok(())
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

/// Samples pile up between scrapes, and nobody may ever scrape.
async fn upkeep(handle: PrometheusHandle, mut stopped: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => handle.run_upkeep(),
            () = stop::told(&mut stopped) => return,
        }
    }
}

/// Learns of new keys, and makes them. Ends only when what the first answers say leaves nothing to wait for.
async fn keep_keys(auth: AuthServer, mut stopped: watch::Receiver<bool>) -> Locked {
    let mut opened = auth.is_open();
    loop {
        let pause = if auth.is_open() { KEEP_EVERY } else { OPEN_EVERY };
        tokio::select! {
            () = later(pause) => {}
            () = stop::told(&mut stopped) => std::future::pending().await,
        }
        let was_open = auth.is_open();
        match auth.keep_keys().await {
            Ok(()) if !was_open => {
                tracing::info!("the store answers and its keys are known: everything is served");
            }
            Ok(()) => {}
            Err(error) if error.is_away() => {
                tracing::warn!(why = %error, "the keys cannot be read again until that answers");
            }
            Err(error) if !opened => return error,
            Err(error) => tracing::error!(%error, "the keys cannot be read again"),
        }
        opened |= auth.is_open();
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing tells of what another replica or an operator does")]
async fn later(pause: Duration) {
    tokio::time::sleep(pause).await;
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

/// Writes how much keys are used, and tells now and then which of them end soon.
async fn look_after_api_keys(auth: AuthServer, mut stopped: watch::Receiver<bool>) {
    let (mut count, mut tell) = (tokio::time::interval(COUNT_EVERY), tokio::time::interval(TELL_EVERY));
    loop {
        tokio::select! {
            _ = count.tick() => auth.write_key_uses().await,
            _ = tell.tick(), if auth.is_open() => auth.tell_of_keys_that_end().await,
            () = stop::told(&mut stopped) => return,
        }
    }
}

/// SIGINT and SIGTERM.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Both are caught from the call on, before any is awaited: whoever has read that the program listens may end it
    /// at once, and it ends in order.
    ///
    /// Fails when the system lets nobody catch them.
    pub fn catch() -> Result<Self, Failure> {
        let failed = |error| Failure::Running(format!("Signals cannot be received: {error}."));
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { interrupt, terminate })
    }

    /// Either of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
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
    Router::new().route("/metrics", get(move || async move { handle.render() }))
}

/// What an operator asks first when clients do not get in.
fn tell_what_holds(config: &Config) {
    let Limits { per_address, per_user, open_per_user, per_client, proxies } = &config.limits;
    let in_words = |rate: &Option<Rate>| match rate {
        Some(rate) => format!("{} in {}", rate.count, humantime::format_duration(rate.period)),
        None => "off".to_owned(),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        limits.per_address = in_words(per_address),
        limits.per_user = in_words(per_user),
        limits.open_per_user = open_per_user,
        limits.per_client = in_words(per_client),
        limits.proxies = proxies,
        dcr.enabled = config.registration.enabled,
        cimd.enabled = config.documents.enabled,
        trust.hosts = config.trust.hosts.len(),
        clients = config.clients.len(),
        resources = config.resources.len(),
        "starting"
    );
}

fn warn_of_what_is_not_meant(config: &Config) {
    if config.trust.open {
        tracing::warn!(
            "trust.open = true: ANY host may receive sign-ins after consent. Name the hosts in trust.hosts instead."
        );
    }
    let pinned = config.clients.iter().any(|client| ClientIdUrl::is_meant_by(&client.id));
    if pinned && !config.documents.enabled {
        tracing::warn!(
            "cimd.enabled = false, so Client ID Metadata Documents are not announced, and the clients whose documents \
             stand in the configuration may not use them. Write cimd.enabled = true, or enter these clients by hand."
        );
    }
    if !config.registration.enabled && !config.documents.enabled && config.clients.is_empty() {
        tracing::warn!(
            "dcr.enabled and cimd.enabled are false, and there is no [[client]]: nobody gets in. Enter a client."
        );
    }
    if config.public_url.starts_with("https://")
        && config.limits.per_address.is_some()
        && config.limits.proxies == 0
    {
        tracing::warn!(
            "limits.proxies = 0, but a proxy must terminate TLS for public_url: all who come through it count as \
             one address. Write how many proxies append to X-Forwarded-For, or limits.per_address = \"off\"."
        );
    }
    config.resources.iter().for_each(warn_of_what_upstreams_are_told);
    if config.public_url.starts_with("http://") {
        tracing::warn!(
            "public_url is plain http: cookies and tokens are not protected. For development only."
        );
    }
}

fn warn_of_what_upstreams_are_told(resource: &Resource) {
    let Some(upstream) = &resource.upstream else { return };
    if resource.trusted_network && resource.forwarding.identity.iter().any(|form| form.is_unsigned()) {
        tracing::warn!(
            resource = resource.path,
            "trusted_network = true: the MCP server believes headers that nothing signs. WHOEVER reaches it can be anybody."
        );
    }
    if upstream.scheme() == "http" && !resource.trusted_network && !is_loopback(upstream) {
        tracing::warn!(
            resource = resource.path,
            "upstream is plain http to another machine: calls, answers and the tokens of those who call can be read on the way. \
             Write https, or trusted_network = true if nobody else is on that network."
        );
    }
}
