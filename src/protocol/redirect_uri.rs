//! Redirection endpoints (RFC 6749 §3.1.2, RFC 8252 §7) and when two of them are the same.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use url::Host;
use url::Position;
use url::Url;

use crate::protocol::issuer::is_loopback;

/// Longer ones are refused: they travel in a cookie of 4,096 bytes.
pub const MAX_LENGTH: usize = 512;

/// What we append to a redirect URI (RFC 6749 §4.1.2, RFC 9207 §2).
const RESPONSE_PARAMETERS: [&str; 5] = ["code", "state", "iss", "error", "error_description"];

/// Private-use schemes without a dot that known clients register, though RFC 8252 §7.1 wants the reversed
/// name of a domain: each with how a redirect URI has to begin, since an application does other things at other
/// addresses of its scheme, and with what was seen. A setting takes them away (`trust.vendor_schemes`).
pub const VENDOR_SCHEMES: &[(&str, &str, &str)] = &[(
    "cursor",
    "cursor://anysphere.cursor-mcp/oauth/",
    "Cursor: cursor://anysphere.cursor-mcp/oauth/callback, in one registration with https and loopback URIs",
)];

/// What some server or browser could read as another path: `.`, `/` and `\` encoded, once or twice, and NUL.
const AMBIGUOUS: [&str; 6] = ["\\", "%2e", "%2f", "%5c", "%25", "%00"];

/// Who is behind a redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A web server, over https.
    Web,
    /// A program on the user's own machine, by http on a loopback address (RFC 8252 §7.3).
    Loopback,
    /// An application on the user's own device that claims the scheme (RFC 8252 §7.1).
    PrivateUse,
}

/// A redirect URI that a browser reads exactly as we do.
///
/// It is absolute, and `https`, or `http` on loopback, or of a private-use scheme; it has no fragment, user
/// information, control characters, dot segments or parameters of a response, and is written as the URL parser
/// of browsers would write it: what is compared here as text can then not mean something else there.
///
/// Schemes are allowed by name or by the dot of a domain in them: `javascript`, `data`, `file`, `blob`, `intent`
/// and what comes after them have neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// `None` when the text is not such a URI.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // In a query, browsers take `\` for itself, and RFC 3986 for nothing.
        if text.len() > MAX_LENGTH || text.contains('\\') {
            return None;
        }
        let url = Url::parse(text).ok()?;
        receiver(&url)?;
        let canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let unambiguous = has_plain_path(&url);
        // Ours would stand behind them, and a client may read the first.
        let unanswered = url.query_pairs().all(|(name, _)| !RESPONSE_PARAMETERS.contains(&name.as_ref()));
        (canonical && plain && unambiguous && unanswered).then(|| Self(text.to_owned()))
    }

    /// The URI as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who receives the code.
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        // One that an older version accepted and this one would not: by the strictest rule.
        receiver(&self.url()).unwrap_or(Receiver::Web)
    }

    /// The host that receives the code, without port, IPv6 addresses in brackets. A private-use scheme
    /// stands for it with its colon: an authority behind it names nobody.
    #[must_use]
    pub fn host(&self) -> String {
        let url = self.url();
        match url.scheme() {
            "https" | "http" => url.host_str().unwrap_or_default().to_owned(),
            scheme => format!("{scheme}:"),
        }
    }

    /// The scheme, in lower case.
    #[must_use]
    pub fn scheme(&self) -> String {
        self.url().scheme().to_owned()
    }

    /// The port, where it is not the scheme's own.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.url().port()
    }

    /// Whether it has a query.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.url().query().is_some()
    }

    /// The path alone.
    #[must_use]
    pub fn path(&self) -> String {
        self.url().path().to_owned()
    }

    /// What follows the host and port: path and query, for hosts that tenants share.
    #[must_use]
    pub fn target(&self) -> String {
        self.url()[Position::BeforePath..].to_owned()
    }

    /// Whether it leads to the user's own machine, by whatever scheme.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        self.receiver() != Receiver::Web || is_loopback(&self.url())
    }

    /// Whether it is the loopback redirect of a native client, whose port does not matter
    /// (RFC 8252 §7.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.receiver() == Receiver::Loopback
    }

    /// This URI without its port when it is a loopback one: native clients take any free port
    /// (RFC 8252 §7.3), and their next start takes another.
    #[must_use]
    pub fn without_loopback_port(&self) -> Self {
        let mut url = self.url();
        if !self.is_loopback() || url.port().is_none() {
            return self.clone();
        }
        let bare = !self.0.ends_with('/') && url.path() == "/" && url.query().is_none();
        // Cannot fail: the URL has a host and is not a file.
        let _ = url.set_port(None);
        Self(if bare { url.as_str().trim_end_matches('/').to_owned() } else { url.into() })
    }

    /// Whether this registered URI allows `presented`: the same text, the port of a loopback address
    /// aside (RFC 8252 §7.3). `localhost`, `127.0.0.1` and `[::1]` are three different hosts.
    #[must_use]
    pub fn allows(&self, presented: &Self) -> bool {
        self == presented || self.without_loopback_port() == presented.without_loopback_port()
    }

    fn url(&self) -> Url {
        Url::parse(&self.0).expect("a redirect URI was parsed once")
    }
}

/// Whether every server and browser reads the path alike.
pub(super) fn has_plain_path(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    !AMBIGUOUS.iter().any(|sequence| path.contains(sequence))
}

/// A host has one spelling: `example.com.` is the same name, and compared as text it is another.
pub(super) fn has_plain_host(url: &Url) -> bool {
    let plain = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match url.host() {
        Some(Host::Domain(name)) => name.split('.').all(plain),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

fn receiver(url: &Url) -> Option<Receiver> {
    let scheme = url.scheme();
    match scheme {
        "https" => has_plain_host(url).then_some(Receiver::Web),
        "http" => is_loopback(url).then_some(Receiver::Loopback),
        _ => {
            let of_vendor = |(vendor, begins, _): &(&str, &str, &str)| {
                *vendor == scheme && url.as_str().starts_with(begins)
            };
            let private = scheme.contains('.') || VENDOR_SCHEMES.iter().any(of_vendor);
            // RFC 8252 §7.1 writes a single slash; many write an authority. Both are read alike everywhere.
            (private && (url.has_host() || url.path().starts_with('/'))).then_some(Receiver::PrivateUse)
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
