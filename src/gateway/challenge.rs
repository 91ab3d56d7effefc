//! How the gateway refuses: a Bearer challenge (RFC 6750 §3) that leads to the metadata.

use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedFor;
use crate::gateway::Gate;
use crate::protocol::challenge::BearerChallenge;
use crate::protocol::error::ErrorCode;
use crate::protocol::error::OAuthError;

/// Why a request does not get through, beyond what is wrong with its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    Method,
    TwoCredentials,
    Path,
    UpstreamUnreachable,
    UpstreamRefusesUs,
    UpstreamRedirects,
    NotMinted,
}

impl Stopped {
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TwoCredentials => (
                StatusCode::BAD_REQUEST,
                "two_credentials",
                "The request has more than one credential: send one Authorization header, and no access_token in the query.",
            ),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "MCP asks with POST, GET and DELETE.")
            }
            Self::Path => {
                (StatusCode::BAD_REQUEST, "path_refused", "The path has dot segments or encoded separators.")
            }
            Self::UpstreamUnreachable => (
                StatusCode::BAD_GATEWAY,
                "upstream_unreachable",
                "The MCP server behind this gateway does not answer.",
            ),
            Self::UpstreamRefusesUs => (
                StatusCode::BAD_GATEWAY,
                "upstream_refuses_us",
                "The MCP server behind this gateway does not accept the gateway's token. Signing in again will not help.",
            ),
            Self::UpstreamRedirects => (
                StatusCode::BAD_GATEWAY,
                "upstream_redirects",
                "The MCP server behind this gateway is at another address than the gateway was told.",
            ),
            Self::NotMinted => {
                (StatusCode::INTERNAL_SERVER_ERROR, "not_minted", "The gateway could not issue a token.")
            }
        }
    }
}

impl Gate {
    /// 401 without a reason: nothing was presented (RFC 6750 §3.1).
    pub fn unauthenticated(&self) -> Response {
        self.challenge(StatusCode::UNAUTHORIZED, None, "no_token")
    }

    /// A token was presented and refused.
    pub fn refused(&self, refusal: impl Refusal) -> Response {
        let error = refusal.oauth();
        if error.code == ErrorCode::TemporarilyUnavailable {
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                refusal.row().name,
                error.code.as_str(),
                error.description,
            );
        }
        self.challenge(StatusCode::UNAUTHORIZED, Some(error), refusal.row().name)
    }

    fn challenge(&self, status: StatusCode, error: Option<OAuthError>, reason: &'static str) -> Response {
        let scope = &self.0.resource.default_scopes;
        let header = BearerChallenge { resource_metadata: &self.0.metadata, scope, error }.to_header();
        let (code, description) = match error {
            Some(error) => (error.code.as_str(), error.description),
            None => ("unauthorized", "Sign in: the WWW-Authenticate header says where."),
        };
        let mut response = plain(status, reason, code, description);
        if let Ok(value) = HeaderValue::from_str(&header) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

impl IntoResponse for Stopped {
    fn into_response(self) -> Response {
        let (status, reason, description) = self.row();
        let code = if status.is_client_error() { "invalid_request" } else { "server_error" };
        plain(status, reason, code, description)
    }
}

fn plain(status: StatusCode, reason: &'static str, code: &str, description: &str) -> Response {
    let body = serde_json::json!({ "error": code, "error_description": description });
    let mut response = (status, axum::Json(body)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response.extensions_mut().insert(RefusedFor(reason));
    response
}
