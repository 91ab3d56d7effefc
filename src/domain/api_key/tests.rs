use std::str::FromStr as _;

use secrecy::SecretBox;

use super::*;
use crate::domain::keys::RootKey;
use crate::protocol::issuer::Issuer;

const NOW: Timestamp = Timestamp(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

fn ring(byte: u8) -> KeyRing {
    let root = RootKey { generation: Generation(1), bytes: SecretBox::new(Box::new([byte; 32])) };
    KeyRing::derive(&Issuer::parse("https://mcp.example.com").unwrap(), [&root], Generation(1)).unwrap()
}

fn issued(ring: &KeyRing) -> (PresentedKey, String) {
    let (presented, text) = PresentedKey::issue(ring, KeyId([7; 8]), [9; SECRET_LEN]);
    (presented, text.expose().to_owned())
}

fn key(secret: SecretHash) -> ApiKey {
    let secrets = vec![Secret { hash: secret, made_at: NOW, until: NOW.plus(90 * DAY) }];
    let body = KeyBody {
        name: "ci".to_owned(),
        owner: "ada".to_owned(),
        resource: "https://mcp.example.com/mcp".to_owned(),
        scopes: Scopes::parse("mcp.read"),
        rate: None,
        created_at: NOW,
        secrets,
    };
    ApiKey { id: KeyId([7; 8]), revoked: false, body }
}

fn hash(byte: u8) -> SecretHash {
    SecretHash([byte; 32])
}

#[test]
fn a_key_is_known_again_by_the_deployment_that_made_it() {
    let ours = ring(1);
    let (presented, text) = issued(&ours);
    assert_eq!(PresentedKey::read(&ours, &text), Ok(presented));
    assert_eq!((text.len(), &text[..4]), (68, "ent_"));
    assert_eq!(PresentedKey::read(&ring(2), &text), Err(NotAKey::NotOurs));
}

#[test]
fn a_key_of_which_any_character_is_another_is_a_mistyped_one() {
    let ours = ring(1);
    let (_, text) = issued(&ours);
    for at in 0..text.len() {
        let other = if text.as_bytes()[at] == b'x' { 'y' } else { 'x' };
        let mistyped = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert_eq!(PresentedKey::read(&ours, &mistyped), Err(NotAKey::Mistyped), "{at}");
    }
    for cut in ["", "ent_", &text[..text.len() - 1], &text[4..], &format!("{text}A"), "ent_\u{fc}"] {
        assert_eq!(PresentedKey::read(&ours, cut), Err(NotAKey::Mistyped), "{cut}");
    }
}

#[test]
fn a_whole_key_that_somebody_made_up_is_not_ours() {
    let ours = ring(1);
    let mut bytes = vec![VERSION, 1];
    bytes.resize(MESSAGE_LEN + TAG_LEN, 3);
    bytes.extend(checksum(&bytes));
    let made_up = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
    assert_eq!(PresentedKey::read(&ours, &made_up), Err(NotAKey::NotOurs));
}

#[test]
fn ids_are_written_in_one_way() {
    let id = KeyId([0, 1, 2, 3, 0xab, 0xcd, 0xef, 0xff]);
    assert_eq!(
        (id.to_string().as_str(), KeyId::parse("key:00010203abcdefff")),
        ("key:00010203abcdefff", Some(id))
    );
    for other in
        ["00010203abcdefff", "key:00010203ABCDEFFF", "key:+0010203abcdefff", "key:10203abcdefff", "key:"]
    {
        assert_eq!(KeyId::parse(other), None, "{other}");
    }
    assert!(u64::from_str("+1").is_ok(), "which is why a sign is looked for");
}

#[test]
fn secrets_end_by_themselves_by_rotation_and_by_revocation() {
    let first = key(hash(1));
    let until = NOW.plus(90 * DAY);
    assert_eq!(first.good_until(&hash(1), NOW), Ok(until));
    assert_eq!(first.good_until(&hash(1), until), Err(KeyEnd::Expired));
    assert_eq!(first.good_until(&hash(2), NOW), Err(KeyEnd::Unknown));
    let rotated = first.rotated(hash(2), NOW.plus(120 * DAY), DAY, NOW);
    assert_eq!(rotated.good_until(&hash(1), NOW), Ok(NOW.plus(DAY)));
    assert_eq!(rotated.good_until(&hash(1), NOW.plus(DAY)), Err(KeyEnd::Replaced));
    assert_eq!(rotated.good_until(&hash(2), NOW.plus(DAY)), Ok(NOW.plus(120 * DAY)));
    assert_eq!((rotated.living_secrets(NOW), rotated.living_secrets(NOW.plus(DAY))), (2, 1));
    let revoked = rotated.revoked();
    assert_eq!(revoked.good_until(&hash(2), NOW), Err(KeyEnd::Revoked));
    assert!(!revoked.is_alive(NOW));
}

#[test]
fn an_overlap_never_makes_an_old_secret_live_longer() {
    let ends = NOW.plus(90 * DAY);
    let rotated = key(hash(1)).rotated(hash(2), NOW.plus(365 * DAY), 200 * DAY, NOW);
    assert_eq!(rotated.good_until(&hash(1), ends), Err(KeyEnd::Replaced));
    let at_once = rotated.rotated(hash(3), NOW.plus(DAY), Duration::ZERO, NOW);
    for old in [1, 2] {
        assert_eq!(at_once.good_until(&hash(old), NOW), Err(KeyEnd::Replaced), "{old}");
    }
    assert_eq!(at_once.forgotten_at(), NOW.plus(DAY + KEPT));
}

#[test]
fn its_end_is_near_in_its_last_fortnight_or_the_last_quarter_of_a_short_life() {
    let long = key(hash(1));
    assert!(!long.ends_soon(NOW.plus(75 * DAY)) && long.ends_soon(NOW.plus(76 * DAY)));
    assert!(!long.ends_soon(NOW.plus(90 * DAY)), "it has ended");
    let rotated = long.clone().rotated(hash(2), NOW.plus(170 * DAY), DAY, NOW.plus(80 * DAY));
    assert!(!rotated.ends_soon(NOW.plus(80 * DAY)));
    let mut short = long;
    short.body.secrets[0].until = NOW.plus(4 * DAY);
    assert!(!short.ends_soon(NOW.plus(2 * DAY)) && short.ends_soon(NOW.plus(3 * DAY)));
}

#[test]
fn a_document_is_read_back_and_none_that_was_altered_in_clear() {
    let ring = ring(1);
    for key in [key(hash(1)), key(hash(1)).revoked()] {
        let document = key.to_document(&ring, WriteId([0; 16]), [0; 12]);
        assert_eq!(document.key, ApiKey::key(key.id));
        assert_eq!(ApiKey::from_document(&ring, document.clone()), Ok(key));
        let altered = [
            Document { state: State::Pending, ..document.clone() },
            Document { expires_at: Some(NOW), ..document.clone() },
            Document { key: ApiKey::key(KeyId([8; 8])), ..document.clone() },
            Document { schema: 2, ..document },
        ];
        for altered in altered {
            assert_eq!(ApiKey::from_document(&ring, altered), Err(NotAuthentic));
        }
    }
}

#[test]
fn neither_a_key_nor_what_made_it_can_be_printed() {
    let (_, text) = PresentedKey::issue(&ring(1), KeyId([7; 8]), [9; SECRET_LEN]);
    assert!(!format!("{text:?}").contains("ent_"), "{text:?}");
}

#[test]
fn what_is_stored_of_a_secret_is_its_hash() {
    let (presented, text) = issued(&ring(1));
    let stored = serde_json::to_string(&key(presented.secret).body).unwrap();
    let secret = serde_json::to_string(&[9; SECRET_LEN]).unwrap();
    assert!(!stored.contains(secret.trim_matches(['[', ']'])), "{stored}");
    assert!(!stored.contains(&text[20..40]), "{stored}");
    let hash = serde_json::to_string(&presented.secret).unwrap();
    assert!(stored.contains(&hash), "{stored}");
}
