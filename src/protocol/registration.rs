//! Dynamic client registration (RFC 7591): what a client says of itself, and what it is told.

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::protocol::client_auth::AuthMethod;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

/// More redirect URIs are refused: real clients register five at most.
pub const MAX_REDIRECT_URIS: usize = 32;

/// Longer names are cut: a name is shown on a page and lies in every client id.
pub const MAX_NAME_CHARS: usize = 80;

/// Why a registration is refused (RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRegistrable {
    /// The body is not a JSON object, or a member that we need has another type.
    Malformed,
    /// No redirect URI that we could ever send a code to.
    NoRedirectUri,
    /// More than [`MAX_REDIRECT_URIS`].
    TooManyRedirectUris,
    /// An authentication method that we do not serve.
    AuthMethod,
}

/// What kind of application it is (OpenID Connect Dynamic Client Registration 1.0 §2). Nothing here depends on it:
/// the default of that document, `web`, would refuse the loopback URIs of every native client that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplicationType {
    Native,
    Web,
}

/// Client metadata (RFC 7591 §2), reduced to what we use.
///
/// Members that we do not know, `null`s, and grant or response types that we do not serve are passed
/// over: VS Code registers `device_code` where the server does not say what it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    pub client_name: String,
    /// Those that are acceptable; the others are left out, since one bad one among good ones
    /// (Cursor's private scheme) must not lock a client out.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it asks for, where it asks.
    pub token_endpoint_auth_method: Option<AuthMethod>,
    pub application_type: ApplicationType,
    pub scope: Scopes,
}

impl ClientMetadata {
    /// Reads the body of a registration request, or a document that says the same. `served` are the methods that
    /// may be asked for there; `acceptable` may refuse more redirect URIs.
    pub fn read(
        body: &Value,
        served: &[AuthMethod],
        acceptable: impl Fn(&RedirectUri) -> bool,
    ) -> Result<Self, NotRegistrable> {
        let members = body.as_object().ok_or(NotRegistrable::Malformed)?;
        let text = |name| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(NotRegistrable::Malformed),
        };
        let offered = members.get("redirect_uris").and_then(Value::as_array);
        if offered.is_some_and(|uris| uris.len() > MAX_REDIRECT_URIS) {
            return Err(NotRegistrable::TooManyRedirectUris);
        }
        let mut redirect_uris: Vec<RedirectUri> = Vec::new();
        for uri in offered.into_iter().flatten().filter_map(Value::as_str).filter_map(RedirectUri::parse) {
            if acceptable(&uri) && !redirect_uris.contains(&uri) {
                redirect_uris.push(uri);
            }
        }
        if redirect_uris.is_empty() {
            return Err(NotRegistrable::NoRedirectUri);
        }
        Ok(Self {
            client_name: shown_name(text("client_name")?.unwrap_or_default()),
            application_type: application_type(members.get("application_type"), &redirect_uris),
            redirect_uris,
            token_endpoint_auth_method: auth_method(text("token_endpoint_auth_method")?, members, served)?,
            scope: Scopes::parse(text("scope")?.unwrap_or_default()),
        })
    }
}

/// The method that it asks for. One that we do not serve is replaced by one of those that it supports as well:
/// ChatGPT asks for `private_key_jwt` and lists `none` beside it.
fn auth_method(
    asked: Option<&str>,
    members: &Map<String, Value>,
    served: &[AuthMethod],
) -> Result<Option<AuthMethod>, NotRegistrable> {
    let Some(asked) = asked.filter(|name| !name.is_empty()) else { return Ok(None) };
    let listed = members.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
    let others = listed.into_iter().flatten().filter_map(Value::as_str);
    let mut named = [asked].into_iter().chain(others);
    named.find_map(|name| AuthMethod::parse(name, served)).map(Some).ok_or(NotRegistrable::AuthMethod)
}

/// As the client says, or as its redirect URIs tell.
fn application_type(said: Option<&Value>, redirect_uris: &[RedirectUri]) -> ApplicationType {
    match said.and_then(Value::as_str) {
        Some("native") => ApplicationType::Native,
        Some("web") => ApplicationType::Web,
        _ if redirect_uris.iter().any(RedirectUri::is_on_this_machine) => ApplicationType::Native,
        _ => ApplicationType::Web,
    }
}

/// What turns the direction of the text around it (Unicode's `Bidi_Control`), or has no width: a name with it reads
/// as another.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A name without what is not seen, at most [`MAX_NAME_CHARS`] long, runs of white space as one.
fn shown_name(name: &str) -> String {
    let unseen = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    let words: Vec<&str> = name.split(unseen).collect();
    let spaced = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let cut: String = spaced.chars().take(MAX_NAME_CHARS).collect();
    // Registered again as it was answered, it has to be the same.
    cut.trim_end().to_owned()
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
    pub application_type: ApplicationType,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

impl RegistrationResponse {
    /// Says what was granted, which may be less or other than what was asked (RFC 7591 §3.2.1): both grant types
    /// and the one response type are every client's, whatever it asked for.
    #[must_use]
    pub fn new(
        client_id: String,
        client_secret: Option<String>,
        method: AuthMethod,
        granted: ClientMetadata,
    ) -> Self {
        Self {
            client_id,
            client_secret_expires_at: client_secret.as_ref().map(|_| 0),
            client_secret,
            client_name: granted.client_name,
            redirect_uris: granted.redirect_uris,
            token_endpoint_auth_method: method,
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code"],
            application_type: granted.application_type,
            scope: granted.scope.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_method_is_the_first_that_is_asked_for_and_served() {
        const DOCUMENT: [AuthMethod; 2] = [AuthMethod::None, AuthMethod::PrivateKeyJwt];
        let read = |metadata: &Value, served: &[AuthMethod]| {
            let mut body = metadata.clone();
            body["redirect_uris"] = json!(["https://app.example/callback"]);
            ClientMetadata::read(&body, served, |_| true).map(|metadata| metadata.token_endpoint_auth_method)
        };
        let asks = |method: &str, listed: &[&str]| json!({ "token_endpoint_auth_method": method, "token_endpoint_auth_methods_supported": listed });
        let refused = Err(NotRegistrable::AuthMethod);
        for (metadata, registered, documented) in [
            (json!({}), Ok(None), Ok(None)),
            (asks("none", &[]), Ok(Some(AuthMethod::None)), Ok(Some(AuthMethod::None))),
            (asks("private_key_jwt", &[]), refused, Ok(Some(AuthMethod::PrivateKeyJwt))),
            // As ChatGPT does.
            (
                asks("private_key_jwt", &["none", "private_key_jwt"]),
                Ok(Some(AuthMethod::None)),
                Ok(Some(AuthMethod::PrivateKeyJwt)),
            ),
            (asks("client_secret_basic", &[]), Ok(Some(AuthMethod::ClientSecretBasic)), refused),
            (
                asks("client_secret_post", &["private_key_jwt"]),
                Ok(Some(AuthMethod::ClientSecretPost)),
                Ok(Some(AuthMethod::PrivateKeyJwt)),
            ),
            (asks("tls_client_auth", &["client_secret_jwt"]), refused, refused),
        ] {
            assert_eq!(read(&metadata, &AuthMethod::REGISTRABLE), registered, "{metadata}");
            assert_eq!(read(&metadata, &DOCUMENT), documented, "{metadata}");
        }
    }
}
