//! Every error as one table: an endpoint, a bad input, and what is answered. `tests/it/errors.txt` is that
//! table; `BLESS=1 cargo test errors` rewrites it, and what changed is then to be read before it is committed.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::header;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Reply;
use serde_json::Value;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::browser::hidden;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::form_request;
use crate::support::entrada::parameter;
use crate::support::entrada::resource;
use crate::support::race::Course;
use crate::support::race::Raced;
use crate::support::upstream::Upstream;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A bad input, in words, and the request.
type Row = (&'static str, Request<Body>);

struct Stand {
    entrada: Entrada,
    upstream: Upstream,
    course: Arc<Course>,
    client: Client,
    confidential: Client,
    other: Client,
    table: String,
}

impl Stand {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let resources = vec![
            resource(ISSUER, "/mcp", Some(upstream.url.clone())),
            resource(ISSUER, "/other", Some(upstream.url.join("/other").unwrap())),
        ];
        let course = Arc::new(Course::default());
        let there = Arc::clone(&course);
        let decorate = Box::new(move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _);
        let setup = Setup { resources, default_resource: Some(0), decorate, ..Setup::default() };
        let entrada = Entrada::with(setup).await;
        let client = Client::register(&entrada).await;
        let other = Client::register_with(&entrada, json!({ "client_name": "Another" })).await;
        let method = json!({ "token_endpoint_auth_method": "client_secret_basic" });
        let confidential = Client::register_with(&entrada, method).await;
        Self { entrada, upstream, course, client, confidential, other, table: String::new() }
    }

    async fn rows(&mut self, rows: Vec<Row>) {
        for (input, request) in rows {
            let endpoint = format!("{} {}", request.method(), request.uri().path());
            let answer = self.entrada.send(request).await;
            writeln!(self.table, "{endpoint} | {input} | {}", told(&answer)).unwrap();
        }
    }

    /// The same with the store away.
    async fn rows_while_away(&mut self, rows: Vec<Row>) {
        self.course.away(true);
        self.rows(rows).await;
        self.course.away(false);
    }

    async fn tokens(&self) -> Tokens {
        self.client.tokens(&self.entrada).await
    }

    /// A browser that has the consent page open, and the login in its form.
    async fn asked(&self) -> (Browser, String) {
        let mut browser = Browser::default();
        let page = browser.open(&self.entrada, &self.client.authorize(&[])).await;
        (browser, hidden(&page.body, "login").unwrap())
    }

    /// A browser that is back from the identity provider, and where that sent it.
    async fn back(&self) -> (Browser, String) {
        let mut browser = Browser::default();
        let callback = browser.to_callback(&self.entrada, &self.client.authorize(&[])).await;
        (browser, callback.to_string())
    }
}

/// The status, the error code, and the headers that a client goes by.
fn told(answer: &Answer) -> String {
    let content_type = answer.header("content-type").split(';').next().unwrap_or_default();
    let code = match content_type {
        JSON => answer.error(),
        "text/html" => "(page)".to_owned(),
        _ => "-".to_owned(),
    };
    let mut told = format!("{} {code}", answer.status.as_u16());
    for name in ["content-type", "cache-control", "allow", "retry-after", "www-authenticate"] {
        for value in answer.headers.get_all(name) {
            write!(told, " | {name}: {}", value.to_str().unwrap()).unwrap();
        }
    }
    if answer.headers.contains_key(header::LOCATION) {
        let location = answer.location();
        let named = ["error", "state", "iss"].map(|name| parameter(&location, name).unwrap_or_default());
        let [error, state, iss] = named;
        let (to, _) = location.as_str().split_once('?').unwrap_or((location.as_str(), ""));
        write!(told, " | location: {to} error={error} state={state} iss={iss}").unwrap();
    }
    told
}

fn post(target: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(target).header("content-type", content_type).body(body.into()).unwrap()
}

fn get(target: &str) -> Request<Body> {
    request("GET", target)
}

fn request(method: &str, target: &str) -> Request<Body> {
    Request::builder().method(method).uri(target).body(Body::empty()).unwrap()
}

