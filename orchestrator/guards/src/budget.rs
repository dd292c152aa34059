//! The retry budget: further attempts may add only so much to the load of a participant.
//!
//! First attempts of the last ten seconds pay for it, whether or not they succeeded, and a reserve comes with time: a
//! budget that counts what is under way, or what succeeded, shrinks in a total outage until nothing is retried at all
//! (envoy-mobile #811). As in Finagle and tower, but further attempts are looked back at over a whole span, so that the
//! limit holds in every one.

#[cfg(test)]
mod tests;

use crate::{MonotonicTime, buckets::RollingBuckets};
use std::time::Duration;

/// How long a first attempt pays, and how long a further one is remembered.
pub const SPAN: Duration = Duration::from_secs(SECONDS as u64);

/// [`SPAN`] in seconds, each of which is a bucket: the newest is under way, so first attempts pay for nine to ten
/// seconds.
const SECONDS: usize = 10;

/// Further attempts are remembered for ten to eleven seconds. With ten buckets, those at the end of one span and those
/// at the beginning of the next could be twice the limit within a moment.
const REMEMBERED: usize = SECONDS + 1;

const BUCKET: Duration = Duration::from_secs(1);

/// How much further attempts may add.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudgetConfig {
    /// So many further attempts for each first one, on average: 0.2 is one for five.
    pub share: f64,
    /// So many a second are allowed in any case, so that a participant with little traffic is retried too.
    pub reserve_per_second: u32,
}

impl Default for RetryBudgetConfig {
    /// One for five, and ten a second: the defaults of Finagle's retry budget.
    fn default() -> RetryBudgetConfig {
        RetryBudgetConfig { share: 0.2, reserve_per_second: 10 }
    }
}

/// The budget of one participant. Changes under `&mut`; callers that share it lock it.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    firsts: RollingBuckets<u32, SECONDS>,
    further: RollingBuckets<u32, REMEMBERED>,
    refused: u64,
}

/// A budget as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudgetSnapshot {
    /// Further attempts that it would allow now.
    pub balance: u32,
    /// First attempts that are recent enough to pay for further ones.
    pub firsts: u32,
    /// Further attempts that are remembered.
    pub further: u32,
    /// How often it refused one, ever.
    pub refused: u64,
}

impl RetryBudget {
    /// A budget that has its reserve and no more.
    #[must_use]
    pub fn new(config: RetryBudgetConfig, now: MonotonicTime) -> RetryBudget {
        RetryBudget {
            config,
            firsts: RollingBuckets::new(BUCKET, now),
            further: RollingBuckets::new(BUCKET, now),
            refused: 0,
        }
    }

    /// A first attempt is sent: it pays for its share of a further one.
    pub fn first(&mut self, now: MonotonicTime) {
        self.firsts.add(1, now);
    }

    /// Takes one further attempt. Asked and taken at once, so no number of askers takes more than there is.
    ///
    /// # Errors
    /// How long until there may be one, more than zero and at most eleven seconds.
    pub fn take(&mut self, now: MonotonicTime) -> Result<(), Duration> {
        if self.balance(now) >= 1 {
            self.further.add(1, now);
            return Ok(());
        }
        self.refused += 1;
        Err(self.further.leaves_in(now, |taken| taken > 0).unwrap_or(SPAN))
    }

    /// A first attempt that paid was not sent.
    pub fn take_back_first(&mut self, now: MonotonicTime) {
        self.firsts.take_back(now);
    }

    /// A further attempt that was taken was not sent.
    pub fn give_back(&mut self, now: MonotonicTime) {
        self.further.take_back(now);
    }

    /// How long until one further attempt may be taken, if no other call asks; zero: now.
    pub fn wait(&mut self, now: MonotonicTime) -> Duration {
        if self.balance(now) >= 1 {
            return Duration::ZERO;
        }
        self.further.leaves_in(now, |taken| taken > 0).unwrap_or(SPAN)
    }

    /// Works by `config` from now on; what was counted stays.
    pub fn configure(&mut self, config: RetryBudgetConfig) {
        self.config = config;
    }

    /// The balance and the counts at `now`, for metrics and for people.
    pub fn snapshot(&mut self, now: MonotonicTime) -> RetryBudgetSnapshot {
        RetryBudgetSnapshot {
            balance: self.balance(now),
            firsts: self.firsts.total(now),
            further: self.further.total(now),
            refused: self.refused,
        }
    }

    fn balance(&mut self, now: MonotonicTime) -> u32 {
        let reserve = self.config.reserve_per_second.saturating_mul(SECONDS as u32);
        // Saturates at both ends; a share that is no number pays nothing.
        let paid = (self.config.share * f64::from(self.firsts.total(now))) as u32;
        reserve.saturating_add(paid).saturating_sub(self.further.total(now))
    }
}
