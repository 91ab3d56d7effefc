//! Who may use a resource: at sign-in, at refresh, at the gateway.

use axum::body::Body;
use axum::http::Request;
use entrada::adapters::oidc::Tenants;
use entrada::demo::idp::Person;
use entrada::domain::allowed::Allowed;
use entrada::domain::event::EventName;
use entrada::domain::resource::Claim;
use entrada::domain::resource::Resource;
use serde_json::json;

use crate::gateway::stand::Stand;
use crate::support::browser::Browser;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::TENANT;
use crate::support::entrada::resource;

const OTHER_TENANT: &str = "22222222-2222-4333-8444-555555555555";
const GROUP: &str = "0e0a9b1c-0000-4000-8000-0000000000a1";

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|&entry| entry.to_owned()).collect()
}

pub fn groups() -> Allowed {
    Allowed { groups: list(&[GROUP]), ..Allowed::default() }
}

#[tokio::test]
async fn who_lacks_something_reads_what_at_sign_in_and_the_client_is_told() {
    for (allowed, reason, words) in [
        (groups(), "group_missing", "none of the groups"),
        (Allowed { roles: list(&["Tools.Admin"]), ..Allowed::default() }, "role_missing", "app roles"),
        (Allowed { users: list(&["somebody"]), ..Allowed::default() }, "user_not_allowed", "named people"),
        (Allowed { tenants: list(&["elsewhere"]), ..Allowed::default() }, "tenant_not_allowed", "tenant"),
    ] {
        let stand =
            Stand::with(|resource| resource.allowed = Allowed { users: Vec::new(), ..Allowed::default() })
                .await;
        let resources = vec![Resource { allowed, ..resource(ISSUER, "/mcp", None) }];
        let entrada = stand.entrada.again(Setup { resources, ..Setup::default() }).await;
        entrada.script.person(1);
        let mut browser = Browser::default();
        let callback = browser.to_callback(&entrada, &stand.client.authorize(&[])).await;
        let page = browser.open(&entrada, callback.as_str()).await;
        assert!(page.body.contains(words), "{reason}: {}", page.body);
        assert!(page.body.contains("error=access_denied"), "the way back tells the client");
        let reasons = entrada.events.reasons(EventName::RequestRefused);
        assert_eq!(reasons.last(), Some(&reason));
        assert_eq!(entrada.events.count(EventName::SignInCompleted), 1, "only the one of the beginning");
    }
}

#[tokio::test]
async fn groups_that_the_token_has_no_room_for_are_refused_in_words() {
    let stand = Stand::with(|resource| resource.allowed = groups()).await;
    stand.entrada.script.lie(|_, token| {
        token.claims.remove("groups");
        token.claims.insert("_claim_names".to_owned(), json!({ "groups": "src1" }));
    });
    let mut browser = Browser::default();
    let callback = browser.to_callback(&stand.entrada, &stand.client.authorize(&[])).await;
    let page = browser.open(&stand.entrada, callback.as_str()).await;
    assert!(page.body.contains("more groups than a sign-in lists"), "{}", page.body);
    assert_eq!(stand.entrada.events.reasons(EventName::RequestRefused).last(), Some(&"groups_unknown"));
}

#[tokio::test]
async fn a_client_that_may_not_be_used_is_refused_before_anybody_signs_in() {
    let only = Allowed { clients: list(&["claude.ai"]), ..Allowed::default() };
    let stand = Stand::with(|_| {}).await;
    let resources = vec![Resource { allowed: only, ..resource(ISSUER, "/mcp", None) }];
    let entrada = stand.entrada.again(Setup { resources, ..Setup::default() }).await;
    let answer = Browser::default().open(&entrada, &stand.client.authorize(&[])).await;
    let location = answer.location().to_string();
    assert!(location.contains("error=access_denied"), "{location}");
    assert_eq!(entrada.events.reasons(EventName::RequestRefused).last(), Some(&"client_not_allowed"));
}

