//! The Bearer challenge of a protected resource (RFC 6750 §3, RFC 9728 §5.1).

use crate::protocol::error::OAuthError;
use crate::protocol::scope::Scopes;

/// What a client that was refused is told in `WWW-Authenticate`.
#[derive(Clone, Debug)]
pub struct BearerChallenge<'a> {
    /// URL of the protected-resource metadata.
    pub resource_metadata: &'a str,
    /// The scopes to ask for. Named always: clients without this hint ask for everything there is.
    pub scope: &'a Scopes,
    /// Absent when no token was sent (RFC 6750 §3.1).
    pub error: Option<OAuthError>,
}

impl BearerChallenge<'_> {
    /// The value of the header. Scope tokens, URLs and descriptions hold neither `"` nor `\`.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut header =
            format!("Bearer resource_metadata=\"{}\", scope=\"{}\"", self.resource_metadata, self.scope);
        if let Some(OAuthError { code, description }) = self.error {
            header.push_str(&format!(", error=\"{}\", error_description=\"{description}\"", code.as_str()));
        }
        header
    }
}
