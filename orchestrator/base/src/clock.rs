//! The engine's clock, as an argument to everything that decides.
//!
//! It begins at the wall clock's time and then counts real time, including the time in which the machine is suspended.
//! So setting the wall clock back an hour does not stop everything that is due. From then on it is steered towards the
//! wall clock, slowly ([`STEERING`]): it never goes back and never jumps.

mod steering;

use crate::sync::UnpoisonedMutex;
use saga_core::time::Timestamp;
use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};
use steering::{ClockReadings, SlewedClock};
use tokio::time::Instant;

pub use steering::STEERING;

/// No sleep is longer: after a sleep the clock is read again, because it may have been steered, or the machine
/// suspended.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Where the engine reads the time from.
#[derive(Clone, Copy, Debug)]
pub enum EngineClock {
    /// The machine's, steered. All of a process are one.
    Wall,
    /// `start` plus what tokio's clock has advanced since; follows a paused test clock.
    Since {
        /// What the clock said when it was made.
        start: Timestamp,
        /// When it was made.
        made: Instant,
    },
}

/// The one steered clock of this process.
static STEERED: LazyLock<UnpoisonedMutex<SlewedClock>> =
    LazyLock::new(|| UnpoisonedMutex::new(SlewedClock::begun(read())));

impl EngineClock {
    /// A clock that starts at `start` and follows tokio's clock.
    #[must_use]
    pub fn since(start: Timestamp) -> EngineClock {
        EngineClock::Since { start, made: Instant::now() }
    }

    /// The time in milliseconds since 1970, UTC. Never before what it returned last.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            EngineClock::Wall => STEERED.lock().now(monotonic(), read),
            EngineClock::Since { start, made } => start.plus(made.elapsed()),
        }
    }

    /// The instant to sleep until when something is due at `due`: that time, or some seconds from now if that is
    /// earlier. Read the clock again then.
    #[must_use]
    pub fn instant_of(self, due: Timestamp) -> Instant {
        Instant::now() + due.since(self.now()).min(LONGEST_SLEEP)
    }

    /// Begins again at the wall clock's time. Only while no decision has used the clock: it may go back.
    pub fn begin_anew(self) {
        match self {
            EngineClock::Wall => *STEERED.lock() = SlewedClock::begun(read()),
            EngineClock::Since { .. } => {}
        }
    }
}

fn read() -> ClockReadings {
    ClockReadings { monotonic: monotonic(), suspended: suspended(), wall: wall() }
}

fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Time for which the machine was awake. It cannot be set.
fn monotonic() -> Duration {
    static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    BEGAN.elapsed()
}

/// Time since the machine was started, including the time in which it was suspended. `None` where the system does not
/// report it.
fn suspended() -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
