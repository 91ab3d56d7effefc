//! The gateway: verify, judge, put our word in place of the client's, stream both ways.

mod answer;
mod boundary;
mod challenge;
mod credential;
mod forward;
mod headers;
mod origin;
mod passing;
mod path;
mod question;
mod session;
mod tell;
mod tools;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::MethodFilter;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioIo;
use metrics::Histogram;
use metrics::SharedString;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use url::Url;

use crate::domain::resource::Resource;
use crate::flows::AuthServer;
use crate::flows::pace::Pace;
use crate::gateway::challenge::Stopped;
use crate::gateway::tell::TOLD;
use crate::protocol::metadata::path as own;

pub use credential::has_credential;
pub use headers::sealed;

/// What MCP asks with. TRACE would have the upstream echo our token, CONNECT would be a tunnel, and what
/// OPTIONS asks is answered before.
pub const METHODS: MethodFilter =
    MethodFilter::GET.or(MethodFilter::HEAD).or(MethodFilter::POST).or(MethodFilter::DELETE);

/// Bytes of bodies that one resource's rules for tools may hold at once, though its `body_limit` be smaller: as many as
/// are sent at once fit, and those who send slowly cannot fill the memory.
const ROOM: usize = 64 * 1024 * 1024;

/// How a connection to an upstream is made, TLS and all.
pub type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// The client towards one upstream server: pooled, streaming, without redirects or decompression.
pub type Upstream = Client<Connector, Body>;

/// The clients towards all of them, by the path of the resource. Each has connections of its own.
pub type Upstreams = HashMap<String, Upstream>;

/// One resource with an upstream. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Parts>);

struct Parts {
    auth: AuthServer,
    upstream: Upstream,
    resource: Resource,
    url: Url,
    /// The same, where nothing follows the resource's path.
    uri: Option<Uri>,
    /// URL of the protected-resource metadata, for challenges.
    metadata: String,
    /// What the public address is, for the upstream.
    proto: HeaderValue,
    host: HeaderValue,
    /// How often the log tells of the upstream.
    told: Pace,
    /// Bytes of bodies that may be held at once, of all people.
    room: Arc<Semaphore>,
    /// How metrics name the resource.
    label: SharedString,
}

impl Parts {
    /// Asked for each time: nobody may have been there to record it at the first.
    fn seconds(&self) -> Histogram {
        metrics::histogram!("entrada_gateway_seconds", "resource" => self.label.clone())
    }
}

/// All resources that have an upstream and a client towards it.
pub fn gates(auth: &AuthServer, upstreams: &Upstreams) -> Vec<Gate> {
    let gate = |resource: &Resource| {
        let (url, upstream) = (resource.upstream.as_ref()?, upstreams.get(&resource.path)?);
        Some(Gate(Arc::new(parts(auth, resource, url, upstream))))
    };
    auth.policy().resources.iter().filter_map(gate).collect()
}

impl Gate {
    fn idle_timeout(&self) -> Duration {
        self.0.resource.forwarding.idle_timeout
    }

    /// Its routes: the resource's path, and what lies below.
    #[must_use]
    pub fn routes(&self) -> [String; 3] {
        let path = &self.0.resource.path;
        [path.clone(), format!("{path}/"), format!("{path}/{{*rest}}")]
    }
}

/// The answer to a method that MCP does not ask with.
pub async fn method_not_allowed() -> Response {
    Stopped::Method.into_plain()
}

fn parts(auth: &AuthServer, resource: &Resource, url: &Url, upstream: &Upstream) -> Parts {
    let issuer = &auth.policy().issuer;
    let (proto, host) = issuer.as_str().split_once("://").unwrap_or(("https", issuer.as_str()));
    let value = |text| HeaderValue::from_str(text).expect("an origin is visible ASCII");
    Parts {
        auth: auth.clone(),
        upstream: upstream.clone(),
        resource: resource.clone(),
        url: url.clone(),
        uri: url.as_str().parse().ok(),
        metadata: issuer.at(&format!("{}{}", own::PROTECTED_RESOURCE, resource.path)),
        proto: value(proto),
        host: value(host),
        told: auth.pace(TOLD),
        room: Arc::new(Semaphore::new(ROOM.max(resource.forwarding.body_limit))),
        label: SharedString::from_shared(resource.path.as_str().into()),
    }
}
