//! Asking the identity provider whether a person is still welcome.

use std::time::Duration;

use crate::domain::allowed::Lacking;
use crate::domain::document::Version;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::grant::UpstreamToken;
use crate::domain::person::Person;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::grants::GrantError;
use crate::flows::refresh::Turn;
use crate::flows::refusal::Refusal;
use crate::flows::token::Reason;
use crate::ports::idp::Refreshed;
use crate::ports::idp::UpstreamError;
use crate::ports::idp::UpstreamReason;

/// How long the holder of a lease waits for the identity provider. What is left of the lease is for the store.
const ASK: Duration = Duration::from_secs(7);

/// How long the provider may refuse to tell the groups of somebody who is in, before a new sign-in has to say so.
const REFUSED: Duration = Duration::from_hours(1);

impl AuthServer {
    /// The grant with the identity provider's word, asked for anew when the last is older than `recheck`.
    ///
    /// Returns the version that a swap has to name now.
    pub(in crate::flows) async fn vouched(
        &self,
        grant: Grant,
        version: Version,
        turn: &mut Turn,
        now: Timestamp,
    ) -> Result<(Grant, Version), Reason> {
        if now < grant.body.vouched_at.plus(self.policy().lifetimes.recheck) {
            return Ok((grant, version));
        }
        let (grant, version) = match self.idp().rotates() {
            true => self.leased(grant, version, turn, now).await?,
            false => (grant, version),
        };
        let vouched = self.asked(grant, &version, now).await?;
        Ok((vouched, version))
    }

    /// The right to ask the identity provider, where it rotates its tokens.
    async fn leased(
        &self,
        grant: Grant,
        version: Version,
        turn: &mut Turn,
        now: Timestamp,
    ) -> Result<(Grant, Version), Reason> {
        let held = grant.body.lease.is_some_and(|lease| !lease.is_over(now));
        if held && !turn.has_watched(&version, self.elapsed()) {
            return Err(Reason::Busy);
        }
        let leased = grant.leased(now);
        match self.swap_grant(&leased, &version).await {
            Ok(version) => Ok((leased, version)),
            // Another was first: it asks, and nothing of ours is spent.
            Err(GrantError::Conflict) => Err(Reason::Busy),
            Err(GrantError::Away) => Err(Reason::StoreAway),
        }
    }

    /// The lease goes back, with what has changed in the grant.
    async fn given_back(&self, grant: Grant, version: &Version) -> Reason {
        match self.swap_grant(&grant.unleased(), version).await {
            Ok(_) => Reason::UpstreamAway,
            Err(GrantError::Conflict) => Reason::Busy,
            Err(GrantError::Away) => Reason::StoreAway,
        }
    }

    async fn asked(&self, mut grant: Grant, version: &Version, now: Timestamp) -> Result<Grant, Reason> {
        let UpstreamToken(token) = grant.body.upstream.clone().ok_or(Reason::TokenUnknown)?;
        let asking = self.idp().refresh(&token, now);
        // Only the question is cut off: what follows an answer keeps what the answer brought.
        let answer = match grant.body.lease {
            Some(_) => tokio::time::timeout(ASK, asking).await.unwrap_or_else(|_| Err(slow())),
            None => asking.await,
        };
        let Refreshed { person, refresh_token } = match answer {
            Ok(refreshed) => refreshed,
            Err(error) => return Err(self.not_vouched(grant, version, &error, false).await),
        };
        let rotated = refresh_token.is_some();
        if let Some(token) = refresh_token {
            grant.body.upstream = Some(UpstreamToken(token));
        }
        let mut since = now;
        match person {
            Ok(Some(person)) if person.subject != grant.body.person.subject => {
                return Err(self.ended(grant, version, "upstream_other_person").await);
            }
            Ok(Some(person)) => {
                let auth_time = person.auth_time.or(grant.body.person.auth_time);
                let person = Person { auth_time, ..person };
                let token = grant.body.upstream.as_ref().map(|UpstreamToken(token)| token);
                let recheck = self.policy().lifetimes.recheck;
                match self.groups_of(&person, &grant.body.resource, token, recheck).await {
                    Ok((groups, learnt)) => {
                        grant.body.person = Person { groups, ..person };
                        since = learnt.min(now);
                    }
                    Err(error) => return Err(self.without_groups(grant, version, person, &error, now).await),
                }
            }
            Ok(None) => {}
            Err(error) => {
                // Nothing of ours is spent, but the provider's token is: the new one is kept.
                return Err(self.not_vouched(grant, version, &error, rotated).await);
            }
        }
        // What was learnt for another client's refresh is as old as it was there.
        grant.body.vouched_at = since;
        Ok(grant)
    }

