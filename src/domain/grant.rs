//! The grant: one document for each sign-in, one state machine, one swap for each step.
//!
//! `Pending → Active(0) → Active(1) → … → Revoked`. Redeeming the code is the first swap, each
//! refresh one more. What is decided here is decided on values; the store only compares.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

use crate::domain::client::ClientId;
use crate::domain::client_assertion::AssertionId;
use crate::domain::document::Document;
use crate::domain::document::DocumentKey;
use crate::domain::document::State;
use crate::domain::document::WriteId;
use crate::domain::keys::Generation;
use crate::domain::keys::KeyRing;
use crate::domain::keys::NotAuthentic;
use crate::domain::login::LoginId;
use crate::domain::person::Person;
use crate::domain::person::UserKey;
use crate::domain::policy::Lifetimes;
use crate::domain::seal::SealNonce;
use crate::domain::seal::Sealed;
use crate::domain::time::Timestamp;
use crate::protocol::client_auth::AuthMethod;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::redirect_uri::RedirectUri;
use crate::protocol::scope::Scopes;

/// Partitions of grants begin so.
pub const PARTITION_PREFIX: &str = "g.";
const SCHEMA: u16 = 1;

/// A code that comes again within this time of its redemption is a client that retries, not a thief.
pub const CODE_RETRY: Duration = Duration::from_secs(10);

/// Assertions that a grant remembers. Each lives for five minutes, in which a client refreshes once or twice.
const MAX_ASSERTIONS: usize = 8;

/// A hash of the login's id and the person. In base64url it is the `sid` claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantId(pub [u8; 16]);

impl GrantId {
    /// The one grant that can come of this login and this person.
    #[must_use]
    pub fn of(login: LoginId, user: UserKey) -> Self {
        Self(login.hash("grant", &user.0))
    }

    /// Reads a `sid`.
    #[must_use]
    pub fn parse(sid: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(sid).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// Where a grant lies: in its user's partition.
#[must_use]
pub fn document_key(user: UserKey, id: GrantId) -> DocumentKey {
    DocumentKey { partition: format!("{PARTITION_PREFIX}{user}"), id: id.to_string() }
}

/// The state of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The code is out.
    Pending,
    /// Refresh token `n` is the current one.
    Active(u32),
    Revoked,
}

/// A refresh token of the identity provider. It is shown to nobody but the provider.
#[derive(Clone, Debug)]
pub struct UpstreamToken(pub SecretString);

impl PartialEq for UpstreamToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for UpstreamToken {}

// `secrecy` does not serialise: this is the one place that may, into what is about to be sealed.
impl Serialize for UpstreamToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for UpstreamToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|token| Self(token.into()))
    }
}

/// The right to ask the identity provider about a grant: where it rotates its tokens, two who ask with the same one are
/// taken for thieves. It ends with the next swap, and by itself. The fence against a holder that comes too late is the
/// version that taking it made: whoever takes it over makes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    until: Timestamp,
}

/// How long one who asks the identity provider may take. A replica that has died is waited for no longer.
pub const LEASE: Duration = Duration::from_secs(10);

/// By how much clocks of replicas may differ.
const CLOCKS: Duration = Duration::from_secs(30);

impl Lease {
    /// Whether it is over by any clock. Before, only who has watched it for [`LEASE`] may take it over: clocks differ, and
    /// two who ask at once are what it is there against.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.plus(CLOCKS) <= now || now.plus(LEASE).plus(CLOCKS) < self.until
    }
}

/// What a grant remembers; sealed where it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantBody {
    pub client_id: ClientId,
    pub client_name: String,
    /// How the client has to authenticate: never more weakly than it did before.
    pub auth_method: AuthMethod,
    /// The last few assertions by which it did. None is taken twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertions: Vec<AssertionId>,
    pub redirect_uri: RedirectUri,
    pub code_challenge: CodeChallenge,
    /// Identifier of the resource.
    pub resource: String,
    pub scopes: Scopes,
    pub person: Person,
    /// The key that made the newest credential of this grant.
    pub generation: Generation,
    pub created_at: Timestamp,
    pub redeemed_at: Option<Timestamp>,
    /// When the last swap was: the grace is counted from it.
    pub swapped_at: Timestamp,
    /// Absent where the identity provider gives none: then there are no refresh tokens of ours either.
    pub upstream: Option<UpstreamToken>,
    /// When the identity provider last vouched for the person.
    pub vouched_at: Timestamp,
    /// Held by whoever asks the identity provider now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
}

impl GrantBody {
    /// Remembers how the client has authenticated.
    pub fn note_client(&mut self, method: AuthMethod, assertion: Option<AssertionId>) {
        if self.auth_method.is_weaker_than(method) {
            self.auth_method = method;
        }
        if let Some(assertion) = assertion {
            self.assertions.insert(0, assertion);
            self.assertions.truncate(MAX_ASSERTIONS);
        }
    }
}

/// A grant as it was read, or as it is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub user: UserKey,
    pub phase: Phase,
    pub expires_at: Timestamp,
    pub body: GrantBody,
}

/// Which refresh token of a grant was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    Current,
    /// The one before, within the grace: its client has not heard of the successor.
    Predecessor,
    /// An older one, or the one before after the grace: somebody has a copy.
    Replayed,
    /// We issued it, and the store knows nothing of that: it has lost its last writes, in a fail-over or because a
    /// backup was put back.
    Ahead,
    /// The grant issues no refresh tokens (any more).
    Unknown,
}

