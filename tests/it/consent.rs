//! Consent: asked every time, answered by the browser that was asked, and undone by nobody.

use axum::body::Body;
use axum::http::Request;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Reply;
use entrada::domain::event::EventName;
use entrada::domain::trust::Trust;
use serde_json::json;
use url::Url;

use crate::support::browser::Browser;
use crate::support::browser::hidden;
use crate::support::browser::path_of;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::parameter;

async fn start() -> (Entrada, Client) {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    (entrada, client)
}

#[tokio::test]
async fn the_page_says_who_asks_for_what_and_where_the_answer_goes() {
    let entrada = Entrada::start().await;
    let hostile = json!({ "client_name": "<script>alert(1)</script>\u{0007}\n  Me & \"You\"" });
    let client = Client::register_with(&entrada, hostile).await;
    let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(
        page.body.contains("&#60;script&#62;alert(1)&#60;/script&#62; Me &#38; &#34;You&#34;"),
        "{}",
        page.body
    );
    for shown in [
        "Read your expenses",
        "Add expenses",
        "mcp.read",
        "127.0.0.1",
        "A program on this computer",
        "https://mcp.example.com/mcp",
    ] {
        assert!(page.body.contains(shown), "{shown}");
    }
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-")
            && policy.contains("frame-ancestors 'none'")
    );
    assert!(!policy.contains("form-action") && !policy.contains("unsafe"));
    for (name, value) in
        [("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")]
    {
        assert_eq!(page.header(name), value);
    }
    let cookie = page.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-entrada=") && cookie.contains("HttpOnly; SameSite=Lax; Secure; Path=/"),
        "{cookie}"
    );
}

#[tokio::test]
async fn nothing_is_remembered_and_nothing_reaches_the_provider_before_approval() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    for _ in 0..2 {
        let before = entrada.idp.requests().len();
        let page = browser.open(&entrada, &client.authorize(&[])).await;
        assert_eq!(page.status, 200, "consent is asked for again");
        assert_eq!(entrada.idp.requests().len(), before);
        let approved = browser.decide(&entrada, &page, "approve").await;
        let callback = browser.at_idp(&entrada, &approved.location()).await;
        browser.open(&entrada, callback.as_str()).await;
    }
}

#[tokio::test]
async fn nothing_of_the_clients_reaches_the_provider() {
    let (entrada, client) = start().await;
    let resource = format!("{ISSUER}/mcp");
    let authorize = client.authorize(&[
        ("resource", &resource),
        ("prompt", "consent"),
        ("login_hint", "not an address&x=1"),
    ]);
    let back = Browser::default().sign_in(&entrada, &authorize).await;
    let tokens = Tokens::of(&client.redeem(&entrada, &code_of(&back)).await);
    entrada.advance(301);
    client.refresh(&entrada, &tokens.refresh).await;
    for seen in entrada.idp.requests() {
        for (name, value) in &seen.params {
            assert!(!["resource", "prompt", "login_hint"].contains(&name.as_str()), "{name} went upstream");
            for theirs in
                [client.id.as_str(), "the-clients-state", client.redirect_uri.as_str(), resource.as_str()]
            {
                assert_ne!(value, theirs, "{name}");
            }
        }
        if seen.endpoint == Endpoint::Authorize || seen.endpoint == Endpoint::Token {
            assert!(seen.param("scope").is_some_and(|scope| scope.contains("api://entrada/mcp.access")));
        }
    }
}

#[tokio::test]
async fn what_the_client_may_ask_of_the_sign_in_is_asked_in_our_words_and_checked() {
    let (entrada, client) = start().await;
    let authorize =
        client.authorize(&[("prompt", "login"), ("max_age", "60"), ("login_hint", "ada@example.com")]);
    let mut browser = Browser::default();
    browser.sign_in(&entrada, &authorize).await;
    let seen = entrada.idp.requests().into_iter().find(|seen| seen.endpoint == Endpoint::Authorize).unwrap();
    assert_eq!((seen.param("prompt"), seen.param("max_age")), (Some("login"), Some("60")));
    assert_eq!(seen.param("login_hint"), Some("ada@example.com"));
    entrada.script.lie(|_, token| {
        token.claims.remove("auth_time");
    });
    let callback = browser.to_callback(&entrada, &authorize).await;
    assert_eq!(
        browser.open(&entrada, callback.as_str()).await.status,
        502,
        "a promise that cannot be checked is not kept"
    );
}

