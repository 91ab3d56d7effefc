//! `entrada keys`, and the switches of `entrada grant revoke` that end many at once.

use crate::support::mcp;
use crate::support::program::Ended;
use crate::support::program::Site;

/// What it printed, when it ended well.
fn printed(ended: &Ended) -> &str {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    &ended.stdout
}

#[tokio::test]
async fn keys_are_listed_and_rotated_while_the_server_runs() {
    let site = Site::new().await;
    let program = site.start().await;
    let client = mcp::sign_in(&site, 0).await;
    let listed = site.ask("keys", &["list"]).await;
    let lines: Vec<&str> = printed(&listed).lines().collect();
    assert!(lines[0].starts_with("SIGNING KEY") && lines[1].contains("  ES256  signing "), "{listed:?}");
    assert!(lines[3].starts_with("ROOT KEY") && lines[4].starts_with("1           current "), "{listed:?}");

    let rotated = site.ask("keys", &["rotate"]).await;
    assert!(printed(&rotated).contains(" is published. It signs from 20"), "{rotated:?}");
    let again = site.ask("keys", &["rotate"]).await;
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is published already") && again.stderr.contains("--now"), "{again:?}");
    client.connect().await.call("whoami").await.unwrap();

    let now = site.ask("keys", &["rotate", "--now"]).await;
    assert!(printed(&now).contains("is the only signing key now"), "{now:?}");
    let listed = site.ask("keys", &["list"]).await;
    assert_eq!(printed(&listed).matches("ES256").count(), 1, "{listed:?}");
    client.refresh().await.unwrap();

    let root = site.ask("keys", &["rotate", "--root"]).await;
    assert!(printed(&root).starts_with("Generation 2 of the root key is in the file "), "{root:?}");
    client.refresh().await.unwrap();
    let listed = site.ask("keys", &["list"]).await;
    assert!(
        printed(&listed).contains("\n1           verifies ")
            && printed(&listed).contains("\n2           current ")
    );

    program.stop().await;
    let _program = site.start().await;
    client.refresh().await.unwrap();
    let ended = site.ask("keys", &["rotate", "--root", "--compromised"]).await;
    assert!(
        printed(&ended).contains("Generation 3 in the file ") && printed(&ended).contains("1 grants ended"),
        "{ended:?}"
    );
    assert!(client.refresh().await.is_err());
    mcp::sign_in(&site, 0).await.refresh().await.unwrap();
}

#[tokio::test]
async fn the_root_key_of_an_embedded_store_is_made_with_it_and_not_by_hand() {
    let site = Site::new().await;
    let file = site.write(&site.settings());
    let ended = site.run(&["keys", "init", "--config", file.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("made by `entrada serve`"), "{ended:?}");
    assert!(!site.data().exists());
}

#[tokio::test]
async fn the_root_key_may_lie_elsewhere() {
    let site = Site::new().await;
    let elsewhere = site.path("elsewhere.key");
    let settings = format!("{}\n[keys]\nfile = {:?}\n", site.settings(), elsewhere.display().to_string());
    let file = site.write(&settings);
    let program = site.spawn(&["serve", "--config", file.to_str().unwrap()], &[]);
    program.logged("message", "listening").await;
    assert!(elsewhere.exists() && !site.root_key().exists());
}

#[tokio::test]
async fn whole_groups_of_grants_are_ended_by_client_by_time_and_all_at_once() {
    let site = Site::new().await;
    let _program = site.start().await;
    let clients = [mcp::sign_in(&site, 0).await, mcp::sign_in(&site, 1).await];
    let counted = |ended: &Ended| printed(ended).lines().last().unwrap().to_owned();

    let early = site.grant(&["revoke", "--before", "2026-01-01T00:00:00Z"]).await;
    assert_eq!(counted(&early), "0 ended.");
    let nobody = site.grant(&["revoke", "--client", "nobody"]).await;
    assert_eq!(counted(&nobody), "0 ended.");
    let listed = site.grant(&["list"]).await;
    let short = printed(&listed).lines().nth(1).unwrap().rsplit_once('(').unwrap().1.trim_end_matches(')');
    let theirs = site.grant(&["revoke", "--client", short]).await;
    assert_eq!(counted(&theirs), "2 ended.", "both came with the same registration");
    for client in &clients {
        assert!(client.refresh().await.is_err());
    }

    let clients = [mcp::sign_in(&site, 0).await, mcp::sign_in(&site, 1).await];
    let later = site.grant(&["revoke", "--before", "2100-01-01T00:00:00Z"]).await;
    assert_eq!(counted(&later), "2 ended.");
    let again = mcp::sign_in(&site, 0).await;
    let all = site.grant(&["revoke", "--all"]).await;
    assert_eq!(counted(&all), "1 ended.");
    for client in clients.iter().chain([&again]) {
        assert!(client.refresh().await.is_err());
    }
}
