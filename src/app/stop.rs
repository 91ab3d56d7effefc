//! The word to stop, which every task of the program waits for.

use tokio::sync::watch;

/// Waits for it. A sender that is gone has the same meaning.
pub async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
