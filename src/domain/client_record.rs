//! The client-to-Entra mapping: what the store remembers of a client that people have signed in with.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::client::UpstreamApp;
use crate::domain::time::Timestamp;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::redirect_uri::RedirectUri;

/// What the store remembers of a client that people have signed in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRecord {
    pub client_id: String,
    pub client_name: String,
    pub redirect_uri: RedirectUri,
    pub auth_method: AuthMethod,
    /// The application at the identity provider that this client's users sign in to.
    pub upstream: UpstreamApp,
    pub first_used_at: Timestamp,
    pub last_used_at: Timestamp,
    /// The last good copy of its metadata document, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentCopy>,
}

/// A copy of a client's metadata document and of its key set, for when their hosts do not give them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentCopy {
    pub document: CopiedText,
    /// What lay at its `jwks_uri`.
    pub jwks: Option<CopiedText>,
}

impl DocumentCopy {
    /// The newer of what two replicas have seen.
    #[must_use]
    pub fn newest(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let newer = |one: CopiedText, other: CopiedText| match one.confirmed_at >= other.confirmed_at {
            true => one,
            false => other,
        };
        let jwks = match (self.jwks, other.jwks) {
            (Some(one), Some(other)) => Some(newer(one, other)),
            (one, other) => one.or(other),
        };
        Self { document: newer(self.document, other.document), jwks }
    }
}

/// A text as its host gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedText {
    /// Where it lay.
    pub address: String,
    pub text: String,
    /// When the host last said so.
    pub confirmed_at: Timestamp,
}
