//! Refreshing (RFC 6749 §6): one read, one swap, and the identity provider's word in between.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::domain::client_assertion::AssertionId;
use crate::domain::client_assertion::MAX_LIFETIME;
use crate::domain::document::Version;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::grant::GrantId;
use crate::domain::grant::LEASE;
use crate::domain::grant::Phase;
use crate::domain::grant::Presented;
use crate::domain::reference::Kind;
use crate::domain::reference::Reference;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::authenticate::Authenticated;
use crate::flows::grants::GrantError;
use crate::flows::grants::Loaded;
use crate::flows::token::Reason;
use crate::flows::token::Usable;
use crate::protocol::parameters::Parameters;
use crate::protocol::scope::Scopes;
use crate::protocol::token::TokenResponse;

/// One refresh of a grant at a time in this process: the others wait and find its result, so that the
/// identity provider is asked once. Across processes the swap decides.
pub(in crate::flows) struct Turns {
    grants: Cache<GrantId, Arc<Mutex<Turn>>>,
    /// Assertions that got an answer within the grace.
    repeated: Cache<(GrantId, AssertionId), ()>,
}

/// What whoever has the turn leaves to the next.
#[derive(Default)]
pub(in crate::flows) struct Turn {
    /// A refresh that the identity provider granted and the store did not take: the next attempt goes on from there,
    /// since the provider may have spent the token that it was asked with.
    left: Option<(Grant, Version)>,
    /// The lease of another replica, and since when it has been seen.
    watched: Option<(Version, Duration)>,
}

impl Turn {
    /// Whether the lease that made this version has been watched for as long as its holder may take.
    pub(in crate::flows) fn has_watched(&mut self, version: &Version, now: Duration) -> bool {
        match &self.watched {
            Some((watched, since)) if watched == version => now >= *since + LEASE,
            _ => {
                self.watched = Some((version.clone(), now));
                false
            }
        }
    }
}

/// How long what is left of a refresh stands for the provider's word.
const LEFT: Duration = Duration::from_secs(60);

/// How long another replica is waited for that asks the identity provider, and how often it is looked for: as long as
/// its lease lasts, and a little.
const WAIT: Duration = Duration::from_millis(200);
const WAITS: usize = 55;

impl Default for Turns {
    fn default() -> Self {
        let grants = Cache::builder().max_capacity(10_000).time_to_idle(LEFT);
        let repeated = Cache::builder().max_capacity(10_000).time_to_live(2 * MAX_LIFETIME);
        Self { grants: grants.build(), repeated: repeated.build() }
    }
}

impl Turns {
    async fn take(&self, grant: GrantId) -> OwnedMutexGuard<Turn> {
        self.grants.get_with(grant, Arc::default).lock_owned().await
    }

    /// Whether an assertion got an answer within the grace.
    fn has_repeated(&self, grant: GrantId, assertion: AssertionId) -> bool {
        self.repeated.contains_key(&(grant, assertion))
    }

