//! How much of the server one address, person or client may use.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

/// The limits, as an operator sets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For each address, of what comes without a credential; `None` is off.
    pub per_address: Option<Rate>,
    /// For each person, at the gateway.
    pub per_user: Option<Rate>,
    /// How many requests of each person may be open at the gateway, streams among them.
    pub open_per_user: usize,
    /// For each client, at the gateway.
    pub per_client: Option<Rate>,
    /// How many proxies stand in front, each of which appends to `X-Forwarded-For` who asked it. What
    /// stands further left in that header is anybody's word.
    pub proxies: usize,
}

impl Default for Limits {
    /// None, but for what is open.
    fn default() -> Self {
        Self { per_address: None, per_user: None, open_per_user: 100, per_client: None, proxies: 0 }
    }
}

/// More in a second is no limit, and the time between two is told in whole nanoseconds.
const MOST: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

/// So many requests in a period, all at once if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub count: NonZeroU32,
    pub period: Duration,
}

impl Rate {
    /// Reads so many in a second, minute or hour: `60/m`. A fault is told without what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (count, unit) = text.split_once('/').ok_or("This has no unit.")?;
        let period = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return Err("This unit is unknown.".to_owned()),
        };
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        // Whatever is longer than the number can be is more than the most.
        let count = if digits && !count.is_empty() { Some(count.parse().unwrap_or(u32::MAX)) } else { None };
        match count.map(NonZeroU32::new) {
            None => Err("This does not begin with a whole number.".to_owned()),
            Some(None) => Err("With 0 nobody could ask anything.".to_owned()),
            Some(Some(count)) if count > MOST => Err(format!("This is more than {MOST}.")),
            Some(Some(count)) => Ok(Self { count, period }),
        }
    }
}
