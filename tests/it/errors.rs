//! Every error as one table: an endpoint, a bad input, and what is answered. `tests/it/errors.txt` is that
//! table; `BLESS=1 cargo test errors` rewrites it, and what changed is then to be read before it is committed.

mod inputs;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::header;
use entrada::demo::idp::Endpoint;
use entrada::demo::idp::Reply;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::browser::hidden;
use crate::support::browser::path_of;
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
use inputs::by;
use inputs::changed;
use inputs::get;
use inputs::request;
use inputs::with;

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
    let target = path_of(&callback);
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
        let target = path_of(&callback);
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
    stand.rows(inputs::anywhere()).await;
    stand.rows(inputs::register()).await;
    let rows = inputs::authorize(&stand).await;
    stand.rows(rows).await;
    let rows = inputs::consent(&stand).await;
    stand.rows(rows).await;
    let rows = inputs::callback(&stand).await;
    stand.rows(rows).await;
    let rows = inputs::authentication(&stand);
    stand.rows(rows).await;
    let rows = inputs::exchange(&stand).await;
    stand.rows(rows).await;
    let rows = inputs::refresh(&stand).await;
    stand.rows(rows).await;
    let rows = inputs::revoke(&stand).await;
    stand.rows(rows).await;
    let rows = inputs::gateway(&stand).await;
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
