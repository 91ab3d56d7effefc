use url::Url;

use crate::domain::person::Person;
use crate::domain::person::Subject;
use crate::domain::time::Timestamp;
use crate::ports::idp::UpstreamError;

use super::Entra;
use super::Kind;
use super::SettingsError;
use super::Tenants;
use super::aadsts;
use super::aadsts::Row;
use super::claims::Claims;
use super::claims::Names;
use super::cloud;
use super::entra;
use super::entra::Groups;
use super::failure::guest;
use super::failure::guest_unknown;
use super::failure::invalid;
use super::failure::somebody_else;
use super::http_client::is_safe;

/// The provider that the settings name, and every way in which the two kinds differ.
pub(super) enum Realm {
    Entra(Box<EntraRealm>),
    Oidc { issuer: Url },
}

pub(super) struct EntraRealm {
    /// In lower case.
    tenants: Vec<String>,
    /// `https://login.microsoftonline.com/{tenant}/v2.0`, where the tenant may be `organizations`.
    address: String,
    /// What the metadata there name as the issuer: for several tenants, a template.
    issuer: String,
    guests: bool,
    graph: Url,
    token_exchange: &'static str,
    /// Where an administrator consents for everybody
    /// (<https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent>).
    admin_consent: Url,
}

/// The tenant in the addresses of those who serve several.
const ORGANIZATIONS: &str = "organizations";

impl Realm {
    pub(super) fn new(kind: Kind, client_id: &str) -> Result<Self, SettingsError> {
        let (Kind::Entra(Entra { authority: address, .. }) | Kind::Oidc { issuer: address }) = &kind;
        if !is_plain(address) {
            return Err(SettingsError::Address);
        }
        match kind {
            Kind::Oidc { issuer } => Ok(Self::Oidc { issuer }),
            Kind::Entra(entra) => EntraRealm::new(entra, client_id).map(Box::new).map(Self::Entra),
        }
    }

