//! What has to hold before anything is served: the root key is the store's, and there is a key to
//! sign with.

use secrecy::SecretBox;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;
use thiserror::Error;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::State;
use crate::domain::document::WriteId;
use crate::domain::keys::Generation;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::keys::RootKey;
use crate::domain::seal::Sealed;
use crate::domain::signing::SigningAlg;
use crate::domain::signing::SigningKey;
use crate::domain::signing::SigningKeyRecord;
use crate::ports::clock::Entropy;
use crate::ports::root_key::RootKeyError;
use crate::ports::root_key::RootKeyStore;
use crate::ports::store::Listing;
use crate::ports::store::Store;
use crate::ports::store::StoreError;
use crate::protocol::issuer::Issuer;

const SCHEMA: u16 = 1;
const PARTITION: &str = "meta";

/// Why the program cannot start on this store with this key. The texts are for the operator.
#[derive(Debug, Error)]
pub enum Locked {
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    #[error(
        "{0} is missing, but the store was made with one. Put it back from your backup: without it nothing in the store can be read. To begin anew, move the store away."
    )]
    Missing(String),
    #[error(
        "{0} is not the root key that the store was made with. Put the right one back from your backup, or move the store away to begin anew."
    )]
    NotTheStores(String),
    #[error(
        "the store was made for public_url {stored}, and public_url is now {configured}. Every client, code and token belongs to its issuer: set public_url back, or use another data_dir."
    )]
    AnotherIssuer { stored: String, configured: String },
    #[error("the signing key cannot be made or read: the store's copy does not open with the root key")]
    SigningKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the store knows of its root key, and of the issuer that it was made for. In clear: it has to
/// be read before there is a key.
#[derive(Serialize, Deserialize)]
struct Check {
    issuer: String,
    /// Check value of each generation, hexadecimal.
    generations: Vec<(u8, String)>,
}

/// The keys that sign and verify access tokens: the active one first.
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// The key that signs.
    #[must_use]
    pub fn active(&self) -> &SigningKey {
        self.0.first().expect("there is always an active key")
    }

    /// The JWK Set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.0.iter().map(SigningKey::jwk).collect::<Vec<_>>() })
    }

    /// Verifies with whichever key signed.
    pub fn verify<C: DeserializeOwned + Clone>(&self, token: &str) -> Result<C, NotAuthentic> {
        self.0.iter().find_map(|key| key.verify(token).ok()).ok_or(NotAuthentic)
    }
}

/// Where the check of the root key lies: the one document that every store has.
pub(in crate::flows) fn root_check_key() -> DocumentKey {
    DocumentKey { partition: PARTITION.to_owned(), id: "root".to_owned() }
}

/// Reads the root key, or makes it together with an empty store, and checks that the two belong together.
pub async fn unlock(
    store: &dyn Store,
    root: &dyn RootKeyStore,
    entropy: &dyn Entropy,
    issuer: &Issuer,
) -> Result<KeyRing, Locked> {
    let key = root_check_key();
    let check = match store.read(&key).await? {
        Some(stored) => Some(
            serde_json::from_slice::<Check>(&stored.document.body)
                .map_err(|_| StoreError::Corrupt("its root-key check does not parse".to_owned()))?,
        ),
        None => None,
    };
    let mut roots = root.load().await?;
    match check {
        Some(check) => belongs(&check, &roots, root, issuer)?,
        None => {
            // The check is the first thing that is ever written to a store.
            if !store.list(Listing::Prefix(""), None, 1).await?.is_empty() {
                return Err(StoreError::Corrupt("it has lost its root-key check".to_owned()).into());
            }
            if roots.is_empty() {
                let first =
                    RootKey { generation: Generation(1), bytes: SecretBox::new(Box::new(entropy.bytes())) };
                root.create(&first).await?;
                roots.push(first);
            }
            let generations =
                roots.iter().map(|root| (root.generation.0, hex(&root.check_value()))).collect();
            let check = Check { issuer: issuer.to_string(), generations };
            let body = serde_json::to_vec(&check).expect("plain data serialises");
            store.create(plain(key, entropy, body)).await?;
        }
    }
    KeyRing::derive(issuer, &roots).ok_or_else(|| Locked::Missing(root.place()))
}

fn belongs(check: &Check, roots: &[RootKey], root: &dyn RootKeyStore, issuer: &Issuer) -> Result<(), Locked> {
    if roots.is_empty() {
        return Err(Locked::Missing(root.place()));
    }
    let known = |(generation, value): &(u8, String)| {
        roots.iter().any(|root| root.generation.0 == *generation && hex(&root.check_value()) == *value)
    };
    if !check.generations.iter().all(known) || roots.len() != check.generations.len() {
        return Err(Locked::NotTheStores(root.place()));
    }
    if check.issuer != issuer.as_str() {
        return Err(Locked::AnotherIssuer { stored: check.issuer.clone(), configured: issuer.to_string() });
    }
    Ok(())
}

/// Reads the signing keys, and makes the one that is asked for if there is none yet. A key of the other
/// algorithm goes on verifying what it has signed.
pub async fn signing_keys(
    store: &dyn Store,
    keys: &KeyRing,
    entropy: &dyn Entropy,
    alg: SigningAlg,
) -> Result<SigningKeys, Locked> {
    let other = match alg {
        SigningAlg::RS256 => SigningAlg::ES256,
        SigningAlg::ES256 => SigningAlg::RS256,
    };
    let active = match stored_signing_key(store, keys, alg).await? {
        Some(key) => key,
        None => new_signing_key(store, keys, entropy, alg).await?,
    };
    let retired = stored_signing_key(store, keys, other).await?;
    Ok(SigningKeys(std::iter::once(active).chain(retired).collect()))
}

async fn stored_signing_key(
    store: &dyn Store,
    keys: &KeyRing,
    alg: SigningAlg,
) -> Result<Option<SigningKey>, Locked> {
    let key = signing_key(alg);
    let Some(stored) = store.read(&key).await? else { return Ok(None) };
    let sealed: Sealed<SigningKeyRecord> = Sealed::from_bytes(stored.document.body);
    let record = sealed.open_record(keys, &place(&key)).map_err(|_| Locked::SigningKey)?;
    SigningKey::read(&record).map(Some).map_err(|_| Locked::SigningKey)
}

async fn new_signing_key(
    store: &dyn Store,
    keys: &KeyRing,
    entropy: &dyn Entropy,
    alg: SigningAlg,
) -> Result<SigningKey, Locked> {
    let record = SigningKeyRecord::generate(alg).map_err(|_| Locked::SigningKey)?;
    let key = signing_key(alg);
    let body = Sealed::record(keys, &place(&key), entropy.bytes(), &record).into_bytes();
    match store.create(plain(key, entropy, body)).await {
        Ok(_) => SigningKey::read(&record).map_err(|_| Locked::SigningKey),
        // Another replica made one first: that is the key.
        Err(StoreError::Conflict) => stored_signing_key(store, keys, alg).await?.ok_or(Locked::SigningKey),
        Err(error) => Err(error.into()),
    }
}

fn signing_key(alg: SigningAlg) -> DocumentKey {
    DocumentKey { partition: PARTITION.to_owned(), id: format!("signing-{}", alg.as_str()) }
}

fn plain(key: DocumentKey, entropy: &dyn Entropy, body: Vec<u8>) -> Document {
    let write_id = WriteId(entropy.bytes());
    Document { key, schema: SCHEMA, state: State::Plain, generation: 0, write_id, expires_at: None, body }
}

fn place(key: &DocumentKey) -> String {
    format!("{}/{}/{SCHEMA}", key.partition, key.id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
