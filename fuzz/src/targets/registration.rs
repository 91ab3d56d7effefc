//! `POST /register`: the body of a registration, and the client id that comes of it.

use entrada::domain::client::Client;
use entrada::domain::client::MAX_ID_LENGTH;
use entrada::protocol::client_auth::AuthMethod;
use entrada::protocol::redirect_uri::RedirectUri;
use entrada::protocol::registration::MAX_NAME_CHARS;
use entrada::protocol::registration::MAX_REDIRECT_URIS;
use serde_json::Value;
use url::Host;
use url::Url;

use super::Verdict;
use super::stand::Stand;

thread_local! {
    static STAND: Stand = Stand::new();
}

pub fn run(data: &[u8]) -> Verdict {
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return Verdict::Refused };
    STAND.with(|stand| registered(stand, &body))
}

fn registered(stand: &Stand, body: &Value) -> Verdict {
    let Ok(response) = stand.auth.register(body) else { return Verdict::Refused };
    assert!(response.client_id.len() <= MAX_ID_LENGTH);
    let client = Client::recognise(&stand.keys, &response.client_id).expect("the id that was given is known");

    let name = &response.client_name;
    assert_eq!(&client.name, name);
    assert!(name.chars().count() <= MAX_NAME_CHARS, "{name:?} is long");
    assert!(!name.chars().any(|c| c.is_control() || turns_or_hides(c)), "{name:?} is not what it looks like");

    let offered: Vec<&str> = strings(&body["redirect_uris"]);
    assert!((1..=MAX_REDIRECT_URIS).contains(&response.redirect_uris.len()));
    for uri in &response.redirect_uris {
        assert!(offered.contains(&uri.as_str()), "{uri} was not asked for");
        assert_eq!(RedirectUri::parse(uri.as_str()).as_ref(), Some(uri));
        reads_alike_everywhere(uri.as_str());
        assert!(client.allows(uri), "{uri} is not in the id");
    }

    assert_eq!(client.auth_method, response.token_endpoint_auth_method);
    assert_eq!(response.client_secret.is_some(), client.auth_method != AuthMethod::None);
    if let Some(secret) = &response.client_secret {
        client.verify_secret(&stand.keys, secret).expect("the secret that was given is right");
    }
    let known = ["mcp.read", "mcp.write", "notes.read"];
    assert!(response.scope.split_whitespace().all(|scope| known.contains(&scope)));
    assert!(!client.is_configured());

    let again = stand.auth.register(body).map(|again| again.client_id);
    assert_eq!(again.ok().as_ref(), Some(&response.client_id), "the same client has another id");
    assert_eq!(stand.store.asked().writes, [], "a registration was stored");
    serde_json::to_string(&response).expect("the answer is JSON");
    Verdict::Accepted
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Unicode's `Bidi_Control`, and the commonest of what has no width.
fn turns_or_hides(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What a browser, a proxy and a client have to read as we do.
fn reads_alike_everywhere(text: &str) {
    let url = Url::parse(text).expect("it is a URL");
    assert!(url.as_str() == text || url.as_str() == format!("{text}/"), "{text} is read as {url}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{text}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{text}");
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    assert!(url.scheme() != "http" || loopback, "{text} is in clear");
    let known = ["https", "http", "cursor"].contains(&url.scheme());
    assert!(known || url.scheme().contains('.'), "{text} is of a scheme that is anybody's");
    let path = url.path().to_ascii_lowercase();
    assert!(!["%2e", "%2f", "%5c", "%25", "%00"].iter().any(|hidden| path.contains(hidden)), "{text}");
    assert!(!path.split('/').any(|segment| segment == "." || segment == ".."), "{text}");
    let ours = ["code", "state", "iss", "error", "error_description"];
    assert!(!url.query_pairs().any(|(name, _)| ours.contains(&&*name)), "{text} answers for us");
}
