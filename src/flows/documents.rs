//! Documents that clients publish, as this replica knows them: fetched when they are needed, by one request at a time,
//! and kept as long as HTTP says, within bounds.

mod shelf;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::client::Client;
use crate::domain::client::ClientId;
use crate::domain::client::PublicKeys;
use crate::domain::client_keys::ClientKeys;
use crate::domain::client_record::CopiedText;
use crate::domain::client_record::DocumentCopy;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::flows::AuthServer;
use crate::flows::fetch_limits::FetchLimits;
use crate::flows::fetch_limits::Refrained;
use crate::flows::refusal::Refusal;
use crate::flows::refusal::Row;
use crate::flows::refusal::row;
use crate::ports::clock::Clock;
use crate::ports::documents::Fetched;
use crate::ports::documents::NotFetched;
use crate::ports::documents::Validators;
use crate::protocol::client_document::BadDocument;
use crate::protocol::client_document::ClientDocument;
use crate::protocol::client_document::Keys;
use crate::protocol::client_id_url::ClientIdUrl;
use crate::protocol::error::ErrorCode;

use shelf::Held;
use shelf::Shelf;
use shelf::digest;

/// However short HTTP says: `max-age=0` must not be a fetch for each request.
const MIN_FRESH: Duration = Duration::from_secs(5 * 60);
/// However long.
const MAX_FRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the host is then asked again.
const RETRY: Duration = Duration::from_secs(60);

/// Why there is no document to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// Its host does not give it at the moment, and there is no copy.
    Away,
    /// It was not asked for: that has happened too often lately.
    TooOften,
    /// There is none, or no longer.
    Missing,
    /// What lies there is no document.
    Unusable,
    /// It does not hold.
    Bad(BadDocument),
}

impl Refusal for NotRead {
    fn row(self) -> Row {
        match self {
            Self::Away => row(
                "document_away",
                ErrorCode::TemporarilyUnavailable,
                "The host of the application's metadata document does not give it to this server at the moment. Try again in a minute. If it stays so, whoever runs the server can enter the document in the configuration.",
            ),
            Self::TooOften => row(
                "document_limited",
                ErrorCode::TemporarilyUnavailable,
                "The metadata document of the application was asked for too often just now. Try again in a minute.",
            ),
            Self::Missing => row(
                "document_missing",
                ErrorCode::InvalidClient,
                "There is no metadata document at the address that is the application's client_id. Whoever makes the application has to publish it again.",
            ),
            Self::Unusable => row(
                "document_unusable",
                ErrorCode::InvalidClient,
                "What lies at the address that is the application's client_id is no metadata document: it must be JSON of at most 5 KiB, sent as application/json with status 200, without a redirect.",
            ),
            Self::Bad(why) => row(why.name(), ErrorCode::InvalidClient, why.sentence()),
        }
    }
}

/// A kind of document.
pub(in crate::flows) trait Published: Send + Sync + Sized + 'static {
    /// How events name it.
    const NAME: &'static str;

    fn read(auth: &AuthServer, address: &ClientIdUrl, text: &str) -> Result<Self, BadDocument>;

    fn known(documents: &KnownDocuments) -> &Shelf<Self>;

    fn copied(copy: DocumentCopy) -> Option<CopiedText>;

    /// Under what it is kept. Keys are each client's own: another's old copy must not stand in for them.
    fn key(address: &ClientIdUrl, owner: &ClientId) -> String;
}

/// The documents in memory.
pub(in crate::flows) struct KnownDocuments {
    clients: Shelf<Client>,
    keys: Shelf<ClientKeys>,
    limits: FetchLimits,
}

impl KnownDocuments {
    pub(in crate::flows) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clients: Shelf::default(), keys: Shelf::default(), limits: FetchLimits::new(clock) }
    }
}

impl Published for Client {
    const NAME: &'static str = "metadata";

    fn read(auth: &AuthServer, address: &ClientIdUrl, text: &str) -> Result<Self, BadDocument> {
        let policy = auth.policy();
        let mut document = ClientDocument::read(address, text, |uri| policy.trust.may_register(uri))?;
        if matches!(&document.keys, Some(Keys::At(address)) if !policy.trust.may_publish(address)) {
            return Err(BadDocument::KeysHost);
        }
        document.metadata.scope = document.metadata.scope.intersection(&policy.resources.all_scopes());
        Self::published(address, document, text).map_err(|_| BadDocument::Keys)
    }

