//! Two MCP servers behind one issuer: each token is for one of them (RFC 8707), with scopes of its own.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::parameter;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

const MAIL: &str = "https://mcp.example.com/mail";
const FILES: &str = "https://mcp.example.com/files";

async fn two() -> (Entrada, Upstream, Client) {
    let upstream = Upstream::start().await;
    let mut mail = resource(ISSUER, "/mail", Some(upstream.url.join("/mail-server").unwrap()));
    let mut files = resource(ISSUER, "/files", Some(upstream.url.join("/file-server").unwrap()));
    mail.scopes = vec![("mail.read".to_owned(), "Read your mail".to_owned())];
    mail.default_scopes = ["mail.read"].into_iter().collect();
    files.scopes = vec![
        ("files.read".to_owned(), "Read your files".to_owned()),
        ("files.write".to_owned(), "Change your files".to_owned()),
    ];
    files.default_scopes = ["files.read"].into_iter().collect();
    let resources = vec![mail, files];
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    (entrada, upstream, client)
}

async fn code(entrada: &Entrada, client: &Client, changes: &[(&str, &str)]) -> String {
    code_of(&Browser::default().sign_in(entrada, &client.authorize(changes)).await)
}

async fn post(entrada: &Entrada, mut form: Vec<(String, String)>, more: &[(&str, &str)]) -> Answer {
    form.extend(more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    entrada.post_form("/token", &form).await
}

async fn call(entrada: &Entrada, token: &str, path: &str) -> Answer {
    let request = Request::post(path).header("authorization", format!("Bearer {token}"));
    entrada.send(request.body(Body::from("{}")).unwrap()).await
}

#[tokio::test]
async fn a_token_names_one_audience_and_opens_one_server() {
    let (entrada, upstream, client) = two().await;
    for (own, other, scope) in [(MAIL, FILES, "mail.read"), (FILES, MAIL, "files.read")] {
        let code = code(&entrada, &client, &[("resource", own), ("scope", "")]).await;
        let tokens = Tokens::of(&post(&entrada, client.redeem_form(&code), &[("resource", own)]).await);
        assert_eq!(tokens.claims()["aud"], own);
        assert_eq!((tokens.scope.as_str(), &tokens.claims()["scope"]), (scope, &json!(scope)));
        let path = |identifier: &str| identifier[ISSUER.len()..].to_owned();
        assert_eq!(call(&entrada, &tokens.access, &path(own)).await.status, 200);
        assert_eq!(upstream.arrived().len(), 1);
        let refused = call(&entrada, &tokens.access, &path(other)).await;
        assert_eq!(refused.status, 401);
        assert!(
            refused
                .header("www-authenticate")
                .contains(&format!("/oauth-protected-resource{}\"", path(other)))
        );
        assert!(upstream.arrived().is_empty());
    }
}

/// RFC 8707 §2.2: what was authorized can be named again, and nothing else.
#[tokio::test]
async fn code_and_refresh_token_keep_to_the_resource_that_was_consented_to() {
    let (entrada, _upstream, client) = two().await;
    let code = code(&entrada, &client, &[("resource", MAIL)]).await;
    for wrong in [
        FILES,
        "https://mcp.example.com",
        "https://elsewhere.example/mail",
        "mail",
        "https://mcp.example.com/mail#x",
    ] {
        let answer = post(&entrada, client.redeem_form(&code), &[("resource", wrong)]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_target"), "{wrong}");
    }
    let both = [("resource", MAIL), ("resource", FILES)];
    assert_eq!(post(&entrada, client.redeem_form(&code), &both).await.error(), "invalid_target");
    let tokens = Tokens::of(&post(&entrada, client.redeem_form(&code), &[]).await);
    for wrong in [FILES, "https://elsewhere.example/mail"] {
        let answer = post(&entrada, client.refresh_form(&tokens.refresh), &[("resource", wrong)]).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "invalid_target"), "{wrong}");
    }
    assert_eq!(post(&entrada, client.refresh_form(&tokens.refresh), &both).await.error(), "invalid_target");
    let refreshed =
        Tokens::of(&post(&entrada, client.refresh_form(&tokens.refresh), &[("resource", MAIL)]).await);
    assert_eq!(refreshed.claims()["aud"], MAIL);
}

#[tokio::test]
async fn an_unknown_resource_is_refused_before_anybody_is_asked() {
    let (entrada, _upstream, client) = two().await;
    for wrong in
        ["https://mcp.example.com", "https://mcp.example.com/mail/", "mail", "https://evil.example/mail", "%"]
    {
        let answer = entrada.get(&client.authorize(&[("resource", wrong)])).await;
        assert_eq!(answer.status, 302, "{wrong}");
        assert_eq!(parameter(&answer.location(), "error").as_deref(), Some("invalid_target"), "{wrong}");
    }
    assert!(entrada.idp.requests().is_empty());
}

