//! The time and the randomness of this machine: the only place that asks it for either.

#![expect(clippy::disallowed_methods, reason = "here the machine is asked; everybody else asks the ports")]

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::rand::SystemRandom;

use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;
use crate::ports::clock::Entropy;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let seconds = |by: Duration| i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Timestamp(seconds(since)),
            // A machine that wakes up before 1970. Everything issued is then in its future and refused.
            Err(before) => Timestamp(-seconds(before.duration())),
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The operating system's random source, through the cryptography library that does everything else.
#[derive(Debug, Default)]
pub struct SystemEntropy {
    random: SystemRandom,
}

impl SystemEntropy {
    /// The source of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self { random: SystemRandom::new() }
    }
}

impl Entropy for SystemEntropy {
    /// # Panics
    ///
    /// When the operating system gives no random bytes. A login id, a nonce or a key made of anything
    /// else could be guessed, so there is nothing to go on with: the request ends here, with a 500.
    #[expect(clippy::panic, reason = "without randomness there is nothing to go on with")]
    fn fill(&self, bytes: &mut [u8]) {
        if self.random.fill(bytes).is_err() {
            panic!("the operating system gave no random bytes; nothing secret can be made without them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_tells_this_century_and_does_not_run_backwards() {
        let clock = SystemClock::new();
        assert!((1_700_000_000..4_000_000_000).contains(&clock.now().0));
        assert!(clock.elapsed() <= clock.elapsed());
    }

    #[test]
    fn random_bytes_fill_the_whole_buffer_and_differ() {
        let entropy = SystemEntropy::new();
        let (mut one, mut other) = ([0_u8; 256], [0_u8; 256]);
        entropy.fill(&mut one);
        entropy.fill(&mut other);
        assert_ne!(one, other);
        assert!(one[240..].iter().any(|byte| *byte != 0));
    }
}
