//! Parameters (OAuth 2.1 §3.1, §3.2): unknown ones are ignored, empty ones are absent, the order is free.

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Entrada;

const UNKNOWN: [(&str, &str); 4] =
    [("nonce", "n"), ("ui_locales", "de"), ("request_uri", "https://evil.example/r"), ("x", "")];

#[tokio::test]
async fn unknown_parameters_are_ignored_even_twice() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let twice: Vec<_> = UNKNOWN.into_iter().chain(UNKNOWN).collect();
    let back = Browser::default().sign_in(&entrada, &client.authorize(&twice)).await;
    let mut form = client.redeem_form(&code_of(&back));
    let more = |form: &mut Vec<(String, String)>| {
        form.extend(twice.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        form.iter().map(|(n, v)| (n.clone(), v.clone())).rev().collect::<Vec<_>>()
    };
    let redeemed = post(&entrada, "/token", &more(&mut form)).await;
    let mut form = client.refresh_form(&Tokens::of(&redeemed).refresh);
    let refreshed = post(&entrada, "/token", &more(&mut form)).await;
    let token = Tokens::of(&refreshed).refresh;
    let mut form = vec![("client_id".to_owned(), client.id.clone()), ("token".to_owned(), token.clone())];
    assert_eq!(post(&entrada, "/revoke", &more(&mut form)).await.status, 200);
    assert_eq!(client.refresh(&entrada, &token).await.error(), "invalid_grant");
}

async fn post(entrada: &Entrada, target: &str, form: &[(String, String)]) -> crate::support::entrada::Answer {
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    entrada.post_form(target, &form).await
}

/// Many clients send every parameter that they know, filled or not.
#[tokio::test]
async fn a_parameter_without_a_value_counts_as_not_sent() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let empty = "&scope=&resource=&state=&prompt=&max_age=&login_hint=&response_mode=&client_secret=";
    let authorize = client.authorize(&[("scope", ""), ("state", "")]) + empty;
    let code = code_of(&Browser::default().sign_in(&entrada, &authorize).await);
    let mut form = client.redeem_form(&code);
    form.extend(["client_secret", "resource", "scope"].map(|name| (name.to_owned(), String::new())));
    let tokens = Tokens::of(&post(&entrada, "/token", &form).await);
    assert_eq!(tokens.scope, "mcp.read mcp.write");
    let mut form = client.refresh_form(&tokens.refresh);
    form.extend(["client_secret", "resource", "scope"].map(|name| (name.to_owned(), String::new())));
    assert_eq!(Tokens::of(&post(&entrada, "/token", &form).await).scope, "mcp.read mcp.write");
}

/// OAuth 2.1 §3.1, §3.2: a credential is never read from where logs and histories keep it.
#[tokio::test]
async fn the_token_endpoint_reads_the_body_alone() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let code = client.code(&entrada).await;
    let form = client.redeem_form(&code);
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    let answer = post(&entrada, &format!("/token?{query}"), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"));
    Tokens::of(&post(&entrada, "/token", &form).await);
}
