//! `private_key_jwt` (OpenID Connect Core 1.0 §9) with a certificate, as Entra wants it:
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::Error as TlsError;
use rustls::InconsistentKeys;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use secrecy::ExposeSecret;
use secrecy::SecretSlice;
use secrecy::SecretString;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use thiserror::Error;
use uuid::Builder;

use crate::domain::time::Timestamp;
use crate::ports::clock::Entropy;

/// How long an assertion is good for.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A certificate and its private key, in one PEM file.
///
/// The file is read for each assertion: whoever renews the certificate replaces the file, and nothing else.
pub struct Certificate {
    file: PathBuf,
    entropy: Arc<dyn Entropy>,
}

/// Why there is no assertion. No text shows anything of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCertificate {
    #[error("the file cannot be read: {0}; a relative path starts from the current directory")]
    Unreadable(io::ErrorKind),
    #[error("there is no certificate in the file; it begins with the line -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error(
        "there is no private key in the file that can be read; it begins with the line -----BEGIN PRIVATE KEY----- and is \
         not encrypted"
    )]
    NoKey,
    #[error("the private key in the file is not that of the first certificate in it")]
    AnotherKey,
    #[error("the private key in the file is not of RSA, and Entra takes no other")]
    NotRsa,
    #[error("the certificate or the private key in the file is damaged")]
    Damaged,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Certificate {
    /// The certificate in a file, which is read once to see whether it will do.
    ///
    /// # Errors
    ///
    /// When it will not.
    pub fn open(file: PathBuf, entropy: Arc<dyn Entropy>) -> Result<Self, BadCertificate> {
        read(&file)?;
        Ok(Self { file, entropy })
    }

    /// Says to the token endpoint that we are this client (RFC 7523 §2.2, §3).
    pub(super) async fn assertion(
        &self,
        client_id: &str,
        token_endpoint: &str,
        now: Timestamp,
    ) -> Result<SecretString, BadCertificate> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let certified = read.unwrap_or(Err(BadCertificate::Damaged))?;
        let thumbprint = Sha256::digest(certified.end_entity_cert().map_err(|_| BadCertificate::Damaged)?);
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": encode(thumbprint) });
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": token_endpoint,
            "jti": Builder::from_random_bytes(self.entropy.bytes()).into_uuid().to_string(),
            "iat": now.0,
            "nbf": now.0,
            "exp": now.plus(LIFETIME).0,
        });
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signer = certified.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
        let signature = signer.ok_or(BadCertificate::NotRsa)?.sign(message.as_bytes());
        let signature = signature.map_err(|_| BadCertificate::Damaged)?;
        Ok(format!("{message}.{}", encode(signature)).into())
    }
}

fn read(file: &Path) -> Result<CertifiedKey, BadCertificate> {
    let bytes = fs::read(file).map_err(|error| BadCertificate::Unreadable(error.kind()))?;
    let bytes = SecretSlice::from(bytes);
    let bytes = bytes.expose_secret();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let chain = chain.map_err(|_| BadCertificate::Damaged)?;
    if chain.is_empty() {
        return Err(BadCertificate::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => BadCertificate::NoKey,
        _ => BadCertificate::Damaged,
    })?;
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    let certified = certified.map_err(|error| match error {
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => BadCertificate::AnotherKey,
        _ => BadCertificate::Damaged,
    })?;
    match certified.key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]) {
        Some(_) => Ok(certified),
        None => Err(BadCertificate::NotRsa),
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
