//! Whom a code may be sent to: one policy for every kind of client, by the host that receives it.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::client::Client;
use crate::protocol::redirect_uri::RedirectUri;

/// Hosts of MCP clients that are known, each with what was seen to redirect there.
pub const VENDOR_HOSTS: &[(&str, &str)] = &[
    ("antigravity.google", "Antigravity, Gemini CLI: /oauth-callback"),
    ("chatgpt.com", "ChatGPT: /connector_platform_oauth_redirect, /connector/oauth/<id>"),
    ("claude.ai", "Claude: /api/mcp/auth_callback"),
    ("claude.com", "Claude: /api/mcp/auth_callback"),
    ("global.consent.azure-apim.net", "Copilot Studio, Power Platform: /redirect/<tool>"),
    ("insiders.vscode.dev", "VS Code Insiders: /redirect"),
    ("oauth-redirect.googleusercontent.com", "Gemini: /…"),
    ("teams.microsoft.com", "Microsoft 365 Copilot: /api/platform/v1.0/oAuthRedirect"),
    ("vscode.dev", "VS Code: /redirect"),
    ("www.cursor.com", "Cursor: /agents/mcp/oauth/callback"),
    ("www.perplexity.ai", "Perplexity: its own callback"),
];

/// The operator's part of the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Hosts beyond loopback and the vendors.
    pub hosts: Vec<String>,
    /// Any host may receive a code, after consent and sign-in.
    pub open: bool,
}

/// May receive a code after consent and sign-in: the client registered it, and its host is trusted
/// or the operator opened the door to all.
///
/// It is read back only from what we sealed ourselves after checking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VerifiedRedirect(RedirectUri);

/// May be redirected to before the user has acted. A redirect to any other host would make us an
/// open redirector (RFC 9700 §4.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedRedirect(RedirectUri);

/// Why a redirect URI is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    NotRegistered,
    HostNotTrusted,
}

impl Trust {
    /// Checks a redirect URI that a client presents.
    pub fn verify(&self, client: &Client, presented: RedirectUri) -> Result<VerifiedRedirect, Unverified> {
        if !client.allows(&presented) {
            return Err(Unverified::NotRegistered);
        }
        if !self.open && !self.names(&presented) {
            return Err(Unverified::HostNotTrusted);
        }
        Ok(VerifiedRedirect(presented))
    }

    /// The redirect as one that may be used before the user has acted.
    #[must_use]
    pub fn trusted(&self, redirect: &VerifiedRedirect) -> Option<TrustedRedirect> {
        self.names(&redirect.0).then(|| TrustedRedirect(redirect.0.clone()))
    }

    fn names(&self, redirect: &RedirectUri) -> bool {
        let host = redirect.host();
        redirect.is_loopback()
            || (redirect.port().is_none() && VENDOR_HOSTS.iter().any(|(vendor, _)| *vendor == host))
            || self.hosts.contains(&host)
    }
}

impl VerifiedRedirect {
    /// The URI that was checked.
    #[must_use]
    pub fn uri(&self) -> &RedirectUri {
        &self.0
    }
}

impl TrustedRedirect {
    /// The URI that was checked.
    #[must_use]
    pub fn uri(&self) -> &RedirectUri {
        &self.0
    }
}
