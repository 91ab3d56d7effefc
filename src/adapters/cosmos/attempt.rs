//! One operation is as many requests as it takes within its deadline.
//!
//! The SDK fails over and asks again by itself, but within milliseconds: what lasts longer is waited for here.

use std::time::Duration;

use azure_data_cosmos::CosmosError;
use tokio::time::timeout;

use crate::adapters::pause::jittered;
use crate::adapters::pause::rest;
use crate::ports::store::StoreError;

/// The first pause between two requests; each one after it is twice as long, up to `MAX_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_millis(800);

/// Why a request did not do what it was sent for.
#[derive(Debug)]
pub(super) enum Trouble {
    /// 409, 412, or 404 for a write: another write came first. It may have been our own.
    Refused,
    /// Throttled: it was not carried out. When Cosmos DB says so, not before this time has passed.
    Throttled(Option<Duration>),
    /// It is unknown whether it was carried out.
    Unknown(String),
    /// Asking again would change nothing.
    Final(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

/// The database, the container or an item's parent is missing.
const OWNER_NOT_FOUND: u16 = 1003;

/// What an error of a request for an item means. Its text is not used: it quotes ids.
pub(super) fn trouble(error: &CosmosError) -> Trouble {
    let status = error.status();
    let code = u16::from(status.status_code());
    let sub = status.sub_status().map_or(0, |sub| sub.value());
    let words = match sub {
        0 => format!("Cosmos DB answered {code}"),
        sub => format!("Cosmos DB answered {code}/{sub}"),
    };
    let away = |what: &str| Trouble::Final(StoreError::Away(format!("{words}: {what}")));
    match code {
        404 if sub == OWNER_NOT_FOUND => away("the database or the container is gone"),
        404 if status.is_not_found() => Trouble::Refused,
        409 | 412 => Trouble::Refused,
        429 => {
            let wanted = error.response().and_then(|response| response.headers().retry_after_ms);
            Trouble::Throttled(wanted.map(Duration::from_millis))
        }
        401 => away("it does not accept the credential"),
        403 if !status.is_write_forbidden() && !status.is_database_account_not_found() => {
            away("the credential may not do this, or a firewall refuses this address")
        }
        400 | 413 => away("it does not take the request"),
        _ => Trouble::Unknown(words),
    }
}

/// Times of one operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For everything.
    pub(super) whole: Duration,
    /// For one request.
    pub(super) request: Duration,
}

impl Patience {
    pub(super) fn of(whole: Duration) -> Self {
        Self { whole, request: whole / 2 }
    }

    /// Sends until it is done or the time is over. `send` is told whether an earlier request may have been carried out.
    pub(super) async fn persist<T, F>(self, send: impl Fn(bool) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        // Kept outside, for when the time is over.
        let mut why = "it did not answer in time".to_owned();
        let done = timeout(self.whole, async {
            let (mut doubtful, mut pause) = (false, FIRST_PAUSE);
            loop {
                let wanted = match timeout(self.request, send(doubtful)).await {
                    Ok(Ok(done)) => return Ok(done),
                    Ok(Err(Trouble::Final(error))) => return Err(error),
                    Ok(Err(Trouble::Refused)) => return Err(StoreError::Conflict),
                    Ok(Err(Trouble::Throttled(wanted))) => {
                        "Cosmos DB throttles".clone_into(&mut why);
                        wanted
                    }
                    Ok(Err(Trouble::Unknown(words))) => {
                        (doubtful, why) = (true, words);
                        None
                    }
                    Err(_) => {
                        doubtful = true;
                        "it did not answer in time".clone_into(&mut why);
                        None
                    }
                };
                rest(wanted.unwrap_or_default().max(jittered(pause))).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        })
        .await;
        done.unwrap_or_else(|_| Err(StoreError::Away(why)))
    }
}
