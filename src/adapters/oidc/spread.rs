//! A federated credential that was just made is not known everywhere at Entra at once.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use super::http_client::Answer;
use super::refusal::number;

/// "No matching federated identity record found": about the whole assertion, or its subject.
const UNKNOWN: [u32; 2] = [70_021, 700_213];

/// Between the attempts of one request: a browser or a client waits for it.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];

/// From the first such answer on. What is not known by then was never made, or does not fit.
const SPREADING: Duration = Duration::from_secs(10 * 60);

/// Since when the credential has not been known, by the clock's `elapsed`.
#[derive(Default)]
pub(super) struct Spread(Mutex<Option<Duration>>);

impl Spread {
    /// How long to wait before attempt `n` (from 1) is made again with the same question. It may be: who asks is
    /// refused before anything of the question is looked at.
    pub(super) fn pause(&self, n: usize, answer: &Answer, elapsed: Duration) -> Option<Duration> {
        let unknown = number(answer).is_some_and(|code| UNKNOWN.contains(&code));
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !unknown {
            *since = None;
            return None;
        }
        let since = *since.get_or_insert(elapsed);
        PAUSES.get(n - 1).copied().filter(|_| elapsed < since + SPREADING)
    }
}

#[expect(clippy::disallowed_methods, reason = "Entra does not say when a credential has spread")]
pub(super) async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}
