//! Who signed in, and the key under which they are remembered.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::time::Timestamp;

/// The identifier of a person that never changes and is never given to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Entra ID: the tenant and the object. Entra's own `sub` differs from app to app, and names and
    /// addresses change hands.
    Entra { tid: String, oid: String },
    /// Any other OpenID provider: its `sub` (OpenID Connect Core 1.0 §2).
    Oidc { sub: String },
}

impl Subject {
    /// The `sub` claim: `tid:oid`, or the provider's own.
    #[must_use]
    pub fn sub(&self) -> String {
        match self {
            Self::Entra { tid, oid } => format!("{tid}:{oid}"),
            Self::Oidc { sub } => sub.clone(),
        }
    }

    /// The `oid` claim.
    #[must_use]
    pub fn oid(&self) -> &str {
        match self {
            Self::Entra { oid, .. } => oid,
            Self::Oidc { sub } => sub,
        }
    }

    /// The `tid` claim.
    #[must_use]
    pub fn tid(&self) -> Option<&str> {
        match self {
            Self::Entra { tid, .. } => Some(tid),
            Self::Oidc { .. } => None,
        }
    }

    /// The person's key everywhere: `tid:oid`, or `oidc:` and the provider's `sub`. No tenant is called
    /// `oidc`, so that no provider's `sub` can name an Entra user.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Entra { tid, oid } => format!("{tid}:{oid}"),
            Self::Oidc { sub } => format!("oidc:{sub}"),
        }
    }

    /// The key of this person's partition.
    #[must_use]
    pub fn user_key(&self) -> UserKey {
        UserKey::of(&self.key())
    }
}

/// A hash of the subject: the partition that a person's grants lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserKey(pub [u8; 16]);

impl UserKey {
    /// The key of `tid:oid`, or of `oidc:` and a `sub`, as an operator would type them.
    #[must_use]
    pub fn of(subject: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("entrada/1/user/{subject}")).into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What a validated ID token says about a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub subject: Subject,
    pub name: Option<String>,
    pub preferred_username: Option<String>,
    #[serde(default)]
    pub roles: Vec<String>,
    /// Absent when there are too many for an ID token: unknown is not none.
    pub groups: Option<Vec<String>>,
    /// Whether they are a guest of their tenant, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<bool>,
    /// When they last proved who they are, where the provider says so.
    pub auth_time: Option<Timestamp>,
}

impl Person {
    /// Bytes that it takes in memory, roughly: some people are in hundreds of groups.
    #[must_use]
    pub fn size(&self) -> usize {
        let names = self.name.iter().chain(&self.preferred_username);
        let lists = self.roles.iter().chain(self.groups.iter().flatten());
        names.chain(lists).map(|text| size_of::<String>() + text.len()).sum::<usize>() + size_of::<Self>()
    }
}
