//! How the gateway refuses: in words, and where a token would help by a Bearer challenge (RFC 6750 §3) that leads to the
//! metadata.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::flows::caller::Credential;
use crate::flows::caller::NotVerified;
use crate::flows::caller::Reason;
use crate::flows::pace::TooMany;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::RefusedClient;
use crate::flows::refusal::RefusedFor;
use crate::gateway::Gate;
use crate::protocol::challenge::BearerChallenge;
use crate::protocol::error::ErrorCode;
use crate::protocol::error::OAuthError;
use crate::protocol::scope::Scopes;

/// MCP 2026-07-28: the headers and the body of a request differ.
const HEADER_MISMATCH: i32 = -32020;

/// When to ask again where nobody knows.
const SOON: Duration = Duration::from_secs(5);

const KEY_LACKS_SCOPES: &str = "This needs scopes that the API key does not have. Whoever runs this server can make a key that has them.";

const KEY_NOT_LISTED: &str =
    "This API key is not let in here. Whoever runs this server can name it in the lists of this resource.";

/// Why a request does not get through.
#[derive(Debug)]
pub enum Stopped {
    NoToken,
    Caller(NotVerified),
    /// The scopes to ask for.
    Scope(Scopes),
    TooMany(TooMany),
    Method,
    Origin,
    TwoCredentials,
    TwoSessions,
    SessionOfAnother,
    EndedMeanwhile,
    Path,
    BodyTooLong,
    BodySlow,
    NoRoom,
    BodyEncoded,
    BodyUnreadable,
    HeaderMismatch,
    UpstreamUnreachable,
    UpstreamSlow,
    UpstreamRefusesUs,
    UpstreamRedirects,
    NotMinted,
}

/// What is said of a refusal that is no matter of tokens: status, name, sentence.
type Row = (StatusCode, &'static str, &'static str);

impl Stopped {
    #[rustfmt::skip]
    fn row(&self) -> Row {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "no_token", "Sign in: the WWW-Authenticate header says where."),
            Self::Caller(refused) => (StatusCode::UNAUTHORIZED, refused.reason.row().name, refused.reason.row().sentence),
            Self::Scope(_) => (StatusCode::FORBIDDEN, "insufficient_scope", "This needs scopes that the access token does not have: the WWW-Authenticate header names them."),
            Self::TooMany(many) => (StatusCode::TOO_MANY_REQUESTS, many.of, "Too many requests: Retry-After says when to go on."),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "MCP asks with POST, GET and DELETE."),
            Self::Origin => (StatusCode::FORBIDDEN, "origin_not_allowed", "This MCP server may not be used by web pages of this origin."),
            Self::TwoCredentials => (StatusCode::BAD_REQUEST, "two_credentials", "The request has more than one credential: send one Authorization header, or one API key, and no access_token in the query. A proxy may have added one."),
            Self::TwoSessions => (StatusCode::BAD_REQUEST, "two_sessions", "The request names more than one session: send one Mcp-Session-Id."),
            Self::SessionOfAnother => (StatusCode::NOT_FOUND, "session_of_another", "There is no such session. Begin a new one, without Mcp-Session-Id."),
            Self::EndedMeanwhile => (StatusCode::FORBIDDEN, "ended_meanwhile", "The session, or the API key, has ended during this call, which may have been carried out. Before the next, sign in again or use another key."),
            Self::Path => (StatusCode::BAD_REQUEST, "path_refused", "The path has dot segments or encoded separators."),
            Self::BodyTooLong => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_long", "The request body is longer than this server takes."),
            Self::BodySlow => (StatusCode::REQUEST_TIMEOUT, "body_slow", "The request body did not come."),
            Self::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "no_room", "Too many request bodies are being received: Retry-After says when to go on."),
            Self::BodyEncoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "body_encoded", "The request body has to be plain JSON here: send it as application/json in UTF-8, without Content-Encoding."),
            Self::BodyUnreadable => (StatusCode::BAD_REQUEST, "body_unreadable", "The request body is not one JSON-RPC message or a batch of them, or has a member twice."),
            Self::HeaderMismatch => (StatusCode::BAD_REQUEST, "header_mismatch", "Mcp-Method and Mcp-Name do not say what the body says."),
            Self::UpstreamUnreachable => (StatusCode::BAD_GATEWAY, "upstream_unreachable", "The MCP server behind this gateway does not answer."),
            Self::UpstreamSlow => (StatusCode::GATEWAY_TIMEOUT, "upstream_slow", "The MCP server behind this gateway takes too long."),
            Self::UpstreamRefusesUs => (StatusCode::BAD_GATEWAY, "upstream_refuses_us", "The MCP server behind this gateway does not accept the gateway's token. Signing in again will not help."),
            Self::UpstreamRedirects => (StatusCode::BAD_GATEWAY, "upstream_redirects", "The MCP server behind this gateway is at another address than the gateway was told."),
            Self::NotMinted => (StatusCode::INTERNAL_SERVER_ERROR, "not_minted", "The gateway could not issue a token."),
        }
    }

    /// The refusal where nobody has asked for a token yet.
    pub fn into_plain(self) -> Response {
        let (status, reason, sentence) = self.row();
        let code = match status {
            StatusCode::FORBIDDEN => "access_denied",
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            status if status.is_client_error() => "invalid_request",
            _ => "server_error",
        };
        match self {
            Self::HeaderMismatch => mismatch(reason, sentence),
            Self::TooMany(TooMany { wait, .. }) => later(plain(status, reason, code, sentence), wait),
            Self::NoRoom => later(plain(status, reason, code, sentence), SOON),
            _ => plain(status, reason, code, sentence),
        }
    }
}

