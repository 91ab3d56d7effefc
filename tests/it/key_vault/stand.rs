//! Replicas on one store and one vault, and a store in which somebody can be stopped.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use axum::Router;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::domain::keys::Generation;
use entrada::domain::keys::RootKey;
use entrada::domain::root_check::RootCheck;
use entrada::flows::AuthServer;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use secrecy::SecretBox;
use tokio::sync::oneshot;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::vault::HostedVault;

/// With its root key in a vault, and open.
pub async fn open() -> (Entrada, Arc<HostedVault>) {
    let vault = Arc::new(HostedVault::start().await);
    (Entrada::with(Setup { vault: Some(Arc::clone(&vault)), ..Setup::default() }).await, vault)
}

/// Nothing is stored yet, and no key was made.
pub async fn unopened() -> (Entrada, Arc<HostedVault>) {
    let vault = Arc::new(HostedVault::start().await);
    let setup = Setup { vault: Some(Arc::clone(&vault)), opens: false, ..Setup::default() };
    (Entrada::with(setup).await, vault)
}

pub fn key(generation: u8, byte: u8) -> RootKey {
    RootKey { generation: Generation(generation), bytes: SecretBox::new(Box::new([byte; 32])) }
}

/// Whether what one replica makes is good at the others.
pub async fn agree(entrada: &Entrada, replicas: &[&Router]) {
    let client = Client::register(entrada).await;
    let mut tokens = client.tokens(entrada).await;
    for router in replicas {
        let form = client.refresh_form(&tokens.refresh);
        let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        tokens = Tokens::of(&entrada.send_to(router, form_request("/token", &form)).await);
    }
}

/// Where whoever uses a store is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The check of the root key is not written yet.
    Check,
    /// The check was looked for and is not there; whether anything else is has not been asked yet.
    List,
}

/// A way to the store on which the first who comes to a place stops, and goes on when told to.
pub struct Stopping {
    store: Arc<dyn Store>,
    at: At,
    stop: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    /// The check is written, and nobody is told.
    loses: AtomicBool,
}

/// Somebody who starts, and is stopped on the way.
pub struct Stopped {
    go_on: oneshot::Sender<()>,
    starting: tokio::task::JoinHandle<Result<(), entrada::flows::root::Locked>>,
    pub auth: AuthServer,
    pub router: Router,
}

impl Stopped {
    /// A replica that starts, and has come to this place.
    pub async fn at(at: At, entrada: &Entrada, vault: &HostedVault) -> Self {
        let (came, comes) = oneshot::channel();
        let (go_on, told) = oneshot::channel();
        let stop = Mutex::new(Some((came, told)));
        let store = Stopping { store: Arc::clone(&entrada.store), at, stop, loses: AtomicBool::default() };
        let (auth, router) = entrada.replica_between(Arc::new(store), vault.root_key());
        let starting = tokio::spawn({
            let auth = auth.clone();
            async move { auth.keep_keys().await }
        });
        comes.await.expect("it comes there");
        Self { go_on, starting, auth, router }
    }

    /// Lets it go on, to its end.
    pub async fn goes_on(self) -> (Result<(), entrada::flows::root::Locked>, AuthServer, Router) {
        self.go_on.send(()).unwrap();
        (self.starting.await.unwrap(), self.auth, self.router)
    }

    /// It dies there.
    pub async fn dies(self) {
        self.starting.abort();
        assert!(self.starting.await.unwrap_err().is_cancelled());
    }
}

/// A way to the store on which the answer to the first check is lost.
pub fn losing(store: &Arc<dyn Store>) -> Arc<dyn Store> {
    let loses = AtomicBool::new(true);
    Arc::new(Stopping { store: Arc::clone(store), at: At::Check, stop: Mutex::default(), loses })
}

impl Stopping {
    async fn comes_to(&self, at: At) {
        let stop = if at == self.at { self.stop.lock().unwrap().take() } else { None };
        if let Some((came, told)) = stop {
            came.send(()).unwrap();
            told.await.unwrap();
        }
    }
}

#[async_trait]
impl Store for Stopping {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        let is_check = document.key == RootCheck::key();
        if is_check {
            self.comes_to(At::Check).await;
        }
        let created = self.store.create(document).await;
        match is_check && self.loses.swap(false, Ordering::Relaxed) {
            true => Err(StoreError::Away("its answer was lost".to_owned())),
            false => created,
        }
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        self.store.read(key).await
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        self.store.replace(document, expected).await
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.comes_to(At::List).await;
        self.store.list(listing, after, limit).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.store.sweep().await
    }
}
