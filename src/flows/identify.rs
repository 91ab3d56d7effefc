//! What the gateway tells an MCP server of a caller, in place of the client's token.
//!
//! The audience of the token is the upstream URL: it is of no use at this gateway, nor at any other server.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use http::HeaderValue;
use moka::sync::Cache;
use serde_json::Value;
use serde_json::json;
use url::Url;

use crate::domain::access_token::UnverifiedClaims;
use crate::domain::forwarding::Identity;
use crate::domain::person::Person;
use crate::domain::policy::DOWNSTREAM_TOKEN;
use crate::domain::resource::Resource;
use crate::domain::signing::BadKey;
use crate::domain::signing_keys::SigningKeys;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::caller::Caller;

/// A cached token has to live at least this long still, for the sake of the server that checks it.
const MARGIN: Duration = Duration::from_secs(60);

/// Bytes of identities that need not be made again: some 30,000, where no groups are in them.
const REMEMBERED: u64 = 64 * 1024 * 1024;

/// The headers that say who calls.
pub struct Identified {
    /// To be put as they are.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// As it was when they were made.
    person: Option<Person>,
    until: Timestamp,
    /// Those that were known then: when they change, one of them may have been dropped.
    keys: Arc<SigningKeys>,
}

impl Identified {
    fn size(&self) -> u32 {
        let headers: usize = self.headers.iter().map(|(_, value)| value.len() + 64).sum();
        u32::try_from(headers + self.person.as_ref().map_or(0, Person::size) + 512).unwrap_or(u32::MAX)
    }
}

/// What was made, by the `jti` of the access token that it stands for, so that a request costs no signature.
pub(in crate::flows) struct Identities(Cache<String, Arc<Identified>>);

impl Default for Identities {
    fn default() -> Self {
        let size = |jti: &String, made: &Arc<Identified>| {
            made.size().saturating_add(u32::try_from(jti.len()).unwrap_or(u32::MAX))
        };
        Self(Cache::builder().weigher(size).max_capacity(REMEMBERED).time_to_live(DOWNSTREAM_TOKEN).build())
    }
}

impl AuthServer {
    /// The caller's identity for the server at `upstream`, in the forms that the resource wants. What the identity
    /// provider says of the person meanwhile takes the place of what it said before.
    pub fn identified(
        &self,
        caller: &Caller,
        resource: &Resource,
        upstream: &Url,
    ) -> Result<Arc<Identified>, BadKey> {
        let now = self.now();
        let cache = &self.0.identities.0;
        let (claims, person) = (caller.credential.claims(), &caller.holder.person);
        let keys = self.signing_keys();
        let lasts = |made: &Arc<Identified>| {
            (now.plus(MARGIN) <= made.until || made.until == claims.exp) && Arc::ptr_eq(&made.keys, &keys)
        };
        if let Some(made) = cache.get(&claims.jti).filter(|made| lasts(made) && made.person == *person) {
            return Ok(made);
        }
        // Nothing that it stands for ends before it.
        let until = now.plus(DOWNSTREAM_TOKEN).min(claims.exp);
        let said = UnverifiedClaims {
            aud: upstream.as_str().to_owned(),
            scope: caller.credential.scopes().to_string(),
            iat: now,
            nbf: now,
            exp: until,
            jti: self.token_id(),
            ..claims.clone()
        };
        let said = match person {
            Some(person) => said.about(person, &resource.claims),
            None => said,
        };
        let mut headers: Vec<(&'static str, String)> = Vec::new();
        for form in &resource.forwarding.identity {
            match form {
                Identity::Token => {
                    let token = keys.active(now).sign(&said)?;
                    headers.push(("authorization", format!("Bearer {token}")));
                }
                Identity::Headers => headers.extend(plain(&said, person.as_ref())),
                Identity::EasyAuth => headers.extend(easy_auth(&said, person.as_ref())),
            }
        }
        let headers = headers.into_iter().map(ready).collect();
        let made = Arc::new(Identified { headers, person: person.clone(), until, keys });
        cache.insert(claims.jti.clone(), Arc::clone(&made));
        Ok(made)
    }

    /// A `jti`.
    pub(in crate::flows) fn token_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.random::<16>())
    }
}

/// Nothing of it is in a log or a table of compressed headers.
fn ready((name, text): (&'static str, String)) -> (HeaderName, HeaderValue) {
    let mut value = HeaderValue::try_from(text).expect("what is encoded is visible ASCII");
    value.set_sensitive(true);
    (HeaderName::from_static(name), value)
}

/// One header for each thing. What a header cannot hold is percent-encoded, as UTF-8.
fn plain(said: &UnverifiedClaims, person: Option<&Person>) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("x-entrada-sub", encoded(&said.sub)),
        ("x-entrada-client", encoded(&said.client_id)),
        ("x-entrada-scope", encoded(&said.scope)),
    ];
    headers.extend(said.oid.as_deref().map(|oid| ("x-entrada-oid", encoded(oid))));
    headers.extend(said.tid.as_deref().map(|tid| ("x-entrada-tid", encoded(tid))));
    let name = person.and_then(|person| person.name.as_deref());
    headers.extend(name.map(|name| ("x-entrada-name", encoded(name))));
    headers
}

/// As Azure App Service sends them (`X-MS-CLIENT-PRINCIPAL`: JSON in base64, with the claims in a list).
fn easy_auth(said: &UnverifiedClaims, person: Option<&Person>) -> Vec<(&'static str, String)> {
    let claim = |typ: &str, val: &str| json!({ "typ": typ, "val": val });
    let mut claims: Vec<Value> = vec![
        claim("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", &said.sub),
        claim("azp", &said.client_id),
        claim("http://schemas.microsoft.com/identity/claims/scope", &said.scope),
    ];
    let object = "http://schemas.microsoft.com/identity/claims/objectidentifier";
    claims.extend(said.oid.as_deref().map(|oid| claim(object, oid)));
    let tenant = "http://schemas.microsoft.com/identity/claims/tenantid";
    claims.extend(said.tid.as_deref().map(|tid| claim(tenant, tid)));
    let name = person.and_then(|person| person.name.as_deref());
    let preferred = person.and_then(|person| person.preferred_username.as_deref());
    claims.extend(name.map(|name| claim("name", name)));
    claims.extend(preferred.map(|name| claim("preferred_username", name)));
    claims.extend(said.roles.iter().flatten().map(|role| claim("roles", role)));
    claims.extend(said.groups.iter().flatten().map(|group| claim("groups", group)));
    let id = said.oid.as_deref().unwrap_or(&said.sub);
    // Nobody has signed in where an API key is.
    let provider = if person.is_some() { "aad" } else { "entrada" };
    let principal =
        json!({ "auth_typ": provider, "claims": claims, "name_typ": "name", "role_typ": "roles" });
    vec![
        ("x-ms-client-principal", STANDARD.encode(principal.to_string())),
        ("x-ms-client-principal-id", encoded(id)),
        ("x-ms-client-principal-name", encoded(preferred.or(name).unwrap_or(id))),
        ("x-ms-client-principal-idp", provider.to_owned()),
    ]
}

/// Visible ASCII and single spaces within as they are, `%` and everything else percent-encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let inner_space = byte == b' ' && at != 0 && at != last;
        if (byte.is_ascii_graphic() && byte != b'%') || inner_space {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
