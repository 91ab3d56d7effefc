//! Honest providers of both kinds: what is asked, and what is made of the answer.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::domain::person::Person;
use crate::domain::person::Subject;

const SCOPE: &str = "openid profile offline_access email";

#[tokio::test]
async fn a_code_becomes_a_person_at_entra() {
    let world = world(Face::Entra).await;
    let signed_in = world.sign_in().await.unwrap();
    let ada = Person {
        subject: Subject::Entra { tid: TENANT.into(), oid: "0a1c0de0-0000-4000-8000-000000000001".into() },
        name: Some("Ada Park".into()),
        preferred_username: Some("ada@contoso.example".into()),
        roles: vec!["Tools.Admin".into(), "Tools.Read".into()],
        groups: Some(vec!["0e0a9b1c-0000-4000-8000-0000000000a1".into()]),
        guest: Some(false),
        auth_time: Some(Timestamp(START)),
    };
    assert_eq!(signed_in.person, ada);
    assert!(signed_in.refresh_token.is_some());
}

#[tokio::test]
async fn a_code_becomes_a_person_anywhere_else() {
    let world = world(Face::Oidc).await;
    let signed_in = world.sign_in().await.unwrap();
    assert!(matches!(&signed_in.person.subject, Subject::Oidc { sub } if !sub.is_empty()));
    assert_eq!(signed_in.person.name.as_deref(), Some("Ada Park"));
    assert!(signed_in.refresh_token.is_some());
}

#[tokio::test]
async fn nothing_is_asked_before_somebody_signs_in() {
    let world = world(Face::Entra).await;
    assert!(world.idp.requests().is_empty());
    world.provider.sign_in_url(&request()).await.unwrap();
    assert_eq!(world.idp.requests().len(), 1, "the metadata alone");
}

#[tokio::test]
async fn the_browser_is_sent_with_these_parameters_and_no_others() {
    for face in FACES {
        let world = world(face).await;
        let url = world.provider.sign_in_url(&request()).await.unwrap();
        let sent: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        let mut expected = BTreeMap::from(
            [
                ("response_type", "code"),
                ("client_id", CLIENT),
                ("redirect_uri", REDIRECT),
                ("scope", SCOPE),
                ("state", "the state"),
                ("nonce", NONCE),
                ("code_challenge", &CodeChallenge::of(VERIFIER).encode()),
                ("code_challenge_method", "S256"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if face == Face::Entra {
            expected.insert("response_mode".into(), "query".into());
        }
        assert_eq!(sent, expected);
        assert_eq!(url.query_pairs().count(), expected.len(), "none twice");

        let asking = SignInRequest {
            login_hint: Some("ada+1@contoso.example".into()),
            reauthenticate: true,
            max_age: Some(0),
            ..request()
        };
        let url = world.provider.sign_in_url(&asking).await.unwrap();
        for (name, value) in [("login_hint", "ada+1@contoso.example"), ("prompt", "login"), ("max_age", "0")]
        {
            assert!(url.query_pairs().any(|pair| pair == (name.into(), value.into())), "{name} in {url}");
        }
    }
}

#[tokio::test]
async fn every_token_request_has_a_scope_and_none_a_resource() {
    for face in FACES {
        let world = world(face).await;
        let token = world.refresh_token().await;
        world.provider.refresh(&token, world.now()).await.unwrap();
        let requests = world.seen(Endpoint::Token);
        assert_eq!(requests.len(), 2);
        for request in requests {
            assert_eq!(request.param("scope"), Some(SCOPE), "{request:?}");
            let by_post =
                request.param("client_secret") == Some(SECRET) && request.header("authorization").is_none();
            let by_basic =
                request.param("client_secret").is_none() && request.header("authorization").is_some();
            assert!(if face == Face::Entra { by_post } else { by_basic }, "{request:?}");
            assert_eq!(request.header("user-agent"), Some(concat!("entrada/", env!("CARGO_PKG_VERSION"))));
        }
        assert!(world.idp.requests().iter().all(|request| request.param("resource").is_none()));
    }
}

#[tokio::test]
async fn a_refresh_vouches_again_and_passes_the_new_token_on() {
    for face in FACES {
        let world = world(face).await;
        let first = world.sign_in().await.unwrap();
        let token = first.refresh_token.unwrap();
        world.clock.advance(3600);
        let refreshed = world.provider.refresh(&token, world.now()).await.unwrap();
        assert_eq!(refreshed.person, Ok(Some(first.person)));
        let next = refreshed.refresh_token.unwrap();
        assert_ne!(next.expose_secret(), token.expose_secret());
        assert!(world.provider.refresh(&next, world.now()).await.is_ok());
    }
}

#[tokio::test]
async fn a_refresh_without_an_id_token_is_enough_only_where_that_is_usual() {
    for face in FACES {
        let world = world(face).await;
        let token = world.refresh_token().await;
        world.play.changes(|response| {
            response.remove("id_token");
            response.remove("refresh_token");
        });
        let refreshed = world.provider.refresh(&token, world.now()).await.unwrap();
        assert!(refreshed.refresh_token.is_none());
        match face {
            Face::Entra => {
                assert!(matches!(refreshed.person, Err(UpstreamError::Invalid(_))), "{refreshed:?}");
            }
            Face::Oidc => assert_eq!(refreshed.person, Ok(None)),
        }
    }
}

#[tokio::test]
async fn a_nonce_in_a_refreshed_id_token_is_of_no_interest() {
    for face in FACES {
        let world = world(face).await;
        let token = world.refresh_token().await;
        *world.play.id_token.lock().unwrap() = Some(Box::new(|_, token| {
            token.claims.insert("nonce".into(), "an older one".into());
        }));
        assert!(world.provider.refresh(&token, world.now()).await.unwrap().person.unwrap().is_some());
    }
}

#[tokio::test]
async fn ids_are_kept_in_lower_case() {
    let world = liar(Face::Entra, |token| {
        for name in ["tid", "oid"] {
            let upper = token.claims[name].as_str().unwrap().to_uppercase();
            token.claims.insert(name.into(), upper.into());
        }
    })
    .await;
    let subject = world.sign_in().await.unwrap().person.subject;
    assert_eq!(subject.sub(), format!("{TENANT}:0a1c0de0-0000-4000-8000-000000000001"));
}

#[tokio::test]
async fn metadata_may_have_a_template_for_an_issuer() {
    let world = world(Face::Entra).await;
    let metadata = json!({
        "issuer": format!("{}/{{tenantid}}/v2.0", world.idp.authority()),
        "authorization_endpoint": format!("{}/{TENANT}/oauth2/v2.0/authorize", world.idp.authority()),
        "token_endpoint": format!("{}/{TENANT}/oauth2/v2.0/token", world.idp.authority()),
        "jwks_uri": format!("{}/{TENANT}/discovery/v2.0/keys", world.idp.authority()),
    });
    world.play.answers(
        Endpoint::Discovery,
        Reply::Http { status: 200, headers: vec![], body: metadata.to_string() },
    );
    assert!(world.sign_in().await.is_ok());
}

#[tokio::test]
async fn roles_and_groups_may_be_missing_or_too_many() {
    let world = liar(Face::Entra, |token| {
        token.claims.remove("roles");
        token.claims.remove("groups");
        token.claims.insert("_claim_names".into(), json!({ "groups": "src1" }));
        token
            .claims
            .insert("_claim_sources".into(), json!({ "src1": { "endpoint": "https://graph.example" } }));
    })
    .await;
    let person = world.sign_in().await.unwrap().person;
    assert!(person.roles.is_empty() && person.groups.is_none());
}
