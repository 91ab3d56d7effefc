//! What is taken for a document.

use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;

use super::DOCUMENT;
use super::Fetching;
use super::TEXT;
use super::document;
use super::text;
use super::validators;
use crate::support::page::Manner;
use crate::support::page::Page;

const MAX: usize = 5_120;

fn unusable(why: &'static str) -> Result<Fetched, NotFetched> {
    Err(NotFetched::Unusable(why))
}

/// JSON of so many bytes.
fn long(length: usize) -> Page {
    Page::json(format!("{:<length$}", "{}"))
}

#[tokio::test]
async fn each_status_means_a_document_or_none_or_that_the_host_is_away() {
    let fetching = Fetching::start().await;
    for (status, expected) in [
        (201, NotFetched::Unusable("a status other than 200")),
        (203, NotFetched::Unusable("a status other than 200")),
        (204, NotFetched::Unusable("a status other than 200")),
        (206, NotFetched::Unusable("a status other than 200")),
        (300, NotFetched::Unusable("a redirect")),
        // Nobody asked whether it was modified.
        (304, NotFetched::Unusable("a redirect")),
        (399, NotFetched::Unusable("a redirect")),
        (400, NotFetched::Unusable("a status other than 200")),
        (401, NotFetched::Unusable("a status other than 200")),
        (403, NotFetched::Away("status 403")),
        (404, NotFetched::Missing),
        (405, NotFetched::Unusable("a status other than 200")),
        (410, NotFetched::Missing),
        (418, NotFetched::Unusable("a status other than 200")),
        (429, NotFetched::Away("status 429")),
        (451, NotFetched::Unusable("a status other than 200")),
        (500, NotFetched::Away("status 5xx")),
        (502, NotFetched::Away("status 5xx")),
        (503, NotFetched::Away("status 5xx")),
        (599, NotFetched::Away("status 5xx")),
        (600, NotFetched::Unusable("a status other than 200")),
    ] {
        // What would be a document, was the status another.
        let page = Page { status, ..document() };
        assert_eq!(fetching.answered(page).await, Err(expected), "{status}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let fetching = Fetching::start().await;
    let elsewhere = ["https://other.example/oauth.json", "https://client.example/moved.json"];
    for target in elsewhere {
        fetching.web.serve(target, document());
        for status in [301, 302, 303, 307, 308] {
            let page = Page { status, ..Page::redirect(target) };
            assert_eq!(fetching.answered(page).await, unusable("a redirect"), "{status}");
        }
        assert_eq!(fetching.web.requests(target), 0);
    }
    assert_eq!(fetching.web.lookups("other.example"), 0);
    assert_eq!(fetching.web.connections().await, 10);
}

#[tokio::test]
async fn a_document_says_that_it_is_json() {
    let fetching = Fetching::start().await;
    for media_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=utf-8",
        "application/jwk-set+json",
        "application/oauth-client-metadata+JSON ; v=1",
    ] {
        let fetched = fetching.answered(document().with("content-type", media_type)).await;
        assert_eq!(text(fetched).as_deref(), Ok(TEXT), "{media_type}");
    }
    for media_type in [
        "",
        "text/html",
        "text/json",
        "text/plain; application/json",
        "application/jsonp",
        "application/x-json",
        "application/+json",
        "application/jwk-set+json5",
        "image/svg+json",
        "json",
    ] {
        let fetched = fetching.answered(document().with("content-type", media_type)).await;
        assert_eq!(fetched, unusable("its media type is not JSON"), "{media_type}");
    }
    assert_eq!(fetching.answered(Page::new(200, TEXT)).await, unusable("its media type is not JSON"));
}

#[tokio::test]
async fn a_document_is_not_longer_than_5_kib() {
    let fetching = Fetching::start().await;
    let too_long = || unusable("it is longer than 5 KiB");
    for manner in [Manner::Whole, Manner::Chunked] {
        let fetched = fetching.answered(long(MAX).manner(manner)).await;
        assert_eq!(text(fetched).map(|text| text.len()), Ok(MAX), "{manner:?}");
        assert_eq!(fetching.answered(long(MAX + 1).manner(manner)).await, too_long(), "{manner:?}");
    }
    // Nobody waits for the rest: here it never comes.
    let page = Page::json("").header("content-length", "5121");
    assert_eq!(fetching.answered(page).await, too_long());
    let page = long(1_000).manner(Manner::Endless);
    assert_eq!(fetching.answered(page).await, too_long());
}

#[tokio::test]
async fn a_document_is_text_as_it_stands() {
    let fetching = Fetching::start().await;
    let fetched = fetching.answered(Page::json("{\"client_name\":\"Zoë\"}")).await;
    assert_eq!(text(fetched).as_deref(), Ok("{\"client_name\":\"Zoë\"}"));
    let latin1 = Page::json(*b"{\"client_name\":\"Zo\xeb\"}");
    assert_eq!(fetching.answered(latin1).await, unusable("it is not UTF-8"));
    for encoding in ["gzip", "br", "zstd", "deflate", "identity"] {
        let fetched = fetching.answered(document().header("content-encoding", encoding)).await;
        assert_eq!(fetched, unusable("it is compressed"), "{encoding}");
    }
}

#[tokio::test]
async fn half_a_document_is_none() {
    let fetching = Fetching::start().await;
    let broke = Err(NotFetched::Away("the connection to it broke"));
    assert_eq!(fetching.answered(document().manner(Manner::Broken)).await, broke);
    // Before the first byte of it.
    assert_eq!(
        fetching.answered(Page::json("").header("content-length", "2").manner(Manner::Broken)).await,
        broke
    );
}

#[tokio::test]
async fn the_validators_of_a_document_come_with_it() {
    let fetching = Fetching::start().await;
    let modified = "Tue, 03 Nov 2026 10:00:00 GMT";
    for (page, expected) in [
        (document(), validators(None, None)),
        (document().header("etag", "\"a\""), validators(Some("\"a\""), None)),
        (document().header("last-modified", modified), validators(None, Some(modified))),
        (
            document().header("etag", "W/\"b\"").header("last-modified", modified),
            validators(Some("W/\"b\""), Some(modified)),
        ),
        (document().header("etag", &"e".repeat(256)), validators(Some(&"e".repeat(256)), None)),
        // Too long to be kept, and nothing that can be sent back.
        (document().header("etag", &"e".repeat(257)), validators(None, None)),
        (document().header("etag", "\"é\""), validators(None, None)),
    ] {
        assert_eq!(fetching.answered(page).await.unwrap().validators, expected);
    }
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let fetching = Fetching::start().await;
    let (etag, modified) = (Some("\"a\""), Some("Tue, 03 Nov 2026 10:00:00 GMT"));
    for (known, answer, expected) in [
        (validators(etag, None), Page::status(304), validators(etag, None)),
        (validators(None, modified), Page::status(304), validators(None, modified)),
        (validators(etag, modified), Page::status(304), validators(etag, modified)),
        // The answer may name another one of several that are the same document.
        (
            validators(etag, modified),
            Page::status(304).header("etag", "W/\"a\""),
            validators(Some("W/\"a\""), modified),
        ),
    ] {
        fetching.web.serve(DOCUMENT, answer);
        let fetched = fetching.fetch_knowing(DOCUMENT, &known).await.unwrap();
        assert_eq!((fetched.text, fetched.validators), (None, expected));
        let headers = fetching.web.seen(DOCUMENT).pop().unwrap().headers;
        let sent = |name| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(sent("if-none-match"), known.etag.as_deref());
        assert_eq!(sent("if-modified-since"), known.last_modified.as_deref());
    }
}

#[tokio::test]
async fn a_document_that_has_changed_replaces_what_is_known() {
    let fetching = Fetching::start().await;
    fetching.web.serve(DOCUMENT, document().header("etag", "\"new\""));
    let known = validators(Some("\"old\""), Some("Tue, 03 Nov 2026 10:00:00 GMT"));
    let fetched = fetching.fetch_knowing(DOCUMENT, &known).await.unwrap();
    assert_eq!(fetched.text.as_deref(), Some(TEXT));
    assert_eq!(fetched.validators, validators(Some("\"new\""), None));
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_known() {
    let fetching = Fetching::start().await;
    fetching.web.serve(DOCUMENT, Page::status(304));
    let fetched = fetching.fetch_knowing(DOCUMENT, &validators(Some("\"a\"\r\nx: y"), None)).await;
    assert_eq!(fetched, unusable("a redirect"));
    assert_eq!(fetching.web.seen(DOCUMENT)[0].headers.get("if-none-match"), None);
}
