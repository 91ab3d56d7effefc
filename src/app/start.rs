//! From the configuration to a running authorization server: store, root key, signing key, ports.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use url::Url;

use crate::adapters::audit::TracingAudit;
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
use crate::app::exit::Failure;
use crate::app::policy::policy;
use crate::config;
use crate::config::Config;
use crate::config::Idp;
use crate::flows::AuthServer;
use crate::flows::Ports;
use crate::flows::unlock::Locked;
use crate::flows::unlock::signing_keys;
use crate::flows::unlock::unlock;
use crate::gateway::Upstream;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;
use crate::ports::idp::IdentityProvider;
use crate::ports::store::Store;
use crate::protocol::metadata::path;

/// A server that is ready to answer, and the store that it has to sweep.
pub struct Started {
    pub auth: AuthServer,
    pub store: Arc<dyn Store>,
}

/// Opens everything that the configuration names.
pub async fn start(config: &Config) -> Result<Started, Failure> {
    let policy = policy(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let store = open_store(config, &clock)?;
    let key_file = config.data_dir.join("root.key");
    let is_new = !key_file.exists();
    let root = RootKeyFile::new(&key_file);
    let keys = unlock(store.as_ref(), &root, entropy.as_ref(), &policy.issuer).await.map_err(locked)?;
    if is_new {
        tracing::info!(file = %key_file.display(), "made the root key; keep a copy of it apart from the store's backups");
    }
    let signing = signing_keys(store.as_ref(), &keys, entropy.as_ref(), config.tokens.signing_alg)
        .await
        .map_err(locked)?;
    let idp = identity_provider(config, &policy.issuer.at(path::CALLBACK), &clock)?;
    let documents =
        WebDocuments::new(Arc::new(SystemNetwork), config.documents.ca.as_deref(), Arc::clone(&clock))
            .map_err(|error| Failure::Usage(format!("cimd.ca_file: {error}.")))?;
    let documents = Arc::new(documents);
    let ports =
        Ports { store: Arc::clone(&store), idp, documents, clock, entropy, audit: Arc::new(TracingAudit) };
    Ok(Started { auth: AuthServer::new(ports, keys, signing, policy), store })
}

fn open_store(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, Failure> {
    let store: Arc<dyn Store> = match config.store {
        config::Store::Embedded => {
            let opened = EmbeddedStore::open(&config.data_dir, Arc::clone(clock));
            Arc::new(opened.map_err(|error| Failure::Store(error.to_string()))?)
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

fn locked(error: Locked) -> Failure {
    let text = error.to_string();
    match error {
        Locked::RootKey(_) | Locked::Missing(_) | Locked::NotTheStores(_) | Locked::SigningKey => {
            Failure::RootKey(text)
        }
        Locked::AnotherIssuer { .. } => Failure::Usage(text),
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
