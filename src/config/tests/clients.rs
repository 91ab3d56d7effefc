use serde_json::Value;
use serde_json::json;

use super::*;
use crate::domain::client::Client;
use crate::protocol::client_auth::AuthMethod;

const ADDRESS: &str = "https://app.example.com/client.json";

/// A client with this document, or the sentence that refuses it.
fn pinned(document: &[u8], more: &str) -> Result<ConfiguredClient, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), document).unwrap();
    let path = file.path().display().to_string();
    let toml = format!("[[client]]\nid = {ADDRESS:?}\ndocument = {path:?}\n{more}");
    match load_file(&toml, pairs(&completed("", &[]))) {
        Ok(config) => Ok(config.clients[0].clone()),
        Err(lines) => {
            let [line] = lines.as_slice() else { panic!("{lines:#?}") };
            Err(line.strip_prefix("entrada.toml: client[0].document: ").unwrap().to_owned())
        }
    }
}

fn document(more: &Value) -> Vec<u8> {
    let mut document = json!({ "client_id": ADDRESS, "client_name": "Ours", "redirect_uris": ["https://app.example.com/cb"] });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document.to_string().into_bytes()
}

/// A key of RFC 7517 (appendix A.1), the public half alone.
fn jwks() -> Value {
    json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    }] })
}

#[test]
fn a_document_in_a_file_is_a_client_that_the_operator_vouches_for() {
    let client = pinned(&document(&json!({})), "scopes = [\"mcp.read\"]").unwrap();
    assert_eq!((client.id.as_str(), client.name.as_str()), (ADDRESS, "Ours"));
    assert_eq!(client.redirect_uris, [RedirectUri::parse("https://app.example.com/cb").unwrap()]);
    assert_eq!(client.scopes, ["mcp.read"].into_iter().collect());
    let client = Client::configured(client).unwrap();
    assert!(client.is_configured());
    assert_eq!(client.auth_method, AuthMethod::None);

    let by_key = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks() });
    let client = Client::configured(pinned(&document(&by_key), "").unwrap()).unwrap();
    assert_eq!(client.auth_method, AuthMethod::PrivateKeyJwt);
}

#[test]
fn a_document_in_a_file_holds_as_a_whole_or_is_refused_in_words() {
    let by_key = |keys: Value| {
        let mut more = json!({ "token_endpoint_auth_method": "private_key_jwt" });
        more.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        document(&more)
    };
    for (text, begins) in [
        (Vec::new(), "The metadata document of the application is not JSON."),
        (b"\xff".to_vec(), "The file is no text."),
        (vec![b' '; 64 * 1024 + 1], "The file is larger than 64 KiB"),
        (
            document(&json!({ "client_id": "https://other.example.com/c" })),
            "The client_id in the metadata document",
        ),
        (
            document(&json!({ "redirect_uris": [] })),
            "The metadata document of the application has no redirect URI",
        ),
        (
            document(&json!({ "client_secret": "s" })),
            "The metadata document of the application speaks of a client_secret",
        ),
        (by_key(json!({})), "The metadata document of the application asks for private_key_jwt"),
        (
            by_key(json!({ "jwks": { "keys": [] } })),
            "The metadata document of the application asks for private_key_jwt",
        ),
        (
            by_key(json!({ "jwks_uri": "https://app.example.com/k" })),
            "The document has a jwks_uri, and nothing is fetched",
        ),
    ] {
        let sentence = pinned(&text, "").unwrap_err();
        assert!(sentence.starts_with(begins), "{sentence}");
    }
}

#[test]
fn certificates_come_from_a_file_that_has_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |text: &str| {
        fs::write(file.path(), text).unwrap();
        let path = file.path().display().to_string();
        load_file("", pairs(&completed("", &[("ENTRADA_CIMD__CA_FILE", path.as_str())])))
    };
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(read(pem).unwrap().documents.ca, Some(pem.as_bytes().to_vec()));
    let lines = read("nothing").unwrap_err();
    assert_eq!(
        lines,
        ["ENTRADA_CIMD__CA_FILE: There is no certificate in this file. Name a PEM file of certificates."]
    );
}
