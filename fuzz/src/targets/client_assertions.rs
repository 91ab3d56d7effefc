//! Client assertions. With `header` and `claims` on two lines, both are signed by the client's own key first, so that
//! what they say is judged too; anything else is an assertion as it was sent.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::domain::client_assertion::verify;
use entrada::domain::client_keys::ClientKeys;
use entrada::protocol::client_auth::PresentedClient;
use entrada::protocol::parameters::Parameters;
use serde_json::Value;
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::Verdict;
use super::outside::NOW;
use super::stand::ISSUER;
use super::stand::SIGNING_KEY;
use super::verdict;

const CLIENT: &str = "https://app.example.com/client.json";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The public half of the key of RFC 7515 appendix A.3.
static KEYS: LazyLock<ClientKeys> = LazyLock::new(|| {
    let key = json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    ClientKeys::read(&json!({ "keys": [key] })).unwrap()
});

static PAIR: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let pkcs8 = URL_SAFE_NO_PAD.decode(SIGNING_KEY).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap()
});

pub fn run(data: &[u8]) -> Verdict {
    if let Ok(set) = serde_json::from_slice::<Value>(data) {
        return verdict(ClientKeys::read(&set).is_ok());
    }
    let Ok(input) = str::from_utf8(data) else { return Verdict::Refused };
    let signed = input.split_once('\n').map(|(header, claims)| (signed(header, claims), claims));
    let assertion = signed.as_ref().map_or(input, |(assertion, _)| assertion);
    presented(assertion);
    let audiences = [ISSUER, "https://mcp.example.com/token"];
    let verified = verify(assertion, &KEYS, CLIENT, &audiences, NOW).is_ok();
    if verified {
        let (_, claims) = signed.expect("nobody else has the key");
        let claims: Value = serde_json::from_str(claims).expect("claims are JSON");
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT), &json!(CLIENT)));
        let ours = |audience: &Value| audience.as_str().is_some_and(|audience| audiences.contains(&audience));
        let aud = &claims["aud"];
        assert!(
            ours(aud) || aud.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(ours)),
            "{aud}"
        );
        let exp = claims["exp"].as_f64().expect("it ends");
        let now = Value::from(NOW.0).as_f64().unwrap();
        assert!(exp > now - 31.0 && exp < now + 332.0, "{exp}");
        assert!(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()));
    }
    verdict(verified)
}

/// However it is sent, there is one client and one proof, or none.
fn presented(assertion: &str) {
    let form = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    let form = Serializer::new(String::new()).extend_pairs(form).finish();
    if let Ok(presented) = PresentedClient::read(None, &Parameters::parse(form.as_bytes())) {
        assert!(!presented.client_id.is_empty() && presented.client_id.chars().count() <= 512);
    }
}

fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    #[expect(clippy::disallowed_methods, reason = "a signature needs randomness of its own")]
    let signature = PAIR.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
