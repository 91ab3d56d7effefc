//! The documents by which a client discovers us (RFC 8414, RFC 9728).

use serde::Serialize;

use crate::protocol::client_auth::SERVED_ALGS;
use crate::protocol::issuer::Issuer;
use crate::protocol::scope::Scopes;

/// Where everything is. One table: the router and the metadata are made from it.
pub mod path {
    /// RFC 6749 §3.1.
    pub const AUTHORIZE: &str = "/authorize";
    /// Where the consent form is sent.
    pub const CONSENT: &str = "/consent";
    /// Our one redirect URI at the identity provider.
    pub const CALLBACK: &str = "/auth/callback";
    /// RFC 6749 §3.2.
    pub const TOKEN: &str = "/token";
    /// RFC 7591 §3.
    pub const REGISTER: &str = "/register";
    /// RFC 7009 §2.
    pub const REVOKE: &str = "/revoke";
    /// RFC 7517 §5.
    pub const JWKS: &str = "/.well-known/jwks.json";
    /// RFC 8414 §3.
    pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
    /// OpenID Connect Discovery 1.0 §4.
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// RFC 9728 §3.
    pub const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";
    /// The process runs.
    pub const LIVE: &str = "/healthz/live";
    /// Keys and store were reached.
    pub const READY: &str = "/healthz/ready";
}

/// Authorization server metadata (RFC 8414 §2).
#[derive(Clone, Debug, Serialize)]
pub struct AuthorizationServerMetadata {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    /// Absent where clients may not register themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    pub revocation_endpoint: String,
    pub jwks_uri: String,
    pub scopes_supported: Vec<String>,
    pub response_types_supported: [&'static str; 1],
    pub response_modes_supported: [&'static str; 1],
    pub grant_types_supported: [&'static str; 2],
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// RFC 8414 §2 wants it wherever `private_key_jwt` is supported.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    pub revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub revocation_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    /// draft-ietf-oauth-client-id-metadata-document §5.
    pub client_id_metadata_document_supported: bool,
    pub code_challenge_methods_supported: [&'static str; 1],
    /// RFC 9207 §3.
    pub authorization_response_iss_parameter_supported: bool,
    /// RFC 9728 §4: the resources behind this issuer.
    pub protected_resources: Vec<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenIdMembers>,
}

/// Members that OpenID Connect Discovery 1.0 §3 requires. Clients that look under
/// `openid-configuration` insist on them; no ID token is issued to clients.
#[derive(Clone, Debug, Serialize)]
pub struct OpenIdMembers {
    pub subject_types_supported: [&'static str; 1],
    pub id_token_signing_alg_values_supported: [&'static str; 1],
}

/// How clients may come to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introductions {
    /// They may register themselves (RFC 7591).
    pub registration: bool,
    /// They may be described by the document at the address that is their id.
    pub documents: bool,
    /// One of them at least may authenticate by a key.
    pub keys: bool,
}

impl AuthorizationServerMetadata {
    /// `scopes` are those of all resources, in the order of the configuration: some clients ask for
    /// all of them, whole and in order.
    #[must_use]
    pub fn new(
        issuer: &Issuer,
        scopes: &Scopes,
        protected_resources: Vec<String>,
        Introductions { registration, documents, keys }: Introductions,
    ) -> Self {
        let methods = || {
            let by_key = keys.then_some("private_key_jwt");
            ["none", "client_secret_basic", "client_secret_post"].into_iter().chain(by_key).collect()
        };
        let algorithms: &[&str] = if keys { &SERVED_ALGS } else { &[] };
        Self {
            issuer: issuer.to_string(),
            authorization_endpoint: issuer.at(path::AUTHORIZE),
            token_endpoint: issuer.at(path::TOKEN),
            registration_endpoint: registration.then(|| issuer.at(path::REGISTER)),
            revocation_endpoint: issuer.at(path::REVOKE),
            jwks_uri: issuer.at(path::JWKS),
            scopes_supported: scopes.iter().map(str::to_owned).collect(),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: ["authorization_code", "refresh_token"],
            token_endpoint_auth_methods_supported: methods(),
            token_endpoint_auth_signing_alg_values_supported: algorithms,
            revocation_endpoint_auth_methods_supported: methods(),
            revocation_endpoint_auth_signing_alg_values_supported: algorithms,
            client_id_metadata_document_supported: documents,
            code_challenge_methods_supported: ["S256"],
            authorization_response_iss_parameter_supported: true,
            protected_resources,
            openid: None,
        }
    }

    /// The same document for those who look for an OpenID provider.
    #[must_use]
    pub fn for_openid(self) -> Self {
        let members = OpenIdMembers {
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: ["RS256"],
        };
        Self { openid: Some(members), ..self }
    }
}

/// Protected resource metadata (RFC 9728 §2).
#[derive(Clone, Debug, Serialize)]
pub struct ProtectedResourceMetadata {
    pub resource: String,
    pub resource_name: String,
    pub authorization_servers: [String; 1],
    pub scopes_supported: Vec<String>,
    pub bearer_methods_supported: [&'static str; 1],
}

impl ProtectedResourceMetadata {
    /// `resource` is the identifier, exactly as clients type it.
    #[must_use]
    pub fn new(issuer: &Issuer, resource: &str, name: &str, scopes: &Scopes) -> Self {
        Self {
            resource: resource.to_owned(),
            resource_name: name.to_owned(),
            authorization_servers: [issuer.to_string()],
            scopes_supported: scopes.iter().map(str::to_owned).collect(),
            bearer_methods_supported: ["header"],
        }
    }
}
