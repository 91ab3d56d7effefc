//! One request through the gateway.

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::Version;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Frame;
use url::form_urlencoded;

use crate::gateway::Gate;
use crate::gateway::challenge::Stopped;
use crate::gateway::headers;

/// Verifies the caller and forwards the request, streaming both ways.
pub async fn forward(State(gate): State<Gate>, request: Request) -> Response {
    let token = match bearer(request.headers()) {
        Ok(Some(_)) if names_a_token(request.uri()) => return Stopped::TwoCredentials.into_response(),
        Ok(Some(token)) => token,
        Ok(None) => return gate.unauthenticated(),
        Err(stopped) => return stopped.into_response(),
    };
    let caller = match gate.0.auth.verify(token, &gate.0.resource).await {
        Ok(caller) => caller,
        Err(reason) => return gate.refused(reason),
    };
    let Ok(downstream) = gate.0.auth.downstream_token(&caller, &gate.0.url) else {
        return Stopped::NotMinted.into_response();
    };
    match readdressed(&gate, request, &downstream) {
        Ok(request) => send(&gate, request).await,
        Err(stopped) => stopped.into_response(),
    }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Stopped> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Stopped::TwoCredentials);
    }
    let text = first.and_then(|value| value.to_str().ok());
    let credentials = text.and_then(|text| text.split_once(' '));
    Ok(credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim()))
}

/// Whether a token stands in the query, where it may not (MCP authorization, Token Requirements): it would travel on from here.
fn names_a_token(uri: &Uri) -> bool {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).any(|(name, _)| name == "access_token")
}

/// The same request, to the upstream, as the caller that we verified.
fn readdressed(gate: &Gate, request: Request, token: &str) -> Result<Request, Stopped> {
    let (mut parts, body) = request.into_parts();
    parts.uri = upstream_uri(gate, &parts.uri)?;
    // Either side may speak HTTP/2; the version belongs to the connection, not to the request.
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    headers::strip_request(&mut parts.headers);
    let mut authorization =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| Stopped::NotMinted)?;
    authorization.set_sensitive(true);
    parts.headers.insert(header::AUTHORIZATION, authorization);
    Ok(Request::from_parts(parts, body))
}

/// The upstream URL, with what follows the resource's path, and the query.
fn upstream_uri(gate: &Gate, asked: &Uri) -> Result<Uri, Stopped> {
    let rest = asked.path().strip_prefix(&gate.0.resource.path).ok_or(Stopped::Path)?;
    if climbs(rest) {
        return Err(Stopped::Path);
    }
    let base = gate.0.url.as_str();
    let base = if rest.is_empty() { base } else { base.trim_end_matches('/') };
    let query = asked.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{base}{rest}{query}").parse().map_err(|_| Stopped::Path)
}

/// Whether some server could read the path as leading out of its resource: by dot segments, plain,
/// encoded, encoded twice or with parameters behind them, by encoded separators, or by a NUL.
fn climbs(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let hidden = ["%2f", "%5c", "\\", "%25", "%00"];
    let dots = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%3b", ";");
        // Servlet containers cut a segment at `;` before they look at its dots.
        matches!(plain.split(';').next(), Some("." | ".."))
    };
    hidden.iter().any(|sequence| lower.contains(sequence)) || lower.split('/').any(dots)
}

async fn send(gate: &Gate, request: Request) -> Response {
    let began = gate.0.auth.elapsed();
    let answered = gate.0.upstream.request(request).await;
    let took = gate.0.auth.elapsed().saturating_sub(began);
    metrics::histogram!("entrada_gateway_seconds", "resource" => gate.0.resource.path.clone()).record(took);
    let Ok(response) = answered else { return Stopped::UpstreamUnreachable.into_response() };
    match response.status() {
        // Ours to solve: a client would take it for its own login and begin again.
        StatusCode::UNAUTHORIZED => return Stopped::UpstreamRefusesUs.into_response(),
        // Its address is no business of the client's, and the body is spent.
        status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
            return Stopped::UpstreamRedirects.into_response();
        }
        // A final answer is none of these: the connection, which others share, would not be what it seems.
        status if status.is_informational() || status.as_u16() > 599 => {
            return Stopped::UpstreamUnreachable.into_response();
        }
        _ => {}
    }
    let (mut parts, body) = response.into_parts();
    parts.extensions.clear();
    // The upstream's version is a matter between it and us.
    parts.version = Version::HTTP_11;
    headers::strip_response(&mut parts.headers);
    // Trailers are headers that come late.
    let frames =
        body.map_frame(|frame| frame.into_data().map_or_else(|_| Frame::data(Bytes::new()), Frame::data));
    Response::from_parts(parts, Body::new(frames))
}
