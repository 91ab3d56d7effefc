//! Errors of the identity provider when a person comes back from it: a page in words, an OAuth error for the
//! client, and nothing of the provider's text for anybody.

use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Reply;
use entrada::domain::event::EventName;
use url::Url;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::parameter;

const ID: &str = "7d1b6f0a-0000-4000-8000-0000000000aa";

/// As Entra writes it.
fn described(message: &str) -> String {
    format!("{message}\r\nTrace ID: {ID}\r\nCorrelation ID: {ID}\r\nTimestamp: 2026-11-23 05:45:00Z")
}

/// A browser that approved, and the callback that would complete its login.
async fn approved(entrada: &Entrada) -> (Browser, Url) {
    let client = Client::register(entrada).await;
    let mut browser = Browser::default();
    let callback = browser.to_callback(entrada, &client.authorize(&[])).await;
    (browser, callback)
}

/// The same callback with other parameters beside its `state`.
fn with(callback: &Url, parameters: &[(&str, &str)]) -> String {
    let mut changed = callback.clone();
    let state = parameter(callback, "state").unwrap();
    changed.query_pairs_mut().clear().append_pair("state", &state).extend_pairs(parameters);
    changed.into()
}

async fn comes_back_with(entrada: &Entrada, parameters: &[(&str, &str)]) -> Answer {
    let (mut browser, callback) = approved(entrada).await;
    browser.open(entrada, &with(&callback, parameters)).await
}

/// What goes to the client: by the redirect, or by the link of the page.
fn back(answer: &Answer) -> Option<Url> {
    if answer.headers.contains_key("location") {
        return Some(answer.location());
    }
    let (_, rest) = answer.body.split_once("class=\"button accent\" href=\"")?;
    let (link, _) = rest.split_once('"')?;
    Some(Url::parse(&link.replace("&#38;", "&")).unwrap())
}

fn error(answer: &Answer) -> String {
    let back = back(answer).expect("a way back to the client");
    assert!(back.as_str().starts_with("http://127.0.0.1:33418/callback?"), "{back}");
    assert_eq!(parameter(&back, "state").as_deref(), Some("the-clients-state"));
    assert_eq!(parameter(&back, "iss").as_deref(), Some(ISSUER));
    assert_eq!(parameter(&back, "code"), None);
    parameter(&back, "error").unwrap()
}

/// The facts of a page.
fn facts(answer: &Answer) -> Vec<(String, String)> {
    let text = |rest: &str, end: &str| rest.split_once(end).map(|(text, _)| text.to_owned()).unwrap();
    let rows = answer.body.split("<dt>").skip(1);
    rows.map(|row| (text(row, "</dt>"), text(row.split_once("<bdi>").unwrap().1, "</bdi>"))).collect()
}

fn fact(answer: &Answer, label: &str) -> Option<String> {
    facts(answer).into_iter().find(|(name, _)| name == label).map(|(_, value)| value)
}

