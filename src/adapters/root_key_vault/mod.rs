//! The root key in Azure Key Vault: each generation is a version of one secret.
//!
//! A version's value never changes, so it is the whole generation, as a line of the file is: what can be edited in a
//! version, its tags and content type, decides nothing but whether it is enabled. Key Vault makes a version for
//! whoever asks and knows no condition for it. Two replicas may make two of one number; the store names the one that
//! counts by its check value.

mod refusal;
mod requests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::adapters::root_key_text;
use crate::domain::keys::RootKey;
use crate::ports::root_key::Place;
use crate::ports::root_key::RootKeyError;
use crate::ports::root_key::RootKeyStore;

use requests::Answer;
use requests::Body;
use requests::Requests;

/// Replicas look every half minute. The rest is for a vault that is away meanwhile.
const FOUND: Duration = Duration::from_secs(60 * 60);
/// Some thousand versions. Disabled ones stay for ever, and are listed.
const MAX_PAGES: usize = 64;

/// Which secret, and how to get at it.
#[derive(Clone)]
pub struct Settings {
    /// https, or http on loopback.
    pub vault: Url,
    pub secret: String,
    pub credential: Arc<dyn TokenCredential>,
    /// Whether other replicas read it too.
    pub shared: bool,
    /// How long one request may take, with all that is tried again.
    pub patience: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault, secret, shared, .. } = self;
        write!(f, "Settings({vault}, {secret}, shared: {shared})")
    }
}

/// Nothing can be asked over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there is no HTTP client: the system's root certificates cannot be used")]
pub struct NoClient;

/// A secret whose versions are the generations of the root key.
pub struct RootKeyVault {
    requests: Requests,
    place: Place,
    shared: bool,
    /// The ids of versions that this process has made and the list may not show yet.
    made: Mutex<Vec<String>>,
}

impl fmt::Debug for RootKeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKeyVault({})", self.place)
    }
}

/// An enabled version.
struct Found {
    version: String,
    /// In seconds since 1970, by the vault's clock.
    created: i64,
    key: RootKey,
}

/// A page of the list. It holds no value.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    value: Vec<Listed<'a>>,
    #[serde(rename = "nextLink")]
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Listed<'a> {
    id: &'a str,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    enabled: bool,
    #[serde(default)]
    created: i64,
}

/// A version with its value.
#[derive(Deserialize)]
struct Valued<'a> {
    id: &'a str,
    /// Without an escape, and ours has none, it stays in the body.
    #[serde(borrow)]
    value: Cow<'a, str>,
    attributes: Attributes,
}

impl RootKeyVault {
    /// Asks nothing yet.
    pub fn new(settings: Settings) -> Result<Self, NoClient> {
        let vault = settings.vault.as_str().trim_end_matches('/').to_owned();
        let place = Place::Secret { name: settings.secret.clone(), vault };
        let shared = settings.shared;
        Ok(Self { requests: Requests::new(settings)?, place, shared, made: Mutex::default() })
    }

    /// Every enabled version, the oldest first.
    async fn found(&self) -> Result<Vec<Found>, RootKeyError> {
        let listed = self.listed().await?;
        // What is shown needs not be remembered.
        self.made().retain(|made| !listed.contains_key(made));
        let made = self.made().clone();
        let enabled = listed.into_iter().filter(|(_, enabled)| *enabled).map(|(version, _)| version);
        let mut found = Vec::new();
        for version in enabled {
            // Disabled or deleted since it was listed: then it is dropped.
            found.extend(self.version(&version, false).await?);
        }
        for version in made {
            found.extend(self.version(&version, true).await?);
        }
        found.sort_by_key(|found| (found.created, found.key.generation));
        Ok(found)
    }

