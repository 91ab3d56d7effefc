//! What a handler may read of a request. A rejection is an OAuth error, never an extractor's own text.

use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body_util::BodyExt;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use serde_json::Value;

use crate::http::answer::json_error;
use crate::protocol::error::ErrorCode;
use crate::protocol::error::OAuthError;
use crate::protocol::parameters::Parameters;

/// No body of ours is longer.
const MAX_BODY: usize = 64 * 1024;
/// Nobody needs longer to send one.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the observer of all requests puts what it calls this one. What a client sends under this name could be anything.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the log and the header `X-Request-Id` call this request.
#[derive(Clone, Debug, Default)]
pub struct RequestId(pub String);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let value = parts.headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        Ok(Self(value.unwrap_or_default().to_owned()))
    }
}

/// The parameters of the query.
pub struct Query(pub Parameters);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}

/// Whether a program asks: it accepts JSON, and no page.
pub struct WantsJson(pub bool);

impl<S: Sync> FromRequestParts<S> for WantsJson {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let accept = parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let accept = accept.collect::<Vec<_>>().join(",").to_ascii_lowercase();
        Ok(Self(accept.contains("application/json") && !accept.contains("text/html")))
    }
}

/// The `Authorization` header, when there is exactly one and it is text.
pub struct Authorization(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for Authorization {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => {
                value.to_str().map(|text| Self(Some(text.to_owned()))).map_err(|_| unreadable())
            }
            (Some(_), Some(_)) => Err(unreadable()),
        }
    }
}

/// The parameters of a form body.
pub struct Form(pub Parameters);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        if !has_type(request.headers(), "application/x-www-form-urlencoded") {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "content_type",
                "The body must be application/x-www-form-urlencoded.",
            ));
        }
        Ok(Self(Parameters::parse(&body(request.into_body()).await?)))
    }
}

/// A JSON body.
pub struct Json(pub Value);

impl<S: Sync> FromRequest<S> for Json {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        if !has_type(request.headers(), "application/json") {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "content_type",
                "The body must be application/json.",
            ));
        }
        let bytes = body(request.into_body()).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|_| refused(StatusCode::BAD_REQUEST, "json_malformed", "The body is not JSON."))
    }
}

async fn body(body: Body) -> Result<Vec<u8>, Response> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is larger than 64 KiB."))
        }
        Ok(Err(_)) => Err(unreadable()),
        Err(_) => {
            Err(refused(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body did not come in time."))
        }
    }
}

fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(expected)
}

fn unreadable() -> Response {
    refused(StatusCode::BAD_REQUEST, "request_unreadable", "The request cannot be read.")
}

fn refused(status: StatusCode, reason: &'static str, description: &'static str) -> Response {
    let error = OAuthError { code: ErrorCode::InvalidRequest, description };
    (status, json_error(reason, error)).into_response()
}
