//! What is seen from outside: health, metrics, log lines.

use entrada::domain::event::EventName;
use serde_json::Value;
use serde_json::json;

use crate::support::mcp;
use crate::support::program::Site;

/// An answer's status and body.
async fn get(url: &str) -> (u16, String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn it_is_alive_and_ready() {
    let site = Site::new().await;
    let _program = site.start().await;
    let (status, body) = get(&format!("{}/healthz/live", site.public_url)).await;
    assert_eq!((status, serde_json::from_str(&body).unwrap()), (200, json!({ "status": "live" })));
    let (status, body) = get(&format!("{}/healthz/ready", site.public_url)).await;
    let ready = json!({ "status": "ready", "store": "ok" });
    assert_eq!((status, serde_json::from_str(&body).unwrap()), (200, ready));
}

#[tokio::test]
async fn one_flow_shows_in_the_metrics_which_have_a_listener_of_their_own() {
    let site = Site::new().await;
    let program = site.start().await;
    let client = mcp::sign_in(&site, 0).await;
    client.connect().await.call("whoami").await.unwrap();
    client.refresh().await.unwrap();
    let url = program.metrics_url().await;
    let (status, metrics) = get(&url).await;
    assert_eq!(status, 200);
    for (name, labels) in [
        ("entrada_requests_total", &[r#"route="/token""#, r#"method="POST""#, r#"status="200""#][..]),
        ("entrada_requests_total", &[r#"route="/mcp""#, r#"status="200""#]),
        ("entrada_request_seconds_count", &[r#"route="/authorize""#]),
        ("entrada_refusals_total", &[r#"route="/mcp""#, r#"reason="no_token""#]),
        ("entrada_store_operations_total", &[r#"operation="create""#, r#"outcome="ok""#]),
        ("entrada_store_operations_total", &[r#"operation="replace""#, r#"outcome="ok""#]),
        ("entrada_store_seconds_count", &[r#"operation="read""#]),
        ("entrada_upstream_calls_total", &[r#"operation="redeem""#, r#"outcome="ok""#]),
        ("entrada_upstream_calls_total", &[r#"operation="refresh""#, r#"outcome="ok""#]),
        ("entrada_upstream_seconds_count", &[r#"operation="redeem""#]),
        ("entrada_gateway_seconds_count", &[r#"resource="/mcp""#]),
    ] {
        let line = metrics.lines().find(|line| {
            line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
        });
        let value = line.and_then(|line| line.rsplit(' ').next()).map(|value| value.parse::<f64>().unwrap());
        assert!(value.is_some_and(|value| value >= 1.0), "{name} {labels:?}:\n{metrics}");
    }
    site.idp.secrets().into_iter().for_each(|secret| site.vigil.never(secret));
    site.vigil.watch("elsewhere", "", &metrics);
    assert_eq!(get(&format!("{}/metrics", site.public_url)).await.0, 404);
    assert_eq!(get(&url.replace("/metrics", "/healthz/live")).await.0, 404);
}

#[tokio::test]
async fn without_the_setting_there_are_no_metrics() {
    let site = Site::new().await;
    let settings = site.settings().replace("[metrics]\nlisten = \"127.0.0.1:0\"", "");
    let program = site.start_with(&settings).await;
    get(&format!("{}/healthz/live", site.public_url)).await;
    assert!(program.log().iter().all(|line| line["message"] != "serving metrics"));
    assert_eq!(get(&format!("{}/metrics", site.public_url)).await.0, 404);
    assert_eq!(program.stop().await.code, Some(0));
}

#[tokio::test]
async fn log_lines_are_json_with_a_request_id_and_the_events_of_the_table() {
    let site = Site::new().await;
    let program = site.start().await;
    let client = mcp::sign_in(&site, 0).await;
    client.connect().await.call("whoami").await.unwrap();
    let held = client.refresh().await.unwrap();
    let listed = site.grant(&["list"]).await;
    let sid = listed.stdout.lines().nth(1).unwrap().split(' ').next().unwrap();
    site.grant(&["revoke", sid]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = http.post(site.mcp_url()).bearer_auth(&held.access).header("x-request-id", "mine").send();
    let refused = refused.await.unwrap();
    let request_id = refused.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!((refused.status().as_u16(), random_id(&request_id)), (401, true), "{request_id}");

    program.logged("reason", "token_revoked").await;
    let log = program.log();
    let events: Vec<_> = log.iter().filter(|line| line["target"] == "audit").collect();
    for name in [
        EventName::ConsentShown,
        EventName::ConsentApproved,
        EventName::SignInCompleted,
        EventName::CodeRedeemed,
        EventName::TokenRefreshed,
        EventName::AdministrationUsed,
        EventName::GrantRevoked,
        EventName::RequestRefused,
    ] {
        assert!(events.iter().any(|line| line["event"] == name.as_str()), "no {}", name.as_str());
    }
    for line in &events {
        of_the_table(line);
        let by_request = !["administration.used", "grant.revoked"].contains(&line["event"].as_str().unwrap());
        assert_eq!(random_id(line["span"]["request_id"].as_str().unwrap_or_default()), by_request, "{line}");
    }
    let of_refused: Vec<_> = events.iter().filter(|line| line["span"]["request_id"] == *request_id).collect();
    assert_eq!(of_refused.len(), 1);
    assert_eq!(of_refused[0]["reason"], "token_revoked");
}

#[tokio::test]
async fn who_looks_for_a_fault_at_the_finest_level_still_sees_no_secret() {
    let site = Site::new().await;
    let program = site.start_in(&[("RUST_LOG", "trace")], &site.settings()).await;
    let client = mcp::sign_in(&site, 0).await;
    client.connect().await.call("whoami").await.unwrap();
    client.refresh().await.unwrap();
    program.logged("event", "token.refreshed").await;
    assert!(program.log().iter().any(|line| line["level"] == "TRACE"));
}

/// 16 random bytes in base64url.
fn random_id(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An event has the fields that the documented table gives it, and no others.
fn of_the_table(line: &Value) {
    let name = EventName::ALL.into_iter().find(|name| line["event"] == name.as_str());
    let name = name.unwrap_or_else(|| panic!("no such event: {line}"));
    let of_every_line = ["timestamp", "level", "target", "event", "span", "spans"];
    for field in line.as_object().unwrap().keys().filter(|field| !of_every_line.contains(&field.as_str())) {
        assert!(name.fields().contains(&field.as_str()), "{} has no field {field}: {line}", name.as_str());
    }
}
