//! Every credential that we issue, presented wherever another belongs, is refused.

use axum::body::Body;
use axum::http::Request;

use crate::support::browser::Browser;
use crate::support::browser::hidden;
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

/// One of each kind, all live, with the name of its kind.
struct Credentials {
    all: Vec<(&'static str, String)>,
    client: Client,
    confidential: Client,
    browser: Browser,
}

impl Credentials {
    async fn issue(entrada: &Entrada, upstream: &Upstream) -> Self {
        let client = Client::register(entrada).await;
        let method = serde_json::json!({ "token_endpoint_auth_method": "client_secret_post" });
        let confidential = Client::register_with(entrada, method).await;
        let secret = confidential.secret.clone().unwrap();
        let tokens = client.tokens(entrada).await;
        call(entrada, &tokens.access).await;
        let downstream =
            upstream.arrived()[0].headers["authorization"].to_str().unwrap()["Bearer ".len()..].to_owned();
        let mut browser = Browser::default();
        let page = browser.open(entrada, &client.authorize(&[])).await;
        let login = hidden(&page.body, "login").unwrap();
        let approved = browser.decide(entrada, &page, "approve").await;
        let state = parameter(&approved.location(), "state").unwrap();
        let sealed = browser.cookies.iter().find(|(name, _)| name.contains("-login-")).unwrap().1.clone();
        let cookie = browser.cookies.iter().find(|(name, _)| name == "__Host-entrada").unwrap().1.clone();
        let code = client.code(entrada).await;
        let all = vec![
            ("client_id", client.id.clone()),
            ("client_secret", secret),
            ("login", login),
            ("approved", sealed),
            ("browser", cookie),
            ("state", state),
            ("code", code),
            ("refresh_token", tokens.refresh),
            ("access_token", tokens.access),
            ("downstream_token", downstream),
        ];
        Self { all, client, confidential, browser }
    }
}

async fn call(entrada: &Entrada, token: &str) -> Answer {
    let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    entrada.send(request.body(Body::from("{}")).unwrap()).await
}

async fn start() -> (Entrada, Upstream) {
    let upstream = Upstream::start().await;
    let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
    (Entrada::with(Setup { resources, ..Setup::default() }).await, upstream)
}

/// Whether presenting `credential` at `place` gets anywhere.
async fn accepted(entrada: &Entrada, place: &str, issued: &Credentials, credential: &str) -> bool {
    let client = &issued.client;
    let mut browser = issued.browser.clone();
    let answer = match place {
        "client_id" => {
            let client = Client { id: credential.to_owned(), ..client.clone() };
            return browser.open(entrada, &client.authorize(&[])).await.status == 200;
        }
        "client_secret" => {
            let client = Client { secret: Some(credential.to_owned()), ..issued.confidential.clone() };
            let code = client.code(entrada).await;
            return client.redeem(entrada, &code).await.status == 200;
        }
        "login" => {
            let form = [("login", credential), ("decision", "approve")];
            let request = crate::support::entrada::form_request("/consent", &form);
            return browser.send(entrada, request).await.status == 303;
        }
        "approved" => {
            let state = &issued.all.iter().find(|(kind, _)| *kind == "state").unwrap().1;
            browser.cookies.retain(|(held, _)| !held.contains("-login-"));
            browser.cookies.push(("__Host-entrada-login-0".to_owned(), credential.to_owned()));
            let target = format!("/auth/callback?state={state}&error=access_denied");
            // With the right cookie, this reaches the client; with any other, it is a page.
            return browser.open(entrada, &target).await.status == 303;
        }
        "code" => client.redeem(entrada, credential).await,
        "refresh_token" => client.refresh(entrada, credential).await,
        "access_token" => call(entrada, credential).await,
        _ => unreachable!("{place}"),
    };
    answer.status == 200
}

#[tokio::test]
async fn no_credential_stands_in_for_another() {
    let (entrada, upstream) = start().await;
    let issued = Credentials::issue(&entrada, &upstream).await;
    let places = ["client_id", "client_secret", "login", "approved", "code", "refresh_token", "access_token"];
    for place in places {
        for (kind, credential) in issued.all.iter().filter(|(kind, _)| *kind != place) {
            assert!(!accepted(&entrada, place, &issued, credential).await, "{kind} was accepted as {place}");
        }
    }
    // Not all of them are refused for another reason: each is good in its own place, once.
    for (place, credential) in issued.all.iter().filter(|(kind, _)| places.contains(kind)) {
        assert!(accepted(&entrada, place, &issued, credential).await, "{place} was refused in its own place");
    }
}

#[tokio::test]
async fn no_credential_of_another_deployment_is_good_here() {
    let (entrada, upstream) = start().await;
    let (elsewhere, upstream_elsewhere) = start().await;
    let mut issued = Credentials::issue(&elsewhere, &upstream_elsewhere).await;
    let native = Credentials::issue(&entrada, &upstream).await;
    (issued.client, issued.confidential) = (native.client, native.confidential);
    for (place, credential) in
        issued.all.iter().filter(|(kind, _)| !["browser", "state", "downstream_token"].contains(kind))
    {
        assert!(
            !accepted(&entrada, place, &issued, credential).await,
            "{place} of another deployment was accepted"
        );
    }
    assert!(upstream.arrived().is_empty());
}

#[tokio::test]
async fn the_token_that_goes_upstream_is_not_good_at_the_gateway_or_for_revoking() {
    let (entrada, upstream) = start().await;
    let client = Client::register(&entrada).await;
    let tokens = client.tokens(&entrada).await;
    assert_eq!(call(&entrada, &tokens.access).await.status, 200);
    let arrived = upstream.arrived().remove(0);
    let downstream =
        arrived.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    assert_ne!(downstream, tokens.access);
    assert_eq!(call(&entrada, &downstream).await.status, 401);
    let revoked = entrada.post_form("/revoke", &[("client_id", &client.id), ("token", &downstream)]).await;
    assert_eq!(revoked.status, 200, "an unknown token is no error (RFC 7009 §2.2)");
    assert_eq!(call(&entrada, &tokens.access).await.status, 200);
}

#[tokio::test]
async fn a_token_for_one_resource_is_refused_at_another() {
    let upstream = Upstream::start().await;
    let resources =
        ["/one", "/two"].map(|path| resource(ISSUER, path, Some(upstream.url.clone()))).into_iter().collect();
    let entrada = Entrada::with(Setup { resources, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let one = format!("{ISSUER}/one");
    let back = Browser::default().sign_in(&entrada, &client.authorize(&[("resource", &one)])).await;
    let tokens = Tokens::of(&client.redeem(&entrada, &code_of(&back)).await);
    let at = |path: &str| {
        let request = Request::post(path).header("authorization", format!("Bearer {}", tokens.access));
        entrada.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(at("/one").await.status, 200);
    let refused = at("/two").await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").contains("/.well-known/oauth-protected-resource/two"));
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
}
