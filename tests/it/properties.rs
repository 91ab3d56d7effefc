//! What holds for every input of a kind, and not only for those that somebody thought of.

mod headers;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::Request;
use entrada::domain::trust::Trust;
use entrada::protocol::redirect_uri::RedirectUri;
use entrada::protocol::scope::Scopes;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::test_runner::TestRunner;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use url::Host;
use url::Url;

use crate::support::browser::Browser;
use crate::support::browser::hidden;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::resource;
use crate::support::upstream::Upstream;

/// Cases of a property that goes through the whole program: about a millisecond each.
const THROUGH_THE_PROGRAM: u32 = 64;

/// Like a redirect URI, and often one.
fn uri() -> impl Strategy<Value = String> {
    let scheme =
        select(vec!["https://", "http://", "HTTPS://", "https:/", "https:", "javascript:", "ftp://"]);
    let user = select(vec!["", "", "", "", "u@", "u:p@", "claude.ai@", "@"]);
    let host = select(vec![
        "claude.ai",
        "vscode.dev",
        "example.com",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "CLAUDE.ai",
        "127.1",
        "10.0.0.1",
        "",
        "evil.example\\",
        "cl\u{0430}ude.ai",
        "localhost.",
        "xn--clude-2nf.ai",
    ]);
    let port = select(vec!["", "", ":33418", ":443", ":80", ":0", ":99999", ":"]);
    let path = "(/[a-z]{1,6}|/\\.\\.|/\\.|/%2e%2e|/%2E|/%2f|\\\\x|/ |/;x|/){0,3}";
    let tail = select(vec![
        "",
        "",
        "?a=b",
        "?code=x",
        "?a=b&state=x",
        "?",
        "#",
        "#f",
        "?%63ode=1",
        "\t",
        "\u{0}",
        "\u{202e}",
    ]);
    let whole = (scheme, user, host, port, path, tail)
        .prop_map(|(scheme, user, host, port, path, tail)| format!("{scheme}{user}{host}{port}{path}{tail}"));
    prop_oneof![6 => whole, 1 => "\\PC{0,40}"]
}

/// A redirect URI as a client that means well writes it.
fn good_uri() -> impl Strategy<Value = String> {
    let loopback = (select(vec!["127.0.0.1", "localhost", "[::1]"]), 1_024_u16.., "[a-z]{1,8}(/[a-z]{1,8})?")
        .prop_map(|(host, port, path)| format!("http://{host}:{port}/{path}"));
    let hosted = (
        select(vec!["client.example.net", "other.example.net"]),
        "[a-z]{1,8}(/[a-z]{1,8}){0,2}(\\?[a-z]=[a-z0-9]{1,4})?",
    )
        .prop_map(|(host, rest)| format!("https://{host}/{rest}"));
    prop_oneof![loopback, hosted]
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn dotted(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(2_000) })]

    #[test]
    fn an_accepted_redirect_uri_means_the_same_to_every_reader(text in uri()) {
        let Some(accepted) = RedirectUri::parse(&text) else { return Ok(()) };
        prop_assert_eq!(accepted.as_str(), &text);
        let url = Url::parse(&text).expect("it is a URL");
        prop_assert!(url.as_str() == text || url.as_str() == format!("{text}/"), "{text} is read as {url}");
        prop_assert!(url.username().is_empty() && url.password().is_none() && !text.contains('@'));
        prop_assert!(url.fragment().is_none() && !text.contains('#'));
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
        prop_assert!(!text.split(['/', '?']).any(dotted));
        prop_assert!(url.scheme() != "http" || is_loopback(&url));
        prop_assert!(!matches!(url.scheme(), "javascript" | "data" | "file" | "blob" | "ftp"));
        prop_assert!(url.query_pairs().all(|(name, _)| !matches!(&*name, "code" | "state" | "iss" | "error")));
    }

    #[test]
    fn what_clients_that_mean_well_register_is_accepted(text in good_uri()) {
        prop_assert!(RedirectUri::parse(&text).is_some());
    }

    /// RFC 8252 §7.3: the port, and only of a loopback address, and nothing else.
    #[test]
    fn two_redirect_uris_are_one_only_but_for_a_loopback_port(one in good_uri(), two in good_uri(), port: u16) {
        let (Some(a), Some(b)) = (RedirectUri::parse(&one), RedirectUri::parse(&two)) else { return Ok(()) };
        let bare = |text: &str| {
            let mut url = Url::parse(text).unwrap();
            if url.scheme() == "http" {
                url.set_port(None).unwrap();
            }
            url
        };
        prop_assert_eq!(a.allows(&b), bare(&one) == bare(&two));
        prop_assert_eq!(b.allows(&a), a.allows(&b));
        let mut moved = Url::parse(&one).unwrap();
        moved.set_port(Some(port.max(1_024))).unwrap();
        let moved = RedirectUri::parse(moved.as_str()).unwrap();
        prop_assert_eq!(a.allows(&moved), one.starts_with("http://"), "{} {}", a, moved);
    }

    #[test]
    fn scopes_are_read_and_written_without_loss(words in prop::collection::vec("[!#-\\[\\]-~]{1,12}", 0..12), gap in " {1,3}") {
        let scopes = Scopes::parse(&words.join(&gap));
        prop_assert_eq!(&Scopes::parse(&scopes.to_string()), &scopes);
        let mut once: Vec<&str> = Vec::new();
        for word in &words {
            if !once.contains(&word.as_str()) {
                once.push(word);
            }
        }
        prop_assert_eq!(scopes.iter().collect::<Vec<_>>(), once, "each once, in order");
    }

    #[test]
    fn what_is_granted_exists_and_was_asked_for_in_this_order(asked in prop::collection::vec("mcp\\.(read|write|admin)|openid|offline_access|MCP\\.READ|claudeai", 0..8)) {
        let server = resource(ISSUER, "/mcp", None);
        let asked = Scopes::parse(&asked.join(" "));
        let granted = server.grantable(&asked);
        prop_assert!(!granted.is_empty());
        prop_assert!(granted.iter().all(|scope| server.all_scopes().contains(scope)));
        let known: Vec<&str> = asked.iter().filter(|scope| server.all_scopes().contains(scope)).collect();
        let expected = if known.is_empty() { server.default_scopes.iter().collect() } else { known };
        prop_assert_eq!(granted.iter().collect::<Vec<_>>(), expected);
    }
}

