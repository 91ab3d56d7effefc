//! Groups that an ID token has no room for, from Microsoft Graph.

use super::*;

/// Ada, in so many groups.
fn people(groups: usize) -> Vec<DevPerson> {
    let mut people = DevPerson::three(TENANT);
    people[0].groups = (0..groups).map(|n| format!("0e0a9b1c-0000-4000-8000-{n:012x}")).collect();
    people
}

async fn in_groups(groups: usize) -> World {
    let settings = |idp: &DevIdp, _: &Arc<TestClock>| settings(Kind::Entra(entra(idp)), SECRET);
    world_of(Play::default(), people(groups), settings).await
}

#[tokio::test]
async fn two_hundred_groups_are_in_the_token_and_more_are_asked_for() {
    let world = in_groups(200).await;
    assert_eq!(world.sign_in().await.unwrap().person.groups.unwrap().len(), 200);

    let world = in_groups(201).await;
    world.idp.consent_to_graph();
    let signed_in = world.sign_in().await.unwrap();
    assert_eq!(signed_in.person.groups, None);
    let token = signed_in.refresh_token.unwrap();
    let groups = world.provider.groups(&token).await.unwrap();
    assert_eq!(groups, people(201)[0].groups);

    let requests = world.seen(Endpoint::Token);
    let root = world.idp.authority();
    let scope = format!("{root}/User.Read");
    assert_eq!(requests.last().unwrap().param("scope"), Some(scope.as_str()), "of one resource");
    let asked = world.seen(Endpoint::MemberObjects);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].header("authorization").unwrap().starts_with("Bearer "));
    assert!(world.provider.refresh(&token, world.now()).await.is_ok(), "the session goes on");
}

#[tokio::test]
async fn without_consent_they_are_not_to_be_learnt() {
    let world = in_groups(201).await;
    let token = world.refresh_token().await;
    let Err(UpstreamError::Refused(reason)) = world.provider.groups(&token).await else {
        panic!("nobody has consented")
    };
    assert_eq!(reason.code, Some(65_001));
    assert!(reason.what.contains("Microsoft Graph"));
    assert_eq!(world.count(Endpoint::MemberObjects), 0);
}

#[tokio::test]
async fn trouble_of_microsoft_graph_is_told_from_a_refusal() {
    let world = in_groups(201).await;
    world.idp.consent_to_graph();
    let token = world.refresh_token().await;
    let status = |status| Reply::Http { status, headers: vec![], body: "{}".into() };
    for (reply, away) in [
        (Reply::down(), true),
        (Reply::throttled(60), true),
        (Reply::garbage(), true),
        (status(200), true),
        (status(302), true),
        (status(401), false),
        (status(403), false),
        (status(400), false),
    ] {
        world.play.answers(Endpoint::MemberObjects, reply.clone());
        let outcome = world.provider.groups(&token).await;
        match away {
            true => assert!(matches!(outcome, Err(UpstreamError::Away(_))), "{reply:?}: {outcome:?}"),
            false => assert!(matches!(outcome, Err(UpstreamError::Refused(_))), "{reply:?}: {outcome:?}"),
        }
    }
    world.play.answers(Endpoint::Token, Reply::down());
    assert!(matches!(world.provider.groups(&token).await, Err(UpstreamError::Away(_))));
    world.play.is_honest_again();
    assert!(world.provider.groups(&token).await.is_ok());
}

#[tokio::test]
async fn another_provider_has_no_microsoft_graph() {
    let world = world(Face::Oidc).await;
    let token = world.refresh_token().await;
    assert!(matches!(world.provider.groups(&token).await, Err(UpstreamError::Refused(_))));
    assert_eq!(world.count(Endpoint::Token), 1);
}
