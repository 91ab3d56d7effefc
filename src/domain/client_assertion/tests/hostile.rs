//! Assertions with one thing wrong each, and why they are refused.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use super::*;

/// The client may have a newer one.
const UNKNOWN_KEY: &str = "unknown key";

fn assert_refused(judged: Result<Verified, NotVerified>, why: &'static str, what: impl std::fmt::Display) {
    let refused = if why == UNKNOWN_KEY { NotVerified::UnknownKey } else { NotVerified::Invalid(why) };
    assert_eq!(judged, Err(refused), "{what}");
}

#[test]
fn by_their_claims() {
    let too_long = "x".repeat(257);
    for (why, changes) in [
        ("iss or sub", json!({ "iss": "another" })),
        ("iss or sub", json!({ "sub": "another" })),
        ("iss or sub", json!({ "iss": "another", "sub": "another" })),
        ("iss or sub", json!({ "iss": ABSENT })),
        ("iss or sub", json!({ "sub": ABSENT })),
        ("iss or sub", json!({ "sub": [CLIENT] })),
        ("iss or sub", json!({ "iss": null })),
        ("iss or sub", json!({ "iss": format!("{CLIENT}/") })),
        ("iss or sub", json!({ "sub": CLIENT.to_uppercase() })),
        ("aud", json!({ "aud": ABSENT })),
        ("aud", json!({ "aud": null })),
        ("aud", json!({ "aud": "https://other.example" })),
        ("aud", json!({ "aud": format!("{ISSUER}/") })),
        ("aud", json!({ "aud": "https://ID.example" })),
        ("aud", json!({ "aud": format!("{ISSUER} {TOKEN}") })),
        ("aud", json!({ "aud": "" })),
        ("aud", json!({ "aud": CLIENT })),
        ("aud", json!({ "aud": [] })),
        ("aud", json!({ "aud": [ISSUER, "https://other.example"] })),
        ("aud", json!({ "aud": ["https://other.example", ISSUER] })),
        ("aud", json!({ "aud": [ISSUER, null] })),
        ("aud", json!({ "aud": [[ISSUER]] })),
        ("aud", json!({ "aud": { "0": ISSUER } })),
        ("exp", json!({ "exp": ABSENT })),
        ("exp", json!({ "exp": null })),
        ("exp", json!({ "exp": (NOW.0 + 60).to_string() })),
        ("exp", json!({ "exp": [NOW.0 + 60] })),
        ("exp", json!({ "exp": true })),
        ("exp", json!({ "exp": u64::MAX })),
        ("exp", json!({ "exp": 1e300 })),
        ("exp", json!({ "exp": -1e300 })),
        ("exp has passed", json!({ "exp": NOW.0 - 30 })),
        ("exp has passed", json!({ "exp": NOW.0 - 31 })),
        ("exp has passed", json!({ "exp": 0 })),
        ("exp has passed", json!({ "exp": -1 })),
        ("exp has passed", json!({ "exp": -0.5 })),
        ("exp has passed", json!({ "exp": i64::MIN })),
        ("exp is too far ahead", json!({ "exp": NOW.0 + 331 })),
        ("exp is too far ahead", json!({ "exp": NOW.0 + 331, "iat": ABSENT })),
        ("exp is too far ahead", json!({ "exp": i64::MAX })),
        ("exp is too far ahead", json!({ "exp": NOW.0 * 1_000 })),
        ("iat", json!({ "iat": NOW.0 + 31 })),
        ("iat", json!({ "iat": i64::MAX })),
        ("iat", json!({ "iat": u64::MAX })),
        ("iat", json!({ "iat": 1e300 })),
        ("iat", json!({ "iat": null })),
        ("iat", json!({ "iat": "now" })),
        ("iat is too far from exp", json!({ "iat": NOW.0 - 271 })),
        ("iat is too far from exp", json!({ "iat": NOW.0 - 1, "exp": NOW.0 + 330 })),
        ("iat is too far from exp", json!({ "iat": 0 })),
        ("iat is too far from exp", json!({ "iat": -1.5 })),
        ("iat is too far from exp", json!({ "iat": i64::MIN })),
        ("nbf", json!({ "nbf": NOW.0 + 31 })),
        ("nbf", json!({ "nbf": i64::MAX })),
        ("nbf", json!({ "nbf": null })),
        ("nbf", json!({ "nbf": NOW.0.to_string() })),
        ("jti", json!({ "jti": ABSENT })),
        ("jti", json!({ "jti": null })),
        ("jti", json!({ "jti": "" })),
        ("jti", json!({ "jti": 1 })),
        ("jti", json!({ "jti": ["one"] })),
        ("jti", json!({ "jti": too_long })),
    ] {
        assert_refused(judged_claims(&changes), why, &changes);
    }
    let assertion = signed(&header(), &claims());
    assert_refused(verify(&assertion, &KEYS, CLIENT, &[], NOW), "aud", "no audience");
    assert_refused(verify(&assertion, &KEYS, "another", &[ISSUER], NOW), "iss or sub", "another client");
}

