//! Whose certificates are accepted.

use std::net::Ipv4Addr;
use std::sync::Arc;

use entrada::adapters::tls::CannotTrust;
use entrada::adapters::web_documents::SystemNetwork;
use entrada::adapters::web_documents::WebDocuments;
use entrada::ports::documents::ClientDocuments;
use entrada::ports::documents::Fetched;
use entrada::ports::documents::NotFetched;
use entrada::ports::documents::Validators;
use rustls::ClientConfig;
use rustls::HandshakeKind;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
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

/// How a client that resumes sessions gets in.
async fn handshake(web: &Web, config: &Arc<ClientConfig>) -> HandshakeKind {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, web.port())).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.unwrap();
    // What it takes to resume comes after the handshake.
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    stream.read_u8().await.unwrap();
    stream.get_ref().1.handshake_kind().unwrap()
}

/// In a session that is resumed no certificate is shown: one that has been replaced would go on to be good.
#[tokio::test]
async fn the_certificate_is_looked_at_each_time_though_the_host_would_resume_the_session() {
    for replaced in [Web::distrust as fn(&Web, &str), |web, host| web.impersonate(host, "other.example")] {
        let fetching = Fetching::start().await;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(fetching.web.ca().as_bytes()).unwrap()).unwrap();
        let resuming = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let resuming = Arc::new(resuming);
        assert_eq!(handshake(&fetching.web, &resuming).await, HandshakeKind::Full);
        assert_eq!(text(fetching.fetch(DOCUMENT).await).as_deref(), Ok(TEXT));
        replaced(&fetching.web, HOST);
        assert_eq!(handshake(&fetching.web, &resuming).await, HandshakeKind::Resumed);
        assert_eq!(fetching.fetch(DOCUMENT).await, NOT_ACCEPTED);
        assert_eq!(fetching.web.requests(DOCUMENT), 1);
    }
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
