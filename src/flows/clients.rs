//! The client-to-Entra mapping: which clients people have signed in with, and when.
//!
//! Written when a person first completes a sign-in with a client, then at most daily: nobody who has
//! not signed in causes a write.

use std::time::Duration;

use moka::sync::Cache;

use crate::domain::client::ClientId;
use crate::domain::client_record::ClientRecord;
use crate::domain::client_record::DocumentCopy;
use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::Stored;
use crate::domain::document::WriteId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::seal::Sealed;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::ports::store::StoreError;

/// Partitions of clients begin so.
pub(in crate::flows) const PARTITION_PREFIX: &str = "c.";
const SCHEMA: u16 = 1;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// When each client's use was last written, as far as this replica knows.
pub(in crate::flows) struct SeenClients(Cache<String, Timestamp>);

impl Default for SeenClients {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).build())
    }
}

impl AuthServer {
    /// Remembers that a person signed in with the grant's client. Its failure is recorded and fails
    /// nobody's sign-in.
    pub(in crate::flows) async fn remember_client(&self, grant: &Grant, now: Timestamp) {
        let digest = grant.body.client_id.digest();
        let seen = &self.0.seen_clients.0;
        if seen.get(&digest).is_some_and(|at| now < at.plus(DAY)) {
            return;
        }
        match self.write_client(client_key(&digest), grant, now).await {
            Ok(()) | Err(StoreError::Conflict) => seen.insert(digest, now),
            Err(_) => {
                let reason = Some("client_not_remembered");
                self.record(EventName::StoreAway, Event { client: Some(digest), reason, ..Event::default() });
            }
        }
    }

    /// The last good copy of a client's metadata document.
    pub(in crate::flows) async fn stored_documents(&self, client: &ClientId) -> Option<DocumentCopy> {
        let read = self.store().read(&client_key(&client.digest())).await;
        let stored = read.map_err(|error| self.store_failed("read", &error)).ok()??;
        self.client_record(stored.document)?.document
    }

    async fn write_client(&self, key: DocumentKey, grant: &Grant, now: Timestamp) -> Result<(), StoreError> {
        let body = &grant.body;
        let first = ClientRecord {
            client_id: body.client_id.to_string(),
            client_name: body.client_name.clone(),
            redirect_uri: body.redirect_uri.clone(),
            auth_method: body.auth_method,
            upstream: self.policy().upstream.clone(),
            first_used_at: now,
            last_used_at: now,
            document: self.documents_of(&body.client_id).await,
        };
        match self.store().create(self.client_document(key.clone(), &first)).await {
            Err(StoreError::Conflict) => {}
            created => return created.map(drop),
        }
        let Some(Stored { document, version }) = self.store().read(&key).await? else { return Ok(()) };
        let known = self.client_record(document);
        let first_used_at = known.as_ref().map_or(now, |known| known.first_used_at);
        // What this replica has not fetched itself, another may have.
        let older = known.and_then(|known| known.document);
        let document = match first.document.clone() {
            Some(own) => Some(own.newest(older)),
            None => older,
        };
        let latest = ClientRecord { first_used_at, document, ..first };
        self.store().replace(self.client_document(key, &latest), &version).await.map(drop)
    }

    /// Reads the record of a client back; `None` when it does not open.
    pub(in crate::flows) fn client_record(&self, document: Document) -> Option<ClientRecord> {
        let place = place(&document.key);
        Sealed::from_bytes(document.body).open_record(&self.keys(), &place).ok()
    }

    pub(in crate::flows) fn client_document(&self, key: DocumentKey, record: &ClientRecord) -> Document {
        let body = Sealed::record(&self.keys(), &place(&key), self.random(), record).into_bytes();
        Document::plain(key, SCHEMA, WriteId(self.random()), body)
    }
}

pub(in crate::flows) fn client_key(digest: &str) -> DocumentKey {
    DocumentKey { partition: format!("{PARTITION_PREFIX}{digest}"), id: digest.to_owned() }
}

fn place(key: &DocumentKey) -> String {
    format!("{}/{}/{SCHEMA}", key.partition, key.id)
}
