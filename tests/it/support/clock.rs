//! A clock that moves when it is told to.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use entrada::domain::time::Timestamp;
use entrada::ports::clock::Clock;

/// Stands still between [`MovedClock::advance`] and [`MovedClock::set`].
pub struct MovedClock(Mutex<Hands>);

struct Hands {
    /// The wall clock when nothing had elapsed.
    start: Timestamp,
    elapsed: Duration,
}

impl MovedClock {
    pub fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Hands { start, elapsed: Duration::ZERO })))
    }

    /// Moves the wall clock and the elapsed time on; parts of a second add up.
    pub fn advance(&self, by: Duration) {
        self.0.lock().unwrap().elapsed += by;
    }

    /// Sets the wall clock. Forward, as much time elapses; backward, as when a clock is put right, none does.
    pub fn set(&self, to: Timestamp) {
        let mut hands = self.0.lock().unwrap();
        let now = hands.start.plus(hands.elapsed);
        hands.elapsed += to.since(now);
        hands.start.0 -= i64::try_from(now.since(to).as_secs()).unwrap();
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let hands = self.0.lock().unwrap();
        hands.start.plus(hands.elapsed)
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().elapsed
    }
}

#[test]
fn both_hands_move_together_and_only_the_wall_clock_moves_back() {
    let clock = MovedClock::at(Timestamp(1_000));
    clock.advance(Duration::from_millis(1_500));
    assert_eq!((clock.now(), clock.elapsed()), (Timestamp(1_001), Duration::from_millis(1_500)));
    clock.set(Timestamp(1_010));
    assert_eq!((clock.now(), clock.elapsed()), (Timestamp(1_010), Duration::from_millis(10_500)));
    clock.set(Timestamp(900));
    assert_eq!((clock.now(), clock.elapsed()), (Timestamp(900), Duration::from_millis(10_500)));
}
