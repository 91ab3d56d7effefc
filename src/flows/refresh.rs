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
use crate::domain::grant::Presented;
use crate::domain::grant::UpstreamToken;
use crate::domain::person::Person;
use crate::domain::reference::Kind;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::authenticate::Authenticated;
use crate::flows::grants::GrantError;
use crate::flows::grants::Loaded;
use crate::flows::token::Reason;
use crate::flows::token::Usable;
use crate::ports::idp::Refreshed;
use crate::ports::idp::UpstreamError;
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

/// What is left of a refresh that the identity provider granted and the store did not take: the next
/// attempt goes on from there, since the provider may have spent the token that it was asked with.
type Turn = Option<(Grant, Version)>;

/// How long what is left of a refresh stands for the provider's word.
const LEFT: Duration = Duration::from_secs(60);

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
            Reference::read(self.keys(), Kind::RefreshToken, token).map_err(|_| Reason::TokenGarbage)?;
        let mut turn = self.0.turns.take(reference.grant).await;
        match self.refresh_once(client, form, reference, &asked, &mut turn).await {
            // Another replica came first: what it left is read once more, and within the grace it is
            // the answer.
            Err(Reason::RaceLost) => self.refresh_once(client, form, reference, &asked, &mut turn).await,
            outcome => outcome,
        }
    }

    async fn refresh_once(
        &self,
        client: &Authenticated,
        form: &Parameters,
        reference: Reference,
        asked: &Scopes,
        turn: &mut Turn,
    ) -> Result<TokenResponse, Reason> {
        let Reference { user, grant, n } = reference;
        let Loaded { grant, version } = self.load_grant(user, grant).await?.ok_or(Reason::TokenUnknown)?;
        let Usable { resource, scopes: granted } = self.check_use(&grant, client, form).await?;
        let now = self.now();
        let (next, event) = match grant.presented(n, now, self.policy().lifetimes.grace) {
            Presented::Unknown => return Err(Reason::TokenUnknown),
            Presented::Replayed => return Err(self.replayed(&grant, n).await),
            Presented::Predecessor => {
                // Nothing is written here, so that this replica alone remembers the assertion.
                if client.assertion.is_some_and(|id| !self.0.turns.repeats_first(grant.id, id)) {
                    return Err(Reason::AssertionReplayed);
                }
                (grant, EventName::TokenRepeated)
            }
            Presented::Current => {
                let left =
                    turn.take().filter(|(left, at)| *at == version && now < left.body.vouched_at.plus(LEFT));
                let vouched = match left {
                    Some((vouched, _)) => vouched,
                    None => self.vouched(grant, &version, now).await?,
                };
                *turn = Some((vouched.clone(), version.clone()));
                // The provider may have taken its time, and the operator may have used it. Nothing of ours is spent
                // then, but the provider's token may be: the new one is kept for when the client is let in again.
                if let Err(why) = self.admit(&client.client.id, &vouched.body.redirect_uri).await {
                    self.swap_grant(&vouched, &version).await?;
                    *turn = None;
                    return Err(why.into());
                }
                let mut next = vouched
                    .rotated(now, &self.policy().lifetimes, resource.access)
                    .ok_or(Reason::TokenUnknown)?;
                next.body.generation = self.keys().current();
                next.body.note_client(client.client.auth_method, client.assertion);
                self.swap_grant(&next, &version).await?;
                *turn = None;
                if client.client.document().is_some() {
                    // A client may be refreshed for months, and its copy has to last through a bad week.
                    self.remember_client(&next, now).await;
                }
                (next, EventName::TokenRefreshed)
            }
        };
        // A narrower scope narrows this access token alone; the grant keeps what was consented to.
        let narrowed = asked.intersection(&granted);
        let scopes = if narrowed.is_empty() { &granted } else { &narrowed };
        self.record(event, Event { n: Some(n), scope: Some(scopes.to_string()), ..next.event() });
        Ok(self.mint(&next, resource, scopes, now)?)
    }

    /// The grant with the identity provider's word, asked for anew when the last is older than `recheck`.
    async fn vouched(&self, mut grant: Grant, version: &Version, now: Timestamp) -> Result<Grant, Reason> {
        if now < grant.body.vouched_at.plus(self.policy().lifetimes.recheck) {
            return Ok(grant);
        }
        let UpstreamToken(token) = grant.body.upstream.clone().ok_or(Reason::TokenUnknown)?;
        let Refreshed { person, refresh_token } = match self.idp().refresh(&token, now).await {
            Ok(refreshed) => refreshed,
            Err(error) => return Err(self.not_vouched(grant, version, &error).await),
        };
        let rotated = refresh_token.is_some();
        if let Some(token) = refresh_token {
            grant.body.upstream = Some(UpstreamToken(token));
        }
        match person {
            Ok(Some(person)) if person.subject != grant.body.person.subject => {
                return Err(self.ended(grant, version, "upstream_other_person").await);
            }
            Ok(Some(person)) => {
                let auth_time = person.auth_time.or(grant.body.person.auth_time);
                grant.body.person = Person { auth_time, ..person };
            }
            Ok(None) => {}
            Err(error) => {
                let kept = grant.clone();
                let reason = self.not_vouched(grant, version, &error).await;
                // Nothing of ours is spent, but the provider's token is: the new one is kept.
                if rotated && reason == Reason::UpstreamAway {
                    self.swap_grant(&kept, version).await?;
                }
                return Err(reason);
            }
        }
        grant.body.vouched_at = now;
        Ok(grant)
    }

    /// Only the end of the session there ends the grant; any other trouble spends nothing.
    async fn not_vouched(&self, grant: Grant, version: &Version, error: &UpstreamError) -> Reason {
        self.record_upstream("refresh", error);
        match error {
            UpstreamError::Ended(_) => self.ended(grant, version, "upstream_session_ended").await,
            UpstreamError::SomebodyElse(_) => self.ended(grant, version, "upstream_other_person").await,
            UpstreamError::Declined(_)
            | UpstreamError::Denied(_)
            | UpstreamError::Invalid(_)
            | UpstreamError::Refused(_)
            | UpstreamError::Away(_) => Reason::UpstreamAway,
        }
    }

    /// Ends the grant if it is still the one that the provider was asked about: where it rotates its
    /// tokens, a refresh that lost the race is refused there, and must not end what the winner made.
    async fn ended(&self, grant: Grant, version: &Version, reason: &'static str) -> Reason {
        let event = Event { reason: Some(reason), ..grant.event() };
        match self.swap_grant(&grant.revoked(), version).await {
            Ok(()) => self.record(EventName::GrantRevoked, event),
            Err(error) => return error.into(),
        }
        Reason::SessionEnded
    }

    async fn replayed(&self, grant: &Grant, n: u32) -> Reason {
        self.record(EventName::TokenReplayed, Event { n: Some(n), ..grant.event() });
        let ended = self.end_grant(grant.user, grant.id, "refresh_token_replayed").await;
        ended.map_or_else(GrantError::into, |_| Reason::TokenReplayed)
    }
}
