//! Documents that clients publish about themselves: fetched from the web, from hosts that somebody else runs.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use url::Url;

/// What lets a host say "not modified" (RFC 9110 §8.8): sent back as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// A successful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// `None` when the document is the one that the validators name (304).
    pub text: Option<String>,
    /// Of this answer; what a 304 does not repeat, as it was known.
    pub validators: Validators,
    /// How much longer HTTP lets it be used without asking again (RFC 9111 §4.2); zero where it says nothing.
    pub fresh_for: Duration,
}

/// Why a document was not fetched. Each carries a word of ours for the log; nothing of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotFetched {
    /// The host cannot be found, connected to, or does not answer in time; its name leads to an address that is
    /// not global; or it says 403, 429 or 5xx, which bot protection does as well. It tells nothing of the document.
    #[error("the host does not give it at the moment: {0}")]
    Away(&'static str),
    /// 404 or 410: there is none, or no longer.
    #[error("there is none")]
    Missing,
    /// What came is no document: a redirect, too long, of another type, not text. Or nothing was asked for, as the
    /// address is no https URL with a host name.
    #[error("what came is no document: {0}")]
    Unusable(&'static str),
}

/// Fetches JSON documents over https, from global addresses alone, without following a redirect.
#[async_trait]
pub trait ClientDocuments: Send + Sync {
    /// Fetches what lies at `url`, or learns that it is still what `known` names.
    async fn fetch(&self, url: &Url, known: &Validators) -> Result<Fetched, NotFetched>;
}
