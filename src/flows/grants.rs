//! Grants in the store.

use crate::domain::document::Version;
use crate::domain::document::WriteId;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::grant::GrantId;
use crate::domain::grant::Phase;
use crate::domain::grant::document_key;
use crate::domain::person::UserKey;
use crate::flows::AuthServer;
use crate::ports::idp::UpstreamError;
use crate::ports::store::StoreError;

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
            self.0.grant_states.note(&grant, self.policy(), self.now()).await;
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
            self.0.grant_states.unsettle(next, write_id).await;
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
        self.0.grant_states.note(next, self.policy(), now).await;
        Ok(version)
    }

    /// Whether the write that brought a grant into its phase was ours, and nobody was told: then whoever comes with the
    /// same proof again gets the answer, once.
    pub(in crate::flows) async fn settles(&self, grant: &Grant, write_id: WriteId) -> bool {
        self.0.grant_states.settles(grant, write_id).await
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
