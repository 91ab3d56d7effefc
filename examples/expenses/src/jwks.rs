//! The issuer's keys (RFC 7517), fetched when needed.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::AlgorithmParameters;
use jsonwebtoken::jwk::EllipticCurve;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::PublicKeyUse;
use serde::Deserialize;
use tokio::sync::Mutex as Flight;
use tokio::time::Instant;

/// A key that the issuer withdraws is trusted this long at most, while the issuer can be reached.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// Unknown key ids cause a fetch at most this often: anybody can make one up.
const AFTER_SUCCESS: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A key, and the one algorithm that it is for.
#[derive(Clone)]
pub(crate) struct Key {
    pub decoding: DecodingKey,
    pub algorithm: Algorithm,
}

/// The keys could not be fetched. That says nothing about the token.
#[derive(Debug)]
pub(crate) struct KeysAway;

pub(crate) struct KeySet {
    http: reqwest::Client,
    url: String,
    /// Held while fetching: those who wait share the outcome.
    flight: Flight<()>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By `kid`.
    keys: HashMap<String, Key>,
    fetched: Option<Instant>,
    /// The last failure, unless a success came after it.
    failed: Option<Instant>,
}

impl KeySet {
    pub(crate) fn new(url: &str) -> Result<Self, reqwest::Error> {
        // Neither a redirect nor a proxy variable decides whose keys are trusted.
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, url: url.to_owned(), flight: Flight::default(), known: Mutex::default() })
    }

    /// The key of this id, or `None` if the issuer has none.
    pub(crate) async fn find(&self, kid: &str) -> Result<Option<Key>, KeysAway> {
        if let Some(answer) = self.known(|known| known.find(kid)) {
            return answer;
        }
        let _flight = self.flight.lock().await;
        if let Some(answer) = self.known(|known| known.find(kid)) {
            return answer;
        }
        let fetched = self.fetch().await;
        self.known(|known| {
            known.land(fetched);
            known.find(kid).unwrap_or(Err(KeysAway))
        })
    }

    async fn fetch(&self) -> Result<HashMap<String, Key>, String> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let request = self.http.get(&self.url).send().await;
        let response = request.and_then(reqwest::Response::error_for_status).map_err(|e| e.to_string())?;
        let body = response.bytes().await.map_err(|e| e.to_string())?;
        let document: Document = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
        // A key of a kind that is not known here is no reason to do without the others.
        let keys = document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.filter_map(usable).collect())
    }

    fn known<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        // Nothing that runs under this lock panics halfway through a change.
        with(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// `None` where a fetch may tell more.
    fn find(&self, kid: &str) -> Option<Result<Option<Key>, KeysAway>> {
        let within = |then: Option<Instant>, period| then.is_some_and(|then| then.elapsed() < period);
        let failed = within(self.failed, AFTER_FAILURE);
        match self.keys.get(kid) {
            // Keys that cannot be renewed just now go on.
            Some(key) if failed || within(self.fetched, MAX_AGE) => Some(Ok(Some(key.clone()))),
            None if failed => Some(Err(KeysAway)),
            None if within(self.fetched, AFTER_SUCCESS) => Some(Ok(None)),
            _ => None,
        }
    }

    fn land(&mut self, fetched: Result<HashMap<String, Key>, String>) {
        let now = Instant::now();
        match fetched {
            Ok(keys) => *self = Self { keys, fetched: Some(now), failed: None },
            Err(reason) => {
                tracing::warn!(reason, "the issuer's keys could not be fetched");
                self.failed = Some(now);
            }
        }
    }
}

/// The key with its id, if it is one for signatures of a kind that Entrada makes: RS256 or ES256.
fn usable(jwk: Jwk) -> Option<(String, Key)> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        _ => return None,
    };
    let common = &jwk.common;
    let other_use = common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature);
    let other_algorithm = common.key_algorithm.is_some_and(|named| named != algorithm.into());
    if other_use || other_algorithm {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, Key { decoding, algorithm }))
}
