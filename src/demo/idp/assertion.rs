//! Client assertions, judged as Entra judges them: by a certificate of the client, or as a token of another issuer that
//! the client has a federated credential for.

use std::sync::Mutex;
use std::sync::PoisonError;

use aws_lc_rs::signature::RSA_PSS_2048_8192_SHA256;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use super::fault::Fault;
use super::keys;
use super::script::IdToken;
use super::script::Signature;

/// How long a token of another issuer lives, in seconds: those of managed identities for a day.
const LIFETIME: i64 = 24 * 60 * 60;
/// By how much a clock may differ, in seconds.
const SKEW: i64 = 5 * 60;

/// Whose tokens stand for the client. All three are compared exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedCredential {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
}

/// What the client registered beside its secret.
#[derive(Default)]
pub(super) struct Credentials {
    /// Certificates, in DER.
    certificates: Mutex<Vec<Vec<u8>>>,
    federated: Mutex<Vec<FederatedCredential>>,
}

impl Credentials {
    pub fn add_certificate(&self, der: Vec<u8>) {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner).push(der);
    }

    pub fn add_federated(&self, credential: FederatedCredential) {
        self.federated.lock().unwrap_or_else(PoisonError::into_inner).push(credential);
    }

    /// Whether an assertion proves the client. `here` is the token endpoint.
    pub fn judge(&self, assertion: &str, client_id: &str, here: &str, now: i64) -> Result<(), Fault> {
        let parts = Parts::read(assertion).ok_or_else(Fault::malformed_assertion)?;
        let text = |name: &str| parts.claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = |name: &str| parts.claims.get(name).and_then(Value::as_i64);
        let lives = time("exp").is_some_and(|exp| now < exp + SKEW)
            && time("nbf").is_none_or(|nbf| nbf <= now + SKEW);
        if text("iss") == client_id {
            self.judge_signed(&parts)?;
            let own = text("sub") == client_id && text("aud") == here && !text("jti").is_empty();
            return if !own {
                Err(Fault::malformed_assertion())
            } else if !lives {
                Err(Fault::untimely_assertion())
            } else {
                Ok(())
            };
        }
        let federated = self.federated.lock().unwrap_or_else(PoisonError::into_inner);
        if federated.is_empty() {
            return Err(Fault::unknown_assertion());
        }
        let of_issuer: Vec<_> = federated.iter().filter(|known| known.issuer == text("iss")).collect();
        if of_issuer.is_empty() {
            return Err(Fault::unknown_issuer());
        }
        let of_subject: Vec<_> = of_issuer.iter().filter(|known| known.subject == text("sub")).collect();
        if of_subject.is_empty() {
            return Err(Fault::wrong_assertion());
        }
        if !of_subject.iter().any(|known| known.audience == text("aud")) {
            return Err(Fault::wrong_audience());
        }
        match keys::verifies(assertion) {
            true if lives => Ok(()),
            true => Err(Fault::untimely_assertion()),
            false => Err(Fault::badly_signed_assertion()),
        }
    }

    /// By the certificate that the header names.
    fn judge_signed(&self, parts: &Parts<'_>) -> Result<(), Fault> {
        let named = |name: &str| parts.header.get(name).and_then(Value::as_str).unwrap_or_default();
        let certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let thumbprint = |der: &Vec<u8>| URL_SAFE_NO_PAD.encode(Sha256::digest(der));
        let known = certificates.iter().find(|der| thumbprint(der) == named("x5t#S256"));
        let verifies = known.is_some_and(|der| {
            let certificate = CertificateDer::from(der.as_slice());
            let Ok(parsed) = ParsedCertificate::try_from(&certificate) else { return false };
            let key = parsed.subject_public_key_info();
            let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.as_ref());
            key.verify(parts.signed.as_bytes(), &parts.signature).is_ok()
        });
        match verifies && named("alg") == "PS256" {
            true => Ok(()),
            false => Err(Fault::badly_signed_assertion()),
        }
    }
}

impl FederatedCredential {
    /// A token that this credential takes, issued now. All issuers here sign with the same key.
    pub(super) fn token(&self, now: i64) -> String {
        let claims = json!({
            "iss": self.issuer, "sub": self.subject, "aud": self.audience,
            "iat": now, "nbf": now, "exp": now.saturating_add(LIFETIME),
        });
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": keys::kid(0) });
        let members = |value: Value| value.as_object().cloned().unwrap_or_default();
        keys::sign(&IdToken { header: members(header), claims: members(claims), signature: Signature::Own })
    }
}

/// A compact JWS (RFC 7515 §7.1), taken apart.
struct Parts<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn read(assertion: &'a str) -> Option<Self> {
        let (signed, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        Some(Self {
            header: read(header)?,
            claims: read(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }
}
