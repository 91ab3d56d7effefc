use url::Url;

use crate::domain::person::Person;
use crate::domain::person::Subject;
use crate::domain::time::Timestamp;
use crate::ports::idp::UpstreamError;

use super::Kind;
use super::SettingsError;
use super::aadsts;
use super::aadsts::Row;
use super::claims::Claims;
use super::claims::Names;
use super::entra;
use super::entra::Groups;
use super::failure::invalid;
use super::http_client::is_safe;

/// The provider that the settings name, and every way in which the two kinds differ.
pub(super) enum Realm {
    Entra {
        /// In lower case.
        tenant: String,
        issuer: String,
    },
    Oidc {
        issuer: Url,
    },
}

impl Realm {
    pub(super) fn new(kind: Kind) -> Result<Self, SettingsError> {
        let (Kind::Entra { authority: address, .. } | Kind::Oidc { issuer: address }) = &kind;
        let plain = address.query().is_none() && address.fragment().is_none() && !has_user(address);
        if !(is_safe(address) && plain) {
            return Err(SettingsError::Address);
        }
        match kind {
            Kind::Oidc { issuer } => Ok(Self::Oidc { issuer }),
            Kind::Entra { authority, tenant } => {
                let tenant = entra::guid(&tenant).ok_or(SettingsError::Tenant)?;
                let issuer = entra::issuer(&authority, &tenant);
                Ok(Self::Entra { tenant, issuer })
            }
        }
    }

    /// Where the metadata is (OpenID Connect Discovery 1.0 §4: the path is appended to the issuer).
    pub(super) fn discovery_url(&self) -> String {
        let issuer = match self {
            Self::Entra { issuer, .. } => issuer.as_str(),
            Self::Oidc { issuer } => issuer.as_str().trim_end_matches('/'),
        };
        format!("{issuer}/.well-known/openid-configuration")
    }

    /// The issuer that ID tokens have to name, if `published` in the metadata is ours (§4.3).
    pub(super) fn issuer(&self, published: &str) -> Option<String> {
        match self {
            Self::Entra { tenant, issuer } => {
                entra::is_issuer(published, issuer, tenant).then(|| issuer.clone())
            }
            // A URL type writes `https://idp.example` with a slash at its end; a provider may do either.
            Self::Oidc { issuer } => {
                let same = published.trim_end_matches('/') == issuer.as_str().trim_end_matches('/');
                same.then(|| published.to_owned())
            }
        }
    }

    /// Whether an endpoint may be used: by the scheme of the settings, and nothing else than TLS
    /// outside this machine.
    pub(super) fn accepts(&self, endpoint: &Url) -> bool {
        let scheme = match self {
            Self::Entra { issuer, .. } => issuer.split_once(':').map_or("https", |(scheme, _)| scheme),
            Self::Oidc { issuer } => issuer.scheme(),
        };
        is_safe(endpoint) && endpoint.scheme() == scheme && !has_user(endpoint)
    }

    /// `response_mode`, where it has to be said.
    pub(super) fn response_mode(&self) -> Option<&'static str> {
        match self {
            Self::Entra { .. } => Some("query"),
            Self::Oidc { .. } => None,
        }
    }

    /// Whether the secret goes into the form whatever the metadata offers.
    pub(super) fn posts_secret(&self) -> bool {
        matches!(self, Self::Entra { .. })
    }

    /// Whether a refresh without an ID token vouches for nobody. Entra sends one whenever `openid` was
    /// asked for; others need not (OpenID Connect Core 1.0 §12.2).
    pub(super) fn vouches_on_refresh(&self) -> bool {
        matches!(self, Self::Entra { .. })
    }

    /// Whether it may spend a refresh token when it is used. Entra gives a new one each time, and the old ones go on.
    pub(super) fn rotates(&self) -> bool {
        !matches!(self, Self::Entra { .. })
    }

    /// What an error number means. Another provider may pass on what an Entra behind it said, but that is
    /// about its registration there, not about ours here.
    pub(super) fn meaning(&self, code: u32) -> Option<&'static Row> {
        match self {
            Self::Entra { .. } => aadsts::row(code),
            Self::Oidc { .. } => None,
        }
    }

    /// Who the validated claims are about.
    pub(super) fn person(&self, claims: &Claims) -> Result<Person, UpstreamError> {
        let other = claims.additional_claims();
        let (subject, groups) = match self {
            Self::Entra { tenant, .. } => (entra::subject(claims, tenant)?, entra::groups(claims)),
            Self::Oidc { .. } => (subject(claims)?, Groups::Listed(Names::to_vec(other.groups.as_ref()))),
        };
        // Unknown groups are not the same as none: the claim is left out of our tokens, whoever decides by
        // it denies, and this line says why.
        let groups = match groups {
            Groups::Listed(groups) => Some(groups),
            Groups::TooMany => {
                tracing::warn!(oid = subject.oid(), "too many groups for the ID token: none are known");
                None
            }
        };
        Ok(Person {
            subject,
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
            preferred_username: claims.preferred_username().map(|name| name.to_string()),
            roles: Names::to_vec(other.roles.as_ref()),
            groups,
            auth_time: claims.auth_time().map(|at| Timestamp(at.timestamp())),
        })
    }
}

fn subject(claims: &Claims) -> Result<Subject, UpstreamError> {
    let sub = claims.subject().to_string();
    if sub.is_empty() { Err(invalid("the ID token names nobody")) } else { Ok(Subject::Oidc { sub }) }
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
        let oidc = |text: &str| Realm::new(Kind::Oidc { issuer: url(text) });
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
        let entra = |tenant: &str| {
            let authority = url("https://login.microsoftonline.com");
            Realm::new(Kind::Entra { authority, tenant: tenant.into() })
        };
        for bad in ["common", "organizations", "contoso.onmicrosoft.com", "", "../x"] {
            assert!(matches!(entra(bad), Err(SettingsError::Tenant)), "{bad}");
        }
        let realm = entra("7D1B6F0A-0000-4000-8000-0000000000AA").unwrap();
        assert_eq!(
            realm.discovery_url(),
            "https://login.microsoftonline.com/7d1b6f0a-0000-4000-8000-0000000000aa/v2.0/.well-known/openid-configuration"
        );
    }

    #[test]
    fn an_issuer_may_end_in_a_slash_and_is_kept_as_published() {
        for configured in ["https://idp.example", "https://idp.example/"] {
            let realm = Realm::new(Kind::Oidc { issuer: url(configured) }).unwrap();
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
            Realm::new(Kind::Oidc { issuer: url(issuer) }).unwrap().accepts(&url(endpoint))
        };
        assert!(accepts("https://idp.example", "https://tokens.example/t"));
        assert!(accepts("http://127.0.0.1:1", "http://127.0.0.1:2/t"));
        assert!(!accepts("https://idp.example", "http://idp.example/t"));
        assert!(!accepts("https://idp.example", "http://127.0.0.1/t"));
        assert!(!accepts("http://127.0.0.1:1", "http://idp.example/t"));
        assert!(!accepts("https://idp.example", "https://u@idp.example/t"));
    }
}
