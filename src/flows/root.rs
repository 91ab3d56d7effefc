//! The root key of a store: which generations count, and how the first of them is made.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretBox;
use thiserror::Error;

use crate::domain::document::Stored;
use crate::domain::document::WriteId;
use crate::domain::keys::Generation;
use crate::domain::keys::KeyRing;
use crate::domain::keys::RootKey;
use crate::domain::policy::Policy;
use crate::domain::root_check::CheckedGeneration;
use crate::domain::root_check::Mismatch;
use crate::domain::root_check::RootCheck;
use crate::domain::time::Timestamp;
use crate::flows::Ports;
use crate::ports::root_key::Place;
use crate::ports::root_key::RootKeyError;
use crate::ports::store::Listing;
use crate::ports::store::StoreError;

/// Why the program cannot serve on this store with this key. The texts are for the operator.
#[derive(Debug, Error)]
pub enum Locked {
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    #[error("{}", missing(.0))]
    Missing(Place),
    #[error("{}", outdated(.place, *.generation))]
    Outdated { place: Place, generation: u8 },
    #[error("{}", another(.0))]
    NotTheStores(Place),
    #[error(
        "the store was made for public_url {stored}, and public_url is now {configured}. Every client, code and token belongs to its issuer: set public_url back, or use another store."
    )]
    AnotherIssuer { stored: String, configured: String },
    #[error("the signing keys cannot be made or read: the store's copy does not open with the root key")]
    SigningKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Locked {
    /// Whether something does not answer, and nothing else is wrong.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Store(StoreError::Away(_)) | Self::RootKey(RootKeyError::Away(_)))
    }
}

/// A place that all replicas read may be behind what was written to it, but for so long at most.
const BEHIND: Duration = Duration::from_secs(10 * 60);

pub(super) fn missing(place: &Place) -> String {
    match place {
        Place::File(_) => format!(
            "{place} is missing, but the store was made with one. Put it back from your backup: without it nothing in the \
             store can be read. To begin anew, move the store away."
        ),
        Place::Secret { .. } => format!(
            "{place} has no version that is enabled, but the store was made with one. Enable it again, or recover the \
             secret if it was deleted: without it nothing in the store can be read. To begin anew, move the store away."
        ),
    }
}

pub(super) fn outdated(place: &Place, generation: u8) -> String {
    let what = format!(
        "{place} has no generation {generation} of the root key, with which things in the store are made."
    );
    match place {
        Place::File(_) => format!(
            "{what} Put the file of the replica, or of the command, that made it in its place; unless that generation was \
             dropped because it is in other hands, and the store is one from before: then see docs/keys.md."
        ),
        Place::Secret { .. } => format!(
            "{what} Enable its version again. If it is in other hands, give `entrada keys rotate --root --compromised` \
             then; unless that was done, and the store is one from before: then see docs/keys.md."
        ),
    }
}

pub(super) fn another(place: &Place) -> String {
    match place {
        Place::File(_) => format!(
            "{place} is not the root key that the store was made with. Put the right one back from your backup, or move \
             the store away to begin anew."
        ),
        Place::Secret { .. } => format!(
            "{place} is not the root key that the store was made with. Write the vault and the secret that belong to this \
             store into keys.vault and keys.secret, or move the store away to begin anew."
        ),
    }
}

/// Which key another replica has made a moment ago is known, and not the key itself yet.
fn behind(place: &Place, generation: Generation) -> Locked {
    let generation = generation.0;
    Locked::RootKey(RootKeyError::Away(format!(
        "{place} does not show generation {generation} of the root key yet, which was made a moment ago; it is read \
         again until it does"
    )))
}

/// What the store knows of its root key. The check is the first thing that is ever written to a store.
pub(super) async fn check(ports: &Ports, policy: &Policy, now: Timestamp) -> Result<RootCheck, Locked> {
    let check = match read_check(ports).await? {
        Some(check) => check,
        None if ports.store.list(Listing::Prefix(""), None, 1).await?.is_empty() => {
            first_check(ports, policy, now).await?
        }
        // Unless another replica has made it in between.
        None => read_check(ports).await?.ok_or_else(lost)?,
    };
    if check.issuer != policy.issuer.as_str() {
        let (stored, configured) = (check.issuer, policy.issuer.to_string());
        return Err(Locked::AnotherIssuer { stored, configured });
    }
    Ok(check)
}

/// The check as it is stored.
pub(super) async fn read_check(ports: &Ports) -> Result<Option<RootCheck>, StoreError> {
    let Some(Stored { document, .. }) = ports.store.read(&RootCheck::key()).await? else { return Ok(None) };
    let check = RootCheck::from_document(&document);
    check.map(Some).map_err(|_| StoreError::Corrupt("its root-key check does not parse".to_owned()))
}

