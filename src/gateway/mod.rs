//! The gateway: verify, put our token in place of the client's, stream both ways.

mod challenge;
mod forward;
mod headers;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::MethodFilter;
use axum::routing::on;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use url::Url;

use crate::domain::resource::Resource;
use crate::flows::AuthServer;
use crate::gateway::challenge::Stopped;
use crate::protocol::metadata::path;

pub use headers::sealed;

/// What MCP asks with. TRACE would have the upstream echo our token, CONNECT would be a tunnel, and what
/// OPTIONS asks is answered before.
const METHODS: MethodFilter =
    MethodFilter::GET.or(MethodFilter::HEAD).or(MethodFilter::POST).or(MethodFilter::DELETE);

/// The client towards upstream servers: pooled, streaming, without redirects or decompression.
pub type Upstream = Client<HttpsConnector<HttpConnector>, Body>;

/// One resource with an upstream.
#[derive(Clone)]
struct Gate(Arc<Parts>);

struct Parts {
    auth: AuthServer,
    upstream: Upstream,
    resource: Resource,
    url: Url,
    /// URL of the protected-resource metadata, for challenges.
    metadata: String,
}

/// The paths of all resources that have an upstream.
pub fn router(auth: &AuthServer, upstream: &Upstream) -> Router {
    let mut router = Router::new();
    for resource in auth.policy().resources.iter() {
        let Some(url) = resource.upstream.clone() else { continue };
        let metadata = auth.policy().issuer.at(&format!("{}{}", path::PROTECTED_RESOURCE, resource.path));
        let parts = Parts {
            auth: auth.clone(),
            upstream: upstream.clone(),
            resource: resource.clone(),
            url,
            metadata,
        };
        let below = format!("{}/{{*rest}}", resource.path);
        let gate = Gate(Arc::new(parts));
        router = router
            .route(&resource.path, on(METHODS, forward::forward).with_state(gate.clone()))
            .route(&format!("{}/", resource.path), on(METHODS, forward::forward).with_state(gate.clone()))
            .route(&below, on(METHODS, forward::forward).with_state(gate));
    }
    router.method_not_allowed_fallback(|| async { Stopped::Method })
}
