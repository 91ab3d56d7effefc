//! Sealed values: logins in forms and cookies, documents in the store. The first line says what the rest is:
//!
//! - `login` or `approved`: text, from a form or a cookie;
//! - `grant STATE N EXPIRES`, `blocks`, `client`: the body of such a document, from the store;
//! - `sealed login`, `sealed approved`, `sealed grant`, `sealed blocks`: what our own key then seals. Nobody but us can;
//!   but another version of us may have.
//!
//! `{grant}` and the like stand for the bodies that were sealed here.

use std::fmt::Debug;
use std::str::Utf8Error;

use entrada::domain::block::Block;
use entrada::domain::block::Blocked;
use entrada::domain::block::Blocks;
use entrada::domain::client::UpstreamApp;
use entrada::domain::client_record::ClientRecord;
use entrada::domain::document::Document;
use entrada::domain::document::State;
use entrada::domain::document::WriteId;
use entrada::domain::grant::Grant;
use entrada::domain::grant::GrantBody;
use entrada::domain::keys::KeyRing;
use entrada::domain::keys::Purpose;
use entrada::domain::login::Approved;
use entrada::domain::login::Browser;
use entrada::domain::login::Login;
use entrada::domain::login::UpstreamSecrets;
use entrada::domain::seal::SealNonce;
use entrada::domain::seal::Sealed;
use entrada::domain::time::Timestamp;
use entrada::protocol::parameters::Parameters;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Issued;
use super::Verdict;
use super::outside::NOW;
use super::stand::Stand;
use super::stand::VERIFIER_HASH;
use super::stand::filled;
use super::verdict;

const NONCE: SealNonce = [7; 12];
/// Where the record of a client lies, in this test.
const CLIENT_PLACE: &str = "c.client/client/1";

thread_local! {
    static STAND: (Stand, Vec<Issued>) = (Stand::new(), issued());
}

pub fn run(data: &[u8]) -> Verdict {
    STAND.with(|(stand, issued)| {
        let sealed =
            |name: &str| issued.iter().find(|(known, _)| *known == name).map(|(_, input)| parts(input).1);
        let input = filled(data, sealed);
        let (Ok(head), body) = parts(&input) else { return Verdict::Refused };
        if let Some(kind) = head.strip_prefix("sealed ") {
            return sealed_by_us(stand, kind, body);
        }
        let opened = opens(stand, head, body);
        assert!(!opened || issued.iter().any(|(_, known)| *known == input), "nobody sealed this {head}");
        verdict(opened)
    })
}

/// The first line, and what follows.
fn parts(input: &[u8]) -> (Result<&str, Utf8Error>, &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (str::from_utf8(&input[..end]), input.get(end + 1..).unwrap_or_default())
}

fn opens(stand: &Stand, head: &str, body: &[u8]) -> bool {
    let keys = &stand.keys;
    match head.split(' ').collect::<Vec<_>>().as_slice() {
        ["login" | "approved"] => {
            let Ok(text) = str::from_utf8(body) else { return false };
            let login = Sealed::<Login>::from_text(text).open_compact(keys, Purpose::Login).is_ok();
            let approved = Sealed::<Approved>::from_text(text).open_compact(keys, Purpose::Approved).is_ok();
            assert!(!(login && approved), "one stands for the other");
            if head == "login" { login } else { approved }
        }
        ["grant", state, n, expires] => {
            let clear = (state_named(state), n.parse().ok(), expires.parse().ok());
            let (Some(state), Some(generation), Some(expires)) = clear else { return false };
            let expires_at = Some(Timestamp(expires));
            let document =
                Document { state, generation, expires_at, body: body.to_vec(), ..grant_document(stand) };
            Grant::from_document(keys, document).is_ok_and(|read| {
                assert_eq!(read, stand.grants[2]);
                // `01` is `1`.
                head == grant_head(stand)
            })
        }
        ["blocks"] => {
            let document =
                Document { body: body.to_vec(), ..blocks().to_document(keys, WriteId([7; 16]), NONCE) };
            Blocks::from_document(keys, document).is_ok_and(|read| read == blocks())
        }
        ["client"] => {
            let sealed = Sealed::<ClientRecord>::from_bytes(body.to_vec());
            sealed.open_record(keys, CLIENT_PLACE).is_ok_and(|read| read == client_record(stand))
        }
        _ => false,
    }
}

