//! A login in flight. It is sealed in the browser that began it, and nowhere else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::client::ClientId;
use crate::domain::time::Timestamp;
use crate::domain::trust::VerifiedRedirect;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::scope::Scopes;

/// Longer ones are refused: it travels in a cookie of 4,096 bytes.
pub const MAX_STATE_LENGTH: usize = 1_024;

/// Random, one for each request to the authorization endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginId(pub [u8; 16]);

impl LoginId {
    /// How the browser names this login once it has ended.
    fn mark(self) -> String {
        URL_SAFE_NO_PAD.encode(self.hash("ended", b""))
    }

    /// A name for something of this login, which tells nothing of its id.
    pub(in crate::domain) fn hash(self, what: &str, more: &[u8]) -> [u8; 16] {
        let hash = Sha256::new().chain_update("entrada/1/").chain_update(what).chain_update(self.0);
        let digest: [u8; 32] = hash.chain_update(more).finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        half
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
    pub redirect_uri: VerifiedRedirect,
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
    /// Counts what was approved in this browser, as far as it still knows: the newest has the highest.
    pub turn: u32,
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

/// The last few logins that were declined in a browser. The browser keeps the list, so that a form
/// which is still open, or a step back in the history, does not undo a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedLogins(Vec<String>);

impl EndedLogins {
    const MAX: usize = 8;

    /// Reads the list as the browser keeps it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.split('.').filter(|mark| mark.len() == 22).take(Self::MAX).map(str::to_owned).collect())
    }

    /// Whether the login was declined.
    #[must_use]
    pub fn contains(&self, login: LoginId) -> bool {
        self.0.contains(&login.mark())
    }

    /// Adds a login; the oldest goes where there are too many.
    pub fn add(&mut self, login: LoginId) {
        self.0.insert(0, login.mark());
        self.0.truncate(Self::MAX);
    }

    /// The list for the browser to keep.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.join(".")
    }
}

impl std::fmt::Debug for UpstreamSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamSecrets(redacted)")
    }
}

impl UpstreamSecrets {
    /// Our `state` towards the identity provider.
    #[must_use]
    pub fn state(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.state)
    }

    /// Our `nonce`.
    #[must_use]
    pub fn nonce(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.nonce)
    }

    /// Our PKCE verifier: 43 characters (RFC 7636 §4.1).
    #[must_use]
    pub fn code_verifier(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.code_verifier)
    }
}
