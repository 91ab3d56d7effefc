//! Under which names requests may come: a page of another name that was made to resolve to this address would otherwise
//! be of this origin (DNS rebinding; MCP Streamable HTTP, Security Warning).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::uri::Authority;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::domain::limits::Rate;
use crate::flows::AuthServer;
use crate::flows::pace::Pace;
use crate::flows::refusal::RefusedFor;
use crate::flows::refusal::Repeated;

/// Lines about names that are not ours.
const TOLD: Rate = Rate { count: NonZeroU32::new(6).unwrap(), period: Duration::from_mins(1) };

/// The names of the machine itself, which stand for each other while we are only there.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names that are ours. Cheap to clone.
#[derive(Clone)]
pub struct Hosts(Arc<Names>);

struct Names {
    exact: Vec<String>,
    /// How often the log tells of another.
    told: Pace,
    /// With any port: on a laptop nobody sends a rebound name there.
    loopback: bool,
}

impl Hosts {
    /// As the policy says.
    #[must_use]
    pub fn new(auth: &AuthServer) -> Self {
        let policy = auth.policy();
        let issuer = policy.issuer.as_str();
        let own = issuer.split_once("://").map_or(issuer, |(_, authority)| authority);
        let loopback = is_loopback(own);
        let exact = policy.hosts.iter().cloned().chain([own.to_owned()]).collect();
        Self(Arc::new(Names { exact, loopback, told: auth.pace(TOLD) }))
    }

    fn have(&self, host: &str) -> bool {
        let Names { exact, loopback, .. } = self.0.as_ref();
        if exact.iter().any(|name| name == host) {
            return true;
        }
        let bare = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host);
        let same = |name: &String| name.eq_ignore_ascii_case(host) || name.eq_ignore_ascii_case(bare);
        exact.iter().any(same) || (*loopback && is_loopback(host))
    }

    /// Says which name it was: an operator may have to add it. Whoever scans addresses does not fill the log.
    fn refuse(&self, name: &str) -> Response {
        let mut response = misdirected();
        if self.0.told.check().is_ok() {
            let name = name.as_bytes()[..name.len().min(100)].escape_ascii().to_string();
            tracing::warn!(name, "a request came under a name that is neither public_url's nor one of hosts");
        } else {
            response.extensions_mut().insert(Repeated);
        }
        response
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = authority.parse::<Authority>().map(|authority| authority.host().to_ascii_lowercase());
    host.is_ok_and(|host| LOOPBACK.contains(&host.as_str()))
}

/// Around everything but the probes, which ask by address. What names no host comes from no browser.
pub async fn ours<R>(hosts: &Hosts, request: Request, next: impl FnOnce(Request) -> R) -> Response
where
    R: Future<Output = Response>,
{
    let lines = request.headers().get_all(header::HOST).iter();
    let authority = request.uri().authority().map(Authority::as_str);
    // In HTTP/2 the one, in HTTP/1.1 the other, and whoever sends more has to mean the same.
    let mut names = lines.map(|host| host.to_str().unwrap_or_default()).chain(authority);
    match names.find(|name| !hosts.have(name)) {
        None => next(request).await,
        Some(name) => hosts.refuse(name),
    }
}

fn misdirected() -> Response {
    let body = json!({
        "error": "invalid_request",
        "error_description": "This server does not answer under this name. Whoever runs it can add the name to the setting hosts.",
    });
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut response = (StatusCode::MISDIRECTED_REQUEST, headers, Json(body)).into_response();
    response.extensions_mut().insert(RefusedFor("host_unknown"));
    response
}
