//! How often documents are fetched. Anybody can name an address at a trusted host, and each name costs a fetch: so
//! there are limits for each address, for each host and for all of them, and a host that does not answer is left alone
//! for a while. Nothing is remembered of a single failure, which the next attempt may mend.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::limits::Rate;
use crate::domain::time::Timestamp;
use crate::flows::pace::Pace;
use crate::flows::pace::pace;
use crate::ports::clock::Clock;
use crate::protocol::client_id_url::ClientIdUrl;

/// Fetches of one address: three at once, then one in 20 seconds.
const PER_ADDRESS: Rate = per_minute(3);
/// Fetches in a minute, at one host, of addresses that nobody has signed in with.
const PER_HOST: Rate = per_minute(60);
/// The same at all hosts.
const OVERALL: Rate = per_minute(120);
/// Reads of copies in the store in a minute.
const COPIES: Rate = per_minute(6_000);

/// Failures in a row after which a host is left alone.
const FAILURES: u32 = 3;
/// How long.
const REST: Duration = Duration::from_secs(30);

const REMEMBERED_HOSTS: u64 = 1_000;
const REMEMBERED_ADDRESSES: u64 = 10_000;

const fn per_minute(count: u32) -> Rate {
    Rate {
        count: NonZeroU32::new(count).expect("a limit lets something through"),
        period: Duration::from_secs(60),
    }
}

/// Why nothing is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flows) enum Refrained {
    /// The host has not answered lately.
    HostRests,
    TooOften,
}

/// The limits of this replica.
pub(in crate::flows) struct FetchLimits {
    clock: Arc<dyn Clock>,
    strangers: Pace,
    copies: Pace,
    hosts: Cache<String, Arc<Host>>,
    addresses: Cache<String, Arc<Pace>>,
}

struct Host {
    strangers: Pace,
    /// One for strange addresses and one for the others: whoever finds an address there that always fails must not
    /// keep the host from being asked for what people use.
    breakers: [Mutex<Breaker>; 2],
}

/// Opens after some failures in a row. Then one attempt in a while tells whether it may close.
#[derive(Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Breaker {
    fn is_open(&self, now: Timestamp) -> bool {
        // A clock that was set back must not keep it open for longer.
        self.open_until.is_some_and(|until| now < until && until <= now.plus(REST))
    }
}

impl FetchLimits {
    pub(in crate::flows) fn new(clock: &Arc<dyn Clock>) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            clock: Arc::clone(clock),
            strangers: pace(clock, OVERALL),
            copies: pace(clock, COPIES),
            hosts: Cache::builder().max_capacity(REMEMBERED_HOSTS).time_to_idle(10 * minute).build(),
            addresses: Cache::builder().max_capacity(REMEMBERED_ADDRESSES).time_to_idle(minute).build(),
        }
    }

    /// Whether `address` may be fetched now. What people have signed in with is no stranger, and a flood of strange
    /// addresses does not touch it.
    ///
    /// `key` is what it would be kept under: fetched for one purpose, it is not used up for another.
    pub(in crate::flows) fn admit(
        &self,
        address: &ClientIdUrl,
        key: &str,
        stranger: bool,
    ) -> Result<(), Refrained> {
        let host = self.host(address);
        let now = self.clock.now();
        if host.breaker(stranger).is_open(now) {
            return Err(Refrained::HostRests);
        }
        let own = self.addresses.get_with_by_ref(key, || Arc::new(pace(&self.clock, PER_ADDRESS)));
        let strangers: &[&Pace] = if stranger { &[&host.strangers, &self.strangers] } else { &[] };
        if own.check().is_err() || strangers.iter().any(|pace| pace.check().is_err()) {
            return Err(Refrained::TooOften);
        }
        let mut breaker = host.breaker(stranger);
        if breaker.is_open(now) {
            return Err(Refrained::HostRests);
        }
        if breaker.open_until.is_some() {
            // This one tells; the others wait for what it learns.
            breaker.open_until = Some(now.plus(REST));
        }
        Ok(())
    }

    /// Notes whether the host of `address` answered.
    pub(in crate::flows) fn note(&self, address: &ClientIdUrl, stranger: bool, answered: bool) {
        let host = self.host(address);
        let mut breaker = host.breaker(stranger);
        if answered {
            *breaker = Breaker::default();
            return;
        }
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= FAILURES {
            breaker.open_until = Some(self.clock.now().plus(REST));
        }
    }

    /// Whether the store may be asked for a copy.
    pub(in crate::flows) fn admits_copy(&self) -> bool {
        self.copies.check().is_ok()
    }

    fn host(&self, address: &ClientIdUrl) -> Arc<Host> {
        self.hosts.get_with(address.host().to_owned(), || {
            Arc::new(Host { strangers: pace(&self.clock, PER_HOST), breakers: Default::default() })
        })
    }
}

impl Host {
    fn breaker(&self, stranger: bool) -> MutexGuard<'_, Breaker> {
        self.breakers[usize::from(stranger)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
