//! How long an answer may be used without asking again (RFC 9111 §4.2).

use std::time::Duration;
use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::header::CACHE_CONTROL;
use http_cache_semantics::CacheOptions;
use http_cache_semantics::CachePolicy;

use crate::domain::time::Timestamp;

/// What the host says, and no guess where it says nothing. The cache is a shared one (RFC 9111 §1): what is kept
/// serves every user.
const OPTIONS: CacheOptions = CacheOptions {
    shared: true,
    cache_heuristic: 0.0,
    immutable_min_time_to_live: Duration::ZERO,
    ignore_cargo_cult: false,
};

/// How much longer a document is fresh whose headers came just now, with a 200 or a 304.
pub(super) fn fresh_for(headers: &HeaderMap, now: Timestamp) -> Duration {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now.0).unwrap_or(0));
    let (request, mut response) = (Request::new(()), Response::new(()));
    for (name, value) in headers {
        // Directives are compared without regard to case (RFC 9111 §5.2); the library wants them in lower case.
        let lower = (name == CACHE_CONTROL).then(|| value.as_bytes().to_ascii_lowercase());
        let lower = lower.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        response.headers_mut().append(name, lower.unwrap_or_else(|| value.clone()));
    }
    CachePolicy::new_options(&request, &response, now, OPTIONS).time_to_live(now)
}