    /// Where the metadata is (OpenID Connect Discovery 1.0 §4: the path is appended to the issuer).
    pub(super) fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.address().trim_end_matches('/'))
    }

    /// What the addresses of the provider begin with.
    pub(super) fn address(&self) -> &str {
        match self {
            Self::Entra(entra) => &entra.address,
            Self::Oidc { issuer } => issuer.as_str(),
        }
    }

    /// The issuer in the metadata, if it is ours (§4.3). For several tenants it is a template.
    pub(super) fn issuer(&self, published: &str) -> Option<String> {
        match self {
            Self::Entra(entra) => {
                let filled = entra.one().map(|tenant| entra::of_tenant(published, tenant));
                let same = published == entra.issuer || filled.as_ref() == Some(&entra.issuer);
                same.then(|| entra.issuer.clone())
            }
            // A URL type writes `https://idp.example` with a slash at its end; a provider may do either.
            Self::Oidc { issuer } => {
                let same = published.trim_end_matches('/') == issuer.as_str().trim_end_matches('/');
                same.then(|| published.to_owned())
            }
        }
    }

    /// The issuer that the claims name, if it is the one to be expected of them: that of the tenant which they say they
    /// are of, which has to be one of ours.
    pub(super) fn issuer_of(&self, published: &str, claims: &Claims) -> Result<String, UpstreamError> {
        let expected = match self {
            Self::Entra(entra) => entra::of_tenant(published, &entra::tenant(claims, &entra.tenants)?),
            Self::Oidc { .. } => published.to_owned(),
        };
        match claims.issuer().as_str() == expected {
            true => Ok(expected),
            false => Err(somebody_else("the ID token is of another issuer")),
        }
    }

    /// Whether the issuer that a key says it is for is the one of these claims.
    pub(super) fn is_issuer(&self, of_key: &str, issuer: &str, claims: &Claims) -> bool {
        match self {
            Self::Entra(entra) => entra::tenant(claims, &entra.tenants)
                .is_ok_and(|tenant| entra::of_tenant(of_key, &tenant) == issuer),
            // Others say nothing of the kind.
            Self::Oidc { .. } => true,
        }
    }

    /// Whether an endpoint may be used: by the scheme of the settings, and nothing else than TLS
    /// outside this machine.
    pub(super) fn accepts(&self, endpoint: &Url) -> bool {
        let scheme = match self {
            Self::Entra(entra) => entra.address.split_once(':').map_or("https", |(scheme, _)| scheme),
            Self::Oidc { issuer } => issuer.scheme(),
        };
        is_safe(endpoint) && endpoint.scheme() == scheme && !has_user(endpoint)
    }

    /// `response_mode`, where it has to be said.
    pub(super) fn response_mode(&self) -> Option<&'static str> {
        match self {
            Self::Entra(_) => Some("query"),
            Self::Oidc { .. } => None,
        }
    }

    /// Whether the secret goes into the form whatever the metadata offers.
    pub(super) fn posts_secret(&self) -> bool {
        matches!(self, Self::Entra(_))
    }

    /// Whether a refresh without an ID token vouches for nobody. Entra sends one whenever `openid` was
    /// asked for; others need not (OpenID Connect Core 1.0 §12.2).
    pub(super) fn vouches_on_refresh(&self) -> bool {
        matches!(self, Self::Entra(_))
    }

    /// Whether it may spend a refresh token when it is used. Entra gives a new one each time, and the old ones go on.
    pub(super) fn rotates(&self) -> bool {
        !matches!(self, Self::Entra(_))
    }

    /// What an error number means. Another provider may pass on what an Entra behind it said, but that is
    /// about its registration there, not about ours here.
    pub(super) fn meaning(&self, code: u32) -> Option<&'static Row> {
        match self {
            Self::Entra(_) => aadsts::row(code),
            Self::Oidc { .. } => None,
        }
    }

    /// What a managed identity's token has to be for.
    pub(super) fn token_exchange(&self) -> &'static str {
        match self {
            Self::Entra(entra) => entra.token_exchange,
            Self::Oidc { .. } => "",
        }
    }

    /// Where an administrator of a tenant consents to what we ask for.
    pub(super) fn admin_consent(&self) -> Option<&Url> {
        match self {
            Self::Entra(entra) => Some(&entra.admin_consent),
            Self::Oidc { .. } => None,
        }
    }

    /// The root of Microsoft Graph.
    pub(super) fn graph(&self) -> Option<&Url> {
        match self {
            Self::Entra(entra) => Some(&entra.graph),
            Self::Oidc { .. } => None,
        }
    }

    /// Who the validated claims are about.
    pub(super) fn person(&self, claims: &Claims) -> Result<Person, UpstreamError> {
        let other = claims.additional_claims();
        let (subject, guest, groups) = match self {
            Self::Entra(entra) => {
                let subject = entra::subject(claims, &entra.tenants)?;
                let guest = entra::is_guest(claims);
                entra.lets_in(guest)?;
                (subject, guest, entra::groups(claims))
            }
            Self::Oidc { .. } => {
                (subject(claims)?, None, Groups::Listed(Names::to_vec(other.groups.as_ref())))
            }
        };
        // Unknown groups are not the same as none: where nobody else knows them, the claim is left out of our tokens, and
        // whoever decides by it denies.
        let groups = match groups {
            Groups::Listed(groups) => Some(groups),
            Groups::TooMany => {
                tracing::info!(oid = subject.oid(), "too many groups for the ID token");
                None
            }
        };
        Ok(Person {
            subject,
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
            preferred_username: claims.preferred_username().map(|name| name.to_string()),
            roles: Names::to_vec(other.roles.as_ref()),
            groups,
            guest,
            auth_time: claims.auth_time().map(|at| Timestamp(at.timestamp())),
        })
    }
}

impl EntraRealm {
    fn new(entra: Entra, client_id: &str) -> Result<Self, SettingsError> {
        let Entra { authority, tenants, guests, graph } = entra;
        let (segment, tenants) = match tenants {
            Tenants::One(tenant) => (entra::guid(&tenant), vec![tenant]),
            Tenants::Several(tenants) => (Some(ORGANIZATIONS.to_owned()), tenants),
        };
        let segment = segment.ok_or(SettingsError::Tenant)?;
        let tenants: Option<Vec<_>> = tenants.iter().map(|tenant| entra::guid(tenant)).collect();
        let tenants = tenants.filter(|tenants| !tenants.is_empty()).ok_or(SettingsError::Tenant)?;
        let address = entra::issuer(&authority, &segment);
        let issuer = match segment.as_str() {
            ORGANIZATIONS => entra::issuer(&authority, entra::PLACEHOLDER),
            _ => address.clone(),
        };
        let graph = graph.map_or_else(|| Url::parse(cloud::graph(&authority)), Ok);
        let graph = graph.ok().filter(is_plain).ok_or(SettingsError::Address)?;
        let token_exchange = cloud::token_exchange(&authority);
        let mut admin_consent =
            authority.join(&format!("/{segment}/adminconsent")).map_err(|_| SettingsError::Address)?;
        admin_consent.query_pairs_mut().append_pair("client_id", client_id);
        Ok(Self { tenants, address, issuer, guests, graph, token_exchange, admin_consent })
    }

