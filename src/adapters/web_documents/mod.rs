//! Documents from the web, at addresses that a stranger chose (draft-ietf-oauth-client-id-metadata-document).
//!
//! Whoever names a client id makes this process send a request. So it reaches the Internet alone, asks once,
//! follows nothing, waits and reads little, and sends nothing that tells one user from another.

mod address;
mod failure;
mod freshness;
mod network;

pub use network::Network;
pub use network::SystemNetwork;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header::ACCEPT;
use http::header::CONTENT_ENCODING;
use http::header::CONTENT_TYPE;
use http::header::ETAG;
use http::header::IF_MODIFIED_SINCE;
use http::header::IF_NONE_MATCH;
use http::header::LAST_MODIFIED;
use reqwest::Response;
use reqwest::redirect::Policy;
use rustls::client::Resumption;
use url::Host;
use url::Url;

use crate::ports::clock::Clock;
use crate::ports::documents::ClientDocuments;
use crate::ports::documents::Fetched;
use crate::ports::documents::NotFetched;
use crate::ports::documents::Validators;

use super::tls::CannotTrust;
use super::tls::client_config;

use failure::no_answer;
use failure::refusal;
use freshness::fresh_for;
use network::GlobalNetwork;

/// From the resolution of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What the draft recommends for client metadata. A key set of a few keys fits as well.
const MAX_DOCUMENT: usize = 5 * 1024;
/// A validator is kept with the document; a longer one is taken for none.
const MAX_VALIDATOR: usize = 256;

/// Fetches documents over https, from global addresses alone.
pub struct WebDocuments {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl WebDocuments {
    /// `ca` is a bundle of certificates (PEM) that are trusted beside the roots of the system.
    pub fn new(
        network: Arc<dyn Network>,
        ca: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CannotTrust> {
        let mut tls = client_config(ca)?;
        // No session is resumed: a certificate is looked at each time, since it may have ended, or been another's.
        tls.resumption = Resumption::disabled();
        let client = reqwest::Client::builder()
            .user_agent(concat!("entrada/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(GlobalNetwork(network))
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .timeout(TIMEOUT)
            // Shared among the addresses of a name, so that a dead one does not use up all of it.
            .connect_timeout(TIMEOUT)
            // Each fetch resolves anew, once, and asks once.
            .pool_max_idle_per_host(0)
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(Policy::none())
            .referer(false)
            // A proxy would resolve the name itself.
            .no_proxy()
            // Nothing is decompressed, whatever features another crate turns on.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .build()
            .map_err(|_| CannotTrust::NoRoots)?;
        Ok(Self { client, clock })
    }
}

#[async_trait]
impl ClientDocuments for WebDocuments {
    async fn fetch(&self, url: &Url, known: &Validators) -> Result<Fetched, NotFetched> {
        // An address in the place of a name is connected to without asking the resolver, which judges it.
        let named = matches!(url.host(), Some(Host::Domain(_)))
            && url.username().is_empty()
            && url.password().is_none();
        if url.scheme() != "https" || !named {
            return Err(NotFetched::Unusable("its address is no https URL with a host name"));
        }
        let conditions = conditions(known);
        let conditional = !conditions.is_empty();
        let json = HeaderValue::from_static("application/json");
        let request = self.client.get(url.clone()).header(ACCEPT, json).headers(conditions);
        let response = request.send().await.map_err(|error| no_answer(&error))?;
        let fresh_for = fresh_for(response.headers(), self.clock.now());
        let validators = validators(response.headers());
        match response.status() {
            StatusCode::OK => Ok(Fetched { text: Some(text(response).await?), validators, fresh_for }),
            StatusCode::NOT_MODIFIED if conditional => {
                Ok(Fetched { text: None, validators: updated(known, validators), fresh_for })
            }
            status => Err(refusal(status)),
        }
    }
}

/// What the request is conditional on.
fn conditions(known: &Validators) -> HeaderMap {
    let pairs = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
    let value = |known: &Option<String>| known.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
    pairs.into_iter().filter_map(|(name, known)| Some((name, value(known)?))).collect()
}

fn validators(headers: &HeaderMap) -> Validators {
    let value = |name: HeaderName| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= MAX_VALIDATOR).then(|| value.to_owned())
    };
    Validators { etag: value(ETAG), last_modified: value(LAST_MODIFIED) }
}

/// What a 304 does not repeat remains as it was (RFC 9111 §3.2).
fn updated(known: &Validators, new: Validators) -> Validators {
    Validators {
        etag: new.etag.or_else(|| known.etag.clone()),
        last_modified: new.last_modified.or_else(|| known.last_modified.clone()),
    }
}

/// The document, if it is one.
async fn text(mut response: Response) -> Result<String, NotFetched> {
    const TOO_LONG: NotFetched = NotFetched::Unusable("it is longer than 5 KiB");
    if !is_json(response.headers()) {
        return Err(NotFetched::Unusable("its media type is not JSON"));
    }
    if response.headers().contains_key(CONTENT_ENCODING) {
        return Err(NotFetched::Unusable("it is compressed"));
    }
    if response.content_length().is_some_and(|length| length > MAX_DOCUMENT as u64) {
        return Err(TOO_LONG);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + chunk.len() > MAX_DOCUMENT {
            return Err(TOO_LONG);
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| NotFetched::Unusable("it is not UTF-8"))
}

/// `application/json`, or JSON by its structured suffix (RFC 6839 §3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || subtype.strip_suffix("+json").is_some_and(|named| !named.is_empty())
}
