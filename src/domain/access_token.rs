//! What an access token says (RFC 9068 §2.2), and what is known once it was judged.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::grant::Grant;
use crate::domain::grant::GrantId;
use crate::domain::person::UserKey;
use crate::domain::resource::Claim;
use crate::domain::time::Timestamp;
use crate::protocol::scope::Scopes;

/// Claims whose signature is right and nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnverifiedClaims {
    pub iss: String,
    /// `tid:oid`, or another provider's own `sub`.
    pub sub: String,
    pub aud: String,
    pub exp: Timestamp,
    pub iat: Timestamp,
    pub nbf: Timestamp,
    pub jti: String,
    /// The grant.
    pub sid: String,
    pub client_id: String,
    pub scope: String,
    pub oid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// What makes one token of a grant another's neighbour.
pub struct Minted<'a> {
    pub iss: &'a str,
    pub aud: &'a str,
    pub iat: Timestamp,
    pub exp: Timestamp,
    pub jti: String,
    pub scopes: &'a Scopes,
    /// Claims that the resource asks for.
    pub claims: &'a [Claim],
}

impl UnverifiedClaims {
    /// The claims of a token for this grant.
    #[must_use]
    pub fn of(grant: &Grant, minted: Minted<'_>) -> Self {
        let person = &grant.body.person;
        let wants = |claim| minted.claims.contains(&claim);
        Self {
            iss: minted.iss.to_owned(),
            sub: person.subject.sub(),
            aud: minted.aud.to_owned(),
            exp: minted.exp,
            iat: minted.iat,
            nbf: minted.iat,
            jti: minted.jti,
            sid: grant.id.to_string(),
            client_id: grant.body.client_id.to_string(),
            scope: minted.scopes.to_string(),
            oid: person.subject.oid().to_owned(),
            tid: person.subject.tid().map(str::to_owned),
            auth_time: person.auth_time,
            name: person.name.clone().filter(|_| wants(Claim::Name)),
            preferred_username: person.preferred_username.clone().filter(|_| wants(Claim::PreferredUsername)),
            roles: wants(Claim::Roles).then(|| person.roles.clone()),
            groups: person.groups.clone().filter(|_| wants(Claim::Groups)),
        }
    }

    /// The same caller's claims in a token for another audience.
    #[must_use]
    pub fn readdressed(&self, aud: &str, iat: Timestamp, exp: Timestamp, jti: String) -> Self {
        Self { aud: aud.to_owned(), iat, nbf: iat, exp, jti, ..self.clone() }
    }

    /// The grant that the token was made from.
    #[must_use]
    pub fn grant(&self) -> Option<(UserKey, GrantId)> {
        let subject = match &self.tid {
            Some(_) => self.sub.clone(),
            None => format!("oidc:{}", self.sub),
        };
        GrantId::parse(&self.sid).map(|id| (UserKey::of(&subject), id))
    }
}

/// A caller whose token holds: signature, audience, time, and a grant that is not revoked.
#[derive(Clone, Debug)]
pub struct Caller {
    claims: UnverifiedClaims,
}

impl Caller {
    /// Only `flows::verify` has done the checks that this type stands for.
    #[must_use]
    pub(crate) fn vouched(claims: UnverifiedClaims) -> Self {
        Self { claims }
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &UnverifiedClaims {
        &self.claims
    }
}