    /// The ids of all versions that the list shows, and which are enabled.
    async fn listed(&self) -> Result<BTreeMap<String, bool>, RootKeyError> {
        let mut listed = BTreeMap::new();
        let mut next = Some(self.requests.list());
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { return Ok(listed) };
            let body = match self.requests.get(&url, false).await? {
                Answer::Body(body) => body,
                // Nothing was ever kept here.
                Answer::Absent | Answer::Disabled => return Ok(listed),
            };
            let page: Page<'_> = read(&body)?;
            for Listed { id, attributes } in &page.value {
                listed.insert(version_of(id)?, attributes.enabled);
            }
            next = page.next_link.as_deref().map(|link| self.requests.next(link)).transpose()?;
        }
        Err(self
            .wrong("has more versions than can be read: let `keys.secret` name another, or delete this one"))
    }

    /// A version, unless it is disabled or gone. One that this process has `made` is waited for.
    async fn version(&self, version: &str, made: bool) -> Result<Option<Found>, RootKeyError> {
        let body = match self.requests.get(&self.requests.version(version), made).await? {
            Answer::Body(body) => body,
            Answer::Absent | Answer::Disabled => return Ok(None),
        };
        let Valued { value, attributes, .. } = read(&body)?;
        let value = Zeroizing::new(value.into_owned());
        let key = root_key_text::read(value.trim()).map_err(|what| {
            self.wrong(&format!(
                "{what} in version {version}: disable that version, if it is none of Entrada's"
            ))
        })?;
        Ok(attributes.enabled.then(|| Found {
            version: version.to_owned(),
            created: attributes.created,
            key,
        }))
    }

    /// Makes a version.
    async fn keep(&self, key: &RootKey) -> Result<(), RootKeyError> {
        let body = self.requests.set(&root_key_text::written(key), key.generation).await?;
        let Valued { id, .. } = read(&body)?;
        self.made().push(version_of(id)?);
        Ok(())
    }

    fn made(&self) -> MutexGuard<'_, Vec<String>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, what: &str) -> RootKeyError {
        RootKeyError::Wrong(format!("{} {what}", self.place))
    }
}

#[async_trait]
impl RootKeyStore for RootKeyVault {
    async fn load(&self) -> Result<Vec<RootKey>, RootKeyError> {
        Ok(self.found().await?.into_iter().map(|found| found.key).collect())
    }

    async fn create(&self, key: &RootKey) -> Result<(), RootKeyError> {
        self.keep(key).await?;
        let (place, generation) = (&self.place, key.generation.0);
        tracing::info!(%place, generation, "made a root key");
        Ok(())
    }

    async fn add(&self, key: &RootKey) -> Result<(), RootKeyError> {
        self.keep(key).await
    }

    async fn withdraw(&self, key: &RootKey) -> Result<(), RootKeyError> {
        for found in self.found().await?.iter().filter(|found| is_same(&found.key, key)) {
            self.requests.disable(&found.version).await?;
        }
        Ok(())
    }

    /// What is newer than the kept one stays: a command may have made it meanwhile, and be about to announce it.
    async fn keep_only(&self, key: &RootKey) -> Result<(), RootKeyError> {
        let generation = key.generation.0;
        let found = self.found().await?;
        let kept = found.iter().position(|found| is_same(&found.key, key));
        let kept = kept.ok_or_else(|| self.wrong(&format!("has no generation {generation}")))?;
        let (mut left, mut why) = (0, None);
        for older in &found[..kept] {
            if let Err(error) = self.requests.disable(&older.version).await {
                left += 1;
                why = Some(error);
            }
        }
        let Some(why) = why else { return Ok(()) };
        let text = format!(
            "Generation {generation} is the only root key that counts, but {left} of the versions of {} before it are still \
             enabled: {why}. Nothing is taken that was made with them, but whoever reads the vault can read them: disable \
             them there, or give the command again",
            self.place
        );
        Err(match why {
            RootKeyError::Away(_) => RootKeyError::Away(text),
            RootKeyError::Wrong(_) => RootKeyError::Wrong(text),
        })
    }

    fn delay(&self) -> Duration {
        if self.shared { FOUND } else { Duration::ZERO }
    }

    fn place(&self) -> Place {
        self.place.clone()
    }
}

fn is_same(one: &RootKey, other: &RootKey) -> bool {
    one.generation == other.generation && one.check_value() == other.check_value()
}

fn read<'a, T: Deserialize<'a>>(body: &'a Body) -> Result<T, RootKeyError> {
    serde_json::from_slice(body).map_err(|_| RootKeyError::Wrong(refusal::NO_VAULT.to_owned()))
}

/// The last part of a version's id. Where it is asked for is not for the id to say.
fn version_of(id: &str) -> Result<String, RootKeyError> {
    let version = id.rsplit('/').next().filter(|version| {
        !version.is_empty() && version.len() <= 64 && version.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    version.map(str::to_owned).ok_or_else(|| RootKeyError::Wrong(refusal::NO_VAULT.to_owned()))
}
