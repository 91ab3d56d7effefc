//! When it does not start: the exit code, a sentence that helps, and nothing overwritten.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use tokio::net::TcpListener;

use crate::support::mcp;
use crate::support::program::Ended;
use crate::support::program::Site;
use crate::support::program::files;

const CANARY: &str = "canary-0012345";

/// It ended with this code and, on standard error alone, said all of these.
fn said(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "it does not say {part:?}:\n{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_command_line_that_it_does_not_understand_ends_with_2_and_help_with_0() {
    let site = Site::new().await;
    let wrong: [(&[&str], &str); 11] = [
        (&[], "Usage: entrada <COMMAND>"),
        (&["sreve"], "'serve'"),
        (&["serve", "now"], "unexpected argument 'now'"),
        (&["serve", "--conf", "x"], "'--config'"),
        (&["serve", "--config"], "a value is required for '--config <FILE>'"),
        (&["grant"], "Usage: entrada grant <COMMAND>"),
        (&["grant", "revoke"], "<GRANT|--user <SUBJECT>|--client <CLIENT>|--before <TIME>|--all>"),
        (&["grant", "revoke", "a-grant", "--user", "oidc:somebody"], "cannot be used with"),
        (&["grant", "revoke", "--before", "yesterday"], "write it in UTC, as in 2026-11-25T07:00:00Z"),
        (&["keys", "rotate", "--compromised"], "--root"),
        (&["keys", "rotate", "--now", "--root"], "cannot be used with"),
    ];
    for (arguments, part) in wrong {
        said(&site.run(arguments).await, 2, &[part]);
    }
    let right: [(&[&str], &str); 6] = [
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["--help"], "Exit codes: 0 ok · 1 failed while running · 2 usage or configuration"),
        (&["serve", "--help"], "--config <FILE>"),
        (&["grant", "list", "--help"], "--user <SUBJECT>"),
        (&["grant", "revoke", "--help"], "[GRANT]"),
        (
            &["settings"],
            "| `upstream.client_secret` | `ENTRADA_UPSTREAM__CLIENT_SECRET` | required for `secret` |",
        ),
    ];
    for (arguments, part) in right {
        let ended = site.run(arguments).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.stdout.contains(part), "{arguments:?} does not say {part:?}:\n{}", ended.stdout);
    }
}

#[tokio::test]
async fn all_problems_of_a_configuration_are_told_at_once() {
    let site = Site::new().await;
    let settings = site
        .settings()
        .replace(&format!("\"{}\"", site.public_url), "\"http://mcp.example.com\"")
        .replace("listen = \"127.0.0.1:0\"\ndata_dir", "lisen = \"127.0.0.1:0\"\ndata_dir")
        .replace("\"ES256\"", "\"HS256\"")
        .replace("path = \"/mcp\"", "path = \"/token\"")
        .replace("\"json\"", "\"yaml\"");
    let ended = site.serve(&settings).await;
    said(
        &ended,
        2,
        &[
            "entrada.toml: public_url: Plain http is only for localhost",
            "entrada.toml: lisen: There is no such setting. Did you mean listen?",
            "entrada.toml: tokens.signing_alg: This word is unknown. Write \"RS256\" or \"ES256\".",
            "entrada.toml: resource[0].path: This path is among Entrada's own",
            "entrada.toml: log.format: This word is unknown. Write \"text\" or \"json\".",
        ],
    );
    assert_eq!(ended.stderr.lines().count(), 5, "{}", ended.stderr);
    said(&site.serve("").await, 2, &["public_url: This is required", "resource: At least one"]);
    said(&site.run(&["serve"]).await, 2, &["ENTRADA_PUBLIC_URL: This is required and missing."]);
    let nowhere = site.path("nowhere.toml");
    let ended = site.run(&["serve", "--config", nowhere.to_str().unwrap()]).await;
    said(&ended, 2, &["nowhere.toml: There is no such file."]);
    assert!(!site.data().exists(), "nothing is made before the configuration is right");
}

