//! What may cross the gateway. It shares an origin with the authorization server, so that no upstream
//! may set a cookie, a policy or a permission on it.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::Response;

/// Hop-by-hop (RFC 9110 §7.6.1).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Never goes up: credentials of this origin, and who the caller claims to be or to have come from.
const NOT_UP: &[&str] = &[
    "authorization",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "remote-user",
    "ssl-client-verify",
    "true-client-ip",
    "x-authenticated-user",
    "x-client-ip",
    "x-entrada",
    "x-goog-iap-jwt-assertion",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-rewrite-url",
    "x-user",
    "x-webauth-user",
];
const NOT_UP_PREFIXES: &[&str] = &[
    "cf-access-",
    "cf-connecting-",
    "tailscale-user-",
    "x-amzn-oidc-",
    "x-arr-client-cert",
    "x-auth-request-",
    "x-azure-clientip",
    "x-client-cert",
    "x-entrada-",
    "x-envoy-",
    "x-forwarded",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-ms-token-",
];

/// All that comes down: what describes this one answer. Everything else might speak for the whole origin, to
/// browsers, to caches or to the proxy in front, and each year brings more of it.
const DOWN: &[&str] = &[
    "accept-ranges",
    "allow",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "last-event-id",
    "last-modified",
    "retry-after",
    "vary",
];
const DOWN_PREFIXES: &[&str] = &["mcp-", "ratelimit", "x-ratelimit-"];

/// Removes what must not travel to the upstream.
pub fn strip_request(headers: &mut HeaderMap) {
    strip(headers, NOT_UP, NOT_UP_PREFIXES);
}

/// Leaves what may come down.
pub fn strip_response(headers: &mut HeaderMap) {
    let listed = named_by_connection(headers);
    let may = |name: &HeaderName| {
        let name = name.as_str();
        let known = DOWN.contains(&name) || DOWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        known && !listed.iter().any(|listed| listed == name)
    };
    remove(headers, |name| !may(name));
}

/// An answer at a resource's path, whoever has made it: a browser must neither guess at it nor run it here.
pub async fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Each answer is one user's, and was given for a token that the next request may not have: nobody keeps it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn strip(headers: &mut HeaderMap, names: &[&str], prefixes: &[&str]) {
    let listed = named_by_connection(headers);
    let unwanted = |name: &HeaderName| {
        let normal = normalised(name.as_str());
        HOP_BY_HOP.contains(&normal.as_str())
            || names.contains(&normal.as_str())
            || prefixes.iter().any(|prefix| normal.starts_with(prefix))
            || listed.iter().any(|name| normalised(name) == normal)
    };
    remove(headers, unwanted);
}

fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let gone: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// What belongs to the connection because its sender says so (RFC 9110 §7.6.1).
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase())).collect()
}

/// Many servers read `X_Entrada_Oid` as `X-Entrada-Oid`; header names arrive in lower case.
fn normalised(name: &str) -> String {
    name.replace('_', "-")
}