#[test]
fn by_their_header() {
    for (why, changes) in [
        ("alg", json!({ "alg": ABSENT })),
        ("alg", json!({ "alg": null })),
        ("alg", json!({ "alg": ["ES256"] })),
        ("alg", json!({ "alg": "none" })),
        ("alg", json!({ "alg": "None" })),
        ("alg", json!({ "alg": "" })),
        ("alg", json!({ "alg": "es256" })),
        ("alg", json!({ "alg": "HS256" })),
        ("alg", json!({ "alg": "EdDSA" })),
        ("alg", json!({ "alg": "ES256K" })),
        ("alg", json!({ "alg": "ES512" })),
        (UNKNOWN_KEY, json!({ "alg": "ES384" })),
        (UNKNOWN_KEY, json!({ "alg": "RS256" })),
        (UNKNOWN_KEY, json!({ "kid": "p384" })),
        (UNKNOWN_KEY, json!({ "kid": "rsa" })),
        ("typ", json!({ "typ": "at+jwt" })),
        ("typ", json!({ "typ": "dpop+jwt" })),
        ("typ", json!({ "typ": "" })),
        ("typ", json!({ "typ": null })),
        ("typ", json!({ "typ": ["JWT"] })),
        ("typ", json!({ "typ": "application/application/jwt" })),
        ("crit", json!({ "crit": ["b64"], "b64": false })),
        ("crit", json!({ "crit": ["exp"] })),
        ("crit", json!({ "crit": [] })),
        ("crit", json!({ "crit": null })),
        ("kid", json!({ "kid": null })),
        ("kid", json!({ "kid": 1 })),
        ("kid", json!({ "kid": ["p256"] })),
    ] {
        assert_refused(judged_header(&changes), why, &changes);
    }
}

#[test]
fn a_kid_that_is_not_in_the_set_is_told_apart_once_all_else_holds() {
    for kid in ["", "P256", "p256 ", "../p256", "for encryption", "for encryption as well", "new"] {
        assert_eq!(judged_header(&json!({ "kid": kid })), Err(NotVerified::UnknownKey), "{kid}");
    }
    let unknown = with(header(), &json!({ "kid": "new" }));
    for (why, header, claims) in [
        ("exp has passed", unknown.clone(), with(claims(), &json!({ "exp": NOW.0 - 60 }))),
        ("aud", unknown.clone(), with(claims(), &json!({ "aud": "https://other.example" }))),
        ("iss or sub", unknown.clone(), with(claims(), &json!({ "sub": "another" }))),
        ("jti", unknown.clone(), with(claims(), &json!({ "jti": ABSENT }))),
        ("crit", with(unknown.clone(), &json!({ "crit": [] })), claims()),
        ("typ", with(unknown.clone(), &json!({ "typ": "at+jwt" })), claims()),
        ("alg", with(unknown, &json!({ "alg": "none" })), claims()),
    ] {
        assert_refused(judged(&signed(&header, &claims)), why, &header);
    }
}

