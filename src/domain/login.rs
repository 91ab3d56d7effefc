//! A login in flight. It is sealed in the browser that began it, and nowhere else.

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::client::ClientId;
use crate::domain::grant::GrantId;
use crate::domain::time::Timestamp;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

/// Longer ones are refused: it travels in a cookie of 4,096 bytes.
pub const MAX_STATE_LENGTH: usize = 1_024;

/// Random, one for each request to the authorization endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginId(pub [u8; 16]);

impl LoginId {
    /// The one grant that can come of this login.
    #[must_use]
    pub fn grant_id(self) -> GrantId {
        let digest: [u8; 32] =
            Sha256::new().chain_update("entrada/1/grant/").chain_update(self.0).finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        GrantId(id)
    }
}

/// A hash of the random cookie that names a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Browser([u8; 32]);

impl Browser {
    /// The browser that presents this cookie.
    #[must_use]
    pub fn of(cookie: &str) -> Self {
        Self(Sha256::digest(cookie.as_bytes()).into())
    }
}

/// A verified authorization request that waits for the user's consent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    pub id: LoginId,
    pub browser: Browser,
    pub begun_at: Timestamp,
    pub client_id: ClientId,
    pub redirect_uri: RedirectUri,
    pub state: Option<String>,
    pub code_challenge: CodeChallenge,
    /// Identifier of the resource.
    pub resource: String,
    pub scopes: Scopes,
    /// `prompt=login`: the user has to prove who they are now.
    pub reauthenticate: bool,
    /// `max_age` in seconds (OpenID Connect Core 1.0 §3.1.2.1).
    pub max_age: Option<u32>,
    pub login_hint: Option<String>,
}

/// A login that the user has consented to, on its way to the identity provider and back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Approved {
    pub login: Login,
    pub approved_at: Timestamp,
    /// Our own towards the identity provider; nothing of the client's travels there.
    pub upstream: UpstreamSecrets,
}

/// What ties the identity provider's answer to this login: random bytes, encoded where they are used.
#[derive(Clone, Serialize, Deserialize)]
pub struct UpstreamSecrets {
    pub state: [u8; 16],
    pub nonce: [u8; 16],
    pub code_verifier: [u8; 32],
}

impl std::fmt::Debug for UpstreamSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamSecrets(redacted)")
    }
}
