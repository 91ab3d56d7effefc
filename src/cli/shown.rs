//! How a list shows times and other people's words.

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
