use std::borrow::Cow;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;
use uuid::Builder;

use super::face::Face;
use super::face::Site;
use super::keys;

/// A refusal: the OAuth error, and the code and sentence that Entra gives for it.
#[derive(Debug)]
pub(super) struct Fault {
    pub status: StatusCode,
    pub error: Cow<'static, str>,
    pub code: u32,
    pub message: Cow<'static, str>,
}

// The table of refusals. Sentences are close to Entra's and repeat no value of the request.
impl Fault {
    fn new(error: &'static str, code: u32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into(), code, message: message.into() }
    }

    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub fn missing(parameter: &str) -> Self {
        let message = format!("The request body must contain the following parameter: '{parameter}'.");
        Self::new("invalid_request", 900_144, message)
    }

    /// A parameter with a value that is not understood.
    pub fn invalid(parameter: &str) -> Self {
        Self::new("invalid_request", 90_100, format!("{parameter} parameter is empty or not valid."))
    }

    pub fn repeated(parameter: &str) -> Self {
        let message =
            format!("The request is not properly formatted. The parameter '{parameter}' is duplicated.");
        Self::new("invalid_request", 9_000_411, message)
    }

    /// Entra ignores what it does not know; this does not, see the head of the module.
    pub fn unknown_parameter() -> Self {
        Self::new("invalid_request", 90_100, "The request has a parameter that is not known here.")
    }

    pub fn resource() -> Self {
        let message =
            "The resource parameter provided in the request doesn't match with the requested scopes.";
        Self::new("invalid_target", 9_010_010, message)
    }

    pub fn unknown_tenant() -> Self {
        Self::new("invalid_tenant", 90_002, "Tenant not found.")
    }

    pub fn unknown_client() -> Self {
        Self::new("unauthorized_client", 700_016, "Application was not found in the directory.")
    }

    pub fn redirect_uri() -> Self {
        let message = "The redirect URI specified in the request does not match the redirect URIs configured \
                       for the application.";
        Self::new("invalid_request", 50_011, message)
    }

    pub fn no_client_authentication() -> Self {
        let message =
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        Self::new("invalid_client", 7_000_218, message).with_status(StatusCode::UNAUTHORIZED)
    }

    pub fn wrong_secret() -> Self {
        Self::new("invalid_client", 7_000_215, "Invalid client secret provided.")
            .with_status(StatusCode::UNAUTHORIZED)
    }

    fn assertion(code: u32, message: &'static str) -> Self {
        Self::new("invalid_client", code, message).with_status(StatusCode::UNAUTHORIZED)
    }

    pub fn malformed_assertion() -> Self {
        Self::assertion(50_027, "JWT token is invalid or malformed.")
    }

    pub fn unknown_assertion() -> Self {
        Self::assertion(70_021, "No matching federated identity record found for presented assertion.")
    }

    pub fn unknown_issuer() -> Self {
        Self::assertion(
            700_211,
            "No matching federated identity record found for presented assertion issuer.",
        )
    }

    pub fn wrong_audience() -> Self {
        Self::assertion(
            700_212,
            "No matching federated identity record found for presented assertion audience.",
        )
    }

    pub fn wrong_assertion() -> Self {
        Self::assertion(
            700_213,
            "No matching federated identity record found for presented assertion subject.",
        )
    }

    pub fn untimely_assertion() -> Self {
        Self::assertion(700_024, "Client assertion is not within its valid time range.")
    }

    pub fn badly_signed_assertion() -> Self {
        Self::assertion(
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered.",
        )
    }

    pub fn several_resources() -> Self {
        Self::new(
            "invalid_request",
            28_000,
            "Provided value for the input parameter scope is not valid because it contains more than one resource.",
        )
    }

    pub fn response_type() -> Self {
        Self::new(
            "unsupported_response_type",
            700_054,
            "This response_type is not enabled for the application.",
        )
    }

    pub fn grant_type() -> Self {
        Self::new("unsupported_grant_type", 70_003, "The app requested an unsupported grant type.")
    }

