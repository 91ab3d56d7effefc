use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Mutex as Flight;

use crate::domain::time::Timestamp;
use crate::ports::idp::UpstreamError;

/// A provider changes its endpoints rarely, and its keys with days of notice.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// What is there is fetched again at most this often, whatever the reason.
const RENEWAL: Duration = Duration::from_secs(60);

/// A document of the provider's that we keep: fetched when first needed, by one caller at a time.
///
/// Those who wait for a fetch share its outcome. A failure is remembered for nobody else while there
/// is no document; while there is one, it stays, and is tried again a minute later.
pub(super) struct Kept<T> {
    flight: Flight<()>,
    state: Mutex<State<T>>,
}

struct State<T> {
    document: Option<Arc<T>>,
    fetched_at: Option<Timestamp>,
    /// The last attempt to replace a document, whether it succeeded or not.
    renewed_at: Option<Timestamp>,
    /// Attempts so far.
    flights: u64,
    /// Of the last attempt.
    failure: Option<UpstreamError>,
}

impl<T> Kept<T> {
    pub(super) fn new() -> Self {
        let state = State { document: None, fetched_at: None, renewed_at: None, flights: 0, failure: None };
        Self { flight: Flight::new(()), state: Mutex::new(state) }
    }

    /// The document. Polls `fetch` when there is none, or it is a day old.
    pub(super) async fn get(
        &self,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<Arc<T>, UpstreamError> {
        let (old, flights) = {
            let state = self.state();
            let fresh = !is_past(state.fetched_at, MAX_AGE, now) || !is_past(state.renewed_at, RENEWAL, now);
            match &state.document {
                Some(document) if fresh => return Ok(document.clone()),
                old => (old.clone(), state.flights),
            }
        };
        let _flight = match &old {
            None => self.flight.lock().await,
            Some(old) => match self.flight.try_lock() {
                Ok(flight) => flight,
                // Somebody is fetching a new one. The old one does meanwhile.
                Err(_) => return Ok(old.clone()),
            },
        };
        if let Some(outcome) = self.landed_since(flights) {
            return outcome;
        }
        match (self.land(now, fetch.await), old) {
            (Err(failure), Some(old)) => {
                tracing::warn!(
                    reason = failure.reason().what,
                    "an old document of the provider's stays in use"
                );
                Ok(old)
            }
            (outcome, _) => outcome,
        }
    }

    /// A document newer than `seen`, which turned out to lack something. Polls `fetch` at most once a
    /// minute; `None` when the last attempt, within this minute, brought nothing newer.
    pub(super) async fn newer(
        &self,
        seen: &Arc<T>,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<Option<Arc<T>>, UpstreamError> {
        let _flight = self.flight.lock().await;
        {
            let state = self.state();
            match &state.document {
                Some(document) if !Arc::ptr_eq(document, seen) => return Ok(Some(document.clone())),
                Some(_) if !is_past(state.renewed_at, RENEWAL, now) => {
                    return state.failure.clone().map_or(Ok(None), Err);
                }
                _ => {}
            }
        }
        self.land(now, fetch.await).map(Some)
    }

    /// The outcome of a flight that landed while the caller waited for its turn.
    fn landed_since(&self, flights: u64) -> Option<Result<Arc<T>, UpstreamError>> {
        let state = self.state();
        if state.flights == flights {
            return None;
        }
        match (&state.document, &state.failure) {
            (Some(document), _) => Some(Ok(document.clone())),
            (None, Some(failure)) => Some(Err(failure.clone())),
            (None, None) => None,
        }
    }

    fn land(&self, now: Timestamp, outcome: Result<T, UpstreamError>) -> Result<Arc<T>, UpstreamError> {
        let mut state = self.state();
        state.flights += 1;
        if state.document.is_some() {
            state.renewed_at = Some(now);
        }
        match outcome {
            Ok(document) => {
                let document = Arc::new(document);
                state.document = Some(document.clone());
                state.fetched_at = Some(now);
                state.failure = None;
                Ok(document)
            }
            Err(failure) => {
                state.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that runs under this lock panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `period` has passed since `then`. A clock that was set back counts as yes: better one fetch
/// too many than none until the clock has caught up.
fn is_past(then: Option<Timestamp>, period: Duration, now: Timestamp) -> bool {
    then.is_none_or(|then| now < then || now.since(then) >= period)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;

    use super::super::failure::away;
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000);
    const DAY: Duration = MAX_AGE;

    async fn broken() -> Result<u32, UpstreamError> {
        Err(away("broken"))
    }

    async fn never() -> Result<u32, UpstreamError> {
        panic!("fetched although it was not needed")
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let kept = Kept::new();
        assert!(kept.get(NOON, broken()).await.is_err());
        assert_eq!(*kept.get(NOON, async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(*kept.get(NOON, never()).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_day_old_document_is_replaced_or_stays() {
        let kept = Kept::new();
        kept.get(NOON, async { Ok(1) }).await.unwrap();
        let tomorrow = NOON.plus(DAY);
        assert_eq!(*kept.get(Timestamp(tomorrow.0 - 1), never()).await.unwrap(), 1);
        assert_eq!(*kept.get(tomorrow, broken()).await.unwrap(), 1);
        assert_eq!(*kept.get(Timestamp(tomorrow.0 + 59), never()).await.unwrap(), 1);
        assert_eq!(*kept.get(Timestamp(tomorrow.0 + 60), async { Ok(2) }).await.unwrap(), 2);
        assert_eq!(*kept.get(Timestamp(tomorrow.0 + 120), never()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_clock_set_back_does_not_keep_a_document_for_ever() {
        let kept = Kept::new();
        kept.get(NOON.plus(DAY), async { Ok(1) }).await.unwrap();
        assert_eq!(*kept.get(NOON, async { Ok(2) }).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn those_who_wait_share_one_fetch_and_its_failure() {
        let (kept, fetches) = (Kept::<u32>::new(), AtomicU32::new(0));
        let fetch = || async {
            fetches.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Err(away("broken"))
        };
        let (one, two, three) =
            tokio::join!(kept.get(NOON, fetch()), kept.get(NOON, fetch()), kept.get(NOON, fetch()));
        assert!(one.is_err() && two.is_err() && three.is_err());
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_old_document_serves_while_a_new_one_is_fetched() {
        let kept = Kept::new();
        kept.get(NOON, async { Ok(1) }).await.unwrap();
        let slow = async {
            tokio::task::yield_now().await;
            Ok(2)
        };
        let tomorrow = NOON.plus(DAY);
        let (first, second) = tokio::join!(kept.get(tomorrow, slow), kept.get(tomorrow, never()));
        assert_eq!((*first.unwrap(), *second.unwrap()), (2, 1));
    }

    #[tokio::test]
    async fn a_newer_one_is_fetched_once_a_minute() {
        let kept = Kept::new();
        let first = kept.get(NOON, async { Ok(1) }).await.unwrap();
        let second = kept.newer(&first, NOON, async { Ok(2) }).await.unwrap().unwrap();
        assert_eq!(*second, 2);
        assert_eq!(*kept.newer(&first, NOON, never()).await.unwrap().unwrap(), 2);
        assert!(kept.newer(&second, NOON, never()).await.unwrap().is_none());
        let later = Timestamp(NOON.0 + 60);
        assert!(kept.newer(&second, later, broken()).await.is_err());
        assert!(
            kept.newer(&second, later, never()).await.is_err(),
            "nobody knows whether there is a newer one"
        );
    }
}