fn with(name: &'static str, value: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

/// The request with the cookies of a browser.
fn by(browser: &Browser, request: Request<Body>) -> Request<Body> {
    let pairs: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    with("cookie", &pairs.join("; "), request)
}

/// A form with some parameters replaced; an empty value removes one.
fn changed(target: &str, form: &[(String, String)], changes: &[(&str, &str)]) -> Request<Body> {
    let ours = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let kept = ours.filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let new = changes.iter().copied().filter(|(_, value)| !value.is_empty());
    form_request(target, &kept.chain(new).collect::<Vec<_>>())
}

fn anywhere() -> Vec<Row> {
    let mut rows = vec![
        ("unknown path", get("/nothing")),
        ("unknown path", get("/.well-known/nothing")),
        ("no such resource", get("/.well-known/oauth-protected-resource/nothing")),
        ("no such resource", get("/.well-known/oauth-authorization-server/nothing")),
        ("no such resource", get("/.well-known/openid-configuration/nothing")),
    ];
    for path in ["/authorize", "/auth/callback", "/.well-known/oauth-authorization-server"] {
        rows.push(("wrong method", post(path, FORM, "a=b")));
    }
    for path in ["/register", "/consent", "/token", "/revoke"] {
        rows.push(("wrong method", get(path)));
        rows.push(("no content type", Request::post(path).body(Body::from("a=b")).unwrap()));
        rows.push(("wrong content type", post(path, "text/plain", "a=b")));
        let own = if path == "/register" { JSON } else { FORM };
        rows.push(("body over 64 KiB", post(path, own, vec![b' '; 64 * 1024 + 1])));
    }
    rows
}

fn register() -> Vec<Row> {
    let json = |body: Value| post("/register", JSON, body.to_string());
    let uris = |uris: Value| json(json!({ "redirect_uris": uris }));
    let good = json!(["https://claude.ai/api/mcp/auth_callback"]);
    vec![
        ("empty body", post("/register", JSON, "")),
        ("not JSON", post("/register", JSON, "{")),
        ("a form", post("/register", FORM, "client_name=x")),
        ("an array", json(json!([]))),
        ("no redirect_uris", json(json!({}))),
        ("empty redirect_uris", uris(json!([]))),
        ("redirect_uris as text", uris(json!("https://claude.ai/cb"))),
        ("plain http elsewhere", uris(json!(["http://client.example.com/cb"]))),
        ("fragment", uris(json!(["https://claude.ai/cb#x"]))),
        ("user information", uris(json!(["https://u:p@claude.ai/cb"]))),
        ("script", uris(json!(["javascript:alert(1)"]))),
        ("client_name is a number", json(json!({ "redirect_uris": good, "client_name": 7 }))),
        ("scope is a list", json(json!({ "redirect_uris": good, "scope": ["mcp.read"] }))),
        (
            "unknown authentication method",
            json(json!({ "redirect_uris": good, "token_endpoint_auth_method": "tls_client_auth" })),
        ),
        (
            "metadata of 4 KB",
            uris(json!(
                (0..40).map(|n| format!("https://claude.ai/{n}/{}", "p".repeat(90))).collect::<Vec<_>>()
            )),
        ),
    ]
}

async fn authorize(stand: &Stand) -> Vec<Row> {
    let asks = |client: &Client, changes: &[(&str, &str)]| get(&client.authorize(changes));
    let ask = |changes: &[(&str, &str)]| asks(&stand.client, changes);
    let stranger = json!({ "redirect_uris": ["https://client.example.net/cb"] });
    let stranger = Client::register_with(&stand.entrada, stranger).await;
    let long = "s".repeat(1_025);
    vec![
        ("no parameters", get("/authorize")),
        ("no client_id", ask(&[("client_id", "")])),
        ("unknown client_id", ask(&[("client_id", "edc_unknown")])),
        ("client_id twice", ask(&[("client_id", "a"), ("client_id", "b")])),
        ("no redirect_uri", ask(&[("redirect_uri", "")])),
        (
            "redirect_uri of 4 KB",
            ask(&[("redirect_uri", &format!("https://claude.ai/{}", "p".repeat(4_096)))]),
        ),
        ("redirect_uri not registered", ask(&[("redirect_uri", "http://127.0.0.1:33418/other")])),
        ("redirect_uri malformed", ask(&[("redirect_uri", "javascript:alert(1)")])),
        ("redirect host not trusted", asks(&stranger, &[])),
        ("no response_type", ask(&[("response_type", "")])),
        ("response_type token", ask(&[("response_type", "token")])),
        ("response_mode fragment", ask(&[("response_mode", "fragment")])),
        ("state of 1025 characters", ask(&[("state", &long)])),
        ("state twice", ask(&[("state", "a"), ("state", "b")])),
        ("no code_challenge", ask(&[("code_challenge", "")])),
        ("code_challenge too short", ask(&[("code_challenge", "short")])),
        ("no code_challenge_method", ask(&[("code_challenge_method", "")])),
        ("code_challenge_method plain", ask(&[("code_challenge_method", "plain")])),
        ("unknown resource", ask(&[("resource", "https://elsewhere.example/mcp")])),
        (
            "two resources",
            ask(&[
                ("resource", "https://mcp.example.com/mcp"),
                ("resource", "https://mcp.example.com/other"),
            ]),
        ),
        ("scope twice", ask(&[("scope", "mcp.read"), ("scope", "mcp.write")])),
        ("prompt none", ask(&[("prompt", "none")])),
        ("max_age in words", ask(&[("max_age", "soon")])),
    ]
}

async fn consent(stand: &Stand) -> Vec<Row> {
    let (browser, login) = stand.asked().await;
    let (another, _) = stand.asked().await;
    let decide =
        |login: &str, decision: &str| form_request("/consent", &[("login", login), ("decision", decision)]);
    vec![
        ("no login", by(&browser, decide("", "approve"))),
        ("login is garbage", by(&browser, decide("AAAA", "approve"))),
        ("no decision", by(&browser, decide(&login, ""))),
        ("unknown decision", by(&browser, decide(&login, "perhaps"))),
        ("no cookie", decide(&login, "approve")),
        ("the cookie of another browser", by(&another, decide(&login, "approve"))),
        (
            "sent by another site",
            by(&browser, with("sec-fetch-site", "cross-site", decide(&login, "approve"))),
        ),
        ("declined", by(&browser, decide(&login, "deny"))),
    ]
}

async fn callback(stand: &Stand) -> Vec<Row> {
    let (browser, callback) = stand.back().await;
    let (another, _) = stand.back().await;
    let target = crate::support::browser::path_of(&callback);
    let state = parameter(&url::Url::parse(&callback).unwrap(), "state").unwrap();
    let says = |error: &str| by(&browser, get(&format!("/auth/callback?state={state}&error={error}")));
    vec![
        ("no parameters", get("/auth/callback")),
        ("no state", by(&browser, get("/auth/callback?code=x"))),
        ("no cookie", get(&target)),
        ("no cookie, and an error", get(&format!("/auth/callback?state={state}&error=access_denied"))),
        ("the cookies of another browser", by(&another, get(&target))),
        ("neither code nor error", by(&browser, get(&format!("/auth/callback?state={state}")))),
        ("code twice", by(&browser, get(&format!("/auth/callback?state={state}&code=a&code=b")))),
        ("state twice", by(&browser, get(&format!("{target}&state={state}")))),
        (
            "a code that the provider did not give",
            by(&browser, get(&format!("/auth/callback?state={state}&code=x"))),
        ),
        ("access_denied", says("access_denied")),
        ("temporarily_unavailable", says("temporarily_unavailable")),
        ("server_error", says("server_error")),
        ("interaction_required", says("interaction_required")),
        ("an unknown error", says("%3Cscript%3E")),
    ]
}

async fn exchange(stand: &Stand) -> Vec<Row> {
    let code = stand.client.code(&stand.entrada).await;
    let spent = stand.client.code(&stand.entrada).await;
    stand.client.redeem(&stand.entrada, &spent).await;
    let form = stand.client.redeem_form(&code);
    let redeem = |changes: &[(&str, &str)]| changed("/token", &form, changes);
    vec![
        ("no grant_type", redeem(&[("grant_type", "")])),
        ("grant_type password", redeem(&[("grant_type", "password")])),
        ("grant_type client_credentials", redeem(&[("grant_type", "client_credentials")])),
        (
            "grant_type twice",
            redeem(&[("grant_type", "authorization_code"), ("grant_type", "refresh_token")]),
        ),
        ("no client_id", redeem(&[("client_id", "")])),
        ("unknown client_id", redeem(&[("client_id", "edc_unknown")])),
        ("client_id twice", redeem(&[("client_id", "a"), ("client_id", "a")])),
        ("a secret that a public client has not", redeem(&[("client_secret", "edcs_AQE")])),
        ("another client", redeem(&[("client_id", &stand.other.id)])),
        ("a confidential client without its secret", redeem(&[("client_id", &stand.confidential.id)])),
        ("no code", redeem(&[("code", "")])),
        ("code is garbage", redeem(&[("code", "edac_garbage")])),
        ("code twice", redeem(&[("code", "a"), ("code", "b")])),
        ("code already redeemed", redeem(&[("code", &spent)])),
        ("no code_verifier", redeem(&[("code_verifier", "")])),
        ("wrong code_verifier", redeem(&[("code_verifier", &"v".repeat(43))])),
        ("another redirect_uri", redeem(&[("redirect_uri", "http://127.0.0.1:33418/other")])),
        ("another resource", redeem(&[("resource", "https://mcp.example.com/other")])),
    ]
}

/// Client authentication, which is the same for every grant and for revocation.
fn authentication(stand: &Stand) -> Vec<Row> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("token", "x")];
    let mut rows = Vec::new();
    for target in ["/token", "/revoke"] {
        let sent = |authorization: &str| with("authorization", authorization, form_request(target, &form));
        rows.extend([
            ("no client at all", form_request(target, &form)),
            ("Basic without credentials", sent("Basic")),
            ("Basic that is no base64", sent("Basic !!!")),
            ("Basic without a colon", sent("Basic bm9jb2xvbg==")),
            ("Basic with an unknown client", sent("Basic dW5rbm93bjpzZWNyZXQ=")),
            ("Bearer", sent("Bearer x")),
            ("two Authorization headers", with("authorization", "Basic dTpz", sent("Basic dTpz"))),
            (
                "a confidential client without its secret",
                changed(target, &[], &[("client_id", &stand.confidential.id), ("token", "x")]),
            ),
        ]);
    }
    rows
}

