//! API keys: what a program without a browser presents in place of an access token.
//!
//! `Active → Revoked`, with secrets that come and go in between. One document for each key, found by the id that stands in
//! the text of the key; of the secret the store has a hash. A MAC over both lets garbage be refused before anything is
//! read, and a checksum tells a mistyped key from a false one.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::constant_time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::State;
use crate::domain::document::WriteId;
use crate::domain::keys::Generation;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::keys::Purpose;
use crate::domain::keys::TAG_LEN;
use crate::domain::limits::Rate;
use crate::domain::person::UserKey;
use crate::domain::seal::SealNonce;
use crate::domain::seal::Sealed;
use crate::domain::time::Timestamp;
use crate::protocol::scope::Scopes;

/// Partitions of API keys begin so.
pub const PARTITION_PREFIX: &str = "k.";
/// What every key begins with, for people and for secret scanners.
pub const PREFIX: &str = "ent_";
/// No key lives longer.
pub const LONGEST: Duration = Duration::from_hours(365 * 24);
/// How long a key is still listed after its end, and known as what it was.
pub const KEPT: Duration = Duration::from_hours(30 * 24);
/// A key is told of when it ends so soon, or in the last quarter of its life where that is shorter.
pub const SOON: Duration = Duration::from_hours(14 * 24);
/// Secrets of one key that are good at the same time.
pub const MAX_SECRETS: usize = 4;

const SCHEMA: u16 = 1;
const VERSION: u8 = 1;
const ID_LEN: usize = 8;
const SECRET_LEN: usize = 18;
const CHECKSUM_LEN: usize = 4;
/// Version, generation, id, secret.
const MESSAGE_LEN: usize = 2 + ID_LEN + SECRET_LEN;
/// All that stands behind the prefix, in base64url.
const TEXT_LEN: usize = (MESSAGE_LEN + TAG_LEN + CHECKSUM_LEN) / 3 * 4;

/// Random bytes of a secret.
pub type KeySecret = [u8; SECRET_LEN];

/// The name of a key, which outlives its secrets: random, and in logs and tokens `key:` and hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub [u8; ID_LEN]);

impl KeyId {
    /// Reads `key:…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("key:")?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let number = u64::from_str_radix(digits, 16).ok()?;
        (digits.len() == 2 * ID_LEN && digits.bytes().all(is_digit)).then(|| Self(number.to_be_bytes()))
    }

    /// What its requests are counted by, as a person's are by theirs. No person is called `key:`.
    #[must_use]
    pub fn user_key(self) -> UserKey {
        UserKey::of(&self.to_string())
    }

    /// Where what concerns it lies.
    #[must_use]
    pub fn partition(self) -> String {
        format!("{PARTITION_PREFIX}{:016x}", u64::from_be_bytes(self.0))
    }

    fn document_key(self) -> DocumentKey {
        DocumentKey { partition: self.partition(), id: "key".to_owned() }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key:{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The whole key, which is shown once.
#[derive(Clone, Debug)]
pub struct KeyText(SecretString);

impl KeyText {
    /// What its holder presents.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serialize for KeyText {
    /// For the administration socket, over which it goes to whoever asked for it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// The hash by which a secret is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(message: &[u8; MESSAGE_LEN]) -> Self {
        Self(Sha256::digest(message).into())
    }

    fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// What a text that is presented as a key is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAKey {
    /// It is not whole, or a character is another.
    Mistyped,
    /// It is whole, and no root key of ours has made it.
    NotOurs,
}

/// A key of ours, which somebody presents. Whether it is good is for the store to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PresentedKey {
    pub id: KeyId,
    pub secret: SecretHash,
}

impl PresentedKey {
    /// Reads a key. Costs two hashes and a MAC.
    pub fn read(keys: &KeyRing, text: &str) -> Result<Self, NotAKey> {
        let text = text.strip_prefix(PREFIX).filter(|text| text.len() == TEXT_LEN);
        let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(NotAKey::Mistyped)?;
        let (rest, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(NotAKey::Mistyped)?;
        if *sum != checksum(rest) {
            return Err(NotAKey::Mistyped);
        }
        let (message, tag) = rest.split_first_chunk::<MESSAGE_LEN>().ok_or(NotAKey::Mistyped)?;
        let [VERSION, generation, body @ ..] = message else { return Err(NotAKey::NotOurs) };
        let authentic = keys.verify(Purpose::ApiKey, Generation(*generation), message, tag);
        authentic.map_err(|NotAuthentic| NotAKey::NotOurs)?;
        let (id, _) = body.split_first_chunk::<ID_LEN>().ok_or(NotAKey::NotOurs)?;
        Ok(Self { id: KeyId(*id), secret: SecretHash::of(message) })
    }

    /// Makes the text of a new secret.
    #[must_use]
    pub fn issue(keys: &KeyRing, id: KeyId, secret: KeySecret) -> (Self, KeyText) {
        let generation = keys.current();
        let mut message = [VERSION; MESSAGE_LEN];
        message[1] = generation.0;
        message[2..2 + ID_LEN].copy_from_slice(&id.0);
        message[2 + ID_LEN..].copy_from_slice(&secret);
        let tag = keys.mac(Purpose::ApiKey, generation, &message).expect("the current generation is known");
        let mut bytes = message.to_vec();
        bytes.extend(tag);
        bytes.extend(checksum(&bytes));
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
        (Self { id, secret: SecretHash::of(&message) }, KeyText(text.into()))
    }
}

/// Anybody can compute it, so that a scanner that knows nothing of us can.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut sum = [0; CHECKSUM_LEN];
    sum.copy_from_slice(&digest[..CHECKSUM_LEN]);
    sum
}

