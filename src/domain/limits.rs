//! How much of the server an address may use without a credential.

use std::num::NonZeroU32;
use std::time::Duration;

/// The limits, as an operator sets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For each address; `None` is off.
    pub per_address: Option<Rate>,
    /// How many proxies stand in front, each of which appends to `X-Forwarded-For` who asked it. What
    /// stands further left in that header is anybody's word.
    pub proxies: usize,
}

/// So many requests in a period, all at once if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub period: Duration,
}
