//! `entrada demo`, as a stranger meets it.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrada::demo::browser::Browser;
use entrada::demo::client;
use entrada::demo::client::Authorized;
use entrada::demo::client::Authorizing;
use entrada::demo::idp::Person;
use entrada::demo::idp::Reply;
use entrada::demo::walk::Route;
use entrada::demo::walk::walk;
use entrada::demo::watch::Unwatched;
use rmcp::model::CallToolRequestParams;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

use crate::support::entrada::TENANT;
use crate::support::mcp;
use crate::support::program::Program;
use crate::support::program::Site;
use crate::support::web_browser::Lookout;
use crate::support::web_browser::location;

/// The people of the demo's tenant.
fn oid(person: usize) -> String {
    Person::three("any").swap_remove(person).oid
}

/// A demo that serves, and where: the MCP URL, the client's pages.
async fn serving(site: &Site, environment: &[(&str, &str)]) -> (Program, String, String) {
    let data = site.data();
    let arguments = ["demo", "--port", "0", "--no-browser", "--data-dir", data.to_str().unwrap()];
    let program = site.spawn(&arguments, environment);
    program.printed("Ready.").await;
    let client_url = program.printed("Now you. In a browser on this machine: ").await;
    let mcp_url = program.printed("In your own client: ").await;
    (program, mcp_url, client_url)
}

#[tokio::test]
async fn it_walks_the_whole_flow_and_tells_each_step() {
    let site = Site::new().await;
    let data = site.data();
    let ended = site.run(&["demo", "--check", "--port", "0", "--data-dir", data.to_str().unwrap()]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    let steps = [
        ("Challenge", "POST /mcp", "401 Bearer resource_metadata="),
        (
            "Protected-resource metadata",
            "GET /.well-known/oauth-protected-resource/mcp",
            "200 resource http://localhost:",
        ),
        (
            "Authorization-server metadata",
            "GET /.well-known/oauth-authorization-server",
            "200 issuer http://localhost:",
        ),
        ("Registration", "POST /register", "201 client_id edc_"),
        ("Consent", "GET /authorize", "303 http://127.0.0.1:"),
        ("Sign-in", "GET http://127.0.0.1:", "303 http://localhost:"),
        ("Code", "GET /auth/callback", "303 http://127.0.0.1:"),
        ("Token", "POST /token grant_type=authorization_code", "200 access token, 3600 s"),
        ("Tool call", "POST /mcp tools/call whoami", &format!("oid {}", oid(0))),
        ("Refresh", "POST /token grant_type=refresh_token", "200 new access token and refresh token"),
        ("Revocation", "POST /revoke token", "200; 401"),
    ];
    for (number, (title, sent, came)) in steps.into_iter().enumerate() {
        let head = format!("{:>2}. {title}", number + 1);
        let at = lines.iter().position(|line| *line == head).unwrap_or_else(|| panic!("{head}: {ended:?}"));
        assert!(lines[at + 1].trim().starts_with(sent), "{ended:?}");
        assert!(lines[at + 2].trim().starts_with(&format!("→ {came}")), "{ended:?}");
    }
    for secret in ["eyJ", "edr_", "edac_"] {
        assert!(!ended.stdout.contains(secret), "a secret is printed: {ended:?}");
    }
}

#[tokio::test]
async fn it_goes_on_serving_and_a_person_goes_the_same_way_in_a_browser() {
    let site = Site::new().await;
    let (program, mcp_url, client_url) = serving(&site, &[]).await;
    let mut browser = Browser::new(Arc::new(Unwatched));
    let public = Url::parse(&mcp_url).unwrap().join("/").unwrap();
    assert_eq!(location(&browser.get(public.as_str()).await.unwrap()).as_str(), client_url);
    let start = browser.get(&client_url).await.unwrap();
    assert!(start.body.contains("href=\"/sign-in\""), "{}", start.body);

    let sign_in = format!("{client_url}sign-in");
    let authorize = location(&browser.get(&sign_in).await.unwrap());
    let consent = browser.get(authorize.as_str()).await.unwrap();
    assert!(
        consent.body.contains("Entrada demo") && consent.body.contains("Add expenses"),
        "{}",
        consent.body
    );
    let idp = location(&browser.submit(&consent, "decision", "approve").await.unwrap().unwrap());
    let people = browser.get(idp.as_str()).await.unwrap();
    assert!(people.body.contains("not Microsoft"), "{}", people.body);
    let callback = location(&browser.submit(&people, "person", "2").await.unwrap().unwrap());
    let back = location(&browser.get(callback.as_str()).await.unwrap());
    let done = browser.get(back.as_str()).await.unwrap();
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body.contains(&oid(2)), "{}", done.body);
    program.logged_text("event=\"token.refreshed\"").await;

    let again = browser.get(back.as_str()).await.unwrap();
    assert_eq!(again.status, 400, "a code is redeemed once");

    let mut other = Browser::new(Arc::new(Unwatched));
    let begun = other.get(&sign_in).await.unwrap();
    let back = back_to_client(&mut other, &location(&begun), 1).await;
    let mistaken = browser.get(back.as_str()).await.unwrap();
    assert!(
        mistaken.status == 400 && !mistaken.body.contains(&oid(1)),
        "in another browser: {}",
        mistaken.body
    );
    let own = other.get(back.as_str()).await.unwrap();
    assert!(own.status == 200 && own.body.contains(&oid(1)), "{}", own.body);

    let other = location(&browser.get(&sign_in).await.unwrap());
    let page = browser.get(other.as_str()).await.unwrap();
    let back = location(&browser.submit(&page, "decision", "deny").await.unwrap().unwrap());
    let declined = browser.get(back.as_str()).await.unwrap();
    assert!(declined.status == 400 && declined.body.contains("The user declined."), "{}", declined.body);
    assert!(declined.body.contains("href=\"/sign-in\""), "{}", declined.body);
    assert_eq!(declined.headers["cache-control"], "no-store");

    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!site.data().join("admin.sock").exists());
}

