//! A session belongs to its user.

use crate::gateway::stand::Stand;
use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;

const ID: &str = "upstream-session-1";

/// The session that the upstream begins with its next answer, as the client learns of it.
async fn begun(stand: &Stand) -> String {
    stand.upstream.answers(200, &[("mcp-session-id", ID)]);
    let answer = stand.call().await;
    stand.upstream.arrived();
    answer.header("mcp-session-id").to_owned()
}

/// Another character amid those of `sealed`, which is what it was for no value of it.
fn altered(sealed: &str) -> String {
    let (before, after) = sealed.split_at(sealed.len() / 2);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{other}{}", &after[1..])
}

fn arrived_as(stand: &Stand) -> Option<String> {
    let arrived = stand.upstream.arrived().remove(0);
    arrived.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_client_sees_a_sealed_id_and_the_server_its_own() {
    let stand = Stand::new().await;
    let sealed = begun(&stand).await;
    assert!(!sealed.is_empty() && !sealed.contains(ID), "{sealed}");
    assert!(sealed.bytes().all(|byte| byte.is_ascii_graphic()));
    let answer = stand.call_with(&stand.tokens.access, "/mcp", &[("mcp-session-id", &sealed)]).await;
    assert_eq!(answer.header("mcp-session-id"), sealed, "what is repeated is the same");
    assert_eq!(arrived_as(&stand).as_deref(), Some(ID));
    assert_eq!(begun(&stand).await, sealed, "by another way too");
    assert_eq!(stand.call().await.status, 200);
    assert_eq!(arrived_as(&stand), None, "none is put where none was sent");
}

#[tokio::test]
async fn nobody_else_has_it_and_no_other_client_and_the_owner_keeps_it() {
    let stand = Stand::new().await;
    let sealed = begun(&stand).await;
    stand.entrada.script.person(1);
    let ben = stand.client.tokens(&stand.entrada).await;
    stand.entrada.script.person(0);
    let other = Client::register_with(&stand.entrada, serde_json::json!({ "client_name": "Another" })).await;
    let by_another = other.tokens(&stand.entrada).await;
    let altered = altered(&sealed);
    for (token, session) in [
        (&ben.access, sealed.as_str()),
        (&by_another.access, &sealed),
        (&stand.tokens.access, &altered),
        (&stand.tokens.access, ID),
        (&stand.tokens.access, ""),
    ] {
        let answer = stand.call_with(token, "/mcp", &[("mcp-session-id", session)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (404, ""), "{session}");
    }
    assert!(stand.upstream.arrived().is_empty(), "no session of another's reached the server");
    let anew = stand.client.tokens(&stand.entrada).await;
    let answer = stand.call_with(&anew.access, "/mcp", &[("mcp-session-id", &sealed)]).await;
    assert_eq!(answer.status, 200, "a new sign-in of the same person with the same client goes on");
    assert_eq!(arrived_as(&stand).as_deref(), Some(ID));
}

#[tokio::test]
async fn two_of_them_and_other_spellings_never_travel() {
    let stand = Stand::new().await;
    let sealed = begun(&stand).await;
    let two = [("mcp-session-id", sealed.as_str()), ("mcp-session-id", &sealed)];
    assert_eq!(stand.call_with(&stand.tokens.access, "/mcp", &two).await.status, 400);
    assert!(stand.upstream.arrived().is_empty());
    let spelled = [("mcp_session_id", ID), ("mcp-session_id", ID), ("mcp_name", "x")];
    assert_eq!(stand.call_with(&stand.tokens.access, "/mcp", &spelled).await.status, 200);
    let arrived = stand.upstream.arrived().remove(0);
    for (name, _) in spelled {
        assert!(!arrived.headers.contains_key(name), "{name} travelled");
    }
}

/// Two doors to one server, and two deployments before it: what one sealed is nothing at the other.
#[tokio::test]
async fn a_session_is_of_its_resource_and_of_its_deployment() {
    let Stand { entrada, upstream, course, client, tokens } = Stand::new().await;
    let both = ["/mcp", "/other"].map(|path| resource(ISSUER, path, Some(upstream.url.clone())));
    let entrada = entrada.again(Setup { resources: both.to_vec(), ..Setup::default() }).await;
    let stand = Stand { entrada, upstream, course, client, tokens };
    let sealed = begun(&stand).await;
    let there = format!("{ISSUER}/other");
    let asked = stand.client.authorize(&[("resource", &there)]);
    let code = code_of(&Browser::default().sign_in(&stand.entrada, &asked).await);
    let other = Tokens::of(&stand.client.redeem(&stand.entrada, &code).await);
    let session = [("mcp-session-id", sealed.as_str())];
    assert_eq!(stand.call_with(&other.access, "/other", &session).await.status, 404);
    assert_eq!(stand.call_with(&other.access, "/other", &[]).await.status, 200);
    stand.upstream.arrived();
    let elsewhere = Stand::new().await;
    assert_eq!(elsewhere.call_with(&elsewhere.tokens.access, "/mcp", &session).await.status, 404);
    assert!(elsewhere.upstream.arrived().is_empty());
}
