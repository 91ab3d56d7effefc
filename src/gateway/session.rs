//! `Mcp-Session-Id`: the upstream's own on that side, sealed for its owner on this one.

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;

use crate::flows::AuthServer;
use crate::flows::caller::Caller;
use crate::gateway::challenge::Stopped;

/// MCP Streamable HTTP, Session Management.
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// A session that a request names.
pub struct Session {
    /// As its owner knows it.
    sealed: HeaderValue,
    /// As the upstream knows it.
    own: HeaderValue,
}

/// The session that a request names, if it is this caller's. Nothing under that name is left in the headers.
pub fn opened(
    auth: &AuthServer,
    caller: &Caller,
    headers: &mut HeaderMap,
) -> Result<Option<Session>, Stopped> {
    if headers.get_all(SESSION_ID).iter().nth(1).is_some() {
        return Err(Stopped::TwoSessions);
    }
    let Some(sealed) = headers.remove(SESSION_ID) else { return Ok(None) };
    let text = sealed.to_str().map_err(|_| Stopped::SessionOfAnother)?;
    let own = auth.opened_session(caller, text).ok_or(Stopped::SessionOfAnother)?;
    let own = HeaderValue::from_str(&own).map_err(|_| Stopped::SessionOfAnother)?;
    Ok(Some(Session { sealed, own }))
}

/// Puts the upstream's own id into a request.
pub fn put(session: Option<&Session>, headers: &mut HeaderMap) {
    if let Some(session) = session {
        headers.insert(SESSION_ID, session.own.clone());
    }
}

/// Seals the id in an answer. One that the caller came with stays as it is known there.
pub fn seal(auth: &AuthServer, caller: &Caller, session: Option<&Session>, headers: &mut HeaderMap) {
    let Some(own) = headers.remove(SESSION_ID) else { return };
    let known = session.filter(|session| session.own == own).map(|session| session.sealed.clone());
    let sealed =
        known.or_else(|| HeaderValue::from_str(&auth.sealed_session(caller, own.to_str().ok()?)).ok());
    // One that is not visible ASCII is none (MCP Streamable HTTP).
    if let Some(sealed) = sealed {
        headers.insert(SESSION_ID, sealed);
    }
}
