//! What a store keeps: small documents, replaced as a whole, compared before they are replaced.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::domain::time::Timestamp;

/// Where a document lies: the partition (Cosmos DB `/pk`) and its id within it.
///
/// Both are hashes or fixed words in base64url and `.`, never anything that a client sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentKey {
    pub partition: String,
    pub id: String,
}

/// The state of the document that is readable without a key, so that an operator (and a store's
/// own tools) can count and clean without opening anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A document without a life of its own: keys, clients.
    Plain,
    Pending,
    Active,
    Revoked,
}

impl State {
    /// The name of the state, as it is stored and authenticated.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

/// Random, new with every write: after an answer was lost, it tells our own write from another's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteId(pub [u8; 16]);

impl fmt::Debug for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A document as it is stored. Everything but `body` is in clear; `body` is sealed by its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub key: DocumentKey,
    /// The version of the body's layout.
    pub schema: u16,
    pub state: State,
    /// `n` of `Active(n)`; 0 for everything else.
    pub generation: u32,
    pub write_id: WriteId,
    /// After this instant the document is as good as gone, swept or not.
    pub expires_at: Option<Timestamp>,
    pub body: Vec<u8>,
}

impl Document {
    /// A document without a life of its own, which never expires.
    #[must_use]
    pub fn plain(key: DocumentKey, schema: u16, write_id: WriteId, body: Vec<u8>) -> Self {
        Self { key, schema, state: State::Plain, generation: 0, write_id, expires_at: None, body }
    }
}

/// Which stored state of a document somebody read (Cosmos DB: the ETag). Opaque to its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// A document together with the version that a replacement must name.
#[derive(Clone, Debug)]
pub struct Stored {
    pub document: Document,
    pub version: Version,
}
