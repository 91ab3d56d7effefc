//! Client ID Metadata Documents: the address on the first line, what lies there on the others.

use entrada::domain::client::Client;
use entrada::domain::client::PublicKeys;
use entrada::domain::client::Voucher;
use entrada::domain::trust::Trust;
use entrada::protocol::client_auth::AuthMethod;
use entrada::protocol::client_document::ClientDocument;
use entrada::protocol::client_id_url::ClientIdUrl;
use entrada::protocol::registration::MAX_NAME_CHARS;
use serde_json::Value;
use url::Host;
use url::Url;

use super::Verdict;
use super::verdict;

pub fn run(data: &[u8]) -> Verdict {
    let Ok(input) = str::from_utf8(data) else { return Verdict::Refused };
    let (address, text) = input.split_once('\n').unwrap_or((input, ""));
    let Some(address) = ClientIdUrl::parse(address) else { return Verdict::Refused };
    is_plain(address.as_str());
    let trust = Trust::default();
    let Ok(document) = ClientDocument::read(&address, text, |uri| trust.may_register(uri)) else {
        return Verdict::Refused;
    };
    let said: Value = serde_json::from_str(text).expect("it was JSON");
    assert_eq!(said["client_id"], address.as_str());
    assert!(said.get("client_secret").is_none_or(Value::is_null), "a secret that everybody can read");
    let Ok(client) = Client::published(&address, document, text) else { return Verdict::Refused };
    assert_eq!(client.id.as_str(), address.as_str());
    assert!(matches!(client.voucher(), Voucher::Document(host) if host == &address));
    assert!(!client.is_configured() && client.document().is_some());
    assert!(client.name.chars().count() <= MAX_NAME_CHARS);
    assert!(
        !client.redirect_uris.is_empty() && client.redirect_uris.iter().all(|uri| trust.may_register(uri))
    );
    match (client.auth_method, &client.public_keys) {
        (AuthMethod::None, None) | (AuthMethod::PrivateKeyJwt, Some(PublicKeys::Known(_))) => {}
        (AuthMethod::PrivateKeyJwt, Some(PublicKeys::At(keys))) => is_plain(keys.as_str()),
        other => panic!("{other:?}"),
    }
    verdict(true)
}

/// Fetched from nowhere else than where it says to every reader.
fn is_plain(address: &str) {
    let url = Url::parse(address).expect("it is a URL");
    assert_eq!(url.as_str(), address);
    assert_eq!(url.scheme(), "https");
    assert!(matches!(url.host(), Some(Host::Domain(name)) if !name.ends_with('.') && !name.contains('*')));
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    assert!(url.path().len() > 1 && address.len() <= 512);
    assert!(!url.path().split('/').any(|segment| segment == "." || segment == ".."), "{address}");
    let path = url.path().to_ascii_lowercase();
    assert!(!["%2e", "%2f", "%5c", "%25", "%00"].iter().any(|hidden| path.contains(hidden)), "{address}");
}
