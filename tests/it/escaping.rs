//! Whatever a stranger can have shown on a page of ours is text there, in every place where it is shown.

use axum::http::HeaderMap;
use entrada::domain::trust::Trust;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::parameter;

/// Each breaks out of some context: text, a quoted attribute, an unquoted one, a URL, a comment, a style.
const HOSTILE: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg/onload=alert(1)>",
    "\" autofocus onfocus=alert(1) x=\"",
    "--><script>alert(1)</script><!--",
    "</style></title></textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\u{0}<\u{feff}script>\r\nSet-Cookie: a=b\r\n\r\n<script>",
];

/// What a page must look like whatever was put into it: our tags, our attributes, our headers.
fn is_ours(what: &str, answer: &Answer) {
    let html = answer.body.to_ascii_lowercase();
    for tag in ["<script", "<img", "<svg", "<iframe", "<object", "<!--", "<textarea"] {
        assert!(!html.contains(tag), "{what}: {tag}: {}", answer.body);
    }
    // In a tag, a quotation mark ends an attribute: none may begin that is not ours.
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let names = tag.split('"').step_by(2).flat_map(str::split_whitespace).skip(1);
        for name in names.map(|name| name.trim_end_matches('=')) {
            assert!(!name.starts_with("on") && name != "autofocus", "{what}: {name} in <{tag}>");
        }
        let links = tag.split("href=\"").skip(1).chain(tag.split("action=\"").skip(1));
        for link in links.map(|link| link.split('"').next().unwrap()) {
            assert!(!link.starts_with("javascript:"), "{what}: {link}");
        }
    }
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{what}");
    assert!(!answer.headers.values().any(|value| value.as_bytes().contains(&b'\n')), "{what}");
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn open() -> Entrada {
    Entrada::with(Setup { trust: Trust { open: true, ..Trust::default() }, ..Setup::default() }).await
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_text_on_every_page() {
    let entrada = open().await;
    for hostile in HOSTILE {
        let path = encoded(hostile);
        let client = json!({
            "client_name": hostile,
            "redirect_uris": [format!("https://client.example.net/cb?{path}")],
            "client_uri": hostile, "logo_uri": hostile, "policy_uri": hostile, "tos_uri": hostile,
        });
        let answer = entrada.post_json("/register", &client).await;
        assert_eq!(answer.status, 201, "{hostile:?}: {}", answer.body);
        for unused in ["client_uri", "logo_uri", "policy_uri", "tos_uri"] {
            assert!(answer.json().get(unused).is_none(), "{unused} is neither kept nor shown");
        }
        let client = Client::register_with(&entrada, client).await;
        let page = Browser::default().open(&entrada, &client.authorize(&[("state", hostile)])).await;
        assert_eq!(page.status, 200);
        is_ours("consent", &page);
        let changes = [("state", hostile), ("response_type", "token")];
        let page = entrada.get(&client.authorize(&changes)).await;
        assert!(page.status == 400 && page.body.contains("Back to the application"), "{}", page.body);
        is_ours("refused, with a link back", &page);
    }
}

/// Every parameter of every address that answers with a page.
#[tokio::test]
async fn what_a_request_says_is_text_on_every_page() {
    let entrada = open().await;
    let client = Client::register(&entrada).await;
    let names = [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "state",
        "scope",
        "resource",
        "prompt",
        "login_hint",
        "max_age",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "ui_locales",
        "<b>",
    ];
    for hostile in HOSTILE {
        for name in names {
            let answer = entrada.get(&client.authorize(&[(name, hostile)])).await;
            if answer.header("location").is_empty() {
                is_ours(name, &answer);
            }
        }
        let hostile = encoded(hostile);
        for target in [
            format!("/{hostile}"),
            format!("/.well-known/oauth-protected-resource/{hostile}"),
            format!("/consent?login={hostile}"),
            format!("/auth/callback?state={hostile}&code={hostile}"),
            format!(
                "/auth/callback?state={hostile}&error={hostile}&error_description={hostile}&error_uri={hostile}"
            ),
        ] {
            is_ours(&target, &entrada.get(&target).await);
        }
    }
}

/// What the form and the cookies hold, and what the identity provider says in the address.
#[tokio::test]
async fn what_the_browser_brings_is_text_on_every_page() {
    let entrada = open().await;
    let client = Client::register(&entrada).await;
    for hostile in HOSTILE {
        let forms = [[("login", hostile), ("decision", "approve")], [("login", "x"), ("decision", hostile)]];
        for form in forms {
            is_ours("consent", &entrada.send(form_request("/consent", &form)).await);
        }
        let mut browser = Browser::default();
        let callback = browser.to_callback(&entrada, &client.authorize(&[])).await;
        let state = parameter(&callback, "state").unwrap();
        let said = encoded(hostile);
        let target = format!("/auth/callback?state={state}&error={said}&error_description={said}");
        let page = browser.open(&entrada, &target).await;
        assert_eq!(page.status, 502);
        is_ours("callback", &page);
        assert!(!page.body.contains("alert(1)"), "nothing that the provider says is shown: {}", page.body);
        let mut tossed = Browser { cookies: vec![("__Host-entrada".to_owned(), encoded(hostile))] };
        is_ours("cookie", &tossed.open(&entrada, &client.authorize(&[])).await);
    }
}

/// RFC 6749 §5.2: codes and descriptions are printable ASCII without quotation mark and backslash.
#[tokio::test]
async fn nothing_that_was_sent_comes_back_in_an_error() {
    let entrada = open().await;
    let client = Client::register(&entrada).await;
    let plain = |text: &str| text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    for hostile in HOSTILE {
        let mut answers = Vec::new();
        for name in ["client_id", "grant_type", "code", "code_verifier", "redirect_uri", "resource"] {
            let mut form = client.redeem_form("edac_x");
            form.retain(|(n, _)| n != name);
            form.push((name.to_owned(), hostile.to_owned()));
            let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            answers.push(entrada.post_form("/token", &form).await);
        }
        let body = json!({ "redirect_uris": [hostile], "token_endpoint_auth_method": hostile });
        answers.push(entrada.post_json("/register", &body).await);
        for answer in answers {
            let [code, description] = ["error", "error_description"].map(|m| answer.json()[m].clone());
            assert!(plain(code.as_str().unwrap()) && plain(description.as_str().unwrap()), "{}", answer.body);
            assert!(!answer.body.contains("alert(1)") && !answer.body.contains("7*7"), "{}", answer.body);
            no_markup_in(&answer.headers);
        }
    }
}

fn no_markup_in(headers: &HeaderMap) {
    assert!(headers.values().all(|value| !String::from_utf8_lossy(value.as_bytes()).contains("alert")));
}
