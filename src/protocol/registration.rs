//! Dynamic client registration (RFC 7591): what a client says of itself, and what it is told.

use serde::Serialize;
use serde_json::Value;

use crate::protocol::client_auth::AuthMethod;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

/// Longer names are cut: a name is shown on a page and lies in every client id.
pub const MAX_NAME_CHARS: usize = 80;

/// Why a registration is refused (RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRegistrable {
    /// The body is not a JSON object, or a member that we need has another type.
    Malformed,
    /// No redirect URI that we could ever send a code to.
    NoRedirectUri,
    /// An authentication method that we do not serve.
    AuthMethod,
}

/// Client metadata (RFC 7591 §2), reduced to what we use.
///
/// Members that we do not know, `null`s, and grant or response types that we do not serve are passed
/// over: VS Code registers `device_code`, MCP Inspector sends `contacts: null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    pub client_name: String,
    /// Those that are acceptable; the others are left out, since one bad one among good ones
    /// (Cursor's private scheme) must not lock a client out.
    pub redirect_uris: Vec<RedirectUri>,
    pub token_endpoint_auth_method: AuthMethod,
    pub scope: Scopes,
}

impl ClientMetadata {
    /// Reads the body of a registration request.
    pub fn read(body: &Value) -> Result<Self, NotRegistrable> {
        let members = body.as_object().ok_or(NotRegistrable::Malformed)?;
        let text = |name| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(NotRegistrable::Malformed),
        };
        let offered = members.get("redirect_uris").and_then(Value::as_array);
        let mut redirect_uris: Vec<RedirectUri> = Vec::new();
        for uri in offered.into_iter().flatten().filter_map(Value::as_str).filter_map(RedirectUri::parse) {
            if !redirect_uris.contains(&uri) {
                redirect_uris.push(uri);
            }
        }
        if redirect_uris.is_empty() {
            return Err(NotRegistrable::NoRedirectUri);
        }
        // Omitted means public here: the RFC's default, client_secret_basic, would hand a secret to
        // native clients that never asked for one and cannot keep it.
        let method = text("token_endpoint_auth_method")?.map_or(Some(AuthMethod::None), AuthMethod::parse);
        Ok(Self {
            client_name: shown_name(text("client_name")?.unwrap_or_default()),
            redirect_uris,
            token_endpoint_auth_method: method.ok_or(NotRegistrable::AuthMethod)?,
            scope: Scopes::parse(text("scope")?.unwrap_or_default()),
        })
    }
}

/// A name without control characters, at most [`MAX_NAME_CHARS`] long, runs of white space as one.
fn shown_name(name: &str) -> String {
    let words: Vec<&str> = name.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let spaced = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    spaced.chars().take(MAX_NAME_CHARS).collect()
}

/// The registration response (RFC 7591 §3.2.1). It may hold a secret: it has no `Debug`.
#[derive(Serialize)]
pub struct RegistrationResponse {
    pub client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// 0: it does not expire. Present exactly when there is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_name: String,
    pub redirect_uris: Vec<RedirectUri>,
    pub token_endpoint_auth_method: AuthMethod,
    pub grant_types: [&'static str; 2],
    pub response_types: [&'static str; 1],
    /// `native` when every redirect URI is on loopback, else `web` (OpenID Connect Registration §2).
    pub application_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

impl RegistrationResponse {
    /// Says what was granted, which may be less than what was asked.
    #[must_use]
    pub fn new(client_id: String, client_secret: Option<String>, granted: ClientMetadata) -> Self {
        let native = granted.redirect_uris.iter().all(RedirectUri::is_loopback);
        Self {
            client_id,
            client_secret_expires_at: client_secret.as_ref().map(|_| 0),
            client_secret,
            client_name: granted.client_name,
            redirect_uris: granted.redirect_uris,
            token_endpoint_auth_method: granted.token_endpoint_auth_method,
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code"],
            application_type: if native { "native" } else { "web" },
            scope: granted.scope.to_string(),
        }
    }
}
