//! Client identifiers that are the address of a metadata document (draft-ietf-oauth-client-id-metadata-document §3).

use url::Host;
use url::Url;

use crate::protocol::redirect_uri::has_plain_host;
use crate::protocol::redirect_uri::has_plain_path;

/// Longer ones are refused: they travel in URLs, cookies and tokens.
pub const MAX_LENGTH: usize = 512;

/// An https address in its normal form, so that comparing texts compares addresses: with a path, without user
/// information, fragment and dot segments, at a host that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientIdUrl(Url);

impl ClientIdUrl {
    /// Reads a client id. `None` when it is no such address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let url = Url::parse(text).ok()?;
        // Whatever the parser had to mend was not in normal form: dot segments however they are encoded, capital
        // letters in the host, a default port, white space, backslashes.
        let normal = url.as_str() == text;
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let named = matches!(url.host(), Some(Host::Domain(_))) && has_plain_host(&url);
        let has_path = url.path() != "/" && has_plain_path(&url);
        (url.scheme() == "https" && normal && plain && named && has_path).then_some(Self(url))
    }

    /// Whether somebody means an address by this, well-formed or not.
    #[must_use]
    pub fn is_meant_by(client_id: &str) -> bool {
        ["https:", "http:"].iter().any(|scheme| {
            client_id.get(..scheme.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(scheme))
        })
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address to fetch from.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Who publishes the document.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_https_address_in_its_normal_form_with_a_path_and_a_name() {
        let longest = format!("https://a.example/{}", "x".repeat(MAX_LENGTH - 18));
        for id in [
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://app.example.com:8443/client.json",
            "https://app.example.com/a/?v=1",
            "https://xn--bcher-kva.example/client",
            "https://app.example.com/a%20b",
            &longest,
        ] {
            assert_eq!(ClientIdUrl::parse(id).map(|url| url.as_str().to_owned()).as_deref(), Some(id));
        }
        for id in [
            "http://app.example.com/client.json",
            "https://app.example.com",
            "https://app.example.com/",
            "https://user@app.example.com/c",
            "https://user:secret@app.example.com/c",
            "https://@app.example.com/c",
            "https://app.example.com/c#f",
            "https://app.example.com/c#",
            "https://app.example.com/a/../c",
            "https://app.example.com/a/./c",
            "https://app.example.com/a/%2e%2E/c",
            "https://app.example.com/a/.%2e/c",
            "https://app.example.com/..",
            "https://app.example.com/a/%2e%2e%2fc",
            "https://app.example.com/a/..%5cc",
            "https://app.example.com/a/%252e%252e/c",
            "https://*.example.com/c",
            "https://APP.example.com/c",
            "HTTPS://app.example.com/c",
            "https://app.example.com:443/c",
            "https://app.example.com./c",
            "https://app.example.com\\c",
            "https:/app.example.com/c",
            "https:app.example.com/c",
            "https://app.example.com/a b",
            "https://app.example.com/a\tb",
            " https://app.example.com/c",
            "https://app.example.com/é",
            "https://bücher.example/c",
            "https://8.8.8.8/c",
            "https://134744072/c",
            "https://0x8.8.8.8/c",
            "https://[2606:4700::1111]/c",
            "https:///c",
            "data:application/json,{}",
            "javascript:alert(1)//c",
            "",
            &format!("{longest}x"),
        ] {
            assert_eq!(ClientIdUrl::parse(id), None, "{id}");
        }
    }

    #[test]
    fn what_is_meant_as_an_address_is_told_from_other_ids() {
        for id in ["https://app.example.com", "HTTP://x", "https:"] {
            assert!(ClientIdUrl::is_meant_by(id), "{id}");
        }
        for id in ["", "edc_x", "https", "my-https:client", "ht\u{e9}tps://x"] {
            assert!(!ClientIdUrl::is_meant_by(id), "{id}");
        }
    }
}
