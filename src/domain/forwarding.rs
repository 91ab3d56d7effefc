//! How the gateway serves a resource: what its MCP server is told, and what a request may be.

use std::time::Duration;

use crate::domain::tools::ToolScopes;

/// How an MCP server learns who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A bearer token of ours, which it can verify.
    Token,
    /// `X-Entrada-Oid` and its like.
    Headers,
    /// `X-MS-CLIENT-PRINCIPAL` and its like, as Azure App Service sends them.
    EasyAuth,
}

impl Identity {
    /// Whether it is only as good as the network that it crosses.
    #[must_use]
    pub fn is_unsigned(self) -> bool {
        self != Self::Token
    }
}

/// The settings of a resource that has an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// One at least.
    pub identity: Vec<Identity>,
    pub tools: ToolScopes,
    /// Web pages that may ask (RFC 6454 §6.2); `None` is any.
    pub origins: Option<Vec<String>>,
    /// Bytes.
    pub body_limit: usize,
    pub connect_timeout: Duration,
    /// From the whole request to the head of the answer.
    pub first_byte_timeout: Duration,
    /// Between two pieces of an answer.
    pub idle_timeout: Duration,
    /// Whether one connection is shared by HTTP/2, and no HTTP/1.1 is spoken.
    pub http2: bool,
    /// PEM: certificates to trust besides the system's.
    pub ca: Option<Vec<u8>>,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            identity: vec![Identity::Token],
            tools: ToolScopes::default(),
            origins: None,
            body_limit: 4 * 1024 * 1024,
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_mins(3),
            idle_timeout: Duration::from_hours(1),
            http2: false,
            ca: None,
        }
    }
}