#[tokio::test]
async fn declining_goes_back_to_the_client_and_cannot_be_undone() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let denied = browser.decide(&entrada, &page, "deny").await;
    assert_eq!(denied.status, 303);
    let back = denied.location();
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-clients-state"));
    assert_eq!(parameter(&back, "iss").as_deref(), Some(ISSUER));
    assert_eq!(browser.decide(&entrada, &page, "approve").await.status, 400);
    let other_tab = browser.open(&entrada, &client.authorize(&[])).await;
    assert_eq!(browser.decide(&entrada, &other_tab, "approve").await.status, 303);
    assert_eq!(entrada.events.count(EventName::ConsentDenied), 1);
}

#[tokio::test]
async fn a_form_counts_only_in_the_browser_it_was_made_for() {
    let (entrada, client) = start().await;
    let mut victim = Browser::default();
    let mut attacker = Browser::default();
    let page = attacker.open(&entrada, &client.authorize(&[])).await;
    victim.open(&entrada, &client.authorize(&[])).await;
    for browser in [&mut victim, &mut Browser::default()] {
        let asked = browser.decide(&entrada, &page, "approve").await;
        assert_eq!(asked.status, 200, "asked, as a link to /authorize would have it asked");
        assert!(asked.body.contains("Please decide once more."), "{}", asked.body);
    }
    let login = hidden(&page.body, "login").unwrap();
    let mut elsewhere = form_request("/consent", &[("login", &login), ("decision", "approve")]);
    elsewhere.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    let refused = attacker.send(&entrada, elsewhere).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("set-cookie")),
        (403, ""),
        "without Sec-Fetch-Site as well"
    );
    for site in ["cross-site", "same-site", "none"] {
        let mut request = form_request("/consent", &[("login", &login), ("decision", "approve")]);
        request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
        assert_eq!(attacker.send(&entrada, request).await.status, 403, "{site}");
    }
    assert_eq!(
        attacker.open(&entrada, &format!("/consent?login={login}&decision=approve")).await.status,
        405
    );
    assert_eq!(entrada.events.count(EventName::ConsentApproved), 0);
    assert_eq!(attacker.decide(&entrada, &page, "approve").await.status, 303);
}

#[tokio::test]
async fn a_callback_counts_only_in_the_browser_that_approved_and_once() {
    let (entrada, client) = start().await;
    let mut attacker = Browser::default();
    let callback = attacker.to_callback(&entrada, &client.authorize(&[])).await;
    let mut victim = Browser::default();
    victim.open(&entrada, &client.authorize(&[])).await;
    assert_eq!(victim.open(&entrada, callback.as_str()).await.status, 403);
    // Not even with the sealed login, when the browser's own name is another.
    let mut planted = victim.clone();
    planted.cookies.extend(attacker.cookies.iter().filter(|(name, _)| name.contains("-login-")).cloned());
    assert_eq!(planted.open(&entrada, callback.as_str()).await.status, 403);
    assert_eq!(entrada.events.count(EventName::SignInCompleted), 0);
    assert_eq!(attacker.open(&entrada, callback.as_str()).await.status, 303);
    assert_eq!(attacker.open(&entrada, callback.as_str()).await.status, 403, "the approved login is gone");
}

#[tokio::test]
async fn four_approved_logins_are_kept_and_the_newest_finish() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let mut callbacks = Vec::new();
    for _ in 0..6 {
        callbacks.push(browser.to_callback(&entrada, &client.authorize(&[])).await);
        entrada.advance(1);
    }
    assert_eq!(browser.cookies.iter().filter(|(name, _)| name.contains("-login-")).count(), 4);
    for (position, callback) in callbacks.iter().enumerate() {
        let answer = browser.open(&entrada, callback.as_str()).await;
        assert_eq!(answer.status.as_u16(), if position < 2 { 403 } else { 303 }, "{position}");
    }
}

/// VS Code, which has the longest id of the clients that are known.
async fn a_client_with_a_long_id(entrada: &Entrada) -> Client {
    let uris = [
        "http://127.0.0.1:33418/",
        "http://127.0.0.1/",
        "https://vscode.dev/redirect",
        "https://insiders.vscode.dev/redirect",
    ];
    Client::register_with(entrada, json!({ "client_name": "Visual Studio Code", "redirect_uris": uris }))
        .await
}

fn cookie_header(browser: &Browser) -> usize {
    browser.cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum()
}

