//! Keys that near their end: agents have nobody who would be told at a sign-in.

use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::event::EventName;
use crate::flows::AuthServer;

const DAY: Duration = Duration::from_hours(24);

impl AuthServer {
    /// Tells of each once a day, whichever replica comes first, and of how many there are to the metrics.
    pub async fn tell_of_keys_that_end(&self) {
        let Ok(keys) = self.keys_that_end_soon().await else { return };
        metrics::gauge!("entrada_api_keys_expiring").set(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        for key in keys {
            let told = self.change_key_use(key.id, |used, now| used.telling(now)).await;
            if let Ok(Some(key)) = told {
                let left = key.ends().since(self.now()).as_secs() / DAY.as_secs();
                let event = Event {
                    subject: Some(key.id.to_string()),
                    name: Some(key.body.name),
                    resource: Some(key.body.resource),
                    n: u32::try_from(left).ok(),
                    ..Event::default()
                };
                self.record(EventName::KeyExpiring, event);
            }
        }
    }
}