/// The list was made shorter while somebody was in.
#[tokio::test]
async fn the_gateway_says_what_is_missing_to_the_client_and_to_the_audit_trail() {
    let stand = Stand::new().await;
    assert_eq!(stand.call().await.status, 200);
    let token = stand.tokens.access.clone();
    let allowed = Allowed { roles: list(&["Nobody.Has"]), ..Allowed::default() };
    let upstream = Some(stand.upstream.url.clone());
    let resources = vec![Resource { allowed, ..resource(ISSUER, "/mcp", upstream) }];
    let Stand { entrada, upstream, course, client, tokens } = stand;
    let entrada = entrada.again(Setup { resources, ..Setup::default() }).await;
    let stand = Stand { entrada, upstream, course, client, tokens };
    stand.upstream.arrived();
    let answer = stand.call_with(&token, "/mcp", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (403, "access_denied"));
    assert!(answer.body.contains("none of the app roles"), "{}", answer.body);
    assert_eq!(answer.header("www-authenticate"), "", "no scope would help");
    assert!(stand.upstream.arrived().is_empty());
    let event = stand.entrada.events.last(EventName::RequestRefused).unwrap();
    assert_eq!((event.reason, event.status), (Some("role_missing"), Some(403)));
    assert!(event.client.is_some() && event.subject.is_some());
}

/// The setting was changed while somebody was in.
#[tokio::test]
async fn who_may_sign_in_at_all_is_asked_at_the_gateway_and_at_refreshes_too() {
    for (guest, elsewhere, reason) in
        [(true, false, "guest_not_allowed"), (false, true, "tenant_not_allowed")]
    {
        let people = || {
            let mut people = Person::three(TENANT);
            people[0].guest = guest;
            people
        };
        let setup = || Setup { guests: true, people: people(), ..Setup::default() };
        let stand = Stand::in_setup(setup(), |_| {}).await;
        assert_eq!(stand.call().await.status, 200);
        let tenants = if elsewhere { Tenants::One(OTHER_TENANT.to_owned()) } else { setup().tenants };
        let resources = vec![resource(ISSUER, "/mcp", Some(stand.upstream.url.clone()))];
        let Stand { entrada, upstream, course, client, tokens } = stand;
        let entrada = entrada.again(Setup { tenants, guests: false, resources, ..Setup::default() }).await;
        let stand = Stand { entrada, upstream, course, client, tokens };
        let answer = stand.call().await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (403, "access_denied"));
        assert_eq!(stand.entrada.events.last(EventName::RequestRefused).unwrap().reason, Some(reason));
        let answer = stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
        assert_eq!(stand.entrada.events.reasons(EventName::GrantRevoked), [reason]);
    }
}

#[tokio::test]
async fn who_has_left_a_group_is_out_at_the_next_refresh_and_within_30_seconds_everywhere() {
    let stand = Stand::with(|resource| resource.allowed = groups()).await;
    let other = stand.entrada.replica().await;
    let there = || {
        let token = format!("Bearer {}", stand.tokens.access);
        let request = Request::post("/mcp").header("authorization", token);
        stand.entrada.send_to(&other, request.body(Body::empty()).unwrap())
    };
    assert_eq!(there().await.status, 200);
    stand.entrada.script.lie(|_, token| {
        token.claims.remove("groups");
    });
    stand.entrada.advance(301);
    assert_eq!(there().await.status, 200, "nobody has heard of it yet");
    let answer = stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_grant"));
    assert!(answer.body.contains("none of the groups"), "{}", answer.body);
    assert_eq!(stand.entrada.events.reasons(EventName::GrantRevoked), ["group_missing"]);
    assert_eq!(stand.call().await.status, 401, "at once here");
    stand.entrada.advance(30);
    assert_eq!(there().await.status, 401);
}

#[tokio::test]
async fn what_the_server_is_told_of_a_person_is_what_the_provider_said_last() {
    let stand = Stand::with(|resource| resource.claims = vec![Claim::Roles, Claim::Groups]).await;
    let told = || {
        super::claims(
            stand.upstream.arrived().remove(0).headers["authorization"]
                .to_str()
                .unwrap()
                .split(' ')
                .nth(1)
                .unwrap(),
        )
    };
    stand.call().await;
    assert_eq!(told()["groups"], json!([GROUP]));
    stand.entrada.script.lie(|_, token| {
        token.claims.insert("groups".to_owned(), json!([]));
        token.claims.insert("roles".to_owned(), json!(["Tools.Read"]));
    });
    stand.entrada.advance(301);
    assert_eq!(stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await.status, 200);
    stand.call().await;
    let now = told();
    assert_eq!(
        (&now["groups"], &now["roles"]),
        (&json!([]), &json!(["Tools.Read"])),
        "with the old token too"
    );
}
