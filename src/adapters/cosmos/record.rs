//! How a document lies in its container: JSON, whose body alone is sealed.

use std::time::Duration;

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

/// What Cosmos DB waits longer than we do before it removes a document. It counts from its own clock's time
/// of the write, so this covers a clock of ours that is behind, and the way there.
const MARGIN: Duration = Duration::from_secs(300);

/// The largest `ttl` that Cosmos DB takes.
const MAX_TTL: i64 = i32::MAX as i64;

/// The JSON of a document. The names are what is in the database: a change needs a new `schema`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) pk: String,
    /// Seconds from the write until Cosmos DB removes the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    /// The expiry, in seconds since 1970. `ttl` is no substitute: it is relative to `_ts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    state: State,
    generation: u32,
    /// The id of the write, by which an answer that was lost is told from another's write.
    pub(super) nonce: String,
    schema: u16,
    body: String,
    /// Written by Cosmos DB, never by us.
    #[serde(rename = "_etag", default, skip_serializing)]
    etag: String,
}

impl Record {
    pub(super) fn of(document: &Document, now: Timestamp) -> Self {
        let ttl = |at: Timestamp| {
            let left = i64::try_from(at.plus(MARGIN).since(now).as_secs()).unwrap_or(MAX_TTL);
            left.clamp(1, MAX_TTL)
        };
        Self {
            id: document.key.id.clone(),
            pk: document.key.partition.clone(),
            ttl: document.expires_at.map(ttl),
            exp: document.expires_at.map(|at| at.0),
            state: document.state,
            generation: document.generation,
            nonce: nonce(document.write_id),
            schema: document.schema,
            body: URL_SAFE_NO_PAD.encode(&document.body),
            etag: String::new(),
        }
    }

    /// After its instant, not at it.
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.exp.is_some_and(|exp| exp < now.0)
    }

    /// What a replacement of this record has to name.
    pub(super) fn version(&self) -> Version {
        version(&self.etag, self.exp)
    }

    /// What a replacement of this record has to name, once it was written as `etag`.
    pub(super) fn version_at(&self, etag: &str) -> Version {
        version(etag, self.exp)
    }

    pub(super) fn etag(&self) -> &str {
        &self.etag
    }

    /// The document that was written as this record.
    pub(super) fn read(self) -> Result<Stored, StoreError> {
        let version = self.version();
        let write_id = URL_SAFE_NO_PAD.decode(&self.nonce).ok().and_then(|bytes| bytes.try_into().ok());
        let body = URL_SAFE_NO_PAD.decode(&self.body).ok();
        let (Some(write_id), Some(body)) = (write_id, body) else { return Err(unreadable()) };
        let document = Document {
            key: DocumentKey { partition: self.pk, id: self.id },
            schema: self.schema,
            state: self.state,
            generation: self.generation,
            write_id: WriteId(write_id),
            expires_at: self.exp.map(Timestamp),
            body,
        };
        Ok(Stored { document, version })
    }
}

pub(super) fn nonce(write_id: WriteId) -> String {
    URL_SAFE_NO_PAD.encode(write_id.0)
}

/// The ETag, and when what it names expires: a replacement is then refused without a read.
pub(super) fn version(etag: &str, exp: Option<i64>) -> Version {
    Version(format!("{} {etag}", exp.map(|exp| exp.to_string()).unwrap_or_default()))
}

/// The ETag of a version that a replacement may still name; `None` when it has expired, or is none of ours.
pub(super) fn living(version: &Version, now: Timestamp) -> Option<&str> {
    let (exp, etag) = version.0.split_once(' ')?;
    let lives = exp.is_empty() || exp.parse::<i64>().ok()? >= now.0;
    (lives && !etag.is_empty()).then_some(etag)
}

pub(super) fn unreadable() -> StoreError {
    StoreError::Corrupt("a document in the container cannot be decoded".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn document(expires_at: Option<i64>) -> Document {
        Document {
            key: DocumentKey { partition: "g.user".to_owned(), id: "grant".to_owned() },
            schema: 3,
            state: State::Active,
            generation: 7,
            write_id: WriteId([0xab; 16]),
            expires_at: expires_at.map(Timestamp),
            body: b"sealed".to_vec(),
        }
    }

    /// Containers outlive versions.
    #[test]
    fn the_json_is_what_older_containers_hold() {
        let record = Record::of(&document(Some(1_060)), NOW);
        let expected = json!({
            "id": "grant", "pk": "g.user", "ttl": 360, "exp": 1_060, "state": "active", "generation": 7,
            "nonce": "q6urq6urq6urq6urq6urqw", "schema": 3, "body": "c2VhbGVk",
        });
        assert_eq!(serde_json::to_value(&record).unwrap(), expected);
        let lasting = serde_json::to_value(Record::of(&document(None), NOW)).unwrap();
        assert_eq!((lasting.get("ttl"), lasting.get("exp")), (None, None));
    }

    #[test]
    fn cosmos_db_never_removes_before_we_expire() {
        let ttl = |expires_at| Record::of(&document(Some(expires_at)), NOW).ttl;
        assert_eq!(ttl(1_000), Some(300));
        assert_eq!(ttl(0), Some(1), "what is written expired still needs a ttl above zero");
        assert_eq!(ttl(i64::MAX), Some(MAX_TTL));
    }

    #[test]
    fn what_was_written_is_read_back_with_its_version() {
        let mut json = serde_json::to_value(Record::of(&document(Some(1_060)), NOW)).unwrap();
        json["_etag"] = json!("\"0-1\"");
        json["_ts"] = json!(1_000);
        let record: Record = serde_json::from_value(json).unwrap();
        let stored = record.read().unwrap();
        assert_eq!(stored.document, document(Some(1_060)));
        assert_eq!(living(&stored.version, Timestamp(1_060)), Some("\"0-1\""));
        assert_eq!(living(&stored.version, Timestamp(1_061)), None, "expired in the meantime");
    }

    #[test]
    fn what_is_no_version_of_ours_names_nothing() {
        for version in ["", " ", "no version of ours", "12x \"0-1\""] {
            assert_eq!(living(&Version(version.to_owned()), NOW), None);
        }
        assert_eq!(living(&version("\"0-1\"", None), NOW), Some("\"0-1\""));
    }

    #[test]
    fn what_cannot_be_decoded_is_not_quoted() {
        for (member, value) in [("nonce", "short"), ("body", "no base64!")] {
            let mut json = serde_json::to_value(Record::of(&document(None), NOW)).unwrap();
            json[member] = json!(value);
            let error = serde_json::from_value::<Record>(json).unwrap().read().unwrap_err();
            assert_eq!(
                error.to_string(),
                "the store is corrupt: a document in the container cannot be decoded"
            );
        }
    }
}
