//! Groups that an ID token has no room for: where a resource goes by groups, the identity provider is asked once more.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use secrecy::SecretString;

use crate::domain::person::Person;
use crate::domain::person::UserKey;
use crate::domain::resource::Claim;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::ports::idp::UpstreamError;

/// Bytes of groups that are remembered: some 1,000 people in 300 each.
const REMEMBERED: u64 = 16 * 1024 * 1024;

/// As many as Entra puts into a token are told on in one of ours.
const TOLD: usize = 200;

/// Frees memory; how long they count is for `recheck`, by our clock.
const IDLE: Duration = Duration::from_hours(1);

/// When somebody's groups were learnt, and which they are.
type Learnt = (Timestamp, Arc<[String]>);

/// The groups that were asked for, for each person.
pub(in crate::flows) struct KnownGroups(Cache<UserKey, Learnt>);

impl Default for KnownGroups {
    fn default() -> Self {
        let size = |_: &UserKey, (_, groups): &Learnt| {
            let bytes: usize = groups.iter().map(|group| group.len() + size_of::<String>()).sum();
            u32::try_from(bytes + 128).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(size).max_capacity(REMEMBERED).time_to_idle(IDLE).build())
    }
}

impl KnownGroups {
    fn of(&self, user: &UserKey, now: Timestamp, younger_than: Duration) -> Option<Learnt> {
        let learnt = self.0.get(user)?;
        let (at, _) = learnt;
        // A clock that was set back must not make them count for longer.
        (at <= now && now < at.plus(younger_than)).then_some(learnt)
    }
}

impl AuthServer {
    /// The groups of a person, as far as the resource goes by them: those that the ID token lists, or else those that the
    /// provider lists, or that it listed before, if that is `younger_than` this; a sign-in goes by none of these. And since
    /// when they are known.
    ///
    /// Fails where they may be learnt later, or nobody can tell whether the resource is for the person. Where they are only
    /// told on, they stay unknown.
    pub(in crate::flows) async fn groups_of(
        &self,
        person: &Person,
        resource: &str,
        token: Option<&SecretString>,
        younger_than: Duration,
    ) -> Result<(Option<Vec<String>>, Timestamp), UpstreamError> {
        let now = self.now();
        let resource = self.policy().resources.by_identifier(resource).filter(|resource| asks(resource));
        let (None, Some(resource), Some(token)) = (&person.groups, resource, token) else {
            return Ok((person.groups.clone(), now));
        };
        let user = person.subject.user_key();
        if let Some((at, groups)) = self.0.groups.of(&user, now, younger_than) {
            return Ok((wanted(resource, &groups), at));
        }
        match self.idp().groups(token).await {
            Ok(groups) => {
                let groups: Arc<[String]> = groups.into();
                self.0.groups.0.insert(user, (now, Arc::clone(&groups)));
                Ok((wanted(resource, &groups), now))
            }
            Err(error) if matches!(error, UpstreamError::Away(_)) || gates(resource) => Err(error),
            Err(error) => {
                self.record_upstream("groups", &error);
                Ok((None, now))
            }
        }
    }
}

/// Whether a resource goes by groups, or tells them on.
fn asks(resource: &Resource) -> bool {
    tells(resource) || gates(resource)
}

fn gates(resource: &Resource) -> bool {
    !resource.allowed.groups.is_empty()
}

fn tells(resource: &Resource) -> bool {
    resource.claims.contains(&Claim::Groups)
}

/// All of them, where a token has room to tell them on; otherwise those that are asked for, and `None` where none is: a
/// grant has to be kept, and a token sent with each request, while somebody may be in thousands.
fn wanted(resource: &Resource, groups: &[String]) -> Option<Vec<String>> {
    if tells(resource) && groups.len() <= TOLD {
        return Some(groups.to_vec());
    }
    let asked = &resource.allowed.groups;
    let wanted = || groups.iter().filter(|group| asked.contains(group)).cloned().collect();
    (!asked.is_empty()).then(wanted)
}
