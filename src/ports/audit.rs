//! Where the audit trail goes.

use crate::domain::event::Event;
use crate::domain::event::EventName;

/// Records what happened. It never fails and never waits.
pub trait Audit: Send + Sync {
    /// Takes an event that has happened.
    fn record(&self, name: EventName, event: Event);
}
