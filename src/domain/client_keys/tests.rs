use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use serde_json::json;

use super::*;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ec(curve: &str) -> Value {
    let signing = match curve {
        "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
        _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::generate(signing).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "kid": "ec", "x": encode(x), "y": encode(y) })
}

/// A modulus of so many bits; whether it has factors is nobody's question here.
fn rsa(bits: usize) -> Value {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    json!({ "kty": "RSA", "kid": "rsa", "n": encode(modulus), "e": "AQAB" })
}

fn with(mut jwk: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn read(members: &[Value]) -> Result<usize, BadKeys> {
    ClientKeys::read(&json!({ "keys": members })).map(|keys| keys.0.len())
}

#[test]
fn keys_of_the_served_kinds_are_read_and_all_their_algorithms_known() {
    assert_eq!(read(&[rsa(2_048), rsa(2_049), rsa(3_072), rsa(8_192), ec("P-256"), ec("P-384")]), Ok(6));
    for alg in SERVED_ALGS {
        let jwk = match alg {
            "ES256" => ec("P-256"),
            "ES384" => ec("P-384"),
            _ => rsa(2_048),
        };
        assert_eq!(read(&[with(jwk, &json!({ "alg": alg }))]), Ok(1), "{alg}");
    }
    for more in [
        json!({ "use": "sig" }),
        json!({ "use": null, "alg": null, "kid": null }),
        json!({ "key_ops": ["verify"] }),
        json!({ "key_ops": ["encrypt", "verify"] }),
        json!({ "x5c": ["AAAA"], "x5t": "x", "iat": 1, "exp": 2, "nested": { "d": "x" } }),
    ] {
        assert_eq!(read(&[with(ec("P-256"), &more)]), Ok(1), "{more}");
        assert_eq!(read(&[with(rsa(2_048), &more)]), Ok(1), "{more}");
    }
    let zeros = encode([vec![0, 0], vec![0xff; 256]].concat());
    assert_eq!(read(&[with(rsa(2_048), &json!({ "n": zeros, "e": "AAEAAQ" }))]), Ok(1));
}

#[test]
fn a_key_that_we_cannot_use_is_passed_over_and_alone_makes_a_bad_set() {
    let (p256, p384) = (ec("P-256"), ec("P-384"));
    let mut bent = URL_SAFE_NO_PAD.decode(p256["y"].as_str().unwrap()).unwrap();
    bent[31] ^= 1;
    // The same point, cut in the wrong place.
    let point: Vec<u8> = ["x", "y"]
        .iter()
        .flat_map(|name| URL_SAFE_NO_PAD.decode(p256[name].as_str().unwrap()).unwrap())
        .collect();
    let long = encode([&[0], &bent[..]].concat());
    for jwk in [
        json!({}),
        json!(null),
        json!("key"),
        json!([]),
        json!({ "kty": "oct", "kid": "secret" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": encode([1; 32]) }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "x" }),
        with(p256.clone(), &json!({ "kty": "ec" })),
        with(p256.clone(), &json!({ "kty": "RSA" })),
        with(p256.clone(), &json!({ "kty": null })),
        with(p256.clone(), &json!({ "crv": "P-384" })),
        with(p256.clone(), &json!({ "crv": "P-521" })),
        with(p256.clone(), &json!({ "crv": "secp256k1" })),
        with(p256.clone(), &json!({ "crv": null })),
        with(p384.clone(), &json!({ "crv": "P-256" })),
        with(p256.clone(), &json!({ "y": encode(&bent) })),
        with(p256.clone(), &json!({ "y": long })),
        with(p256.clone(), &json!({ "x": encode(&point[..33]), "y": encode(&point[33..]) })),
        with(p256.clone(), &json!({ "x": "" })),
        with(p256.clone(), &json!({ "x": null })),
        with(p256.clone(), &json!({ "x": encode([0; 32]), "y": encode([0; 32]) })),
        with(p256.clone(), &json!({ "x": format!("{}=", p256["x"].as_str().unwrap()) })),
        with(p256.clone(), &json!({ "use": "enc" })),
        with(p256.clone(), &json!({ "use": 1 })),
        with(p256.clone(), &json!({ "key_ops": [] })),
        with(p256.clone(), &json!({ "key_ops": ["sign"] })),
        with(p256.clone(), &json!({ "key_ops": "verify" })),
        with(p256.clone(), &json!({ "alg": "ES384" })),
        with(p256.clone(), &json!({ "alg": "RS256" })),
        with(p256.clone(), &json!({ "alg": "HS256" })),
        with(p256.clone(), &json!({ "alg": "ECDH-ES" })),
        with(p256.clone(), &json!({ "alg": 1 })),
        with(p256.clone(), &json!({ "kid": 1 })),
        with(p384, &json!({ "alg": "ES256" })),
        with(rsa(2_048), &json!({ "alg": "ES256" })),
        with(rsa(2_048), &json!({ "alg": "RSA-OAEP" })),
        with(rsa(2_048), &json!({ "alg": "HS256" })),
        with(rsa(2_048), &json!({ "kty": "EC" })),
        with(rsa(2_048), &json!({ "e": "" })),
        with(rsa(2_048), &json!({ "e": "AQ" })),
        with(rsa(2_048), &json!({ "e": "AAAB" })),
        with(rsa(2_048), &json!({ "e": "Ag" })),
        with(rsa(2_048), &json!({ "e": encode([1; 6]) })),
        with(rsa(2_048), &json!({ "n": "" })),
        with(rsa(2_048), &json!({ "n": "+" })),
        with(rsa(2_048), &json!({ "n": encode([vec![0; 200], vec![0xff; 56]].concat()) })),
        rsa(1_024),
        rsa(2_047),
        rsa(8_193),
        rsa(16_384),
    ] {
        assert_eq!(read(std::slice::from_ref(&jwk)), Err(BadKeys), "{jwk}");
        assert_eq!(read(&[jwk.clone(), ec("P-384")]), Ok(1), "{jwk}");
    }
}

#[test]
fn a_set_that_gives_a_private_key_away_is_bad_whatever_else_is_in_it() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for value in [json!("AQAB"), json!(""), json!(null), json!([{}])] {
            let private = json!({ name: value });
            for jwk in [ec("P-256"), rsa(2_048), json!({ "kty": "oct" }), json!({ "kty": "new" })] {
                assert_eq!(read(&[ec("P-256"), with(jwk, &private)]), Err(BadKeys), "{private}");
            }
        }
    }
}

#[test]
fn a_set_has_one_key_at_least_and_thirty_two_at_most() {
    assert_eq!(read(&vec![ec("P-256"); MAX_KEYS]), Ok(32));
    assert_eq!(read(&vec![ec("P-256"); MAX_KEYS + 1]), Err(BadKeys));
    // Those that are passed over count as well.
    assert_eq!(read(&[vec![json!({}); MAX_KEYS], vec![ec("P-256")]].concat()), Err(BadKeys));
    let key = ec("P-256");
    for set in [
        json!({ "keys": [] }),
        json!({ "keys": key }),
        json!({ "keys": null }),
        json!({}),
        json!([key]),
        json!({ "Keys": [key] }),
        key,
        json!(null),
        json!("keys"),
    ] {
        assert_eq!(ClientKeys::read(&set).map(|_| ()), Err(BadKeys), "{set}");
    }
}
