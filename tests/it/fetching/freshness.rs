//! How long a document may be used without asking again.

use std::time::Duration;

use super::DOCUMENT;
use super::Fetching;
use super::document;
use super::validators;
use crate::support::page::Page;

/// What the answer says beside the document, and for how many seconds it is fresh.
const SAID: &[(&[(&str, &str)], u64)] = &[
    // No guess, not even from its age.
    (&[], 0),
    (&[("last-modified", "Tue, 03 Nov 2020 10:00:00 GMT")], 0),
    (&[("cache-control", "public")], 0),
    (&[("cache-control", "immutable")], 0),
    (&[("cache-control", "max-age=600")], 600),
    (&[("cache-control", "Public, MAX-AGE=600")], 600),
    (&[("cache-control", "max-age=\"600\"")], 600),
    (&[("cache-control", "public"), ("cache-control", "max-age=600")], 600),
    (&[("cache-control", "max-age=600, immutable")], 600),
    (&[("cache-control", "max-age=600, must-revalidate")], 600),
    (&[("cache-control", "max-age=0")], 0),
    (&[("cache-control", "max-age=-1")], 0),
    (&[("cache-control", "max-age=soon")], 0),
    (&[("cache-control", "max-age")], 0),
    (&[("cache-control", "max-age=99999999999999999999")], 0),
    (&[("cache-control", "max-age=18446744073709551615"), ("age", "18446744073709551615")], 0),
    // One cache for all users.
    (&[("cache-control", "max-age=600, s-maxage=60")], 60),
    (&[("cache-control", "s-maxage=600, max-age=60")], 600),
    (&[("cache-control", "max-age=600, private")], 0),
    (&[("cache-control", "max-age=600"), ("set-cookie", "a=b")], 0),
    (&[("cache-control", "max-age=600, no-store")], 0),
    (&[("cache-control", "max-age=600, No-Store")], 0),
    (&[("cache-control", "max-age=600, no-cache")], 0),
    (&[("cache-control", "max-age=600"), ("cache-control", "No-Cache")], 0),
    (&[("cache-control", "max-age=600"), ("pragma", "no-cache")], 600),
    (&[("pragma", "no-cache"), ("expires", "Tue, 24 Nov 2026 12:10:00 GMT")], 0),
    (&[("cache-control", "max-age=600"), ("vary", "*")], 0),
    // It has been under way, or in another cache.
    (&[("cache-control", "max-age=600"), ("age", "100")], 500),
    (&[("cache-control", "max-age=600"), ("age", "600")], 0),
    (&[("cache-control", "max-age=600"), ("age", "601")], 0),
    (&[("cache-control", "max-age=600"), ("age", "young")], 600),
    (&[("expires", "Tue, 24 Nov 2026 12:10:00 GMT"), ("age", "100")], 500),
    // By the clock of the host, where it tells it.
    (&[("expires", "Tue, 24 Nov 2026 12:10:00 GMT")], 600),
    (&[("expires", "Tue, 24 Nov 2026 12:10:00 GMT"), ("date", "Tue, 24 Nov 2026 12:09:00 GMT")], 60),
    (&[("expires", "Tue, 24 Nov 2026 12:00:00 GMT")], 0),
    (&[("expires", "Tue, 24 Nov 2026 11:59:59 GMT")], 0),
    (&[("expires", "0")], 0),
    (&[("expires", "-1"), ("cache-control", "max-age=600")], 600),
    (&[("expires", "Tue, 24 Nov 2026 12:10:00 GMT"), ("cache-control", "max-age=60")], 60),
    (&[("expires", "Tue, 24 Nov 2026 12:10:00 GMT"), ("cache-control", "no-store")], 0),
];

fn saying(page: Page, said: &[(&str, &str)]) -> Page {
    said.iter().fold(page, |page, (name, value)| page.header(name, value))
}

#[tokio::test]
async fn a_document_is_fresh_for_as_long_as_its_host_says() {
    let fetching = Fetching::start().await;
    for (said, seconds) in SAID {
        let fetched = fetching.answered(saying(document(), said)).await.unwrap();
        assert_eq!(fetched.fresh_for, Duration::from_secs(*seconds), "{said:?}");
    }
}

#[tokio::test]
async fn a_document_that_has_not_changed_is_fresh_for_as_long_as_its_host_says_now() {
    let fetching = Fetching::start().await;
    for (said, seconds) in SAID {
        fetching.web.serve(DOCUMENT, saying(Page::status(304), said));
        let fetched = fetching.fetch_knowing(DOCUMENT, &validators(Some("\"a\""), None)).await.unwrap();
        assert_eq!(fetched.fresh_for, Duration::from_secs(*seconds), "{said:?}");
    }
}
