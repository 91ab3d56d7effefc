//! How often something may happen: governor's arithmetic with our clock.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::InMemoryState;
use governor::state::NotKeyed;
use moka::sync::Cache;

use crate::domain::limits::Rate;
use crate::flows::AuthServer;
use crate::flows::caller::Caller;
use crate::flows::under_way::Open;
use crate::flows::under_way::UnderWay;
use crate::ports::clock::Clock;

/// Lets so much through in a period, all at once if need be.
pub type Pace = RateLimiter<NotKeyed, InMemoryState, Elapsed, NoOpMiddleware<Duration>>;

/// The clock that tests move.
#[derive(Clone)]
pub struct Elapsed(Arc<dyn Clock>);

impl GovernorClock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A new limiter.
pub(in crate::flows) fn pace(clock: &Arc<dyn Clock>, rate: Rate) -> Pace {
    let each = Quota::with_period(rate.period / rate.count.get());
    let quota = each.expect("no rate is so high that it has no period").allow_burst(rate.count);
    RateLimiter::direct_with_clock(quota, Elapsed(Arc::clone(clock)))
}

/// A limiter for each of many. It forgets one that has been silent for long enough to be as good as new, and when there
/// are too many, those that ask rarely, whom a limit is not for.
pub(in crate::flows) struct Paces<K>(Cache<K, Arc<Pace>>);

/// Entries. With all that belongs to one, some 10 MiB.
const REMEMBERED: u64 = 50_000;

/// Nobody knows when one of the open requests ends.
const UNTIL_ONE_ENDS: Duration = Duration::from_secs(5);

/// No period of a limit is longer.
const LONGEST: Duration = Duration::from_hours(1);

impl<K: Hash + Eq + Send + Sync + 'static> Default for Paces<K> {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_idle(LONGEST).build())
    }
}

impl<K: Hash + Eq + Send + Sync + Clone + 'static> Paces<K> {
    /// Counts one more; or says how long it has to wait.
    fn check(&self, clock: &Arc<dyn Clock>, rate: Rate, key: &K) -> Result<(), Duration> {
        let limiter = self.0.get_with_by_ref(key, || Arc::new(pace(clock, rate)));
        limiter.check().map_err(|not_until| not_until.wait_time_from(clock.elapsed()))
    }
}

/// A person or a client has asked too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    pub of: &'static str,
    /// Until the next one is let through.
    pub wait: Duration,
}

impl AuthServer {
    /// Counts one more request of a caller, which is under way as long as what is returned.
    pub fn paced(&self, caller: &Caller, request: Arc<dyn UnderWay>) -> Result<Open, TooMany> {
        let limits = &self.policy().limits;
        let clock = &self.0.ports.clock;
        let user = caller.credential.user();
        let own = caller.holder.rate;
        let limit = own.or(limits.per_user);
        if let Some(rate) = limit {
            let checked = self.0.users.check(clock, rate, &user);
            let of = if own.is_some() { "key_limit" } else { "user_limit" };
            checked.map_err(|wait| TooMany { of, wait })?;
        }
        // A key is a client of its own, and is counted once.
        let counted = caller.credential.is_key() && limit.is_some();
        if let Some(rate) = limits.per_client.filter(|_| !counted) {
            let checked = self.0.callers.check(clock, rate, &caller.holder.client);
            checked.map_err(|wait| TooMany { of: "client_limit", wait })?;
        }
        let open = self.under_way(user, request);
        let open = open.ok_or(TooMany { of: "open_limit", wait: UNTIL_ONE_ENDS })?;
        self.count_use(&caller.credential);
        Ok(open)
    }

    /// A limiter by the clock of this server.
    #[must_use]
    pub fn pace(&self, rate: Rate) -> Pace {
        pace(&self.0.ports.clock, rate)
    }
}
