//! Which web pages may ask (MCP Streamable HTTP, Security Warning: `Origin` has to be looked at).

use axum::http::HeaderMap;
use axum::http::header;

use crate::gateway::challenge::Stopped;

/// Refuses a page that is not in the list, where there is one. No `Origin` is no page; several are none that counts.
pub fn check(allowed: Option<&[String]>, headers: &HeaderMap) -> Result<(), Stopped> {
    let Some(allowed) = allowed else { return Ok(()) };
    let is_allowed = |origin: &[u8]| allowed.iter().any(|allowed| allowed.as_bytes() == origin);
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match origins.all(|origin| is_allowed(origin.as_bytes())) {
        true => Ok(()),
        false => Err(Stopped::Origin),
    }
}
