//! What a store knows of its root key: enough to tell whether the two belong together, and which generation issues.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::WriteId;
use crate::domain::keys::Generation;
use crate::domain::keys::NotAuthentic;
use crate::domain::keys::RootKey;
use crate::domain::time::Timestamp;
use crate::protocol::issuer::Issuer;

/// The partition of what belongs to the store as a whole.
pub const PARTITION: &str = "meta";
const SCHEMA: u16 = 1;

/// The check of a store: the first document that is ever written to it. In clear, since it has to be read before
/// there is a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCheck {
    pub issuer: String,
    /// In the order in which they were made, never empty.
    generations: Vec<CheckedGeneration>,
}

/// What is known of a generation of the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedGeneration {
    pub generation: Generation,
    /// [`RootKey::check_value`], base64url.
    check: String,
    /// From then on new things are made with it, unless there is a newer one.
    pub issues_from: Timestamp,
}

/// Why root keys do not go with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// There is none of this generation, with which things have been made.
    Missing(Generation),
    /// What has this number is another key than the one that the store was made with.
    Another(Generation),
}

impl CheckedGeneration {
    fn new(root: &RootKey, issues_from: Timestamp) -> Self {
        Self { generation: root.generation, check: check(root), issues_from }
    }

    fn is(&self, root: &RootKey) -> bool {
        root.generation == self.generation && check(root) == self.check
    }
}

impl RootCheck {
    /// The check of a new store. Of two keys with one number the first counts.
    #[must_use]
    pub fn new(issuer: &Issuer, roots: &[RootKey], now: Timestamp) -> Self {
        let mut generations: Vec<CheckedGeneration> = Vec::new();
        for root in roots {
            if generations.iter().all(|known| known.generation != root.generation) {
                generations.push(CheckedGeneration::new(root, now));
            }
        }
        Self { issuer: issuer.to_string(), generations }
    }

    /// This check, and one generation more that issues from then on.
    #[must_use]
    pub fn with(mut self, root: &RootKey, issues_from: Timestamp) -> Self {
        self.generations.push(CheckedGeneration::new(root, issues_from));
        self
    }

    /// This check with one generation in the place of all others.
    #[must_use]
    pub fn with_only(self, root: &RootKey, now: Timestamp) -> Self {
        Self { generations: vec![CheckedGeneration::new(root, now)], ..self }
    }

    /// All generations, the oldest first.
    #[must_use]
    pub fn generations(&self) -> &[CheckedGeneration] {
        &self.generations
    }

    /// The generation that makes new things. The first did so from the beginning, whatever a clock says.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> Option<Generation> {
        let begun = self.generations.iter().rev().find(|known| known.issues_from <= now);
        begun.or(self.generations.first()).map(|known| known.generation)
    }

    /// Whether this very key is one of the store's.
    #[must_use]
    pub fn names(&self, root: &RootKey) -> bool {
        self.generations.iter().any(|known| known.is(root))
    }

    /// Since when a generation issues, or from when on it will.
    #[must_use]
    pub fn issues_from(&self, generation: Generation) -> Option<Timestamp> {
        self.generations.iter().find(|known| known.generation == generation).map(|known| known.issues_from)
    }

    /// Those of `roots` that count. One that does not issue yet may be missing still; what the store does not know,
    /// it has dropped, or is about to learn.
    pub fn judge<'a>(&self, roots: &'a [RootKey], now: Timestamp) -> Result<Vec<&'a RootKey>, Mismatch> {
        let mut counting = Vec::new();
        for known in &self.generations {
            // Others may have its number: they were never announced.
            match roots.iter().find(|root| known.is(root)) {
                Some(root) => counting.push(root),
                None if known.issues_from > now => {}
                None if roots.iter().any(|root| root.generation == known.generation) => {
                    return Err(Mismatch::Another(known.generation));
                }
                None => return Err(Mismatch::Missing(known.generation)),
            }
        }
        Ok(counting)
    }

    /// Where it lies.
    #[must_use]
    pub fn key() -> DocumentKey {
        DocumentKey { partition: PARTITION.to_owned(), id: "root".to_owned() }
    }

    /// Its document.
    #[must_use]
    pub fn to_document(&self, write_id: WriteId) -> Document {
        let body = serde_json::to_vec(self).expect("plain data serialises");
        Document::plain(Self::key(), SCHEMA, write_id, body)
    }

    /// Reads it back.
    pub fn from_document(document: &Document) -> Result<Self, NotAuthentic> {
        let check: Self = serde_json::from_slice(&document.body).map_err(|_| NotAuthentic)?;
        if document.schema != SCHEMA || check.generations.is_empty() {
            return Err(NotAuthentic);
        }
        Ok(check)
    }
}

fn check(root: &RootKey) -> String {
    URL_SAFE_NO_PAD.encode(root.check_value())
}
