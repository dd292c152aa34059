//! How fast a run sends.

use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, str::FromStr, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Records per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordRate(NonZeroU32);

/// A text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write the records per second, like 500/s")]
pub struct RecordRateError(String);

impl FromStr for RecordRate {
    type Err = RecordRateError;

    fn from_str(text: &str) -> Result<RecordRate, RecordRateError> {
        let number = text.trim().trim_end_matches("/s").trim();
        number.parse().map(RecordRate).map_err(|_| RecordRateError(text.to_owned()))
    }
}

/// Lets records pass at a rate. One saga's records pass together, and the next ones wait for their time.
pub(super) struct RecordPacer {
    interval: Duration,
    next: Instant,
}

impl RecordPacer {
    pub(super) fn new(rate: Option<RecordRate>) -> RecordPacer {
        let interval = rate.map_or(Duration::ZERO, |RecordRate(rate)| Duration::from_secs(1) / rate.get());
        RecordPacer { interval, next: Instant::now() }
    }

    /// Returns when `records` may be sent; false if `stop` was cancelled first.
    pub(super) async fn take(&mut self, records: usize, stop: &CancellationToken) -> bool {
        let now = Instant::now();
        let at = self.next.max(now);
        self.next = at + self.interval * u32::try_from(records).unwrap_or(u32::MAX);
        if at <= now {
            return true;
        }
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep_until(at) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_records_per_second() {
        for text in ["500/s", "500", " 500 /s"] {
            assert_eq!(text.parse(), Ok(RecordRate(NonZeroU32::new(500).expect("not zero"))), "{text}");
        }
        for text in ["0/s", "", "many", "5/m", "-1"] {
            assert!(text.parse::<RecordRate>().is_err(), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn records_pass_at_the_rate_and_a_stop_ends_the_wait() {
        let (stop, began) = (CancellationToken::new(), Instant::now());
        let mut pacer = RecordPacer::new("10/s".parse().ok());
        for _ in 0..11 {
            assert!(pacer.take(5, &stop).await);
        }
        assert_eq!(began.elapsed(), Duration::from_secs(5), "55 records, the first five at once");
        stop.cancel();
        assert!(!pacer.take(1, &stop).await);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let (stop, began) = (CancellationToken::new(), Instant::now());
        let mut pacer = RecordPacer::new(None);
        assert!(pacer.take(1_000_000, &stop).await && pacer.take(1, &stop).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
