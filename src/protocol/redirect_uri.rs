//! Redirection endpoints (RFC 6749 §3.1.2, RFC 8252 §7) and when two of them are the same.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use url::Position;
use url::Url;

use crate::protocol::issuer::is_loopback;

/// Longer ones are refused: they travel in a cookie of 4,096 bytes.
pub const MAX_LENGTH: usize = 512;

/// What we append to a redirect URI (RFC 6749 §4.1.2, RFC 9207 §2).
const RESPONSE_PARAMETERS: [&str; 5] = ["code", "state", "iss", "error", "error_description"];

/// A redirect URI that a browser reads exactly as we do.
///
/// It is absolute, `https` (or `http` on loopback), has no fragment, user information, control
/// characters, dot segments or parameters of a response, and is written as the URL parser of browsers would write it: what is
/// compared here as text can then not mean something else there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// `None` when the text is not such a URI.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let reachable = match url.scheme() {
            "https" => url.has_host(),
            "http" => is_loopback(&url),
            _ => false,
        };
        // Ours would stand behind them, and a client may read the first.
        let unanswered = url.query_pairs().all(|(name, _)| !RESPONSE_PARAMETERS.contains(&name.as_ref()));
        (canonical && plain && reachable && unanswered).then(|| Self(text.to_owned()))
    }

    /// The URI as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host that receives the code, without port, IPv6 addresses in brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.url().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// The port, where it is not the scheme's own.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.url().and_then(|url| url.port())
    }

    /// What follows the host and port: path and query, for hosts that tenants share.
    #[must_use]
    pub fn target(&self) -> String {
        self.url().map(|url| url[Position::BeforePath..].to_owned()).unwrap_or_default()
    }

    /// Whether it leads to the user's own machine, by whatever scheme.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        self.url().is_some_and(|url| is_loopback(&url))
    }

    /// Whether it is the loopback redirect of a native client, whose port does not matter
    /// (RFC 8252 §7.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.url().is_some_and(|url| url.scheme() == "http" && is_loopback(&url))
    }

    /// This URI without its port when it is a loopback one: native clients take any free port
    /// (RFC 8252 §7.3), and their next start takes another.
    #[must_use]
    pub fn without_loopback_port(&self) -> Self {
        match self.url() {
            Some(mut url) if self.is_loopback() && url.port().is_some() => {
                let bare = !self.0.ends_with('/') && url.path() == "/" && url.query().is_none();
                // Cannot fail: the URL has a host and is not a file.
                let _ = url.set_port(None);
                Self(if bare { url.as_str().trim_end_matches('/').to_owned() } else { url.into() })
            }
            _ => self.clone(),
        }
    }

    /// Whether this registered URI allows `presented`: the same text, the port of a loopback address
    /// aside (RFC 8252 §7.3). `localhost`, `127.0.0.1` and `[::1]` are three different hosts.
    #[must_use]
    pub fn allows(&self, presented: &Self) -> bool {
        self == presented || self.without_loopback_port() == presented.without_loopback_port()
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
