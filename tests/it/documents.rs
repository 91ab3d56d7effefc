//! What the documents say of the program is what the program does. Tables that are made from the code are
//! rewritten by `BLESS=1 cargo test documents`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use entrada::config;
use entrada::demo::idp::Reply;
use entrada::domain::event::EventName;
use entrada::domain::tools::ToolPattern;
use entrada::domain::tools::ToolScopes;
use entrada::domain::vendor::NeedsSecret;
use entrada::domain::vendor::VENDORS;
use entrada::flows::administer::Selection;
use entrada::flows::administer_keys::NewKey;
use entrada::flows::block::Target;
use entrada::flows::rotate::Rotation;
use entrada::ports::store::Listing;
use entrada::protocol::scope::Scopes;
use url::Url;

use crate::support::api_key::made;
use crate::support::api_key::new;
use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::client::code_of;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;
use crate::support::page::Page;
use crate::support::published;
use crate::support::race::Course;
use crate::support::race::Raced;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares what stands between the markers `<!-- name -->` and `<!-- /name -->`, or rewrites it.
pub fn is_current(document: &str, name: &str, table: &str) {
    let text = fs::read_to_string(file(document)).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (head, rest) = text.split_once(&begin).expect("the document has the marker");
    let (_, tail) = rest.split_once(&end).expect("the document has the closing marker");
    let wanted = format!("{head}{begin}{table}{end}{tail}");
    // Not a name of the program's: it would take an unknown ENTRADA_… for a misspelt setting.
    if std::env::var_os("BLESS").is_some() {
        fs::write(file(document), &wanted).unwrap();
    } else {
        assert!(text == wanted, "{document}: {name} is out of date: BLESS=1 cargo test documents");
    }
}

/// `tests/e2e` runs this server, with clients that nobody here wrote.
#[test]
fn the_server_that_verifies_by_itself_is_the_one_on_the_page() {
    let source = fs::read_to_string(file("examples/verify/src/main.rs")).unwrap();
    is_current("docs/verify.md", "rust", &format!("```rust\n{source}```\n"));
}

#[test]
fn the_tables_are_current() {
    is_current("README.md", "settings", &config::markdown_table());
    let mut events = "| Event | Meaning | Fields |\n|---|---|---|\n".to_owned();
    for name in EventName::ALL {
        let fields = name.fields().join("`, `");
        events += &format!("| `{}` | {} | `{fields}` |\n", name.as_str(), name.meaning());
    }
    is_current("docs/events.md", "events", &events);
    let mut vendors =
        "| Host | Codes go below | Documents lie below | Seen there | Gets a secret |\n|---|---|---|---|---|\n".to_owned();
    let code = |paths: &[&str]| paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    for vendor in VENDORS {
        let (paths, documents) = (code(vendor.paths), code(vendor.documents));
        let secret = match vendor.secret {
            Some(NeedsSecret { overrides_none: true, .. }) => "also when it asks for `none`",
            Some(NeedsSecret { overrides_none: false, .. }) => "when it says no method",
            None if vendor.paths.is_empty() => "",
            None => "when it asks for one",
        };
        vendors += &format!("| `{}` | {paths} | {documents} | {} | {secret} |\n", vendor.host, vendor.seen);
    }
    is_current("README.md", "vendors", &vendors);
}

