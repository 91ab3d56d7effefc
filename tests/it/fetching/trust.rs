//! Whose certificates are accepted.

use std::sync::Arc;

use entrada::adapters::web_documents::CannotTrust;
use entrada::adapters::web_documents::SystemNetwork;
use entrada::adapters::web_documents::WebDocuments;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use url::Url;

use super::DOCUMENT;
use super::Fetching;
use super::HOST;
use super::NOW;
use super::TEXT;
use super::text;
use crate::support::clock::MovedClock;
use crate::support::web::Web;

const NOT_ACCEPTED: Result<Fetched, NotFetched> =
    Err(NotFetched::Away("its certificate is not accepted, or it speaks no TLS"));

async fn fetched_trusting(web: &Web, ca: Option<&str>) -> Result<Fetched, NotFetched> {
    let documents = WebDocuments::new(web.network(), ca.map(str::as_bytes), MovedClock::at(NOW)).unwrap();
    documents.fetch(&Url::parse(DOCUMENT).unwrap(), &Validators::default()).await
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let fetching = Fetching::start().await;
    fetching.web.distrust(HOST);
    assert_eq!(fetching.fetch(DOCUMENT).await, NOT_ACCEPTED);
    assert_eq!(fetching.web.requests(DOCUMENT), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let fetching = Fetching::start().await;
    for certified in ["other.example", "example", "sub.client.example", "*.client.example"] {
        fetching.web.impersonate(HOST, certified);
        assert_eq!(fetching.fetch(DOCUMENT).await, NOT_ACCEPTED, "{certified}");
    }
    assert_eq!(fetching.web.requests(DOCUMENT), 0);
    fetching.web.impersonate(HOST, HOST);
    assert_eq!(text(fetching.fetch(DOCUMENT).await).as_deref(), Ok(TEXT));
}

#[tokio::test]
async fn the_authorities_of_a_bundle_are_accepted() {
    let fetching = Fetching::start().await;
    let (ca, other) = (fetching.web.ca(), Web::start().await.ca());
    for bundle in [ca.clone(), format!("{other}{ca}"), format!("# Ours.\n{ca}"), ca.replace('\n', "\r\n")] {
        assert_eq!(
            text(fetched_trusting(&fetching.web, Some(&bundle)).await).as_deref(),
            Ok(TEXT),
            "{bundle}"
        );
    }
    for bundle in [None, Some(other.as_str())] {
        assert_eq!(fetched_trusting(&fetching.web, bundle).await, NOT_ACCEPTED, "{bundle:?}");
    }
}

#[tokio::test]
async fn a_bundle_without_a_certificate_is_refused_in_words() {
    let ca = Web::start().await.ca();
    let damaged = ca.replacen("MII", "MIJ", 1);
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n";
    for (bundle, expected) in [
        ("", CannotTrust::NoCertificate),
        ("# nothing\n", CannotTrust::NoCertificate),
        (key, CannotTrust::NoCertificate),
        ("-----BEGIN CERTIFICATE-----\nMC4CAQ==\n-----END CERTIFICATE-----\n", CannotTrust::Unreadable),
        ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", CannotTrust::Unreadable),
        ("-----BEGIN CERTIFICATE-----\n", CannotTrust::Unreadable),
        (&damaged, CannotTrust::Unreadable),
        (&format!("{ca}{damaged}"), CannotTrust::Unreadable),
    ] {
        let made = WebDocuments::new(Arc::new(SystemNetwork), Some(bundle.as_bytes()), MovedClock::at(NOW));
        assert_eq!(made.err(), Some(expected), "{bundle}");
    }
}
