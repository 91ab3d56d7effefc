//! How long Microsoft Graph is asked again.

use std::time::Duration;

use tokio::time::timeout;

use crate::adapters::pause::jittered;
use crate::adapters::pause::rest;

use super::ApplyError;

/// The first pause between two requests; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// What was just made is known everywhere after seconds, and after a minute where the directory is busy.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why one request did not bring what it was sent for.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may the next time; not before this time has passed, if Microsoft Graph says so.
    Again {
        why: String,
        wanted: Option<Duration>,
    },
    Final(ApplyError),
}

impl Trouble {
    pub(super) fn again(why: &str) -> Self {
        Self::Again { why: why.to_owned(), wanted: None }
    }
}

/// Asks until there is an answer that stands, or `patience` is over. A pause that would outlast it is not begun.
pub(super) async fn insist<T>(
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
) -> Result<T, ApplyError> {
    let mut last = "it did not answer in time".to_owned();
    let done = timeout(patience, async {
        let (mut pause, mut waited) = (FIRST_PAUSE, Duration::ZERO);
        loop {
            let wanted = match attempt().await {
                Ok(brought) => return Ok(brought),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Again { why, wanted }) => {
                    last = why;
                    wanted.unwrap_or_default()
                }
            };
            let next = wanted.max(jittered(pause));
            waited = waited.saturating_add(next);
            if waited >= patience {
                return Err(away(&last));
            }
            rest(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    })
    .await;
    done.unwrap_or_else(|_| Err(away(&last)))
}

/// It cannot be asked now.
pub(super) fn away(why: &str) -> ApplyError {
    ApplyError::Away(format!("Microsoft Graph is away: {why}."))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    /// The time that passes for what is awaited, to the second above.
    #[expect(clippy::disallowed_methods, reason = "time that the test moves")]
    async fn takes<T>(awaited: impl Future<Output = T>) -> (T, Duration) {
        let begun = Instant::now();
        (awaited.await, Instant::now() - begun)
    }

    fn throttled(seconds: u64) -> Trouble {
        Trouble::Again { why: "it throttles".to_owned(), wanted: Some(Duration::from_secs(seconds)) }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_with_the_patience() {
        let mut asked = 0;
        let nothing = async || -> Result<(), Trouble> {
            asked += 1;
            Err(Trouble::again("it answered 503"))
        };
        let (result, took) = takes(insist(PATIENCE, nothing)).await;
        assert_eq!(result.unwrap_err().to_string(), "Microsoft Graph is away: it answered 503.");
        assert!(took <= PATIENCE && took > PATIENCE / 2, "{took:?}");
        // Some 8 s until the longest pause is reached, and 5 to 10 s for each one after it.
        assert!((14..=32).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_as_long_as_it_is_told_to_and_not_at_all_when_that_is_too_long() {
        let mut asked = 0;
        let second = async || {
            asked += 1;
            if asked == 1 { Err(throttled(17)) } else { Ok(asked) }
        };
        let (result, took) = takes(insist(PATIENCE, second)).await;
        assert_eq!(result.unwrap(), 2);
        assert!((17..18).contains(&took.as_secs()), "{took:?}");

        let never = async || -> Result<(), Trouble> { Err(throttled(120)) };
        let (result, took) = takes(insist(PATIENCE, never)).await;
        assert_eq!(result.unwrap_err().to_string(), "Microsoft Graph is away: it throttles.");
        assert_eq!(took, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_answers_is_given_up_and_what_is_final_is_not_asked_again() {
        let (result, took) = takes(insist(PATIENCE, async || pending::<Result<(), Trouble>>().await)).await;
        assert!(matches!(result, Err(ApplyError::Away(why)) if why.ends_with("it did not answer in time.")));
        assert_eq!(took, PATIENCE);

        let mut asked = 0;
        let refused = async || -> Result<(), Trouble> {
            asked += 1;
            Err(Trouble::Final(ApplyError::Wrong("no".to_owned())))
        };
        assert!(insist(PATIENCE, refused).await.is_err());
        assert_eq!(asked, 1);
    }
}
