//! What a client asks and what it is answered, for whoever looks on.

use axum::http::HeaderMap;
use serde_json::Value;
use url::Url;

/// Sees all that comes back to a client and its browser. Tests look for secrets there.
pub trait Watch: Send + Sync {
    /// Where it came from, the head, and the body.
    fn answered(&self, _url: &Url, _headers: &HeaderMap, _body: &str) {}

    /// A request of the client's OAuth.
    fn asked(&self, _asked: &Asked) {}
}

/// Nobody looks.
pub struct Unwatched;

impl Watch for Unwatched {}

/// A request of the client's OAuth, and its answer. Both may hold secrets: it has no `Debug`.
#[derive(Clone)]
pub struct Asked {
    pub method: String,
    pub url: Url,
    pub body: String,
    pub status: u16,
    pub answer: String,
}

impl Asked {
    /// The answer, where it is JSON, else null.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.answer).unwrap_or_default()
    }

    /// A parameter of the form that was sent.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut form = url::form_urlencoded::parse(self.body.as_bytes());
        form.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}
