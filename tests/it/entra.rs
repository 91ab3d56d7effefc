//! What only Entra has: guests, several tenants, people in more groups than an ID token lists, consent of an
//! administrator.

use entrada::adapters::oidc::Tenants;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::GrantKind;
use entrada::demo::idp::Person;
use entrada::demo::idp::Reply;
use entrada::domain::allowed::Allowed;
use entrada::domain::event::EventName;
use entrada::domain::resource::Claim;
use entrada::domain::resource::Resource;
use serde_json::Value;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::TENANT;
use crate::support::entrada::resource;

const OTHER_TENANT: &str = "22222222-2222-4333-8444-555555555555";
const THIRD_TENANT: &str = "33333333-2222-4333-8444-555555555555";

/// The page at the end of a sign-in that comes to nothing.
async fn kept_out(entrada: &Entrada, client: &Client) -> Answer {
    let mut browser = Browser::default();
    let callback = browser.to_callback(entrada, &client.authorize(&[])).await;
    browser.open(entrada, callback.as_str()).await
}

fn last_reason(entrada: &Entrada) -> &'static str {
    entrada.events.reasons(EventName::RequestRefused).last().copied().unwrap()
}

/// What the identity provider says of the account's membership, from now on.
fn says(entrada: &Entrada, at: Option<GrantKind>, acct: Option<Value>) {
    entrada.script.lie(move |grant, token| {
        if at.is_some_and(|at| at != grant) {
            return;
        }
        match &acct {
            Some(acct) => drop(token.claims.insert("acct".to_owned(), acct.clone())),
            None => drop(token.claims.remove("acct")),
        }
    });
}

#[tokio::test]
async fn a_guest_reads_that_guests_are_kept_out_and_who_can_change_that() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    for (acct, reason, words) in [
        (Some(json!(1)), "guest_not_allowed", "upstream.guests"),
        (None, "guest_unknown", "optional claim acct"),
        (Some(json!("many")), "guest_not_allowed", "is a guest"),
    ] {
        says(&entrada, None, acct);
        let page = kept_out(&entrada, &client).await;
        assert_eq!(page.status, 403, "{}", page.body);
        assert!(page.body.contains(words), "{}", page.body);
        assert!(page.body.contains("error=access_denied"), "the way back tells the client");
        assert_eq!(last_reason(&entrada), reason);
        assert_eq!(entrada.events.count(EventName::SignInCompleted), 0);
    }
}

#[tokio::test]
async fn who_becomes_a_guest_is_out_at_the_next_refresh() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    says(&entrada, Some(GrantKind::Refresh), Some(json!(1)));
    let tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    entrada.advance(301);
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["guest_not_allowed"]);
    entrada.script.honest();
    assert_eq!(client.refresh(&entrada, &tokens.refresh).await.status, 400, "it stays ended");
}