    fn known(documents: &KnownDocuments) -> &Shelf<Self> {
        &documents.clients
    }

    fn copied(copy: DocumentCopy) -> Option<CopiedText> {
        Some(copy.document)
    }

    fn key(address: &ClientIdUrl, _: &ClientId) -> String {
        address.as_str().to_owned()
    }
}

impl Published for ClientKeys {
    const NAME: &'static str = "jwks";

    fn read(_: &AuthServer, _: &ClientIdUrl, text: &str) -> Result<Self, BadDocument> {
        let set = serde_json::from_str(text).map_err(|_| BadDocument::Keys)?;
        Self::read(&set).map_err(|_| BadDocument::Keys)
    }

    fn known(documents: &KnownDocuments) -> &Shelf<Self> {
        &documents.keys
    }

    fn copied(copy: DocumentCopy) -> Option<CopiedText> {
        copy.jwks
    }

    fn key(address: &ClientIdUrl, owner: &ClientId) -> String {
        format!("{} {}", owner.digest(), address.as_str())
    }
}

impl AuthServer {
    /// The document at `address`, which belongs to the client `owner`; another than `seen`, where somebody has found
    /// that one wanting.
    pub(in crate::flows) async fn document<T: Published>(
        &self,
        address: &ClientIdUrl,
        owner: &ClientId,
        seen: Option<&Arc<T>>,
    ) -> Result<Arc<Held<T>>, NotRead> {
        let shelf = T::known(&self.0.documents);
        let key = T::key(address, owner);
        let wanted = |held: &Arc<Held<T>>| held.is_wanted(seen, self.now());
        if let Some(held) = shelf.get(&key).await.filter(wanted) {
            return Ok(held);
        }
        let flight = shelf.flights.try_get_with_by_ref(&key, self.fetched(address, owner, seen)).await;
        shelf.flights.invalidate(&key).await;
        flight.map_err(|error| *error)
    }

    /// Somebody has signed in with this client, or goes on with what it has.
    pub(in crate::flows) async fn note_use(&self, client: &Client) {
        let Some(address) = ClientIdUrl::parse(client.id.as_str()) else { return };
        let now = self.now();
        self.0.documents.clients.note_use(&Client::key(&address, &client.id), now).await;
        if let Some(PublicKeys::At(address)) = &client.public_keys {
            self.0.documents.keys.note_use(&ClientKeys::key(address, &client.id), now).await;
        }
    }

    /// Copies of a client's documents, for the store.
    pub(in crate::flows) async fn documents_of(&self, client: &ClientId) -> Option<DocumentCopy> {
        let KnownDocuments { clients, keys, .. } = &self.0.documents;
        let address = ClientIdUrl::parse(client.as_str())?;
        let held = clients.get(&Client::key(&address, client)).await?;
        let jwks = match &held.value.public_keys {
            Some(PublicKeys::At(at)) => {
                keys.get(&ClientKeys::key(at, client)).await.map(|held| held.to_copy(at))
            }
            _ => None,
        };
        Some(DocumentCopy { document: held.to_copy(&address), jwks })
    }

