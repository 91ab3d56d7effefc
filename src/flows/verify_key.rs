//! Verifying an API key at the gateway: is it whole, is it ours, does it live, is it for this resource?

use std::sync::Arc;
use std::time::Duration;

use crate::domain::access_token::UnverifiedClaims;
use crate::domain::api_key::ApiKey;
use crate::domain::api_key::KeyEnd;
use crate::domain::api_key::KeyId;
use crate::domain::api_key::NotAKey;
use crate::domain::api_key::PresentedKey;
use crate::domain::document::Version;
use crate::domain::policy::REVOCATION;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::caller::Basis;
use crate::flows::caller::Caller;
use crate::flows::caller::Credential;
use crate::flows::caller::KeyRefused;
use crate::flows::caller::NotVerified;
use crate::flows::caller::Reason;
use crate::flows::grants::GrantError;
use crate::flows::refusal::RefusedClient;
use crate::flows::remembered::Remembered;
use crate::flows::standing::Holder;
use crate::ports::store::StoreError;

/// A secret that is not in a key as it was last read is looked for again, so often at most.
const AGAIN: Duration = Duration::from_secs(1);

/// A key as it was last read.
pub(in crate::flows) struct FoundKey {
    key: ApiKey,
    holder: Arc<Holder>,
    /// What each of its secrets is good for, in their order.
    credentials: Vec<Arc<Credential>>,
}

impl FoundKey {
    fn credential(&self, presented: &PresentedKey) -> Option<Arc<Credential>> {
        self.credentials.iter().find(|credential| credential.basis() == Basis::Key(*presented)).cloned()
    }
}

/// The keys that this replica knows: one point read for each and interval.
pub(in crate::flows) struct FoundKeys(Remembered<KeyId, Option<Arc<FoundKey>>>);

impl Default for FoundKeys {
    fn default() -> Self {
        // Each with a few credentials.
        Self(Remembered::new(|found| if found.is_some() { 4 * 1024 } else { 0 }))
    }
}

impl AuthServer {
    /// The caller behind an API key for `resource`.
    pub async fn verify_key(&self, text: &str, resource: &Resource) -> Result<Caller, NotVerified> {
        let nobody = |why| NotVerified { reason: Reason::Key(why), whose: None, key: true };
        if !resource.allowed.keys {
            return Err(nobody(KeyRefused::Off));
        }
        let presented = PresentedKey::read(&self.keys(), text).map_err(|why| {
            nobody(match why {
                NotAKey::Mistyped => KeyRefused::Mistyped,
                NotAKey::NotOurs => KeyRefused::NotOurs,
            })
        })?;
        let found = match self.found_key(&presented).await {
            Ok((_, credential)) if credential.claims().aud != resource.identifier => {
                Err(Reason::Key(KeyRefused::AnotherResource))
            }
            found => found.and_then(caller),
        };
        found.map_err(|reason| {
            let subject = Some(presented.id.to_string());
            NotVerified {
                reason,
                whose: Some(RefusedClient { subject, ..RefusedClient::default() }),
                key: true,
            }
        })
    }

    /// The caller behind a key that was verified before, as it is now.
    pub(in crate::flows) async fn caller_of_key(&self, presented: &PresentedKey) -> Result<Caller, Reason> {
        self.found_key(presented).await.and_then(caller)
    }

    /// What a key is good for, as far as is known: no longer than [`REVOCATION`] after the store has said so. Keys live
    /// for months, and no expiry would end one that was revoked while this replica could not hear of it.
    async fn found_key(&self, presented: &PresentedKey) -> Result<(Arc<Holder>, Arc<Credential>), Reason> {
        let (found, read_at) = self.key_with(presented).await.map_err(|_| Reason::StoreAway)?;
        let now = self.now();
        let ended = |end| Reason::Key(KeyRefused::Ended(end));
        let found = found.ok_or(ended(KeyEnd::Unknown))?;
        // An end is one, however long ago it was read.
        found.key.good_until(&presented.secret, now).map_err(ended)?;
        if now < read_at || now.since(read_at) > REVOCATION {
            return Err(Reason::StoreAway);
        }
        let credential = found.credential(presented).ok_or(ended(KeyEnd::Unknown))?;
        Ok((Arc::clone(&found.holder), credential))
    }

    /// The key as it is known, and when it was read; as it is now, where it does not know the secret: we made that,
    /// and another replica may have done so just now.
    async fn key_with(
        &self,
        presented: &PresentedKey,
    ) -> Result<(Option<Arc<FoundKey>>, Timestamp), GrantError> {
        let (id, clock, known) = (presented.id, || self.now(), &self.0.found_keys.0);
        let (found, read_at) = known.get(id, clock, || self.find_key(id)).await?;
        let knows = found.as_ref().is_some_and(|found| found.credential(presented).is_some());
        if knows || self.now() < read_at.plus(AGAIN) {
            return Ok((found, read_at));
        }
        let (found, again_at) = Box::pin(known.get_newer(id, read_at, clock, self.find_key(id))).await?;
        if again_at == read_at { Err(GrantError::Away) } else { Ok((found, again_at)) }
    }

    /// Notes a key that was written here.
    pub(in crate::flows) async fn note_key(&self, key: ApiKey) {
        let id = key.id;
        let is_newer = |held: &Option<Arc<FoundKey>>, noted: &Option<Arc<FoundKey>>| {
            let age = |found: &Option<Arc<FoundKey>>| found.as_ref().map(|found| found.key.age());
            age(held) > age(noted)
        };
        self.0.found_keys.0.note_last(id, self.known_key(key).map(Arc::new), || self.now(), is_newer).await;
    }

    /// A key as it lies in the store.
    pub(in crate::flows) async fn load_key(
        &self,
        id: KeyId,
    ) -> Result<Option<(ApiKey, Version)>, GrantError> {
        let stored = self.store().read(&ApiKey::key(id)).await;
        let Some(stored) = stored.map_err(|error| self.store_failed("read", &error))? else {
            return Ok(None);
        };
        let key = ApiKey::from_document(&self.keys(), stored.document).map_err(|_| {
            let what = "an API key does not open with any known key".to_owned();
            self.store_failed("read", &StoreError::Corrupt(what))
        })?;
        Ok(Some((key, stored.version)))
    }

    async fn find_key(&self, id: KeyId) -> Result<Option<Arc<FoundKey>>, GrantError> {
        let loaded = self.load_key(id).await?;
        Ok(loaded.and_then(|(key, _)| self.known_key(key)).map(Arc::new))
    }

    /// None where its resource is not in the configuration any more.
    fn known_key(&self, key: ApiKey) -> Option<FoundKey> {
        let policy = self.policy();
        let resource = policy.resources.by_identifier(&key.body.resource)?;
        let credential = |secret| {
            let mut claims = UnverifiedClaims::of_key(&key, secret, policy.issuer.as_str());
            // A scope that the resource has lost is nobody's.
            claims.scope = key.body.scopes.intersection(&resource.all_scopes()).to_string();
            let presented = PresentedKey { id: key.id, secret: secret.hash };
            Arc::new(Credential::new(claims, resource, Basis::Key(presented)))
        };
        let credentials = key.body.secrets.iter().map(credential).collect();
        Some(FoundKey { holder: Holder::of_key(&key, policy), credentials, key })
    }
}

fn caller((holder, credential): (Arc<Holder>, Arc<Credential>)) -> Result<Caller, Reason> {
    let holder = holder.met().map_err(Reason::Lacking)?;
    Ok(Caller { credential, holder })
}