    /// The tenant, where there is but one.
    fn one(&self) -> Option<&str> {
        self.tenants.first().filter(|_| self.issuer == self.address).map(String::as_str)
    }

    fn lets_in(&self, is_guest: Option<bool>) -> Result<(), UpstreamError> {
        match is_guest {
            _ if self.guests => Ok(()),
            Some(false) => Ok(()),
            Some(true) => Err(guest("the person is a guest of the tenant")),
            None => Err(guest_unknown("the ID token has no claim acct")),
        }
    }
}

fn is_plain(address: &Url) -> bool {
    is_safe(address) && address.query().is_none() && address.fragment().is_none() && !has_user(address)
}

fn subject(claims: &Claims) -> Result<Subject, UpstreamError> {
    let sub = claims.subject().to_string();
    match sub {
        sub if sub.is_empty() => Err(invalid("the ID token names nobody")),
        // MCP servers are told `sub`, and would take the person for a key.
        sub if sub.starts_with("key:") => Err(invalid("the ID token calls a person as API keys are called")),
        sub => Ok(Subject::Oidc { sub }),
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_address_is_https_or_this_machine() {
        let oidc = |text: &str| Realm::new(Kind::Oidc { issuer: url(text) }, "c");
        for good in
            ["https://idp.example/a", "http://127.0.0.1:1/oidc", "http://localhost:1", "http://[::1]:1"]
        {
            assert!(oidc(good).is_ok(), "{good}");
        }
        for bad in [
            "http://idp.example",
            "http://127.0.0.1.example",
            "ftp://idp.example",
            "https://u:p@idp.example",
            "https://idp.example?a=b",
            "https://idp.example#a",
        ] {
            assert!(matches!(oidc(bad), Err(SettingsError::Address)), "{bad}");
        }
    }

    #[test]
    fn a_tenant_is_a_guid() {
        let of = |tenants: Tenants| {
            let authority = url("https://login.microsoftonline.com");
            Realm::new(Kind::Entra(Entra { authority, tenants, guests: false, graph: None }), "c")
        };
        let entra = |tenant: &str| of(Tenants::One(tenant.into()));
        for bad in ["common", "organizations", "contoso.onmicrosoft.com", "", "../x"] {
            assert!(matches!(entra(bad), Err(SettingsError::Tenant)), "{bad}");
            assert!(matches!(of(Tenants::Several(vec![bad.into()])), Err(SettingsError::Tenant)), "{bad}");
        }
        assert!(matches!(of(Tenants::Several(Vec::new())), Err(SettingsError::Tenant)));
        let realm = entra("7D1B6F0A-0000-4000-8000-0000000000AA").unwrap();
        assert_eq!(
            realm.discovery_url(),
            "https://login.microsoftonline.com/7d1b6f0a-0000-4000-8000-0000000000aa/v2.0/.well-known/openid-configuration"
        );
    }

    #[test]
    fn an_issuer_may_end_in_a_slash_and_is_kept_as_published() {
        for configured in ["https://idp.example", "https://idp.example/"] {
            let realm = Realm::new(Kind::Oidc { issuer: url(configured) }, "c").unwrap();
            assert_eq!(realm.discovery_url(), "https://idp.example/.well-known/openid-configuration");
            for published in ["https://idp.example", "https://idp.example/"] {
                assert_eq!(realm.issuer(published).as_deref(), Some(published));
            }
            assert_eq!(realm.issuer("https://idp.example/other"), None);
        }
    }

    #[test]
    fn an_endpoint_has_the_scheme_of_the_settings() {
        let accepts = |issuer: &str, endpoint: &str| {
            Realm::new(Kind::Oidc { issuer: url(issuer) }, "c").unwrap().accepts(&url(endpoint))
        };
        assert!(accepts("https://idp.example", "https://tokens.example/t"));
        assert!(accepts("http://127.0.0.1:1", "http://127.0.0.1:2/t"));
        assert!(!accepts("https://idp.example", "http://idp.example/t"));
        assert!(!accepts("https://idp.example", "http://127.0.0.1/t"));
        assert!(!accepts("http://127.0.0.1:1", "http://idp.example/t"));
        assert!(!accepts("https://idp.example", "https://u@idp.example/t"));
    }
}
