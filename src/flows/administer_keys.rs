//! What an operator asks for about API keys: to make, list, rotate and revoke them.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::domain::api_key::ApiKey;
use crate::domain::api_key::KeyBody;
use crate::domain::api_key::KeyId;
use crate::domain::api_key::KeyText;
use crate::domain::api_key::LONGEST;
use crate::domain::api_key::MAX_SECRETS;
use crate::domain::api_key::PARTITION_PREFIX;
use crate::domain::api_key::PresentedKey;
use crate::domain::api_key::Secret;
use crate::domain::document::WriteId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::key_use::KeyUse;
use crate::domain::limits::Rate;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::administer::PAGE;
use crate::flows::administer::StoreAway;
use crate::flows::grants::GrantError;
use crate::ports::store::Listing;
use crate::ports::store::StoreError;
use crate::protocol::scope::Scopes;

/// How often a change is tried when somebody else keeps coming first.
const ATTEMPTS: usize = 8;

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    pub name: String,
    pub owner: String,
    /// The path of a resource, or its identifier.
    pub resource: String,
    pub scopes: Scopes,
    pub expires_in: Duration,
    pub rate: Option<Rate>,
}

/// A key, or a new secret of one.
#[derive(Debug, Serialize, Deserialize)]
pub struct MadeKey {
    pub id: String,
    pub resource: String,
    pub expires_at: Timestamp,
    /// What its holder presents. It is nowhere else.
    pub text: KeyText,
    /// How the resource's policy calls what keeps the key out.
    pub lacking: Option<String>,
}

/// A new secret for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotation {
    /// The name of the key, or `key:…`.
    pub key: String,
    /// How long the secrets that it has go on.
    pub overlap: Duration,
    /// As long as the last one, where it is not said.
    pub expires_in: Option<Duration>,
}

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    /// `key:…`.
    pub id: String,
    pub name: String,
    pub owner: String,
    pub resource: String,
    pub scopes: Scopes,
    /// `active`, `rotating` while an older secret is good too, `expired` or `revoked`.
    pub state: String,
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub today: u64,
    /// On thirty days, today among them.
    pub lately: u64,
    /// Whether its resource takes keys.
    pub taken: bool,
}

/// Every key that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeys {
    pub keys: Vec<KeyLine>,
    /// How many more there are that no root key of this server opens.
    pub unreadable: usize,
}

/// Why there is no new key, or none has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoKey {
    /// Those that there are, by their paths.
    NoSuchResource(Vec<String>),
    /// The resource takes none.
    Off(String),
    /// Those that the resource has, and none of the others.
    NoSuchScope(Scopes),
    /// A living key is called so.
    NameTaken(String),
    NoSuchKey,
    /// Several living keys are called so.
    Ambiguous(Vec<String>),
    /// It is revoked, or has expired.
    Ended,
    /// It has as many secrets as it may.
    TooManySecrets,
    /// Longer than a year, or no time at all.
    BadExpiry,
    StoreAway,
}

impl From<StoreAway> for NoKey {
    fn from(StoreAway: StoreAway) -> Self {
        Self::StoreAway
    }
}

impl From<GrantError> for NoKey {
    fn from(_: GrantError) -> Self {
        Self::StoreAway
    }
}

/// A key and what is known of its use.
struct Listed {
    key: ApiKey,
    used: KeyUse,
}

impl AuthServer {
    /// Makes a key.
    pub async fn make_key(&self, new: NewKey) -> Result<MadeKey, NoKey> {
        let NewKey { name, owner, resource, scopes, expires_in, rate } = new;
        let resource = self.resource_for_keys(&resource)?;
        let known = scopes.intersection(&resource.all_scopes());
        if known != scopes || scopes.is_empty() {
            return Err(NoKey::NoSuchScope(resource.all_scopes()));
        }
        let now = self.now();
        let until = until(now, expires_in)?;
        let (listed, _) = self.list_stored_keys().await?;
        if let Some(taken) = listed.iter().find(|l| l.key.body.name == name && l.key.is_alive(now)) {
            return Err(NoKey::NameTaken(taken.key.id.to_string()));
        }
        let id = KeyId(self.random());
        let (presented, text) = PresentedKey::issue(&self.keys(), id, self.random());
        let secrets = vec![Secret { hash: presented.secret, made_at: now, until }];
        let body = KeyBody {
            name,
            owner,
            resource: resource.identifier.clone(),
            scopes,
            rate,
            created_at: now,
            secrets,
        };
        let key = ApiKey { id, revoked: false, body };
        let document = key.to_document(&self.keys(), WriteId(self.random()), self.random());
        self.store().create(document).await.map_err(|error| self.store_failed("create", &error))?;
        Ok(self.made("key.new", key, text, resource).await)
    }

