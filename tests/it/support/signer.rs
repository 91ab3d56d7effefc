//! A client's own key, and the assertions that it signs with it.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RSA_PKCS1_SHA384;
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use aws_lc_rs::signature::RSA_PSS_SHA384;
use aws_lc_rs::signature::RSA_PSS_SHA512;
use aws_lc_rs::signature::RsaEncoding;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::domain::time::Timestamp;
use jsonwebtoken::Algorithm;
use jsonwebtoken::Header;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;

pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key pair of a client.
pub struct Signer {
    pub kid: String,
    pub algorithm: Algorithm,
    pair: Pair,
    jwk: Value,
    signed: AtomicUsize,
}

impl Signer {
    pub fn es256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..65].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": encode(x), "y": encode(y) });
        let (kid, algorithm, pair) = (kid.to_owned(), Algorithm::ES256, Pair::Ec(pair));
        Self { kid, algorithm, pair, jwk, signed: AtomicUsize::default() }
    }

    /// For all algorithms of RSA.
    pub fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let jwk = json!({ "kty": "RSA", "kid": kid, "n": encode(&public.n), "e": encode(&public.e) });
        let (kid, algorithm, pair) = (kid.to_owned(), Algorithm::RS256, Pair::Rsa(pair));
        Self { kid, algorithm, pair, jwk, signed: AtomicUsize::default() }
    }

    pub fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// What an honest client claims now: a new `jti` each time.
    pub fn claims(&self, client_id: &str, now: Timestamp) -> Value {
        let n = self.signed.fetch_add(1, Ordering::Relaxed);
        let (iat, exp, jti) = (now.0, now.0 + 60, format!("{}-{n}", self.kid));
        json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "iat": iat, "exp": exp, "jti": jti })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) };
        self.sign_with(&header, claims)
    }

    /// Signs by the algorithm of the header.
    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        let part = |value: Value| encode(value.to_string());
        let message = format!("{}.{}", part(serde_json::to_value(header).unwrap()), part(claims.clone()));
        #[expect(clippy::disallowed_methods, reason = "as SigningKey::sign does")]
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let encoding: &dyn RsaEncoding = match header.alg {
                    Algorithm::RS384 => &RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &RSA_PKCS1_SHA512,
                    Algorithm::PS256 => &RSA_PSS_SHA256,
                    Algorithm::PS384 => &RSA_PSS_SHA384,
                    Algorithm::PS512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", encode(signature))
    }

    /// An honest assertion of a client.
    pub fn assertion(&self, client_id: &str, now: Timestamp) -> String {
        self.sign(&self.claims(client_id, now))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A form with an assertion beside it.
pub fn asserted<'a>(form: &'a [(String, String)], assertion: &'a str) -> Vec<(&'a str, &'a str)> {
    let own = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    own.chain([("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)]).collect()
}

/// Redeems a code by an assertion.
pub async fn redeem(entrada: &Entrada, client: &Client, code: &str, assertion: &str) -> Answer {
    entrada.post_form("/token", &asserted(&client.redeem_form(code), assertion)).await
}

/// Refreshes by an assertion.
pub async fn refresh(entrada: &Entrada, client: &Client, token: &str, assertion: &str) -> Answer {
    entrada.post_form("/token", &asserted(&client.refresh_form(token), assertion)).await
}
