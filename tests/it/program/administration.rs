//! `entrada grant`: what an operator sees, and ends.

use std::os::unix::fs::PermissionsExt;

use entrada::demo::idp::Person;

use crate::support::entrada::TENANT;
use crate::support::mcp;
use crate::support::mcp::Authorizing;
use crate::support::program::Ended;
use crate::support::program::Site;

/// The lines of a table, without its head.
fn rows(ended: &Ended) -> Vec<&str> {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let (head, rows) = ended.stdout.split_once('\n').unwrap();
    assert!(head.starts_with("GRANT "), "{head}");
    rows.lines().collect()
}

#[tokio::test]
async fn grants_are_listed_and_revoked_by_id_and_by_person() {
    let site = Site::new().await;
    let program = site.start().await;
    assert_eq!(rows(&site.grant(&["list"]).await).len(), 0);
    let clients = [mcp::sign_in(&site, 0).await, mcp::sign_in(&site, 0).await, mcp::sign_in(&site, 1).await];
    let [ada, ben] = [0, 1].map(|person| format!("{TENANT}:{}", Person::three(TENANT)[person].oid));

    let all = site.grant(&["list"]).await;
    assert_eq!(rows(&all).len(), 3);
    for row in rows(&all) {
        assert!(row.contains(" active ") && row.contains("Rusty ("), "{row}");
    }
    let bens = site.grant(&["list", "--user", &ben]).await;
    let [bens] = rows(&bens)[..] else { panic!("{bens:?}") };
    assert!(bens.contains(&ben), "{bens}");

    let sid = bens.split(' ').next().unwrap();
    let revoked = site.grant(&["revoke", sid]).await;
    let [row, count] = rows(&revoked)[..] else { panic!("{revoked:?}") };
    assert!(row.starts_with(sid) && count == "1 ended.", "{revoked:?}");
    assert!(clients[2].refresh().await.is_err());
    let again = site.grant(&["revoke", sid]).await;
    assert_eq!(rows(&again), ["0 ended."]);

    let revoked = site.grant(&["revoke", "--user", &ada.to_uppercase()]).await;
    assert_eq!(rows(&revoked).last(), Some(&"2 ended."), "{revoked:?}");
    for client in &clients[..2] {
        assert!(client.refresh().await.is_err());
    }
    for typo in
        [&["revoke", "--usr", &ada][..], &["revoke", "--bogus"], &["revoke", "--user", "ada@contoso.example"]]
    {
        let refused = site.grant(typo).await;
        assert_eq!(refused.code, Some(2), "{typo:?}: {refused:?}");
    }
    let all = site.grant(&["list"]).await;
    assert!(rows(&all).iter().all(|row| row.contains(" revoked ")), "{all:?}");
    let log = program.log();
    let revocations: Vec<_> = log.iter().filter(|line| line["event"] == "grant.revoked").collect();
    assert_eq!(revocations.len(), 3);
    assert!(revocations.iter().all(|line| line["reason"] == "revoked_by_operator"), "{revocations:?}");
}

#[tokio::test]
async fn a_name_that_a_client_gives_itself_does_not_steer_the_terminal() {
    let site = Site::new().await;
    let _program = site.start().await;
    let request = mcp::request(&mcp::challenge(&site).await).with_client_name("R\u{202e}usty\u{1b}[2J\n");
    let client = Authorizing::begin(&site, request).await;
    let back = client.signed_in(&site, 0).await.back;
    client.finish(&back).await.unwrap();
    let listed = site.grant(&["list"]).await;
    assert_eq!(rows(&listed).len(), 1, "{listed:?}");
    assert!(!listed.stdout.contains(['\u{1b}', '\u{202e}']), "{listed:?}");
}

#[tokio::test]
async fn the_data_directory_is_enough_and_no_secret_is_needed() {
    let site = Site::new().await;
    let _program = site.start().await;
    mcp::sign_in(&site, 0).await;
    let listed = site.run(&["grant", "list", "--data-dir", site.data().to_str().unwrap()]).await;
    assert_eq!(rows(&listed).len(), 1, "{listed:?}");
    let both = site.grant(&["list", "--data-dir", "elsewhere"]).await;
    assert_eq!(both.code, Some(2), "{both:?}");
}

#[tokio::test]
async fn without_a_server_it_says_what_to_do() {
    let site = Site::new().await;
    let nobody = |ended: Ended| {
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        for part in ["No running server answers at ", "admin.sock", "`entrada serve`", "--config"] {
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
    };
    nobody(site.grant(&["list"]).await);
    assert!(!site.data().exists(), "asking makes nothing");
    site.start().await.stop().await;
    nobody(site.grant(&["list"]).await);
    nobody(site.grant(&["revoke", "a-grant"]).await);
    nobody(site.grant(&["revoke", "-hXv_4XQdN8xqJ1mT0aZrw"]).await);
}

#[tokio::test]
async fn nobody_else_can_use_what_lies_in_the_data_directory() {
    let site = Site::new().await;
    let _program = site.start().await;
    let mode = |path: std::path::PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(site.data()), 0o700);
    for name in ["admin.sock", "entrada.redb", "root.key"] {
        assert_eq!(mode(site.data().join(name)), 0o600, "{name}");
    }
}