    /// Lists all keys, with their use as far as it was written, and as far as this process has counted it.
    pub async fn list_api_keys(&self) -> Result<ApiKeys, StoreAway> {
        self.write_key_uses().await;
        let (mut listed, unreadable) = self.list_stored_keys().await?;
        listed.sort_by(|a, b| a.key.body.name.cmp(&b.key.body.name));
        let now = self.now();
        let n = u32::try_from(listed.len()).ok();
        let operation = Some("key.list");
        self.record(EventName::AdministrationUsed, Event { operation, n, ..Event::default() });
        Ok(ApiKeys { keys: listed.into_iter().map(|listed| self.line(listed, now)).collect(), unreadable })
    }

    /// Gives a key a new secret, beside which the old ones go on for a while.
    pub async fn rotate_key(&self, rotation: KeyRotation) -> Result<MadeKey, NoKey> {
        let id = self.key_named(&rotation.key).await?;
        let (presented, text) = PresentedKey::issue(&self.keys(), id, self.random());
        let now = self.now();
        let key = self
            .change_key(id, |key| {
                self.resource_for_keys(&key.body.resource)?;
                if !key.is_alive(now) {
                    return Err(NoKey::Ended);
                }
                let newest = key.body.secrets.last().ok_or(NoKey::Ended)?;
                let lived = newest.until.since(newest.made_at);
                let until = until(now, rotation.expires_in.unwrap_or(lived))?;
                if !rotation.overlap.is_zero() && key.living_secrets(now) >= MAX_SECRETS {
                    return Err(NoKey::TooManySecrets);
                }
                Ok(key.rotated(presented.secret, until, rotation.overlap, now))
            })
            .await?;
        let resource = self.resource_for_keys(&key.body.resource)?;
        // What is known of its use lies there as long as the key.
        let _ = self.change_key_use(id, |used, _| Some(used)).await;
        Ok(self.made("key.rotate", key, text, resource).await)
    }

    /// Ends a key: here at once, on other replicas within 30 seconds.
    pub async fn revoke_key(&self, named: &str) -> Result<KeyLine, NoKey> {
        let id = self.key_named(named).await?;
        // Once more is no mistake: the answer to the first may have been lost.
        let key = self.change_key(id, |key| Ok(key.revoked())).await?;
        self.record_key("key.revoke", &key);
        self.note_key(key.clone()).await;
        Ok(self.line(Listed { key, used: KeyUse::default() }, self.now()))
    }

    /// The keys that near their end and have no successor yet.
    pub(in crate::flows) async fn keys_that_end_soon(&self) -> Result<Vec<ApiKey>, StoreAway> {
        let now = self.now();
        let (listed, _) = self.list_stored_keys().await?;
        let is_taken = |key: &ApiKey| self.resource_for_keys(&key.body.resource).is_ok();
        let keys = listed.into_iter().map(|listed| listed.key);
        Ok(keys.filter(|key| key.ends_soon(now) && is_taken(key)).collect())
    }

    async fn change_key(
        &self,
        id: KeyId,
        change: impl Fn(ApiKey) -> Result<ApiKey, NoKey>,
    ) -> Result<ApiKey, NoKey> {
        for _ in 0..ATTEMPTS {
            let (key, version) = self.load_key(id).await?.ok_or(NoKey::NoSuchKey)?;
            let changed = change(key)?;
            let document = changed.to_document(&self.keys(), WriteId(self.random()), self.random());
            match self.store().replace(document, &version).await {
                Ok(_) => return Ok(changed),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(self.store_failed("replace", &error).into()),
            }
        }
        Err(NoKey::StoreAway)
    }

