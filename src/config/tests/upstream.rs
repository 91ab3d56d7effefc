//! The identity provider, and by what Entrada proves who it is.

use super::*;

const ID: &str = "11111111-2222-3333-4444-555555555555";

/// Without a secret in the environment.
fn proof(more: &str) -> Proof {
    good(&format!("[upstream]\n{more}"), &[("ENTRADA_UPSTREAM__CLIENT_SECRET", "")]).upstream.proof
}

#[test]
fn each_credential_is_read() {
    let identity = proof(&format!("credential = \"managed-identity\"\nmanaged_identity = {ID:?}"));
    assert!(matches!(identity, Proof::ManagedIdentity { client_id } if client_id == ID));
    assert!(matches!(proof("credential = \"workload-identity\""), Proof::WorkloadIdentity));
    let certificate = proof("credential = \"certificate\"\ncertificate_file = \"entrada.pem\"");
    assert!(matches!(certificate, Proof::Certificate { file } if file.to_str() == Some("entrada.pem")));
}

#[test]
fn tenants_and_guests_are_as_written() {
    let idp = |toml: &str| good(&format!("[upstream]\n{toml}"), &[]).upstream.idp;
    let entra = |tenants| Idp::Entra {
        tenants,
        guests: false,
        authority: "https://login.microsoftonline.com".to_owned(),
        graph: None,
    };
    assert_eq!(idp(""), entra(Tenants::One(ID.to_owned())));
    let several =
        idp("tenant = \"organizations\"\nallowed_tenants = [\"AAAAAAAA-2222-3333-4444-555555555555\"]");
    assert_eq!(several, entra(Tenants::Several(vec!["aaaaaaaa-2222-3333-4444-555555555555".to_owned()])));
    let Idp::Entra { guests, .. } = idp("guests = \"allow\"") else { panic!("entra") };
    assert!(guests);
}
