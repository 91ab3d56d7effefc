//! Whether the store answers.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::flows::AuthServer;
use crate::flows::unlock::root_check_key;

/// Probes are open to everybody: they cost the store one read in this time at most.
const INTERVAL: Duration = Duration::from_secs(5);

/// The last probe and what it said.
#[derive(Default)]
pub(in crate::flows) struct LastProbe(Mutex<Option<(Timestamp, bool)>>);

impl AuthServer {
    /// Whether the store answered when it was last asked, at most five seconds ago.
    pub async fn store_answers(&self) -> bool {
        let now = self.now();
        let last = &self.0.last_probe.0;
        if let Some((at, answered)) = *last.lock().unwrap_or_else(PoisonError::into_inner)
            && now < at.plus(INTERVAL)
        {
            return answered;
        }
        let answered = self.store().read(&root_check_key()).await.is_ok();
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, answered));
        answered
    }
}
