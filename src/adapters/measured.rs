//! The store and the identity provider, counted and timed.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Stored;
use crate::domain::document::Version;
use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;
use crate::ports::idp::IdentityProvider;
use crate::ports::idp::Refreshed;
use crate::ports::idp::SignInAnswer;
use crate::ports::idp::SignInRequest;
use crate::ports::idp::SignedIn;
use crate::ports::idp::UpstreamError;
use crate::ports::store::Listing;
use crate::ports::store::Store;
use crate::ports::store::StoreError;

/// A port whose calls are counted and timed.
pub struct Measured<P: ?Sized> {
    clock: Arc<dyn Clock>,
    port: Arc<P>,
}

impl<P: ?Sized> Measured<P> {
    /// Counts and times the calls of `port` by `clock`.
    #[must_use]
    pub fn new(port: Arc<P>, clock: Arc<dyn Clock>) -> Self {
        Self { clock, port }
    }

    async fn measure<T, E: Outcome>(
        &self,
        [count, time]: [&'static str; 2],
        operation: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = self.clock.elapsed();
        let result = work.await;
        let took = self.clock.elapsed().saturating_sub(began);
        let outcome = result.as_ref().map_or_else(E::outcome, |_| "ok");
        metrics::counter!(count, "operation" => operation, "outcome" => outcome).increment(1);
        metrics::histogram!(time, "operation" => operation).record(took);
        result
    }
}

/// How an error is counted.
trait Outcome {
    fn outcome(&self) -> &'static str;
}

impl Outcome for StoreError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Away(_) => "away",
            Self::Unsuitable(_) => "unsuitable",
            Self::Corrupt(_) => "corrupt",
        }
    }
}

impl Outcome for UpstreamError {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Declined(_) => "declined",
            Self::Denied(_) => "denied",
            Self::Ended(_) => "ended",
            Self::SomebodyElse(_) => "somebody_else",
            Self::Guest(_) => "guest",
            Self::GuestUnknown(_) => "guest_unknown",
            Self::Invalid(_) => "invalid",
            Self::Refused(_) => "refused",
            Self::Away(_) => "away",
        }
    }
}

const STORE: [&str; 2] = ["entrada_store_operations_total", "entrada_store_seconds"];
const UPSTREAM: [&str; 2] = ["entrada_upstream_calls_total", "entrada_upstream_seconds"];

#[async_trait]
impl Store for Measured<dyn Store> {
    async fn create(&self, document: Document) -> Result<Version, StoreError> {
        self.measure(STORE, "create", self.port.create(document)).await
    }

    async fn read(&self, key: &DocumentKey) -> Result<Option<Stored>, StoreError> {
        self.measure(STORE, "read", self.port.read(key)).await
    }

    async fn replace(&self, document: Document, expected: &Version) -> Result<Version, StoreError> {
        self.measure(STORE, "replace", self.port.replace(document, expected)).await
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&DocumentKey>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.measure(STORE, "list", self.port.list(listing, after, limit)).await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.measure(STORE, "sweep", self.port.sweep()).await
    }
}

#[async_trait]
impl IdentityProvider for Measured<dyn IdentityProvider> {
    fn rotates(&self) -> bool {
        self.port.rotates()
    }

    async fn sign_in_url(&self, request: &SignInRequest) -> Result<Url, UpstreamError> {
        self.measure(UPSTREAM, "sign_in_url", self.port.sign_in_url(request)).await
    }

    /// It asks nobody, so there is nothing to measure.
    fn explain(&self, error: &str, description: &str) -> UpstreamError {
        self.port.explain(error, description)
    }

    async fn redeem(&self, answer: SignInAnswer, now: Timestamp) -> Result<SignedIn, UpstreamError> {
        self.measure(UPSTREAM, "redeem", self.port.redeem(answer, now)).await
    }

    async fn refresh(&self, token: &SecretString, now: Timestamp) -> Result<Refreshed, UpstreamError> {
        self.measure(UPSTREAM, "refresh", self.port.refresh(token, now)).await
    }

    async fn groups(&self, token: &SecretString) -> Result<Vec<String>, UpstreamError> {
        self.measure(UPSTREAM, "groups", self.port.groups(token)).await
    }
}