    /// The one that an operator means: `key:…`, or the name of a living one, or the only one that ever had it.
    async fn key_named(&self, named: &str) -> Result<KeyId, NoKey> {
        if let Some(id) = KeyId::parse(named) {
            return Ok(id);
        }
        let now = self.now();
        let (listed, _) = self.list_stored_keys().await?;
        let called: Vec<_> = listed.into_iter().map(|l| l.key).filter(|key| key.body.name == named).collect();
        let living: Vec<_> = called.iter().filter(|key| key.is_alive(now)).collect();
        match (&living[..], called.is_empty()) {
            ([one], _) => Ok(one.id),
            ([], true) => Err(NoKey::NoSuchKey),
            ([], false) if called.len() == 1 => Ok(called[0].id),
            ([], false) => Err(NoKey::Ended),
            (several, _) => Err(NoKey::Ambiguous(several.iter().map(|key| key.id.to_string()).collect())),
        }
    }

    fn resource_for_keys(&self, named: &str) -> Result<&Resource, NoKey> {
        let resources = &self.policy().resources;
        let found = resources.by_path(named).or_else(|| resources.named(named));
        let paths = || resources.iter().map(|resource| resource.path.clone()).collect();
        let resource = found.ok_or_else(|| NoKey::NoSuchResource(paths()))?;
        if resource.allowed.keys { Ok(resource) } else { Err(NoKey::Off(resource.path.clone())) }
    }

    async fn made(
        &self,
        operation: &'static str,
        key: ApiKey,
        text: KeyText,
        resource: &Resource,
    ) -> MadeKey {
        self.record_key(operation, &key);
        let made = MadeKey {
            id: key.id.to_string(),
            resource: resource.path.clone(),
            expires_at: key.ends(),
            text,
            lacking: resource.allowed.lacking_of_key(key.id).map(|lacking| lacking.list().to_owned()),
        };
        self.note_key(key).await;
        made
    }

    async fn list_stored_keys(&self) -> Result<(Vec<Listed>, usize), StoreAway> {
        let (keys, mut found, mut unreadable) = (self.keys(), Vec::<Listed>::new(), 0);
        let mut after = None;
        loop {
            let listing = Listing::Prefix(PARTITION_PREFIX);
            let stored = self.store().list(listing, after.as_ref(), PAGE).await.map_err(|_| StoreAway)?;
            let whole = stored.len() == PAGE;
            after = stored.last().map(|stored| stored.document.key.clone());
            for document in stored.into_iter().map(|stored| stored.document) {
                let place = document.key.clone();
                // Within a partition, what is known of its use follows the key.
                let is_use = |listed: &&mut Listed| place == KeyUse::key(listed.key.id);
                match found.last_mut().filter(is_use) {
                    Some(listed) => listed.used = KeyUse::from_document(&keys, document).unwrap_or_default(),
                    None if place.id == KeyUse::ID => {}
                    None => match ApiKey::from_document(&keys, document) {
                        Ok(key) => found.push(Listed { key, used: KeyUse::default() }),
                        Err(_) => unreadable += 1,
                    },
                }
            }
            if !whole {
                return Ok((found, unreadable));
            }
        }
    }

    fn line(&self, Listed { key, used }: Listed, now: Timestamp) -> KeyLine {
        let resource = self.policy().resources.by_identifier(&key.body.resource);
        let state = match (key.revoked, key.living_secrets(now)) {
            (true, _) => "revoked",
            (false, 0) => "expired",
            (false, 1) => "active",
            (false, _) => "rotating",
        };
        KeyLine {
            id: key.id.to_string(),
            state: state.to_owned(),
            expires_at: key.ends(),
            last_used_at: used.last_used_at(),
            today: used.today(now),
            lately: used.lately(now),
            taken: resource.is_some_and(|resource| resource.allowed.keys),
            resource: resource.map_or(key.body.resource, |resource| resource.path.clone()),
            name: key.body.name,
            owner: key.body.owner,
            scopes: key.body.scopes,
        }
    }

    fn record_key(&self, operation: &'static str, key: &ApiKey) {
        let event = Event {
            operation: Some(operation),
            subject: Some(key.id.to_string()),
            name: Some(key.body.name.clone()),
            resource: Some(key.body.resource.clone()),
            scope: Some(key.body.scopes.to_string()),
            ..Event::default()
        };
        self.record(EventName::AdministrationUsed, event);
    }
}

fn until(now: Timestamp, expires_in: Duration) -> Result<Timestamp, NoKey> {
    match expires_in.as_secs() > 0 && expires_in <= LONGEST {
        true => Ok(now.plus(expires_in)),
        false => Err(NoKey::BadExpiry),
    }
}