/// A runtime of one thread, an Entrada before an upstream, and a client that is signed in.
struct Stand {
    runtime: Runtime,
    entrada: Entrada,
    upstream: Upstream,
    client: Client,
    tokens: Tokens,
    /// A session of this client's: what the upstream knows as [`SESSION`].
    session: String,
}

const SESSION: &str = "session-1";

impl Stand {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (entrada, upstream, client, tokens) = runtime.block_on(async {
            let upstream = Upstream::start().await;
            let resources = vec![resource(ISSUER, "/mcp", Some(upstream.url.clone()))];
            let hosts = ["client.example.net", "other.example.net"].map(str::to_owned).to_vec();
            let trust = Trust { hosts, ..Trust::default() };
            let entrada = Entrada::with(Setup { resources, trust, ..Setup::default() }).await;
            let client = Client::register(&entrada).await;
            let tokens = client.tokens(&entrada).await;
            (entrada, upstream, client, tokens)
        });
        let mut stand = Self { runtime, entrada, upstream, client, tokens, session: String::new() };
        stand.upstream.answers(200, &[("mcp-session-id", SESSION)]);
        stand.session = stand.call(&[]).1["mcp-session-id"].to_str().unwrap().to_owned();
        stand.upstream.answers(200, &[]);
        stand
    }

    /// A request with these headers, as the upstream sees it, and the answer's headers.
    fn call(&self, headers: &[(String, String)]) -> (HeaderMap, HeaderMap) {
        let mut request =
            Request::post("/mcp").header("authorization", format!("Bearer {}", self.tokens.access));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = self.runtime.block_on(self.entrada.send(request.body(Body::from("{}")).unwrap()));
        assert_eq!(answer.status, 200, "{answer:?}");
        (self.upstream.arrived().remove(0).headers, answer.headers)
    }
}

fn check<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    // A seed that failed is in what is printed; nothing is written beside the sources.
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    TestRunner::new(config).run(strategy, property).unwrap_or_else(|failed| panic!("{failed}"));
}

/// How a credential is changed: at which place, and to which character.
#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, char),
    Insert(prop::sample::Index, char),
    Cut(prop::sample::Index),
    Append(String),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let character = || "[A-Za-z0-9_.=~-]".prop_map(|text| text.chars().next().unwrap());
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), character()).prop_map(|(at, to)| Change::Replace(at, to)),
        (at(), character()).prop_map(|(at, to)| Change::Insert(at, to)),
        at().prop_map(Change::Cut),
        "[A-Za-z0-9_.=-]{1,4}".prop_map(Change::Append),
        (at(), at()).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

fn changed(credential: &str, change: &Change) -> String {
    let mut text: Vec<char> = credential.chars().collect();
    match change {
        Change::Replace(at, to) => text[at.index(credential.len())] = *to,
        Change::Insert(at, what) => text.insert(at.index(credential.len()), *what),
        Change::Cut(at) => text.truncate(at.index(credential.len())),
        Change::Append(what) => text.extend(what.chars()),
        Change::Swap(a, b) => text.swap(a.index(credential.len()), b.index(credential.len())),
    }
    text.into_iter().collect()
}

