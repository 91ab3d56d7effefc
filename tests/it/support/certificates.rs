//! Certificates for whoever is asked for by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority that certifies every host, and another one that nobody knows.
#[derive(Debug)]
pub struct Certificates {
    known: Authority,
    unknown: Authority,
    /// Of every host.
    key: KeyPair,
    false_ones: Mutex<HashMap<String, False>>,
}

#[derive(Clone, Debug)]
enum False {
    Impersonating(String),
    Unknown,
}

impl Certificates {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            known: authority(),
            unknown: authority(),
            key: KeyPair::generate().unwrap(),
            false_ones: Mutex::default(),
        })
    }

    pub fn ca(&self) -> String {
        self.known.pem()
    }

    pub fn impersonate(&self, host: &str, certified: &str) {
        self.lie(host, False::Impersonating(certified.to_owned()));
    }

    pub fn distrust(&self, host: &str) {
        self.lie(host, False::Unknown);
    }

    fn lie(&self, host: &str, how: False) {
        self.false_ones.lock().unwrap().insert(host.to_owned(), how);
    }

    /// It resumes the sessions of clients that ask for it.
    pub fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        self.acceptor_of(&[])
    }

    /// It speaks these protocols (RFC 7301).
    pub fn acceptor_of(self: &Arc<Self>, protocols: &[&[u8]]) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config).into()
    }
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?;
        let (name, by) = match self.false_ones.lock().unwrap().get(host) {
            None => (host.to_owned(), &self.known),
            Some(False::Impersonating(certified)) => (certified.clone(), &self.known),
            Some(False::Unknown) => (host.to_owned(), &self.unknown),
        };
        let certificate = CertificateParams::new([name]).unwrap().signed_by(&self.key, by).unwrap();
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Some(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
    }
}