impl Grant {
    /// A new grant, whose code is out.
    #[must_use]
    pub fn pending(login: LoginId, lifetimes: &Lifetimes, body: GrantBody) -> Self {
        let user = body.person.subject.user_key();
        let id = GrantId::of(login, user);
        // Longer than the code lives: as long as its login could still come back a second time.
        let expires_at = body.created_at.plus(lifetimes.login.max(lifetimes.code));
        Self { id, user, phase: Phase::Pending, expires_at, body }
    }

    /// `Pending → Active(0)`. `None` from any other state.
    #[must_use]
    pub fn redeemed(mut self, now: Timestamp, lifetimes: &Lifetimes, access: Duration) -> Option<Self> {
        if self.phase != Phase::Pending {
            return None;
        }
        self.body.redeemed_at = Some(now);
        self.enter(Phase::Active(0), now, lifetimes, access);
        Some(self)
    }

    /// `Active(n) → Active(n+1)`. `None` from any other state.
    #[must_use]
    pub fn rotated(mut self, now: Timestamp, lifetimes: &Lifetimes, access: Duration) -> Option<Self> {
        let Phase::Active(n) = self.phase else { return None };
        self.enter(Phase::Active(n.checked_add(1)?), now, lifetimes, access);
        Some(self)
    }

    /// The grant as it was when refresh token `n` was issued, which the store has lost.
    #[must_use]
    pub fn caught_up(mut self, n: u32) -> Self {
        self.phase = Phase::Active(n);
        self.body.redeemed_at.get_or_insert(self.body.created_at);
        self
    }

    /// The same grant, while one asks the identity provider about it.
    #[must_use]
    pub fn leased(mut self, now: Timestamp) -> Self {
        self.body.lease = Some(Lease { until: now.plus(LEASE) });
        self
    }

    /// The same grant, about which nobody asks any more.
    #[must_use]
    pub fn unleased(mut self) -> Self {
        self.body.lease = None;
        self
    }

    /// Any state → `Revoked`. It stays until it would have expired, so that it is known as such.
    #[must_use]
    pub fn revoked(mut self) -> Self {
        self.phase = Phase::Revoked;
        self.body.upstream = None;
        self.body.lease = None;
        self
    }

    /// When the code of a pending grant ends.
    #[must_use]
    pub fn code_expires_at(&self, lifetimes: &Lifetimes) -> Timestamp {
        self.body.created_at.plus(lifetimes.code)
    }

    /// Which of this grant's refresh tokens `n` is.
    #[must_use]
    pub fn presented(&self, n: u32, now: Timestamp, grace: Duration) -> Presented {
        if self.body.upstream.is_none() || self.phase == Phase::Revoked {
            return Presented::Unknown;
        }
        let Phase::Active(current) = self.phase else { return Presented::Ahead };
        if n > current {
            return Presented::Ahead;
        }
        let within_grace = now < self.body.swapped_at.plus(grace);
        match current - n {
            0 => Presented::Current,
            1 if within_grace => Presented::Predecessor,
            _ => Presented::Replayed,
        }
    }

    fn enter(&mut self, phase: Phase, now: Timestamp, lifetimes: &Lifetimes, access: Duration) {
        let idle = if self.body.upstream.is_some() { lifetimes.refresh_idle } else { access };
        self.expires_at = now.plus(idle).min(self.body.created_at.plus(lifetimes.refresh_max));
        self.body.swapped_at = now;
        self.body.lease = None;
        self.phase = phase;
    }

    /// The document of this grant.
    #[must_use]
    pub fn to_document(&self, keys: &KeyRing, write_id: WriteId, nonce: SealNonce) -> Document {
        let key = document_key(self.user, self.id);
        let (state, generation) = match self.phase {
            Phase::Pending => (State::Pending, 0),
            Phase::Active(n) => (State::Active, n),
            Phase::Revoked => (State::Revoked, 0),
        };
        let place = place(&key, state, generation, self.expires_at);
        let body = Sealed::record(keys, &place, nonce, &self.body).into_bytes();
        Document { key, schema: SCHEMA, state, generation, write_id, expires_at: Some(self.expires_at), body }
    }

    /// Reads a grant back. What is in clear is authenticated with the body: whoever can write to the
    /// store can replay an old grant, but cannot alter one.
    pub fn from_document(keys: &KeyRing, document: Document) -> Result<Self, NotAuthentic> {
        let Document { key, schema, state, generation, expires_at, body, .. } = document;
        let expires_at = expires_at.filter(|_| schema == SCHEMA).ok_or(NotAuthentic)?;
        let place = place(&key, state, generation, expires_at);
        let body: GrantBody = Sealed::from_bytes(body).open_record(keys, &place)?;
        let phase = match state {
            State::Pending => Phase::Pending,
            State::Active => Phase::Active(generation),
            State::Revoked => Phase::Revoked,
            State::Plain => return Err(NotAuthentic),
        };
        let id = GrantId::parse(&key.id).ok_or(NotAuthentic)?;
        Ok(Self { id, user: body.person.subject.user_key(), phase, expires_at, body })
    }
}

fn place(key: &DocumentKey, state: State, generation: u32, expires_at: Timestamp) -> String {
    format!("{}/{}/{SCHEMA}/{}/{generation}/{expires_at}", key.partition, key.id, state.as_str())
}
