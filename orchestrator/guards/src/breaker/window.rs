//! Calls of the last while, counted in buckets.

use super::Verdict;
use std::time::Duration;

/// Buckets of a window: a call is forgotten between one window and one window plus a tenth after it was counted.
const BUCKETS: u32 = 10;

/// How calls ended within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) successes: u32,
    pub(super) failures: u32,
}

impl Counts {
    pub(super) fn calls(self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    fn add(&mut self, other: Counts) {
        self.successes = self.successes.saturating_add(other.successes);
        self.failures = self.failures.saturating_add(other.failures);
    }
}

/// A ring of buckets over time.
#[derive(Clone, Debug)]
pub(super) struct Window {
    buckets: [Counts; BUCKETS as usize],
    width: Duration,
    /// Number of the newest bucket, counted from the start of the clock.
    newest: u128,
}

impl Window {
    pub(super) fn new(length: Duration, now: Duration) -> Window {
        let width = (length / BUCKETS).max(Duration::from_nanos(1));
        Window { buckets: Default::default(), width, newest: now.as_nanos() / width.as_nanos() }
    }

    pub(super) fn count(&mut self, verdict: Verdict, now: Duration) {
        self.roll(now);
        let bucket = &mut self.buckets[place(self.newest)];
        match verdict {
            Verdict::Success => bucket.successes = bucket.successes.saturating_add(1),
            Verdict::Failure => bucket.failures = bucket.failures.saturating_add(1),
        }
    }

    pub(super) fn counts(&mut self, now: Duration) -> Counts {
        self.roll(now);
        let mut sum = Counts::default();
        self.buckets.iter().for_each(|bucket| sum.add(*bucket));
        sum
    }

    /// Empties the buckets that lie between the newest and `now`. A clock read earlier by another thread counts as the newest bucket.
    fn roll(&mut self, now: Duration) {
        let current = now.as_nanos() / self.width.as_nanos();
        let passed = current.saturating_sub(self.newest).min(u128::from(BUCKETS));
        for step in 0..passed {
            self.buckets[place(current - step)] = Counts::default();
        }
        self.newest = self.newest.max(current);
    }
}

fn place(number: u128) -> usize {
    usize::try_from(number % u128::from(BUCKETS)).expect("a remainder by ten fits")
}
