//! What we do: one file for each verb, each a function that reads like its specification.

pub mod administer;
pub mod administer_keys;
pub mod admit;
pub mod allow;
pub mod ask;
pub mod authenticate;
pub mod begin;
pub mod block;
mod blocks;
pub mod callback;
pub mod caller;
pub mod clients;
pub mod consent;
pub mod documents;
pub mod exchange;
mod fetch_limits;
pub mod grants;
mod groups;
pub mod health;
pub mod identify;
pub mod keys;
pub mod mint;
pub mod pace;
pub mod refresh;
pub mod refusal;
pub mod register;
mod remembered;
pub mod revoke;
pub mod root;
pub mod rotate;
pub mod session;
pub mod standing;
mod tally;
mod tell_of_ends;
pub mod token;
pub mod under_way;
pub mod verify;
pub mod verify_key;
mod vouch;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::domain::client::ClientId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::key_use::Replica;
use crate::domain::keys::KeyRing;
use crate::domain::person::UserKey;
use crate::domain::policy::Policy;
use crate::domain::signing_keys::SigningKeys;
use crate::domain::time::Timestamp;
use crate::flows::blocks::KnownBlocks;
use crate::flows::clients::SeenClients;
use crate::flows::documents::KnownDocuments;
use crate::flows::groups::KnownGroups;
use crate::flows::health::LastProbe;
use crate::flows::identify::Identities;
use crate::flows::keys::KnownKeys;
use crate::flows::pace::Paces;
use crate::flows::refresh::Turns;
use crate::flows::standing::GrantStates;
use crate::flows::tally::Tallies;
use crate::flows::under_way::OpenRequests;
use crate::flows::verify::VerifiedTokens;
use crate::flows::verify_key::FoundKeys;
use crate::ports::audit::Audit;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;
use crate::ports::documents::ClientDocuments;
use crate::ports::idp::IdentityProvider;
use crate::ports::root_key::RootKeyStore;
use crate::ports::store::Store;

/// The outside, as the flows need it.
#[derive(Clone)]
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub root: Arc<dyn RootKeyStore>,
    pub idp: Arc<dyn IdentityProvider>,
    pub documents: Arc<dyn ClientDocuments>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub audit: Arc<dyn Audit>,
}

/// The authorization server: its ports, its keys and its policy. Cheap to clone.
///
/// What it holds in memory is for speed alone; another replica with the same store and root key
/// answers the same.
#[derive(Clone)]
pub struct AuthServer(Arc<Parts>);

/// Bytes of a request's name, and how many are drawn at once.
const REQUEST_ID: usize = 16;
const REQUEST_IDS: usize = 256;

struct Parts {
    ports: Ports,
    request_ids: Mutex<Vec<u8>>,
    keys: KnownKeys,
    policy: Policy,
    blocks: KnownBlocks,
    documents: KnownDocuments,
    grant_states: GrantStates,
    found_keys: FoundKeys,
    tallies: Tallies,
    replica: OnceLock<Replica>,
    groups: KnownGroups,
    seen_clients: SeenClients,
    verified_tokens: VerifiedTokens,
    identities: Identities,
    users: Paces<UserKey>,
    callers: Paces<ClientId>,
    open: OpenRequests,
    turns: Turns,
    last_probe: LastProbe,
}

impl AuthServer {
    /// A server that is not open yet.
    #[must_use]
    pub fn new(ports: Ports, policy: Policy) -> Self {
        let documents = KnownDocuments::new(&ports.clock);
        Self(Arc::new(Parts {
            ports,
            request_ids: Mutex::default(),
            keys: KnownKeys::default(),
            policy,
            blocks: KnownBlocks::default(),
            documents,
            grant_states: GrantStates::default(),
            found_keys: FoundKeys::default(),
            tallies: Tallies::default(),
            replica: OnceLock::new(),
            groups: KnownGroups::default(),
            seen_clients: SeenClients::default(),
            verified_tokens: VerifiedTokens::default(),
            identities: Identities::default(),
            users: Paces::default(),
            callers: Paces::default(),
            open: OpenRequests::default(),
            turns: Turns::default(),
            last_probe: LastProbe::default(),
        }))
    }

    /// What flows decide by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The keys that sign, as they are now known.
    #[must_use]
    pub fn signing_keys(&self) -> Arc<SigningKeys> {
        Arc::clone(&self.0.keys.get().signing)
    }

    /// The JWK Set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.signing_keys().jwks(self.now())
    }

    fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.keys.get().ring)
    }

    fn store(&self) -> &dyn Store {
        self.0.ports.store.as_ref()
    }

    fn idp(&self) -> &dyn IdentityProvider {
        self.0.ports.idp.as_ref()
    }

    fn now(&self) -> Timestamp {
        self.0.ports.clock.now()
    }

    /// Time since some fixed instant, for measuring.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.ports.clock.elapsed()
    }

    /// A name for a request: random, so that it tells nothing. Nothing depends on its being secret, so the bytes of many
    /// are drawn at once.
    #[must_use]
    pub fn request_id(&self) -> String {
        let mut drawn = self.0.request_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.is_empty() {
            *drawn = self.random::<{ REQUEST_ID * REQUEST_IDS }>().to_vec();
        }
        let rest = drawn.len() - REQUEST_ID;
        let id = URL_SAFE_NO_PAD.encode(&drawn[rest..]);
        drawn.truncate(rest);
        id
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        self.0.ports.entropy.bytes()
    }

    /// Records an event in the audit trail.
    pub fn record(&self, name: EventName, event: Event) {
        self.0.ports.audit.record(name, event);
    }
}
