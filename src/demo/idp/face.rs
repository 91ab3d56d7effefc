use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::keys;
use super::person::Person;
use super::script::Endpoint;

/// As many groups as an ID token of Entra has room for.
const MAX_GROUPS: usize = 200;
/// Where the claim says that more groups are: a service that is gone, as it is at Entra.
const OLD_GRAPH: &str = "https://graph.windows.net";

/// How the server behaves: as Entra ID or as a plain OpenID provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    Entra,
    Oidc,
}

/// Where a request went: a face, and on the Entra face the first segment of the path, which is a tenant
/// or an alias for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub face: Face,
    authority: String,
    pub segment: String,
}

impl Site {
    pub fn entra(authority: &str, tenant: &str) -> Self {
        Self { face: Face::Entra, authority: authority.to_owned(), segment: tenant.to_owned() }
    }

    pub fn oidc(authority: &str) -> Self {
        Self { face: Face::Oidc, authority: authority.to_owned(), segment: "oidc".to_owned() }
    }

    /// What a path names. A path that names nothing is answered in plain OAuth.
    pub fn route(authority: &str, path: &str) -> (Self, Endpoint) {
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let (tenant, endpoint) = match *segments.as_slice() {
            ["oidc", ".well-known", "openid-configuration"] => (None, Endpoint::Discovery),
            ["oidc", "jwks"] => (None, Endpoint::Keys),
            ["oidc", "authorize"] => (None, Endpoint::Authorize),
            ["oidc", "pick"] => (None, Endpoint::Pick),
            ["oidc", "token"] => (None, Endpoint::Token),
            ["v1.0", "me", "getMemberObjects"] => (None, Endpoint::MemberObjects),
            [tenant, "v2.0", ".well-known", "openid-configuration"] => (Some(tenant), Endpoint::Discovery),
            [tenant, "discovery", "v2.0", "keys"] => (Some(tenant), Endpoint::Keys),
            [tenant, "oauth2", "v2.0", "authorize"] => (Some(tenant), Endpoint::Authorize),
            [tenant, "oauth2", "v2.0", "pick"] => (Some(tenant), Endpoint::Pick),
            [tenant, "oauth2", "v2.0", "token"] => (Some(tenant), Endpoint::Token),
            _ => (None, Endpoint::Unknown),
        };
        match tenant {
            Some(tenant) => (Self::entra(authority, tenant), endpoint),
            None => (Self::oidc(authority), endpoint),
        }
    }

    /// Whether the path names all tenants at once.
    pub fn is_every_tenant(&self) -> bool {
        self.face == Face::Entra && matches!(self.segment.as_str(), "organizations" | "common")
    }

    /// Whether a person can sign in here.
    pub fn admits(&self, person: &Person) -> bool {
        self.face == Face::Oidc || self.is_every_tenant() || person.tid == self.segment
    }

    /// The issuer as the metadata states it: for all tenants at once, Entra's is a template.
    pub fn issuer(&self) -> String {
        match self.face {
            Face::Entra if self.is_every_tenant() => format!("{}/{{tenantid}}/v2.0", self.authority),
            Face::Entra => format!("{}/{}/v2.0", self.authority, self.segment),
            Face::Oidc => format!("{}/oidc", self.authority),
        }
    }

    /// Where codes and refresh tokens are redeemed, and whom client assertions are for.
    pub fn token_endpoint(&self) -> String {
        self.oauth_url("token")
    }

    /// Where the sign-in page posts to.
    pub fn pick_url(&self) -> String {
        self.oauth_url("pick")
    }

    /// The page that explains an AADSTS code, which does not exist here.
    pub fn error_uri(&self, code: u32) -> String {
        format!("{}/error?code={code}", self.authority)
    }

    /// The metadata (OpenID Connect Discovery §3). Like Entra's, that of its face does not mention PKCE.
    pub fn discovery(&self) -> Value {
        let mut metadata = json!({
            "issuer": self.issuer(),
            "authorization_endpoint": self.oauth_url("authorize"),
            "token_endpoint": self.token_endpoint(),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "token_endpoint_auth_methods_supported":
                ["client_secret_post", "client_secret_basic", "private_key_jwt"],
            "request_uri_parameter_supported": false,
        });
        match self.face {
            Face::Entra => {
                metadata["jwks_uri"] =
                    format!("{}/{}/discovery/v2.0/keys", self.authority, self.segment).into();
                metadata["subject_types_supported"] = json!(["pairwise"]);
                metadata["tenant_region_scope"] = "EU".into();
            }
            Face::Oidc => {
                metadata["jwks_uri"] = self.oauth_url("jwks").into();
                metadata["subject_types_supported"] = json!(["public"]);
                metadata["grant_types_supported"] = json!(["authorization_code", "refresh_token"]);
                metadata["code_challenge_methods_supported"] = json!(["S256"]);
            }
        }
        metadata
    }

    /// The key set (RFC 7517 §5). Entra's keys say whose tokens they may sign, and not their algorithm.
    pub fn key_set(&self, generation: u32) -> Value {
        let mut key = keys::jwk(generation);
        match self.face {
            Face::Entra => key.insert("issuer".to_owned(), self.issuer().into()),
            Face::Oidc => key.insert("alg".to_owned(), "RS256".into()),
        };
        json!({ "keys": [key] })
    }

    /// The claims about a person, without those about the sign-in.
    pub fn claims(&self, person: &Person, client_id: &str) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| {
            claims.insert(name.to_owned(), value);
        };
        match self.face {
            Face::Entra => {
                put("ver", "2.0".into());
                put("iss", Self::entra(&self.authority, &person.tid).issuer().into());
                put("sub", person.pairwise_sub(client_id).into());
                put("oid", person.oid.as_str().into());
                put("tid", person.tid.as_str().into());
                put("acct", u8::from(person.guest).into());
            }
            Face::Oidc => {
                put("iss", self.issuer().into());
                put("sub", person.public_sub().into());
            }
        }
        put("aud", client_id.into());
        put("name", person.name.as_str().into());
        put("preferred_username", person.preferred_username.as_str().into());
        if !person.roles.is_empty() {
            put("roles", json!(person.roles));
        }
        if self.face == Face::Entra && person.groups.len() > MAX_GROUPS {
            put("_claim_names", json!({ "groups": "src1" }));
            let endpoint = format!("{}/{}/users/{}/getMemberObjects", OLD_GRAPH, person.tid, person.oid);
            put("_claim_sources", json!({ "src1": { "endpoint": endpoint } }));
        } else if !person.groups.is_empty() {
            put("groups", json!(person.groups));
        }
        claims
    }

    fn oauth_url(&self, name: &str) -> String {
        match self.face {
            Face::Entra => format!("{}/{}/oauth2/v2.0/{name}", self.authority, self.segment),
            Face::Oidc => format!("{}/oidc/{name}", self.authority),
        }
    }
}