/// A scope of one server is nothing at the other, at consent, at the code and at a refresh.
#[tokio::test]
async fn scopes_of_another_server_are_not_granted() {
    let (entrada, _upstream, client) = two().await;
    let asked = [("resource", MAIL), ("scope", "files.write mail.read")];
    let page = entrada.get(&client.authorize(&asked)).await;
    assert!(
        page.body.contains("Read your mail") && !page.body.contains("Change your files"),
        "{}",
        page.body
    );
    let code = code(&entrada, &client, &asked).await;
    let tokens = Tokens::of(&post(&entrada, client.redeem_form(&code), &[("scope", "files.write")]).await);
    assert_eq!(tokens.scope, "mail.read");
    let more = [("scope", "files.write mail.read")];
    let refreshed = Tokens::of(&post(&entrada, client.refresh_form(&tokens.refresh), &more).await);
    assert_eq!((refreshed.scope.as_str(), &refreshed.claims()["scope"]), ("mail.read", &json!("mail.read")));
}

/// RFC 6749 §6: not more than was consented to, though the server has it.
#[tokio::test]
async fn a_refresh_cannot_widen_what_was_consented_to() {
    let (entrada, _upstream, client) = two().await;
    let code = code(&entrada, &client, &[("resource", FILES), ("scope", "files.read")]).await;
    let tokens = Tokens::of(&post(&entrada, client.redeem_form(&code), &[]).await);
    let more = [("scope", "files.read files.write")];
    let refreshed = Tokens::of(&post(&entrada, client.refresh_form(&tokens.refresh), &more).await);
    assert_eq!(
        (refreshed.scope.as_str(), &refreshed.claims()["scope"]),
        ("files.read", &json!("files.read"))
    );
}

/// RFC 9728 §3.3: each is found where its URL says, and names exactly that URL.
#[tokio::test]
async fn each_server_has_metadata_of_its_own_at_the_place_its_challenge_names() {
    let (entrada, _upstream, _client) = two().await;
    for (path, identifier, scopes, challenged) in [
        ("/mail", MAIL, json!(["mail.read"]), "mail.read"),
        ("/files", FILES, json!(["files.read", "files.write"]), "files.read"),
    ] {
        let answer = entrada.send(Request::post(path).body(Body::empty()).unwrap()).await;
        let challenge = answer.header("www-authenticate").to_owned();
        let (_, rest) = challenge.split_once("resource_metadata=\"").unwrap();
        let url = rest.split_once('"').unwrap().0;
        assert_eq!(url, format!("{ISSUER}/.well-known/oauth-protected-resource{path}"));
        assert!(challenge.contains(&format!("scope=\"{challenged}\"")), "{challenge}");
        let metadata = entrada.get(&crate::support::browser::path_of(url)).await.json();
        assert_eq!((&metadata["resource"], &metadata["scopes_supported"]), (&json!(identifier), &scopes));
        assert_eq!(metadata["authorization_servers"], json!([ISSUER]));
    }
    let metadata = entrada.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["protected_resources"], json!([MAIL, FILES]));
    assert_eq!(metadata["scopes_supported"], json!(["mail.read", "files.read", "files.write"]));
}

/// The specification has clients write it in lower case, and servers take it as it comes (MCP authorization,
/// canonical server URI).
#[tokio::test]
async fn a_resource_is_named_with_scheme_and_host_in_any_case_and_nothing_else_changed() {
    let (entrada, _upstream, client) = two().await;
    for named in ["HTTPS://mcp.example.com/mail", "https://MCP.Example.COM/mail"] {
        let code = code(&entrada, &client, &[("resource", named), ("scope", "")]).await;
        let tokens = Tokens::of(&post(&entrada, client.redeem_form(&code), &[("resource", named)]).await);
        assert_eq!(tokens.claims()["aud"], MAIL, "{named}");
        Tokens::of(&post(&entrada, client.refresh_form(&tokens.refresh), &[("resource", named)]).await);
    }
    for other in [
        "https://mcp.example.com/MAIL",
        "https://mcp.example.com/mail/",
        "https://mcp.example.com:443/mail",
        "https://mcp.example.com/x/../mail",
        "https://mcp.example.com/%6dail",
        "https://mcp.example.com/mail?x",
        "https://mcp.example.com/mail#x",
        "https://u@mcp.example.com/mail",
        " https://mcp.example.com/mail",
        "mcp.example.com/mail",
        "/mail",
    ] {
        let refused = entrada.get(&client.authorize(&[("resource", other)])).await;
        assert!(refused.header("location").contains("error=invalid_target"), "{other}: {refused:?}");
    }
}
