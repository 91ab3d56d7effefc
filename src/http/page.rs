//! The pages. No script, one style sheet, inline and pinned by its hash.

use std::sync::LazyLock;

use askama::Template;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;

use crate::flows::begin::Begun;
use crate::flows::begin::Consent;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedFor;
use crate::http::answer::retry_after;
use crate::http::answer::status;

const STYLE: &str = include_str!("pages/style.css");

/// No `form-action`: Chromium applies it to the whole chain of redirects after the form, which leads to
/// the identity provider.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("the policy is ASCII")
});

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    style: &'static str,
    consent: Consent,
    login: String,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    style: &'static str,
    title: &'a str,
    sentence: &'a str,
    /// Names the reason to whoever runs the server.
    reason: &'a str,
    back: Option<&'a str>,
    /// What it is about, where that is known.
    about: &'a [(&'static str, String)],
}

/// Asks for consent.
pub fn consent(begun: Begun) -> Response {
    page(StatusCode::OK, &ConsentPage { style: STYLE, consent: begun.consent, login: begun.login.to_text() })
}

/// Says why something was refused, and what to do next.
pub fn refusal(refusal: impl Refusal, back: Option<&str>) -> Response {
    refusal_about(refusal, back, &[])
}

/// The same, naming what it is about.
pub fn refusal_about(
    refusal: impl Refusal,
    back: Option<&str>,
    about: &[(&'static str, String)],
) -> Response {
    let row = refusal.row();
    let status = match status(row.code) {
        // The person is not the one who has to authenticate: 401 is for clients.
        StatusCode::UNAUTHORIZED => StatusCode::BAD_REQUEST,
        // What fails on a page is the identity provider behind it.
        StatusCode::INTERNAL_SERVER_ERROR => StatusCode::BAD_GATEWAY,
        status => status,
    };
    let title = match status {
        StatusCode::SERVICE_UNAVAILABLE => "Not available at the moment",
        _ => "This sign-in cannot go on",
    };
    let mut response = page(
        status,
        &MessagePage { style: STYLE, title, sentence: row.sentence, reason: row.name, back, about },
    );
    retry_after(&mut response, row.code);
    response.extensions_mut().insert(RefusedFor(row.name));
    response
}

pub async fn not_found() -> Response {
    let sentence =
        "There is nothing at this address. MCP servers are connected from an application, by their URL.";
    message(StatusCode::NOT_FOUND, "Nothing here", sentence, "not_found")
}

pub async fn method_not_allowed() -> Response {
    let sentence = "This address is not asked in this way. Start again from your application.";
    message(StatusCode::METHOD_NOT_ALLOWED, "Not like this", sentence, "method_not_allowed")
}

fn message(status: StatusCode, title: &str, sentence: &str, reason: &'static str) -> Response {
    let mut response =
        page(status, &MessagePage { style: STYLE, title, sentence, reason, back: None, about: &[] });
    response.extensions_mut().insert(RefusedFor(reason));
    response
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, [(header::CONTENT_SECURITY_POLICY, POLICY.clone())], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
