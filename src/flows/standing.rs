//! What this replica knows of the state of grants, for the gateway.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::domain::allowed::Lacking;
use crate::domain::api_key::ApiKey;
use crate::domain::client::ClientId;
use crate::domain::document::WriteId;
use crate::domain::grant::Grant;
use crate::domain::grant::GrantBody;
use crate::domain::grant::GrantId;
use crate::domain::grant::Phase;
use crate::domain::limits::Rate;
use crate::domain::person::Person;
use crate::domain::person::UserKey;
use crate::domain::policy::Policy;
use crate::domain::session::SessionOwner;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::grants::GrantError;
use crate::flows::remembered::Remembered;

/// What a grant is good for at the gateway.
#[derive(Clone)]
pub(in crate::flows) enum Standing {
    Alive(Arc<Holder>),
    Ended,
    /// It lives, and the operator keeps its client out.
    Blocked,
    /// It lives, and its resource asks for more.
    Lacking(Lacking),
}

/// Who calls, as it was last read: whoever holds a grant, or an API key.
pub struct Holder {
    pub client: ClientId,
    /// Where its code went.
    redirect_hosts: Vec<String>,
    /// None is behind a key.
    pub person: Option<Person>,
    /// Whose sessions are its own.
    pub sessions: SessionOwner,
    /// In place of the limit of a person.
    pub rate: Option<Rate>,
    /// What the resource asks for and the holder does not have.
    lacking: Option<Lacking>,
}

impl Holder {
    fn of(body: &GrantBody, policy: &Policy) -> Arc<Self> {
        let host = body.redirect_uri.host();
        let lacking = policy.lacking(&body.resource, &body.person, &body.client_id, &host);
        Arc::new(Self {
            client: body.client_id.clone(),
            redirect_hosts: vec![host],
            person: Some(body.person.clone()),
            sessions: SessionOwner::of(body),
            rate: None,
            lacking,
        })
    }

    /// The key itself.
    pub(in crate::flows) fn of_key(key: &ApiKey, policy: &Policy) -> Arc<Self> {
        let ApiKey { id, body, .. } = key;
        let resource = policy.resources.by_identifier(&body.resource);
        Arc::new(Self {
            client: ClientId::named(id.to_string()),
            redirect_hosts: Vec::new(),
            person: None,
            sessions: SessionOwner::of_key(&body.resource, *id),
            rate: body.rate,
            lacking: resource.and_then(|resource| resource.allowed.lacking_of_key(*id)),
        })
    }

    /// The same, if it has all that the resource asks for.
    pub(in crate::flows) fn met(self: Arc<Self>) -> Result<Arc<Self>, Lacking> {
        self.lacking.map_or(Ok(self), Err)
    }

    fn size(&self) -> usize {
        self.person.as_ref().map_or(0, Person::size)
    }
}

/// What this replica knows of grants, for the gateway: one point read for each grant and interval.
pub(in crate::flows) struct GrantStates {
    /// Whose each is, while it lives.
    known: Remembered<(UserKey, GrantId), Option<Arc<Holder>>>,
    /// Grants that this replica saw end. Apart, because it is final: a slower answer that a grant lives,
    /// from before its end, must not undo it, and nobody has to wait for that answer.
    ended: Cache<(UserKey, GrantId), ()>,
    /// Redemptions and refreshes of which nobody knows whether the store took them, since it did not answer.
    unsettled: Cache<(UserKey, GrantId), (WriteId, Phase)>,
}

const AN_HOUR: Duration = Duration::from_hours(1);

/// How long a client may take to ask again after it got no answer.
const UNSETTLED: Duration = Duration::from_secs(60);

impl Default for GrantStates {
    fn default() -> Self {
        let size = |holder: &Option<Arc<Holder>>| holder.as_ref().map_or(0, |holder| holder.size());
        let ended = Cache::builder().max_capacity(100_000).time_to_idle(AN_HOUR);
        let unsettled = Cache::builder().max_capacity(10_000).time_to_live(UNSETTLED);
        Self { known: Remembered::new(size), ended: ended.build(), unsettled: unsettled.build() }
    }
}

impl GrantStates {
    /// Notes the state of a grant that we wrote, or that we read as ended.
    pub(in crate::flows) async fn note(&self, grant: &Grant, policy: &Policy, now: Timestamp) {
        let key = (grant.user, grant.id);
        if grant.phase == Phase::Revoked {
            self.ended.insert(key, ()).await;
            // A full cache may refuse or forget an entry: then the store is asked, not an old answer.
            self.known.forget(key).await;
        } else {
            self.known.note(key, Some(Holder::of(&grant.body, policy)), now).await;
        }
    }

    /// Remembers a write of which nobody knows whether the store took it.
    pub(in crate::flows) async fn unsettle(&self, next: &Grant, write_id: WriteId) {
        self.unsettled.insert((next.user, next.id), (write_id, next.phase)).await;
    }

    /// Whether the write that brought a grant into its phase is one of these; it is none afterwards.
    pub(in crate::flows) async fn settles(&self, grant: &Grant, write_id: WriteId) -> bool {
        let (key, own) = ((grant.user, grant.id), Some((write_id, grant.phase)));
        self.unsettled.get(&key).await == own && self.unsettled.remove(&key).await == own
    }
}

impl AuthServer {
    /// What a grant is good for, as far as is known: at once if this replica ended it, within
    /// [`REVOCATION`](crate::domain::policy::REVOCATION) if another did. While the store is away the last known state holds. Blocks are asked about
    /// each time: they are in memory.
    pub(in crate::flows) async fn standing(
        &self,
        user: UserKey,
        id: GrantId,
    ) -> Result<Standing, GrantError> {
        let Some(holder) = self.holder(user, id).await? else { return Ok(Standing::Ended) };
        match self.blocks().await?.forbid(&holder.client, &holder.redirect_hosts) {
            true => Ok(Standing::Blocked),
            false => Ok(holder.met().map_or_else(Standing::Lacking, Standing::Alive)),
        }
    }

    /// Whose a grant is, if it lives.
    async fn holder(&self, user: UserKey, id: GrantId) -> Result<Option<Arc<Holder>>, GrantError> {
        let GrantStates { known, ended, .. } = &self.0.grant_states;
        let key = (user, id);
        if ended.contains_key(&key) {
            return Ok(None);
        }
        let (alive, _) = known.get(key, || self.now(), || self.read_holder(user, id)).await?;
        Ok(alive.filter(|_| !ended.contains_key(&key)))
    }

    async fn read_holder(&self, user: UserKey, id: GrantId) -> Result<Option<Arc<Holder>>, GrantError> {
        let loaded = self.load_grant(user, id).await?;
        // Whoever has a token of a pending grant has redeemed its code, and the store has lost that.
        let living = loaded.filter(|loaded| loaded.grant.phase != Phase::Revoked);
        Ok(living.map(|loaded| Holder::of(&loaded.grant.body, self.policy())))
    }
}