fn lost() -> StoreError {
    StoreError::Corrupt("it has lost its root-key check".to_owned())
}

/// Makes the check of an empty store, and the first generation where there is none. Others may be doing the same:
/// whoever writes the check decides. A key whose maker has died before that counts for whoever finds it.
async fn first_check(ports: &Ports, policy: &Policy, now: Timestamp) -> Result<RootCheck, Locked> {
    let mut roots = ports.root.load().await?;
    let makes = roots.is_empty();
    if makes {
        let first = new_root(ports, Generation(1));
        ports.root.create(&first).await?;
        roots.push(first);
    }
    let ours = RootCheck::new(&policy.issuer, &roots, now);
    match ports.store.create(ours.to_document(WriteId(ports.entropy.bytes()))).await {
        Ok(_) => Ok(ours),
        Err(StoreError::Conflict) => {
            let theirs = read_check(ports).await?.ok_or_else(lost)?;
            if makes {
                withdraw(ports, &theirs, &roots[0]).await;
            }
            Ok(theirs)
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes a key back that this process has made, unless the check has come to name it: a write that was refused may have
/// been carried out before.
pub(super) async fn withdraw(ports: &Ports, check: &RootCheck, made: &RootKey) {
    if check.names(made) {
        return;
    }
    if let Err(error) = ports.root.withdraw(made).await {
        let place = ports.root.place();
        tracing::warn!(%error, %place, "a root key that counts for nothing could not be taken back");
    }
}

/// Whether a ring issues with the right key, and has all that were ever used.
pub(super) fn issues(ring: &KeyRing, check: &RootCheck, now: Timestamp) -> bool {
    let used = |known: &&CheckedGeneration| known.issues_from <= now;
    check.current(now) == Some(ring.current())
        && check.generations().iter().filter(used).all(|known| ring.knows(known.generation))
}

/// Until then somebody has to give this replica the new file, or the vault to show what is in it.
pub(super) fn warn_of_what_is_missing(ports: &Ports, ring: &KeyRing, check: &RootCheck) {
    for known in check.generations().iter().filter(|known| !ring.knows(known.generation)) {
        tracing::warn!(
            generation = known.generation.0,
            used_from = known.issues_from.0,
            place = %ports.root.place(),
            "a generation of the root key is missing here: from then on this replica serves nothing without it"
        );
    }
}

/// A ring with every key that the check names, and no other, that issues with the right one: out of what is known, if that
/// is enough. So nobody has to be asked when a generation begins to be used, or is dropped.
pub(super) fn kept(ring: &Arc<KeyRing>, check: &RootCheck, now: Timestamp) -> Option<Arc<KeyRing>> {
    let named = || check.generations().iter().map(|known| known.generation);
    let current = check.current(now)?;
    if ring.generations().eq(named()) && ring.current() == current {
        return Some(Arc::clone(ring));
    }
    ring.keeping(named(), current).map(Arc::new)
}

pub(super) async fn ring(
    ports: &Ports,
    policy: &Policy,
    check: &RootCheck,
    now: Timestamp,
) -> Result<KeyRing, Locked> {
    let place = ports.root.place();
    let roots = ports.root.load().await?;
    let counting = match check.judge(&roots, now) {
        Ok(counting) => counting,
        Err(Mismatch::Missing(generation) | Mismatch::Another(generation))
            if place.is_common() && is_young(check, generation, now) =>
        {
            return Err(behind(&place, generation));
        }
        Err(Mismatch::Missing(_)) if roots.is_empty() => return Err(Locked::Missing(place)),
        Err(Mismatch::Missing(Generation(generation))) => return Err(Locked::Outdated { place, generation }),
        Err(Mismatch::Another(_)) => return Err(Locked::NotTheStores(place)),
    };
    let current = check.current(now).ok_or_else(|| Locked::Missing(place.clone()))?;
    KeyRing::derive(&policy.issuer, counting, current).ok_or(Locked::Missing(place))
}

/// Whether a generation is so new that its place may be behind.
fn is_young(check: &RootCheck, generation: Generation, now: Timestamp) -> bool {
    check.issues_from(generation).is_some_and(|from| now.since(from) < BEHIND)
}

/// A new key. It is kept nowhere yet.
pub(super) fn new_root(ports: &Ports, generation: Generation) -> RootKey {
    RootKey { generation, bytes: SecretBox::new(Box::new(ports.entropy.bytes())) }
}