async fn refresh(stand: &Stand) -> Vec<Row> {
    let live = stand.tokens().await;
    let revoked = stand.tokens().await;
    let ended = [("client_id", stand.client.id.as_str()), ("token", &revoked.refresh)];
    assert_eq!(stand.entrada.post_form("/revoke", &ended).await.status, 200);
    let form = stand.client.refresh_form(&live.refresh);
    let refresh = |changes: &[(&str, &str)]| changed("/token", &form, changes);
    vec![
        ("no refresh_token", refresh(&[("refresh_token", "")])),
        ("refresh_token is garbage", refresh(&[("refresh_token", "edr_garbage")])),
        ("refresh_token twice", refresh(&[("refresh_token", "a"), ("refresh_token", "b")])),
        ("refresh_token of a revoked grant", refresh(&[("refresh_token", &revoked.refresh)])),
        ("refresh_token is an access token", refresh(&[("refresh_token", &live.access)])),
        ("another client", refresh(&[("client_id", &stand.other.id)])),
        ("another resource", refresh(&[("resource", "https://mcp.example.com/other")])),
        ("scope twice", refresh(&[("scope", "mcp.read"), ("scope", "mcp.write")])),
    ]
}

async fn revoke(stand: &Stand) -> Vec<Row> {
    let live = stand.tokens().await;
    let form =
        vec![("client_id".to_owned(), stand.client.id.clone()), ("token".to_owned(), live.refresh.clone())];
    let revoke = |changes: &[(&str, &str)]| changed("/revoke", &form, changes);
    vec![
        ("no token", revoke(&[("token", "")])),
        ("token twice", revoke(&[("token", "a"), ("token", "b")])),
        ("unknown token, which is no error", revoke(&[("token", "edr_garbage")])),
        ("another client", revoke(&[("client_id", &stand.other.id)])),
        ("unknown client_id", revoke(&[("client_id", "edc_unknown")])),
    ]
}

