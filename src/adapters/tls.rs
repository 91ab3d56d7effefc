//! Whom we trust when we ask over TLS.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use thiserror::Error;

/// Why nobody can be trusted. The texts are about the bundle of certificates, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CannotTrust {
    /// The bundle is empty, or something else than PEM.
    #[error("there is no certificate in it; each begins with the line -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// A certificate in it is damaged.
    #[error("a certificate in it cannot be read")]
    Unreadable,
    /// Without a bundle, and the system has no roots either.
    #[error("this machine has no root certificates; most systems have a package ca-certificates")]
    NoRoots,
}

fn certificates(bundle: &[u8]) -> Result<Vec<CertificateDer<'static>>, CannotTrust> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bundle).collect();
    match found {
        Ok(found) if found.is_empty() => Err(CannotTrust::NoCertificate),
        Ok(found) => Ok(found),
        Err(_) => Err(CannotTrust::Unreadable),
    }
}

/// TLS of a client, with the roots of the system and those of a bundle (PEM).
pub fn client_config(ca: Option<&[u8]>) -> Result<ClientConfig, CannotTrust> {
    let roots = ca.map_or_else(|| Ok(Vec::new()), certificates)?;
    let unusable = |_| if ca.is_some() { CannotTrust::Unreadable } else { CannotTrust::NoRoots };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(unusable)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}
