//! Where the root key is kept.

use super::*;

fn vault(more: &str) -> Vault {
    match good(&format!("[keys]\nvault = \"https://example.vault.azure.net/\"\n{more}"), &[]).keys {
        Keys::Vault(vault) => vault,
        Keys::File(_) => panic!("this is not what was written"),
    }
}

#[test]
fn it_is_a_file_in_the_data_directory_unless_something_else_is_said() {
    assert_eq!(good("data_dir = \"d\"", &[]).keys, Keys::File(PathBuf::from("d/root.key")));
    assert_eq!(good("keys.file = \"k\"", &[]).keys, Keys::File(PathBuf::from("k")));
}

#[test]
fn the_uri_of_a_vault_is_enough() {
    let vault = vault("");
    assert_eq!(vault.url.as_str(), "https://example.vault.azure.net/");
    assert_eq!(vault.secret, "entrada-root");
    assert_eq!(vault.identity, Identity::Managed { client_id: None });
}

#[test]
fn each_identity_is_read() {
    const ID: &str = "11111111-2222-3333-4444-555555555555";
    let id = format!("managed_identity = \"{ID}\"");
    let client_id = Some(ID.to_owned());
    assert_eq!(vault(&id).identity, Identity::Managed { client_id: client_id.clone() });
    let workload = "credential = \"workload-identity\"\n";
    assert_eq!(vault(&format!("{workload}{id}")).identity, Identity::Workload { client_id });
    assert_eq!(vault(workload).identity, Identity::Workload { client_id: None });
    assert_eq!(vault("credential = \"developer\"").identity, Identity::Developer);
}

#[test]
fn vaults_of_every_cloud_and_an_emulator_are_vaults() {
    for url in [
        "https://example.vault.azure.net",
        "https://example.vault.azure.cn/",
        "https://example.vault.usgovcloudapi.net:443/",
        "http://127.0.0.1:8200",
        "http://localhost:8200",
    ] {
        let keys = good(&format!("keys.vault = {url:?}"), &[]).keys;
        assert!(matches!(keys, Keys::Vault(vault) if vault.secret == "entrada-root"), "{url}");
    }
}
