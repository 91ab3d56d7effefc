use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use http::header::ACCEPT;
use http::header::AUTHORIZATION;
use http::header::CONTENT_TYPE;
use reqwest::RequestBuilder;
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use url::Url;

use crate::ports::idp::UpstreamError;
use crate::protocol::issuer::is_loopback;

use super::failure::away;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the connection to the last byte read.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest honest answer is a key set, of some 20 KiB.
const MAX_ANSWER: usize = 256 * 1024;
/// Microsoft Graph lists up to 11,000 groups, by GUID.
const MAX_LIST: usize = 1024 * 1024;

/// The one HTTP client for the provider.
///
/// It follows no redirect, which could take the client secret elsewhere; keeps no cookie; and ignores
/// `HTTP_PROXY` and its like: a variable that somebody set for another program must not decide who sees
/// the traffic with the identity provider.
pub(super) struct HttpClient(reqwest::Client);

/// A complete answer, whatever its status.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

/// Whether credentials may travel to this address: over TLS, or within this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

impl HttpClient {
    pub(super) fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("entrada/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .build()?;
        Ok(Self(client))
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Answer, UpstreamError> {
        send(url, self.0.get(url.clone()), MAX_ANSWER).await
    }

    /// Posts a form (`application/x-www-form-urlencoded`).
    pub(super) async fn post(
        &self,
        url: &Url,
        form: String,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, UpstreamError> {
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut request = self.0.post(url.clone()).header(CONTENT_TYPE, form_type).body(form);
        if let Some(credentials) = authorization {
            request = request.header(AUTHORIZATION, credentials);
        }
        send(url, request, MAX_ANSWER).await
    }

    /// Posts JSON, with a bearer token; the answer may be a long list.
    pub(super) async fn post_json(
        &self,
        url: &Url,
        json: String,
        token: &SecretString,
    ) -> Result<Answer, UpstreamError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| away("its access token is none"))?;
        bearer.set_sensitive(true);
        let json_type = HeaderValue::from_static("application/json");
        let request = self.0.post(url.clone()).header(CONTENT_TYPE, json_type).header(AUTHORIZATION, bearer);
        send(url, request.body(json), MAX_LIST).await
    }
}

async fn send(url: &Url, request: RequestBuilder, max: usize) -> Result<Answer, UpstreamError> {
    // Discovery has checked every address already. This is where a forgotten check would cost most.
    if !is_safe(url) {
        return Err(away("its address is neither https nor on this machine"));
    }
    let json = HeaderValue::from_static("application/json");
    let mut response = request.header(ACCEPT, json).send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > max {
            return Err(away("it answered at excessive length"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

/// The error itself is dropped: its text holds the URL, and may hold what the provider sent.
fn unreachable(error: reqwest::Error) -> UpstreamError {
    away(if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it cannot be connected to"
    } else {
        "the connection to it broke"
    })
}
