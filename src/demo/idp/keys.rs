use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::UnparsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use super::script::IdToken;
use super::script::Signature;

// Making an RSA key takes about 0.1 s and tests start many instances, so they share one.
static OWN: LazyLock<KeyPair> = LazyLock::new(generate);
static STRANGER: LazyLock<KeyPair> = LazyLock::new(generate);

/// Makes the key of this process unless it exists. Takes long enough to keep off the async threads.
pub(super) fn prepare() {
    LazyLock::force(&OWN);
}

/// The `kid` of a generation. Generations differ in name only: what a relying party must notice is that
/// a name it does not know calls for another look at the key set.
pub(super) fn kid(generation: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(OWN.public_key().as_ref());
    hash.update(generation.to_be_bytes());
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..20])
}

/// The published key (RFC 7517 §4).
pub(super) fn jwk(generation: u32) -> Map<String, Value> {
    let public = PublicKeyComponents::<Vec<u8>>::from(OWN.public_key());
    let key = json!({
        "kty": "RSA",
        "use": "sig",
        "kid": kid(generation),
        "n": URL_SAFE_NO_PAD.encode(public.n),
        "e": URL_SAFE_NO_PAD.encode(public.e),
    });
    match key {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The compact serialisation (RFC 7515 §7.1).
pub(super) fn sign(token: &IdToken) -> String {
    let encode = |part: &Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(part.clone()).to_string());
    let signed = format!("{}.{}", encode(&token.header), encode(&token.claims));
    let signature = match token.signature {
        Signature::Own => signature(&OWN, &signed),
        Signature::Stranger => signature(&STRANGER, &signed),
        Signature::Absent => Vec::new(),
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Whether a compact serialisation has our signature.
pub(super) fn verifies(token: &str) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, OWN.public_key().as_ref());
    key.verify(signed.as_bytes(), &signature).is_ok()
}

/// An unguessable value of 256 bits.
pub(super) fn random() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::disallowed_methods, reason = "the provider imports nothing of ours, ports neither")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn generate() -> KeyPair {
    KeyPair::generate(KeySize::Rsa2048).expect("2048 bits is a size that the library makes")
}

fn signature(key: &KeyPair, message: &str) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "it blinds the operation and does not show in the result")]
    let random = SystemRandom::new();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
        .expect("a key made here signs, and the buffer has the length of its modulus");
    signature
}
