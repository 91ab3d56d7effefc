//! Secrets of confidential clients: who has one, how it is shown, and where it is no use.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::form_request;

async fn confidential(entrada: &Entrada, method: &str) -> (Client, String) {
    let client = Client::register_with(entrada, json!({ "token_endpoint_auth_method": method })).await;
    let secret = client.secret.clone().unwrap();
    (client, secret)
}

/// The form that redeems a code, without the client's id and secret.
fn anonymous(client: &Client, code: &str) -> Vec<(String, String)> {
    let mut form = client.redeem_form(code);
    form.retain(|(name, _)| !name.starts_with("client_"));
    form
}

fn borrowed(form: &[(String, String)]) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// RFC 7591 §3.2.1.
#[tokio::test]
async fn a_registration_names_its_secret_and_says_that_it_does_not_expire() {
    let entrada = Entrada::start().await;
    for method in ["client_secret_basic", "client_secret_post", "none"] {
        let body = json!({ "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"], "token_endpoint_auth_method": method });
        let answer = entrada.post_json("/register", &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (201, "no-store"));
        let told = answer.json();
        let confidential = method != "none";
        assert_eq!(told["client_secret"].is_string(), confidential, "{method}");
        assert_eq!(told.get("client_secret_expires_at"), confidential.then_some(&json!(0)), "{method}");
        assert_eq!(told["token_endpoint_auth_method"], method);
        assert_eq!(told["redirect_uris"], json!(["https://claude.ai/api/mcp/auth_callback"]));
        assert_eq!(told["response_types"], json!(["code"]));
    }
}

#[tokio::test]
async fn a_secret_is_taken_in_the_header_and_in_the_form_and_never_in_the_address() {
    let entrada = Entrada::start().await;
    for method in ["client_secret_basic", "client_secret_post"] {
        let (client, secret) = confidential(&entrada, method).await;
        let code = client.code(&entrada).await;
        let form = anonymous(&client, &code);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", &client.id), ("client_secret", &secret)])
            .finish();
        let answer = entrada.send(form_request(&format!("/token?{query}"), &borrowed(&form))).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"));
        Tokens::of(&client.token_by_basic(&entrada, &secret, &borrowed(&form)).await);
        let code = client.code(&entrada).await;
        Tokens::of(&client.redeem(&entrada, &code).await);
    }
}

/// RFC 6749 §2.3.1: a client that only knows HTTP Basic need not repeat itself in the form.
#[tokio::test]
async fn basic_alone_is_enough_for_every_grant_and_for_revocation() {
    let entrada = Entrada::start().await;
    let (client, secret) = confidential(&entrada, "client_secret_basic").await;
    let code = client.code(&entrada).await;
    let form = anonymous(&client, &code);
    let tokens = Tokens::of(&client.token_by_basic(&entrada, &secret, &borrowed(&form)).await);
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
    let tokens = Tokens::of(&client.token_by_basic(&entrada, &secret, &form).await);
    assert_eq!(revoke_by_basic(&entrada, &client, &secret, &tokens.refresh).await.status, 200);
    assert_eq!(client.refresh(&entrada, &tokens.refresh).await.error(), "invalid_grant");
}

async fn revoke_by_basic(entrada: &Entrada, client: &Client, secret: &str, token: &str) -> Answer {
    let mut request = form_request("/revoke", &[("token", token)]);
    let pair = STANDARD.encode(format!("{}:{secret}", client.id));
    request.headers_mut().insert("authorization", format!("Basic {pair}").parse().unwrap());
    entrada.send(request).await
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they are joined.
#[tokio::test]
async fn basic_credentials_are_form_decoded() {
    let entrada = Entrada::start().await;
    let (client, secret) = confidential(&entrada, "client_secret_basic").await;
    let encoded = |text: &str| text.replace('_', "%5F").replace('-', "%2D");
    let spelled = Client { id: encoded(&client.id), ..client.clone() };
    let code = client.code(&entrada).await;
    let form = anonymous(&client, &code);
    Tokens::of(&spelled.token_by_basic(&entrada, &encoded(&secret), &borrowed(&form)).await);
}

/// A secret is one client's; a client that has one cannot do without; nor can it end a session without.
#[tokio::test]
async fn the_secret_of_another_client_is_no_proof() {
    let entrada = Entrada::start().await;
    let (client, secret) = confidential(&entrada, "client_secret_basic").await;
    let (_, other) = confidential(&entrada, "client_secret_basic").await;
    let tokens = client.tokens(&entrada).await;
    for wrong in [other.as_str(), "", "edcs_", "edcs_AQE", &secret[..secret.len() - 1]] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
        let answer = client.token_by_basic(&entrada, wrong, &form).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"), "{wrong}");
        let answer = revoke_by_basic(&entrada, &client, wrong, &tokens.refresh).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (401, "invalid_client"), "{wrong}");
    }
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
}