#[tokio::test]
async fn a_hundred_tabs_finish_the_newest_four_and_never_fill_the_cookie_header() {
    let entrada = Entrada::start().await;
    let client = a_client_with_a_long_id(&entrada).await;
    let state = "s".repeat(64);
    let mut browser = Browser::default();
    let mut tabs = Vec::new();
    for _ in 0..100 {
        tabs.push(browser.open(&entrada, &client.authorize(&[("state", &state)])).await);
    }
    let mut callbacks = Vec::new();
    for tab in &tabs {
        let approved = browser.decide(&entrada, tab, "approve").await;
        assert_eq!(approved.status, 303, "{}", approved.body);
        assert!(cookie_header(&browser) < 6_144, "{}", cookie_header(&browser));
        callbacks.push(browser.at_idp(&entrada, &approved.location()).await);
    }
    for (position, callback) in callbacks.iter().enumerate() {
        let answer = browser.open(&entrada, callback.as_str()).await;
        if position < 96 {
            assert_eq!(answer.status, 403, "{position}");
            assert!(answer.body.contains("Start again from your application"), "{}", answer.body);
        } else {
            assert_eq!(answer.status, 303, "{position}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_hundred_decisions_at_once_leave_no_more_cookies_than_four() {
    let entrada = Entrada::start().await;
    let client = a_client_with_a_long_id(&entrada).await;
    let mut browser = Browser::default();
    let mut tabs = Vec::new();
    for _ in 0..100 {
        tabs.push(browser.open(&entrada, &client.authorize(&[])).await);
    }
    // None of them knows of another: each is sent before the first is answered.
    let before = browser.clone();
    let mut callbacks = Vec::new();
    for tab in &tabs {
        let mut alone = before.clone();
        let approved = alone.decide(&entrada, tab, "approve").await;
        browser.take(&approved);
        callbacks.push(browser.at_idp(&entrada, &approved.location()).await);
    }
    assert!(cookie_header(&browser) < 6_144, "{}", cookie_header(&browser));
    let held = browser.cookies.iter().filter(|(name, _)| name.contains("-login-")).count();
    assert!((1..=4).contains(&held), "{held}");
    let mut finished = 0;
    for callback in &callbacks {
        finished += usize::from(browser.open(&entrada, callback.as_str()).await.status == 303);
    }
    assert_eq!(finished, held, "what the browser kept finishes");
}

#[tokio::test]
async fn large_requests_leave_room_for_fewer() {
    let entrada = Entrada::start().await;
    let client = a_client_with_a_long_id(&entrada).await;
    let state = "s".repeat(1_024);
    let mut browser = Browser::default();
    let mut callbacks = Vec::new();
    for _ in 0..4 {
        callbacks.push(browser.to_callback(&entrada, &client.authorize(&[("state", &state)])).await);
        assert!(cookie_header(&browser) < 6_144, "{}", cookie_header(&browser));
    }
    let newest = browser.open(&entrada, callbacks[3].as_str()).await;
    assert_eq!(newest.status, 303, "{}", newest.body);
}

/// A browser that fetches a page ahead of the visit sends both requests without a cookie; whichever answer comes
/// last names it.
#[tokio::test]
async fn a_page_that_was_fetched_ahead_locks_nobody_out() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let seen = Browser::default().open(&entrada, &client.authorize(&[])).await;
    browser.take(&seen);
    browser.take(&Browser::default().open(&entrada, &client.authorize(&[])).await);
    let asked = browser.decide(&entrada, &seen, "approve").await;
    assert_eq!(asked.status, 200);
    assert!(asked.body.contains("Please decide once more."), "{}", asked.body);
    assert_eq!(entrada.events.count(EventName::ConsentShown), 3);
    assert_eq!(entrada.events.count(EventName::ConsentApproved), 0, "nothing is decided by the first form");
    let approved = browser.decide(&entrada, &asked, "approve").await;
    let callback = browser.at_idp(&entrada, &approved.location()).await;
    let back = browser.open(&entrada, callback.as_str()).await;
    assert_eq!(back.status, 303, "{}", back.body);
}

#[tokio::test]
async fn a_browser_without_cookies_is_told_so_the_second_time() {
    let (entrada, client) = start().await;
    let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
    let asked = Browser::default().decide(&entrada, &page, "approve").await;
    let refused = Browser::default().decide(&entrada, &asked, "approve").await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("keeps no cookies"), "{}", refused.body);
}

#[tokio::test]
async fn a_page_may_be_reloaded_and_left_open_beside_others() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let first = browser.open(&entrada, &client.authorize(&[])).await;
    let reloaded = browser.open(&entrada, &client.authorize(&[])).await;
    for page in [&reloaded, &first] {
        let approved = browser.decide(&entrada, page, "approve").await;
        let callback = browser.at_idp(&entrada, &approved.location()).await;
        assert_eq!(browser.open(&entrada, callback.as_str()).await.status, 303);
    }
}

