//! The cookies of a sign-in: which browser it is, what it has approved, what it has declined.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use cookie::Cookie;
use cookie::SameSite;
use cookie::time::Duration;

use crate::domain::login::EndedLogins;
use crate::domain::seal::Sealed;
use crate::flows::consent::MAX_APPROVED;
use crate::http::Shared;

/// The cookies of a request that are ours, and the names under which they are set.
///
/// Over https the names begin with `__Host-`: no sibling domain can set them. Browsers accept that
/// prefix on plain-http loopback or not, as they please, so there they have the port in their name
/// instead, because cookies are shared over the ports of a host.
pub struct Cookies {
    prefix: String,
    secure: bool,
    max_age: Duration,
    held: Vec<(String, String)>,
}

impl FromRequestParts<Shared> for Cookies {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        Shared { auth, .. }: &Shared,
    ) -> Result<Self, Self::Rejection> {
        let issuer = &auth.policy().issuer;
        let prefix = match issuer.is_https() {
            true => "__Host-entrada".to_owned(),
            false => format!("entrada-{}", issuer.port().unwrap_or(80)),
        };
        // Byte by byte, and not trimmed beyond spaces: another site's cookie with letters beyond ASCII must
        // neither hide ours nor look like one of ours.
        let pairs = parts
            .headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|b| *b == b';'));
        let held = pairs
            .filter_map(|pair| std::str::from_utf8(pair).ok())
            .filter_map(|pair| pair.trim_matches(' ').split_once('='))
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let login = auth.policy().lifetimes.login;
        let max_age = Duration::seconds(i64::try_from(login.as_secs()).unwrap_or(3_600));
        Ok(Self { prefix, secure: issuer.is_https(), max_age, held })
    }
}

impl Cookies {
    /// The random value that names this browser.
    pub fn browser(&self) -> Option<&str> {
        self.value(&self.prefix)
    }

    /// All approved logins, by slot.
    pub fn approved(&self) -> Vec<(usize, String)> {
        let slots = (0..MAX_APPROVED)
            .filter_map(|slot| Some((slot, self.value(&self.approved_name(slot))?.to_owned())));
        slots.collect()
    }

    /// The logins that were declined here.
    pub fn ended(&self) -> EndedLogins {
        EndedLogins::parse(self.value(&self.ended_name()).unwrap_or_default())
    }

    /// Keeps the name of this browser for as long as its newest login may take, and as long again.
    pub fn keep_browser(&self, response: &mut Response, value: &str) {
        self.set(response, self.prefix.clone(), value.to_owned(), self.max_age * 2);
    }

    /// Keeps an approved login.
    pub fn keep_approved<T>(&self, response: &mut Response, slot: usize, login: &Sealed<T>) {
        self.set(response, self.approved_name(slot), login.to_text(), self.max_age);
    }

    /// Keeps the list of declined logins.
    pub fn keep_ended(&self, response: &mut Response, ended: &EndedLogins) {
        self.set(response, self.ended_name(), ended.to_text(), self.max_age);
    }

    /// Empties a slot of approved logins.
    pub fn drop_approved(&self, response: &mut Response, slot: usize) {
        self.set(response, self.approved_name(slot), String::new(), Duration::ZERO);
    }

    fn approved_name(&self, slot: usize) -> String {
        format!("{}-login-{slot}", self.prefix)
    }

    fn ended_name(&self) -> String {
        format!("{}-ended", self.prefix)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.held.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    fn set(&self, response: &mut Response, name: String, value: String, max_age: Duration) {
        let cookie = Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.secure)
            .max_age(max_age);
        // Our names and values are base64url: they are header text.
        if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}