    /// Nobody tells the groups, so that nothing is refreshed. What the ID token says counts all the same; no session ends by
    /// what is wrong elsewhere, unless it stays so: a new sign-in says in words what is missing.
    async fn without_groups(
        &self,
        mut grant: Grant,
        version: &Version,
        person: Person,
        error: &UpstreamError,
        now: Timestamp,
    ) -> Reason {
        self.record_upstream("groups", error);
        let since = grant.body.vouched_at.plus(self.policy().lifetimes.recheck);
        let refused = !matches!(error, UpstreamError::Away(_)) && now >= since.plus(REFUSED);
        let groups = grant.body.person.groups.take().filter(|_| !refused);
        grant.body.person = Person { groups, ..person };
        let body = &grant.body;
        match self.allow(&body.resource, &body.person, &body.client_id, &body.redirect_uri) {
            Ok(()) => self.given_back(grant, version).await,
            Err(what) => self.not_allowed(grant, version, what).await,
        }
    }

    /// Only the end of the session there ends the grant; any other trouble spends nothing. What has changed in the grant
    /// is kept.
    async fn not_vouched(
        &self,
        grant: Grant,
        version: &Version,
        error: &UpstreamError,
        changed: bool,
    ) -> Reason {
        self.record_upstream("refresh", error);
        match error {
            UpstreamError::Ended(_) => self.ended(grant, version, "upstream_session_ended").await,
            UpstreamError::SomebodyElse(_) => self.ended(grant, version, "upstream_other_person").await,
            UpstreamError::Guest(_) => self.not_allowed(grant, version, Lacking::Member).await,
            // The registration lacks a claim: that is no verdict on the person.
            UpstreamError::GuestUnknown(_)
            | UpstreamError::Declined(_)
            | UpstreamError::Denied(_)
            | UpstreamError::Invalid(_)
            | UpstreamError::Refused(_)
            | UpstreamError::Away(_) => {
                // Others need not wait for the lease to end.
                match changed || grant.body.lease.is_some() {
                    true => self.given_back(grant, version).await,
                    false => Reason::UpstreamAway,
                }
            }
        }
    }

    /// Ends a grant whose person may not use its resource any more: a new sign-in says in words what is missing.
    pub(in crate::flows) async fn not_allowed(
        &self,
        grant: Grant,
        version: &Version,
        what: Lacking,
    ) -> Reason {
        match self.ended(grant, version, what.row().name).await {
            Reason::SessionEnded => Reason::Lacking(what),
            other => other,
        }
    }

    /// Ends the grant if it is still the one that the provider was asked about: where it rotates its
    /// tokens, a refresh that lost the race is refused there, and must not end what the winner made.
    async fn ended(&self, grant: Grant, version: &Version, reason: &'static str) -> Reason {
        let event = Event { reason: Some(reason), ..grant.event() };
        match self.swap_grant(&grant.revoked(), version).await {
            Ok(_) => self.record(EventName::GrantRevoked, event),
            Err(error) => return error.into(),
        }
        Reason::SessionEnded
    }
}

/// Whoever takes longer has lost the lease: it is given back in time.
fn slow() -> UpstreamError {
    UpstreamError::Away(UpstreamReason { what: "slow", ..UpstreamReason::default() })
}