    async fn fetched<T: Published>(
        &self,
        address: &ClientIdUrl,
        owner: &ClientId,
        seen: Option<&Arc<T>>,
    ) -> Result<Arc<Held<T>>, NotRead> {
        let KnownDocuments { limits, .. } = &self.0.documents;
        let (shelf, key) = (T::known(&self.0.documents), T::key(address, owner));
        let used = shelf.used.get(&key).await;
        let is_used = used.is_some();
        let held = if is_used { used } else { shelf.strange.get(&key).await };
        // Another flight may have landed while this one was about to begin.
        if let Some(held) = held.as_ref().filter(|held| held.is_wanted(seen, self.now())) {
            return Ok(Arc::clone(held));
        }
        if let Err(why) = limits.admit(address, &key, !is_used) {
            let why = if why == Refrained::HostRests { NotRead::Away } else { NotRead::TooOften };
            return self.last_good(address, owner, held).await.ok_or(why);
        }
        let validators = held.as_ref().map(|held| held.validators.clone()).unwrap_or_default();
        let fetched = self.0.ports.documents.fetch(address.url(), &validators).await;
        limits.note(address, !is_used, !matches!(fetched, Err(NotFetched::Away(_))));
        let refused = |what| self.record(EventName::DocumentRefused, event::<T>(address, owner, Some(what)));
        let read = match (fetched, held) {
            (Err(NotFetched::Away(what)), held) => {
                refused(what);
                return self.last_good(address, owner, held).await.ok_or(NotRead::Away);
            }
            (Err(NotFetched::Missing), _) => Err((NotRead::Missing, "missing")),
            (Err(NotFetched::Unusable(what)), _) => Err((NotRead::Unusable, what)),
            (Ok(fetched), held) => {
                self.judged(address, fetched, held).map_err(|why| (NotRead::Bad(why), why.name()))
            }
        };
        match read {
            Ok(read) => {
                shelf.ended.invalidate(&digest(&key)).await;
                // Somebody may have signed in meanwhile.
                let is_used = is_used || shelf.used.contains_key(&key);
                shelf.keep(&key, &read, is_used, self.now()).await;
                Ok(read)
            }
            Err((why, what)) => {
                refused(what);
                shelf.end(&key).await;
                Err(why)
            }
        }
    }

    fn judged<T: Published>(
        &self,
        address: &ClientIdUrl,
        fetched: Fetched,
        held: Option<Arc<Held<T>>>,
    ) -> Result<Arc<Held<T>>, BadDocument> {
        let Fetched { text, validators, fresh_for } = fetched;
        let now = self.now();
        let (value, text) = match (text, held) {
            (Some(text), _) => (Arc::new(T::read(self, address, &text)?), text.into()),
            (None, Some(held)) => (Arc::clone(&held.value), Arc::clone(&held.text)),
            // "Not modified" without anything that was named.
            (None, None) => return Err(BadDocument::NotJson),
        };
        let fresh_until = now.plus(fresh_for.clamp(MIN_FRESH, MAX_FRESH));
        Ok(Arc::new(Held { value, text, validators, confirmed_at: now, fresh_until }))
    }

    /// The last good copy, in memory or in the store, if it is not too old and its host has not taken it back.
    async fn last_good<T: Published>(
        &self,
        address: &ClientIdUrl,
        owner: &ClientId,
        held: Option<Arc<Held<T>>>,
    ) -> Option<Arc<Held<T>>> {
        let (shelf, key) = (T::known(&self.0.documents), T::key(address, owner));
        let now = self.now();
        let held = match held {
            Some(held) => held,
            None if shelf.ended.contains_key(&digest(&key)) => return None,
            None => self.copied(address, owner).await?,
        };
        if !held.may_serve(now) {
            return None;
        }
        let Held { value, text, validators, confirmed_at, .. } = held.as_ref();
        let held = Arc::new(Held {
            value: Arc::clone(value),
            text: Arc::clone(text),
            validators: validators.clone(),
            // A clock that ran ahead must not make it last longer.
            confirmed_at: now.min(*confirmed_at),
            fresh_until: now.plus(RETRY),
        });
        let is_used = !shelf.strange.contains_key(&key);
        shelf.keep(&key, &held, is_used, now).await;
        self.record(EventName::DocumentKept, event::<T>(address, owner, None));
        Some(held)
    }

    async fn copied<T: Published>(&self, address: &ClientIdUrl, owner: &ClientId) -> Option<Arc<Held<T>>> {
        if !self.0.documents.limits.admits_copy() {
            return None;
        }
        let copied = T::copied(self.stored_documents(owner).await?);
        // Keys that lay elsewhere are not those that the document means now.
        let copied = copied.filter(|copied| copied.address == address.as_str());
        let CopiedText { text, confirmed_at, .. } = copied?;
        let value = Arc::new(T::read(self, address, &text).ok()?);
        let held = Held {
            value,
            text: text.into(),
            validators: Validators::default(),
            confirmed_at,
            fresh_until: confirmed_at,
        };
        Some(Arc::new(held))
    }
}

fn event<T: Published>(address: &ClientIdUrl, owner: &ClientId, reason: Option<&'static str>) -> Event {
    Event {
        client: Some(owner.digest()),
        document_host: Some(address.host().to_owned()),
        call: Some(T::NAME),
        reason,
        ..Event::default()
    }
}
