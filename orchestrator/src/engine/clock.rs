//! The owner's clock, as an argument to everything that decides.

use saga_core::time::Timestamp;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Where the engine reads the time from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    Wall,
    /// `start` plus what tokio's clock has advanced since; follows a paused test clock.
    Since {
        /// What the clock said when it was made.
        start: Timestamp,
        /// When it was made.
        made: Instant,
    },
}

impl Clock {
    /// A clock that starts at `start` and follows tokio's clock.
    #[must_use]
    pub fn since(start: Timestamp) -> Clock {
        Clock::Since { start, made: Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            Clock::Wall => wall(),
            Clock::Since { start, made } => start.plus(made.elapsed()),
        }
    }

    /// The instant at which this clock will say `due`; the present one if that is past. Bounded to a day, because a wall clock may be set:
    /// whoever waits asks again when it wakes.
    #[must_use]
    pub fn instant_of(self, due: Timestamp) -> Instant {
        const LONGEST_SLEEP: Duration = Duration::from_hours(24);
        Instant::now() + due.since(self.now()).min(LONGEST_SLEEP)
    }
}

fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
