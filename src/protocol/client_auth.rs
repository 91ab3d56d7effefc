//! How a client authenticates at the token and revocation endpoints (RFC 6749 §2.3, RFC 7521 §4.2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::protocol::parameters::Parameters;

/// `client_assertion_type` of a JWT (RFC 7523 §2.2).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Algorithms of `private_key_jwt`, by their names (RFC 7518 §3.1). None is symmetric.
pub const SERVED_ALGS: [&str; 8] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"];

/// Longer assertions are refused before anything is decoded.
pub const MAX_ASSERTION_LENGTH: usize = 8_192;

/// Longer client ids are not taken from an assertion.
const MAX_ID_CHARS: usize = 512;

/// `token_endpoint_auth_method` (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: it proves itself by PKCE alone.
    None,
    ClientSecretBasic,
    ClientSecretPost,
    /// By an assertion that it signs (OpenID Connect Core 1.0 §9).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// What a client may register. `private_key_jwt` is not among them: a registration holds no keys.
    pub const REGISTRABLE: [Self; 3] = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost];

    /// `None` when the method is not one of `served`.
    #[must_use]
    pub fn parse(name: &str, served: &[Self]) -> Option<Self> {
        let method = match name {
            "none" => Self::None,
            "client_secret_basic" => Self::ClientSecretBasic,
            "client_secret_post" => Self::ClientSecretPost,
            "private_key_jwt" => Self::PrivateKeyJwt,
            _ => return None,
        };
        served.contains(&method).then_some(method)
    }

    /// Whether it proves less than `other`: nothing, a secret that both know, or a key that only the client has.
    #[must_use]
    pub fn is_weaker_than(self, other: Self) -> bool {
        let strength = |method| match method {
            Self::None => 0,
            Self::ClientSecretBasic | Self::ClientSecretPost => 1,
            Self::PrivateKeyJwt => 2,
        };
        strength(self) < strength(other)
    }
}

/// What a request offers as proof of the client's identity; nothing of it is checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedClient {
    pub client_id: String,
    pub proof: Proof,
}

/// By what a client wants to be known.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    None,
    Secret(String),
    /// A compact JWS, or what is meant as one.
    Assertion(String),
}

impl fmt::Debug for PresentedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedClient(redacted)")
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(redacted)")
    }
}

/// Why a request presents no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPresented {
    /// No client id anywhere.
    Missing,
    /// The header is not `Basic` with a form-encoded pair (RFC 6749 §2.3.1), or the assertion that should name the
    /// client does not.
    Malformed,
    /// A parameter stands twice, two methods are mixed, or two client ids differ.
    Ambiguous,
    /// `client_assertion` and `client_assertion_type` do not stand together, or the type is not [`JWT_BEARER`].
    AssertionType,
}

impl PresentedClient {
    /// Reads the `Authorization` header and the form. The Python SDK sends Basic together with the
    /// same `client_id` in the form; that is tolerated, a second secret or another id is not.
    pub fn read(authorization: Option<&str>, form: &Parameters) -> Result<Self, NotPresented> {
        let one = |name| form.one(name).map_err(|_| NotPresented::Ambiguous);
        let (id, secret) = (one("client_id")?, one("client_secret")?);
        let (assertion, assertion_type) = (one("client_assertion")?, one("client_assertion_type")?);
        let asserts = assertion.is_some() || assertion_type.is_some();
        if asserts && (authorization.is_some() || secret.is_some()) {
            return Err(NotPresented::Ambiguous);
        }
        if let Some(header) = authorization {
            let (client_id, by_header) = basic(header).ok_or(NotPresented::Malformed)?;
            if secret.is_some() || id.is_some_and(|id| id != client_id) {
                return Err(NotPresented::Ambiguous);
            }
            let proof = if by_header.is_empty() { Proof::None } else { Proof::Secret(by_header) };
            return Ok(Self { client_id, proof });
        }
        match (assertion, assertion_type) {
            (Some(assertion), Some(JWT_BEARER)) => Self::by_assertion(assertion, id),
            (None, None) => {
                let client_id = id.ok_or(NotPresented::Missing)?.to_owned();
                let proof = secret.map_or(Proof::None, |secret| Proof::Secret(secret.to_owned()));
                Ok(Self { client_id, proof })
            }
            _ => Err(NotPresented::AssertionType),
        }
    }

    /// With an assertion `client_id` is unnecessary (RFC 7521 §4.2): the subject is the client. What it says is not
    /// verified here; it only tells whose keys are to be asked.
    fn by_assertion(assertion: &str, form_id: Option<&str>) -> Result<Self, NotPresented> {
        Assertion::split(assertion).ok_or(NotPresented::Malformed)?;
        let client_id = match (form_id, asserted_id(assertion)) {
            (Some(named), Some(asserted)) if named != asserted => return Err(NotPresented::Ambiguous),
            (Some(named), _) => named.to_owned(),
            (None, asserted) => asserted.ok_or(NotPresented::Malformed)?,
        };
        Ok(Self { client_id, proof: Proof::Assertion(assertion.to_owned()) })
    }
}

/// A compact JWS (RFC 7515 §7.1) as somebody presents it: its parts, nothing verified.
#[derive(Clone, Copy)]
pub struct Assertion<'a> {
    /// What is signed: header and payload as they were sent.
    pub message: &'a str,
    pub signature: &'a str,
    header: &'a str,
    payload: &'a str,
}

impl<'a> Assertion<'a> {
    /// `None` when it is longer than [`MAX_ASSERTION_LENGTH`] or has not three parts.
    #[must_use]
    pub fn split(text: &'a str) -> Option<Self> {
        if text.len() > MAX_ASSERTION_LENGTH {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        (!payload.contains('.')).then_some(Self { message, signature, header, payload })
    }

    /// The members of the header that `T` names.
    #[must_use]
    pub fn header<T: DeserializeOwned>(&self) -> Option<T> {
        object(self.header)
    }

    /// The members of the payload that `T` names.
    #[must_use]
    pub fn payload<T: DeserializeOwned>(&self) -> Option<T> {
        object(self.payload)
    }
}

/// A JSON object in base64url. serde refuses a member that `T` names and that stands twice, so that no other reader
/// can have seen another value; it would take an array for a struct, though.
fn object<T: DeserializeOwned>(part: &str) -> Option<T> {
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    if !json.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(&json).ok()
}

/// The client that an assertion says it is of.
fn asserted_id(assertion: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Parties {
        iss: String,
        sub: String,
    }
    let Parties { iss, sub } = Assertion::split(assertion)?.payload()?;
    (iss == sub && !sub.is_empty() && sub.chars().count() <= MAX_ID_CHARS).then_some(sub)
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?)).filter(|(id, _)| !id.is_empty())
}

/// Decodes one form-encoded word (RFC 6749 §2.3.1): one alone.
fn form_decoded(word: &str) -> Option<String> {
    let encoded = format!("={word}");
    let mut words = form_urlencoded::parse(encoded.as_bytes()).map(|(_, value)| value.into_owned());
    words.next().filter(|_| !word.contains('&'))
}

#[cfg(test)]
mod tests;
