//! Grants in the store, and what this replica knows of their state.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;

use crate::domain::client::ClientId;
use crate::domain::document::Version;
use crate::domain::document::WriteId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::grant::GrantBody;
use crate::domain::grant::GrantId;
use crate::domain::grant::Phase;
use crate::domain::grant::document_key;
use crate::domain::person::UserKey;
use crate::domain::policy::REVOCATION;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::ports::idp::UpstreamError;
use crate::ports::store::StoreError;

/// Grants whose state this replica remembers: about 100 bytes each.
const REMEMBERED: u64 = 100_000;

/// While the store is away, the last known state of a grant is taken for this long before it is asked again.
pub(in crate::flows) const STORE_RETRY: Duration = Duration::from_secs(1);

/// How often ending a grant is tried when somebody else keeps changing it.
const END_ATTEMPTS: usize = 8;

/// Why a grant was not read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flows) enum GrantError {
    /// Somebody else's write came first.
    Conflict,
    /// The store did not answer, or what it holds cannot be read.
    Away,
}

/// A grant and the version that its successor has to name.
pub(in crate::flows) struct Loaded {
    pub grant: Grant,
    pub version: Version,
    pub write_id: WriteId,
}

/// What a grant is good for at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flows) enum Standing {
    Alive,
    Ended,
    /// It lives, and the operator keeps its client out.
    Blocked,
}

/// The client of a grant, and the host that its code went to: what a block can be about.
struct Holder {
    client: ClientId,
    redirect_host: [String; 1],
}

impl Holder {
    fn of(body: &GrantBody) -> Arc<Self> {
        Arc::new(Self { client: body.client_id.clone(), redirect_host: [body.redirect_uri.host()] })
    }
}

/// What is known of a grant's state.
#[derive(Clone)]
struct Known {
    /// Whose it is, while it lives; an error where it was never learnt.
    alive: Result<Option<Arc<Holder>>, GrantError>,
    /// From then on the store is asked again.
    until: Timestamp,
}

impl Known {
    fn holds(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make it hold for longer.
        now < self.until && self.until <= now.plus(REVOCATION)
    }
}

/// What this replica knows of grants, for the gateway: one point read for each grant and interval.
pub(in crate::flows) struct GrantStates {
    known: Cache<(UserKey, GrantId), Known>,
    /// Grants that this replica saw end. Apart, because it is final: a slower answer that a grant lives,
    /// from before its end, must not undo it, and nobody has to wait for that answer.
    ended: Cache<(UserKey, GrantId), ()>,
    /// Redemptions and refreshes of which nobody knows whether the store took them, since it did not answer.
    unsettled: Cache<(UserKey, GrantId), (WriteId, Phase)>,
}

/// How long a client may take to ask again after it got no answer.
const UNSETTLED: Duration = Duration::from_secs(60);

impl Default for GrantStates {
    fn default() -> Self {
        // The clock of the caches is not ours: the instant lies in the value, idleness only frees memory.
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_idle(Duration::from_secs(3_600));
        let ended = Cache::builder().max_capacity(REMEMBERED).time_to_idle(Duration::from_secs(3_600));
        let unsettled = Cache::builder().max_capacity(10_000).time_to_live(UNSETTLED);
        Self { known: known.build(), ended: ended.build(), unsettled: unsettled.build() }
    }
}

impl GrantStates {
    /// Notes the state of a grant that we wrote, or that we read as ended.
    async fn note(&self, grant: &Grant, now: Timestamp) {
        let key = (grant.user, grant.id);
        if grant.phase == Phase::Revoked {
            self.ended.insert(key, ()).await;
            // A full cache may refuse or forget an entry: then the store is asked, not an old answer.
            self.known.invalidate(&key).await;
        } else {
            let alive = Ok(Some(Holder::of(&grant.body)));
            self.known.insert(key, Known { alive, until: now.plus(REVOCATION) }).await;
        }
    }
}

impl AuthServer {
    pub(in crate::flows) async fn load_grant(
        &self,
        user: UserKey,
        id: GrantId,
    ) -> Result<Option<Loaded>, GrantError> {
        let stored =
            self.store().read(&document_key(user, id)).await.map_err(|e| self.store_failed("read", &e))?;
        let Some(stored) = stored else { return Ok(None) };
        let (version, write_id) = (stored.version, stored.document.write_id);
        let grant = Grant::from_document(&self.keys(), stored.document).map_err(|_| {
            self.store_failed(
                "read",
                &StoreError::Corrupt("a grant does not open with any known key".to_owned()),
            )
        })?;
        // Whoever learns of an end tells the gateway: a revocation whose acknowledgement was lost is found
        // done when it is tried again.
        if grant.phase == Phase::Revoked {
            self.0.grant_states.note(&grant, self.now()).await;
        }
        Ok(Some(Loaded { grant, version, write_id }))
    }

    pub(in crate::flows) async fn create_grant(&self, grant: &Grant) -> Result<(), GrantError> {
        let document = grant.to_document(&self.keys(), WriteId(self.random()), self.random());
        self.store().create(document).await.map_err(|e| self.store_failed("create", &e))?;
        Ok(())
    }

    /// The compare-and-swap that every transition is. Returns the version that it made.
    pub(in crate::flows) async fn swap_grant(
        &self,
        next: &Grant,
        version: &Version,
    ) -> Result<Version, GrantError> {
        self.swap_as(WriteId(self.random()), next, version).await
    }

    /// A swap that a client is to be given tokens for: if the store does not answer, it is remembered.
    pub(in crate::flows) async fn advance_grant(
        &self,
        next: &Grant,
        version: &Version,
    ) -> Result<(), GrantError> {
        let write_id = WriteId(self.random());
        let swapped = self.swap_as(write_id, next, version).await;
        if matches!(swapped, Err(GrantError::Away)) {
            let key = (next.user, next.id);
            self.0.grant_states.unsettled.insert(key, (write_id, next.phase)).await;
        }
        swapped.map(drop)
    }

