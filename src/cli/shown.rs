//! How a list shows times and other people's words, and how words of one's own are read.

use std::time::Duration;
use std::time::UNIX_EPOCH;

use crate::protocol::registration::is_invisible;

/// Seconds since 1970, as a date and time of day.
pub fn utc(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// Names are the client's own words: nothing in them may steer the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_invisible(c) { '\u{fffd}' } else { c }).collect()
}

/// What something is called.
pub fn text(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        true => Err("it needs a word, and neither white space around it nor control characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// A scope-token (RFC 6749 §3.3).
pub fn scope(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    match !text.is_empty() && text.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err("a scope is printable ASCII without spaces, double quotes and backslashes".to_owned()),
    }
}