/// A client of this person's, signed in by the identity provider's page.
async fn client_of(site: &Site, mcp_url: &str, person: usize) -> Authorized {
    let request = mcp::request(&client::challenge(mcp_url).await.unwrap());
    let watch = Arc::new(Lookout::at(mcp_url.trim_end_matches("/mcp"), site));
    let client = Authorizing::begin(mcp_url, request, watch.clone()).await.unwrap();
    let back = back_to_client(&mut Browser::new(watch), client.authorize(), person).await;
    client.finish(&back).await.unwrap()
}

/// Approves, and signs in by the identity provider's page.
async fn back_to_client(browser: &mut Browser, authorize: &Url, person: usize) -> Url {
    let consent = browser.get(authorize.as_str()).await.unwrap();
    let idp = location(&browser.submit(&consent, "decision", "approve").await.unwrap().unwrap());
    let people = browser.get(idp.as_str()).await.unwrap();
    let picked = browser.submit(&people, "person", &person.to_string()).await.unwrap().unwrap();
    location(&browser.get(location(&picked).as_str()).await.unwrap())
}

#[tokio::test]
async fn nobody_sees_the_expenses_of_anybody_else() {
    let site = Site::new().await;
    // What all crates say at their finest must hold no secret: the site looks, when it is dropped.
    let (_program, mcp_url, _) = serving(&site, &[("RUST_LOG", "trace")]).await;
    let (ada, ben) = (client_of(&site, &mcp_url, 0).await, client_of(&site, &mcp_url, 1).await);
    let (adas, bens) = (ada.connect(()).await.unwrap(), ben.connect(()).await.unwrap());
    let lunch = json!({ "date": "2026-03-01", "cents": 1250, "currency": "EUR", "category": "lunch" });
    let Value::Object(lunch) = lunch else { panic!("an object") };
    let add = CallToolRequestParams::new("add_expense").with_arguments(lunch);
    assert_ne!(adas.running.call_tool(add).await.unwrap().is_error, Some(true));

    let listed = adas.call("list_expenses").await.unwrap();
    assert_eq!((&listed["count"], &listed["expenses"][0]["cents"]), (&json!(1), &json!(1250)), "{listed}");
    assert_eq!(listed["expenses"][0]["client_id"], ada.tokens().await.unwrap().client_id);
    assert_eq!(bens.call("list_expenses").await.unwrap()["count"], 0);
    assert_eq!(bens.call("total_by_category").await.unwrap()["totals"], json!([]));
}

#[tokio::test]
async fn what_is_printed_to_paste_leads_to_the_server() {
    let site = Site::new().await;
    let (program, mcp_url, _) = serving(&site, &[]).await;
    let printed = program.stop().await.stdout;
    let texts: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("      ")).collect();
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    let pasted: Vec<_> = texts.iter().filter_map(|text| json(text)).collect();
    let server = json!({ "type": "http", "url": mcp_url });
    assert_eq!(
        pasted,
        [
            json!({ "servers": { "entrada-demo": server } }),
            json!({ "mcpServers": { "entrada-demo": { "url": mcp_url } } }),
        ]
    );
    let links = texts.iter().filter_map(|text| Url::parse(text).ok()).filter(|url| url.scheme() == "https");
    let configs: HashMap<_, _> = links
        .map(|link| {
            let pairs: HashMap<_, _> = link.query_pairs().into_owned().collect();
            assert_eq!(pairs["name"], "entrada-demo");
            (link.host_str().unwrap().to_owned(), pairs["config"].clone())
        })
        .collect();
    assert_eq!(json(&configs["vscode.dev"]), Some(server));
    let cursor = STANDARD.decode(&configs["cursor.com"]).unwrap();
    assert_eq!(json(std::str::from_utf8(&cursor).unwrap()), Some(json!({ "url": mcp_url })));
    for command in ["claude mcp add", "npx @modelcontextprotocol/inspector"] {
        assert!(texts.iter().any(|text| text.starts_with(command) && text.ends_with(&mcp_url)), "{printed}");
    }
}

