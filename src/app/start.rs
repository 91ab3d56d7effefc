//! From the configuration to a running authorization server: store, root key, signing key, ports.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use url::Url;

use crate::adapters::audit::TracingAudit;
use crate::adapters::cosmos::LateCosmosStore;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::measured::Measured;
use crate::adapters::oidc::Kind;
use crate::adapters::oidc::OidcProvider;
use crate::adapters::oidc::Settings;
use crate::adapters::root_key_file::RootKeyFile;
use crate::adapters::system::SystemClock;
use crate::adapters::system::SystemEntropy;
use crate::adapters::web_documents::SystemNetwork;
use crate::adapters::web_documents::WebDocuments;
use crate::app::cosmos;
use crate::app::exit::Failure;
use crate::app::policy::policy;
use crate::config;
use crate::config::Config;
use crate::config::Idp;
use crate::flows::AuthServer;
use crate::flows::Ports;
use crate::flows::keys::Locked;
use crate::gateway::Upstream;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;
use crate::ports::idp::IdentityProvider;
use crate::ports::root_key::RootKeyStore;
use crate::ports::store::Store;
use crate::ports::store::StoreError;
use crate::protocol::metadata::path;

/// A server, and the store that it has to sweep.
pub struct Started {
    pub auth: AuthServer,
    pub store: Arc<dyn Store>,
    /// Why it is not open yet, where its store does not answer.
    pub away: Option<String>,
}

/// Opens everything that the configuration names. A server whose store lies elsewhere starts without it, and is opened
/// when it answers.
pub async fn start(config: &Config) -> Result<Started, Failure> {
    let started = assemble(config, root_key(config))?;
    let away = match started.auth.keep_keys().await {
        Err(Locked::Store(StoreError::Away(why))) if config.store.is_shared() => Some(why),
        opened => opened.map(|()| None).map_err(failure)?,
    };
    Ok(Started { away, ..started })
}

/// Makes the root key of a store that replicas share, if it has none yet. Returns where it lies, in words.
pub async fn make_root_key(config: &Config) -> Result<String, Failure> {
    if !config.store.is_shared() {
        let what = "The root key of an embedded store is made by `entrada serve`, together with the store.";
        return Err(Failure::Usage(what.to_owned()));
    }
    let file = config.root_key_file();
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
            Failure::Usage(format!("The directory {} cannot be made: {error}.", directory.display()))
        })?;
    }
    let root = Arc::new(RootKeyFile::new(file));
    let started = assemble(config, Arc::clone(&root) as Arc<dyn RootKeyStore>)?;
    started.auth.keep_keys().await.map_err(failure)?;
    Ok(root.place())
}

fn assemble(config: &Config, root: Arc<dyn RootKeyStore>) -> Result<Started, Failure> {
    let policy = policy(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let store = open_store(config, &clock)?;
    let idp = identity_provider(config, &policy.issuer.at(path::CALLBACK), &clock)?;
    let documents =
        WebDocuments::new(Arc::new(SystemNetwork), config.documents.ca.as_deref(), Arc::clone(&clock))
            .map_err(|error| Failure::Usage(format!("cimd.ca_file: {error}.")))?;
    let documents = Arc::new(documents);
    let ports = Ports {
        store: Arc::clone(&store),
        root,
        idp,
        documents,
        clock,
        entropy,
        audit: Arc::new(TracingAudit),
    };
    Ok(Started { auth: AuthServer::new(ports, policy), store, away: None })
}

/// The root key of a store that this process alone has is made with it; replicas are given copies.
fn root_key(config: &Config) -> Arc<dyn RootKeyStore> {
    let file = config.root_key_file();
    Arc::new(if config.store.is_shared() { RootKeyFile::copied(file) } else { RootKeyFile::new(file) })
}

fn open_store(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, Failure> {
    let store: Arc<dyn Store> = match &config.store {
        config::Store::Embedded => {
            let opened = EmbeddedStore::open(&config.data_dir, Arc::clone(clock));
            Arc::new(opened.map_err(|error| Failure::Store(error.to_string()))?)
        }
        config::Store::Cosmos(cosmos) => {
            let settings = cosmos::settings(cosmos, clock)?;
            Arc::new(LateCosmosStore::new(settings, Arc::clone(clock)))
        }
    };
    Ok(Arc::new(Measured::new(store, Arc::clone(clock))))
}

fn identity_provider(
    config: &Config,
    redirect_uri: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn IdentityProvider>, Failure> {
    let usage = |what: &str| Failure::Usage(what.to_owned());
    let kind = match &config.upstream.idp {
        Idp::Entra { tenant, authority } => {
            let authority =
                Url::parse(authority).map_err(|_| usage("upstream.authority: this is not a URL."))?;
            Kind::Entra { authority, tenant: tenant.clone() }
        }
        Idp::Oidc { issuer } => Kind::Oidc {
            issuer: Url::parse(issuer).map_err(|_| usage("upstream.issuer: this is not a URL."))?,
        },
    };
    let settings = Settings {
        kind,
        client_id: config.upstream.client_id.clone(),
        client_secret: config.upstream.client_secret.clone(),
        redirect_uri: redirect_uri.to_owned(),
        scopes: config.upstream.scopes.clone(),
    };
    let provider =
        OidcProvider::new(settings, Arc::clone(clock)).map_err(|e| Failure::Running(e.to_string()))?;
    let provider: Arc<dyn IdentityProvider> = Arc::new(provider);
    Ok(Arc::new(Measured::new(provider, Arc::clone(clock))))
}

/// Why a server does not open, for the supervisor.
pub fn failure(error: Locked) -> Failure {
    let text = error.to_string();
    match error {
        Locked::RootKey(_)
        | Locked::Missing(_)
        | Locked::Outdated { .. }
        | Locked::NotTheStores(_)
        | Locked::SigningKey => Failure::RootKey(text),
        Locked::AnotherIssuer { .. } | Locked::Store(StoreError::Unsuitable(_)) => Failure::Usage(text),
        Locked::Store(_) => Failure::Store(text),
    }
}

/// The client towards the MCP servers: pooled, HTTP/1.1 and HTTP/2, roots of the system.
pub fn upstream_client() -> Result<Upstream, Failure> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(Duration::from_secs(5)));
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|error| {
            Failure::Running(format!("The system's root certificates cannot be used: {error}."))
        })?
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_timer(TokioTimer::new())
        .build(https))
}
