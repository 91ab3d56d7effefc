//! The issuer identifier (RFC 8414 §2), and the URLs that hang off it.

use std::fmt;

use serde::Serialize;
use url::Host;
use url::Url;

/// The issuer, byte for byte as configured: clients compare it as a string (RFC 9207 §2.4).
///
/// It is an origin: a scheme, a host, at most a port, no path, no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// Takes an origin as it is. `None` when it is none, or is written in another way than browsers do.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        (url.has_host() && url.origin().ascii_serialization() == text).then(|| Self(text.to_owned()))
    }

    /// The identifier, for comparison.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a path on this issuer. `path` begins with `/`.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether browsers reach it over TLS, so that cookies can be `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The port that is written in the issuer, if one is.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        Url::parse(&self.0).ok()?.port()
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a URL's host is this machine (RFC 8252 §7.3; `localhost` as well, since clients use it).
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