#[tokio::test]
async fn registrations_grants_and_expenses_outlive_a_restart_on_the_same_port() {
    // Between two starts the port is anybody's. Then it is tried with another one.
    for _ in 0..8 {
        let site = Site::new().await;
        let (program, mcp_url, _) = serving(&site, &[]).await;
        let client = client_of(&site, &mcp_url, 1).await;
        let port = Url::parse(&mcp_url).unwrap().port().unwrap().to_string();
        program.stop().await;
        let data = site.data();
        let data = data.to_str().unwrap();
        let program = site.spawn(&["demo", "--port", &port, "--no-browser", "--data-dir", data], &[]);
        if !program.prints("Ready.").await {
            let ended = program.ended().await;
            assert!(ended.stderr.contains("Cannot listen on"), "{ended:?}");
            continue;
        }
        client.refresh().await.unwrap();
        let who = client.connect(()).await.unwrap().call("whoami").await.unwrap();
        assert_eq!(who["oid"], oid(1).as_str());
        let listed = site.run(&["grant", "list", "--data-dir", data]).await;
        assert_eq!(listed.stdout.matches(" active ").count(), 1, "a walk leaves none: {listed:?}");
        assert!(site.data().join("expenses").is_dir());
        return;
    }
    panic!("no port was free twice");
}

#[tokio::test]
async fn a_store_for_once_is_closed_to_others_and_goes_with_the_program() {
    let site = Site::new().await;
    let passing = site.path("passing");
    std::fs::create_dir(&passing).unwrap();
    let program =
        site.spawn(&["demo", "--port", "0", "--no-browser"], &[("TMPDIR", passing.to_str().unwrap())]);
    assert!(program.prints("Ready.").await);
    let [directory] = &std::fs::read_dir(&passing).unwrap().collect::<Vec<_>>()[..] else { panic!("one") };
    let mode = directory.as_ref().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(program.stop().await.code, Some(0));
    assert_eq!(std::fs::read_dir(&passing).unwrap().count(), 0);
}

#[tokio::test]
async fn nobody_has_to_read_what_it_prints() {
    let site = Site::new().await;
    for (arguments, code) in [(&["demo", "--check", "--port", "0"][..], 0), (&["settings"], 1)] {
        let (reader, unread) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_entrada"));
        let program = program.args(arguments).current_dir(site.path("")).stdout(unread);
        let ended = program.output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_in_words() {
    let site = Site::new().await;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(taken) = TcpListener::bind(address).await else {
            assert!(address.starts_with('['), "no loopback at all");
            continue;
        };
        let port = taken.local_addr().unwrap().port().to_string();
        let ended = site.run(&["demo", "--check", "--port", &port]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for part in [&format!("localhost:{port}"), "--port"] {
            assert!(ended.stderr.contains(part), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_said_in_words() {
    let site = Site::new().await;
    let file = site.path("a-file");
    std::fs::write(&file, "not a directory").unwrap();
    let ended = site.run(&["demo", "--check", "--port", "0", "--data-dir", file.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("a-file"), "{ended:?}");

    let (_program, ..) = serving(&site, &[]).await;
    let data = site.data();
    let ended = site.run(&["demo", "--check", "--port", "0", "--data-dir", data.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

// Elsewhere the system's opener is not looked for on the PATH.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_browser_that_is_missing_is_said_in_words_and_changes_nothing() {
    let site = Site::new().await;
    let nothing = site.path("empty");
    std::fs::create_dir(&nothing).unwrap();
    let data = site.data();
    let arguments = ["demo", "--port", "0", "--data-dir", data.to_str().unwrap()];
    let program = site.spawn(&arguments, &[("PATH", nothing.to_str().unwrap())]);
    let client_url = program.printed("Now you. In a browser on this machine: ").await;
    let said = program.printed("No browser could be opened").await;
    assert!(said.contains(&client_url), "{said}");
    program.printed("Ready.").await;
    assert_eq!(program.stop().await.code, Some(0));
}

#[tokio::test]
async fn the_walk_ends_at_the_first_step_that_fails_and_says_which() {
    let site = Site::new().await;
    let mut route = Route {
        mcp_url: site.mcp_url(),
        redirect_uri: "http://127.0.0.1:33418/callback".to_owned(),
        people: Person::three(TENANT),
        person: 0,
    };
    let _program = site.start().await;
    site.script.answer_with(|_, _| Some(Reply::down()));
    let mut titles = Vec::new();
    let failed = walk(&route, &mut |step| titles.push(step.title)).await.unwrap_err();
    assert_eq!(failed.step, "Consent", "{failed}");
    assert_eq!(titles.last(), Some(&"Registration"));

    route.mcp_url = format!("{}/elsewhere", site.public_url);
    titles.clear();
    let failed = walk(&route, &mut |step| titles.push(step.title)).await.unwrap_err();
    assert_eq!((failed.step, titles.len()), ("Challenge", 0), "{failed}");
}