    async fn swap_as(
        &self,
        write_id: WriteId,
        next: &Grant,
        version: &Version,
    ) -> Result<Version, GrantError> {
        let document = next.to_document(&self.keys(), write_id, self.random());
        // What is known is as old as the question.
        let now = self.now();
        let replaced = self.store().replace(document, version).await;
        let version = replaced.map_err(|error| self.store_failed("replace", &error))?;
        self.0.grant_states.note(next, now).await;
        Ok(version)
    }

    /// Whether the write that brought a grant into its phase was ours, and nobody was told: then whoever comes with the
    /// same proof again gets the answer, once.
    pub(in crate::flows) async fn settles(&self, grant: &Grant, write_id: WriteId) -> bool {
        let unsettled = &self.0.grant_states.unsettled;
        let (key, own) = ((grant.user, grant.id), Some((write_id, grant.phase)));
        unsettled.get(&key).await == own && unsettled.remove(&key).await == own
    }

    /// Ends a grant, whatever state it is in. Returns it if it was still alive.
    pub(in crate::flows) async fn end_grant(
        &self,
        user: UserKey,
        id: GrantId,
        reason: &'static str,
    ) -> Result<Option<Grant>, GrantError> {
        for _ in 0..END_ATTEMPTS {
            let loaded = self.load_grant(user, id).await?;
            let Some(Loaded { grant, version, .. }) = loaded.filter(|l| l.grant.phase != Phase::Revoked)
            else {
                return Ok(None);
            };
            match self.swap_grant(&grant.clone().revoked(), &version).await {
                Ok(_) => {
                    self.record(EventName::GrantRevoked, Event { reason: Some(reason), ..grant.event() });
                    return Ok(Some(grant));
                }
                Err(GrantError::Conflict) => {}
                Err(GrantError::Away) => return Err(GrantError::Away),
            }
        }
        Err(GrantError::Away)
    }

    /// What a grant is good for, as far as is known: at once if this replica ended it, within
    /// [`REVOCATION`] if another did. While the store is away the last known state holds. Blocks are asked about
    /// each time: they are in memory.
    pub(in crate::flows) async fn standing(
        &self,
        user: UserKey,
        id: GrantId,
    ) -> Result<Standing, GrantError> {
        let Some(holder) = self.holder(user, id).await? else { return Ok(Standing::Ended) };
        match self.blocks().await?.forbid(&holder.client, &holder.redirect_host) {
            true => Ok(Standing::Blocked),
            false => Ok(Standing::Alive),
        }
    }

    /// Whose a grant is, if it lives.
    async fn holder(&self, user: UserKey, id: GrantId) -> Result<Option<Arc<Holder>>, GrantError> {
        let GrantStates { known, ended, .. } = &self.0.grant_states;
        let key = (user, id);
        let now = self.now();
        if ended.contains_key(&key) {
            return Ok(None);
        }
        if let Some(known) = known.get(&key).await.filter(|known| known.holds(now)) {
            return known.alive;
        }
        // One request of a grant asks, the others wait for what it learns.
        let computed = known.entry(key).and_compute_with(|entry| async move {
            let held = entry.map(moka::Entry::into_value);
            if held.as_ref().is_some_and(|known| known.holds(now)) {
                return Op::Nop;
            }
            match (self.load_grant(user, id).await, held) {
                (Ok(loaded), _) => {
                    // Whoever has a token of a pending grant has redeemed its code, and the store has lost that.
                    let living = loaded.filter(|loaded| loaded.grant.phase != Phase::Revoked);
                    let alive = Ok(living.map(|loaded| Holder::of(&loaded.grant.body)));
                    Op::Put(Known { alive, until: now.plus(REVOCATION) })
                }
                // From now on, not from when it was asked: those who waited for this answer go by it.
                (Err(error), held) => {
                    let alive = held.map_or(Err(error), |known| known.alive);
                    Op::Put(Known { alive, until: self.now().plus(STORE_RETRY) })
                }
            }
        });
        let known = computed.await.into_entry().map(moka::Entry::into_value);
        let alive = known.map_or(Ok(None), |known| known.alive)?;
        Ok(alive.filter(|_| !ended.contains_key(&key)))
    }

    pub(in crate::flows) fn store_failed(&self, operation: &'static str, error: &StoreError) -> GrantError {
        let reason = match error {
            StoreError::Conflict => return GrantError::Conflict,
            StoreError::Away(_) => "away",
            StoreError::Unsuitable(_) => "unsuitable",
            StoreError::Corrupt(_) => "corrupt",
        };
        self.record(
            EventName::StoreAway,
            Event { operation: Some(operation), reason: Some(reason), ..Event::default() },
        );
        GrantError::Away
    }

    pub(in crate::flows) fn record_upstream(&self, call: &'static str, error: &UpstreamError) {
        let reason = error.reason();
        let event = Event {
            call: Some(call),
            reason: Some(reason.what),
            upstream_code: reason.code,
            correlation_id: reason.correlation_id.clone(),
            ..Event::default()
        };
        self.record(EventName::UpstreamRefused, event);
    }
}

impl Grant {
    /// What is recorded of a grant, by ids.
    pub(in crate::flows) fn event(&self) -> Event {
        Event {
            client: Some(self.body.client_id.digest()),
            grant: Some(self.id.to_string()),
            subject: Some(self.body.person.subject.key()),
            resource: Some(self.body.resource.clone()),
            scope: Some(self.body.scopes.to_string()),
            ..Event::default()
        }
    }
}
