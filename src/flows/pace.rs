//! How often something may happen: governor's arithmetic with our clock.

use std::sync::Arc;
use std::time::Duration;

use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::InMemoryState;
use governor::state::NotKeyed;

use crate::domain::limits::Rate;
use crate::flows::AuthServer;
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

impl AuthServer {
    /// A limiter by the clock of this server.
    #[must_use]
    pub fn pace(&self, rate: Rate) -> Pace {
        pace(&self.0.ports.clock, rate)
    }
}
