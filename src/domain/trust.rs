//! Whom a code may be sent to: one policy for every kind of client, by the host that receives it, and by the one that
//! publishes its document where it has one.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::client::Client;
use crate::domain::vendor::vendor;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::redirect_uri::Receiver;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::redirect_uri::VENDOR_SCHEMES;

/// The operator's part of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Hosts beyond loopback and the vendors; `host/path/` is only what lies below that path, of a host that
    /// tenants share.
    pub hosts: Vec<String>,
    /// Any host may receive a code, after consent and sign-in.
    pub open: bool,
    /// Whether the private-use schemes of [`VENDOR_SCHEMES`] are served.
    pub vendor_schemes: bool,
}

impl Default for Trust {
    fn default() -> Self {
        Self { hosts: Vec::new(), open: false, vendor_schemes: true }
    }
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

/// What the policy says of a redirect URI.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Named, by the operator or by the table of vendors.
    Named,
    /// Below a path of a vendor's host where each of its customers has an address.
    Shared,
    /// An application on the user's own device.
    OnDevice,
    /// Nobody named it.
    Unknown,
    /// Another path of a host that tenants share, or a scheme that the operator took away.
    Refused,
}

impl Trust {
    /// Whether a client may register this redirect URI. An unknown host may be: it is refused, with a page that
    /// names the setting, when it is to receive a code.
    #[must_use]
    pub fn may_register(&self, redirect: &RedirectUri) -> bool {
        self.standing(redirect) != Standing::Refused
    }

    /// Checks a redirect URI that a client presents: it has to be one that the client registered, exactly, the
    /// port of a loopback address aside.
    pub fn verify(&self, client: &Client, presented: RedirectUri) -> Result<VerifiedRedirect, Unverified> {
        if !client.allows(&presented) {
            return Err(Unverified::NotRegistered);
        }
        match self.standing(&presented) {
            _ if client.is_configured() => Ok(VerifiedRedirect(presented)),
            Standing::Named | Standing::Shared | Standing::OnDevice => Ok(VerifiedRedirect(presented)),
            Standing::Unknown if self.open => Ok(VerifiedRedirect(presented)),
            Standing::Unknown | Standing::Refused => Err(Unverified::HostNotTrusted),
        }
    }

    /// The redirect as one that may be used before the user has acted. None opens an application, and none leads to
    /// an address that anybody may have at a vendor's host.
    #[must_use]
    pub fn trusted(&self, client: &Client, redirect: &VerifiedRedirect) -> Option<TrustedRedirect> {
        let on_web = redirect.0.receiver() != Receiver::PrivateUse;
        let named = client.is_configured() || self.standing(&redirect.0) == Standing::Named;
        (on_web && named).then(|| TrustedRedirect(redirect.0.clone()))
    }

    fn standing(&self, redirect: &RedirectUri) -> Standing {
        match redirect.receiver() {
            Receiver::Loopback => Standing::Named,
            Receiver::PrivateUse => {
                let scheme = redirect.scheme();
                let vendors = VENDOR_SCHEMES.iter().any(|(vendor, ..)| *vendor == scheme);
                if vendors && !self.vendor_schemes { Standing::Refused } else { Standing::OnDevice }
            }
            Receiver::Web => self.standing_on_web(redirect),
        }
    }

    /// Whether a client's document or keys may be fetched from this address. What is said there of the client is as
    /// good as the host's word, so at a vendor's host it is only what the vendor publishes.
    #[must_use]
    pub fn may_publish(&self, address: &ClientIdUrl) -> bool {
        let (host, url) = (address.host(), address.url());
        let path = url.path();
        // Somebody else may listen at another port, or nobody, for which the host would seem to be down.
        if url.port().is_some() {
            return false;
        }
        let of_vendor = |allowed: &&'static str| url.query().is_none() && covers(allowed, path);
        self.names(host, path)
            || vendor(host).map_or(self.open, |vendor| vendor.documents.iter().any(of_vendor))
    }

    /// Whether the operator named the host, or the part of it that the path lies in.
    fn names(&self, host: &str, path: &str) -> bool {
        self.hosts.iter().any(|entry| match entry.find('/') {
            None => entry == host,
            Some(end) => &entry[..end] == host && covers(&entry[end..], path),
        })
    }

    fn standing_on_web(&self, redirect: &RedirectUri) -> Standing {
        let (host, path) = (redirect.host(), redirect.path());
        if self.names(&host, &path) {
            return Standing::Named;
        }
        let Some(vendor) = vendor(&host).filter(|_| redirect.port().is_none()) else {
            return Standing::Unknown;
        };
        // What a vendor's page does with a query is its own business, and could be to send the code on.
        let covering =
            vendor.paths.iter().find(|allowed| covers(allowed, &path)).filter(|_| !redirect.has_query());
        match covering {
            Some(allowed) if allowed.ends_with('/') => Standing::Shared,
            Some(_) => Standing::Named,
            None => Standing::Refused,
        }
    }
}

/// Whether `allowed` is this path, or ends in `/` and is the beginning of it. What follows is plain: redirect URIs have
/// no dot segments, and here nothing encoded and no `;` either, by which some servers climb out.
fn covers(allowed: &str, path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    match allowed.ends_with('/') {
        true => path.strip_prefix(allowed).is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain)),
        false => path == allowed,
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
