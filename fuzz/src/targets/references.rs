//! Codes, refresh tokens, client ids and client secrets: only what was issued is accepted, and in one spelling.
//!
//! An input is one text, presented as each of them. `{code}` and the like stand for what was issued, and a backspace
//! takes the character before it away. If it begins with NUL, the rest is put into a client id by our own key: what
//! another version may have put there is no reason to fall over.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrada::domain::client::Client;
use entrada::domain::client::REGISTERED_ID_PREFIX;
use entrada::domain::keys::Generation;
use entrada::domain::keys::Purpose;
use entrada::domain::reference::Kind;
use entrada::domain::reference::Reference;

use super::Issued;
use super::Verdict;
use super::stand::Stand;
use super::verdict;

thread_local! {
    static STAND: Stand = Stand::new();
}

pub fn run(data: &[u8]) -> Verdict {
    STAND.with(|stand| match data {
        [0, registration @ ..] => authentic_id(stand, registration),
        _ => {
            let text = typed(&stand.filled(data));
            str::from_utf8(&text).map_or(Verdict::Refused, |text| presented(stand, text))
        }
    })
}

/// What stands there in the end.
fn typed(keys: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(keys.len());
    for key in keys {
        match key {
            8 => drop(text.pop()),
            _ => text.push(*key),
        }
    }
    text
}

fn presented(stand: &Stand, text: &str) -> Verdict {
    let mut accepted = false;
    for kind in [Kind::Code, Kind::RefreshToken] {
        let Ok(reference) = Reference::read(&stand.keys, kind, text) else { continue };
        let issued = reference.issue(&stand.keys, kind).expect("the generation is known");
        assert_eq!(issued, text, "a {kind:?} has two spellings");
        assert!(stand.issued.is(kind, text), "{text} was not issued as a {kind:?}");
        accepted = true;
    }
    if let Ok(client) = Client::recognise(&stand.keys, text) {
        assert!(stand.clients.iter().any(|known| known.client.id == client.id), "{text} was not registered");
        accepted = true;
    }
    for known in &stand.clients {
        let right = known.client.verify_secret(&stand.keys, text).is_ok();
        assert_eq!(right, known.secret.as_deref() == Some(text), "{text} as the secret of {}", known.name);
        accepted |= right;
    }
    verdict(accepted)
}

fn authentic_id(stand: &Stand, registration: &[u8]) -> Verdict {
    let mut bytes = [&[1, 1], registration].concat();
    let tag = stand.keys.mac(Purpose::ClientId, Generation(1), &bytes).expect("the generation is known");
    bytes.extend(tag);
    let id = format!("{REGISTERED_ID_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let Ok(client) = Client::recognise(&stand.keys, &id) else { return Verdict::Refused };
    assert_eq!(client.id.as_str(), id);
    assert!(!client.is_configured());
    Verdict::Accepted
}

/// One of each.
pub fn issued() -> Vec<Issued> {
    let stand = Stand::new();
    let id = |name| stand.client(name).client.id.to_string();
    let secret = stand.client("web").secret.clone().unwrap();
    let issued = &stand.issued;
    [
        ("code", issued.code.clone()),
        ("refresh-token", issued.refresh.clone()),
        ("refresh-token-of-a-later-turn", issued.web_refresh.clone()),
        ("client-id-of-a-public-client", id("public")),
        ("client-id-of-a-confidential-client", id("web")),
        ("client-secret", secret),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .to_vec()
}