#[tokio::test]
async fn the_person_reads_what_a_number_means_and_the_client_an_oauth_error() {
    let entrada = Entrada::start().await;
    let cases = [
        // Not among those who may, under whichever name.
        (
            "access_denied",
            50_105,
            403,
            "access_denied",
            "upstream_denied",
            "assign you to the enterprise application",
        ),
        (
            "interaction_required",
            53_003,
            403,
            "access_denied",
            "upstream_denied",
            "policy of your organization",
        ),
        ("access_denied", 999_999, 403, "access_denied", "upstream_denied", "does not let this account in"),
        ("access_denied", 90_094, 403, "access_denied", "upstream_denied", "grant it admin consent"),
        ("consent_required", 65_001, 403, "access_denied", "upstream_denied", "grant it admin consent"),
        ("invalid_request", 50_020, 403, "access_denied", "upstream_denied", "add yours as a guest"),
        // Once more.
        (
            "interaction_required",
            50_076,
            403,
            "access_denied",
            "upstream_error",
            "multifactor authentication",
        ),
        ("login_required", 999_999, 403, "access_denied", "upstream_error", "did not sign the user in"),
        // Whoever runs the server.
        ("unauthorized_client", 700_016, 502, "server_error", "upstream_refused", "upstream.client_id"),
        ("invalid_resource", 500_011, 502, "server_error", "upstream_refused", "upstream.scopes"),
        (
            "invalid_request",
            999_999,
            502,
            "server_error",
            "upstream_refused",
            "is not set up for this server",
        ),
        // Later.
        (
            "temporarily_unavailable",
            90_033,
            503,
            "temporarily_unavailable",
            "upstream_away",
            "Try again in a minute",
        ),
        ("server_error", 999_999, 503, "temporarily_unavailable", "upstream_away", "Try again in a minute"),
    ];
    for (name, number, status, oauth, reason, words) in cases {
        let description = described(&format!("AADSTS{number}: Something in Entra's words."));
        let answer = comes_back_with(&entrada, &[("error", name), ("error_description", &description)]).await;
        assert_eq!(answer.status, status, "{name} {number}: {}", answer.body);
        assert_eq!(error(&answer), oauth, "{name} {number}");
        assert!(answer.body.contains(words), "{name} {number}: {}", answer.body);
        assert!(answer.body.contains(&format!("<code>{reason}</code>")), "{name} {number}: {}", answer.body);
        assert_eq!(fact(&answer, "Error code"), Some(format!("AADSTS{number}")));
        assert_eq!(fact(&answer, "Correlation ID").as_deref(), Some(ID));
        assert_eq!(answer.header("retry-after"), if status == 503 { "5" } else { "" }, "{name}");
        let client_reads = parameter(&back(&answer).unwrap(), "error_description").unwrap();
        assert!(
            !client_reads.contains("AADSTS") && client_reads.contains("sign-in service"),
            "{client_reads}"
        );
        let event = entrada.events.last(EventName::UpstreamRefused).unwrap();
        assert_eq!((event.call, event.upstream_code), (Some("sign_in"), Some(number)));
        assert_eq!(event.correlation_id.as_deref(), Some(ID));
        assert_eq!(entrada.events.last(EventName::RequestRefused).unwrap().reason, Some(reason));
    }
}

#[tokio::test]
async fn who_declined_there_is_back_at_the_client_at_once() {
    let entrada = Entrada::start().await;
    let number = described("AADSTS65004: User declined to consent to access the app.");
    for parameters in [
        &[("error", "access_denied"), ("error_description", number.as_str())][..],
        &[("error", "consent_required"), ("error_description", &number)],
        &[("error", "access_denied")],
    ] {
        let answer = comes_back_with(&entrada, parameters).await;
        assert_eq!((answer.status.as_u16(), error(&answer).as_str()), (303, "access_denied"));
        assert_eq!(entrada.events.last(EventName::RequestRefused).unwrap().reason, Some("upstream_declined"));
    }
    assert_eq!(entrada.events.count(EventName::UpstreamRefused), 3);
}

#[tokio::test]
async fn what_entra_redirects_with_is_read_and_ends_the_login() {
    let entrada = Entrada::start().await;
    let (error, description) = ("access_denied".to_owned(), "User is not assigned to a role.".to_owned());
    let reply = Reply::Redirect { error, aadsts: 50_105, description };
    entrada.script.answer_with(move |at, _| (at == Endpoint::Authorize).then(|| reply.clone()));
    let (mut browser, callback) = approved(&entrada).await;
    let answer = browser.open(&entrada, callback.as_str()).await;
    assert_eq!(fact(&answer, "Error code").as_deref(), Some("AADSTS50105"));
    let id = fact(&answer, "Correlation ID").unwrap();
    assert!(callback.query().unwrap().contains(&id), "{callback}");
    assert_eq!(entrada.events.last(EventName::UpstreamRefused).unwrap().correlation_id, Some(id));
    let again = browser.open(&entrada, callback.as_str()).await;
    assert_eq!((again.status.as_u16(), back(&again)), (403, None), "the approved login is gone");
}

