//! Pauses between requests to a service that is in trouble.

use std::time::Duration;

/// Waits. Nothing is to happen that could be waited for: what answers again does not say so.
#[expect(clippy::disallowed_methods, reason = "a pause between two requests to a service that is in trouble")]
pub(super) async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// Between half of it and all of it, so that those who failed together do not come back together.
pub(super) fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    half + half.mul_f64(f64::from(fraction()) / 256.0)
}

/// Not a secret, so any byte that differs from call to call and from replica to replica will do.
fn fraction() -> u8 {
    use std::hash::BuildHasher;
    use std::hash::Hasher;
    let hash = std::collections::hash_map::RandomState::new().build_hasher().finish();
    hash.to_be_bytes()[0]
}
