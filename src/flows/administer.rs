//! What an operator asks for over the administration socket.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::grant::PARTITION_PREFIX;
use crate::domain::grant::Phase;
use crate::domain::person::UserKey;
use crate::flows::AuthServer;
use crate::flows::grants::GrantError;
use crate::ports::store::Listing;

/// Grants shown at once.
const LIMIT: usize = 10_000;

/// A grant as an operator sees it: ids and times, no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantSummary {
    /// The `sid`.
    pub grant: String,
    /// `tid:oid`, or another provider's `sub`.
    pub subject: String,
    pub client_name: String,
    /// Short hash of the client id.
    pub client: String,
    pub resource: String,
    pub scope: String,
    /// `pending`, `active` or `revoked`.
    pub state: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Last sign-in or refresh, seconds since 1970.
    pub used_at: i64,
    pub expires_at: i64,
}

/// Which grants are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    All,
    /// One, by its `sid`.
    Grant(String),
    /// A person's: `tid:oid`, or `oidc:` and a `sub`.
    User(String),
}

/// The store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreAway;

impl AuthServer {
    /// Lists grants, in no particular order.
    pub async fn list_grants(&self, selection: &Selection) -> Result<Vec<GrantSummary>, StoreAway> {
        let grants: Vec<_> = self.selected(selection).await?.iter().map(summary).collect();
        self.record_use("grant.list", grants.len());
        Ok(grants)
    }

    /// Ends grants and returns those that were alive.
    pub async fn revoke_grants(&self, selection: &Selection) -> Result<Vec<GrantSummary>, StoreAway> {
        let mut ended = Vec::new();
        for grant in self.selected(selection).await? {
            ended.extend(self.end_grant(grant.user, grant.id, "revoked_by_operator").await?);
        }
        self.record_use("grant.revoke", ended.len());
        Ok(ended.iter().map(summary).collect())
    }

    fn record_use(&self, operation: &'static str, grants: usize) {
        let n = u32::try_from(grants).ok();
        self.record(
            EventName::AdministrationUsed,
            Event { operation: Some(operation), n, ..Event::default() },
        );
    }

    async fn selected(&self, selection: &Selection) -> Result<Vec<Grant>, StoreAway> {
        let partition = match selection {
            Selection::User(subject) => format!("{PARTITION_PREFIX}{}", UserKey::of(subject)),
            Selection::All | Selection::Grant(_) => PARTITION_PREFIX.to_owned(),
        };
        let listing = match selection {
            Selection::User(_) => Listing::Partition(&partition),
            Selection::All | Selection::Grant(_) => Listing::Prefix(&partition),
        };
        let stored = self.store().list(listing, LIMIT).await.map_err(|_| StoreAway)?;
        let wanted = |id: &str| !matches!(selection, Selection::Grant(sid) if sid != id);
        let documents = stored.into_iter().map(|stored| stored.document).filter(|d| wanted(&d.key.id));
        Ok(documents.filter_map(|document| Grant::from_document(self.keys(), document).ok()).collect())
    }
}

impl From<GrantError> for StoreAway {
    fn from(_: GrantError) -> Self {
        Self
    }
}

fn summary(grant: &Grant) -> GrantSummary {
    let state = match grant.phase {
        Phase::Pending => "pending",
        Phase::Active(_) => "active",
        Phase::Revoked => "revoked",
    };
    GrantSummary {
        grant: grant.id.to_string(),
        subject: grant.body.person.subject.sub(),
        client_name: grant.body.client_name.clone(),
        client: grant.body.client_id.digest(),
        resource: grant.body.resource.clone(),
        scope: grant.body.scopes.to_string(),
        state: state.to_owned(),
        created_at: grant.body.created_at.0,
        used_at: grant.body.swapped_at.0,
        expires_at: grant.expires_at.0,
    }
}