#[tokio::test]
async fn a_code_that_cannot_be_redeemed_is_explained_as_well() {
    let entrada = Entrada::start().await;
    for (name, number, status, oauth, words) in [
        ("invalid_client", 7_000_222, 502, "server_error", "client secret has expired"),
        ("invalid_grant", 54_005, 403, "access_denied", "was used already"),
        ("invalid_grant", 65_001, 403, "access_denied", "grant it admin consent"),
        ("invalid_grant", 50_196, 503, "temporarily_unavailable", "too many requests"),
        ("invalid_request", 999_999, 502, "server_error", "is not set up for this server"),
    ] {
        let (mut browser, callback) = approved(&entrada).await;
        entrada.script.token_endpoint_says(Reply::error(name, number, "<i>s3cr3t words</i>"));
        let answer = browser.open(&entrada, callback.as_str()).await;
        entrada.script.honest();
        assert_eq!((answer.status.as_u16(), error(&answer).as_str()), (status, oauth), "{number}");
        assert!(answer.body.contains(words), "{number}: {}", answer.body);
        assert!(!answer.body.contains("s3cr3t"), "{}", answer.body);
        assert_eq!(fact(&answer, "Error code"), Some(format!("AADSTS{number}")));
        let event = entrada.events.last(EventName::UpstreamRefused).unwrap();
        assert_eq!((event.call, event.upstream_code), (Some("redeem"), Some(number)));
        assert_eq!(fact(&answer, "Correlation ID"), event.correlation_id);
    }
}

#[tokio::test]
async fn the_page_names_the_request_as_the_log_and_the_header_do() {
    let entrada = Entrada::start().await;
    let answer = comes_back_with(&entrada, &[("error", "server_error")]).await;
    let id = fact(&answer, "Request ID").unwrap();
    assert_eq!((id.len(), id.as_str()), (22, answer.header("x-request-id")));
    let log = entrada.log.text();
    let of_request: Vec<_> =
        log.lines().filter(|line| line.contains(&format!("request_id=\"{id}\""))).collect();
    for event in ["upstream.refused", "request.refused"] {
        assert!(of_request.iter().any(|line| line.contains(&format!("event=\"{event}\""))), "{event}: {log}");
    }
    assert_eq!(facts(&answer).len(), 1, "there is no code and no correlation ID to show");
}

#[tokio::test]
async fn nothing_of_the_providers_text_gets_anywhere() {
    let entrada = Entrada::start().await;
    let hostile = described(
        "AADSTS50105: <script>s3cr3t()</script>\"><a href=\"https://evil.example\">s3cr3t</a> Correlation ID: s3cr3t",
    );
    let long = described(&format!("AADSTS50105: {}", "s3cr3t <b>".repeat(4_000)));
    for name in ["access_denied", "server_error", "s3cr3t<script>", "invalid_request"] {
        for description in [hostile.as_str(), &long, &hostile.replace("AADSTS50105", ""), "s3cr3t"] {
            for extra in ["error_uri", "error_subcode", "iss", "session_state", "code"] {
                let parameters =
                    [("error", name), ("error_description", description), (extra, "https://s3cr3t.example")];
                let answer = comes_back_with(&entrada, &parameters).await;
                assert!(answer.status != 200 && !answer.body.contains("s3cr3t"), "{}", answer.body);
                assert!(!answer.body.contains("evil.example") && !answer.body.contains("<script"));
                assert!(!format!("{:?}", answer.headers).contains("s3cr3t"), "{:?}", answer.headers);
                assert!(!back(&answer).unwrap().as_str().contains("s3cr3t"));
            }
        }
    }
    assert!(!entrada.log.text().contains("s3cr3t"), "{}", entrada.log.text());
}

