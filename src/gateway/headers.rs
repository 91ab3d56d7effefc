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
    "x-http-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
const NOT_UP_PREFIXES: &[&str] =
    &["x-auth-request-", "x-entrada-", "x-forwarded-", "x-ms-client-principal", "x-ms-token-"];

/// Never comes down: what speaks for the whole origin, and what would be taken for ours.
const NOT_DOWN: &[&str] = &[
    "alt-svc",
    "accept-ch",
    "clear-site-data",
    "content-security-policy",
    "content-security-policy-report-only",
    "location",
    "nel",
    "origin-agent-cluster",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "server",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "sourcemap",
    "strict-transport-security",
    "www-authenticate",
    "x-powered-by",
];
const NOT_DOWN_PREFIXES: &[&str] = &["access-control-"];

/// Removes what must not travel to the upstream.
pub fn strip_request(headers: &mut HeaderMap) {
    strip(headers, NOT_UP, NOT_UP_PREFIXES);
}

/// Removes what must not come down.
pub fn strip_response(headers: &mut HeaderMap) {
    strip(headers, NOT_DOWN, NOT_DOWN_PREFIXES);
}

/// An answer at a resource's path, whoever has made it: a browser must neither guess at it nor run it here.
pub async fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Each answer is one user's: no shared cache may give it to another.
    let own =
        |value: &HeaderValue| value.to_str().is_ok_and(|v| v.contains("private") || v.contains("no-store"));
    if !headers.get(header::CACHE_CONTROL).is_some_and(own) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn strip(headers: &mut HeaderMap, names: &[&str], prefixes: &[&str]) {
    let listed: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let unwanted = |name: &HeaderName| {
        let normal = normalised(name.as_str());
        HOP_BY_HOP.contains(&normal.as_str())
            || names.contains(&normal.as_str())
            || prefixes.iter().any(|prefix| normal.starts_with(prefix))
            || listed.iter().any(|name| normalised(name) == normal)
    };
    let gone: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Many servers read `X_Entrada_Oid` as `X-Entrada-Oid`; header names arrive in lower case.
fn normalised(name: &str) -> String {
    name.replace('_', "-")
}
