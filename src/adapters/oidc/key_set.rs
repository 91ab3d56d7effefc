//! The provider's keys, and whose tokens each may sign.

use openidconnect::JsonWebKey;
use openidconnect::core::CoreJsonWebKey;
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;

/// A key set (RFC 7517 §5).
pub(super) struct KeySet {
    pub keys: CoreJsonWebKeySet,
    issuers: Vec<(Option<String>, String)>,
}

/// What Entra adds to a key: at an address for all tenants, some keys are for one alone.
#[derive(Deserialize)]
struct Marked {
    #[serde(default)]
    keys: Vec<Mark>,
}

#[derive(Deserialize)]
struct Mark {
    kid: Option<String>,
    issuer: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys of unknown kinds are left out; `None` where it cannot be read.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let keys = serde_json::from_slice(json).ok()?;
        let marked: Marked = serde_json::from_slice(json).ok()?;
        let issuers = marked.keys.into_iter().filter_map(|mark| Some((mark.kid, mark.issuer?))).collect();
        Some(Self { keys, issuers })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.keys().is_empty()
    }

    /// Whether a key may sign what this issuer says, as far as the key says: its issuer may be a template.
    pub(super) fn is_for(&self, key: &CoreJsonWebKey, is_issuer: impl Fn(&str) -> bool) -> bool {
        let kid = key.key_id().map(|kid| kid.as_str());
        let mut own = self.issuers.iter().filter(|(of, _)| of.as_deref() == kid).peekable();
        own.peek().is_none() || own.any(|(_, issuer)| is_issuer(issuer))
    }
}
