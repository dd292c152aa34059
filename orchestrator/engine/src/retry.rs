//! How long to wait between two tries of something that has to succeed in the end.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// Delays that grow from the first to the longest, each twice the last and spread at random, without an end.
#[derive(Debug)]
pub(crate) struct RetryDelays {
    delays: ExponentialBackoff,
    longest: Duration,
}

impl RetryDelays {
    pub(crate) fn new(first: Duration, longest: Duration) -> RetryDelays {
        let delays = ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(longest)
            .with_jitter()
            .without_max_times()
            .build();
        RetryDelays { delays, longest }
    }

    /// Returns when the next try is due.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.delays.next().unwrap_or(self.longest)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn delays_grow_to_the_longest_and_never_end() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(8));
        let mut delays = RetryDelays::new(first, longest);
        let mut waited = Vec::new();
        for _ in 0..100 {
            let began = Instant::now();
            delays.wait().await;
            waited.push(began.elapsed());
        }
        assert!(waited[0] <= first * 2, "{:?}", waited[0]);
        assert!(waited.iter().skip(4).all(|delay| (longest..=longest * 2).contains(delay)), "{waited:?}");
    }
}
