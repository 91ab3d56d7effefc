//! The protected resources: the MCP servers behind this issuer.

use std::time::Duration;

use url::Url;

use crate::domain::allowed::Allowed;
use crate::domain::forwarding::Forwarding;
use crate::domain::tools::ImpliedScopes;
use crate::protocol::scope::Scopes;

/// A claim that a resource may ask for beyond the identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Name,
    PreferredUsername,
    Roles,
    Groups,
}

/// One MCP server.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its path on this issuer.
    pub path: String,
    /// Its identifier (RFC 8707 §2) and the audience of its tokens, byte for byte.
    pub identifier: String,
    /// Where the gateway forwards to; without it tokens are only issued.
    pub upstream: Option<Url>,
    pub name: String,
    /// Its scopes in the order of the configuration, each with its meaning in words.
    pub scopes: Vec<(String, String)>,
    pub default_scopes: Scopes,
    /// Scopes that stand for others.
    pub implied: ImpliedScopes,
    pub claims: Vec<Claim>,
    /// Lifetime of its access tokens.
    pub access: Duration,
    pub allowed: Allowed,
    /// Where there is an upstream.
    pub forwarding: Forwarding,
}

impl Resource {
    /// Whether a client that sends this names it: scheme and host in any case, and no path for `/` (MCP
    /// authorization, canonical server URI; RFC 3986 §6.2.2.1, §6.2.3). Everything else is compared byte for byte.
    #[must_use]
    pub fn is_named(&self, resource: &str) -> bool {
        let (origin, rest) = split_origin(&self.identifier);
        let (named_origin, named_rest) = split_origin(resource);
        named_rest == rest && named_origin.eq_ignore_ascii_case(origin)
    }

    /// All its scopes.
    #[must_use]
    pub fn all_scopes(&self) -> Scopes {
        self.scopes.iter().map(|(scope, _)| scope.as_str()).collect()
    }

    /// What a request for `asked` gets: what of it exists, and the default where that is nothing.
    /// Scopes we do not know are passed over, since clients ask for `openid`, `claudeai` and others. What is implied
    /// comes along, so that the consent page says it, and servers that know nothing of it find it in the token.
    #[must_use]
    pub fn grantable(&self, asked: &Scopes) -> Scopes {
        let known = asked.intersection(&self.all_scopes());
        self.implied.with_implied(if known.is_empty() { &self.default_scopes } else { &known })
    }
}

/// Scheme and authority of a URL, and what follows; no path is `/`.
fn split_origin(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    let (origin, rest) = url.split_at(end);
    (origin, if rest.is_empty() { "/" } else { rest })
}

/// All resources of this issuer.
#[derive(Clone, Debug)]
pub struct Resources {
    all: Vec<Resource>,
    default: Option<usize>,
}

impl Resources {
    /// `default` is the one for clients that send no `resource`; a single resource is its own default.
    #[must_use]
    pub fn new(all: Vec<Resource>, default: Option<usize>) -> Self {
        let default = if all.len() == 1 { Some(0) } else { default };
        Self { all, default }
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.all.iter()
    }

    /// The resource that a request means when it names none.
    #[must_use]
    pub fn default(&self) -> Option<&Resource> {
        self.default.and_then(|position| self.all.get(position))
    }

    /// The resource with exactly this identifier.
    #[must_use]
    pub fn by_identifier(&self, identifier: &str) -> Option<&Resource> {
        self.all.iter().find(|resource| resource.identifier == identifier)
    }

    /// The resource that a request names (RFC 8707 §2).
    #[must_use]
    pub fn named(&self, resource: &str) -> Option<&Resource> {
        self.by_identifier(resource).or_else(|| self.all.iter().find(|known| known.is_named(resource)))
    }

    /// The resource at exactly this path.
    #[must_use]
    pub fn by_path(&self, path: &str) -> Option<&Resource> {
        self.all.iter().find(|resource| resource.path == path)
    }

    /// The scopes of all resources, in order.
    #[must_use]
    pub fn all_scopes(&self) -> Scopes {
        self.all.iter().flat_map(|resource| resource.scopes.iter().map(|(scope, _)| scope.as_str())).collect()
    }
}