/// Somebody took the optional claim out of the registration: nobody is let in by that, and nobody signed out.
#[tokio::test]
async fn while_nobody_says_who_is_a_guest_nothing_is_refreshed_and_nothing_spent() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    says(&entrada, Some(GrantKind::Refresh), None);
    entrada.advance(301);
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 0);
    entrada.script.honest();
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn guests_are_let_in_where_that_is_said() {
    let mut people = Person::three(TENANT);
    people[0].guest = true;
    let entrada = Entrada::with(Setup { guests: true, people, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn people_of_several_tenants_sign_in_and_of_no_other() {
    let of = |tenant: &str| Person::three(tenant).swap_remove(0);
    let people = vec![of(TENANT), of(OTHER_TENANT), of(THIRD_TENANT)];
    let tenants = Tenants::Several(vec![TENANT.to_owned(), OTHER_TENANT.to_owned()]);
    let entrada = Entrada::with(Setup { tenants, people, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    for (index, tenant) in [(0, TENANT), (1, OTHER_TENANT)] {
        entrada.script.person(index);
        let tokens = client.tokens(&entrada).await;
        assert_eq!(tokens.claims()["tid"], tenant);
        entrada.advance(301);
        Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    }
    entrada.script.person(2);
    let page = kept_out(&entrada, &client).await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert_eq!(last_reason(&entrada), "another_tenant");
}

fn group(n: usize) -> String {
    format!("0e0a9b1c-0000-4000-8000-{n:012x}")
}

/// Ada is in 300 groups, more than an ID token lists; the resource is for one of them.
async fn in_many_groups(change: impl FnOnce(&mut Resource)) -> (Entrada, Client) {
    let mut people = Person::three(TENANT);
    people[0].groups = (0..300).map(group).collect();
    let mut resource = resource(ISSUER, "/mcp", None);
    resource.allowed = Allowed { groups: vec![group(299)], ..Allowed::default() };
    change(&mut resource);
    let entrada = Entrada::with(Setup { people, resources: vec![resource], ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    (entrada, client)
}

fn asked(entrada: &Entrada) -> usize {
    entrada.idp.requests().iter().filter(|seen| seen.endpoint == Endpoint::MemberObjects).count()
}

/// Microsoft Graph answers so, from now on.
fn graph_says(entrada: &Entrada, reply: Reply) {
    entrada.script.answer_with(move |at, _| (at == Endpoint::MemberObjects).then(|| reply.clone()));
}

#[tokio::test]
async fn groups_that_the_token_has_no_room_for_are_asked_for_once_in_a_while() {
    let (entrada, client) = in_many_groups(|_| {}).await;
    entrada.idp.consent_to_graph();
    let tokens = client.tokens(&entrada).await;
    assert_eq!(tokens.claims().get("groups"), None, "nobody asked that they are told on");
    assert_eq!(asked(&entrada), 1);
    let other = Client::register_with(&entrada, json!({ "client_name": "Another" })).await;
    let theirs = other.tokens(&entrada).await;
    assert_eq!(asked(&entrada), 2, "a sign-in goes by nothing that was said before");
    entrada.advance(300);
    let tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(asked(&entrada), 3, "for as long as a refresh goes by what was said");
    Tokens::of(&other.refresh(&entrada, &theirs.refresh).await);
    assert_eq!(asked(&entrada), 3, "they are remembered, for the person");

    let members = json!({ "value": [group(1)] }).to_string();
    graph_says(&entrada, Reply::Http { status: 200, headers: vec![], body: members });
    entrada.advance(301);
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["group_missing"]);
}

#[tokio::test]
async fn groups_are_told_on_while_a_token_has_room_for_them_and_asked_for_only_where_they_count() {
    let told = |claims: &Value| claims["groups"].as_array().map(Vec::len);
    let (entrada, client) = in_many_groups(|resource| resource.claims = vec![Claim::Groups]).await;
    entrada.idp.consent_to_graph();
    let claims = client.tokens(&entrada).await.claims();
    assert_eq!(claims["groups"], json!([group(299)]), "there is room for those that are asked for");

    let (entrada, client) = in_many_groups(|resource| {
        resource.allowed = Allowed::default();
        resource.claims = vec![Claim::Groups];
    })
    .await;
    entrada.idp.consent_to_graph();
    assert_eq!(told(&client.tokens(&entrada).await.claims()), None, "unknown is not none");
    let few = json!({ "value": [group(1), group(2)] }).to_string();
    graph_says(&entrada, Reply::Http { status: 200, headers: vec![], body: few });
    entrada.advance(301);
    assert_eq!(told(&client.tokens(&entrada).await.claims()), Some(2));

    let (entrada, client) = in_many_groups(|resource| resource.allowed = Allowed::default()).await;
    client.tokens(&entrada).await;
    assert_eq!(asked(&entrada), 0);
}

#[tokio::test]
async fn without_the_permission_nobody_knows_the_groups_and_the_page_names_it() {
    let (entrada, client) = in_many_groups(|_| {}).await;
    let page = kept_out(&entrada, &client).await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(page.body.contains("User.Read"), "{}", page.body);
    let address = format!("href=\"{}/{TENANT}/adminconsent?client_id=", entrada.idp.authority());
    assert!(page.body.contains(&address), "{}", page.body);
    assert_eq!(last_reason(&entrada), "groups_unknown");
    let event = entrada.events.last(EventName::UpstreamRefused).unwrap();
    assert_eq!((event.call, event.upstream_code), (Some("groups"), Some(65_001)));
    entrada.idp.consent_to_graph();
    let tokens = client.tokens(&entrada).await;
    graph_says(&entrada, Reply::Http { status: 403, headers: vec![], body: "{}".to_owned() });
    entrada.advance(301);
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 0, "it is no verdict on the person");
    entrada.script.honest();
    let tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);

    // But if it stays so, whoever signs in anew reads it; and what the ID token says counts at once.
    graph_says(&entrada, Reply::Http { status: 403, headers: vec![], body: "{}".to_owned() });
    let page = kept_out(&entrada, &client).await;
    assert!(page.body.contains(&address), "Graph's own refusal: {}", page.body);
    entrada.advance(300 + 3_599);
    assert_eq!(client.refresh(&entrada, &tokens.refresh).await.status, 503);
    entrada.advance(1);
    assert_eq!(client.refresh(&entrada, &tokens.refresh).await.status, 400);
    assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["groups_unknown"]);
    assert!(entrada.events.all(EventName::UpstreamRefused).iter().all(|event| event.call == Some("groups")));
}

#[tokio::test]
async fn while_groups_are_not_told_what_the_id_token_says_counts() {
    let (entrada, client) = in_many_groups(|resource| {
        resource.allowed.roles = vec!["Tools.Admin".to_owned()];
    })
    .await;
    entrada.idp.consent_to_graph();
    let tokens = client.tokens(&entrada).await;
    graph_says(&entrada, Reply::down());
    entrada.script.lie(|_, token| {
        token.claims.remove("roles");
    });
    entrada.advance(301);
    assert_eq!(client.refresh(&entrada, &tokens.refresh).await.status, 400);
    assert_eq!(entrada.events.reasons(EventName::GrantRevoked), ["role_missing"]);
}

#[tokio::test]
async fn groups_that_were_learnt_for_another_client_are_as_old_as_they_are() {
    let (entrada, client) = in_many_groups(|_| {}).await;
    entrada.idp.consent_to_graph();
    let other = Client::register_with(&entrada, json!({ "client_name": "Another" })).await;
    let (ours, theirs) = (client.tokens(&entrada).await, other.tokens(&entrada).await);
    entrada.advance(300);
    Tokens::of(&client.refresh(&entrada, &ours.refresh).await);
    entrada.advance(299);
    let theirs = Tokens::of(&other.refresh(&entrada, &theirs.refresh).await);
    let members = json!({ "value": [group(1)] }).to_string();
    graph_says(&entrada, Reply::Http { status: 200, headers: vec![], body: members });
    entrada.advance(1);
    let answer = other.refresh(&entrada, &theirs.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
}

#[tokio::test]
async fn trouble_of_microsoft_graph_is_over_later_and_costs_nobody_a_session() {
    let (entrada, client) = in_many_groups(|_| {}).await;
    entrada.idp.consent_to_graph();
    graph_says(&entrada, Reply::throttled(30));
    let page = kept_out(&entrada, &client).await;
    assert_eq!(page.status, 503, "{}", page.body);
    assert_eq!(last_reason(&entrada), "upstream_away");
    assert_eq!(entrada.events.count(EventName::SignInCompleted), 0);
    entrada.script.honest();
    let tokens = client.tokens(&entrada).await;
    graph_says(&entrada, Reply::down());
    entrada.advance(301);
    let answer = client.refresh(&entrada, &tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(entrada.events.count(EventName::GrantRevoked), 0);
    entrada.script.honest();
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}

#[tokio::test]
async fn whoever_lacks_an_administrators_consent_gets_the_address_where_it_is_given() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let address = format!(
        "{}/{TENANT}/adminconsent?client_id=99999999-8888-4777-8666-555555555555",
        entrada.idp.authority()
    );
    for (number, shown) in [(65_001, true), (90_094, true), (50_105, false), (53_003, false)] {
        let error = ("access_denied".to_owned(), "Refused.".to_owned());
        let reply = Reply::Redirect { error: error.0, aadsts: number, description: error.1 };
        entrada.script.answer_with(move |at, _| (at == Endpoint::Authorize).then(|| reply.clone()));
        let page = kept_out(&entrada, &client).await;
        assert_eq!(page.body.contains(&format!("href=\"{address}\"")), shown, "{number}: {}", page.body);
        assert!(page.body.contains("99999999-8888-4777-8666-555555555555"), "the application is named");
    }
    // In another browser, which began nothing.
    let answer = entrada.get(&format!("/auth/callback?admin_consent=True&tenant={TENANT}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("start again"), "{}", answer.body);
    let refused = entrada.events.reasons(EventName::RequestRefused);
    assert_eq!(refused.last(), Some(&"upstream_denied"), "it is no refusal");
}
