//! The one credential of a request.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Uri;
use axum::http::header;
use url::form_urlencoded;

use crate::domain::api_key::PREFIX;
use crate::gateway::challenge::Stopped;

/// Where API keys stand, as people know it from Azure Functions and others.
static KEY_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-api-key"), HeaderName::from_static("x-functions-key")];

/// What a request is made with.
pub enum Presented<'a> {
    Token(&'a str),
    Key(&'a str),
}

/// Whether a request comes with something that could be a credential, good or not.
#[must_use]
pub fn has_credential(headers: &HeaderMap) -> bool {
    let bearer =
        |value: &HeaderValue| value.as_bytes().get(..7).is_some_and(|b| b.eq_ignore_ascii_case(b"bearer "));
    headers.get(header::AUTHORIZATION).is_some_and(bearer)
        || KEY_HEADERS.iter().any(|name| headers.contains_key(name))
}

/// The one credential: an access token or an API key as a bearer token (RFC 6750 §2.1), or a key in a header of its own.
/// Where a resource takes no keys, what else stands in such a header is none: a proxy may have put it there.
pub fn presented<'a>(headers: &'a HeaderMap, uri: &Uri, takes_keys: bool) -> Result<Presented<'a>, Stopped> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let is_key =
        |value: &&HeaderValue| takes_keys || value.as_bytes().trim_ascii().starts_with(PREFIX.as_bytes());
    let mut keys = KEY_HEADERS.iter().flat_map(|name| headers.get_all(name)).filter(is_key);
    let presented = match (values.next(), keys.next()) {
        (None, Some(key)) => Presented::Key(key.to_str().unwrap_or_default().trim()),
        (first, None) => {
            let text = first.and_then(|value| value.to_str().ok());
            let credentials = text.and_then(|text| text.split_once(' '));
            let bearer = credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            match bearer.map(|(_, token)| token.trim()) {
                Some(key) if key.starts_with(PREFIX) => Presented::Key(key),
                Some(token) => Presented::Token(token),
                None if values.next().is_some() => return Err(Stopped::TwoCredentials),
                None => return Err(Stopped::NoToken),
            }
        }
        (Some(_), Some(_)) => return Err(Stopped::TwoCredentials),
    };
    let another = values.next().is_some() || keys.next().is_some();
    if another || names_a_token(uri) { Err(Stopped::TwoCredentials) } else { Ok(presented) }
}

/// Whether a token stands in the query, where it may not (MCP authorization, Token Requirements): it would travel on from
/// here.
fn names_a_token(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    !query.is_empty() && form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}