    pub fn challenge() -> Self {
        Self::new("invalid_request", 501_491, "Invalid size of Code_Challenge parameter.")
    }

    pub fn verifier() -> Self {
        let message =
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.";
        Self::new("invalid_grant", 501_481, message)
    }

    pub fn login_required() -> Self {
        Self::new("login_required", 50_058, "A silent sign-in request was sent but no user is signed in.")
    }

    pub fn not_in_tenant() -> Self {
        let message = "User account from identity provider does not exist in tenant.";
        Self::new("access_denied", 50_020, message)
    }

    pub fn declined() -> Self {
        Self::new("access_denied", 65_004, "User declined to consent to access the app.")
    }

    pub fn not_consented(face: Face) -> Self {
        let error = match face {
            Face::Entra => "invalid_grant",
            Face::Oidc => "invalid_scope",
        };
        Self::new(error, 65_001, "The user or administrator has not consented to use the application.")
    }

    pub fn unknown_code() -> Self {
        Self::new("invalid_grant", 70_000, "The provided value for the 'code' parameter is not valid.")
    }

    pub fn spent_code() -> Self {
        Self::new("invalid_grant", 54_005, "OAuth2 Authorization code was already redeemed.")
    }

    pub fn expired_code() -> Self {
        Self::new("invalid_grant", 70_008, "The provided authorization code has expired.")
    }

    pub fn redeemed_elsewhere() -> Self {
        let message = "The reply address does not match the reply address provided when requesting \
                       Authorization code.";
        Self::new("invalid_grant", 500_112, message)
    }

    pub fn unknown_refresh_token() -> Self {
        Self::new("invalid_grant", 700_082, "The refresh token has expired due to inactivity.")
    }

    pub fn transaction() -> Self {
        Self::new(
            "invalid_request",
            90_014,
            "This sign-in is over. Start again from the application that sent you here.",
        )
    }

    pub fn method() -> Self {
        Self::new("invalid_request", 900_561, "The endpoint does not accept this request method.")
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
    }

    pub fn body() -> Self {
        Self::new("invalid_request", 90_015, "The request body is too long or broken.")
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    }

    pub fn unknown_path() -> Self {
        Self::new("invalid_request", 0, "There is nothing at this address.")
            .with_status(StatusCode::NOT_FOUND)
    }
}

/// A fault as one face words it, at one moment.
pub(super) struct Report<'a> {
    fault: &'a Fault,
    site: &'a Site,
    trace_id: String,
    correlation_id: String,
    timestamp: String,
}

impl<'a> Report<'a> {
    pub fn new(fault: &'a Fault, site: &'a Site, now: i64) -> Self {
        let id = || Builder::from_random_bytes(keys::random_bytes()).into_uuid().to_string();
        Self { fault, site, trace_id: id(), correlation_id: id(), timestamp: timestamp(now) }
    }

    pub fn description(&self) -> String {
        let Fault { code, message, .. } = self.fault;
        match self.site.face {
            Face::Entra => format!(
                "AADSTS{code}: {message} Trace ID: {} Correlation ID: {} Timestamp: {}",
                self.trace_id, self.correlation_id, self.timestamp
            ),
            Face::Oidc => message.to_string(),
        }
    }

    pub fn json(&self) -> Value {
        let (error, code) = (&self.fault.error, self.fault.code);
        match self.site.face {
            Face::Entra => json!({
                "error": error,
                "error_description": self.description(),
                "error_codes": [code],
                "timestamp": self.timestamp,
                "trace_id": self.trace_id,
                "correlation_id": self.correlation_id,
                "error_uri": self.site.error_uri(code),
            }),
            Face::Oidc => json!({ "error": error, "error_description": self.description() }),
        }
    }
}

/// `2026-11-23 05:45:00Z`, as Entra writes it.
fn timestamp(now: i64) -> String {
    // The last second that has a four-digit year; the formatter fails beyond it.
    let seconds = now.clamp(0, 253_402_300_799).unsigned_abs();
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string().replace('T', " ")
}
