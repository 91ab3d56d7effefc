//! An issuer of tokens, good ones and bad ones, with its JWK Set on a port of its own.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaEncoding;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";
pub const ALICE: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub const BOB: &str = "bbbbbbbb-0000-4000-8000-000000000002";

// Making an RSA key takes about 0.1 s, so the tests share one.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static EC: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

/// What the issuer answers at its JWK Set's address.
struct Published {
    keys: Vec<Value>,
    away: bool,
    fetches: usize,
}

pub struct Issuer {
    pub url: String,
    published: Arc<Mutex<Published>>,
    server: JoinHandle<()>,
}

impl Issuer {
    /// Publishes `rsa` and `ec`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = vec![rsa_jwk("rsa"), ec_jwk("ec")];
        let published = Arc::new(Mutex::new(Published { keys, away: false, fetches: 0 }));
        let router =
            Router::new().route("/.well-known/jwks.json", get(key_set)).with_state(Arc::clone(&published));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, published, server }
    }

    pub fn publish(&self, keys: &[Value]) {
        self.published.lock().unwrap().keys = keys.to_vec();
    }

    pub fn away(&self, away: bool) {
        self.published.lock().unwrap().away = away;
    }

    /// Nobody listens at its address any more.
    pub async fn stop(&self) {
        self.server.abort();
        while !self.server.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    pub fn fetches(&self) -> usize {
        self.published.lock().unwrap().fetches
    }

    /// The claims of a good token.
    pub fn claims(&self, audience: &str, oid: &str) -> Value {
        let now = now();
        json!({
            "iss": self.url, "aud": audience, "sub": format!("{TENANT}:{oid}"), "oid": oid, "tid": TENANT,
            "client_id": "client-one", "scope": "mcp.read mcp.write", "sid": "session", "jti": "1",
            "iat": now, "nbf": now, "exp": now + 300,
        })
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn key_set(State(published): State<Arc<Mutex<Published>>>) -> (StatusCode, String) {
    let mut published = published.lock().unwrap();
    published.fetches += 1;
    let status = if published.away { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    (status, json!({ "keys": published.keys }).to_string())
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn rsa_jwk(kid: &str) -> Value {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(RSA.public_key());
    json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": encode(public.n), "e": encode(public.e) })
}

pub fn ec_jwk(kid: &str) -> Value {
    let (x, y) = EC.public_key().as_ref()[1..].split_at(32);
    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": encode(x), "y": encode(y) })
}

/// A good token, by the RSA key.
pub fn token(claims: &Value) -> String {
    rs256(&json!({ "alg": "RS256", "typ": "at+jwt", "kid": "rsa" }), claims)
}

pub fn rs256(header: &Value, claims: &Value) -> String {
    rsa(&RSA_PKCS1_SHA256, header, claims)
}

/// By the RSA key, whatever the header says.
pub fn rsa(encoding: &'static dyn RsaEncoding, header: &Value, claims: &Value) -> String {
    let mut signature = vec![0; RSA.public_modulus_len()];
    let message = message(header, claims);
    RSA.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", encode(signature))
}

pub fn es256(header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let signature = EC.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", encode(signature))
}

/// Header and claims as they are signed (RFC 7515 §5.1).
pub fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
