//! The pages. No script, and one look for all of them.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::domain::policy::Policy;
use crate::flows::begin::Begun;
use crate::flows::begin::Consent;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedFor;
use crate::http::answer::retry_after;
use crate::http::answer::status;
use crate::http::look::Look;

/// Everything that pages are made with. Cheap to clone.
#[derive(Clone)]
pub struct Pages(Arc<Parts>);

struct Parts {
    look: Look,
    /// What people know the identity provider by.
    sign_in_with: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    look: &'a Look,
    consent: Consent,
    login: String,
    sign_in_with: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    look: &'a Look,
    title: &'a str,
    sentence: &'a str,
    /// Names the reason to whoever runs the server.
    reason: &'a str,
    back: Option<&'a str>,
    /// What it is about, where that is known.
    about: &'a [(&'static str, String)],
}

impl Pages {
    pub fn new(policy: &Policy) -> Self {
        let look = Look::new(&policy.brand);
        Self(Arc::new(Parts { look, sign_in_with: policy.sign_in_with.clone() }))
    }

    /// Asks for consent.
    pub fn consent(&self, begun: Begun) -> Response {
        let Parts { look, sign_in_with } = self.0.as_ref();
        let login = begun.login.to_text();
        page(StatusCode::OK, look, &ConsentPage { look, consent: begun.consent, login, sign_in_with })
    }

    /// Says why something was refused, and what to do next.
    pub fn refusal(&self, refusal: impl Refusal, back: Option<&str>) -> Response {
        self.refusal_about(refusal, back, &[])
    }

    /// The same, naming what it is about.
    pub fn refusal_about(
        &self,
        refusal: impl Refusal,
        back: Option<&str>,
        about: &[(&'static str, String)],
    ) -> Response {
        self.refusal_explained(refusal, refusal.row().sentence, back, about)
    }

    /// The same, in words that are more exact than those of the reason.
    pub fn refusal_explained(
        &self,
        refusal: impl Refusal,
        sentence: &'static str,
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
        let mut response = self.message(status, title, sentence, row.name, back, about);
        retry_after(&mut response, row.code);
        response
    }

    /// For an address that is none of ours.
    pub fn not_found(&self) -> Response {
        let sentence =
            "There is nothing at this address. MCP servers are connected from an application, by their URL.";
        self.message(StatusCode::NOT_FOUND, "Nothing here", sentence, "not_found", None, &[])
    }

    fn message(
        &self,
        status: StatusCode,
        title: &str,
        sentence: &str,
        reason: &'static str,
        back: Option<&str>,
        about: &[(&'static str, String)],
    ) -> Response {
        let look = &self.0.look;
        let mut response = page(status, look, &MessagePage { look, title, sentence, reason, back, about });
        response.extensions_mut().insert(RefusedFor(reason));
        response
    }
}

pub async fn not_found(State(pages): State<Pages>) -> Response {
    pages.not_found()
}

pub async fn method_not_allowed(State(pages): State<Pages>) -> Response {
    let sentence = "This address is not asked in this way. Start again from your application.";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    pages.message(status, "Not like this", sentence, "method_not_allowed", None, &[])
}

/// Bytes. No page has more text of its own, but for one with very long names.
const TEXT: usize = 8 * 1024;

/// A page in this look, with the policy that belongs to it.
pub fn page(status: StatusCode, look: &Look, template: &impl Template) -> Response {
    let mut html = String::with_capacity(look.size() + TEXT);
    match template.render_into(&mut html) {
        Ok(()) => (status, [(header::CONTENT_SECURITY_POLICY, look.policy())], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
