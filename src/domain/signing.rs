//! The key that signs access tokens, and what verifies them.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::domain::keys::NotAuthentic;

/// Longer tokens are not ours: they are refused before anything is decoded.
pub const MAX_TOKEN_LENGTH: usize = 16_384;

/// `signing_alg` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlg {
    RS256,
    ES256,
}

impl SigningAlg {
    /// The name of the algorithm (RFC 7518 §3.1).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
        }
    }
}

/// A key pair cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

/// A signing key as it is stored (sealed).
#[derive(Clone, Serialize, Deserialize)]
pub struct SigningKeyRecord {
    pub alg: SigningAlg,
    /// PKCS #8 v1, base64url.
    pub pkcs8: String,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

/// A signing key, parsed once.
///
/// `jsonwebtoken` verifies; it does not sign here, because it parses and checks the private key anew
/// for every signature, which costs more than the signature.
pub struct SigningKey {
    kid: String,
    alg: SigningAlg,
    pair: Pair,
    /// Base64url of the JOSE header of access tokens (RFC 9068 §2.1).
    header: String,
    jwk: Value,
    decoding: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, redacted)", self.kid)
    }
}

impl SigningKeyRecord {
    /// Makes a new key. RSA takes about a tenth of a second.
    pub fn generate(alg: SigningAlg) -> Result<Self, BadKey> {
        let pkcs8 = match alg {
            SigningAlg::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| BadKey)?;
                URL_SAFE_NO_PAD.encode(der.as_ref())
            }
            SigningAlg::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| BadKey)?;
                URL_SAFE_NO_PAD.encode(pair.to_pkcs8v1().map_err(|_| BadKey)?.as_ref())
            }
        };
        Ok(Self { alg, pkcs8 })
    }
}

impl SigningKey {
    /// Reads a stored key.
    pub fn read(record: &SigningKeyRecord) -> Result<Self, BadKey> {
        let pkcs8 = URL_SAFE_NO_PAD.decode(&record.pkcs8).map_err(|_| BadKey)?;
        let (pair, public) = match record.alg {
            SigningAlg::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(&pkcs8).map_err(|_| BadKey)?;
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let jwk = json!({ "e": encode(&public.e), "kty": "RSA", "n": encode(&public.n) });
                (Pair::Rsa(Box::new(pair)), jwk)
            }
            SigningAlg::ES256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).map_err(|_| BadKey)?;
                let (x, y) = pair.public_key().as_ref().get(1..65).ok_or(BadKey)?.split_at(32);
                let jwk = json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) });
                (Pair::Ec(Box::new(pair)), jwk)
            }
        };
        Self::assemble(record.alg, pair, public)
    }

    /// `public` holds exactly the members of the thumbprint, in lexicographic order, and is written
    /// without white space (RFC 7638 §3).
    fn assemble(alg: SigningAlg, pair: Pair, public: Value) -> Result<Self, BadKey> {
        let kid = encode(Sha256::digest(public.to_string()));
        let name = alg.as_str();
        let algorithm = match alg {
            SigningAlg::RS256 => Algorithm::RS256,
            SigningAlg::ES256 => Algorithm::ES256,
        };
        let mut jwk = public;
        for (member, value) in [("alg", name), ("kid", kid.as_str()), ("use", "sig")] {
            jwk[member] = value.into();
        }
        let decoding = serde_json::from_value(jwk.clone())
            .map_err(|_| BadKey)
            .and_then(|jwk| DecodingKey::from_jwk(&jwk).map_err(|_| BadKey))?;
        let mut validation = Validation::new(algorithm);
        // Claims are checked by our own clock, where the token is used.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let header = encode(json!({ "alg": name, "kid": kid, "typ": "at+jwt" }).to_string());
        Ok(Self { kid, alg, pair, header, jwk, decoding, validation })
    }

    /// The id of the key: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// By which algorithm it signs.
    #[must_use]
    pub fn alg(&self) -> SigningAlg {
        self.alg
    }

    /// The public half, as the JWK Set shows it (RFC 7517 §4).
    #[must_use]
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Signs claims as a compact JWS of type `at+jwt` (RFC 7515 §7.1, RFC 9068 §2).
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, BadKey> {
        let payload = serde_json::to_vec(claims).map_err(|_| BadKey)?;
        let message = format!("{}.{}", self.header, encode(payload));
        #[expect(
            clippy::disallowed_methods,
            reason = "a signature with chosen randomness gives the key away"
        )]
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
                    .map_err(|_| BadKey)?;
                encode(signature)
            }
            Pair::Ec(pair) => encode(pair.sign(&random, message.as_bytes()).map_err(|_| BadKey)?),
        };
        Ok(format!("{message}.{signature}"))
    }

    /// Checks type, key id, algorithm and signature; the claims are still to be judged.
    pub fn verify<C: DeserializeOwned + Clone>(&self, token: &str) -> Result<C, NotAuthentic> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(NotAuthentic);
        }
        // We made it, so its header is, byte for byte, the one that we write: this leaves nothing to
        // `alg`, `kid`, `typ`, `crit` or `jwk` of a stranger's choosing.
        if token.split('.').next() != Some(self.header.as_str()) {
            return Err(NotAuthentic);
        }
        let data =
            jsonwebtoken::decode::<C>(token, &self.decoding, &self.validation).map_err(|_| NotAuthentic)?;
        Ok(data.claims)
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
