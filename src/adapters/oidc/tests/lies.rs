//! ID tokens and metadata that do not hold, each with the verdict it gets.

use serde_json::json;

use super::*;
use crate::demo::idp::Signature;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    SomebodyElse,
    Invalid,
}

fn verdict(outcome: Result<(), UpstreamError>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Good,
        Err(UpstreamError::SomebodyElse(_)) => Verdict::SomebodyElse,
        Err(UpstreamError::Invalid(_)) => Verdict::Invalid,
        Err(other) => panic!("{other:?}"),
    }
}

type Told = fn(&mut IdToken);

fn put(token: &mut IdToken, name: &str, value: impl Into<Value>) {
    token.claims.insert(name.to_owned(), value.into());
}

/// Lies that both kinds of provider could tell, in any grant.
const LIES: &[(&str, Verdict, Told)] = &[
    ("another issuer", Verdict::SomebodyElse, |t| put(t, "iss", "https://login.example/v2.0")),
    ("no issuer", Verdict::Invalid, |t| drop(t.claims.remove("iss"))),
    ("another audience", Verdict::Invalid, |t| put(t, "aud", "another-client")),
    ("a second audience", Verdict::Invalid, |t| put(t, "aud", json!([CLIENT, "another-client"]))),
    ("no audience", Verdict::Invalid, |t| drop(t.claims.remove("aud"))),
    ("another party", Verdict::Invalid, |t| put(t, "azp", "another-client")),
    ("ourselves as the party", Verdict::Good, |t| put(t, "azp", CLIENT)),
    ("expired", Verdict::Invalid, |t| put(t, "exp", START - 120)),
    ("expired within the skew", Verdict::Good, |t| put(t, "exp", START - 119)),
    ("no expiry", Verdict::Invalid, |t| drop(t.claims.remove("exp"))),
    ("from the future", Verdict::Invalid, |t| put(t, "iat", START + 121)),
    ("from the near future", Verdict::Good, |t| put(t, "iat", START + 120)),
    ("not valid yet", Verdict::Invalid, |t| put(t, "nbf", START + 121)),
    ("valid within the skew", Verdict::Good, |t| put(t, "nbf", START + 120)),
    ("no start of validity", Verdict::Good, |t| drop(t.claims.remove("nbf"))),
    ("another access token", Verdict::Invalid, |t| put(t, "at_hash", "AAAAAAAAAAAAAAAAAAAAAA")),
    ("a stranger's signature", Verdict::Invalid, |t| t.signature = Signature::Stranger),
    ("no signature", Verdict::Invalid, |t| t.signature = Signature::Absent),
    ("signed by nobody", Verdict::Invalid, |t| {
        t.header.insert("alg".into(), "none".into());
        t.signature = Signature::Absent;
    }),
    ("a MAC", Verdict::Invalid, |t| drop(t.header.insert("alg".into(), "HS256".into()))),
    ("an extension that must be understood", Verdict::Invalid, |t| {
        t.header.insert("crit".into(), json!(["x"]));
    }),
    ("a stranger who names another issuer", Verdict::Invalid, |t| {
        put(t, "iss", "https://login.example/v2.0");
        t.signature = Signature::Stranger;
    }),
];

#[tokio::test]
async fn each_lie_gets_its_verdict_at_sign_in() {
    for face in FACES {
        for (name, expected, lie) in LIES {
            let world = liar(face, lie).await;
            assert_eq!(verdict(world.sign_in().await.map(drop)), *expected, "{name} at {face:?}");
        }
    }
}

#[tokio::test]
async fn each_lie_gets_the_same_verdict_at_refresh() {
    for face in FACES {
        for (name, expected, lie) in LIES {
            let world = world(face).await;
            let token = world.refresh_token().await;
            *world.play.id_token.lock().unwrap() = Some(Box::new(|_, token| lie(token)));
            let refreshed = world.provider.refresh(&token, world.now()).await;
            assert_eq!(
                verdict(refreshed.and_then(|refreshed| refreshed.person).map(drop)),
                *expected,
                "{name} at {face:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_nonce_has_to_be_that_of_the_sign_in() {
    for face in FACES {
        for lie in [(|t| put(t, "nonce", "another")) as Told, |t| drop(t.claims.remove("nonce"))] {
            let world = liar(face, lie).await;
            assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::Invalid);
        }
    }
}

#[tokio::test]
async fn entra_vouches_for_objects_of_the_one_tenant() {
    const OTHER: &str = "7e7a0000-0000-4000-8000-00000000000b";
    let lies: [Told; 6] = [
        |t| put(t, "tid", OTHER),
        |t| drop(t.claims.remove("tid")),
        |t| drop(t.claims.remove("oid")),
        |t| put(t, "oid", ""),
        // Another tenant, consistently.
        |t| {
            let issuer = t.claims["iss"].as_str().unwrap().replace(TENANT, OTHER);
            put(t, "iss", issuer);
            put(t, "tid", OTHER);
        },
        // Version 1.
        |t| put(t, "iss", format!("https://sts.windows.net/{TENANT}/")),
    ];
    for lie in lies {
        let world = liar(Face::Entra, lie).await;
        assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::SomebodyElse);
    }
}

#[tokio::test]
async fn a_person_without_a_name_is_nobody() {
    for lie in [(|t| put(t, "sub", "")) as Told, |t| drop(t.claims.remove("sub"))] {
        let world = liar(Face::Oidc, lie).await;
        assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::Invalid);
    }
}

