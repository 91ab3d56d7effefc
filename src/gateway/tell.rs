//! What operators are told of their MCP servers: what clients are not, and who is at fault. A server that fails fails
//! many; a few lines a minute say as much as all of them.

use std::error::Error;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use hyper_util::client::legacy;

use crate::domain::limits::Rate;
use crate::gateway::Gate;

/// Lines about each resource.
pub const TOLD: Rate = Rate { count: NonZeroU32::new(6).unwrap(), period: Duration::from_mins(1) };

/// Bytes of a header that are shown.
const SHOWN: usize = 200;

impl Gate {
    fn is_to_tell(&self) -> bool {
        self.0.told.check().is_ok()
    }

    /// It was not reached, or broke off: what went wrong between two machines of the operator's.
    pub fn tell_of_trouble(&self, error: &legacy::Error) {
        if self.is_to_tell() {
            let causes = std::iter::successors(error.source(), |error| (*error).source());
            let why = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
            tracing::warn!(resource = self.path(), why, "the MCP server cannot be asked");
        }
    }

    /// It did not begin to answer.
    pub fn tell_of_silence(&self, patience: Duration) {
        if self.is_to_tell() {
            let waited = humantime::format_duration(patience).to_string();
            tracing::warn!(
                resource = self.path(),
                waited,
                "the MCP server did not begin to answer within first_byte_timeout"
            );
        }
    }

    /// It takes our token for none of its own.
    pub fn tell_of_our_refusal(&self, headers: &HeaderMap) {
        if self.is_to_tell() {
            let says = shown(headers, &header::WWW_AUTHENTICATE);
            tracing::error!(
                resource = self.path(),
                says,
                "the MCP server refuses the gateway's token: it has to be set up to accept this issuer, and its own upstream URL as audience"
            );
        }
    }

    /// It is elsewhere.
    pub fn tell_of_a_redirect(&self, status: StatusCode, headers: &HeaderMap) {
        if self.is_to_tell() {
            let location = shown(headers, &header::LOCATION);
            tracing::warn!(
                resource = self.path(),
                status = status.as_u16(),
                location,
                "the MCP server redirects, which the gateway does not follow: write where it is into upstream"
            );
        }
    }

    /// What it says is no answer.
    pub fn tell_of_no_answer(&self, status: StatusCode) {
        if self.is_to_tell() {
            tracing::warn!(
                resource = self.path(),
                status = status.as_u16(),
                "the MCP server answers with a status that is none"
            );
        }
    }

    /// An answer that had begun was cut off: the status in the log says nothing of that.
    pub fn tell_of_a_cut(&self, cause: &'static str, why: &dyn Display) {
        metrics::counter!("entrada_gateway_cut_total", "resource" => self.0.label.clone(), "cause" => cause)
            .increment(1);
        if self.is_to_tell() {
            tracing::warn!(resource = self.path(), why = %why, "an answer was cut off");
        }
    }

    fn path(&self) -> &str {
        &self.0.resource.path
    }
}

/// What a header says, for a line of a log.
fn shown(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    Some(value[..value.len().min(SHOWN)].escape_ascii().to_string())
}
