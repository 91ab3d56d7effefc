//! Keys: what has to hold before anything is served, and what this replica does to know, and to rotate, them while it
//! serves.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::domain::document::Document;
use crate::domain::document::Stored;
use crate::domain::document::Version;
use crate::domain::document::WriteId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::keys::KeyRing;
use crate::domain::policy::Policy;
use crate::domain::policy::REVOCATION;
use crate::domain::root_check::RootCheck;
use crate::domain::signing::BadKey;
use crate::domain::signing::SigningAlg;
use crate::domain::signing::SigningKeyRecord;
use crate::domain::signing_keys::SigningKeys;
use crate::domain::signing_keys::StoredSigningKeys;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::Ports;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::flows::root;
use crate::flows::root::Locked;

use crate::ports::store::StoreError;
use crate::protocol::error::ErrorCode;

/// How often keys are read anew: as often as revocations are heard of.
pub const KEEP_EVERY: Duration = REVOCATION;

/// How often a document of keys is written again when other replicas keep changing it.
pub(in crate::flows) const ATTEMPTS: usize = 8;

/// Nothing is served, since the keys are not known, or not all of them: the store was not reached yet, or this replica
/// has no copy of a new root key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpen;

impl Refusal for NotOpen {
    fn row(self) -> Row {
        row(
            "not_open",
            ErrorCode::TemporarilyUnavailable,
            "The server has not reached its store yet, or has no copy of a new key. Try again in a minute.",
        )
    }
}

/// The keys, as this replica knows them.
#[derive(Default)]
pub(in crate::flows) struct KnownKeys {
    current: RwLock<Option<Arc<Current>>>,
    open: AtomicBool,
    /// Who reads them anew, or rotates them.
    pub(in crate::flows) turn: Mutex<()>,
}

/// What was last read, parsed.
#[derive(Clone)]
pub(in crate::flows) struct Current {
    pub ring: Arc<KeyRing>,
    pub check: Arc<RootCheck>,
    pub signing: Arc<SigningKeys>,
    pub stored: Arc<StoredSigningKeys>,
    /// Of the signing keys' document.
    pub version: Version,
}

impl KnownKeys {
    /// What was last read.
    pub(in crate::flows) fn get(&self) -> Arc<Current> {
        self.known().expect("nothing is asked of a server that is not open")
    }

    pub(in crate::flows) fn set(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(current));
    }

    fn known(&self) -> Option<Arc<Current>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AuthServer {
    /// A server that is open: [`AuthServer::new`], then [`AuthServer::keep_keys`].
    pub async fn open(ports: Ports, policy: Policy) -> Result<Self, Locked> {
        let server = Self::new(ports, policy);
        server.keep_keys().await?;
        Ok(server)
    }

    /// Whether the keys are known: before, it serves what needs none, and nothing else.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.keys.open.load(Ordering::Acquire)
            && self.0.keys.known().is_some_and(|known| {
                // What others make with a generation that is missing here would be garbage.
                known.check.current(self.now()).is_some_and(|current| known.ring.knows(current))
            })
    }

    /// Opens the store with the root key, which is made together with an empty store: the two have to belong together,
    /// and there has to be a key to sign with. Later it learns of keys that other replicas or commands have made or
    /// dropped, and makes a new one when it is time for it.
    ///
    /// To be called every [`KEEP_EVERY`]: for so long another replica's key may be unknown here. A server whose store is
    /// away goes on with what it knows.
    pub async fn keep_keys(&self) -> Result<(), Locked> {
        let _turn = self.0.keys.turn.lock().await;
        let kept = self.read_keys_again().await;
        match &kept {
            Ok(()) => self.0.keys.open.store(true, Ordering::Release),
            Err(Locked::Store(StoreError::Away(_))) => {}
            Err(_) => self.0.keys.open.store(false, Ordering::Release),
        }
        kept
    }

    /// Whoever calls it has the turn.
    pub(in crate::flows) async fn read_keys_again(&self) -> Result<(), Locked> {
        let known = &self.0.keys;
        known.set(read(&self.0.ports, self.policy(), known.known().as_deref()).await?);
        Ok(())
    }
}

