//! Whether the store answers.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::domain::root_check::RootCheck;
use crate::domain::time::Timestamp;
use crate::flows::AuthServer;

/// Probes are open to everybody: they cost the store one read in this time at most.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long the store is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

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
        // Probes have little patience, and what is told of the store must not make a replica unready.
        let answered = tokio::time::timeout(PATIENCE, self.store().read(&RootCheck::key())).await;
        let answered = answered.is_ok_and(|read| read.is_ok());
        self.0.last_probe.last().1 = answered;
        answered
    }
}
