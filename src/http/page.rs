//! The pages. No script, and one look for all of them.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::domain::policy::Policy;
use crate::flows::ask::Begun;
use crate::flows::ask::CalledSoBy;
use crate::flows::ask::Consent;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedFor;
use crate::flows::refusal::Remedy;
use crate::flows::refusal::Row;
use crate::http::answer::retry_after;
use crate::http::answer::see_other;
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
    again: bool,
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
    reason: &'static str,
    back: Option<&'a str>,
    /// What it is about, where that is known.
    about: &'a [(&'static str, String)],
    /// Where somebody else mends it, and who that is.
    mend: Option<&'a Mend>,
    remedies: &'static [Remedy],
}

/// Where something is mended, for whoever may: the person passes the address on.
pub struct Mend {
    pub who: &'static str,
    pub address: String,
}

#[derive(Template)]
#[template(path = "handover.html")]
struct HandoverPage<'a> {
    look: &'a Look,
    location: &'a str,
    by_itself: bool,
}

impl Pages {
    /// In the operator's look.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let look = Look::new(&policy.brand);
        Self(Arc::new(Parts { look, sign_in_with: policy.sign_in_with.clone() }))
    }

    /// Asks for consent; `again` when the same was asked before.
    pub fn consent(&self, begun: Begun, again: bool) -> Response {
        let Parts { look, sign_in_with } = self.0.as_ref();
        let login = begun.login.to_text();
        page(StatusCode::OK, look, &ConsentPage { look, consent: begun.consent, again, login, sign_in_with })
    }

    /// Sends the browser to a client's redirect URI: by a redirect on the web; with a page and a button where an
    /// application has to be opened, since browsers drop such a redirect without a word when nobody has acted.
    ///
    /// Where there is a code, the browser opens it by itself, if it does that at all; an error can wait for the button.
    pub fn back_to_client(&self, location: &str, code: bool) -> Response {
        if location.starts_with("https:") || location.starts_with("http:") {
            return see_other(location);
        }
        let look = &self.0.look;
        let mut response = page(StatusCode::OK, look, &HandoverPage { look, location, by_itself: code });
        if code && let Ok(refresh) = HeaderValue::from_str(&format!("0; url={location}")) {
            response.headers_mut().insert(header::REFRESH, refresh);
        }
        response
    }

    /// Says why something was refused, and what to do next.
    pub fn refusal(&self, refusal: impl Refusal) -> Response {
        self.refusal_about(refusal, None, &[])
    }

    /// The same, naming what it is about.
    pub fn refusal_about(
        &self,
        refusal: impl Refusal,
        back: Option<&str>,
        about: &[(&'static str, String)],
    ) -> Response {
        self.refusal_explained(refusal, refusal.row().sentence, back, about, None)
    }

    /// The same, in words that are more exact than those of the reason.
    pub fn refusal_explained(
        &self,
        refusal: impl Refusal,
        sentence: &'static str,
        back: Option<&str>,
        about: &[(&'static str, String)],
        mend: Option<&Mend>,
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
        let Row { name: reason, remedies, .. } = row;
        let look = &self.0.look;
        let message = MessagePage { look, title, sentence, reason, back, about, mend, remedies };
        let mut response = self.message(status, &message);
        retry_after(&mut response, row.code);
        response
    }

    /// For an address that is none of ours.
    pub fn not_found(&self) -> Response {
        let sentence =
            "There is nothing at this address. MCP servers are connected from an application, by their URL.";
        self.words(StatusCode::NOT_FOUND, "Nothing here", sentence, "not_found")
    }

    /// A page of words alone.
    pub fn words(&self, status: StatusCode, title: &str, sentence: &str, reason: &'static str) -> Response {
        let look = &self.0.look;
        let (back, mend) = (None, None);
        let message = MessagePage { look, title, sentence, reason, back, about: &[], mend, remedies: &[] };
        self.message(status, &message)
    }

    fn message(&self, status: StatusCode, message: &MessagePage<'_>) -> Response {
        let mut response = page(status, &self.0.look, message);
        response.extensions_mut().insert(RefusedFor(message.reason));
        response
    }
}

pub async fn not_found(State(pages): State<Pages>) -> Response {
    pages.not_found()
}

pub async fn method_not_allowed(State(pages): State<Pages>) -> Response {
    let sentence = "It is a step of a sign-in. Start again from your application.";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    pages.words(status, "This page cannot be opened by itself", sentence, "method_not_allowed")
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
