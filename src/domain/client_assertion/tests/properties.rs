//! What holds of every assertion.

use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::json;

use super::*;

/// An assertion without `kid`, with spare bits in the last character of its payload.
fn good(alg: &str) -> String {
    let header = json!({ "alg": alg }).to_string();
    let mut payload = claims().to_string();
    while payload.len().is_multiple_of(3) {
        payload.push(' ');
    }
    PAIRS.of(alg).jws(alg, &header, &payload)
}

#[test]
fn no_character_of_it_can_be_another_of_the_alphabet() {
    let good = good("ES256");
    assert!(judged(&good).is_ok());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for position in 0..good.len() {
        let ends_a_part = good[position + 1..].starts_with('.') || position + 1 == good.len();
        // All of them where a lenient decoder passes over spare bits, a neighbour elsewhere.
        let original = good.as_bytes()[position];
        let neighbour = original ^ 1;
        for other in alphabet.iter().copied().chain(*b".=+/ \n").filter(|other| *other != original) {
            if ends_a_part || other == neighbour {
                let mut changed = good.clone().into_bytes();
                changed[position] = other;
                let changed = String::from_utf8(changed).unwrap();
                assert!(judged(&changed).is_err(), "{position}: {changed}");
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(1_000) })]

    #[test]
    fn one_that_was_changed_is_never_accepted(
        alg in prop::sample::select(SERVED_ALGS.to_vec()),
        position: prop::sample::Index,
        other: char,
        kind in 0..3,
    ) {
        let good = good(alg);
        let mut characters: Vec<char> = good.chars().collect();
        let at = position.index(characters.len());
        match kind {
            0 => characters[at] = other,
            1 => characters.insert(at, other),
            _ => { characters.remove(at); }
        }
        let changed: String = characters.into_iter().collect();
        prop_assume!(changed != good);
        prop_assert!(judged(&changed).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text: String) {
        prop_assert!(judged(&text).is_err());
    }

    #[test]
    fn no_parts_make_it_panic(header: Vec<u8>, payload: Vec<u8>, signature: Vec<u8>) {
        let text = format!("{}.{}.{}", encode(header), encode(payload), encode(signature));
        prop_assert!(judged(&text).is_err());
    }

    #[test]
    fn no_json_makes_it_panic(header in "\\{(\"(alg|kid|typ|crit|x)\":(null|\"[A-Z0-9a-z]{0,6}\"|\\[\\]|-?[0-9]{1,30}),?){0,5}\\}", payload in "[\\[{](\"(iss|sub|aud|exp|iat|nbf|jti)\":(null|\"x\"|\\[\\]|-?[0-9]{1,30}(\\.[0-9]{1,9})?(e[+-]?[0-9]{1,4})?),?){0,8}[\\]}]") {
        prop_assert!(judged(&PAIRS.p256.jws("ES256", &header, &payload)).is_err());
    }

    #[test]
    fn no_number_makes_it_panic_and_none_that_is_accepted_lasts_for_long(
        exp in number(), iat in number(), nbf in number(), now in prop_oneof![any::<i64>(), Just(NOW.0)],
    ) {
        let claims = with(claims(), &json!({ "exp": exp, "iat": iat, "nbf": nbf }));
        let verdict = verify(&signed(&header(), &claims), &KEYS, CLIENT, &[ISSUER], Timestamp(now));
        if let Ok(Verified { expires_at, .. }) = verdict {
            let left = i128::from(expires_at.0) - i128::from(now);
            prop_assert!((-29..=330).contains(&left), "{left}");
        }
    }
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-400..400_i64).prop_map(|offset| Value::from(NOW.0 + offset)),
        (-400.0..400.0_f64).prop_map(|offset| Value::from(1_800_000_000.0 + offset)),
    ]
}
