//! Where browsers are sent: only to what the client registered, only by whoever may decide, never with the form.

use axum::body::Body;
use axum::http::Request;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Reply;
use entrada::domain::event::EventName;
use entrada::domain::trust::Trust;
use serde_json::json;
use url::Url;

use crate::support::browser::Browser;
use crate::support::browser::path_of;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::parameter;

/// Every way back to a client, each with the answer that sends the browser there.
async fn ways_back(entrada: &Entrada, client: &Client, state: &str) -> Vec<(&'static str, Answer)> {
    let authorize = client.authorize(&[("state", state)]);
    let mut ways = Vec::new();
    let refused = client.authorize(&[("state", state), ("response_type", "token")]);
    ways.push(("refused", entrada.get(&refused).await));
    let mut browser = Browser::default();
    let page = browser.open(entrada, &authorize).await;
    ways.push(("declined", browser.decide(entrada, &page, "deny").await));
    let callback = browser.to_callback(entrada, &authorize).await;
    ways.push(("signed in", browser.open(entrada, callback.as_str()).await));
    entrada.script.answer_with(|endpoint, _| (endpoint == Endpoint::Authorize).then(Reply::denied));
    let callback = browser.to_callback(entrada, &authorize).await;
    entrada.script.honest();
    ways.push(("declined at the provider", browser.open(entrada, callback.as_str()).await));
    ways
}

/// RFC 9207 §2, RFC 6749 §4.1.2: whatever the outcome.
#[tokio::test]
async fn every_way_back_carries_the_exact_state_and_the_issuer_once() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    for state in ["simple", "a b+c%20d&e=f#g\u{e9}\"<>", "{\"json\":[1,2]}", "%%%", "\u{202e}\u{0007}"] {
        for (way, answer) in ways_back(&entrada, &client, state).await {
            let back = answer.location();
            let of = |name: &str| {
                let values =
                    back.query_pairs().filter(|(n, _)| n == name).map(|(_, value)| value.into_owned());
                values.collect::<Vec<_>>()
            };
            assert_eq!(of("state"), [state], "{way}: {back}");
            assert_eq!(of("iss"), [ISSUER], "{way}: {back}");
            assert_eq!(of("code").len() + of("error").len(), 1, "{way}: {back}");
            assert_eq!(back.fragment(), None, "{way}: {back}");
        }
    }
    let callback = Browser::default().sign_in(&entrada, &client.authorize(&[("state", "")])).await;
    assert_eq!(parameter(&callback, "state"), None, "none was sent, so none comes back");
}

/// RFC 9700 §4.12: 307 and 308 would send the form on.
#[tokio::test]
async fn after_a_form_it_is_always_303() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    for (way, answer) in ways_back(&entrada, &client, "s").await {
        assert_eq!(answer.status.as_u16(), if way == "refused" { 302 } else { 303 }, "{way}");
    }
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    assert_eq!(browser.decide(&entrada, &page, "approve").await.status, 303);
}

#[tokio::test]
async fn what_a_redirect_uri_has_in_its_query_is_kept() {
    let entrada = Entrada::start().await;
    let uris = json!({ "redirect_uris": ["http://127.0.0.1/cb?tenant=a%20b&x="] });
    let client = Client::register_with(&entrada, uris).await;
    let back = Browser::default().sign_in(&entrada, &client.authorize(&[])).await;
    assert!(back.as_str().starts_with("http://127.0.0.1/cb?tenant=a%20b&x=&code=edac_"), "{back}");
}