async fn gateway(stand: &Stand) -> Vec<Row> {
    let live = stand.tokens().await;
    let revoked = stand.tokens().await;
    let ended = [("client_id", stand.client.id.as_str()), ("token", &revoked.refresh)];
    assert_eq!(stand.entrada.post_form("/revoke", &ended).await.status, 200);
    let bearing = |token: &str, request| with("authorization", &format!("Bearer {token}"), request);
    let call = |token: &str| bearing(token, request("POST", "/mcp"));
    vec![
        ("no token", request("POST", "/mcp")),
        ("no token, below the resource", request("POST", "/mcp/below")),
        ("token in the query", request("POST", &format!("/mcp?access_token={}", live.access))),
        ("token in the body", post("/mcp", FORM, format!("access_token={}", live.access))),
        ("Basic", with("authorization", "Basic dTpz", request("POST", "/mcp"))),
        ("Bearer without a token", with("authorization", "Bearer", request("POST", "/mcp"))),
        ("garbage", call("garbage")),
        ("20 KB of garbage", call(&"a".repeat(20_000))),
        ("a refresh token", call(&live.refresh)),
        ("a revoked grant", call(&revoked.access)),
        ("a token for another resource", bearing(&live.access, request("POST", "/other"))),
        ("two Authorization headers", bearing(&live.access, call(&live.access))),
        ("dot segments", bearing(&live.access, request("POST", "/mcp/../token"))),
        ("method TRACE", bearing(&live.access, request("TRACE", "/mcp"))),
        ("method PUT", bearing(&live.access, request("PUT", "/mcp"))),
    ]
}