#[tokio::test]
async fn a_correlation_id_is_a_guid_or_absent() {
    let entrada = Entrada::start().await;
    for id in [
        "none",
        "7d1b6f0a",
        "{7d1b6f0a-0000-4000-8000-0000000000aa}",
        "7d1b6f0a00004000800000000000000aa",
        "",
    ] {
        let description = format!("AADSTS50105: No. Correlation ID: {id} Timestamp: 2026");
        let answer =
            comes_back_with(&entrada, &[("error", "access_denied"), ("error_description", &description)])
                .await;
        assert_eq!(fact(&answer, "Error code").as_deref(), Some("AADSTS50105"));
        assert_eq!(fact(&answer, "Correlation ID"), None, "{id}");
        assert_eq!(entrada.events.last(EventName::UpstreamRefused).unwrap().correlation_id, None);
    }
    let huge = "AADSTS99999999999999999999: No.";
    let answer = comes_back_with(&entrada, &[("error", "login_required"), ("error_description", huge)]).await;
    assert_eq!(fact(&answer, "Error code"), None);
}

/// Whoever holds the address, and not the browser, can push no error at the client.
#[tokio::test]
async fn an_error_without_the_approved_login_is_a_page_and_leads_nowhere() {
    let entrada = Entrada::start().await;
    let (mut the_browser, callback) = approved(&entrada).await;
    let description = described("AADSTS65004: Declined.");
    let forged = with(&callback, &[("error", "access_denied"), ("error_description", &description)]);
    let without_login = {
        let mut browser = the_browser.clone();
        browser.cookies.retain(|(name, _)| !name.contains("-login-"));
        browser
    };
    let (of_another_login, _) = approved(&entrada).await;
    let with_the_login_planted = {
        let mut browser = of_another_login.clone();
        browser
            .cookies
            .extend(the_browser.cookies.iter().filter(|(name, _)| name.contains("-login-")).cloned());
        browser
    };
    for mut thief in [Browser::default(), without_login, of_another_login, with_the_login_planted] {
        let answer = thief.open(&entrada, &forged).await;
        assert_eq!((answer.status.as_u16(), back(&answer)), (403, None), "{}", answer.body);
        assert!(!answer.body.contains("AADSTS") && !answer.body.contains(ID), "{}", answer.body);
    }
    let stateless = entrada.get("/auth/callback?error=access_denied&error_description=AADSTS65004").await;
    assert_eq!((stateless.status.as_u16(), back(&stateless)), (400, None));
    assert_eq!(entrada.events.count(EventName::UpstreamRefused), 0, "nobody was sent there by us");
    assert_eq!(
        the_browser.open(&entrada, callback.as_str()).await.status,
        303,
        "and the login is still good"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_the_providers_fault() {
    let entrada = Entrada::start().await;
    for parameters in [
        &[][..],
        &[("error", "access_denied"), ("error", "access_denied")],
        &[("error", "server_error"), ("error_description", "a"), ("error_description", "b")],
        &[("code", "one"), ("code", "two")],
        &[("error", ""), ("code", "")],
    ] {
        let answer = comes_back_with(&entrada, parameters).await;
        assert_eq!(
            (answer.status.as_u16(), error(&answer).as_str()),
            (502, "server_error"),
            "{parameters:?}"
        );
        assert!(answer.body.contains("<code>upstream_unreadable</code>"), "{}", answer.body);
    }
    let (mut browser, callback) = approved(&entrada).await;
    let twice = with(&callback, &[("state", "another"), ("error", "access_denied")]);
    let answer = browser.open(&entrada, &twice).await;
    assert_eq!((answer.status.as_u16(), back(&answer)), (400, None), "{}", answer.body);
}

#[tokio::test]
async fn another_provider_is_not_read_as_entra() {
    let entrada = Entrada::with(Setup { oidc: true, ..Setup::default() }).await;
    let description = "AADSTS7000222: an Entra behind it has words with it";
    let answer =
        comes_back_with(&entrada, &[("error", "invalid_client"), ("error_description", description)]).await;
    assert_eq!((answer.status.as_u16(), error(&answer).as_str()), (502, "server_error"));
    assert!(!answer.body.contains("client secret"), "{}", answer.body);
    let answer = comes_back_with(&entrada, &[("error", "access_denied")]).await;
    assert_eq!((answer.status.as_u16(), error(&answer).as_str()), (303, "access_denied"));
}
