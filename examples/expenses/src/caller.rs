//! Who calls: the check of the gateway's token (RFC 9068 §4), as a layer before everything else.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use jsonwebtoken::Algorithm;
use jsonwebtoken::Validation;
use rmcp::ErrorData;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::schemars;
use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::Settings;
use crate::jwks::KeySet;
use crate::jwks::KeysAway;

/// How far this machine's clock and the issuer's may be apart, in seconds.
const SKEW: u64 = 60;

/// What the token says about the caller.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Claims {
    /// The person, never reassigned: `tid:oid`, or another identity provider's own `sub`. The key to
    /// store things under; names and e-mail addresses change.
    pub sub: String,
    /// The person's object id in Microsoft Entra ID.
    pub oid: String,
    /// The person's tenant. Absent for other identity providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    /// The MCP client that the person allowed to act.
    pub client_id: String,
    /// What the person allowed it to do, separated by spaces.
    pub scope: String,
}

/// A caller whose token was verified. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    claims: Claims,
}

impl Caller {
    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Goes on only with the scope; refuses in words that a model can pass on.
    pub fn require(&self, scope: &str) -> Result<(), String> {
        if self.claims.scope.split(' ').any(|granted| granted == scope) {
            return Ok(());
        }
        Err(format!(
            "This needs the permission {scope}, which this client was not given. The user can sign in again \
             and allow it."
        ))
    }
}

/// Lets a tool take the caller as an argument: `async fn tool(&self, caller: Caller)`.
///
/// It is the caller of this very request, which is what counts when a connection or a session outlives
/// a token.
impl<S> FromContextPart<ToolCallContext<'_, S>> for Caller {
    fn from_context_part(context: &mut ToolCallContext<'_, S>) -> Result<Self, ErrorData> {
        let parts = context.request_context.extensions.get::<Parts>();
        let caller = parts.and_then(|parts| parts.extensions.get::<Self>()).cloned();
        caller.ok_or_else(|| ErrorData::internal_error("The request was not authenticated.", None))
    }
}

/// Why a request goes no further.
pub(crate) enum Refusal {
    NoToken,
    BadToken,
    /// Nobody can tell whether the token is good.
    KeysAway,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let challenge = |challenge, words| {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], words).into_response()
        };
        match self {
            Self::NoToken => challenge("Bearer", "This server is called through its gateway."),
            Self::BadToken => challenge(r#"Bearer error="invalid_token""#, "The token is not good here."),
            Self::KeysAway => {
                let words = "The issuer's keys cannot be had just now.";
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], words).into_response()
            }
        }
    }
}

/// Checks tokens against the issuer's keys.
pub(crate) struct Verifier {
    keys: KeySet,
    expected: Validation,
}

impl Verifier {
    pub(crate) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let mut expected = Validation::new(Algorithm::RS256);
        expected.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        expected.set_issuer(&[&settings.issuer]);
        expected.set_audience(&[&settings.audience]);
        expected.validate_nbf = true;
        expected.leeway = SKEW;
        Ok(Self { keys: KeySet::new(&settings.jwks_url)?, expected })
    }

    async fn verify(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let token = bearer(headers).ok_or(Refusal::NoToken)?;
        let header = jsonwebtoken::decode_header(token).map_err(bad)?;
        // An ID token, or whatever else the issuer signs, is no access token.
        if !header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt")) {
            return Err(bad("its type is not at+jwt"));
        }
        // RFC 7515 §4.1.11: an extension that we do not know and must.
        if header.crit.is_some() {
            return Err(bad("it has critical extensions"));
        }
        let kid = header.kid.unwrap_or_default();
        let key = self.keys.find(&kid).await.map_err(|KeysAway| Refusal::KeysAway)?;
        let key = key.ok_or_else(|| bad("the issuer has no such key"))?;
        // The key says what it is for, never the token: `none` and HMAC are not among what keys say.
        let expected = Validation { algorithms: vec![key.algorithm], ..self.expected.clone() };
        let data = jsonwebtoken::decode(token, &key.decoding, &expected).map_err(bad)?;
        Ok(Caller { claims: data.claims })
    }
}

/// Lets verified callers through, each with its [`Caller`] among the request's extensions.
pub(crate) async fn authenticate(
    State(verifier): State<Arc<Verifier>>,
    mut request: Request,
    next: Next,
) -> Response {
    match verifier.verify(request.headers()).await {
        Ok(caller) => {
            // It has done its work. What nobody has, nobody logs or passes on.
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The reason is for the log: a stranger learns only that the token is bad.
fn bad(reason: impl Display) -> Refusal {
    tracing::warn!(%reason, "a token was refused");
    Refusal::BadToken
}
