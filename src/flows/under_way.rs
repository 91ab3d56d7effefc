//! The requests that are under way at the gateway: how many each person has, and whether their callers still stand. A
//! token is verified once; bodies that come slowly, servers that think for long and answers that stream go on after that.

use std::collections::HashMap;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::MissedTickBehavior;

use crate::domain::person::UserKey;
use crate::domain::policy::LOOKED_AT;
use crate::flows::AuthServer;
use crate::flows::caller::Basis;
use crate::flows::caller::Caller;
use crate::flows::caller::Credential;
use crate::flows::caller::Reason;

/// How many grants and keys are looked at together: each may have to be read from the store.
const TOGETHER: usize = 64;

/// A request, from the moment that its caller is known to the end of its answer.
pub trait UnderWay: Send + Sync {
    /// By what it is made.
    fn credential(&self) -> &Arc<Credential>;
    /// Its caller does not stand any more.
    fn falls(&self, why: Reason);
    /// The program stops: what can be taken up again elsewhere ends.
    fn yields(&self);
    /// It is looked at, and its caller stands.
    fn goes_on(&self);
}

/// All of them.
#[derive(Default)]
pub(in crate::flows) struct OpenRequests(Mutex<Requests>);

#[derive(Default)]
struct Requests {
    of: HashMap<UserKey, Vec<Arc<dyn UnderWay>>>,
    /// Somebody looks at them.
    watched: bool,
    /// Grants and keys that are being looked at, which may take as long as the store does.
    looked_at: HashSet<Basis>,
    leaving: bool,
    stopping: bool,
}

impl OpenRequests {
    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grants and keys to look at, with their requests. Whose client hangs up meanwhile ends all the same.
type Round = HashMap<Basis, Vec<Weak<dyn UnderWay>>>;

impl Requests {
    fn all(&self) -> impl Iterator<Item = &Arc<dyn UnderWay>> {
        self.of.values().flatten()
    }

    /// All but those that are still being looked at; none when nothing is under way, and then nobody looks any more.
    fn next_round(&mut self) -> Option<Round> {
        self.watched = !self.of.is_empty();
        let count = u32::try_from(self.all().count()).unwrap_or(u32::MAX);
        metrics::gauge!("entrada_gateway_open").set(f64::from(count));
        let mut round = Round::new();
        for request in self.all() {
            let basis = request.credential().basis();
            if !self.looked_at.contains(&basis) {
                round.entry(basis).or_default().push(Arc::downgrade(request));
            }
        }
        self.looked_at.extend(round.keys());
        self.watched.then_some(round)
    }
}

/// A request is under way until this is dropped.
pub struct Open {
    auth: AuthServer,
    user: UserKey,
    request: Arc<dyn UnderWay>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut requests = self.auth.0.open.lock();
        let Some(theirs) = requests.of.get_mut(&self.user) else { return };
        let this =
            |request: &Arc<dyn UnderWay>| std::ptr::addr_eq(Arc::as_ptr(request), Arc::as_ptr(&self.request));
        if let Some(at) = theirs.iter().position(this) {
            theirs.swap_remove(at);
        }
        if theirs.is_empty() {
            requests.of.remove(&self.user);
        }
    }
}

impl AuthServer {
    /// One more request of a person is under way, unless they have too many.
    pub(in crate::flows) fn under_way(&self, user: UserKey, request: Arc<dyn UnderWay>) -> Option<Open> {
        let mut requests = self.0.open.lock();
        let theirs = requests.of.entry(user).or_default();
        if theirs.len() >= self.policy().limits.open_per_user {
            return None;
        }
        theirs.push(Arc::clone(&request));
        if requests.stopping {
            request.yields();
        }
        if !requests.watched {
            requests.watched = true;
            tokio::spawn(self.clone().look_at_all());
        }
        Some(Open { auth: self.clone(), user, request })
    }

    /// The program will stop: whoever balances load is to send nothing new here.
    pub fn leave(&self) {
        self.0.open.lock().leaving = true;
    }

    /// Whether it will stop.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.0.open.lock().leaving
    }

    /// The program stops: nothing that could be taken up again at another replica is begun or goes on.
    pub fn let_go(&self) {
        let mut requests = self.0.open.lock();
        requests.stopping = true;
        requests.all().for_each(|request| request.yields());
    }

    /// The caller again, as they are known now: after a body has come in its own time, before it is acted on.
    pub async fn renewed(&self, caller: Caller) -> Result<Caller, Reason> {
        if !caller.credential.is_key() && self.now() >= caller.credential.claims().exp {
            return Err(Reason::Expired);
        }
        self.caller_of(&caller.credential).await
    }

    /// For as long as any are under way. A round that takes long keeps none from beginning in time.
    async fn look_at_all(self) {
        let mut every = tokio::time::interval(LOOKED_AT);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        every.tick().await;
        loop {
            every.tick().await;
            let Some(round) = self.0.open.lock().next_round() else { return };
            tokio::spawn(self.clone().look_at_each(round));
        }
    }

    async fn look_at_each(self, round: Round) {
        let (auth, each) = (&self, stream::iter(round));
        each.for_each_concurrent(TOGETHER, |(basis, requests)| async move {
            // What is known by heart would otherwise keep everybody else waiting.
            tokio::task::consume_budget().await;
            // Nobody would ever be looked at again if a defect in one look ended this.
            if AssertUnwindSafe(auth.look_at(&requests)).catch_unwind().await.is_err() {
                tracing::error!("looking after a request panicked: this is a defect, please report it");
            }
            auth.0.open.lock().looked_at.remove(&basis);
        })
        .await;
    }

    /// The end of an access token is none: what has begun goes on while its session stands, and while the store is away as it
    /// last stood.
    async fn look_at(&self, requests: &[Weak<dyn UnderWay>]) {
        let Some(one) = requests.iter().find_map(Weak::upgrade) else { return };
        let outcome = self.caller_of(one.credential()).await;
        drop(one);
        for request in requests.iter().filter_map(Weak::upgrade) {
            match outcome {
                Ok(_) | Err(Reason::StoreAway) => request.goes_on(),
                Err(why) => request.falls(why),
            }
        }
    }
}