#[tokio::test]
async fn a_look_with_head_asks_nobody_and_spends_nothing() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let head = |target: &str| Request::head(target).body(Body::empty()).unwrap();
    assert_eq!(browser.send(&entrada, head(&client.authorize(&[]))).await.status, 200);
    assert_eq!((entrada.events.count(EventName::ConsentShown), browser.cookies.len()), (0, 0));
    let callback = browser.to_callback(&entrada, &client.authorize(&[])).await;
    assert_eq!(browser.send(&entrada, head(&path_of(callback.as_str()))).await.status, 200);
    assert_eq!(browser.open(&entrada, callback.as_str()).await.status, 303);
}

#[tokio::test]
async fn an_application_is_opened_by_a_page() {
    let entrada = Entrada::start().await;
    let uri = "cursor://anysphere.cursor-mcp/oauth/callback";
    let client = Client::register_with(&entrada, json!({ "redirect_uris": [uri] })).await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    assert!(
        page.body.contains(
            "A program on this computer (<code>cursor://anysphere.cursor-mcp/oauth/callback</code>)"
        ),
        "{}",
        page.body
    );
    assert!(page.body.contains("Did you start this?"), "{}", page.body);
    let callback = browser.to_callback(&entrada, &client.authorize(&[])).await;
    let opened = browser.open(&entrada, callback.as_str()).await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    let back = Url::parse(opened.header("refresh").strip_prefix("0; url=").unwrap()).unwrap();
    assert!(back.as_str().starts_with(uri), "{back}");
    assert_eq!(parameter(&back, "iss").as_deref(), Some(ISSUER));
    let code = parameter(&back, "code").unwrap();
    assert_eq!(client.redeem(&entrada, &code).await.status, 200);
    // Who declines is not sent into it: the button is there.
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let declined = browser.decide(&entrada, &page, "deny").await;
    assert_eq!((declined.status.as_u16(), declined.header("refresh")), (200, ""));
    assert!(declined.body.contains("error=access_denied"), "{}", declined.body);
    // Before anybody has acted, none is opened.
    let refused = Browser::default().open(&entrada, &client.authorize(&[("response_type", "token")])).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("location"), refused.header("refresh")),
        (400, "", "")
    );
}

#[tokio::test]
async fn a_login_waits_for_a_quarter_of_an_hour() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    entrada.advance(899);
    let approved = browser.decide(&entrada, &page, "approve").await;
    let callback = browser.at_idp(&entrada, &approved.location()).await;
    entrada.advance(1);
    assert_eq!(browser.decide(&entrada, &page, "approve").await.status, 400);
    assert_eq!(browser.open(&entrada, callback.as_str()).await.status, 400);
}

#[tokio::test]
async fn a_program_on_this_machine_is_warned_of_by_whatever_scheme_it_is_reached() {
    let trust = Trust { open: true, ..Trust::default() };
    let entrada = Entrada::with(Setup { trust, ..Setup::default() }).await;
    for (redirect_uri, shown, warned) in [
        ("http://127.0.0.1:33418/callback", "127.0.0.1", true),
        ("https://localhost:9443/callback", "localhost:9443", true),
        ("https://client.example.net/callback", "client.example.net", false),
    ] {
        let client = Client::register_with(&entrada, json!({ "redirect_uris": [redirect_uri] })).await;
        let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
        assert!(page.body.contains(&format!("<code>{shown}</code>")), "{}", page.body);
        assert_eq!(page.body.contains("Did you start this?"), warned, "{redirect_uri}: {}", page.body);
    }
}

