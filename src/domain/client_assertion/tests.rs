mod hostile;
mod properties;
mod signer;

use std::sync::LazyLock;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::protocol::client_auth::MAX_ASSERTION_LENGTH;
use crate::protocol::client_auth::SERVED_ALGS;
use signer::Signer;
use signer::encode;

const NOW: Timestamp = Timestamp(1_800_000_000);
const CLIENT: &str = "https://app.example/client.json";
const ISSUER: &str = "https://id.example";
const TOKEN: &str = "https://id.example/token";

/// The client's key pairs, and one that is not its own.
struct Pairs {
    rsa: Signer,
    rs256_only: Signer,
    p256: Signer,
    p384: Signer,
    stranger: Signer,
}

static PAIRS: LazyLock<Pairs> = LazyLock::new(|| Pairs {
    rsa: Signer::rsa(),
    rs256_only: Signer::rsa(),
    p256: Signer::ec("P-256"),
    p384: Signer::ec("P-384"),
    stranger: Signer::ec("P-256"),
});

impl Pairs {
    fn of(&self, alg: &str) -> &Signer {
        match alg {
            "ES256" => &self.p256,
            "ES384" => &self.p384,
            _ => &self.rsa,
        }
    }
}

static KEYS: LazyLock<ClientKeys> = LazyLock::new(|| {
    keys(&[
        PAIRS.rsa.named("rsa"),
        PAIRS.rs256_only.with(&json!({ "kid": "rs256", "alg": "RS256", "use": "sig" })),
        PAIRS.p256.named("p256"),
        PAIRS.p384.named("p384"),
        PAIRS.p256.with(&json!({ "kid": "for encryption", "use": "enc" })),
        PAIRS.rsa.with(&json!({ "kid": "for encryption as well", "alg": "RSA-OAEP" })),
    ])
});

fn keys(members: &[Value]) -> ClientKeys {
    ClientKeys::read(&json!({ "keys": members })).unwrap()
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "p256", "typ": "JWT" })
}

