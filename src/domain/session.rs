//! The `Mcp-Session-Id` that a client holds: the MCP server's own, sealed for one person with one client.

use crate::domain::api_key::KeyId;
use crate::domain::grant::GrantBody;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::keys::Purpose;
use crate::domain::seal::SealNonce;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Whom a session belongs to. The issuer is in the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOwner(String);

impl SessionOwner {
    /// Whoever holds this grant: another grant of the same person, client and resource has the same sessions.
    #[must_use]
    pub fn of(body: &GrantBody) -> Self {
        // Parted by what stands in none of them but the last.
        let GrantBody { resource, person, client_id, .. } = body;
        Self(format!("{resource}\n{}\n{client_id}", person.subject.user_key()))
    }

    /// An API key, whichever of its secrets is presented.
    #[must_use]
    pub fn of_key(resource: &str, id: KeyId) -> Self {
        Self(format!("{resource}\n{}\n{id}", id.user_key()))
    }

    /// The server's session id as this owner's. The same id gives the same text, so that a server that repeats it
    /// with every answer does not seem to begin new sessions.
    #[must_use]
    pub fn seal(&self, keys: &KeyRing, id: &str) -> String {
        let place = self.0.as_bytes();
        URL_SAFE_NO_PAD.encode(keys.seal(
            Purpose::Session,
            place,
            self.nonce(keys, id),
            id.as_bytes().to_vec(),
        ))
    }

    /// The server's own id, if it was sealed for this owner.
    pub fn open(&self, keys: &KeyRing, text: &str) -> Result<String, NotAuthentic> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAuthentic)?;
        let id = keys.open(Purpose::Session, self.0.as_bytes(), &sealed)?;
        String::from_utf8(id).map_err(|_| NotAuthentic)
    }

    /// Made from the message (RFC 8452 §9 allows a nonce that repeats with it): what is sealed twice looks the same.
    fn nonce(&self, keys: &KeyRing, id: &str) -> SealNonce {
        let message = format!("{}\n{id}", self.0);
        let tag = keys.mac(Purpose::Session, keys.current(), message.as_bytes());
        let mut nonce = SealNonce::default();
        let length = nonce.len();
        nonce.copy_from_slice(&tag.expect("the current generation is known")[..length]);
        nonce
    }
}