#[tokio::test]
async fn no_broken_configuration_makes_it_show_a_secret() {
    let site = Site::new().await;
    site.vigil.never(CANARY);
    let secret = "client_secret = \"upstream-secret-0012345\"";
    let broken = [
        format!("client_secret = {CANARY}"),
        format!("client_secret = \"{CANARY}"),
        format!("client_secret = [\"{CANARY}\"]"),
        format!("client_secret = \"{CANARY}é\""),
        format!("client_secert = \"{CANARY}\""),
        format!("client_id = \"{CANARY}\""),
        format!("{secret}\nscopes2 = [\"{CANARY}\"]"),
    ];
    for broken in broken {
        let ended = site.serve(&site.settings().replace(secret, &broken)).await;
        said(&ended, 2, &["entrada.toml: "]);
        assert!(!ended.stderr.contains(CANARY), "{}", ended.stderr);
    }
    let file = site.write(&site.settings());
    let arguments = ["serve", "--config", file.to_str().unwrap()];
    for name in
        ["ENTRADA_UPSTREAM__CLIENT_SECERT", "ENTRADA_TOKENS__GRACE", "ENTRADA_LISTEN", "ENTRADA_RESOURCE"]
    {
        let ended = site.run_with(&arguments, &[(name, CANARY)]).await;
        said(&ended, 2, &[name]);
        assert!(!ended.stderr.contains(CANARY), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_ends_it_with_1() {
    let site = Site::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (setting, place) in [("listen", "listen: "), ("metrics", "metrics.listen: ")] {
        let settings = site.settings();
        let settings = match setting {
            "listen" => settings.replacen("127.0.0.1:0", &address, 1),
            _ => settings.replace(
                "[metrics]\nlisten = \"127.0.0.1:0\"",
                &format!("[metrics]\nlisten = \"{address}\""),
            ),
        };
        let ended = site.serve(&settings).await;
        let sentence = format!("{place}cannot listen on {address}");
        said(&ended, 1, &[&sentence, "Stop what listens there, or choose another port."]);
    }
}

#[tokio::test]
async fn a_second_process_on_the_store_ends_with_3_and_the_first_goes_on() {
    let site = Site::new().await;
    let _first = site.start().await;
    said(
        &site.serve(&site.settings()).await,
        3,
        &["entrada.redb is in use by another process; stop that one"],
    );
    let client = mcp::sign_in(&site, 0).await;
    client.connect().await.call("whoami").await.unwrap();
    let listed = site.grant(&["list"]).await;
    assert_eq!(listed.code, Some(0), "the socket is still the first one's: {listed:?}");
}

#[tokio::test]
async fn a_store_that_is_damaged_ends_it_with_3_and_stays_as_it_is() {
    let site = Site::new().await;
    site.start().await.stop().await;
    let whole = std::fs::read(site.store_file()).unwrap();
    let mut scribbled = whole.clone();
    scribbled[4096..].iter_mut().for_each(|byte| *byte = !*byte);
    let damaged = [
        (whole[..whole.len() / 2].to_vec(), "is damaged"),
        (scribbled, "is damaged"),
        (b"this is no store".repeat(1000), "is damaged"),
        (Vec::new(), "the file is empty"),
    ];
    for (bytes, what) in damaged {
        std::fs::write(site.store_file(), &bytes).unwrap();
        let before = files(&site.data());
        let ended = site.serve(&site.settings()).await;
        said(&ended, 3, &["entrada.redb", what, "it has been left as it is: put a backup in its place"]);
        assert!(files(&site.data()) == before, "something was overwritten: {what}");
    }
    std::fs::write(site.store_file(), whole).unwrap();
    site.start().await;
}

#[tokio::test]
async fn a_root_key_that_is_gone_open_or_another_ends_it_with_4() {
    let site = Site::new().await;
    let program = site.start().await;
    let client = mcp::sign_in(&site, 0).await;
    program.stop().await;
    let (file, key) = (site.root_key(), std::fs::read_to_string(site.root_key()).unwrap());

    std::fs::remove_file(&file).unwrap();
    let ended = site.serve(&site.settings()).await;
    said(&ended, 4, &["root.key is missing", "Put it back from your backup"]);
    assert!(!file.exists(), "no key is made in place of the lost one");

    std::fs::write(&file, &key).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let ended = site.serve(&site.settings()).await;
    said(&ended, 4, &["its mode is 644", &format!("chmod 600 {}", file.display())]);
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();

    let another = Site::new().await;
    another.start().await.stop().await;
    let anothers = std::fs::read_to_string(another.root_key()).unwrap();
    std::fs::write(&file, &anothers).unwrap();
    let ended = site.serve(&site.settings()).await;
    said(&ended, 4, &["root.key is not the root key that the store was made with"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), anothers);

    // With the right one back, all is as it was.
    std::fs::write(&file, &key).unwrap();
    let _program = site.start().await;
    client.refresh().await.unwrap();
}

#[tokio::test]
async fn another_public_url_on_the_same_store_ends_it_with_2() {
    let site = Site::new().await;
    let program = site.start().await;
    let client = mcp::sign_in(&site, 0).await;
    program.stop().await;
    let moved = site.settings().replacen(&site.public_url, "https://mcp.example.com", 1);
    let stored = format!("the store was made for public_url {}", site.public_url);
    said(
        &site.serve(&moved).await,
        2,
        &[&stored, "public_url is now https://mcp.example.com", "set public_url back, or use another store"],
    );
    let _program = site.start().await;
    client.refresh().await.unwrap();
}
