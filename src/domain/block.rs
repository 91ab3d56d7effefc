//! Clients that the operator keeps out: one small document for all of them.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::client::ClientId;
use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::WriteId;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::seal::SealNonce;
use crate::domain::seal::Sealed;
use crate::domain::time::Timestamp;

const SCHEMA: u16 = 1;
const PLACE: &str = "b/blocks/1";

/// More blocks than this are refused: every replica holds all of them, and reads them again and again.
pub const MAX_BLOCKS: usize = 1_000;

/// What is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// One client, by the short hash of its id ([`ClientId::digest`]).
    Client(String),
    /// Every client, at this host: no code goes there, and none that went there is good for anything.
    RedirectHost(String),
    /// Every client whose metadata document lies at this host.
    DocumentHost(String),
}

/// A block, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub what: Blocked,
    pub since: Timestamp,
}

/// Every block there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks(pub Vec<Block>);

/// Why the blocks stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// It is as it was asked to be.
    Already,
    /// There are [`MAX_BLOCKS`].
    TooMany,
}

impl Blocks {
    /// Whether a client is blocked, or one of the hosts that its codes go to.
    #[must_use]
    pub fn forbid(&self, client: &ClientId, redirect_hosts: &[String]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (digest, document_host) = (client.digest(), client.document_host());
        self.0.iter().any(|block| match &block.what {
            Blocked::Client(blocked) => *blocked == digest,
            Blocked::RedirectHost(host) => redirect_hosts.contains(host),
            Blocked::DocumentHost(host) => Some(host) == document_host.as_ref(),
        })
    }

    /// Whether nothing is fetched from a host.
    #[must_use]
    pub fn forbid_document_host(&self, host: &str) -> bool {
        self.0.iter().any(|block| matches!(&block.what, Blocked::DocumentHost(blocked) if blocked == host))
    }

    /// These and one more.
    pub fn with(mut self, what: Blocked, since: Timestamp) -> Result<Self, Unchanged> {
        if self.0.iter().any(|block| block.what == what) {
            return Err(Unchanged::Already);
        }
        if self.0.len() >= MAX_BLOCKS {
            return Err(Unchanged::TooMany);
        }
        self.0.push(Block { what, since });
        Ok(self)
    }

    /// These without one.
    pub fn without(mut self, what: &Blocked) -> Result<Self, Unchanged> {
        let before = self.0.len();
        self.0.retain(|block| block.what != *what);
        if self.0.len() < before { Ok(self) } else { Err(Unchanged::Already) }
    }

    /// Where they lie.
    #[must_use]
    pub fn key() -> DocumentKey {
        DocumentKey { partition: "b".to_owned(), id: "blocks".to_owned() }
    }

    /// The document of these blocks.
    #[must_use]
    pub fn to_document(&self, keys: &KeyRing, write_id: WriteId, nonce: SealNonce) -> Document {
        let body = Sealed::record(keys, PLACE, nonce, self).into_bytes();
        Document::plain(Self::key(), SCHEMA, write_id, body)
    }

    /// Reads them back.
    pub fn from_document(keys: &KeyRing, document: Document) -> Result<Self, NotAuthentic> {
        Sealed::from_bytes(document.body).open_record(keys, PLACE)
    }
}