impl Gate {
    /// The refusal of a request, `of` whoever was recognised.
    pub fn refusal(&self, stopped: Stopped, of: Option<&Credential>) -> Response {
        let named = match &stopped {
            Stopped::Caller(NotVerified { whose, .. }) => whose.clone(),
            Stopped::Scope(needed) => {
                of.map(|of| RefusedClient { scope: Some(needed.to_string()), ..of.named() })
            }
            _ => of.map(Credential::named),
        };
        let mut response = match stopped {
            // Nobody can sign in for a key, and a challenge would have its client try.
            Stopped::Scope(_) if of.is_some_and(Credential::is_key) => {
                let (status, name, _) = stopped.row();
                plain(status, name, ErrorCode::InsufficientScope.as_str(), KEY_LACKS_SCOPES)
            }
            stopped => self.said(stopped),
        };
        if let Some(named) = named {
            response.extensions_mut().insert(named);
        }
        response
    }

    fn said(&self, stopped: Stopped) -> Response {
        let (status, name, sentence) = stopped.row();
        let defaults = &self.0.resource.default_scopes;
        match stopped {
            // Nothing was presented, so no reason is given (RFC 6750 §3.1); nor to whoever tries keys.
            Stopped::NoToken | Stopped::Caller(NotVerified { reason: Reason::Key(_), .. }) => {
                self.challenged(plain(status, name, "unauthorized", sentence), defaults, None)
            }
            Stopped::Caller(NotVerified { reason: Reason::Lacking(what), key, .. }) => {
                let sentence = if key { KEY_NOT_LISTED } else { sentence };
                plain(StatusCode::FORBIDDEN, name, what.oauth().code.as_str(), sentence)
            }
            Stopped::Caller(NotVerified { reason, .. }) => {
                let error = reason.oauth();
                match error.code {
                    ErrorCode::TemporarilyUnavailable => {
                        let response =
                            plain(StatusCode::SERVICE_UNAVAILABLE, name, error.code.as_str(), sentence);
                        later(response, SOON)
                    }
                    code => {
                        self.challenged(plain(status, name, code.as_str(), sentence), defaults, Some(error))
                    }
                }
            }
            Stopped::Scope(needed) => {
                let error = OAuthError { code: ErrorCode::InsufficientScope, description: sentence };
                self.challenged(plain(status, name, error.code.as_str(), sentence), &needed, Some(error))
            }
            other => other.into_plain(),
        }
    }

    fn challenged(&self, mut response: Response, scope: &Scopes, error: Option<OAuthError>) -> Response {
        let header = BearerChallenge { resource_metadata: &self.0.metadata, scope, error }.to_header();
        if let Ok(value) = HeaderValue::from_str(&header) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// For a client that speaks JSON-RPC and looks for this number.
fn mismatch(reason: &'static str, sentence: &str) -> Response {
    let error = json!({ "code": HEADER_MISMATCH, "message": sentence });
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": error });
    let mut response = (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    response.extensions_mut().insert(RefusedFor(reason));
    response
}

fn later(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

fn plain(status: StatusCode, reason: &'static str, code: &str, description: &str) -> Response {
    let body = json!({ "error": code, "error_description": description });
    let mut response = (status, axum::Json(body)).into_response();
    response.extensions_mut().insert(RefusedFor(reason));
    response
}
