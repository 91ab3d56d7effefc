//! Replacing keys by an operator's hand: in good time, or at once because somebody else may have them.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::block::Blocks;
use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Stored;
use crate::domain::document::WriteId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::keys::Generation;
use crate::domain::keys::KeyRing;
use crate::domain::keys::RootKey;
use crate::domain::root_check::CheckedGeneration;
use crate::domain::root_check::RootCheck;
use crate::domain::signing_keys::KeySummary;
use crate::domain::signing_keys::StoredSigningKeys;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::administer::Selection;
use crate::flows::administer::StoreAway;
use crate::flows::clients::client_key;
use crate::flows::keys::ATTEMPTS;
use crate::flows::keys::Current;
use crate::flows::keys::new_signing_key;
use crate::flows::keys::write_signing_keys;
use crate::flows::root::Locked;
use crate::flows::root::new_root;
use crate::flows::root::read_check;
use crate::flows::root::withdraw;
use crate::ports::root_key::Place;
use crate::ports::root_key::RootKeyError;
use crate::ports::store::StoreError;

/// Which keys are replaced, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// A new signing key is published, and signs when every verifier knows it.
    Signing,
    /// A new signing key takes the place of all others at once: what they signed is refused.
    SigningCompromised,
    /// A new generation of the root key; the old ones go on verifying.
    Root,
    /// A new generation of the root key takes the place of all others at once: everything that was made with them
    /// ends.
    RootCompromised,
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotated {
    /// This signing key is published; it signs from then on.
    Published { kid: String, signs_from: Timestamp },
    /// There is this signing key alone.
    Replaced { kid: String },
    /// There is another generation of the root key, which is used from then on, or, without a time, already. `place` says
    /// where it lies.
    RootAdded { generation: u8, issues_from: Option<Timestamp>, place: Place },
    /// There is this generation of the root key alone; so many grants ended.
    RootReplaced { generation: u8, ended: usize, place: Place },
}

/// Why a rotation was not carried out. The texts are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotRotated {
    /// The next signing key is published already.
    HasSuccessor {
        kid: String,
        signs_from: Timestamp,
    },
    /// A generation of the root key waits to be used, or is missing here.
    RootPending {
        generation: u8,
        issues_from: Timestamp,
        missing: bool,
        place: Place,
    },
    /// Generations are numbered up to 255.
    NoMoreGenerations,
    /// Somebody else changed the keys at the same time.
    AnotherFirst,
    StoreAway,
    /// The keys cannot be read or kept.
    Locked(String),
    /// The place of the root key does not answer.
    RootAway(String),
    /// The store cannot be used as it is.
    Unreadable(String),
}

/// A generation of the root key, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootSummary {
    pub generation: u8,
    pub issues_from: Timestamp,
    pub stage: RootStage,
}

/// What becomes of a generation of the root key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootStage {
    /// It will be used.
    Pending,
    /// New things are made with it.
    Current,
    /// What was made with it goes on.
    Verifies,
}

/// Every key there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysFound {
    pub signing: Vec<KeySummary>,
    pub root: Vec<RootSummary>,
    /// Where the root key lies.
    pub place: Place,
}

impl AuthServer {
    /// Lists the keys, as the store has them.
    pub async fn list_keys(&self) -> Result<KeysFound, NotRotated> {
        self.keep_keys().await?;
        let now = self.now();
        let Current { check, signing, ring, .. } = Current::clone(&self.0.keys.get());
        let summary = |known: &CheckedGeneration| RootSummary {
            generation: known.generation.0,
            issues_from: known.issues_from,
            stage: match known.generation == ring.current() {
                true => RootStage::Current,
                false if known.issues_from > now => RootStage::Pending,
                false => RootStage::Verifies,
            },
        };
        let root = check.generations().iter().map(summary).collect();
        self.record_administration("keys.list");
        Ok(KeysFound { signing: signing.summaries(now), root, place: self.0.ports.root.place() })
    }

    /// Replaces keys.
    pub async fn rotate_keys(&self, rotation: Rotation) -> Result<Rotated, NotRotated> {
        // On what the store has now, not on what was read half a minute ago.
        self.keep_keys().await?;
        self.record_administration("keys.rotate");
        let _turn = self.0.keys.turn.lock().await;
        match rotation {
            Rotation::Signing => self.publish_signing_key().await,
            Rotation::SigningCompromised => self.replace_signing_keys().await,
            Rotation::Root => self.add_root_key().await,
            Rotation::RootCompromised => self.replace_root_key().await,
        }
    }

