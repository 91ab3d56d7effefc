//! The token endpoint's answer (RFC 6749 §5.1).

use serde::Serialize;

/// A successful token response. It holds live credentials: it has no `Debug`.
#[derive(Serialize)]
pub struct TokenResponse {
    pub access_token: String,
    /// Always `Bearer` (RFC 6750).
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// What was granted, always said, in the client's own words (RFC 6749 §3.3).
    pub scope: String,
}
