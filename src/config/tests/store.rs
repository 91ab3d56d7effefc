//! Where documents are kept.

use super::*;

const ENDPOINT: &str = "https://example.documents.azure.com:443/";

fn cosmos(more: &str) -> Box<Cosmos> {
    let toml = format!("[store]\nkind = \"cosmos\"\nendpoint = \"{ENDPOINT}\"\n{more}");
    match good(&toml, &[]).store {
        Store::Cosmos(cosmos) => cosmos,
        Store::Embedded => panic!("this is not what was written"),
    }
}

#[test]
fn an_endpoint_is_enough() {
    let cosmos = cosmos("");
    assert_eq!(cosmos.endpoint.as_str(), "https://example.documents.azure.com/");
    assert_eq!((cosmos.database.as_str(), cosmos.container.as_str()), ("entrada", "grants"));
    assert_eq!(cosmos.region, None);
    assert!(matches!(cosmos.credential, Credential::Identity(Identity::Managed { client_id: None })));
}

#[test]
fn each_credential_is_read() {
    const ID: &str = "11111111-2222-3333-4444-555555555555";
    let of = |how: &str| cosmos(how).credential;
    let identity = format!("managed_identity = \"{ID}\"");
    let is = |id: Option<String>| id.as_deref() == Some(ID);
    assert!(
        matches!(of(&identity), Credential::Identity(Identity::Managed { client_id }) if is(client_id.clone()))
    );
    let workload = format!("credential = \"workload-identity\"\n{identity}");
    assert!(
        matches!(of(&workload), Credential::Identity(Identity::Workload { client_id }) if is(client_id.clone()))
    );
    let workload = "credential = \"workload-identity\"";
    assert!(matches!(of(workload), Credential::Identity(Identity::Workload { client_id: None })));
    assert!(matches!(of("credential = \"developer\""), Credential::Identity(Identity::Developer)));
}

#[cfg(feature = "store-key")]
#[test]
fn a_key_stays_text_and_is_not_shown() {
    let cosmos = cosmos("credential = \"key\"\nkey = \"0012345==\"");
    assert!(!format!("{cosmos:?}").contains("0012345"));
    assert!(matches!(cosmos.credential, Credential::Key(key) if key.expose_secret() == "0012345=="));
}

#[cfg(not(feature = "store-key"))]
#[test]
fn without_the_feature_there_are_no_keys() {
    let toml = format!(
        "[store]\nkind = \"cosmos\"\nendpoint = \"{ENDPOINT}\"\ncredential = \"key\"\nkey = \"0012345==\""
    );
    let lines = problems(&toml, &[]);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("entrada.toml: store.credential: This program was built without keys"),
        "{lines:?}"
    );
}
