//! Where a request goes at the upstream.

use axum::http::Uri;
use url::Url;

use crate::gateway::challenge::Stopped;

/// The upstream URL, with what follows the resource's path, and the query.
pub fn upstream_uri(upstream: &Url, resource: &str, asked: &Uri) -> Result<Uri, Stopped> {
    let rest = asked.path().strip_prefix(resource).ok_or(Stopped::Path)?;
    if climbs(rest) {
        return Err(Stopped::Path);
    }
    let base = upstream.as_str();
    let base = if rest.is_empty() { base } else { base.trim_end_matches('/') };
    let query = asked.query().unwrap_or_default();
    let mark = if asked.query().is_some() { "?" } else { "" };
    [base, rest, mark, query].concat().parse().map_err(|_| Stopped::Path)
}

/// Whether some server could read the path as leading out of its resource: by dot segments, plain,
/// encoded, encoded twice or with parameters behind them, by encoded separators, or by a NUL.
fn climbs(path: &str) -> bool {
    if path.is_empty() {
        return false;
    }
    let lower = path.to_ascii_lowercase();
    let hidden = ["%2f", "%5c", "\\", "%25", "%00"];
    let dots = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%3b", ";");
        // Servlet containers cut a segment at `;` before they look at its dots.
        matches!(plain.split(';').next(), Some("." | ".."))
    };
    hidden.iter().any(|sequence| lower.contains(sequence)) || lower.split('/').any(dots)
}
