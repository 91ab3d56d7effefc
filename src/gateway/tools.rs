//! Scopes for single tools: what a request calls, told by its headers or its body, and whether its token may.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::header;

use crate::domain::tools::ToolScopes;
use crate::gateway::challenge::Stopped;
use crate::protocol::jsonrpc;
use crate::protocol::jsonrpc::Message;
use crate::protocol::scope::Scopes;

/// MCP 2026-07-28, Streamable HTTP, Standard Request Headers.
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What the headers say of a request: enough to refuse it by, and never enough to let it through.
pub fn judge_headers(rules: &ToolScopes, held: &Scopes, headers: &HeaderMap) -> Result<(), Stopped> {
    is_plain_json(headers)?;
    let (method, name) = (one(headers, &METHOD)?, one(headers, &NAME)?);
    match (method.as_deref(), name) {
        (Some("tools/call"), Some(name)) => permitted(rules, held, [name.as_str()]),
        _ => Ok(()),
    }
}

/// What the body asks for, which is what counts. Headers that say something else refuse the request: whoever goes by
/// them would judge another one.
pub fn judge_body(
    rules: &ToolScopes,
    held: &Scopes,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), Stopped> {
    let messages = jsonrpc::messages(body).map_err(|_| Stopped::BodyUnreadable)?;
    let (method, name) = (one(headers, &METHOD)?, one(headers, &NAME)?);
    if method.is_some() || name.is_some() {
        let [message] = messages.as_slice() else { return Err(Stopped::HeaderMismatch) };
        if method != message.method || (message.is_named() && name.is_some() && name != message.name) {
            return Err(Stopped::HeaderMismatch);
        }
    }
    permitted(rules, held, messages.iter().filter_map(Message::tool))
}

/// Whoever decodes the body by another character set, or inflates it, reads another one.
fn is_plain_json(headers: &HeaderMap) -> Result<(), Stopped> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = types.next().and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
        let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
        let utf8 = |part: String| matches!(part.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"");
        parts.next().as_deref() == Some("application/json") && parts.all(utf8)
    });
    match codings.all(|coding| coding == "identity") && is_json && types.next().is_none() {
        true => Ok(()),
        false => Err(Stopped::BodyEncoded),
    }
}

/// All that is needed is named at once, with what is held already: a client asks for exactly that.
fn permitted<'a>(
    rules: &ToolScopes,
    held: &Scopes,
    tools: impl IntoIterator<Item = &'a str>,
) -> Result<(), Stopped> {
    let needed: Vec<Scopes> = tools.into_iter().map(|tool| rules.needed(tool)).collect();
    let mut all = needed.iter().flat_map(Scopes::iter);
    if all.all(|scope| held.contains(scope)) {
        return Ok(());
    }
    Err(Stopped::Scope(held.iter().chain(needed.iter().flat_map(Scopes::iter)).collect()))
}

/// A header that may stand once, as it is meant.
fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Stopped> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|_| values.next().is_none()).and_then(jsonrpc::header_value);
    text.map(|text| Some(text.into_owned())).ok_or(Stopped::HeaderMismatch)
}