async fn behind_gateway(stand: &mut Stand) {
    let live = stand.tokens().await;
    let call = || with("authorization", &format!("Bearer {}", live.access), request("POST", "/mcp"));
    stand.upstream.answers(401, &[("www-authenticate", "Bearer")]);
    stand.rows(vec![("the server refuses our token", call())]).await;
    stand.upstream.answers(307, &[("location", "http://internal.example/")]);
    stand.rows(vec![("the server redirects", call())]).await;
    stand.upstream.answers(200, &[]);
}

/// What no request says: time has passed, the provider or the store has trouble.
async fn circumstances(stand: &mut Stand) {
    let (code, live) = (stand.client.code(&stand.entrada).await, stand.tokens().await);
    let (asking, login) = stand.asked().await;
    let (back, callback) = stand.back().await;
    let target = crate::support::browser::path_of(&callback);
    let approve = || by(&asking, form_request("/consent", &[("login", &login), ("decision", "approve")]));
    let call = || with("authorization", &format!("Bearer {}", live.access), request("POST", "/mcp"));
    let (redeem, refresh) = (stand.client.redeem_form(&code), stand.client.refresh_form(&live.refresh));
    let revocation =
        [("client_id".to_owned(), stand.client.id.clone()), ("token".to_owned(), live.refresh.clone())];

    stand.entrada.advance(31);
    let away = vec![
        ("store away", changed("/token", &redeem, &[])),
        ("store away", changed("/token", &refresh, &[])),
        ("store away", changed("/revoke", &revocation, &[])),
        ("store away, grant known", call()),
        ("store away", by(&back, get(&target))),
    ];
    stand.rows_while_away(away).await;

    stand.entrada.advance(300);
    for (trouble, reply) in [
        ("provider down", Reply::down()),
        ("provider throttles", Reply::throttled(30)),
        ("provider refuses us", Reply::error("invalid_client", 7_000_215, "Invalid client secret provided.")),
    ] {
        stand.entrada.script.token_endpoint_says(reply.clone());
        stand.rows(vec![(trouble, changed("/token", &refresh, &[]))]).await;
        let (back, callback) = stand.back().await;
        let target = crate::support::browser::path_of(&callback);
        stand.rows(vec![(trouble, by(&back, get(&target)))]).await;
    }
    stand
        .entrada
        .script
        .answer_with(|at, _| (at == Endpoint::Token).then(|| Reply::error("invalid_grant", 50_173, "Over.")));
    stand.rows(vec![("provider ended the session", changed("/token", &refresh, &[]))]).await;
    stand.entrada.script.honest();
    stand.rows(vec![("code expired", changed("/token", &redeem, &[]))]).await;

    stand.entrada.advance(3_600);
    let late = vec![
        ("login expired", approve()),
        ("login expired", by(&back, get(&target))),
        ("access token expired", call()),
    ];
    stand.rows(late).await;
}

#[tokio::test]
async fn every_error_is_answered_as_the_table_says() {
    let mut stand = Stand::new().await;
    stand.rows(anywhere()).await;
    stand.rows(register()).await;
    let rows = authorize(&stand).await;
    stand.rows(rows).await;
    let rows = consent(&stand).await;
    stand.rows(rows).await;
    let rows = callback(&stand).await;
    stand.rows(rows).await;
    let rows = authentication(&stand);
    stand.rows(rows).await;
    let rows = exchange(&stand).await;
    stand.rows(rows).await;
    let rows = refresh(&stand).await;
    stand.rows(rows).await;
    let rows = revoke(&stand).await;
    stand.rows(rows).await;
    let rows = gateway(&stand).await;
    stand.rows(rows).await;
    behind_gateway(&mut stand).await;
    circumstances(&mut stand).await;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/errors.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &stand.table).unwrap();
    }
    let known = fs::read_to_string(&file).unwrap();
    let differing = known.lines().zip(stand.table.lines()).find(|(known, now)| known != now);
    assert!(
        known == stand.table,
        "tests/it/errors.txt is out of date: BLESS=1 cargo test errors, and read what changed. First: {differing:#?}"
    );
}
