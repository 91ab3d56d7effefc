//! What may cross the gateway. It shares an origin with the authorization server, so that no upstream
//! may set a cookie, a policy or a permission on it.

use std::net::IpAddr;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;

use crate::domain::resource::Resource;
use crate::protocol::forwarded::seen_by_the_first;
use crate::protocol::scope::Scopes;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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

/// What nearly every request has and may travel: the lists below need not be gone through for it.
const OFTEN: &[&str] = &[
    "accept",
    "accept-language",
    "content-length",
    "content-type",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "user-agent",
];

/// Never goes up: credentials of this origin, and who the caller claims to be or to have come from.
const NOT_UP: &[&str] = &[
    "authorization",
    "cookie",
    "expect",
    "forwarded",
    "host",
    // Ours, which is sealed, was taken out before.
    "mcp-session-id",
    // Judged here; the upstream would judge it by its own address.
    "origin",
    "true-client-ip",
    "x-anonymous-consumer",
    // Ours to judge, and nobody else's to see.
    "x-api-key",
    "x-apigateway-api-userinfo",
    "x-client-ip",
    "x-email",
    "x-endpoint-api-userinfo",
    "x-entrada",
    "x-functions-key",
    "x-goog-iap-jwt-assertion",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    // Ours was taken out before.
    "x-request-id",
    "x-rewrite-url",
    "x-user",
    "x-username",
];
const NOT_UP_PREFIXES: &[&str] = &[
    "cf-access-",
    "client-cert",
    "cf-connecting-",
    "remote-",
    "ssl-client-",
    "tailscale-user-",
    "x-amzn-oidc-",
    "x-appengine-user-",
    "x-arr-client-cert",
    "x-auth-request-",
    "x-auth-user",
    "x-authenticated-",
    "x-authentik-",
    "x-azure-clientip",
    "x-client-cert",
    "x-consumer-",
    "x-credential-",
    "x-entrada-",
    "x-envoy-",
    "x-forwarded",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-ssl-",
    "x-user-",
    "x-vouch-",
    "x-webauth-",
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
    // In an encoded stream no comment could be put.
    let accepts =
        |value: &HeaderValue| value.to_str().is_ok_and(|accepted| accepted.contains("text/event-stream"));
    if headers.get_all(header::ACCEPT).iter().any(accepts) {
        headers.remove(header::ACCEPT_ENCODING);
    }
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

/// Tells the upstream how we were asked. What stood there before was anybody's word.
pub fn put_forwarded(
    headers: &mut HeaderMap,
    address: Option<IpAddr>,
    proto: &HeaderValue,
    host: &HeaderValue,
) {
    if let Some(value) = address.and_then(|address| HeaderValue::from_str(&address.to_string()).ok()) {
        headers.insert(FORWARDED_FOR, value);
    }
    headers.insert(HeaderName::from_static("x-forwarded-proto"), proto.clone());
    headers.insert(HeaderName::from_static("x-forwarded-host"), host.clone());
}

/// The address that asks, as far as our own proxies say.
pub fn asking(parts: &Parts, proxies: usize) -> Option<IpAddr> {
    let lines = parts.headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    let peer = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let seen = if proxies == 0 { None } else { seen_by_the_first(lines, proxies) };
    seen.or_else(peer).map(|address| address.to_canonical())
}

/// Whether an answer is a stream of events in which a comment may be put: not one of a length that was told, nor one
/// that is encoded.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"text/event-stream")
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_LENGTH)
}

/// The scopes of the resource that an upstream asks for by a challenge (RFC 6750 §3.1). The challenge itself is about a
/// token that the client does not have.
pub fn scopes_needed(headers: &HeaderMap, resource: &Resource) -> Option<Scopes> {
    let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let asks = |text: &&str| text.contains("error=\"insufficient_scope\"");
    let scope = challenges.filter(asks).find_map(|text| text.split_once("scope=\"")?.1.split('"').next())?;
    let needed = Scopes::parse(scope).intersection(&resource.all_scopes());
    (!needed.is_empty()).then_some(needed)
}

/// An answer at a resource's path, whoever has made it: a browser must neither guess at it nor run it here.
pub fn sealed(mut response: Response) -> Response {
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
        let name = name.as_str();
        if listed.is_empty() && OFTEN.contains(&name) {
            return false;
        }
        is_ambiguous(name)
            || HOP_BY_HOP.contains(&name)
            || names.contains(&name)
            || prefixes.iter().any(|prefix| name.starts_with(prefix))
            || listed.iter().any(|listed| listed == name)
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

/// Many servers read `X_Entrada_Oid`, and some `X.Entrada.Oid`, as `X-Entrada-Oid`. Nothing that is spelled so travels.
fn is_ambiguous(name: &str) -> bool {
    !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
