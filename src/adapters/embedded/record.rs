//! How a document lies in its table: a byte for the layout, the head in postcard, the body as it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::State;
use crate::domain::document::Stored;
use crate::domain::document::Version;
use crate::domain::document::WriteId;
use crate::domain::time::Timestamp;
use crate::ports::store::StoreError;

use super::expired;

/// Written first, so that another layout can lie beside this one.
const LAYOUT: u8 = 1;

/// Everything but the key, which is the table's, and the body. Plain numbers, so that nothing that
/// happens to the domain's types changes what is on disk.
#[derive(Serialize, Deserialize)]
struct Head {
    schema: u16,
    state: u8,
    generation: u32,
    write_id: [u8; 16],
    expires_at: Option<i64>,
}

/// What a condition is checked against, without copying the body.
pub(super) struct Condition {
    pub(super) version: Version,
    pub(super) expires_at: Option<Timestamp>,
}

/// The version of the document that this write made.
pub(super) fn version(write_id: WriteId) -> Version {
    Version(URL_SAFE_NO_PAD.encode(write_id.0))
}

pub(super) fn encode(document: &Document) -> Vec<u8> {
    let head = Head {
        schema: document.schema,
        state: state_number(document.state),
        generation: document.generation,
        write_id: document.write_id.0,
        expires_at: document.expires_at.map(|instant| instant.0),
    };
    let mut record = postcard::to_extend(&head, vec![LAYOUT]).expect("numbers always serialise");
    record.extend_from_slice(&document.body);
    record
}

/// The document, unless it has expired.
pub(super) fn decode(key: DocumentKey, record: &[u8], now: Timestamp) -> Result<Option<Stored>, StoreError> {
    let (head, state, body) = split(record).ok_or_else(|| unreadable(&key))?;
    let expires_at = head.expires_at.map(Timestamp);
    if expired(expires_at, now) {
        return Ok(None);
    }
    let write_id = WriteId(head.write_id);
    let document = Document {
        key,
        schema: head.schema,
        state,
        generation: head.generation,
        write_id,
        expires_at,
        body: body.to_vec(),
    };
    Ok(Some(Stored { document, version: version(write_id) }))
}

/// What a write needs to know of the record it would replace.
pub(super) fn condition(key: &DocumentKey, record: &[u8]) -> Result<Condition, StoreError> {
    let (head, _, _) = split(record).ok_or_else(|| unreadable(key))?;
    Ok(Condition { version: version(WriteId(head.write_id)), expires_at: head.expires_at.map(Timestamp) })
}

fn split(record: &[u8]) -> Option<(Head, State, &[u8])> {
    let (&LAYOUT, rest) = record.split_first()? else { return None };
    let (head, body) = postcard::take_from_bytes::<Head>(rest).ok()?;
    let state = state_of(head.state)?;
    Some((head, state, body))
}

fn unreadable(key: &DocumentKey) -> StoreError {
    StoreError::Corrupt(format!("document {}/{} cannot be decoded", key.partition, key.id))
}

fn state_number(state: State) -> u8 {
    match state {
        State::Plain => 0,
        State::Pending => 1,
        State::Active => 2,
        State::Revoked => 3,
    }
}

fn state_of(number: u8) -> Option<State> {
    [State::Plain, State::Pending, State::Active, State::Revoked].get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn key() -> DocumentKey {
        DocumentKey { partition: "p".to_owned(), id: "grant".to_owned() }
    }

    fn document(state: State) -> Document {
        Document {
            key: key(),
            schema: 3,
            state,
            generation: 300,
            write_id: WriteId([0xab; 16]),
            expires_at: Some(Timestamp(1_000)),
            body: b"sealed".to_vec(),
        }
    }

    #[test]
    fn every_state_comes_back() {
        for state in [State::Plain, State::Pending, State::Active, State::Revoked] {
            let document = document(state);
            let stored = decode(key(), &encode(&document), NOW).unwrap().unwrap();
            assert_eq!(stored.document, document);
        }
    }

    /// Files outlive versions: a change here needs a new layout byte, and the old one still read.
    #[test]
    fn the_layout_is_what_older_files_hold() {
        let mut expected = vec![1, 3, 2, 0xac, 2];
        expected.extend([0xab; 16]);
        expected.extend([1, 0xd0, 0x0f]);
        expected.extend(b"sealed");
        assert_eq!(encode(&document(State::Active)), expected);
    }

    #[test]
    fn what_cannot_be_decoded_is_named_by_its_key_alone() {
        let whole = encode(&document(State::Active));
        let mut other_layout = whole.clone();
        other_layout[0] = 9;
        let mut other_state = whole.clone();
        other_state[2] = 4;
        for record in [&[][..], &whole[..8], &other_layout, &other_state] {
            let error = decode(key(), record, NOW).unwrap_err();
            assert_eq!(error.to_string(), "the store is corrupt: document p/grant cannot be decoded");
            assert!(condition(&key(), record).is_err());
        }
    }
}
