//! Answers that are given before anybody looks at what is asked.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;

use crate::flows::refusal::Refusal;
use crate::http::answer::json_error;
use crate::http::answer::refused;
use crate::http::page::Pages;
use crate::protocol::error::ErrorCode;
use crate::protocol::error::OAuthError;
use crate::protocol::metadata::path;

const REASON: &str = "address_limited";

/// Where people are, and not their clients.
const PEOPLE: [&str; 3] = [path::AUTHORIZE, path::CONSENT, path::CALLBACK];

impl Pages {
    /// A refusal of whatever was asked: a page where people ask, an OAuth error elsewhere.
    #[must_use]
    pub fn refused_at(&self, path: &str, refusal: impl Refusal) -> Response {
        if PEOPLE.contains(&path) { self.refusal(refusal) } else { refused(refusal) }
    }

    /// 429: a page where people ask, an OAuth error elsewhere, and when to ask again.
    #[must_use]
    pub fn address_limited(&self, path: &str, wait: Duration) -> Response {
        let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
        let mut response = if PEOPLE.contains(&path) {
            let wait = match seconds.div_ceil(60) {
                1 => "a minute".to_owned(),
                minutes => format!("{minutes} minutes"),
            };
            let sentence = format!(
                "Too many requests came from the network that you are in. Wait {wait}, then reload this page."
            );
            self.words(StatusCode::TOO_MANY_REQUESTS, "Too many requests", &sentence, REASON)
        } else {
            let description = "Too many requests came from this address. Wait as long as Retry-After says.";
            json_error(REASON, OAuthError { code: ErrorCode::TemporarilyUnavailable, description })
        };
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }
}
