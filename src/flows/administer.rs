//! What an operator asks for over the administration socket.

use serde::Deserialize;
use serde::Serialize;

use crate::domain::document::DocumentKey;
use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::domain::grant::Grant;
use crate::domain::grant::PARTITION_PREFIX;
use crate::domain::grant::Phase;
use crate::domain::person::UserKey;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::grants::GrantError;
use crate::ports::store::Listing;

/// Documents read at a time.
pub(in crate::flows) const PAGE: usize = 1_000;

/// A grant as an operator sees it: ids and times, no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantSummary {
    /// The `sid`.
    pub grant: String,
    /// `tid:oid`, or `oidc:` and another provider's `sub`.
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
    /// A client's, by its id or by the short hash of it.
    Client(String),
    /// Of sign-ins before this instant.
    Before(Timestamp),
}

impl Selection {
    fn means(&self, grant: &Grant) -> bool {
        match self {
            Self::All | Self::User(_) => true,
            Self::Grant(sid) => grant.id.to_string() == *sid,
            Self::Client(client) => {
                grant.body.client_id.as_str() == client || grant.body.client_id.digest() == *client
            }
            Self::Before(instant) => grant.body.created_at < *instant,
        }
    }
}

/// The store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreAway;

/// The grants that a selection found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What is known of each that was listed or ended.
    pub grants: Vec<GrantSummary>,
    /// How many the selection names, alive or not.
    pub selected: usize,
    /// How many more there are that no key of this server opens.
    pub unreadable: usize,
}

impl AuthServer {
    /// Lists grants, in the order of the store.
    pub async fn list_grants(&self, selection: &Selection) -> Result<Found, StoreAway> {
        let mut found = Found::default();
        let mut pages = Pages::of(selection);
        while let Some(grants) = self.next_page(&mut pages, &mut found).await? {
            found.grants.extend(grants.iter().map(summary));
        }
        self.record_use("grant.list", &found);
        Ok(found)
    }

    /// Ends grants, and returns those that were alive.
    pub async fn revoke_grants(&self, selection: &Selection) -> Result<Found, StoreAway> {
        let mut found = Found::default();
        let mut pages = Pages::of(selection);
        while let Some(grants) = self.next_page(&mut pages, &mut found).await? {
            for grant in grants {
                let ended = self.end_grant(grant.user, grant.id, "revoked_by_operator").await?;
                found.grants.extend(ended.as_ref().map(summary));
            }
        }
        self.record_use("grant.revoke", &found);
        Ok(found)
    }

    fn record_use(&self, operation: &'static str, found: &Found) {
        let n = u32::try_from(found.grants.len()).ok();
        self.record(
            EventName::AdministrationUsed,
            Event { operation: Some(operation), n, ..Event::default() },
        );
    }

    /// The next grants of a selection; none when all were seen.
    async fn next_page(
        &self,
        pages: &mut Pages<'_>,
        found: &mut Found,
    ) -> Result<Option<Vec<Grant>>, StoreAway> {
        if pages.done {
            return Ok(None);
        }
        let listing = match pages.selection {
            Selection::User(_) => Listing::Partition(&pages.partition),
            Selection::All | Selection::Grant(_) | Selection::Client(_) | Selection::Before(_) => {
                Listing::Prefix(&pages.partition)
            }
        };
        let stored = self.store().list(listing, pages.after.as_ref(), PAGE).await.map_err(|_| StoreAway)?;
        pages.done = stored.len() < PAGE;
        pages.after = stored.last().map(|stored| stored.document.key.clone());
        // The name of a grant tells without opening it.
        let wanted = |id: &str| !matches!(pages.selection, Selection::Grant(sid) if sid != id);
        let keys = self.keys();
        let mut grants = Vec::new();
        for document in stored.into_iter().map(|stored| stored.document).filter(|d| wanted(&d.key.id)) {
            match Grant::from_document(&keys, document) {
                Ok(grant) => grants.extend(pages.selection.means(&grant).then_some(grant)),
                Err(_) => found.unreadable += 1,
            }
        }
        found.selected += grants.len();
        Ok(Some(grants))
    }
}

/// A walk through a selection, a page at a time.
struct Pages<'a> {
    selection: &'a Selection,
    partition: String,
    after: Option<DocumentKey>,
    done: bool,
}

impl<'a> Pages<'a> {
    fn of(selection: &'a Selection) -> Self {
        let partition = match selection {
            Selection::User(subject) => format!("{PARTITION_PREFIX}{}", UserKey::of(subject)),
            Selection::All | Selection::Grant(_) | Selection::Client(_) | Selection::Before(_) => {
                PARTITION_PREFIX.to_owned()
            }
        };
        Self { selection, partition, after: None, done: false }
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
        subject: grant.body.person.subject.key(),
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
