//! Access tokens that nobody signed, each made of one that is good.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Tokens;

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The forgeries of a token, by their names in an entry. `keys` is the published key set, `somebody` an `oid`.
pub fn of(tokens: &Tokens, keys: &Value, somebody: &str) -> Vec<(&'static str, String)> {
    let [header, payload, signature]: [&str; 3] =
        tokens.access.split('.').collect::<Vec<_>>().try_into().expect("a JWT has three parts");
    let ours: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let headed = |changes: Value| {
        let mut header = ours.clone();
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        encoded(header.to_string())
    };
    let claiming = |claim: &str, value: Value| {
        let mut claims = tokens.claims();
        claims[claim] = value;
        format!("{header}.{}.{signature}", encoded(claims.to_string()))
    };
    let key = &keys["keys"][0];
    let with_mac = |key: &[u8]| {
        let signed = format!("{}.{payload}", headed(json!({ "alg": "HS256" })));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("{signed}.{}", encoded(mac))
    };
    let point = [&[4][..], &coordinate(key, "x"), &coordinate(key, "y")].concat();
    let own_key = json!({ "jwk": { "kty": "oct", "k": encoded("attacker") }, "alg": "HS256" });
    vec![
        ("forged_none", format!("{}.{payload}.", headed(json!({ "alg": "none" })))),
        ("forged_none_signed", format!("{}.{payload}.{signature}", headed(json!({ "alg": "nOnE" })))),
        ("forged_stripped", format!("{header}.{payload}.")),
        ("forged_two_parts", format!("{header}.{payload}")),
        // A MAC whose key is what everybody can fetch: as JSON, or as the point that it stands for.
        ("forged_hs256_jwk", with_mac(key.to_string().as_bytes())),
        ("forged_hs256_point", with_mac(&point)),
        ("forged_crit", format!("{}.{payload}.{signature}", headed(json!({ "crit": ["exp"] })))),
        ("forged_own_key", format!("{}.{payload}.{signature}", headed(own_key))),
        (
            "forged_jku",
            format!("{}.{payload}.{signature}", headed(json!({ "jku": "https://evil.example/jwks" }))),
        ),
        ("forged_kid", format!("{}.{payload}.{signature}", headed(json!({ "kid": "../../../dev/null" })))),
        ("forged_typ", format!("{}.{payload}.{signature}", headed(json!({ "typ": "JWT" })))),
        // ECDSA with r and s of nothing, which some libraries accepted for everything.
        ("forged_zero", format!("{header}.{payload}.{}", encoded([0; 64]))),
        ("forged_oid", claiming("oid", somebody.into())),
        ("forged_scope", claiming("scope", "mcp.read mcp.write admin".into())),
        ("forged_audience", claiming("aud", "https://mcp.example.com/mail".into())),
        ("forged_expiry", claiming("exp", 9_999_999_999_i64.into())),
    ]
}

fn coordinate(key: &Value, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap_or_default()).unwrap()
}