/// The first block of TOML on a page.
fn example(page: &str) -> String {
    let text = fs::read_to_string(file(page)).unwrap();
    let (_, block) = text.split_once("```toml\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

fn loads(toml: &str) {
    let directory = tempfile::tempdir().unwrap();
    let ca = rcgen::generate_simple_self_signed(["ca.example.com".to_owned()]).unwrap().cert.pem();
    let ca_file = directory.path().join("internal-ca.pem");
    fs::write(&ca_file, ca).unwrap();
    let path = directory.path().join("entrada.toml");
    fs::write(&path, toml.replace("internal-ca.pem", ca_file.to_str().unwrap())).unwrap();
    let secret = ("ENTRADA_UPSTREAM__CLIENT_SECRET".into(), "secret".into());
    if let Err(problems) = config::load(Some(&path), [secret]) {
        panic!("{problems}");
    }
}

#[test]
fn the_configurations_on_the_pages_are_some() {
    let readme = example("README.md");
    loads(&readme);
    let (server, _) = readme.split_once("[[resource]]").unwrap();
    loads(&format!("{server}{}", example("docs/gateway.md")));
}

#[test]
fn every_metric_is_described() {
    let described = fs::read_to_string(file("docs/events.md")).unwrap();
    let mut recorded = BTreeSet::new();
    for source in [
        "src/adapters/cosmos/mod.rs",
        "src/adapters/measured.rs",
        "src/app/observe.rs",
        "src/flows/tell_of_ends.rs",
        "src/flows/under_way.rs",
        "src/gateway/mod.rs",
        "src/gateway/tell.rs",
    ] {
        let text = fs::read_to_string(file(source)).unwrap();
        let names = text.split('"').skip(1).step_by(2).filter(|name| name.starts_with("entrada_"));
        recorded.extend(names.map(str::to_owned));
    }
    let rows = described.lines().filter_map(|line| line.strip_prefix("| `entrada_"));
    let rows: BTreeSet<String> =
        rows.map(|row| format!("entrada_{}", row.split('`').next().unwrap_or_default())).collect();
    assert_eq!(rows, recorded);
}

/// The fields of each event in a log, together.
fn written(log: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in log.lines().filter_map(|line| line.split_once(" audit: event=\"").map(|(_, line)| line)) {
        let (event, fields) = line.split_once('"').unwrap();
        let outside = fields.split('"').step_by(2).collect::<String>();
        let names = outside.split(' ').filter_map(|field| field.split_once('=').map(|(name, _)| name));
        events.entry(event.to_owned()).or_default().extend(names.map(str::to_owned));
    }
    events
}

#[tokio::test]
async fn every_event_carries_the_fields_of_its_row_and_no_others() {
    let course = Arc::new(Course::default());
    let there = Arc::clone(&course);
    let decorate = move |store| Arc::new(Raced { store, course: Arc::clone(&there) }) as _;
    // Nobody has to listen there: what is refused at the gateway does not get so far.
    let mut guarded = resource(ISSUER, "/mcp", Some(Url::parse("http://127.0.0.1:9/mcp").unwrap()));
    guarded.allowed.keys = true;
    guarded.forwarding.tools = ToolScopes(vec![(ToolPattern::new("*"), Scopes::parse("mcp.write"))]);
    let resources = vec![guarded];
    let setup = Setup { decorate: Box::new(decorate), resources, ..Setup::default() };
    let (entrada, web) = published::start_with(setup).await;
    let client = Client::register(&entrada).await;

    let mut browser = Browser::default();
    let page = browser.open(&entrada, &published::client(published::ID).authorize(&[])).await;
    browser.decide(&entrada, &page, "deny").await;
    published::client(published::ID).tokens(&entrada).await;
    web.serve(published::ID, Page::status(500));
    entrada.advance(300);
    published::asked(&entrada, published::ID).await;

    let mut browser = Browser::default();
    let page = browser.open(&entrada, &client.authorize(&[])).await;
    browser.decide(&entrada, &page, "deny").await;
    browser.open(&entrada, &client.authorize(&[("redirect_uri", "https://elsewhere.example.com/cb")])).await;

    let code = client.code(&entrada).await;
    let first = Tokens::of(&client.redeem(&entrada, &code).await);
    let second = Tokens::of(&client.refresh(&entrada, &first.refresh).await);
    client.refresh(&entrada, &first.refresh).await;
    client.refresh(&entrada, &second.refresh).await;
    client.refresh(&entrada, &first.refresh).await;

    let code = client.code(&entrada).await;
    client.redeem(&entrada, &code).await;
    entrada.advance(11);
    client.redeem(&entrada, &code).await;

    let tokens = client.tokens(&entrada).await;
    entrada.advance(301);
    entrada.script.token_endpoint_says(Reply::error(
        "invalid_grant",
        700_082,
        "The refresh token has expired.",
    ));
    client.refresh(&entrada, &tokens.refresh).await;
    entrada.script.honest();

    let reading = client.authorize(&[("scope", "mcp.read")]);
    let code = code_of(&Browser::default().sign_in(&entrada, &reading).await);
    let bearer = format!("Bearer {}", Tokens::of(&client.redeem(&entrada, &code).await).access);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
    let call = Request::post("/mcp")
        .header("authorization", bearer)
        .header("content-type", "application/json")
        .body(Body::from(call))
        .unwrap();
    assert_eq!(entrada.send(call).await.status, 403);

    let key = made(&entrada, NewKey { expires_in: Duration::from_secs(10), ..new("ci") }).await;
    let call = Request::get("/mcp").header("x-api-key", key.text.expose()).body(Body::empty()).unwrap();
    assert_eq!(entrada.send(call).await.status, 502);
    entrada.auth.write_key_uses().await;
    entrada.advance(9);
    entrada.auth.tell_of_keys_that_end().await;

    entrada.auth.list_grants(&Selection::All).await.unwrap();
    let nobody = || "nobody.example".to_owned();
    entrada.auth.block(Target::RedirectHost(nobody())).await.unwrap();
    entrada.auth.block(Target::DocumentHost(nobody())).await.unwrap();
    entrada.auth.block(Target::Client(client.id.clone())).await.unwrap();
    entrada.auth.unblock(Target::Client(client.id.clone())).await.unwrap();

    entrada.auth.rotate_keys(Rotation::Root).await.unwrap();
    entrada.auth.unblock(Target::RedirectHost(nobody())).await.unwrap();
    let tokens = client.tokens(&entrada).await;
    let sid = tokens.claims()["sid"].as_str().unwrap().to_owned();
    let grants = entrada.store.list(Listing::Prefix("g."), None, 100).await.unwrap();
    let before = grants.into_iter().find(|stored| stored.document.key.id == sid).unwrap().document;
    let tokens = Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);
    let after = entrada.store.read(&before.key).await.unwrap().unwrap();
    entrada.store.replace(before, &after.version).await.unwrap();
    Tokens::of(&client.refresh(&entrada, &tokens.refresh).await);

    course.away(true);
    client.refresh(&entrada, &tokens.refresh).await;

    let written = written(&entrada.log.text());
    for name in EventName::ALL {
        let mut row: BTreeSet<String> = name.fields().iter().map(|&field| field.to_owned()).collect();
        if name == EventName::StoreAway {
            // Only where the record of a client, and nothing else, could not be written.
            row.remove("client");
        }
        assert_eq!(written.get(name.as_str()), Some(&row), "{}", name.as_str());
    }
}
