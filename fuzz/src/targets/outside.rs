//! The outside of an authorization server under test: time stands still, nothing is random, nothing is kept, and
//! nobody vouches for anybody.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use entrada::domain::document::Document;
use entrada::domain::document::DocumentKey;
use entrada::domain::document::Stored;
use entrada::domain::document::Version;
use entrada::domain::event::Event;
use entrada::domain::event::EventName;
use entrada::domain::keys::Generation;
use entrada::domain::keys::RootKey;
use entrada::domain::time::Timestamp;
use entrada::ports::audit::Audit;
use entrada::ports::clock::Clock;
use entrada::ports::clock::Entropy;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use entrada::ports::idp::IdentityProvider;
use entrada::ports::idp::Refreshed;
use entrada::ports::idp::SignInAnswer;
use entrada::ports::idp::SignInRequest;
use entrada::ports::idp::SignedIn;
use entrada::ports::idp::UpstreamError;
use entrada::ports::root_key::Place;
use entrada::ports::root_key::RootKeyError;
use entrada::ports::root_key::RootKeyStore;
use entrada::ports::store::Listing;
use entrada::ports::store::Store;
use entrada::ports::store::StoreError;
use secrecy::SecretBox;
use secrecy::SecretString;
use url::Url;

/// 2026-11-23T00:00:00Z. Any instant would do.
pub const NOW: Timestamp = Timestamp(1_795_392_000);

/// It is always [`NOW`].
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// The same input has to do the same in every run.
pub struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Has one root key, and makes no other.
pub struct OneRootKey;

#[async_trait]
impl RootKeyStore for OneRootKey {
    async fn load(&self) -> Result<Vec<RootKey>, RootKeyError> {
        let bytes = SecretBox::new(Box::new([7; 32]));
        Ok(vec![RootKey { generation: Generation(1), bytes }])
    }

    async fn create(&self, _: &RootKey) -> Result<(), RootKeyError> {
        panic!("a root key was made")
    }

    async fn add(&self, _: &RootKey) -> Result<(), RootKeyError> {
        panic!("a root key was added")
    }

    async fn withdraw(&self, _: &RootKey) -> Result<(), RootKeyError> {
        panic!("a root key was taken back")
    }

    async fn keep_only(&self, _: &RootKey) -> Result<(), RootKeyError> {
        panic!("a root key was dropped")
    }

    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    fn place(&self) -> Place {
        Place::File("nowhere".to_owned())
    }
}

/// Hears nothing.
pub struct Unheard;

impl Audit for Unheard {
    fn record(&self, _: EventName, _: Event) {}
}

/// No input leads to the identity provider.
pub struct NeverAsked;

#[async_trait]
impl IdentityProvider for NeverAsked {
    fn rotates(&self) -> bool {
        false
    }

    async fn sign_in_url(&self, _: &SignInRequest) -> Result<Url, UpstreamError> {
        panic!("the identity provider was asked to sign somebody in")
    }

    fn explain(&self, _: &str, _: &str) -> UpstreamError {
        panic!("the identity provider was asked what an error means")
    }

    async fn redeem(&self, _: SignInAnswer, _: Timestamp) -> Result<SignedIn, UpstreamError> {
        panic!("the identity provider was asked for a person")
    }

    async fn refresh(&self, _: &SecretString, _: Timestamp) -> Result<Refreshed, UpstreamError> {
        panic!("the identity provider was asked whether somebody is welcome")
    }

    async fn groups(&self, _: &SecretString) -> Result<Vec<String>, UpstreamError> {
        panic!("the identity provider was asked for groups")
    }
}

/// The web, on which nothing is published.
pub struct EmptyWeb;

#[async_trait]
impl ClientDocuments for EmptyWeb {
    async fn fetch(&self, _: &Url, _: &Validators) -> Result<Fetched, NotFetched> {
        Err(NotFetched::Missing)
    }
}

/// What was asked of a store since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub reads: Vec<DocumentKey>,
    /// Where something was created or replaced.
    pub writes: Vec<DocumentKey>,
}

/// Holds what it was made with. It takes every write and forgets it, so that each input meets the same documents.
pub struct FrozenStore {
    documents: Vec<Document>,
    asked: Mutex<Asked>,
}

impl FrozenStore {
    pub fn of(documents: Vec<Document>) -> Self {
        Self { documents, asked: Mutex::default() }
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Asked {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, note: impl FnOnce(&mut Asked)) {
        note(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[async_trait]
impl Store for FrozenStore {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.note(|asked| asked.writes.push(document.key));
        Ok(Version("1".to_owned()))
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        self.note(|asked| asked.reads.push(key.clone()));
        let document = self.documents.iter().find(|document| document.key == *key).cloned();
        Ok(document.map(|document| Stored { document, version: Version("0".to_owned()) }))
    }

    async fn replace(&self, document: Document, _: &Version) -> Result<Version, StoreError> {
        self.note(|asked| asked.writes.push(document.key));
        Ok(Version("1".to_owned()))
    }

    async fn list(
        &self,
        _: Listing<'_>,
        _: Option<&DocumentKey>,
        _: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        panic!("a request had the store listed")
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        panic!("a request had the store swept")
    }
}
