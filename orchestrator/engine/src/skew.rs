//! How far this engine's clock is from the database's, which is the only one that all engines share: owners of a shard
//! read times that the owner before them wrote.

use saga_base::clock::EngineClock;
use saga_base::sync::UnpoisonedMutex;
use saga_event_store::{EventStore, StoreError};
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// The smallest clock difference that the log warns about.
const WORTH_A_WARNING: Duration = Duration::from_secs(1);
/// Between two lines about it: all shards of an engine ask at once.
const TELL_AGAIN: Duration = Duration::from_secs(30);
/// Before a clock that differs too much is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Compares clocks, and remembers what it found.
#[derive(Debug)]
pub struct ClockSkew {
    most: Duration,
    state: UnpoisonedMutex<ClockSkewState>,
}

#[derive(Debug, Default)]
struct ClockSkewState {
    told: Option<Instant>,
    trouble: Option<ClockSkewError>,
}

/// The clocks differ by more than they may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock of this machine is {} ms {} that of the event store, and may be {} s: no shard is claimed until they \
     agree. Set both by NTP, or raise clock.maxSkewSeconds",
    ahead_ms.unsigned_abs(), if *ahead_ms > 0 { "ahead of" } else { "behind" }, most.as_secs()
)]
pub struct ClockSkewError {
    /// How far this engine's clock is ahead of the store's, in milliseconds; negative: it is behind.
    pub ahead_ms: i64,
    most: Duration,
}

impl ClockSkew {
    /// A comparison that allows a difference of at most `most`.
    #[must_use]
    pub fn new(most: Duration) -> ClockSkew {
        ClockSkew { most, state: UnpoisonedMutex::new(ClockSkewState::default()) }
    }

    /// The clock difference that keeps this engine from claiming shards, as text for operators; `None`: there is none.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.state.lock().trouble.as_ref().map(ToString::to_string)
    }

    /// Compares the clocks now. The time that the question takes is no difference.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn compare(
        &self,
        store: &dyn EventStore,
        clock: EngineClock,
    ) -> Result<Result<(), ClockSkewError>, StoreError> {
        let before = clock.now();
        let theirs_ms = store.clock_ms().await?;
        Ok(self.judge(ahead_ms(before.0, theirs_ms, clock.now().0)))
    }

    fn judge(&self, ahead_ms: i64) -> Result<(), ClockSkewError> {
        metrics::gauge!("saga_clock_ahead_of_store_seconds").set(ahead_ms as f64 / 1000.0);
        let differs = Duration::from_millis(ahead_ms.unsigned_abs());
        let too_far = (differs > self.most).then_some(ClockSkewError { ahead_ms, most: self.most });
        let mut state = self.state.lock();
        if differs > WORTH_A_WARNING && state.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            state.told = Some(Instant::now());
            match &too_far {
                Some(too_far) => error!("{too_far}"),
                None => {
                    warn!(ahead_ms, "the clock of this machine and that of the event store differ: set both by NTP");
                }
            }
        }
        state.trouble.clone_from(&too_far);
        too_far.map_or(Ok(()), Err)
    }
}

/// How far a clock that said `before` and `after` around the question is ahead of one that said `theirs` in between, at
/// least.
fn ahead_ms(before: i64, theirs: i64, after: i64) -> i64 {
    if theirs < before {
        before.saturating_sub(theirs)
    } else if theirs > after {
        after.saturating_sub(theirs)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_takes_long_is_no_difference() {
        assert_eq!(ahead_ms(1_000, 4_000, 9_000), 0);
        assert_eq!(ahead_ms(1_000, 900, 9_000), 100);
        assert_eq!(ahead_ms(1_000, 9_100, 9_000), -100);
    }

    #[test]
    fn clocks_that_differ_by_more_than_they_may_are_refused_until_they_agree() {
        let skew = ClockSkew::new(Duration::from_secs(60));
        assert_eq!(skew.judge(-60_000), Ok(()));
        assert_eq!(skew.trouble(), None);
        assert!(skew.judge(3_600_000).is_err());
        let told = skew.trouble().expect("it is told");
        assert!(told.contains("3600000 ms ahead of") && told.contains("NTP"), "{told}");
        assert!(skew.judge(-61_000).expect_err("too far").to_string().contains("behind"));
        assert_eq!(skew.judge(0), Ok(()));
        assert_eq!(skew.trouble(), None);
    }
}
