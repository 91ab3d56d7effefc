//! Several tenants, and guests.

use serde_json::json;

use super::*;
use crate::domain::person::Subject;

const OTHER: &str = "7e7a0000-0000-4000-8000-00000000000b";
const THIRD: &str = "7e7a0000-0000-4000-8000-00000000000c";

async fn several(play: Play, of: &str) -> World {
    let tenants = Tenants::Several(vec![TENANT.to_uppercase(), OTHER.into()]);
    world_of(play, DevPerson::three(of), |idp, _| {
        settings(Kind::Entra(Entra { tenants, ..entra(idp) }), SECRET)
    })
    .await
}

fn put(token: &mut IdToken, name: &str, value: impl Into<Value>) {
    token.claims.insert(name.to_owned(), value.into());
}

#[tokio::test]
async fn people_of_each_tenant_that_is_listed_sign_in_by_organizations() {
    for of in [TENANT, OTHER] {
        let world = several(Play::default(), of).await;
        let url = world.provider.sign_in_url(&request()).await.unwrap();
        assert_eq!(url.path(), "/organizations/oauth2/v2.0/authorize");
        let signed_in = world.sign_in().await.unwrap();
        assert!(matches!(&signed_in.person.subject, Subject::Entra { tid, .. } if tid == of));
        let refreshed = world.provider.refresh(&signed_in.refresh_token.unwrap(), world.now()).await.unwrap();
        assert_eq!(refreshed.person, Ok(Some(signed_in.person)));
    }
    let world = several(Play::default(), THIRD).await;
    let outcome = world.sign_in().await;
    assert!(matches!(outcome, Err(UpstreamError::SomebodyElse(_))), "{outcome:?}");
}

#[tokio::test]
async fn issuer_and_tenant_of_a_token_have_to_be_of_one_tenant() {
    let lies: [fn(&mut IdToken); 6] = [
        |t| put(t, "tid", OTHER),
        |t| put(t, "iss", t.claims["iss"].as_str().unwrap().replace(TENANT, OTHER)),
        |t| put(t, "iss", t.claims["iss"].as_str().unwrap().replace(TENANT, "{tenantid}")),
        |t| put(t, "tid", "{tenantid}"),
        |t| drop(t.claims.remove("tid")),
        |t| put(t, "iss", t.claims["iss"].as_str().unwrap().replace(TENANT, &TENANT.to_uppercase())),
    ];
    for lie in lies {
        let world = several(Play::lies(lie), TENANT).await;
        let outcome = world.sign_in().await;
        assert!(matches!(outcome, Err(UpstreamError::SomebodyElse(_))), "{outcome:?}");
    }
    // Consistently of another tenant that is listed: who signs there vouches for it.
    let world = several(
        Play::lies(|t| {
            put(t, "iss", t.claims["iss"].as_str().unwrap().replace(TENANT, OTHER));
            put(t, "tid", OTHER);
        }),
        TENANT,
    )
    .await;
    world.sign_in().await.unwrap();
}

#[tokio::test]
async fn a_key_signs_for_the_issuer_that_it_names() {
    let world = several(Play::default(), TENANT).await;
    let keys = format!("{}/organizations/discovery/v2.0/keys", world.idp.authority());
    let published: Value = reqwest::get(keys).await.unwrap().json().await.unwrap();
    let of = |tenant: &str| format!("{}/{tenant}/v2.0", world.idp.authority());
    for (issuer, good) in [
        (Some(of("{tenantid}")), true),
        (Some(of(TENANT)), true),
        (None, true),
        (Some(of(OTHER)), false),
        (Some(of("9188040d-6c67-4c5b-b112-36a304b66dad")), false),
        (Some("https://login.example/{tenantid}/v2.0".to_owned()), false),
    ] {
        let mut keys = published.clone();
        keys["keys"][0].as_object_mut().unwrap().remove("issuer");
        if let Some(issuer) = &issuer {
            keys["keys"][0]["issuer"] = json!(issuer);
        }
        let reply = Reply::Http { status: 200, headers: vec![], body: keys.to_string() };
        world.play.answers(Endpoint::Keys, reply);
        world.clock.advance(24 * 60 * 60);
        let outcome = world.sign_in().await;
        match good {
            true => drop(outcome.unwrap()),
            false => assert!(matches!(outcome, Err(UpstreamError::Invalid(_))), "{issuer:?}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn metadata_of_one_tenant_are_not_those_of_all() {
    let world = several(Play::default(), TENANT).await;
    let address = format!("{}/organizations/v2.0/.well-known/openid-configuration", world.idp.authority());
    let mut metadata: Value = reqwest::get(address).await.unwrap().json().await.unwrap();
    metadata["issuer"] = world.idp.issuer_entra().into();
    let reply = Reply::Http { status: 200, headers: vec![], body: metadata.to_string() };
    world.play.answers(Endpoint::Discovery, reply);
    assert!(matches!(world.provider.sign_in_url(&request()).await, Err(UpstreamError::Away(_))));
}

#[tokio::test]
async fn guests_are_let_in_only_where_that_is_said() {
    for (acct, expected) in [(Some(json!(0)), "member"), (Some(json!(1)), "guest"), (None, "unknown")] {
        let said = acct.clone();
        let lie = move |token: &mut IdToken| match &said {
            Some(acct) => put(token, "acct", acct.clone()),
            None => drop(token.claims.remove("acct")),
        };
        let world = world(Face::Entra).await;
        let token = world.refresh_token().await;
        *world.play.id_token.lock().unwrap() = Some(Box::new(move |_, token| lie(token)));
        let refreshed = world.provider.refresh(&token, world.now()).await.unwrap();
        for person in [world.sign_in().await.map(|signed_in| Some(signed_in.person)), refreshed.person] {
            let found = match person {
                Ok(_) => "member",
                Err(UpstreamError::Guest(_)) => "guest",
                Err(UpstreamError::GuestUnknown(_)) => "unknown",
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{acct:?}");
        }
    }
    for acct in [Some(json!(1)), None] {
        let lie = move |token: &mut IdToken| match &acct {
            Some(acct) => put(token, "acct", acct.clone()),
            None => drop(token.claims.remove("acct")),
        };
        let world = world_of(Play::lies(lie), DevPerson::three(TENANT), |idp, _| {
            settings(Kind::Entra(Entra { guests: true, ..entra(idp) }), SECRET)
        })
        .await;
        world.sign_in().await.unwrap();
    }
}
