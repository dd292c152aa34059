//! Tries in memory: within one attempt, and only while nothing has left.

use std::time::Duration;
use tokio::time::Instant;

/// Tries after the first one. More belong into the saga's own retries, which are on record and are counted.
const FURTHER_TRIES: u32 = 2;
/// No further try begins later than this: what takes longer waits durably.
const TOTAL: Duration = Duration::from_secs(1);
/// The rest before a further try is drawn from here: long enough for a connection that was closed meanwhile or an
/// instance that starts, short enough for all of them to be over within [`TOTAL`].
const REST_MILLIS: std::ops::RangeInclusive<u64> = 25..=250;

/// The further tries of one attempt.
#[derive(Debug)]
pub(super) struct ConnectRetries {
    last: Instant,
    left: u32,
}

impl ConnectRetries {
    /// Of an attempt that begins now and has to be over at `deadline`.
    pub(super) fn until(deadline: Instant) -> ConnectRetries {
        ConnectRetries { last: deadline.min(Instant::now() + TOTAL), left: FURTHER_TRIES }
    }

    /// How long to rest before a further try; `None`: there is none.
    pub(super) fn next_delay(&mut self) -> Option<Duration> {
        let rest = Duration::from_millis(fastrand::u64(REST_MILLIS));
        self.left = self.left.checked_sub(1)?;
        (Instant::now() + rest < self.last).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    /// How many tries there are, and how long they take, if each takes `each` and none has a connection.
    async fn tries(within: Duration, each: Duration) -> (u32, Duration) {
        let begun = Instant::now();
        let mut tries = ConnectRetries::until(begun + within);
        for made in 1.. {
            sleep(each).await;
            let Some(rest) = tries.next_delay() else { return (made, begun.elapsed()) };
            sleep(rest).await;
        }
        unreachable!("tries end")
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_two_more_within_a_second() {
        for _ in 0..100 {
            let (made, took) = tries(Duration::from_secs(60), Duration::ZERO).await;
            assert_eq!(made, 3);
            assert!((Duration::from_millis(50)..TOTAL).contains(&took), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn none_begins_after_a_second_or_after_the_attempt_s_time() {
        assert_eq!(tries(Duration::from_secs(60), Duration::from_secs(2)).await.0, 1);
        assert_eq!(tries(Duration::from_millis(20), Duration::ZERO).await, (1, Duration::ZERO));
    }
}
