//! `entrada key`: made once, listed with their use, rotated, revoked, and counted across restarts.

use serde_json::Value;
use serde_json::json;

use crate::support::program::Ended;
use crate::support::program::Site;

/// The settings with keys, or without.
fn settings(site: &Site, keys: bool) -> String {
    site.settings().replace("name = \"Expenses\"", &format!("name = \"Expenses\"\nkeys = {keys}"))
}

async fn key(site: &Site, arguments: &[&str]) -> Ended {
    let data = site.data();
    site.run(&[&["key"], arguments, &["--data-dir", data.to_str().unwrap()]].concat()).await
}

/// The key that was printed, and what was said of it.
fn made(ended: &Ended) -> (String, String) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let key = ended.stdout.strip_suffix('\n').unwrap().to_owned();
    assert!(key.starts_with("ent_") && key.len() == 68, "{ended:?}");
    assert!(!ended.stderr.contains(&key), "{ended:?}");
    (key, ended.stderr.clone())
}

const CI: &[&str] = &[
    "new",
    "--name",
    "ci",
    "--resource",
    "/mcp",
    "--scopes",
    "mcp.read,mcp.write",
    "--expires",
    "90d",
    "--owner",
    "Ada",
];

async fn call(site: &Site, key: &str) -> u16 {
    let request = reqwest::Client::new().post(site.mcp_url()).header("x-api-key", key);
    let request = request.header("accept", "application/json, text/event-stream");
    let request = request.header("content-type", "application/json");
    let about = json!({ "name": "an agent", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    request.body(body.to_string()).send().await.unwrap().status().as_u16()
}

/// The row of the only key, in columns.
async fn row(site: &Site) -> Vec<String> {
    let listed = key(site, &["list"]).await;
    let [head, row] = listed.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{listed:?}") };
    assert!(head.starts_with("KEY ") && head.ends_with("SCOPES"), "{head}");
    row.split("  ").map(str::trim).filter(|column| !column.is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_key_is_made_used_counted_rotated_and_revoked() {
    let site = Site::new().await;
    let program = site.start_with(&settings(&site, true)).await;
    let (first, said) = made(&key(&site, CI).await);
    let id = said.strip_prefix("Made: ").unwrap().split(' ').next().unwrap().to_owned();
    assert!(said.contains(" for /mcp, good until 20") && said.contains("shown only now"), "{said}");
    assert_eq!(row(&site).await[..3], [&*id, "ci", "active"]);
    assert_eq!(row(&site).await[4..], ["never", "0", "0", "Ada", "/mcp", "mcp.read mcp.write"]);
    for _ in 0..3 {
        assert_eq!(call(&site, &first).await, 200);
    }
    let counted = row(&site).await;
    assert!(counted[4].starts_with("20") && counted[5..7] == ["3", "3"], "{counted:?}");

    // What was not written yet is written at the end.
    assert_eq!(call(&site, &first).await, 200);
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let program = site.start_with(&settings(&site, true)).await;
    assert_eq!(row(&site).await[5..7], ["4", "4"]);

    let rotated = key(&site, &["rotate", "ci", "--overlap", "1h"]).await;
    let (second, said) = made(&rotated);
    assert!(said.contains("goes on for 1h"), "{said}");
    assert_eq!((call(&site, &first).await, call(&site, &second).await), (200, 200));
    let (third, _) = made(&key(&site, &["rotate", &id, "--overlap", "0s", "--expires", "30d"]).await);
    assert_eq!(
        (call(&site, &first).await, call(&site, &second).await, call(&site, &third).await),
        (401, 401, 200)
    );

    let revoked = key(&site, &["revoke", "ci"]).await;
    assert_eq!(revoked.stdout, format!("Revoked: {id} (ci).\n"));
    assert_eq!(call(&site, &third).await, 401);
    assert_eq!(row(&site).await[2], "revoked");
    let log = program.log();
    let events = |name: &str| log.iter().filter(|line| line["event"] == name).collect::<Vec<&Value>>();
    assert!(
        events("request.refused")
            .iter()
            .any(|line| line["reason"] == "key_revoked" && line["subject"] == *id)
    );
    let used = events("administration.used");
    for operation in ["key.rotate", "key.revoke", "key.list"] {
        assert!(used.iter().any(|line| line["operation"] == operation), "{operation}");
    }
    for (name, bytes) in crate::support::program::files(&site.data()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(![&first, &second, &third].iter().any(|key| text.contains(&key[4..])), "{}", name.display());
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_words() {
    let site = Site::new().await;
    let program = site.start_with(&settings(&site, false)).await;
    let off = key(&site, CI).await;
    assert_eq!((off.code, off.stdout.as_str()), (Some(1), ""));
    assert!(off.stderr.contains("keys = true"), "{off:?}");
    program.stop().await;
    let _program = site.start_with(&settings(&site, true)).await;
    made(&key(&site, CI).await);
    let with = |change: &[(&'static str, &'static str)]| {
        let swap =
            |part: &&'static str| change.iter().find(|(from, _)| from == part).map_or(*part, |(_, to)| to);
        CI.iter().map(swap).collect::<Vec<_>>()
    };
    for (change, words) in [
        (&[("ci", "ci")][..], "has this name"),
        (&[("ci", "b"), ("/mcp", "/no")], "The configuration has /mcp."),
        (&[("ci", "b"), ("mcp.read,mcp.write", "mcp.all")], "It has mcp.read mcp.write."),
    ] {
        let refused = key(&site, &with(change)).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    for (change, words) in [
        (("90d", "366d"), "a year at most"),
        (("90d", "soon"), "as in 90d"),
        (("90d", "0s"), "a second at least"),
        (("ci", "key:0123456789abcdef"), "begin with key:"),
        (("ci", " "), "needs a word"),
        (("mcp.read,mcp.write", " "), "a scope at least"),
        (("Ada", ""), "needs a word"),
    ] {
        let refused = key(&site, &with(&[change])).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let rate = key(&site, &[CI, &["--rate", "60/d"]].concat()).await;
    assert!(rate.code == Some(2) && rate.stderr.contains("60/m"), "{rate:?}");
    let nobody = key(&site, &CI[..9]).await;
    assert!(nobody.code == Some(2) && nobody.stderr.contains("--owner"), "{nobody:?}");
    let long = "n".repeat(65);
    let long = key(&site, &[&["new", "--name", &long], &CI[3..]].concat()).await;
    assert!(long.code == Some(2) && long.stderr.contains("64 characters"), "{long:?}");
    for scopes in [&["mcp.read mcp.write"][..], &["mcp.read", "--scopes", "mcp.write"]] {
        let several =
            [&["new", "--name", scopes[0], "--resource", "/mcp", "--scopes"], scopes, &CI[7..]].concat();
        made(&key(&site, &several).await);
        assert!(key(&site, &["list"]).await.stdout.contains("mcp.read mcp.write"));
        key(&site, &["revoke", scopes[0]]).await;
    }
    let without = key(&site, &CI[..7]).await;
    assert!(without.code == Some(2) && without.stderr.contains("--expires"), "{without:?}");
    for command in ["revoke", "rotate"] {
        let more: &[&str] = if command == "rotate" { &["--overlap", "1h"] } else { &[] };
        let nobody = key(&site, &[&[command, "nobody"], more].concat()).await;
        assert!(nobody.code == Some(1) && nobody.stderr.contains("key list"), "{nobody:?}");
    }
    let ended = key(&site, &["rotate", "ci"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("--overlap"), "{ended:?}");
}
