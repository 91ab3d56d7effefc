//! Cookies: whose they are, how large they get, and what planted ones can do.

use entrada::domain::event::EventName;

use crate::support::browser::Browser;
use crate::support::browser::hidden;
use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::form_request;

async fn start() -> (Entrada, Client) {
    let entrada = Entrada::start().await;
    let client = Client::register(&entrada).await;
    (entrada, client)
}

/// What browsers demand of the prefix, and what keeps scripts, other sites and the clear away.
#[tokio::test]
async fn every_cookie_is_bound_to_this_host_and_kept_from_scripts_and_other_sites() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    let approved = browser.decide(&entrada, &page, "approve").await;
    let callback = browser.at_idp(&entrada, &approved.location()).await;
    let denied = browser.decide(&entrada, &page, "deny").await;
    let back = browser.open(&entrada, callback.as_str()).await;
    let set = |answer: &Answer| {
        let all = answer.headers.get_all("set-cookie").iter();
        all.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let cookies: Vec<String> = [&page, &approved, &denied, &back].into_iter().flat_map(set).collect();
    assert!(cookies.len() >= 4, "{cookies:?}");
    for cookie in cookies {
        let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
        assert!(cookie.starts_with("__Host-entrada"), "{cookie}");
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(attributes.contains(&attribute), "{attribute}: {cookie}");
        }
        assert!(!attributes.iter().any(|attribute| attribute.starts_with("Domain")), "{cookie}");
    }
}

/// Cookies of a sibling domain come beside ours and under names that look like ours.
#[tokio::test]
async fn cookies_that_a_sibling_domain_planted_count_for_nothing() {
    let (entrada, client) = start().await;
    let mut attacker = Browser::default();
    let page = attacker.open(&entrada, &client.authorize(&[])).await;
    let login = hidden(&page.body, "login").unwrap();
    let value = attacker.cookies[0].1.clone();
    let approved = attacker.decide(&entrada, &page, "approve").await;
    let callback = attacker.at_idp(&entrada, &approved.location()).await;
    let approvals = entrada.events.count(EventName::ConsentApproved);
    let (sealed_name, sealed) = attacker.cookies.iter().find(|(n, _)| n.contains("-login-")).unwrap().clone();
    for name in [
        "entrada",
        "host-entrada",
        "__host-entrada",
        "__HOST-ENTRADA",
        "__Secure-entrada",
        "__Host-entrada ",
        "__Host-entradaX",
        "entrada-443",
    ] {
        let mut victim = Browser {
            cookies: vec![(name.to_owned(), value.clone()), (sealed_name.clone(), sealed.clone())],
        };
        let decided = victim
            .send(&entrada, form_request("/consent", &[("login", &login), ("decision", "approve")]))
            .await;
        assert_eq!(decided.status, 200, "{name:?}: it is asked anew, and nothing is decided");
        assert_eq!(entrada.events.count(EventName::ConsentApproved), approvals, "{name:?}");
        assert_eq!(victim.open(&entrada, callback.as_str()).await.status, 403, "{name:?}");
    }
    assert_eq!(entrada.events.count(EventName::SignInCompleted), 0);
}

/// A hundred logins that were begun and approved, and never finished, in one browser.
#[tokio::test]
async fn a_hundred_logins_do_not_lock_a_browser_out() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    for _ in 0..100 {
        browser.to_callback(&entrada, &client.authorize(&[])).await;
        let header: usize = browser.cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
        assert!(header < 8 * 1_024, "{header} bytes of cookies in each request");
        entrada.advance(1);
    }
    assert!(browser.cookies.len() <= 5, "{}", browser.cookies.len());
    browser.sign_in(&entrada, &client.authorize(&[])).await;
}

/// Cookies that no version of ours made: garbage, too many, too long.
#[tokio::test]
async fn foreign_and_broken_cookies_are_passed_over() {
    let (entrada, client) = start().await;
    let mut browser = Browser::default();
    for n in 0..4 {
        browser.cookies.push((format!("__Host-entrada-login-{n}"), "garbage".repeat(n + 1)));
    }
    for (name, value) in
        [("__Host-entrada-ended", "...."), ("theme", "a=b=c"), ("", "nameless"), ("\"", "\"")]
    {
        browser.cookies.push((name.to_owned(), value.to_owned()));
    }
    browser.sign_in(&entrada, &client.authorize(&[])).await;
    let left = browser.cookies.iter().filter(|(name, _)| name.contains("-login-")).count();
    assert_eq!(left, 0, "those that do not open were removed");
}