#[tokio::test]
async fn an_untrusted_host_gets_a_page_that_names_the_setting_and_never_a_redirect() {
    let uris = json!({ "redirect_uris": ["https://client.example.net/cb"] });
    let entrada = Entrada::start().await;
    let client = Client::register_with(&entrada, uris.clone()).await;
    let page = Browser::default().open(&entrada, &client.authorize(&[])).await;
    assert_eq!((page.status.as_u16(), page.header("location")), (400, ""));
    assert!(page.body.contains("trust.hosts") && page.body.contains("client.example.net"), "{}", page.body);

    let trust = Trust { hosts: vec!["client.example.net".to_owned()], ..Trust::default() };
    let entrada = Entrada::with(Setup { trust, ..Setup::default() }).await;
    let client = Client::register_with(&entrada, uris.clone()).await;
    Browser::default().sign_in(&entrada, &client.authorize(&[])).await;
    let refused = Browser::default().open(&entrada, &client.authorize(&[("response_type", "token")])).await;
    assert_eq!(refused.status, 302, "a host that is trusted by name may be redirected to at once");

    let entrada =
        Entrada::with(Setup { trust: Trust { open: true, ..Trust::default() }, ..Setup::default() }).await;
    let client = Client::register_with(&entrada, uris).await;
    Browser::default().sign_in(&entrada, &client.authorize(&[])).await;
    let refused = Browser::default().open(&entrada, &client.authorize(&[("response_type", "token")])).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("location")),
        (400, ""),
        "any host is not a trusted one"
    );
    assert!(refused.body.contains("href=\"https://client.example.net/cb?error=unsupported_response_type"));
}

/// The callback's answer when the identity provider does this.
async fn callback_when(entrada: &Entrada, client: &Client) -> Answer {
    let mut browser = Browser::default();
    let callback = browser.to_callback(entrada, &client.authorize(&[])).await;
    browser.open(entrada, callback.as_str()).await
}

#[tokio::test]
async fn a_lying_or_failing_provider_signs_nobody_in() {
    let (entrada, client) = start().await;
    let lies: [(&str, &str, u16); 6] = [
        ("nonce", "another", 502),
        ("aud", "another", 502),
        ("iss", "https://login.example.net/v2.0", 403),
        ("tid", "00000000-0000-4000-8000-000000000000", 403),
        ("oid", "", 403),
        ("exp", "1", 502),
    ];
    for (claim, value, status) in lies {
        entrada.script.lie(move |_, token| {
            let value = if claim == "exp" { json!(1) } else { json!(value) };
            token.claims.insert(claim.to_owned(), value);
        });
        assert_eq!(callback_when(&entrada, &client).await.status.as_u16(), status, "{claim}");
    }
    entrada.script.honest();
    for (reply, status) in [
        (Reply::down(), 503),
        (Reply::garbage(), 503),
        (Reply::error("invalid_grant", 54_005, "Redeemed."), 403),
    ] {
        entrada.script.token_endpoint_says(reply);
        let answer = callback_when(&entrada, &client).await;
        assert_eq!(answer.status.as_u16(), status);
        assert!(
            answer.body.contains("Back to the application") && !answer.body.contains("Redeemed"),
            "{}",
            answer.body
        );
    }
    entrada.script.honest();
    assert_eq!(entrada.events.count(EventName::SignInCompleted), 0);
    assert_eq!(callback_when(&entrada, &client).await.status, 303);
}

#[tokio::test]
async fn declining_at_the_provider_is_told_to_the_client() {
    let (entrada, client) = start().await;
    entrada.script.answer_with(|endpoint, _| (endpoint == Endpoint::Authorize).then(Reply::denied));
    let answer = callback_when(&entrada, &client).await;
    assert_eq!(answer.status, 303);
    assert_eq!(parameter(&answer.location(), "error").as_deref(), Some("access_denied"));
    assert!(!answer.header("location").contains("AADSTS"));
}

#[tokio::test]
async fn on_plain_http_loopback_the_cookies_are_named_after_the_port() {
    let issuer = "http://localhost:8123".to_owned();
    let resources = vec![crate::support::entrada::resource(&issuer, "/mcp", None)];
    let entrada = Entrada::with(Setup { issuer, resources, ..Setup::default() }).await;
    let client = Client::register(&entrada).await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("entrada-8123=") && !cookie.contains("Secure"), "{cookie}");
    browser.sign_in(&entrada, &client.authorize(&[])).await;
}

#[tokio::test]
async fn over_https_only_the_prefixed_cookie_counts() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let mut tossed = Browser { cookies: vec![("entrada".to_owned(), browser.cookies[0].1.clone())] };
    assert_eq!(tossed.decide(&entrada, &page, "approve").await.status, 200, "it is asked anew");
    assert_eq!(entrada.events.count(EventName::ConsentApproved), 0);
    let request = Request::get("/authorize").body(Body::empty()).unwrap();
    assert_eq!(tossed.send(&entrada, request).await.status, 400);
}
