//! `entrada client`: who they are, who is kept out, and one for the configuration.

use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

use crate::support::mcp;
use crate::support::program::Ended;
use crate::support::program::Site;

/// The lines that a command printed, when it went well.
fn lines(ended: &Ended) -> Vec<&str> {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout.lines().collect()
}

#[tokio::test]
async fn clients_are_listed_blocked_and_let_in_again() {
    let site = Site::new().await;
    let program = site.start().await;
    let client = mcp::sign_in(&site, 0).await;
    let listed = site.ask("client", &["list"]).await;
    let [head, row] = lines(&listed)[..] else { panic!("{listed:?}") };
    assert!(head.starts_with("CLIENT "), "{head}");
    assert!(row.contains(" registered ") && row.contains(" 127.0.0.1 ") && row.ends_with("Rusty"), "{row}");
    let short = row.split(' ').next().unwrap();

    let blocked = site.ask("client", &["block", short]).await;
    assert_eq!(lines(&blocked), [format!("Blocked: the client {short}.")]);
    let unused = site.ask("client", &["block", "-startsdash01234"]).await;
    assert!(lines(&unused)[1].starts_with("Nobody has signed in with it yet."), "{unused:?}");
    site.ask("client", &["unblock", "-startsdash01234"]).await;
    assert!(client.refresh().await.is_err());
    let again = site.ask("client", &["block", short]).await;
    assert_eq!(lines(&again), ["That is blocked already."]);
    let listed = site.ask("client", &["list"]).await;
    let [_, row, "", since] = lines(&listed)[..] else { panic!("{listed:?}") };
    assert!(row.contains(" registered  yes "), "{row}");
    assert!(
        since.starts_with("Blocked since 20") && since.ends_with(&format!("the client {short}.")),
        "{since}"
    );
    let let_in = site.ask("client", &["unblock", short]).await;
    assert_eq!(lines(&let_in), [format!("Let in again: the client {short}.")]);
    client.refresh().await.unwrap();

    for (way, host, words) in [
        ("--redirect-host", "cursor:", "every client at cursor:"),
        ("--redirect-host", "App.example.com", "every client at app.example.com"),
        (
            "--document-host",
            "app.example.com",
            "every client whose metadata document lies at app.example.com",
        ),
    ] {
        let blocked = site.ask("client", &["block", way, host]).await;
        assert_eq!(lines(&blocked), [format!("Blocked: {words}.")]);
    }
    let log = program.log();
    let used: Vec<&Value> = log.iter().filter(|line| line["event"] == "administration.used").collect();
    assert!(
        used.iter().any(|line| line["operation"] == "client.block" && line["client"] == short),
        "{used:?}"
    );
    assert!(used.iter().any(|line| line["redirect_host"] == "app.example.com"), "{used:?}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_words() {
    let site = Site::new().await;
    let _program = site.start().await;
    let unknown = site.ask("client", &["block", "edc_unknown"]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("No client of this server has this id."), "{unknown:?}");
    let unblocked = site.ask("client", &["unblock", "--redirect-host", "app.example.com"]).await;
    assert_eq!(unblocked.code, Some(1));
    assert!(unblocked.stderr.contains("That is not blocked."), "{unblocked:?}");
    for usage in [
        &["block"][..],
        &["block", "--redirect-host", "https://app.example.com/"],
        &["block", "--redirect-host", "*.example.com"],
        &["block", "--redirect-host", "cursor"],
        &["block", "--document-host", "app.example.com:8443"],
        &["block", "x", "--redirect-host", "app.example.com"],
    ] {
        let refused = site.ask("client", usage).await;
        assert_eq!(refused.code, Some(2), "{usage:?}: {refused:?}");
    }
    for missing in [&["--name", "x"], &["--redirect-uri", "https://app.example.com/cb"]] {
        let refused = site.run(&[&["client", "new"], &missing[..]].concat()).await;
        assert_eq!(refused.code, Some(2), "{missing:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_new_client_is_printed_and_gets_in_once_it_stands_in_the_configuration() {
    let site = Site::new().await;
    let new = [
        "client",
        "new",
        "--name",
        "Travel \"agent\"",
        "--redirect-uri",
        "http://127.0.0.1/callback",
        "--redirect-uri",
        "https://agent.example.com/callback",
        "--scope",
        "mcp.read",
    ];
    let made = site.run(&new).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(!site.data().exists(), "it writes nothing");
    let (_, secret) = made.stderr.trim_end().rsplit_once(' ').unwrap();
    assert!(secret.len() >= 43 && !made.stdout.contains(secret), "{made:?}");
    let block: toml::Table = made.stdout.parse().unwrap();
    let client = &block["client"][0];
    let hash: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(client["secret_sha256"].as_str(), Some(hash.as_str()));
    assert_eq!(client["name"].as_str(), Some("Travel \"agent\""));

    let _program = site.start_with(&format!("{}\n{}", site.settings(), made.stdout)).await;
    let form = "grant_type=refresh_token&refresh_token=none";
    let id = client["id"].as_str().unwrap();
    let http = reqwest::Client::new();
    let ask = |secret: String| {
        let request = http.post(format!("{}/token", site.public_url)).basic_auth(id, Some(secret));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap()["error"].clone() }
    };
    assert_eq!(ask(secret.to_owned()).await, "invalid_grant", "it is known, and its token is not");
    assert_eq!(ask("another".to_owned()).await, "invalid_client");
    let listed = site.run(&["client", "list", "--data-dir", site.data().to_str().unwrap()]).await;
    let [_, row] = lines(&listed)[..] else { panic!("{listed:?}") };
    assert!(
        row.contains(" configured  no ") && row.contains(" never ") && row.ends_with(&format!("({id})")),
        "{row}"
    );
    // Its id is not taken for the short form of one.
    let blocked = site.run(&["client", "block", "--data-dir", site.data().to_str().unwrap(), id]).await;
    assert_eq!((blocked.code, ask(secret.to_owned()).await), (Some(0), "invalid_client".into()));

    let public = site.run(&[&new[..], &["--public"]].concat()).await;
    assert_eq!((public.code, public.stderr.as_str()), (Some(0), ""));
    assert!(!public.stdout.contains("secret"), "{public:?}");
    for (name, uri, scope) in [
        ("x", "http://app.example.com/cb", "a"),
        ("", "https://app.example.com/cb", "a"),
        ("a\nb", "https://app.example.com/cb", "a"),
        ("x", "https://app.example.com/cb", "a b"),
    ] {
        let bad = site.run(&["client", "new", "--name", name, "--redirect-uri", uri, "--scope", scope]).await;
        assert_eq!(bad.code, Some(2), "{bad:?}");
    }
}
