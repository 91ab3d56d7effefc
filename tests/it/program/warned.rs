//! What it says when it starts with settings that are allowed and hardly meant.

use serde_json::json;

use crate::support::program::Site;

const OPEN: &str = "trust.open = true: ANY host";
const PINNED: &str = "cimd.enabled = false, so Client ID Metadata Documents are not announced";
const NOBODY: &str = "dcr.enabled and cimd.enabled are false, and there is no [[client]]";
const READ: &str = "upstream is plain http to another machine";
const UNSIGNED: &str = "trusted_network = true: the MCP server believes headers";
const PLAIN: &str = "public_url is plain http";

/// The warnings that a program begins with.
async fn warnings(site: &Site, settings: &str) -> Vec<String> {
    let program = site.start_with(settings).await;
    program.logged("message", "listening").await;
    let warned = program.log().into_iter().filter(|line| line["level"] == "WARN");
    let warned = warned.map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    program.stop().await;
    warned
}

#[tokio::test]
async fn settings_that_are_hardly_meant_are_told_and_no_others() {
    let site = Site::new().await;
    let id = "https://app.example.com/client.json";
    let document =
        json!({ "client_id": id, "client_name": "Ours", "redirect_uris": ["https://app.example.com/cb"] });
    let file = site.path("client.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let pinned = format!("[[client]]\nid = {id:?}\ndocument = {file:?}\n");
    let by_hand =
        "[[client]]\nid = \"ours\"\nname = \"Ours\"\nredirect_uris = [\"https://app.example.com/cb\"]\n";
    let elsewhere = |scheme: &str, more: &str| {
        format!(
            "[[resource]]\npath = \"/a\"\nname = \"A\"\nscopes = {{ a = \"A\" }}\nupstream = \"{scheme}://192.0.2.1/mcp\"\n{more}"
        )
    };
    let trusted = "trusted_network = true\nidentity = [\"headers\"]\n";
    let (no_dcr, no_cimd) = ("[dcr]\nenabled = false\n", "[cimd]\nenabled = false\n");
    for (more, expected) in [
        (vec![], vec![]),
        (vec![&*pinned], vec![]),
        (vec![no_cimd], vec![]),
        (vec![no_dcr], vec![]),
        (vec![no_cimd, by_hand], vec![]),
        (vec![no_dcr, pinned.as_str()], vec![]),
        (vec![no_cimd, pinned.as_str()], vec![PINNED]),
        (vec![no_dcr, no_cimd, pinned.as_str()], vec![PINNED]),
        (vec![no_dcr, no_cimd, by_hand], vec![]),
        (vec![no_dcr, no_cimd], vec![NOBODY]),
        (vec!["[trust]\nopen = true\n"], vec![OPEN]),
        (vec![&*elsewhere("https", "")], vec![]),
        (vec![&*elsewhere("http", "")], vec![READ]),
        (vec![&*elsewhere("http", "trusted_network = true\n")], vec![]),
        (vec![&*elsewhere("http", trusted)], vec![UNSIGNED]),
    ] {
        let warned = warnings(&site, &format!("{}\n{}", site.settings(), more.concat())).await;
        let expected: Vec<&str> = expected.into_iter().chain([PLAIN]).collect();
        assert_eq!(warned.len(), expected.len(), "{more:?}: {warned:?}");
        for (said, begins) in warned.iter().zip(expected) {
            assert!(said.starts_with(begins), "{more:?}: {warned:?}");
        }
    }
}
