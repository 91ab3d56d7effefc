//! From the configuration to a running authorization server: store, root key, signing key, ports.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::audit::TracingAudit;
use crate::adapters::azure_credential;
use crate::adapters::cosmos::LateCosmosStore;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::measured::Measured;
use crate::adapters::root_key_file::RootKeyFile;
use crate::adapters::root_key_vault;
use crate::adapters::root_key_vault::RootKeyVault;
use crate::adapters::system::SystemClock;
use crate::adapters::system::SystemEntropy;
use crate::adapters::web_documents::SystemNetwork;
use crate::adapters::web_documents::WebDocuments;
use crate::app::cosmos;
use crate::app::exit::Failure;
use crate::app::identity::source;
use crate::app::identity_provider::identity_provider;
use crate::app::policy::policy;
use crate::config;
use crate::config::Config;
use crate::config::Keys;
use crate::flows::AuthServer;
use crate::flows::Ports;
use crate::flows::root::Locked;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;
use crate::ports::root_key::Place;
use crate::ports::root_key::RootKeyError;
use crate::ports::root_key::RootKeyStore;
use crate::ports::store::Store;
use crate::ports::store::StoreError;
use crate::protocol::metadata::path;

/// How long one request to a key vault may take, with all that is tried again.
const VAULT_PATIENCE: Duration = Duration::from_secs(5);

/// A server, and the store that it has to sweep.
pub struct Started {
    pub auth: AuthServer,
    pub store: Arc<dyn Store>,
    /// Why it is not open yet, where its store or its vault does not answer.
    pub away: Option<String>,
}

/// Opens everything that the configuration names. A server whose store or root key lies elsewhere starts without it, and
/// is opened when it answers.
pub async fn start(config: &Config) -> Result<Started, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let started = assemble(config, root_key(config, &clock)?, clock)?;
    let away = match started.auth.keep_keys().await {
        // The file of an embedded store is there, or is wrong.
        Err(Locked::Store(error)) if !config.store.is_shared() => return Err(failure(error.into())),
        Err(error) if error.is_away() => Some(error.to_string()),
        opened => opened.map(|()| None).map_err(failure)?,
    };
    Ok(Started { away, ..started })
}

/// Makes the root key of a store that replicas share, if it has none yet. Returns where it lies.
pub async fn make_root_key(config: &Config) -> Result<Place, Failure> {
    if !config.store.is_shared() {
        let what = "The root key of an embedded store is made by `entrada serve`, together with the store.";
        return Err(Failure::Usage(what.to_owned()));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let root: Arc<dyn RootKeyStore> = match &config.keys {
        Keys::File(file) => {
            make_directory_of(file)?;
            Arc::new(RootKeyFile::new(file))
        }
        Keys::Vault(_) => root_key(config, &clock)?,
    };
    let started = assemble(config, Arc::clone(&root), clock)?;
    started.auth.keep_keys().await.map_err(failure)?;
    Ok(root.place())
}

fn make_directory_of(file: &Path) -> Result<(), Failure> {
    let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        Failure::Usage(format!("The directory {} cannot be made: {error}.", directory.display()))
    })
}

fn assemble(config: &Config, root: Arc<dyn RootKeyStore>, clock: Arc<dyn Clock>) -> Result<Started, Failure> {
    let policy = policy(config)?;
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let store = open_store(config, &clock)?;
    let idp = identity_provider(&config.upstream, &policy.issuer.at(path::CALLBACK), &clock, &entropy)?;
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

/// The file of a store that this process alone has is made with it; replicas are given copies, or have a vault in common.
fn root_key(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn RootKeyStore>, Failure> {
    Ok(match (&config.keys, config.store.is_shared()) {
        (Keys::File(file), false) => Arc::new(RootKeyFile::new(file)),
        (Keys::File(file), true) => Arc::new(RootKeyFile::copied(file)),
        (Keys::Vault(vault), shared) => {
            let settings = root_key_vault::Settings {
                vault: vault.url.clone(),
                secret: vault.secret.clone(),
                credential: azure_credential::credential(source(&vault.identity), Arc::clone(clock)),
                shared,
                patience: VAULT_PATIENCE,
            };
            let vault = RootKeyVault::new(settings);
            Arc::new(vault.map_err(|error| Failure::Running(format!("keys.vault: {error}.")))?)
        }
    })
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

/// Why a server does not open, for the supervisor.
pub fn failure(error: Locked) -> Failure {
    let text = error.to_string();
    match error {
        Locked::RootKey(RootKeyError::Away(_)) => Failure::Store(text),
        Locked::RootKey(RootKeyError::Wrong(_))
        | Locked::Missing(_)
        | Locked::Outdated { .. }
        | Locked::NotTheStores(_)
        | Locked::SigningKey => Failure::RootKey(text),
        Locked::AnotherIssuer { .. } | Locked::Store(StoreError::Unsuitable(_)) => Failure::Usage(text),
        Locked::Store(_) => Failure::Store(text),
    }
}
