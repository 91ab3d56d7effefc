//! Whether the store answers.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::unlock::root_check_key;

/// Probes are open to everybody: they cost the store one read in this time at most.
const INTERVAL: Duration = Duration::from_secs(5);

/// When the store was last asked, and what came of the last answer. The store was reached at the start.
pub(in crate::flows) struct LastProbe(Mutex<(Option<Timestamp>, bool)>);

impl Default for LastProbe {
    fn default() -> Self {
        Self(Mutex::new((None, true)))
    }
}

impl LastProbe {
    fn last(&self) -> MutexGuard<'_, (Option<Timestamp>, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuthServer {
    /// Whether the store answered when it was last asked. Who comes while it is being asked hears the
    /// answer before.
    pub async fn store_answers(&self) -> bool {
        let now = self.now();
        {
            let mut last = self.0.last_probe.last();
            if last.0.is_some_and(|at| at <= now && now < at.plus(INTERVAL)) {
                return last.1;
            }
            last.0 = Some(now);
        }
        let answered = self.store().read(&root_check_key()).await.is_ok();
        self.0.last_probe.last().1 = answered;
        answered
    }
}
