use super::{config, counts::CallCounts};
use crate::{
    MonotonicTime,
    buckets::{BucketValue, RollingBuckets},
};

/// Buckets of a window of time: the oldest tenth of the calls leaves at a time.
const BUCKETS: usize = 10;

/// The calls that a closed breaker looks at. Adding and reading cost the same however many there are.
#[derive(Clone, Debug)]
pub(super) enum SlidingWindow {
    Time(Box<RollingBuckets<CallCounts, BUCKETS>>),
    Calls(CallRing),
}

impl SlidingWindow {
    pub(super) fn new(window: config::WindowConfig, now: MonotonicTime) -> SlidingWindow {
        match window {
            config::WindowConfig::Time(span) => {
                SlidingWindow::Time(Box::new(RollingBuckets::new(span / BUCKETS as u32, now)))
            }
            config::WindowConfig::Calls(calls) => SlidingWindow::Calls(CallRing::new(calls)),
        }
    }

    /// Counts one call and says how many there are now.
    pub(super) fn add(&mut self, call: CallCounts, now: MonotonicTime) -> CallCounts {
        match self {
            SlidingWindow::Time(buckets) => buckets.add(call, now),
            SlidingWindow::Calls(ring) => ring.add(call),
        }
    }

    pub(super) fn counts(&mut self, now: MonotonicTime) -> CallCounts {
        match self {
            SlidingWindow::Time(buckets) => buckets.total(now),
            SlidingWindow::Calls(ring) => ring.total,
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            SlidingWindow::Time(buckets) => buckets.clear(),
            SlidingWindow::Calls(ring) => ring.clear(),
        }
    }
}

/// The last calls and their sum. The newest takes the place of the oldest.
#[derive(Clone, Debug)]
pub(super) struct CallRing {
    calls: Box<[CallCounts]>,
    next: usize,
    total: CallCounts,
}

impl CallRing {
    fn new(calls: u32) -> CallRing {
        let calls = usize::try_from(calls).expect("a configured number of calls fits").max(1);
        CallRing { calls: vec![CallCounts::default(); calls].into_boxed_slice(), next: 0, total: CallCounts::default() }
    }

    fn add(&mut self, call: CallCounts) -> CallCounts {
        let oldest = std::mem::replace(&mut self.calls[self.next], call);
        self.total.minus(oldest);
        self.total.plus(call);
        self.next = if self.next + 1 == self.calls.len() { 0 } else { self.next + 1 };
        self.total
    }

    fn clear(&mut self) {
        self.calls.fill(CallCounts::default());
        self.total = CallCounts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_window_of_calls_forgets_the_oldest_call_and_no_time() {
        let mut window = SlidingWindow::new(config::WindowConfig::Calls(3), at(0));
        for (millis, failed) in [(0, true), (1, false), (2, false)] {
            window.add(CallCounts::call(failed, true), at(millis));
        }
        assert_eq!(window.counts(at(3_600_000)), CallCounts { calls: 3, failures: 1, slow: 3 });
        assert_eq!(window.add(CallCounts::call(false, false), at(3)), CallCounts { calls: 3, failures: 0, slow: 2 });
    }

    #[test]
    fn a_cleared_window_counts_anew() {
        for kind in [config::WindowConfig::Calls(2), config::WindowConfig::Time(Duration::from_secs(1))] {
            let mut window = SlidingWindow::new(kind, at(0));
            window.add(CallCounts::call(true, true), at(1));
            window.clear();
            assert_eq!(window.counts(at(1)), CallCounts::default());
            assert_eq!(window.add(CallCounts::call(true, false), at(1)), CallCounts::call(true, false));
        }
    }

    proptest! {
        #[test]
        fn a_window_of_calls_sums_the_last_of_them(
            calls in prop::collection::vec(any::<(bool, bool)>(), 0..60),
            size in 1u32..20,
        ) {
            let mut window = SlidingWindow::new(config::WindowConfig::Calls(size), at(0));
            for (failed, slow) in &calls {
                window.add(CallCounts::call(*failed, *slow), at(0));
            }
            let last = calls.iter().rev().take(size as usize);
            let expected = last.fold(CallCounts::default(), |mut sum, (failed, slow)| {
                sum.plus(CallCounts::call(*failed, *slow));
                sum
            });
            prop_assert_eq!(window.counts(at(0)), expected);
        }
    }
}
