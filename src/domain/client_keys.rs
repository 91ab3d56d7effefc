//! The public keys by which a client authenticates: a JWK Set (RFC 7517).

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use serde_json::Map;
use serde_json::Value;

use crate::protocol::client_auth::Assertion;
use crate::protocol::client_auth::SERVED_ALGS;

/// A set of more keys is refused.
pub const MAX_KEYS: usize = 32;

/// So many keys are tried for one assertion: a check of a signature costs, and anybody may ask for it.
const MAX_TRIED: usize = 4;

/// Members that hold what only the owner of a key may know (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// It is no JWK Set, has too many keys or none that we could use, or gives a private key away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKeys;

/// Why no key has signed an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum NotSigned {
    /// None has the `kid` and is for the algorithm; or no `kid` is named, and it was none of these.
    UnknownKey,
    Signature,
}

/// The keys of a client that we can use; there is one at least.
#[derive(Clone, Debug)]
pub struct ClientKeys(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    kid: Option<String>,
    /// The only algorithm that it is for, where its owner names one (RFC 7517 §4.4).
    alg: Option<Algorithm>,
    kind: Kind,
    decoding: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// The algorithm of this name, if it is served.
pub(in crate::domain) fn served_alg(name: &str) -> Option<Algorithm> {
    SERVED_ALGS.contains(&name).then(|| name.parse().ok()).flatten()
}

impl ClientKeys {
    /// Reads a JWK Set. Keys that we do not understand, or that are for something else, are passed over
    /// (RFC 7517 §5).
    pub fn read(set: &Value) -> Result<Self, BadKeys> {
        let members = set.get("keys").and_then(Value::as_array).ok_or(BadKeys)?;
        if members.len() > MAX_KEYS {
            return Err(BadKeys);
        }
        let jwks = || members.iter().filter_map(Value::as_object);
        // Whoever can read the set could sign: a key that everybody has authenticates nobody.
        if jwks().any(|jwk| PRIVATE.iter().any(|name| jwk.contains_key(*name))) {
            return Err(BadKeys);
        }
        let keys: Vec<Key> = jwks().filter_map(Key::read).collect();
        if keys.is_empty() { Err(BadKeys) } else { Ok(Self(keys)) }
    }

    /// Whether one of the keys has signed the assertion: the one named, where one is named.
    pub(in crate::domain) fn check(
        &self,
        assertion: Assertion<'_>,
        alg: Algorithm,
        kid: Option<&str>,
    ) -> Result<(), NotSigned> {
        let mut named =
            self.0.iter().filter(|key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))).peekable();
        if named.peek().is_none() {
            return Err(NotSigned::UnknownKey);
        }
        let mut fit = named.filter(|key| key.serves(alg)).take(MAX_TRIED).peekable();
        if fit.peek().is_none() {
            return Err(NotSigned::UnknownKey);
        }
        match fit.any(|key| key.has_signed(assertion, alg)) {
            true => Ok(()),
            // One that names no key may be by a newer one.
            false if kid.is_none() => Err(NotSigned::UnknownKey),
            false => Err(NotSigned::Signature),
        }
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let optional = |name| match jwk.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        let bytes = |name| URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok();
        let of_signatures = optional("use")?.is_none_or(|purpose| purpose == "sig");
        let verifies = jwk.get("key_ops").is_none_or(|operations| {
            operations.as_array().is_some_and(|operations| operations.iter().any(|name| name == "verify"))
        });
        if !(of_signatures && verifies) {
            return None;
        }
        let (kind, decoding) = match (optional("kty")??, optional("crv")?) {
            ("RSA", _) => (Kind::Rsa, rsa(&bytes("n")?, &bytes("e")?)?),
            ("EC", Some("P-256")) => (Kind::P256, point(Kind::P256, &bytes("x")?, &bytes("y")?)?),
            ("EC", Some("P-384")) => (Kind::P384, point(Kind::P384, &bytes("x")?, &bytes("y")?)?),
            _ => return None,
        };
        let alg = match optional("alg")? {
            None => None,
            Some(name) => Some(served_alg(name).filter(|alg| kind.serves(*alg))?),
        };
        Some(Self { kid: optional("kid")?.map(str::to_owned), alg, kind, decoding })
    }

    fn serves(&self, alg: Algorithm) -> bool {
        self.kind.serves(alg) && self.alg.is_none_or(|only| only == alg)
    }

    fn has_signed(&self, Assertion { message, signature, .. }: Assertion<'_>, alg: Algorithm) -> bool {
        let checked = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.decoding, alg);
        checked.unwrap_or(false)
    }
}

impl Kind {
    /// Whether keys of this kind are for the algorithm (RFC 7518 §3.1).
    fn serves(self, alg: Algorithm) -> bool {
        match self {
            Self::Rsa => matches!(
                alg,
                Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512
            ),
            Self::P256 => alg == Algorithm::ES256,
            Self::P384 => alg == Algorithm::ES384,
        }
    }
}

/// An RSA key of 2,048 to 8,192 bits. Some libraries write zeros in front, against RFC 7518 §2.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<DecodingKey> {
    let significant =
        |bytes: &[u8]| bytes.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<u8>>();
    let (n, e) = (significant(modulus), significant(exponent));
    let long = match n.len() {
        256 => n[0] >= 0x80,
        257..=1_024 => true,
        _ => false,
    };
    // With the exponent 1 a signature is the message.
    let odd = e.len() <= 4 && e.last().is_some_and(|last| last % 2 == 1) && e != [1];
    (long && odd).then(|| DecodingKey::from_rsa_raw_components(&n, &e))
}

/// A point on the curve, in coordinates of full length (RFC 7518 §6.2.1.2).
fn point(kind: Kind, x: &[u8], y: &[u8]) -> Option<DecodingKey> {
    let (algorithm, length) = match kind {
        Kind::P256 => (&ECDSA_P256_SHA256_FIXED, 32),
        Kind::P384 => (&ECDSA_P384_SHA384_FIXED, 48),
        Kind::Rsa => return None,
    };
    if x.len() != length || y.len() != length {
        return None;
    }
    let uncompressed = [&[4], x, y].concat();
    ParsedPublicKey::new(algorithm, &uncompressed).ok()?;
    // Of either form, this one or an encoding around it.
    Some(DecodingKey::from_ec_der(&uncompressed))
}

#[cfg(test)]
mod tests;