#[test]
fn a_code_or_refresh_token_that_was_changed_is_never_accepted() {
    let stand = Stand::new();
    let code = stand.runtime.block_on(stand.client.code(&stand.entrada));
    check(THROUGH_THE_PROGRAM, &change(), |change| {
        let (client, entrada) = (&stand.client, &stand.entrada);
        let forged = changed(&code, &change);
        if forged != code {
            let answer = stand.runtime.block_on(client.redeem(entrada, &forged));
            prop_assert_eq!(answer.status.as_u16(), 400, "{}", forged);
        }
        let forged = changed(&stand.tokens.refresh, &change);
        if forged != stand.tokens.refresh {
            let answer = stand.runtime.block_on(client.refresh(entrada, &forged));
            prop_assert_eq!(answer.status.as_u16(), 400, "{}", forged);
        }
        Ok(())
    });
    let (redeemed, refreshed) = stand.runtime.block_on(async {
        let redeemed = stand.client.redeem(&stand.entrada, &code).await.status;
        (redeemed, stand.client.refresh(&stand.entrada, &stand.tokens.refresh).await.status)
    });
    assert_eq!((redeemed.as_u16(), refreshed.as_u16()), (200, 200), "and nothing was spent by trying");
}

#[test]
fn random_text_is_never_a_credential() {
    let stand = Stand::new();
    let text = prop_oneof![
        "eda?[cr]_[A-Za-z0-9_-]{60,80}",
        "edcs_[A-Za-z0-9_-]{20,30}",
        "[ -~]{1,60}",
        "\\PC{1,40}"
    ];
    check(THROUGH_THE_PROGRAM, &text, |text| {
        let (client, entrada) = (&stand.client, &stand.entrada);
        let statuses = stand.runtime.block_on(async {
            let unknown = Client { id: text.clone(), ..client.clone() };
            let consent = form_request("/consent", &[("login", &text), ("decision", "approve")]);
            [
                client.redeem(entrada, &text).await.status.as_u16(),
                client.refresh(entrada, &text).await.status.as_u16(),
                unknown.refresh(entrada, &stand.tokens.refresh).await.status.as_u16(),
                entrada.get(&unknown.authorize(&[])).await.status.as_u16(),
                entrada.send(consent).await.status.as_u16(),
            ]
        });
        prop_assert_eq!(statuses, [400, 400, 401, 400, 400]);
        Ok(())
    });
}

#[test]
fn a_client_id_a_login_or_an_access_token_that_was_changed_is_never_accepted() {
    let stand = Stand::new();
    let mut browser = Browser::default();
    let page = stand.runtime.block_on(browser.open(&stand.entrada, &stand.client.authorize(&[])));
    let login = hidden(&page.body, "login").unwrap();
    check(THROUGH_THE_PROGRAM, &change(), |change| {
        let id = changed(&stand.client.id, &change);
        if id != stand.client.id {
            let unknown = Client { id, ..stand.client.clone() };
            let answer = stand.runtime.block_on(stand.entrada.get(&unknown.authorize(&[])));
            prop_assert_eq!(answer.status.as_u16(), 400, "{}", unknown.id);
        }
        let forged = changed(&login, &change);
        if forged != login {
            let form = form_request("/consent", &[("login", &forged), ("decision", "approve")]);
            let answer = stand.runtime.block_on(browser.clone().send(&stand.entrada, form));
            prop_assert_eq!(answer.status.as_u16(), 400, "{}", forged);
        }
        let access = changed(&stand.tokens.access, &change);
        if access != stand.tokens.access {
            let request = Request::post("/mcp").header("authorization", format!("Bearer {access}"));
            let request = request.body(Body::empty()).unwrap();
            let answer = stand.runtime.block_on(stand.entrada.send(request));
            prop_assert_eq!(answer.status.as_u16(), 401, "{}", access);
        }
        Ok(())
    });
    assert!(stand.upstream.arrived().is_empty());
}

#[test]
fn a_client_id_says_what_was_registered() {
    let stand = Stand::new();
    let strategy = (prop::collection::vec(good_uri(), 1..4), "\\PC{0,60}");
    check(THROUGH_THE_PROGRAM, &strategy, |(uris, name)| {
        let body = json!({ "redirect_uris": uris, "client_name": name });
        let (registered, statuses) = stand.runtime.block_on(async {
            let registered = stand.entrada.post_json("/register", &body).await;
            let id = registered.json()["client_id"].as_str().unwrap_or_default().to_owned();
            let mut statuses = Vec::new();
            for uri in uris
                .iter()
                .map(String::as_str)
                .chain(["https://client.example.net/not-registered-by-anybody"])
            {
                let client = Client { id: id.clone(), secret: None, redirect_uri: uri.to_owned() };
                statuses.push(stand.entrada.get(&client.authorize(&[])).await.status.as_u16());
            }
            (registered, statuses)
        });
        prop_assert_eq!(registered.status.as_u16(), 201, "{}", registered.body);
        let (elsewhere, own) = statuses.split_last().unwrap();
        prop_assert!(own.iter().all(|status| *status == 200), "{statuses:?} {uris:?}");
        prop_assert_eq!(*elsewhere, 400);
        Ok(())
    });
}
