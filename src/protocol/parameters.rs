//! `application/x-www-form-urlencoded` parameters, with the rules of RFC 6749 §3.1 and §3.2.

use std::borrow::Cow;
use std::collections::HashSet;

use url::form_urlencoded;

/// Every parameter that we know and that may stand once, of any request. `resource` may be repeated (RFC 8707 §2),
/// and those that we do not know are ignored, as RFC 6749 §3.1 wants.
const ONCE: [&str; 20] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "login_hint",
    "max_age",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "token",
    "token_type_hint",
];

/// The same parameter twice: RFC 6749 §3.1 forbids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicated;

/// The parameters of a query or a form, in the order they came.
///
/// A parameter without a value counts as not sent (RFC 6749 §3.1).
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string or a form body.
    #[must_use]
    pub fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded).filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Checks that no parameter that we know stands twice, whether this request needs it or not.
    pub fn each_once(&self) -> Result<(), Duplicated> {
        let mut seen = HashSet::new();
        let mut names = self.0.iter().map(|(name, _)| name.as_str()).filter(|name| ONCE.contains(name));
        if names.all(|name| seen.insert(name)) { Ok(()) } else { Err(Duplicated) }
    }

    /// The value of a parameter that may stand once.
    pub fn one(&self, name: &'static str) -> Result<Option<&str>, Duplicated> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(Duplicated),
        }
    }

    /// All values of a parameter that may be repeated, as `resource` may (RFC 8707 §2).
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, where a second one does no harm: to echo `state` in an error about it.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Appends parameters to a URL's query, keeping what it has (RFC 6749 §3.1.2).
#[must_use]
pub fn append(base: &str, parameters: &[(&str, Cow<'_, str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        query.append_pair(name, value);
    }
    let separator = match (base.contains('?'), base.ends_with(['?', '&'])) {
        (false, _) => "?",
        (true, true) => "",
        (true, false) => "&",
    };
    format!("{base}{separator}{}", query.finish())
}
