//! How a client authenticates at the token and revocation endpoints (RFC 6749 §2.3).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use url::form_urlencoded;

use crate::protocol::parameters::Parameters;

/// `token_endpoint_auth_method` (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: it proves itself by PKCE alone.
    None,
    ClientSecretBasic,
    ClientSecretPost,
}

impl AuthMethod {
    /// `None` when we do not serve the method.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "client_secret_basic" => Some(Self::ClientSecretBasic),
            "client_secret_post" => Some(Self::ClientSecretPost),
            _ => None,
        }
    }
}

/// What a request offers as proof of the client's identity; nothing of it is checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedClient {
    pub client_id: String,
    pub client_secret: Option<String>,
}

impl fmt::Debug for PresentedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedClient(redacted)")
    }
}

/// Why a request presents no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPresented {
    /// No client id anywhere.
    Missing,
    /// The header is not `Basic` with a form-encoded pair (RFC 6749 §2.3.1).
    Malformed,
    /// A parameter stands twice, two methods are mixed, or two client ids differ.
    Ambiguous,
}

impl PresentedClient {
    /// Reads the `Authorization` header and the form. The Python SDK sends Basic together with the
    /// same `client_id` in the form; that is tolerated, a second secret or another id is not.
    pub fn read(authorization: Option<&str>, form: &Parameters) -> Result<Self, NotPresented> {
        let ambiguous = |_| NotPresented::Ambiguous;
        let form_id = form.one("client_id").map_err(ambiguous)?;
        let form_secret = form.one("client_secret").map_err(ambiguous)?;
        let Some(header) = authorization else {
            let client_id = form_id.ok_or(NotPresented::Missing)?.to_owned();
            return Ok(Self { client_id, client_secret: form_secret.map(str::to_owned) });
        };
        let (client_id, secret) = basic(header).ok_or(NotPresented::Malformed)?;
        if form_secret.is_some() || form_id.is_some_and(|id| id != client_id) {
            return Err(NotPresented::Ambiguous);
        }
        let client_secret = (!secret.is_empty()).then_some(secret);
        Ok(Self { client_id, client_secret })
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret))).filter(|(id, _)| !id.is_empty())
}

/// Decodes one form-encoded word (RFC 6749 §2.3.1).
fn form_decoded(word: &str) -> String {
    let encoded = format!("={word}");
    form_urlencoded::parse(encoded.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