    /// Notes that it does; `false` when it did before.
    fn repeats_first(&self, grant: GrantId, assertion: AssertionId) -> bool {
        self.repeated.entry((grant, assertion)).or_insert(()).is_fresh()
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing tells of what another replica does")]
async fn wait() {
    tokio::time::sleep(WAIT).await;
}

impl AuthServer {
    /// Whether an assertion has been taken for a grant before, within the grace by this replica.
    pub(in crate::flows) fn was_taken(&self, grant: &Grant, assertion: AssertionId) -> bool {
        grant.body.assertions.contains(&assertion) || self.0.turns.has_repeated(grant.id, assertion)
    }

    pub(in crate::flows) async fn refresh(
        &self,
        client: &Authenticated,
        form: &Parameters,
    ) -> Result<TokenResponse, Reason> {
        let token = form.one("refresh_token")?.ok_or(Reason::TokenMissing)?;
        let asked = form.one("scope")?.map(Scopes::parse).unwrap_or_default();
        let reference =
            Reference::read(&self.keys(), Kind::RefreshToken, token).map_err(|_| Reason::TokenGarbage)?;
        let mut turn = self.0.turns.take(reference.grant).await;
        let mut lost = false;
        for _ in 0..WAITS {
            match self.refresh_once(client, form, reference, &asked, &mut turn).await {
                // Another replica came first: what it left is read once more, and within the grace it is the answer.
                Err(Reason::RaceLost) if !lost => lost = true,
                // And again: then what was read was old, as after a fail-over, and the token is good all the same.
                Err(Reason::RaceLost) => return Err(Reason::Busy),
                // Another replica asks the identity provider.
                Err(Reason::Busy) => wait().await,
                outcome => return outcome,
            }
        }
        Err(Reason::Busy)
    }

    async fn refresh_once(
        &self,
        client: &Authenticated,
        form: &Parameters,
        reference: Reference,
        asked: &Scopes,
        turn: &mut Turn,
    ) -> Result<TokenResponse, Reason> {
        let Reference { user, grant, n, .. } = reference;
        let Loaded { grant, version, write_id } =
            self.load_grant(user, grant).await?.ok_or(Reason::TokenUnknown)?;
        let Usable { resource, scopes: granted } = self.check_use(&grant, client, form).await?;
        let now = self.now();
        let (next, event) = match grant.presented(n, now, self.policy().lifetimes.grace) {
            Presented::Unknown => return Err(Reason::TokenUnknown),
            // Our own swap, whose answer was lost: nobody has its successor.
            Presented::Predecessor | Presented::Replayed
                if grant.phase == Phase::Active(n + 1) && self.settles(&grant, write_id).await =>
            {
                self.note_repeated(client, &grant)?;
                (grant, EventName::TokenRefreshed)
            }
            Presented::Replayed => return Err(self.replayed(&grant, n).await),
            Presented::Predecessor => {
                self.note_repeated(client, &grant)?;
                (grant, EventName::TokenRepeated)
            }
            // Whoever has a key that was replaced must not make tokens that are newer than all.
            Presented::Current if reference.generation != grant.body.generation => {
                return Err(Reason::TokenGarbage);
            }
            Presented::Ahead if self.keys().is_older(reference.generation, grant.body.generation) => {
                return Err(Reason::TokenGarbage);
            }
            Presented::Ahead => {
                self.record(EventName::TokenAhead, Event { n: Some(n), ..grant.event() });
                let caught_up = Loaded { grant: grant.caught_up(n), version, write_id };
                (self.rotated(client, resource, caught_up, turn, now).await?, EventName::TokenRefreshed)
            }
            Presented::Current => {
                let loaded = Loaded { grant, version, write_id };
                (self.rotated(client, resource, loaded, turn, now).await?, EventName::TokenRefreshed)
            }
        };
        // A narrower scope narrows this access token alone; the grant keeps what was consented to.
        let narrowed = resource.implied.with_implied(&asked.intersection(&granted)).intersection(&granted);
        let scopes = if narrowed.is_empty() { &granted } else { &narrowed };
        self.record(event, Event { n: Some(n), scope: Some(scopes.to_string()), ..next.event() });
        Ok(self.mint(&next, resource, scopes, now)?)
    }

    /// Nothing is written where an answer is given again, so that this replica alone remembers the assertion.
    fn note_repeated(&self, client: &Authenticated, grant: &Grant) -> Result<(), Reason> {
        match client.assertion.is_some_and(|id| !self.0.turns.repeats_first(grant.id, id)) {
            true => Err(Reason::AssertionReplayed),
            false => Ok(()),
        }
    }

    /// `Active(n) → Active(n+1)`, in the store, with the identity provider's word.
    async fn rotated(
        &self,
        client: &Authenticated,
        resource: &Resource,
        Loaded { grant, version, .. }: Loaded,
        turn: &mut Turn,
        now: Timestamp,
    ) -> Result<Grant, Reason> {
        let is_of_this = |(left, at): &(Grant, Version)| {
            *at == version && left.phase == grant.phase && now < left.body.vouched_at.plus(LEFT)
        };
        let (vouched, version) = match turn.left.take().filter(is_of_this) {
            Some(left) => left,
            None => self.vouched(grant, version, turn, now).await?,
        };
        turn.left = Some((vouched.clone(), version.clone()));
        // The provider may have taken its time, and the operator may have used it. Nothing of ours is spent
        // then, but the provider's token may be: the new one is kept for when the client is let in again.
        if let Err(why) = self.admit(&client.client.id, &vouched.body.redirect_uri).await {
            self.swap_grant(&vouched.unleased(), &version).await?;
            turn.left = None;
            return Err(why.into());
        }
        let body = &vouched.body;
        if let Err(what) = self.allow(&body.resource, &body.person, &body.client_id, &body.redirect_uri) {
            turn.left = None;
            return Err(self.not_allowed(vouched, &version, what).await);
        }
        let mut next =
            vouched.rotated(now, &self.policy().lifetimes, resource.access).ok_or(Reason::TokenUnknown)?;
        next.body.generation = self.keys().current();
        next.body.note_client(client.client.auth_method, client.assertion);
        self.advance_grant(&next, &version).await?;
        turn.left = None;
        if client.client.document().is_some() {
            // A client may be refreshed for months, and its copy has to last through a bad week.
            self.remember_client(&next, now).await;
        }
        Ok(next)
    }

    async fn replayed(&self, grant: &Grant, n: u32) -> Reason {
        self.record(EventName::TokenReplayed, Event { n: Some(n), ..grant.event() });
        let ended = self.end_grant(grant.user, grant.id, "refresh_token_replayed").await;
        ended.map_or_else(GrantError::into, |_| Reason::TokenReplayed)
    }
}
