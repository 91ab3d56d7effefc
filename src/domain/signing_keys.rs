//! The life of signing keys: published before they are used, used, then published until the last token that they
//! signed has expired.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::WriteId;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::root_check::PARTITION;
use crate::domain::seal::SealNonce;
use crate::domain::seal::Sealed;
use crate::domain::signing::BadKey;
use crate::domain::signing::SigningAlg;
use crate::domain::signing::SigningKey;
use crate::domain::signing::SigningKeyRecord;
use crate::domain::time::Timestamp;

/// How long a key signs.
pub const ROTATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a key set may be kept by those who verify with it: the `max-age` of the JWK Set.
pub const JWKS_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long a key is published before it signs: a lifetime of the key set many times over, for verifiers that keep it
/// longer than they should, and for replicas that hear of it late.
pub const PUBLISHED_BEFORE: Duration = Duration::from_secs(60 * 60);

/// Replicas whose clocks differ, or that have not heard yet that a key was replaced, go on signing with it for less
/// than this.
const SKEW: Duration = Duration::from_secs(2 * 60);

const SCHEMA: u16 = 1;
const ID: &str = "signing";

/// The signing keys as they are stored: one document, sealed, so that a change of them is one swap.
#[derive(Serialize, Deserialize)]
pub struct StoredSigningKeys {
    /// In the order in which they sign, never empty.
    keys: Vec<StoredKey>,
    /// The longest lifetime, in seconds, of any token that one of them may have signed.
    longest: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredKey {
    record: SigningKeyRecord,
    published_at: Timestamp,
    signs_from: Timestamp,
}

impl StoredSigningKeys {
    /// The first key of a store, or the only one after all others are no longer trusted: it signs at once.
    #[must_use]
    pub fn only(record: SigningKeyRecord, longest: Duration, now: Timestamp) -> Self {
        let key = StoredKey { record, published_at: now, signs_from: now };
        Self { keys: vec![key], longest: longest.as_secs() }
    }

    /// Whether it is time for a successor: the newest key has signed for long enough, or signs by another algorithm.
    #[must_use]
    pub fn is_due(&self, alg: SigningAlg, now: Timestamp) -> bool {
        let newest = self.newest();
        if newest.signs_from > now {
            return false;
        }
        newest.record.alg != alg || now.plus(PUBLISHED_BEFORE) >= newest.signs_from.plus(ROTATION)
    }

    /// The key that is published and does not sign yet.
    #[must_use]
    pub fn has_successor(&self, now: Timestamp) -> bool {
        self.newest().signs_from > now
    }

    /// These keys and one more, published now. What nobody needs any more is left out.
    #[must_use]
    pub fn with_successor(&self, record: SigningKeyRecord, now: Timestamp) -> Self {
        let lives = |n: &usize| self.ends(*n).is_none_or(|end| now < end);
        let mut keys: Vec<_> = (0..self.keys.len()).filter(lives).map(|n| self.keys[n].clone()).collect();
        keys.push(StoredKey { record, published_at: now, signs_from: now.plus(PUBLISHED_BEFORE) });
        Self { keys, longest: self.longest }
    }

    /// These keys, kept for tokens of this lifetime too; `None` if they are already.
    #[must_use]
    pub fn for_tokens_of(&self, longest: Duration) -> Option<Self> {
        let longest = longest.as_secs();
        (self.longest < longest).then(|| Self { keys: self.keys.clone(), longest })
    }

    /// Where they lie.
    #[must_use]
    pub fn key() -> DocumentKey {
        DocumentKey { partition: PARTITION.to_owned(), id: ID.to_owned() }
    }

    /// Their document.
    #[must_use]
    pub fn to_document(&self, keys: &KeyRing, write_id: WriteId, nonce: SealNonce) -> Document {
        let body = Sealed::record(keys, &place(), nonce, self).into_bytes();
        Document::plain(Self::key(), SCHEMA, write_id, body)
    }

    /// Reads them back.
    pub fn from_document(keys: &KeyRing, document: Document) -> Result<Self, NotAuthentic> {
        let stored: Self = Sealed::from_bytes(document.body).open_record(keys, &place())?;
        if stored.keys.is_empty() { Err(NotAuthentic) } else { Ok(stored) }
    }

    /// When the last token that key `n` signed has expired; the newest has no end yet.
    fn ends(&self, n: usize) -> Option<Timestamp> {
        let replaced = self.keys.get(n + 1)?.signs_from;
        Some(replaced.plus(Duration::from_secs(self.longest)).plus(SKEW))
    }

    fn newest(&self) -> &StoredKey {
        self.keys.last().expect("there is always a key")
    }
}

/// The signing keys, parsed.
pub struct SigningKeys(Vec<ReadKey>);

struct ReadKey {
    key: Arc<SigningKey>,
    published_at: Timestamp,
    signs_from: Timestamp,
    ends: Option<Timestamp>,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It will sign.
    Published,
    Signing,
    /// It has signed, and verifies.
    Retired,
}

/// A signing key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySummary {
    pub kid: String,
    pub alg: SigningAlg,
    pub stage: Stage,
    pub published_at: Timestamp,
    pub signs_from: Timestamp,
    /// From then on nobody verifies with it.
    pub ends: Option<Timestamp>,
}

impl SigningKeys {
    /// Parses what was stored.
    pub fn read(stored: &StoredSigningKeys) -> Result<Self, BadKey> {
        let read = |(n, key): (usize, &StoredKey)| {
            let StoredKey { record, published_at, signs_from } = key;
            let key = Arc::new(SigningKey::read(record)?);
            let (published_at, signs_from) = (*published_at, *signs_from);
            Ok(ReadKey { key, published_at, signs_from, ends: stored.ends(n) })
        };
        stored.keys.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The key that signs.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> &SigningKey {
        &self.0[self.active_index(now)].key
    }

    /// The JWK Set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> Value {
        json!({ "keys": self.valid(now).map(|read| read.key.jwk()).collect::<Vec<_>>() })
    }

    /// Verifies with whichever key signed.
    pub fn verify<C: DeserializeOwned + Clone>(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<C, NotAuthentic> {
        self.valid(now).find_map(|read| read.key.verify(token).ok()).ok_or(NotAuthentic)
    }

    /// Every key that is still good for something, the oldest first.
    #[must_use]
    pub fn summaries(&self, now: Timestamp) -> Vec<KeySummary> {
        let active = self.active(now).kid();
        let summary = |read: &ReadKey| {
            let stage = match read.key.kid() {
                kid if kid == active => Stage::Signing,
                _ if read.signs_from > now => Stage::Published,
                _ => Stage::Retired,
            };
            let ReadKey { key, published_at, signs_from, ends } = read;
            let (published_at, signs_from, ends) = (*published_at, *signs_from, *ends);
            KeySummary { kid: key.kid().to_owned(), alg: key.alg(), stage, published_at, signs_from, ends }
        };
        self.valid(now).map(summary).collect()
    }

    fn active_index(&self, now: Timestamp) -> usize {
        // A clock that was set back to before the first key still signs.
        self.0.iter().rposition(|read| read.signs_from <= now).unwrap_or(0)
    }

    fn valid(&self, now: Timestamp) -> impl Iterator<Item = &ReadKey> {
        self.0.iter().filter(move |read| read.ends.is_none_or(|end| now < end))
    }
}

fn place() -> String {
    format!("{PARTITION}/{ID}/{SCHEMA}")
}