    async fn publish_signing_key(&self) -> Result<Rotated, NotRotated> {
        let now = self.now();
        let known = self.0.keys.get();
        if known.stored.has_successor(now) {
            let KeySummary { kid, signs_from, .. } = self.newest();
            return Err(NotRotated::HasSuccessor { kid, signs_from });
        }
        let next = known.stored.with_successor(new_signing_key(self.policy().signing_alg).await?, now);
        self.write_signing(&known.ring, next, "signing").await?;
        let KeySummary { kid, signs_from, .. } = self.newest();
        Ok(Rotated::Published { kid, signs_from })
    }

    async fn replace_signing_keys(&self) -> Result<Rotated, NotRotated> {
        let only = self.only_signing_key().await?;
        self.write_signing(&self.keys(), only, "signing_compromised").await?;
        Ok(Rotated::Replaced { kid: self.newest().kid })
    }

    async fn only_signing_key(&self) -> Result<StoredSigningKeys, NotRotated> {
        let key = new_signing_key(self.policy().signing_alg).await?;
        Ok(StoredSigningKeys::only(key, self.policy().longest_token(), self.now()))
    }

    async fn add_root_key(&self) -> Result<Rotated, NotRotated> {
        let Current { check, ring, .. } = Current::clone(&self.0.keys.get());
        let now = self.now();
        let waits = |known: &&CheckedGeneration| known.issues_from > now || !ring.knows(known.generation);
        if let Some(known) = check.generations().iter().find(waits) {
            // With two that wait, there could be two files, of which neither is enough.
            let (generation, issues_from) = (known.generation.0, known.issues_from);
            let missing = !ring.knows(known.generation);
            let place = self.0.ports.root.place();
            return Err(NotRotated::RootPending { generation, issues_from, missing, place });
        }
        let root = self.new_generation().await?;
        let generation = root.generation.0;
        let delay = self.0.ports.root.delay();
        self.announce(&root, &check, now.plus(delay)).await?;
        self.record_rotation("root", Some(generation));
        self.read_keys_again().await?;
        let issues_from = (!delay.is_zero()).then(|| now.plus(delay));
        Ok(Rotated::RootAdded { generation, issues_from, place: self.0.ports.root.place() })
    }

    /// First the new generation is announced, so that what is written with it can be read; then whatever has to
    /// outlive the old ones is sealed anew, the signing keys last, which are new ones; then the old generations end; and
    /// what is left of them is only cleaned up. Whoever is interrupted begins again, wherever that was.
    async fn replace_root_key(&self) -> Result<Rotated, NotRotated> {
        let Current { check, .. } = Current::clone(&self.0.keys.get());
        let root = self.new_generation().await?;
        let generation = root.generation.0;
        let now = self.now();
        let announced = self.announce(&root, &check, now).await?;
        self.read_keys_again().await?;
        let both = self.keys();
        if both.current() != root.generation {
            return Err(NotRotated::AnotherFirst);
        }
        self.seal_again(&both).await?;
        let only = self.only_signing_key().await?;
        self.write_signing(&both, only, "signing_compromised").await?;
        self.change_check(&announced, |check| check.with_only(&root, now)).await?;
        self.record_rotation("root_compromised", Some(generation));
        // A command that began before may have written them with an old generation since.
        self.seal_blocks_again(&both).await?;
        let ended = self.revoke_grants(&Selection::All).await?.grants.len();
        self.0.ports.root.keep_only(&root).await.map_err(Locked::from)?;
        self.read_keys_again().await?;
        Ok(Rotated::RootReplaced { generation, ended, place: self.0.ports.root.place() })
    }

    /// Makes the next generation of the root key, and keeps it.
    async fn new_generation(&self) -> Result<RootKey, NotRotated> {
        let Current { check, .. } = Current::clone(&self.0.keys.get());
        let kept = self.0.ports.root.load().await.map_err(Locked::from)?;
        let known = check.generations().iter().map(|known| known.generation.0);
        let used: Vec<u8> = known.chain(kept.iter().map(|root| root.generation.0)).collect();
        let newest = used.iter().max().copied().unwrap_or_default();
        // Numbers are names: where they end, one that nobody has any more will do.
        let next = newest.checked_add(1).or_else(|| (1..=u8::MAX).find(|number| !used.contains(number)));
        let root = new_root(&self.0.ports, Generation(next.ok_or(NotRotated::NoMoreGenerations)?));
        self.0.ports.root.add(&root).await.map_err(Locked::from)?;
        Ok(root)
    }

    /// Has the check name a new key. Where another change came first, the key is taken back.
    async fn announce(
        &self,
        root: &RootKey,
        read: &RootCheck,
        issues_from: Timestamp,
    ) -> Result<RootCheck, NotRotated> {
        let announced = self.change_check(read, |check| check.with(root, issues_from)).await;
        if announced == Err(NotRotated::AnotherFirst)
            && let Ok(Some(theirs)) = read_check(&self.0.ports).await
        {
            withdraw(&self.0.ports, &theirs, root).await;
        }
        announced
    }

