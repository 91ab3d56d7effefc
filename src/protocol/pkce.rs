//! Proof Key for Code Exchange (RFC 7636). `S256` is the only method: `plain` proves nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

/// The code challenge of method `S256`: BASE64URL(SHA256(code_verifier)) (RFC 7636 §4.2), decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Reads a `code_challenge`. `None` when it is not 32 bytes in base64url without padding.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The challenge of a verifier.
    #[must_use]
    pub fn of(verifier: &str) -> Self {
        Self(Sha256::digest(verifier.as_bytes()).into())
    }

    /// Whether `verifier` is well-formed (RFC 7636 §4.1) and is this challenge's (§4.6).
    ///
    /// The comparison need not be constant in time: the challenge is public.
    #[must_use]
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(unreserved)
            && Self::of(verifier) == *self
    }

    /// The challenge as it is sent.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}
