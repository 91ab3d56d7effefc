//! How much of the server an address may use without a credential.
//!
//! One limiter for each address, in a cache of bounded size. It forgets an address that has been silent for
//! a whole period, whose limiter would be as good as new; and when there are more addresses than it has room
//! for, those that ask rarely, whom a limit is not for.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use moka::sync::Cache;

use crate::app::address::asking;
use crate::domain::limits::Rate;
use crate::flows::AuthServer;
use crate::flows::pace::Pace;
use crate::flows::refusal::RefusedFor;
use crate::flows::refusal::Repeated;
use crate::gateway::has_credential;
use crate::http::Pages;

/// Addresses. With all that belongs to one, some 25 MiB.
const REMEMBERED: u64 = 50_000;

/// Lets requests through, and answers those of an address that has asked too often. Cheap to clone.
#[derive(Clone)]
pub struct Limiter(Option<Arc<Parts>>);

struct Parts {
    auth: AuthServer,
    pages: Pages,
    rate: Rate,
    addresses: Cache<IpAddr, Arc<Address>>,
    /// It has been said that the header does not tell what it should.
    warned: AtomicBool,
}

struct Address {
    requests: Pace,
    /// What a false credential takes from: clients whose tokens expire have to get through to /token.
    refused: Pace,
    /// Once in a period the audit trail has a refusal; a flood does not flood it.
    told: Pace,
}

/// Why a request is answered here.
struct Exceeded {
    wait: Duration,
    first: bool,
}

impl Limiter {
    /// As the policy says.
    #[must_use]
    pub fn new(auth: &AuthServer, pages: &Pages) -> Self {
        Self(auth.policy().limits.per_address.map(|rate| {
            let addresses = Cache::builder().max_capacity(REMEMBERED).time_to_idle(rate.period).build();
            let warned = AtomicBool::new(false);
            Arc::new(Parts { auth: auth.clone(), pages: pages.clone(), rate, addresses, warned })
        }))
    }
}

impl Parts {
    fn asking(&self, request: &Request) -> IpAddr {
        let proxies = self.auth.policy().limits.proxies;
        let (address, told) = asking(request.headers(), request.extensions(), proxies);
        if !told && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                proxies,
                "X-Forwarded-For has fewer addresses than limits.proxies, or none that can be read: such requests count as their connection's. Write how many proxies there are."
            );
        }
        address
    }

    fn check(&self, key: IpAddr) -> Result<(), Exceeded> {
        let address = self.address(key);
        address.requests.check().map_err(|not_until| Exceeded {
            wait: not_until.wait_time_from(self.auth.elapsed()),
            first: address.told.check().is_ok(),
        })
    }

    fn address(&self, key: IpAddr) -> Arc<Address> {
        self.addresses.get_with(key, || Arc::new(self.new_address()))
    }

    fn new_address(&self) -> Address {
        let once = Rate { count: NonZeroU32::MIN, ..self.rate };
        Address {
            requests: self.auth.pace(self.rate),
            refused: self.auth.pace(self.rate),
            told: self.auth.pace(once),
        }
    }
}

/// Around what anybody may ask.
pub async fn everybody<R>(
    Limiter(parts): &Limiter,
    request: Request,
    next: impl FnOnce(Request) -> R,
) -> Response
where
    R: Future<Output = Response>,
{
    let Some(parts) = parts else { return next(request).await };
    match parts.check(parts.asking(&request)) {
        Ok(()) => next(request).await,
        Err(Exceeded { wait, first }) => {
            let mut response = parts.pages.address_limited(request.uri().path(), wait);
            if !first {
                response.extensions_mut().insert(Repeated);
            }
            response
        }
    }
}

/// Around what is asked with a credential: the calls of a hosted client, which serves many people from one
/// address, are not counted. What is refused there is refused however often it comes, and beyond the limit leaves no
/// line in the log.
pub async fn strangers<R>(limiter: &Limiter, request: Request, next: impl FnOnce(Request) -> R) -> Response
where
    R: Future<Output = Response>,
{
    if !has_credential(request.headers()) {
        return everybody(limiter, request, next).await;
    }
    let Limiter(Some(parts)) = limiter else { return next(request).await };
    let key = parts.asking(&request);
    let mut response = next(request).await;
    let refused = response.status().is_client_error() && response.extensions().get::<RefusedFor>().is_some();
    if refused && parts.address(key).refused.check().is_err() {
        response.extensions_mut().insert(Repeated);
    }
    response
}
