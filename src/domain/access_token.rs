//! What an access token says (RFC 9068 §2.2).

use serde::Deserialize;
use serde::Serialize;

use crate::domain::api_key::ApiKey;
use crate::domain::api_key::Secret;
use crate::domain::grant::Grant;
use crate::domain::grant::GrantId;
use crate::domain::person::Person;
use crate::domain::person::UserKey;
use crate::domain::resource::Claim;
use crate::domain::time::Timestamp;
use crate::protocol::scope::Scopes;

/// Claims whose signature is right and nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnverifiedClaims {
    pub iss: String,
    /// `tid:oid`, or another provider's own `sub`, or an API key's `key:…`.
    pub sub: String,
    pub aud: String,
    pub exp: Timestamp,
    pub iat: Timestamp,
    pub nbf: Timestamp,
    pub jti: String,
    /// The grant. Absent where an API key takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    pub client_id: String,
    pub scope: String,
    /// The person. An API key is none, and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
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
    /// Bytes that they take in memory, roughly.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = [&self.iss, &self.sub, &self.aud, &self.jti, &self.client_id, &self.scope];
        let ids = self.sid.iter().chain(&self.oid).chain(&self.tid);
        let more = ids.chain(&self.name).chain(&self.preferred_username);
        let lists = self.roles.iter().flatten().chain(self.groups.iter().flatten());
        let all = texts.into_iter().chain(more).chain(lists);
        all.map(|text| size_of::<String>() + text.len()).sum::<usize>() + size_of::<Self>()
    }

    /// The claims of a token for this grant.
    #[must_use]
    pub fn of(grant: &Grant, minted: Minted<'_>) -> Self {
        let person = &grant.body.person;
        let claims = Self {
            iss: minted.iss.to_owned(),
            sub: person.subject.sub(),
            aud: minted.aud.to_owned(),
            exp: minted.exp,
            iat: minted.iat,
            nbf: minted.iat,
            jti: minted.jti,
            sid: Some(grant.id.to_string()),
            client_id: grant.body.client_id.to_string(),
            scope: minted.scopes.to_string(),
            oid: Some(person.subject.oid().to_owned()),
            tid: person.subject.tid().map(str::to_owned),
            auth_time: person.auth_time,
            name: None,
            preferred_username: None,
            roles: None,
            groups: None,
        };
        claims.about(person, minted.claims)
    }

    /// The claims of an API key. They end with the secret that was presented.
    #[must_use]
    pub fn of_key(key: &ApiKey, secret: &Secret, iss: &str) -> Self {
        let name = key.id.to_string();
        Self {
            iss: iss.to_owned(),
            aud: key.body.resource.clone(),
            exp: secret.until,
            iat: secret.made_at,
            nbf: secret.made_at,
            jti: format!("{name}/{}/{}", secret.made_at, secret.until),
            sid: None,
            client_id: name.clone(),
            sub: name,
            scope: key.body.scopes.to_string(),
            oid: None,
            tid: None,
            auth_time: None,
            name: None,
            preferred_username: None,
            roles: None,
            groups: None,
        }
    }

    /// The same claims, with what is known of the person now, as far as a resource asks for it.
    #[must_use]
    pub fn about(self, person: &Person, claims: &[Claim]) -> Self {
        let wants = |claim| claims.contains(&claim);
        Self {
            name: person.name.clone().filter(|_| wants(Claim::Name)),
            preferred_username: person.preferred_username.clone().filter(|_| wants(Claim::PreferredUsername)),
            roles: wants(Claim::Roles).then(|| person.roles.clone()),
            groups: person.groups.clone().filter(|_| wants(Claim::Groups)),
            ..self
        }
    }

    /// The grant that the token was made from.
    #[must_use]
    pub fn grant(&self) -> Option<(UserKey, GrantId)> {
        GrantId::parse(self.sid.as_deref()?).map(|id| (UserKey::of(&self.subject_key()), id))
    }

    /// The key of whom it is about ([`Subject::key`](crate::domain::person::Subject::key)), or the name of an API key.
    #[must_use]
    pub fn subject_key(&self) -> String {
        match (&self.tid, &self.oid) {
            (None, Some(_)) => format!("oidc:{}", self.sub),
            _ => self.sub.clone(),
        }
    }
}
