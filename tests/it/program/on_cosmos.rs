//! The program with its store in Cosmos DB.

use std::sync::Arc;

use entrada::adapters::system::SystemClock;

use crate::support::cosmos::DATABASE;
use crate::support::cosmos::HostedCosmos;
use crate::support::cosmos::KEY;
use crate::support::mcp;
use crate::support::program::Site;
use crate::support::vault::TOKEN;
use crate::support::vault::identity_endpoint;

const IDENTITY: &str = "12345678-1234-4234-8234-123456789012";

#[tokio::test]
async fn it_makes_its_container_by_key_and_serves_from_it_and_says_that_a_key_is_no_way_to() {
    let site = Site::new().await;
    let cosmos = HostedCosmos::start(Arc::new(SystemClock::new())).await;
    let settings = site.settings() + &cosmos.section(&format!("credential = \"key\"\nkey = \"{KEY}\""));
    site.vigil.never(KEY);
    let ended = site.serve(&settings).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("The account has no container \"grants\""), "{ended:?}");

    let file = site.write(&settings);
    let ended = site.run(&["store", "init", "--config", file.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.trim(), "The container \"grants\" in the database \"entrada\" is ready.");

    let ended = site.serve(&settings).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("make it once with `entrada keys init`"), "{ended:?}");
    site.init_keys(&settings, &[]).await;
    let program = site.start_with(&settings).await;
    program.logged_text("store.credential is").await;
    let client = mcp::sign_in(&site, 0).await;
    client.connect().await.call("whoami").await.unwrap();
    assert!(!site.store_file().exists());
    program.stop().await;
    site.settled().await;
    let _program = site.start_with(&settings).await;
    client.refresh().await.unwrap();
}

#[tokio::test]
async fn it_comes_with_the_token_of_its_managed_identity() {
    let site = Site::new().await;
    let cosmos = HostedCosmos::ready(Arc::new(SystemClock::new())).await;
    cosmos.requests();
    let asked = Arc::default();
    let endpoint = identity_endpoint(Arc::clone(&asked)).await;
    site.vigil.never(TOKEN);
    let settings = site.settings() + &cosmos.section(&format!("managed_identity = \"{IDENTITY}\""));
    let environment = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "header-0012345")];
    // The endpoint is the machine's own: nothing of it goes through a proxy.
    let proxied = [
        environment[0],
        environment[1],
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("ALL_PROXY", "http://127.0.0.1:9"),
    ];
    cosmos.is_for(DATABASE, TOKEN);
    site.init_keys(&settings, &proxied).await;
    asked.lock().unwrap().clear();
    let _program = site.start_in(&environment, &settings).await;
    mcp::sign_in(&site, 0).await.connect().await.call("whoami").await.unwrap();

    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "one token does for everything: {asked:?}");
    assert!(
        asked[0].contains(&format!("client_id={IDENTITY}")) && asked[0].ends_with(" header-0012345"),
        "{asked:?}"
    );
    assert!(asked[0].contains("resource=https"), "{asked:?}");
    for request in cosmos.requests() {
        let authorization = request.headers["authorization"].to_str().unwrap();
        assert_eq!(
            authorization, "type%3Daad%26ver%3D1.0%26sig%3Dtoken-of-the-managed-identity",
            "{}",
            request.what
        );
    }
}