/// One secret of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub hash: SecretHash,
    pub made_at: Timestamp,
    /// From then on it is good for nothing.
    pub until: Timestamp,
}

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBody {
    /// What the operator calls it.
    pub name: String,
    /// Whom to ask about it.
    pub owner: String,
    /// Identifier of the one resource that it opens.
    pub resource: String,
    pub scopes: Scopes,
    /// In place of the limit of a person.
    pub rate: Option<Rate>,
    pub created_at: Timestamp,
    /// The newest last.
    pub secrets: Vec<Secret>,
}

/// A key as it was read, or as it is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub revoked: bool,
    pub body: KeyBody,
}

/// Why a key is good for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEnd {
    Revoked,
    Expired,
    /// It was rotated, and the time in which the old secret goes on is over.
    Replaced,
    /// No such secret was ever its own, or it is long gone.
    Unknown,
}

impl ApiKey {
    /// Until when a secret is good.
    pub fn good_until(&self, secret: &SecretHash, now: Timestamp) -> Result<Timestamp, KeyEnd> {
        if self.revoked {
            return Err(KeyEnd::Revoked);
        }
        let known =
            self.body.secrets.iter().rposition(|known| known.hash.is(secret)).ok_or(KeyEnd::Unknown)?;
        let until = self.body.secrets[known].until;
        match now < until {
            true => Ok(until),
            false if known + 1 == self.body.secrets.len() => Err(KeyEnd::Expired),
            false => Err(KeyEnd::Replaced),
        }
    }

    /// When its newest secret ends.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        self.body.secrets.last().map_or(self.body.created_at, |newest| newest.until)
    }

    /// Whether anything of it is good still.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        !self.revoked && self.body.secrets.iter().any(|secret| now < secret.until)
    }

    /// Whether it is alive and nears its end.
    #[must_use]
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        let newest = self.body.secrets.last();
        let soon = newest.map_or(SOON, |newest| (newest.until.since(newest.made_at) / 4).min(SOON));
        self.is_alive(now) && self.ends() <= now.plus(soon)
    }

    /// How many secrets are good.
    #[must_use]
    pub fn living_secrets(&self, now: Timestamp) -> usize {
        self.body.secrets.iter().filter(|secret| now < secret.until).count()
    }

    /// The same key with one secret more; those that it had go on for `overlap` at most.
    #[must_use]
    pub fn rotated(mut self, hash: SecretHash, until: Timestamp, overlap: Duration, now: Timestamp) -> Self {
        let last = now.plus(overlap);
        for secret in &mut self.body.secrets {
            secret.until = secret.until.min(last);
        }
        // Those that ended are kept for as long as their holders may ask why.
        self.body.secrets.retain(|secret| now < secret.until.plus(KEPT));
        let many = (self.body.secrets.len() + 1).saturating_sub(2 * MAX_SECRETS);
        self.body.secrets.drain(..many);
        self.body.secrets.push(Secret { hash, made_at: now, until });
        self
    }

    /// The same key, good for nothing any more.
    #[must_use]
    pub fn revoked(mut self) -> Self {
        self.revoked = true;
        self
    }

    /// What grows with each change.
    #[must_use]
    pub fn age(&self) -> (bool, Option<Timestamp>, usize) {
        let secrets = &self.body.secrets;
        (self.revoked, secrets.last().map(|newest| newest.made_at), secrets.len())
    }

    /// Where the key lies.
    #[must_use]
    pub fn key(id: KeyId) -> DocumentKey {
        id.document_key()
    }

    /// When the store forgets it.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.body.secrets.iter().map(|secret| secret.until).max().unwrap_or(self.body.created_at).plus(KEPT)
    }

    /// The document of this key.
    #[must_use]
    pub fn to_document(&self, keys: &KeyRing, write_id: WriteId, nonce: SealNonce) -> Document {
        let key = self.id.document_key();
        let state = if self.revoked { State::Revoked } else { State::Active };
        let expires_at = self.forgotten_at();
        let place = place(&key, state, expires_at);
        let body = Sealed::record(keys, &place, nonce, &self.body).into_bytes();
        Document { key, schema: SCHEMA, state, generation: 0, write_id, expires_at: Some(expires_at), body }
    }

    /// Reads a key back. What is in clear is authenticated with the body.
    pub fn from_document(keys: &KeyRing, document: Document) -> Result<Self, NotAuthentic> {
        let Document { key, schema, state, expires_at, body, .. } = document;
        let expires_at = expires_at.filter(|_| schema == SCHEMA).ok_or(NotAuthentic)?;
        let place = place(&key, state, expires_at);
        let body: KeyBody = Sealed::from_bytes(body).open_record(keys, &place)?;
        let id = key.partition.strip_prefix(PARTITION_PREFIX).ok_or(NotAuthentic)?;
        let id = KeyId::parse(&format!("key:{id}")).ok_or(NotAuthentic)?;
        Ok(Self { id, revoked: state == State::Revoked, body })
    }
}

fn place(key: &DocumentKey, state: State, expires_at: Timestamp) -> String {
    format!("{}/{}/{SCHEMA}/{}/{expires_at}", key.partition, key.id, state.as_str())
}

#[cfg(test)]
mod tests;