/// What a client did not register is no way back, wherever it is tried, however good its host is.
#[tokio::test]
async fn a_trusted_host_is_no_way_back_for_a_client_that_did_not_register_it() {
    let entrada =
        Entrada::with(Setup { trust: Trust { open: true, ..Trust::default() }, ..Setup::default() }).await;
    let client = Client::register_with(
        &entrada,
        json!({ "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"] }),
    )
    .await;
    for elsewhere in [
        "https://claude.ai/api/mcp/auth_callback/",
        "https://claude.ai/api/mcp/auth_callback/deeper",
        "https://claude.ai/api/mcp/AUTH_CALLBACK",
        "https://claude.ai/api/mcp/auth_callback?x=1",
        "https://claude.ai/",
        "https://claude.ai:8443/api/mcp/auth_callback",
        "http://claude.ai/api/mcp/auth_callback",
        "https://www.claude.ai/cb",
        "https://claude.com/cb",
        "https://vscode.dev/redirect",
        "http://127.0.0.1/cb",
        "https://claude.ai.evil.example/cb",
        "https://evil.example/?https://claude.ai/cb",
    ] {
        let answer = entrada.get(&client.authorize(&[("redirect_uri", elsewhere)])).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (400, ""), "{elsewhere}");
        assert!(!answer.body.contains("href=\"http"), "no link there either: {elsewhere}");
    }
    let code = code_of(&Browser::default().sign_in(&entrada, &client.authorize(&[])).await);
    let other = Client { redirect_uri: "https://claude.ai/other".to_owned(), ..client.clone() };
    assert_eq!(other.redeem(&entrada, &code).await.error(), "invalid_grant", "nor at the token endpoint");
    Tokens::of(&client.redeem(&entrada, &code).await);
}

/// A form or a cookie cannot say where to: it is what was verified, sealed.
#[tokio::test]
async fn neither_the_form_nor_the_callback_can_name_another_way_back() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let login = crate::support::browser::hidden(&page.body, "login").unwrap();
    let form = [("login", login.as_str()), ("decision", "deny"), ("redirect_uri", "https://evil.example/")];
    let denied = browser.send(&entrada, crate::support::entrada::form_request("/consent", &form)).await;
    assert!(denied.location().as_str().starts_with("http://127.0.0.1:33418/callback?"));
    let callback = browser.to_callback(&entrada, &client.authorize(&[])).await;
    let target = format!("{}&redirect_uri=https://evil.example/", path_of(callback.as_str()));
    let back = browser.open(&entrada, &target).await.location();
    assert!(back.as_str().starts_with("http://127.0.0.1:33418/callback?code="), "{back}");
}

/// Whoever only knows a `state` can neither push an error to the client nor end the login.
#[tokio::test]
async fn an_error_without_the_browsers_cookie_reaches_no_client() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let callback = browser.to_callback(&entrada, &client.authorize(&[])).await;
    let state = parameter(&callback, "state").unwrap();
    for error in ["access_denied", "server_error", "login_required&error_description=Call+0800"] {
        let target = format!("/auth/callback?state={state}&error={error}");
        for stranger in [&mut Browser::default(), &mut browser_that_began(&entrada, &client).await] {
            let answer = stranger.open(&entrada, &target).await;
            assert_eq!((answer.status.as_u16(), answer.header("location")), (403, ""), "{error}");
            assert!(!answer.body.contains("0800") && !answer.body.contains("Back to the application"));
        }
    }
    assert_eq!(browser.open(&entrada, callback.as_str()).await.status, 303, "the login goes on");
}

async fn browser_that_began(entrada: &Entrada, client: &Client) -> Browser {
    let mut browser = Browser::default();
    browser.open(entrada, &client.authorize(&[])).await;
    browser
}

/// A browser that opens the address twice, as prefetching and reloading ones do, can answer either page.
#[tokio::test]
async fn of_a_page_that_was_opened_twice_either_counts() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    for answered in [0, 1] {
        let mut browser = Browser::default();
        let authorize = client.authorize(&[]);
        let pages = [browser.open(&entrada, &authorize).await, browser.open(&entrada, &authorize).await];
        assert_eq!(browser.decide(&entrada, &pages[answered], "approve").await.status, 303);
    }
    let head = Request::head(client.authorize(&[])).body(Body::empty()).unwrap();
    let answer = entrada.send(head).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(entrada.events.count(EventName::SignInCompleted), 0);
}

/// An id that others can see, as Entra's own page shows ours, is no client.
#[tokio::test]
async fn our_own_id_at_the_provider_is_no_client_here() {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let sign_in: Url = browser.decide(&entrada, &page, "approve").await.location();
    let upstream_id = parameter(&sign_in, "client_id").unwrap();
    assert_ne!(upstream_id, client.id);
    for redirect_uri in ["https://claude.ai/api/mcp/auth_callback", "http://127.0.0.1:33418/callback"] {
        let known = Client { id: upstream_id.clone(), secret: None, redirect_uri: redirect_uri.to_owned() };
        let answer = entrada.get(&known.authorize(&[])).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (400, ""));
    }
}
