//! What an operator or a client takes away is gone from what was granted before, too.

use entrada::domain::client::ConfiguredClient;
use entrada::domain::policy::Registration;
use entrada::protocol::redirect_uri::RedirectUri;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::page::Page;
use crate::support::published::ID;
use crate::support::published::client;
use crate::support::published::page;
use crate::support::published::start;

/// A resource with these of its scopes.
fn with_scopes(scopes: &[&str]) -> Setup {
    let mut resource = resource(ISSUER, "/mcp", None);
    resource.scopes =
        scopes.iter().map(|scope| ((*scope).to_owned(), "What it permits".to_owned())).collect();
    resource.default_scopes = scopes.iter().copied().collect();
    Setup { resources: vec![resource], ..Setup::default() }
}

#[tokio::test]
async fn a_scope_that_the_resource_has_no_more_is_in_no_new_token() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    let code = client.code(&entrada).await;
    let entrada = entrada.again(with_scopes(&["mcp.read"])).await;
    assert_eq!(Tokens::of(&client.redeem(&entrada, &code).await).scope, "mcp.read");
    let refreshed = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(refreshed.scope, "mcp.read");
    let entrada = entrada.again(with_scopes(&["other"])).await;
    let refused = client.refresh(&entrada, &refreshed.refresh).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_grant"));
}

fn configured(uris: &[&str]) -> Setup {
    let agent = ConfiguredClient {
        id: "agent".to_owned(),
        name: "Agent".to_owned(),
        redirect_uris: uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
        scopes: ["mcp.read"].into_iter().collect(),
        secret_sha256: None,
        jwks: None,
    };
    Setup { clients: vec![agent], ..Setup::default() }
}

#[tokio::test]
async fn a_redirect_uri_that_was_taken_away_ends_what_was_granted_there() {
    let (old, new) = ("https://old.example.com/cb", "https://new.example.com/cb");
    let entrada = Entrada::with(configured(&[old, new])).await;
    let agent = Client { id: "agent".to_owned(), secret: None, redirect_uri: old.to_owned() };
    let tokens = agent.tokens(&entrada).await;
    let code = agent.code(&entrada).await;
    let entrada = entrada.again(configured(&[new])).await;
    for refused in [agent.redeem(&entrada, &code).await, agent.refresh(&entrada, &tokens.refresh).await] {
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, "invalid_grant"));
        assert!(refused.body.contains("not the client's any more"), "{}", refused.body);
    }

    let (entrada, web) = start().await;
    let tokens = client(ID).tokens(&entrada).await;
    web.serve(ID, page(ID, &json!({ "redirect_uris": ["https://vscode.dev/redirect"] })));
    entrada.advance(300);
    assert_eq!(client(ID).refresh(&entrada, &tokens.refresh).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_public_client_may_always_end_what_it_has() {
    let entrada = Entrada::start().await;
    let registered = Client::register(&entrada).await;
    let tokens = registered.tokens(&entrada).await;
    let registration = Registration { enabled: false, ..Registration::default() };
    let entrada = entrada.again(Setup { registration, ..Setup::default() }).await;
    let form = [("token", tokens.refresh.as_str()), ("client_id", "edc_another")];
    assert_eq!(entrada.post_form("/revoke", &form).await.error(), "invalid_client");
    let form = [("token", tokens.refresh.as_str()), ("client_id", &registered.id)];
    assert_eq!(entrada.post_form("/revoke", &form).await.status, 200);
    let entrada = entrada.again(Setup::default()).await;
    assert_eq!(registered.refresh(&entrada, &tokens.refresh).await.error(), "invalid_grant");

    let (entrada, web) = start().await;
    let tokens = client(ID).tokens(&entrada).await;
    web.serve(ID, Page::status(404));
    entrada.advance(300);
    let form = [("token", tokens.access.as_str()), ("client_id", ID)];
    assert_eq!(entrada.post_form("/revoke", &form).await.status, 200);
    assert_eq!(web.requests(ID), 1, "nothing had to be fetched for it");
}