fn claims() -> Value {
    json!({ "iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "iat": NOW.0, "exp": NOW.0 + 60, "jti": "one" })
}

/// `base` with other members; one that is [`ABSENT`] is taken away.
fn with(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value == ABSENT {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

const ABSENT: &str = "(absent)";

/// Signed by the client's P-256 key.
fn signed(header: &Value, claims: &Value) -> String {
    PAIRS.p256.jws("ES256", &header.to_string(), &claims.to_string())
}

fn judged(assertion: &str) -> Result<Verified, NotVerified> {
    verify(assertion, &KEYS, CLIENT, &[ISSUER, TOKEN], NOW)
}

fn judged_claims(changes: &Value) -> Result<Verified, NotVerified> {
    judged(&signed(&header(), &with(claims(), changes)))
}

fn judged_header(changes: &Value) -> Result<Verified, NotVerified> {
    judged(&signed(&with(header(), changes), &claims()))
}

#[test]
fn every_served_algorithm_verifies_with_the_kid_and_without() {
    for alg in SERVED_ALGS {
        let pair = PAIRS.of(alg);
        let kid = match alg {
            "ES256" => "p256",
            "ES384" => "p384",
            _ => "rsa",
        };
        for header in [json!({ "alg": alg, "kid": kid }), json!({ "alg": alg })] {
            let assertion = pair.jws(alg, &header.to_string(), &claims().to_string());
            assert!(judged(&assertion).is_ok(), "{header}");
        }
    }
}

#[test]
fn an_rsa_key_with_zeros_in_front_verifies() {
    let zero_before = |name: &str| format!("AAAA{}", PAIRS.rsa.jwk[name].as_str().unwrap());
    let key = PAIRS.rsa.with(&json!({ "n": zero_before("n"), "e": zero_before("e") }));
    let assertion = PAIRS.rsa.jws("RS256", r#"{"alg":"RS256"}"#, &claims().to_string());
    assert!(verify(&assertion, &keys(&[key]), CLIENT, &[ISSUER], NOW).is_ok());
}

#[test]
fn what_is_returned_is_the_expiry_and_a_hash_of_the_jti() {
    let first = judged_claims(&json!({})).unwrap();
    assert_eq!(first.expires_at, NOW.plus(Duration::from_secs(60)));
    assert_eq!(first.id, judged_claims(&json!({ "exp": NOW.0 + 61, "aud": TOKEN })).unwrap().id);
    assert_ne!(first.id, judged_claims(&json!({ "jti": "One" })).unwrap().id);
    // The first half of SHA-256("one").
    let expected =
        [0x76, 0x92, 0xc3, 0xad, 0x35, 0x40, 0xbb, 0x80, 0x3c, 0x02, 0x0b, 0x3a, 0xee, 0x66, 0xcd, 0x88];
    assert_eq!(first.id, AssertionId(expected));
}

#[test]
fn the_claims_of_clients_that_mean_well_hold() {
    let longest = "\u{e9}".repeat(256);
    for changes in [
        json!({ "aud": TOKEN }),
        json!({ "aud": [ISSUER] }),
        json!({ "aud": [ISSUER, TOKEN] }),
        json!({ "exp": NOW.0 - 29, "iat": NOW.0 - 300 }),
        json!({ "exp": NOW.0 }),
        json!({ "exp": NOW.0 + 330 }),
        json!({ "exp": NOW.0 + 330, "iat": ABSENT }),
        json!({ "exp": NOW.0 + 330, "iat": NOW.0 + 30 }),
        json!({ "iat": NOW.0 - 270 }),
        json!({ "nbf": NOW.0 + 30 }),
        json!({ "nbf": 0 }),
        json!({ "nbf": -1 }),
        json!({ "exp": 1_800_000_060.75, "iat": 1_800_000_000.25, "nbf": 1_800_000_030.99 }),
        json!({ "jti": "1" }),
        json!({ "jti": longest }),
        json!({ "client_id": "another", "scope": ["a"], "nested": { "sub": "another", "sub2": [[[]]] } }),
    ] {
        assert!(judged_claims(&changes).is_ok(), "{changes}: {:?}", judged_claims(&changes));
    }
}

#[test]
fn a_fraction_of_a_second_prolongs_nothing() {
    let verified = judged_claims(&json!({ "exp": 1_800_000_060.75 })).unwrap();
    assert_eq!(verified.expires_at, NOW.plus(Duration::from_secs(60)));
    assert_eq!(
        judged_claims(&json!({ "exp": 1_799_999_970.9 })),
        Err(NotVerified::Invalid("exp has passed"))
    );
}

#[test]
fn the_type_is_that_of_a_jwt_or_of_a_client_assertion() {
    for typ in [
        ABSENT,
        "JWT",
        "jwt",
        "application/jwt",
        "client-authentication+jwt",
        "Client-Authentication+JWT",
        "application/client-authentication+jwt",
        "APPLICATION/CLIENT-AUTHENTICATION+JWT",
    ] {
        assert!(judged_header(&json!({ "typ": typ })).is_ok(), "{typ}");
    }
}

#[test]
fn keys_that_the_header_brings_along_count_for_nothing() {
    let brought = json!({
        "jwk": PAIRS.stranger.jwk, "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u",
        "x5c": ["AAAA"], "zip": "DEF", "cty": "JWT",
    });
    assert!(judged_header(&brought).is_ok());
    let by_stranger =
        |header: &Value| PAIRS.stranger.jws("ES256", &header.to_string(), &claims().to_string());
    for header in [with(header(), &brought), with(with(header(), &brought), &json!({ "kid": ABSENT }))] {
        assert!(judged(&by_stranger(&header)).is_err(), "{header}");
    }
}

#[test]
fn white_space_in_json_and_what_we_do_not_read_change_nothing() {
    let payload = claims().to_string();
    let body = &payload[1..];
    for payload in [
        format!(" \r\n\t{payload}\n "),
        // Nobody reads these, so it does not matter which of the two they would read.
        format!(r#"{{"x":1,"x":2,"Sub":"other",{body}"#),
        format!(r#"{{"x":{}1{},{body}"#, "[".repeat(100), "]".repeat(100)),
    ] {
        assert!(judged(&PAIRS.p256.jws("ES256", &header().to_string(), &payload)).is_ok(), "{payload}");
    }
}

#[test]
fn without_a_kid_four_keys_are_asked_and_with_one_those_that_have_it() {
    let others: Vec<Signer> = (0..4).map(|_| Signer::ec("P-256")).collect();
    let before = |count: usize, of: fn(&Signer) -> Value| {
        let mut members: Vec<Value> = others[..count].iter().map(of).collect();
        // Keys for other algorithms are not counted.
        members.insert(0, PAIRS.p384.jwk.clone());
        members.insert(0, PAIRS.rsa.jwk.clone());
        members
    };
    let check = |members: &[Value], kid: &str| {
        let assertion = signed(&with(header(), &json!({ "kid": kid })), &claims());
        verify(&assertion, &keys(members), CLIENT, &[ISSUER], NOW).map(|_| ())
    };
    let unsigned = Err(NotVerified::Invalid("signature"));
    let none_of_these = Err(NotVerified::UnknownKey);
    assert_eq!(
        check(&[before(3, |key| key.jwk.clone()), vec![PAIRS.p256.jwk.clone()]].concat(), ABSENT),
        Ok(())
    );
    assert_eq!(
        check(&[before(4, |key| key.jwk.clone()), vec![PAIRS.p256.jwk.clone()]].concat(), ABSENT),
        none_of_these
    );
    let named = |key: &Signer| key.named("other");
    assert_eq!(check(&[before(4, named), vec![PAIRS.p256.named("p256")]].concat(), "p256"), Ok(()));
    assert_eq!(check(&[before(4, named), vec![PAIRS.p256.named("p256")]].concat(), "other"), unsigned);
    // Two keys may have one name (RFC 7517 §4.5).
    assert_eq!(check(&[before(1, named), vec![PAIRS.p256.named("other")]].concat(), "other"), Ok(()));
}

#[test]
fn an_assertion_may_be_eight_kibibytes_long_and_no_longer() {
    let of_length = |length: usize| {
        (0..4).find_map(|more| {
            let header = with(header(), &json!({ "x": "x".repeat(more) }));
            let room = 5_700..6_000;
            room.map(|fill| signed(&header, &with(claims(), &json!({ "x": "x".repeat(fill) }))))
                .find(|assertion| assertion.len() == length)
        })
    };
    assert!(judged(&of_length(MAX_ASSERTION_LENGTH).unwrap()).is_ok());
    let longer = of_length(MAX_ASSERTION_LENGTH + 1).unwrap();
    assert_eq!(judged(&longer), Err(NotVerified::Invalid("form")));
}