#[tokio::test]
async fn a_hash_of_the_access_token_has_to_be_of_the_one_beside_it() {
    // BASE64URL of the left half of the SHA-256 of the example token (OpenID Connect Core 1.0 A.3).
    const TOKEN: &str = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let world = liar(Face::Oidc, |token| put(token, "at_hash", "77QmUPtjPfzWtF2AnpK9RQ")).await;
    assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::Invalid);
    world.play.changes(|response| drop(response.insert("access_token".into(), TOKEN.into())));
    assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::Good);
}

#[tokio::test]
async fn an_answer_without_an_id_token_is_no_sign_in() {
    for face in FACES {
        let world = world(face).await;
        for id_token in [None, Some("a.b.c"), Some("")] {
            world.play.changes(move |response| {
                response.remove("id_token");
                response.extend(id_token.map(|token| ("id_token".to_owned(), token.into())));
            });
            assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::Invalid);
        }
    }
}

#[tokio::test]
async fn a_new_key_is_looked_for_once() {
    for face in FACES {
        let world = world(face).await;
        world.sign_in().await.unwrap();
        world.sign_in().await.unwrap();
        assert_eq!(world.count(Endpoint::Keys), 1);

        world.idp.roll_key();
        world.sign_in().await.unwrap();
        world.sign_in().await.unwrap();
        assert_eq!(world.count(Endpoint::Keys), 2);
    }
}

#[tokio::test]
async fn a_key_that_is_nowhere_costs_one_look_a_minute() {
    let unknown = |token: &mut IdToken| drop(token.header.insert("kid".into(), "nowhere".into()));
    let world = liar(Face::Entra, unknown).await;
    for _ in 0..3 {
        assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::Invalid);
        assert_eq!(world.count(Endpoint::Keys), 2);
    }
    world.clock.advance(60);
    assert_eq!(verdict(world.sign_in().await.map(drop)), Verdict::Invalid);
    assert_eq!(world.count(Endpoint::Keys), 3);
}

#[tokio::test]
async fn metadata_that_leads_elsewhere_is_not_followed() {
    let elsewhere = "http://idp.example/x";
    for face in FACES {
        let world = world(face).await;
        let (here, issuer) = match face {
            Face::Entra => (world.idp.authority(), world.idp.issuer_entra()),
            Face::Oidc => (world.idp.authority(), world.idp.issuer_oidc()),
        };
        let endpoint = format!("{here}/x");
        let good = json!({ "issuer": issuer, "authorization_endpoint": endpoint, "token_endpoint": endpoint, "jwks_uri": endpoint });
        for (member, value) in [
            ("issuer", "https://idp.example/"),
            ("issuer", here.as_str()),
            ("authorization_endpoint", elsewhere),
            ("token_endpoint", elsewhere),
            ("token_endpoint", "file:///etc/passwd"),
            ("jwks_uri", elsewhere),
            ("jwks_uri", "not a URL"),
        ] {
            let mut metadata = good.clone();
            metadata[member] = value.into();
            let reply = Reply::Http { status: 200, headers: vec![], body: metadata.to_string() };
            world.play.answers(Endpoint::Discovery, reply);
            let outcome = world.provider.sign_in_url(&request()).await;
            assert!(matches!(outcome, Err(UpstreamError::Away(_))), "{member} {value}: {outcome:?}");
        }
        let reply = Reply::Http { status: 200, headers: vec![], body: good.to_string() };
        world.play.answers(Endpoint::Discovery, reply);
        assert!(world.provider.sign_in_url(&request()).await.is_ok(), "the rest of it was good");
    }
}
