//! Clients that the operator wrote into the configuration.

use entrada::domain::client::ConfiguredClient;
use entrada::protocol::redirect_uri::RedirectUri;
use sha2::Digest;
use sha2::Sha256;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::VERIFIER;
use crate::support::client::code_of;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;

const SECRET: &str = "a-secret-that-is-long-and-random-0123456789";
/// Nobody trusts this host by name.
const REDIRECT: &str = "https://agent.example.com/callback";

fn agent(scopes: &[&str], secret: Option<&str>) -> ConfiguredClient {
    ConfiguredClient {
        id: "agent".to_owned(),
        name: "Claude for travel".to_owned(),
        redirect_uris: [REDIRECT, "http://localhost/cb"].map(|uri| RedirectUri::parse(uri).unwrap()).to_vec(),
        scopes: scopes.iter().copied().collect(),
        secret_sha256: secret.map(|secret| Sha256::digest(secret).into()),
        jwks: None,
    }
}

async fn start(client: ConfiguredClient) -> (Entrada, Client) {
    let secret = client.secret_sha256.map(|_| SECRET.to_owned());
    let entrada = Entrada::with(Setup { clients: vec![client], ..Setup::default() }).await;
    let client = Client { id: "agent".to_owned(), secret, redirect_uri: REDIRECT.to_owned() };
    (entrada, client)
}

#[tokio::test]
async fn it_gets_in_with_its_secret_in_the_header_or_in_the_form_and_not_without() {
    let (entrada, client) = start(agent(&[], Some(SECRET))).await;
    let tokens = client.tokens(&entrada).await;
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);

    let code = client.code(&entrada).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    for wrong in ["wrong", "", &SECRET[1..]] {
        let refused = client.token_by_basic(&entrada, wrong, &form).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"), "{wrong}");
        assert!(refused.header("www-authenticate").starts_with("Basic "), "{refused:?}");
    }
    let without = Client { secret: None, ..client.clone() };
    assert_eq!(without.redeem(&entrada, &code).await.error(), "invalid_client");
    // The hash that stands in the configuration is no secret.
    let hash: String = Sha256::digest(SECRET).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(client.token_by_basic(&entrada, &hash, &form).await.error(), "invalid_client");
    Tokens::of(&client.token_by_basic(&entrada, SECRET, &form).await);
}

#[tokio::test]
async fn a_public_one_has_no_secret_and_must_not_send_one() {
    let (entrada, client) = start(agent(&[], None)).await;
    client.tokens(&entrada).await;
    let with = Client { secret: Some(SECRET.to_owned()), ..client.clone() };
    let code = client.code(&entrada).await;
    assert_eq!(with.redeem(&entrada, &code).await.error(), "invalid_client");
}

#[tokio::test]
async fn the_operator_vouches_for_its_name_and_its_redirect_uris() {
    let (entrada, client) = start(agent(&[], None)).await;
    let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
    assert_eq!(page.status, 200, "neither its host nor its name need another word: {}", page.body);
    assert!(page.body.contains("Claude for travel"), "{}", page.body);
    assert!(page.body.contains("Whoever runs this server has entered it under this name."), "{}", page.body);
    assert!(!page.body.contains("Nobody has verified"), "{}", page.body);
    let on_port = client.authorize(&[("redirect_uri", "http://localhost:50123/cb")]);
    assert_eq!(entrada.get(&on_port).await.status, 200);
    for other in ["https://agent.example.com/callback/", "https://agent.example.com/", "http://localhost/x"] {
        let page = entrada.get(&client.authorize(&[("redirect_uri", other)])).await;
        assert_eq!((page.status.as_u16(), page.header("location")), (400, ""), "{other}");
    }
    let refused = entrada.get(&client.authorize(&[("response_type", "token")])).await;
    assert_eq!(refused.status, 302, "its host is trusted by name");
}

#[tokio::test]
async fn its_scopes_are_all_that_it_may_have() {
    let (entrada, client) = start(agent(&["mcp.read"], None)).await;
    for asked in ["mcp.read mcp.write", "mcp.write", "", "openid"] {
        let back = Browser::default().sign_in(&entrada, &client.authorize(&[("scope", asked)])).await;
        let tokens = Tokens::of(&client.redeem(&entrada, &code_of(&back)).await);
        assert_eq!(tokens.scope, "mcp.read", "{asked}");
    }
    let (entrada, client) = start(agent(&["elsewhere"], None)).await;
    let refused = entrada.get(&client.authorize(&[])).await;
    assert_eq!(refused.status, 302);
    assert!(refused.header("location").contains("error=invalid_scope"), "{refused:?}");
}

#[tokio::test]
async fn what_the_operator_takes_away_is_gone_with_the_next_refresh() {
    let (entrada, client) = start(agent(&[], None)).await;
    let tokens = client.tokens(&entrada).await;
    assert_eq!(tokens.scope, "mcp.read mcp.write");
    let entrada =
        entrada.again(Setup { clients: vec![agent(&["mcp.read"], None)], ..Setup::default() }).await;
    let narrower = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    assert_eq!(narrower.scope, "mcp.read");
    let entrada = entrada.again(Setup { clients: vec![agent(&["other"], None)], ..Setup::default() }).await;
    assert_eq!(client.refresh(&entrada, &narrower.refresh).await.error(), "invalid_grant");
    let entrada = entrada.again(Setup { clients: vec![agent(&[], Some(SECRET))], ..Setup::default() }).await;
    let refused = client.refresh(&entrada, &narrower.refresh).await;
    assert_eq!(refused.error(), "invalid_client", "it has a secret now");
    let entrada = entrada.again(Setup::default()).await;
    let refused = client.refresh(&entrada, &narrower.refresh).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (401, "invalid_client"));
    // What is given back is had again: nothing was spent.
    let entrada = entrada.again(Setup { clients: vec![agent(&[], None)], ..Setup::default() }).await;
    assert_eq!(Tokens::of(&client.refresh(&entrada, &narrower.refresh).await).scope, "mcp.read mcp.write");
}
