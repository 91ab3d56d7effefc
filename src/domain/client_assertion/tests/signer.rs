//! A client's key pairs, made anew for each run.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// Signs whatever it is told to.
pub(super) struct Signer {
    pair: Pair,
    /// The public key, without a `kid`.
    pub(super) jwk: Value,
}

impl Signer {
    pub(super) fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let jwk = json!({ "kty": "RSA", "n": encode(public.n), "e": encode(public.e) });
        Self { pair: Pair::Rsa(pair), jwk }
    }

    pub(super) fn ec(curve: &str) -> Self {
        let signing = match curve {
            "P-256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) });
        Self { pair: Pair::Ec(pair), jwk }
    }

    /// The public key as `kid`.
    pub(super) fn named(&self, kid: &str) -> Value {
        self.with(&json!({ "kid": kid }))
    }

    /// The public key with more members.
    pub(super) fn with(&self, more: &Value) -> Value {
        let mut jwk = self.jwk.clone();
        for (name, value) in more.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    }

    /// The signature over `message`; of an EC key always that of its curve.
    pub(super) fn sign(&self, alg: &str, message: &str) -> String {
        #[expect(clippy::disallowed_methods, reason = "a key of a test needs no other randomness")]
        let random = SystemRandom::new();
        let message = message.as_bytes();
        let pair = match &self.pair {
            Pair::Ec(pair) => return encode(pair.sign(&random, message).unwrap()),
            Pair::Rsa(pair) => pair,
        };
        let padding: &dyn signature::RsaEncoding = match alg {
            "RS384" => &signature::RSA_PKCS1_SHA384,
            "RS512" => &signature::RSA_PKCS1_SHA512,
            "PS256" => &signature::RSA_PSS_SHA256,
            "PS384" => &signature::RSA_PSS_SHA384,
            "PS512" => &signature::RSA_PSS_SHA512,
            _ => &signature::RSA_PKCS1_SHA256,
        };
        let mut signed = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &random, message, &mut signed).unwrap();
        encode(signed)
    }

    /// A compact JWS with these texts as header and payload.
    pub(super) fn jws(&self, alg: &str, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(payload));
        let signature = self.sign(alg, &message);
        format!("{message}.{signature}")
    }
}
