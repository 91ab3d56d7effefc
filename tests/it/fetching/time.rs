//! How long a host is waited for.

use entrada::ports::documents::NotFetched;
use tokio::time::Instant;

use super::DOCUMENT;
use super::Fetching;
use super::HOST;
use super::TEXT;
use super::document;
use super::text;
use crate::support::page::Manner;
use crate::support::page::Page;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that the adapter's timer goes by, and that is moved"
)]
fn now() -> Instant {
    Instant::now()
}

/// Fetches, and lets time pass by itself as soon as the request is there and nothing else happens.
async fn waits_for_5_s(fetching: &Fetching, arrived: impl Future<Output = ()>) {
    let began = now();
    let (fetched, ()) = tokio::join!(fetching.fetch(DOCUMENT), async {
        arrived.await;
        tokio::time::pause();
    });
    let waited = began.elapsed();
    assert_eq!(fetched, Err(NotFetched::Away("it did not answer in time")));
    assert!((5_000..5_500).contains(&waited.as_millis()), "it waited for {waited:?}");
}

#[tokio::test]
async fn a_host_has_5_s_to_begin() {
    let fetching = Fetching::start().await;
    fetching.web.serve(DOCUMENT, document().manner(Manner::Silent));
    waits_for_5_s(&fetching, fetching.web.requested(DOCUMENT, 1)).await;
}

#[tokio::test]
async fn a_host_has_5_s_for_all_of_it() {
    let fetching = Fetching::start().await;
    fetching.web.serve(DOCUMENT, document().manner(Manner::Trickling));
    waits_for_5_s(&fetching, fetching.web.requested(DOCUMENT, 1)).await;
}

#[tokio::test]
async fn the_resolution_of_the_name_is_part_of_it() {
    let fetching = Fetching::start().await;
    fetching.web.hang_lookups(HOST);
    waits_for_5_s(&fetching, std::future::ready(())).await;
}

#[tokio::test]
async fn a_host_that_is_held_answers_when_the_gate_opens() {
    let fetching = Fetching::start().await;
    let gate = fetching.web.hold(DOCUMENT);
    let (fetched, ()) = tokio::join!(fetching.fetch(DOCUMENT), async {
        gate.reached(1).await;
        // What is served is what is there when the gate opens.
        fetching.web.serve(DOCUMENT, Page::json("{}"));
        gate.open();
    });
    assert_eq!(text(fetched).as_deref(), Ok("{}"));
    assert_eq!(text(fetching.answered(document()).await).as_deref(), Ok(TEXT));
}