#[test]
fn by_json_that_two_readers_could_read_in_two_ways() {
    let (header, payload) = (header().to_string(), claims().to_string());
    let head = &header[1..];
    let body = &payload[1..];
    let deep = 200;
    for (why, header, payload) in [
        ("payload", header.clone(), format!(r#"{{"sub":"another",{body}"#)),
        ("payload", header.clone(), format!(r#"{{"sub":"{CLIENT}",{body}"#)),
        ("payload", header.clone(), format!(r#"{{"s\u0075b":"another",{body}"#)),
        ("payload", header.clone(), format!(r#"{{"iss":"another",{body}"#)),
        ("payload", header.clone(), format!(r#"{{"aud":"{TOKEN}",{body}"#)),
        ("payload", header.clone(), format!(r#"{{"exp":1,{body}"#)),
        ("payload", header.clone(), format!(r#"{{"iat":1,{body}"#)),
        ("payload", header.clone(), format!(r#"{{"nbf":1,"nbf":1,{body}"#)),
        ("payload", header.clone(), format!(r#"{{"jti":"two",{body}"#)),
        ("payload", header.clone(), format!("[{payload}]")),
        (
            "payload",
            header.clone(),
            format!(r#"["{ISSUER}",{},{},"{CLIENT}","one",0,"{CLIENT}"]"#, NOW.0 + 60, NOW.0),
        ),
        ("payload", header.clone(), Value::String(payload.clone()).to_string()),
        ("payload", header.clone(), "null".to_owned()),
        ("payload", header.clone(), String::new()),
        ("payload", header.clone(), format!("{payload}{payload}")),
        ("payload", header.clone(), format!("{payload},")),
        ("payload", header.clone(), format!("{payload}\0")),
        ("payload", header.clone(), format!("\u{feff}{payload}")),
        ("payload", header.clone(), payload.replace(r#""one""#, "'one'")),
        ("payload", header.clone(), payload.replace(r#""one""#, r#""\ud800""#)),
        ("payload", header.clone(), payload.replace(&(NOW.0 + 60).to_string(), "1e999")),
        ("payload", header.clone(), payload.replace(&(NOW.0 + 60).to_string(), "NaN")),
        ("payload", header.clone(), payload.replace(&(NOW.0 + 60).to_string(), "0x7fffffff")),
        ("payload", header.clone(), format!(r#"{{"nbf":{}{},{body}"#, "[".repeat(deep), "]".repeat(deep))),
        ("header", format!(r#"{{"alg":"none",{head}"#), payload.clone()),
        ("header", format!(r#"{{"kid":"rsa",{head}"#), payload.clone()),
        ("header", format!(r#"{{"typ":"at+jwt",{head}"#), payload.clone()),
        ("header", format!(r#"{{"crit":[],"crit":[],{head}"#), payload.clone()),
        ("header", format!("[{header}]"), payload.clone()),
        ("header", r#"["ES256",null,"p256","JWT"]"#.to_owned(), payload.clone()),
        ("header", String::new(), payload),
    ] {
        let assertion = PAIRS.p256.jws("ES256", &header, &payload);
        assert_refused(judged(&assertion), why, format!("{header} {payload}"));
    }
}

#[test]
fn by_their_form() {
    let good = signed(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let (json, bytes) =
        (URL_SAFE_NO_PAD.decode(payload).unwrap(), URL_SAFE_NO_PAD.decode(signature).unwrap());
    let not_utf8 = encode([b"{\"x\":\"\xff\",", &json[1..]].concat());
    let claims_signed_as = |payload: &str| {
        let message = format!("{header}.{payload}");
        format!("{message}.{}", PAIRS.p256.sign("ES256", &message))
    };
    // Of a length that has padding, and with bytes that are written differently in the other alphabet.
    let padded = URL_SAFE.encode([b" ".repeat(3 - (json.len() + 2) % 3).as_slice(), &json].concat());
    let other_alphabet = STANDARD.encode([b"{\"x\":\"\xc3\xbf\xc3\xbe\xc3\xbf?>~\",", &json[1..]].concat());
    for (why, what, assertion) in [
        ("form", "nothing", String::new()),
        ("form", "one part", "x".to_owned()),
        ("form", "two parts", format!("{header}.{payload}")),
        ("form", "four parts", format!("{good}.x")),
        ("form", "five parts, as a JWE has", format!("{header}.{payload}.{payload}.{payload}.{signature}")),
        ("form", "a part before", format!(".{good}")),
        ("header", "empty parts", "..".to_owned()),
        ("header", "no header", format!(".{payload}.{signature}")),
        ("payload", "no payload", format!("{header}..{signature}")),
        ("signature", "no signature", format!("{header}.{payload}.")),
        ("header", "a space before", format!(" {good}")),
        ("signature", "a space behind", format!("{good} ")),
        ("signature", "a line behind", format!("{good}\n")),
        ("payload", "a line within", format!("{header}.\n{payload}.{signature}")),
        ("payload", "padding", claims_signed_as(&padded)),
        ("payload", "the other alphabet", claims_signed_as(&other_alphabet)),
        ("payload", "no UTF-8", claims_signed_as(&not_utf8)),
        ("signature", "a padded signature", format!("{header}.{payload}.{}", URL_SAFE.encode(&bytes))),
        ("signature", "half a signature", format!("{header}.{payload}.{}", encode(&bytes[..32]))),
        (
            "signature",
            "more than a signature",
            format!("{header}.{payload}.{}", encode([&bytes[..], &[0]].concat())),
        ),
        ("signature", "zeros (CVE-2022-21449)", format!("{header}.{payload}.{}", encode([0; 64]))),
        (
            "signature",
            "another payload",
            format!("{header}.{}.{signature}", encode(claims().to_string() + " ")),
        ),
        (
            "signature",
            "another header",
            format!("{}.{payload}.{signature}", encode(super::header().to_string() + " ")),
        ),
    ] {
        assert!(padded.ends_with('=') && other_alphabet.contains(['+', '/']));
        assert_refused(judged(&assertion), why, what);
    }
}

#[test]
fn by_who_signed_and_how() {
    let payload = claims().to_string();
    let jws = |by: &Signer, alg: &str, header: Value| by.jws(alg, &header.to_string(), &payload);
    for (why, what, assertion) in [
        ("signature", "a stranger", jws(&PAIRS.stranger, "ES256", header())),
        (UNKNOWN_KEY, "a stranger without a kid", jws(&PAIRS.stranger, "ES256", json!({ "alg": "ES256" }))),
        (
            "signature",
            "another key of the client",
            jws(&PAIRS.rsa, "RS256", json!({ "alg": "RS256", "kid": "rs256" })),
        ),
        ("signature", "a key of the other curve", jws(&PAIRS.p384, "ES384", header())),
        (UNKNOWN_KEY, "the other curve", jws(&PAIRS.p384, "ES384", json!({ "alg": "ES256", "kid": "p384" }))),
        ("signature", "PSS as PKCS #1", jws(&PAIRS.rsa, "PS256", json!({ "alg": "RS256", "kid": "rsa" }))),
        ("signature", "PKCS #1 as PSS", jws(&PAIRS.rsa, "RS256", json!({ "alg": "PS256", "kid": "rsa" }))),
        ("signature", "another hash", jws(&PAIRS.rsa, "RS256", json!({ "alg": "RS512", "kid": "rsa" }))),
        (
            UNKNOWN_KEY,
            "not the key's own algorithm",
            jws(&PAIRS.rs256_only, "PS256", json!({ "alg": "PS256", "kid": "rs256" })),
        ),
        (UNKNOWN_KEY, "nor without its kid", jws(&PAIRS.rs256_only, "PS256", json!({ "alg": "PS256" }))),
    ] {
        assert_refused(judged(&assertion), why, what);
    }
    let none = signed(&json!({ "alg": "ES384" }), &claims());
    let ec_only = keys(&[PAIRS.p256.named("p256")]);
    assert_refused(verify(&none, &ec_only, CLIENT, &[ISSUER], NOW), UNKNOWN_KEY, "no key of the algorithm");
}

#[test]
fn by_a_public_key_that_is_taken_for_a_secret() {
    let n = PAIRS.rsa.jwk["n"].as_str().unwrap();
    for secret in [URL_SAFE_NO_PAD.decode(n).unwrap(), n.into(), PAIRS.rsa.jwk.to_string().into_bytes()] {
        for header in [json!({ "alg": "HS256", "kid": "rsa" }), json!({ "alg": "HS256" })] {
            let message = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            assert_refused(judged(&format!("{message}.{}", encode(tag))), "alg", &header);
        }
    }
}