/// What we seal and open again means the same once more, whatever it is.
fn sealed_by_us(stand: &Stand, kind: &str, plain: &[u8]) -> Verdict {
    let keys = &stand.keys;
    verdict(match kind {
        "login" => compact_again::<Login>(keys, Purpose::Login, plain),
        "approved" => compact_again::<Approved>(keys, Purpose::Approved, plain),
        "grant" => record_again::<GrantBody>(keys, plain),
        "blocks" => record_again::<Blocks>(keys, plain),
        "client" => record_again::<ClientRecord>(keys, plain),
        _ => false,
    })
}

fn compact_again<T: Serialize + DeserializeOwned + Debug>(
    keys: &KeyRing,
    purpose: Purpose,
    plain: &[u8],
) -> bool {
    let sealed = keys.seal(purpose, b"1", NONCE, plain.to_vec());
    let Ok(value) = Sealed::<T>::from_bytes(sealed).open_compact(keys, purpose) else { return false };
    let again = Sealed::compact(keys, purpose, NONCE, &value).open_compact(keys, purpose);
    assert_eq!(format!("{:?}", again.unwrap()), format!("{value:?}"));
    true
}

fn record_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(keys: &KeyRing, plain: &[u8]) -> bool {
    let place = "place";
    let sealed = keys.seal(Purpose::Record, place.as_bytes(), NONCE, plain.to_vec());
    let Ok(value) = Sealed::<T>::from_bytes(sealed).open_record(keys, place) else { return false };
    assert_eq!(Sealed::record(keys, place, NONCE, &value).open_record(keys, place), Ok(value));
    true
}

fn state_named(name: &str) -> Option<State> {
    [State::Plain, State::Pending, State::Active, State::Revoked]
        .into_iter()
        .find(|state| state.as_str() == name)
}

/// All that is sealed here.
pub fn issued() -> Vec<Issued> {
    let stand = Stand::new();
    let keys = &stand.keys;
    let login = login(&stand);
    let upstream = UpstreamSecrets { state: [1; 16], nonce: [2; 16], code_verifier: [3; 32] };
    let approved = Approved { login: login.clone(), turn: 1, upstream };
    let text = |sealed: String| sealed.into_bytes();
    [
        ("login", "login".to_owned(), text(Sealed::compact(keys, Purpose::Login, NONCE, &login).to_text())),
        (
            "approved",
            "approved".to_owned(),
            text(Sealed::compact(keys, Purpose::Approved, NONCE, &approved).to_text()),
        ),
        ("grant", grant_head(&stand), grant_document(&stand).body),
        ("blocks", "blocks".to_owned(), blocks().to_document(keys, WriteId([7; 16]), NONCE).body),
        (
            "client",
            "client".to_owned(),
            Sealed::record(keys, CLIENT_PLACE, NONCE, &client_record(&stand)).into_bytes(),
        ),
    ]
    .into_iter()
    .map(|(name, head, body)| (name, [head.as_bytes(), b"\n", &body].concat()))
    .collect()
}

fn login(stand: &Stand) -> Login {
    let query = stand.filled(format!("client_id={{public}}&redirect_uri=http://127.0.0.1:6274/oauth/callback&response_type=code&state=s&code_challenge={VERIFIER_HASH}&code_challenge_method=S256").as_bytes());
    let begun = stand.runtime.block_on(stand.auth.begin(&Parameters::parse(&query), Browser::of("b")));
    begun.unwrap().login.open_compact(&stand.keys, Purpose::Login).unwrap()
}

fn grant_document(stand: &Stand) -> Document {
    stand.grants[2].to_document(&stand.keys, WriteId([7; 16]), NONCE)
}

fn grant_head(stand: &Stand) -> String {
    let Document { state, generation, .. } = grant_document(stand);
    format!("grant {} {generation} {}", state.as_str(), stand.grants[2].expires_at)
}

fn blocks() -> Blocks {
    let what =
        [Blocked::Client("AAAAAAAAAAAAAAAA".to_owned()), Blocked::RedirectHost("evil.example".to_owned())];
    Blocks(what.map(|what| Block { what, since: NOW }).to_vec())
}

fn client_record(stand: &Stand) -> ClientRecord {
    let client = &stand.client("web").client;
    ClientRecord {
        client_id: client.id.to_string(),
        client_name: client.name.clone(),
        redirect_uri: client.redirect_uris[0].clone(),
        auth_method: client.auth_method,
        upstream: UpstreamApp { tenant: "tenant".to_owned(), client_id: "entrada".to_owned() },
        first_used_at: NOW,
        last_used_at: NOW,
        document: None,
    }
}