    /// Changes the check, if it is still the one that was read: two commands must not each add a generation of the same
    /// number.
    async fn change_check(
        &self,
        read: &RootCheck,
        change: impl Fn(RootCheck) -> RootCheck,
    ) -> Result<RootCheck, NotRotated> {
        let key = RootCheck::key();
        let Stored { document, version } = self.store().read(&key).await?.ok_or(NotRotated::AnotherFirst)?;
        if RootCheck::from_document(&document).as_ref() != Ok(read) {
            return Err(NotRotated::AnotherFirst);
        }
        let changed = change(read.clone());
        match self.store().replace(changed.to_document(WriteId(self.random())), &version).await {
            Ok(_) => Ok(changed),
            Err(StoreError::Conflict) => Err(NotRotated::AnotherFirst),
            Err(error) => Err(error.into()),
        }
    }

    /// Blocks and clients outlive the generation that they were sealed by.
    async fn seal_again(&self, keys: &KeyRing) -> Result<(), NotRotated> {
        self.seal_blocks_again(keys).await?;
        let clients = self.list_clients().await?.clients;
        for client in clients.iter().filter(|client| client.first_used_at.is_some()) {
            let sealed_again = |stored: &Document| {
                let record = self.client_record(stored.clone())?;
                Some(self.client_document(stored.key.clone(), &record))
            };
            self.rewrite(&client_key(&client.client), sealed_again).await?;
        }
        Ok(())
    }

    async fn seal_blocks_again(&self, keys: &KeyRing) -> Result<(), NotRotated> {
        let what = || StoreError::Corrupt("the blocks do not open with any known key".to_owned());
        if let Some(Stored { document, .. }) = self.store().read(&Blocks::key()).await? {
            // Nobody would get in any more.
            Blocks::from_document(keys, document).map_err(|_| what())?;
        }
        let sealed_again = |stored: &Document| {
            let blocks = Blocks::from_document(keys, stored.clone()).ok()?;
            Some(blocks.to_document(keys, WriteId(self.random()), self.random()))
        };
        self.rewrite(&Blocks::key(), sealed_again).await
    }

    /// Replaces a document by what `change` makes of it, however often another comes first. What is absent, or
    /// cannot be read, is left as it is.
    async fn rewrite(
        &self,
        key: &DocumentKey,
        change: impl Fn(&Document) -> Option<Document>,
    ) -> Result<(), NotRotated> {
        for _ in 0..ATTEMPTS {
            let Some(Stored { document, version }) = self.store().read(key).await? else { return Ok(()) };
            let Some(changed) = change(&document) else { return Ok(()) };
            match self.store().replace(changed, &version).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(NotRotated::StoreAway)
    }

    /// Writes signing keys in the place of those that are known, and goes on with them.
    async fn write_signing(
        &self,
        ring: &KeyRing,
        keys: StoredSigningKeys,
        operation: &'static str,
    ) -> Result<(), NotRotated> {
        let known = self.0.keys.get();
        let written = write_signing_keys(&self.0.ports, ring, keys, Some(known.version.clone())).await?;
        // Another replica rotated a moment ago: whoever asked looks at what it did, and asks again.
        let (signing, stored, version) = written.ok_or(NotRotated::AnotherFirst)?;
        self.0.keys.set(Current { signing, stored, version, ..Current::clone(&known) });
        self.record_rotation(operation, None);
        Ok(())
    }

    fn newest(&self) -> KeySummary {
        let mut summaries = self.signing_keys().summaries(self.now());
        summaries.pop().expect("there is always a key")
    }

    fn record_rotation(&self, operation: &'static str, generation: Option<u8>) {
        let n = generation.map(u32::from);
        self.record(EventName::KeysRotated, Event { operation: Some(operation), n, ..Event::default() });
    }

    fn record_administration(&self, operation: &'static str) {
        self.record(EventName::AdministrationUsed, Event { operation: Some(operation), ..Event::default() });
    }
}

impl From<Locked> for NotRotated {
    fn from(error: Locked) -> Self {
        match error {
            Locked::Store(error) => error.into(),
            Locked::RootKey(RootKeyError::Away(text)) => Self::RootAway(text),
            other => Self::Locked(other.to_string()),
        }
    }
}

impl From<StoreError> for NotRotated {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unsuitable(_) | StoreError::Corrupt(_) => Self::Unreadable(error.to_string()),
            StoreError::Conflict | StoreError::Away(_) => Self::StoreAway,
        }
    }
}

impl From<StoreAway> for NotRotated {
    fn from(_: StoreAway) -> Self {
        Self::StoreAway
    }
}