async fn read(ports: &Ports, policy: &Policy, known: Option<&Current>) -> Result<Current, Locked> {
    let now = ports.clock.now();
    let check = root::check(ports, policy, now).await?;
    let ring = match known.and_then(|known| root::kept(&known.ring, &check, now)) {
        Some(ring) => ring,
        None => match (root::ring(ports, policy, &check, now).await, known) {
            (Ok(ring), _) => Arc::new(ring),
            // A place that cannot be read now, or is being exchanged, is needed when a generation in it is.
            (Err(error), Some(known)) if root::issues(&known.ring, &check, now) => {
                tracing::warn!(%error, "the root key cannot be read again; the generations that are known go on");
                Arc::clone(&known.ring)
            }
            (Err(error), _) => return Err(error),
        },
    };
    root::warn_of_what_is_missing(ports, &ring, &check);
    let signed =
        |known: &Current| (Arc::clone(&known.signing), Arc::clone(&known.stored), known.version.clone());
    let known = known.map(signed);
    let (signing, stored, version) = signing_keys(ports, policy, &ring, known, now).await?;
    Ok(Current { ring, check: Arc::new(check), signing, stored, version })
}

type Signing = (Arc<SigningKeys>, Arc<StoredSigningKeys>, Version);

/// Reads the signing keys, if they are others than are known, and writes what is due.
async fn signing_keys(
    ports: &Ports,
    policy: &Policy,
    ring: &KeyRing,
    mut known: Option<Signing>,
    now: Timestamp,
) -> Result<Signing, Locked> {
    for _ in 0..ATTEMPTS {
        let found = ports.store.read(&StoredSigningKeys::key()).await?;
        let (keys, expected, rotates) = match found {
            None => {
                let first = new_signing_key(policy.signing_alg).await?;
                (StoredSigningKeys::only(first, policy.longest_token(), now), None, false)
            }
            Some(Stored { document, version }) => {
                let current = match known.take().filter(|(_, _, known)| *known == version) {
                    Some(known) => known,
                    None => parsed(ring, document, version)?,
                };
                match due(policy, &current.1, now).await? {
                    None => return Ok(current),
                    Some((changed, rotates)) => (changed, Some(current.2), rotates),
                }
            }
        };
        if let Some(written) = write_signing_keys(ports, ring, keys, expected).await? {
            if rotates {
                let event = Event { operation: Some("signing"), ..Event::default() };
                ports.audit.record(EventName::KeysRotated, event);
            }
            return Ok(written);
        }
    }
    Err(StoreError::Away("other replicas keep changing the signing keys".to_owned()).into())
}

/// What has to be written of the signing keys now, and whether there is a new one.
async fn due(
    policy: &Policy,
    stored: &StoredSigningKeys,
    now: Timestamp,
) -> Result<Option<(StoredSigningKeys, bool)>, Locked> {
    if stored.is_due(policy.signing_alg, now) {
        let next = stored.with_successor(new_signing_key(policy.signing_alg).await?, now);
        return Ok(Some((next, true)));
    }
    Ok(stored.for_tokens_of(policy.longest_token()).map(|kept| (kept, false)))
}

fn parsed(ring: &KeyRing, document: Document, version: Version) -> Result<Signing, Locked> {
    let stored = StoredSigningKeys::from_document(ring, document).map_err(|_| Locked::SigningKey)?;
    let signing = SigningKeys::read(&stored).map_err(|BadKey| Locked::SigningKey)?;
    Ok((Arc::new(signing), Arc::new(stored), version))
}

/// Writes signing keys in the place of `expected`; `None` when another replica was first.
pub(in crate::flows) async fn write_signing_keys(
    ports: &Ports,
    ring: &KeyRing,
    keys: StoredSigningKeys,
    expected: Option<Version>,
) -> Result<Option<Signing>, Locked> {
    let document = keys.to_document(ring, WriteId(ports.entropy.bytes()), ports.entropy.bytes());
    let written = match expected {
        Some(version) => ports.store.replace(document, &version).await,
        None => ports.store.create(document).await,
    };
    let signing = SigningKeys::read(&keys).map_err(|BadKey| Locked::SigningKey)?;
    match written {
        Ok(version) => Ok(Some((Arc::new(signing), Arc::new(keys), version))),
        Err(StoreError::Conflict) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Apart from the threads that answer: RSA takes a tenth of a second or more.
pub(in crate::flows) async fn new_signing_key(alg: SigningAlg) -> Result<SigningKeyRecord, Locked> {
    let made = tokio::task::spawn_blocking(move || SigningKeyRecord::generate(alg)).await;
    made.ok().and_then(Result::ok).ok_or(Locked::SigningKey)
}
