//! Expenses: a sample MCP server behind Entrada.
//!
//! It answers only requests that carry a token of the gateway's, and keeps each person's expenses under
//! that person's `sub`. `caller` and `jwks` are the part that every such server needs; the rest is what
//! this one is about.

mod caller;
#[cfg(feature = "cosmos")]
mod cosmos;
mod expense;
mod jwks;
mod ledger;
mod tools;

use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;

pub use crate::caller::Caller;
pub use crate::caller::Claims;
#[cfg(feature = "cosmos")]
pub use crate::cosmos::CosmosLedger;
#[cfg(feature = "cosmos")]
pub use crate::cosmos::managed_identity;
pub use crate::expense::Expense;
pub use crate::ledger::FileLedger;
pub use crate::ledger::Ledger;

use crate::caller::Verifier;
use crate::caller::authenticate;
use crate::tools::Tools;

/// The path of the MCP endpoint.
pub const PATH: &str = "/mcp";

/// The longest request body, in bytes. An expense is a few hundred.
const MAX_BODY: usize = 64 * 1024;

/// Whose tokens are good, and for which requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Entrada's public URL: the `iss` of its tokens.
    pub issuer: String,
    /// This server as the gateway calls it, byte for byte the `upstream` of Entrada's configuration: the
    /// `aud` of the tokens.
    pub audience: String,
    /// Where the issuer publishes its keys (RFC 7517).
    pub jwks_url: String,
    /// `Host` values that are answered (`name` or `name:port`); others get 403, so that no web page can
    /// reach a server on loopback by DNS rebinding.
    pub allowed_hosts: Vec<String>,
}

impl Settings {
    /// Keys where Entrada has them, and the hosts of loopback and of the audience.
    #[must_use]
    pub fn new(issuer: &str, audience: &str) -> Self {
        let host = audience.parse::<Uri>().ok().and_then(|uri| Some(uri.authority()?.to_string()));
        let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            jwks_url: format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/')),
            allowed_hosts: loopback.into_iter().chain(host).collect(),
        }
    }
}

/// The server: MCP at [`PATH`] for verified callers, and 401 for everybody else.
///
/// Fails if no HTTP client for the key set can be made, which is the fault of the machine's TLS set-up.
pub fn router(settings: Settings, ledger: Arc<dyn Ledger>) -> Result<Router, reqwest::Error> {
    let verifier = Arc::new(Verifier::new(&settings)?);
    // Without sessions each request stands for itself: there is no session that one person could begin
    // and another go on with, and any replica can answer. MCP 2026-07-28 has none; earlier versions
    // leave it to the server.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(settings.allowed_hosts)
        .with_max_request_body_bytes(MAX_BODY);
    let tools = Tools::new(ledger);
    let mcp = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Ok(Router::new().route_service(PATH, mcp).layer(from_fn_with_state(verifier, authenticate)))
}
