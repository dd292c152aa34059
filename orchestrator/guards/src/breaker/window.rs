use super::config;
use crate::{
    Monotonic,
    buckets::{Buckets, Tally},
};

/// Buckets of a window of time: the oldest tenth of the calls leaves at a time.
const BUCKETS: usize = 10;

/// The calls that a closed breaker looks at. Adding and reading cost the same however many there are.
#[derive(Clone, Debug)]
pub(super) enum Window {
    Time(Box<Buckets<Counts, BUCKETS>>),
    Calls(Ring),
}

/// Calls, how many of them failed, how many took too long. A call can be both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Counts {
    /// One call.
    pub(super) fn call(failed: bool, slow: bool) -> Counts {
        Counts { calls: 1, failures: u32::from(failed), slow: u32::from(slow) }
    }
}

impl Tally for Counts {
    fn plus(&mut self, more: Counts) {
        self.calls.plus(more.calls);
        self.failures.plus(more.failures);
        self.slow.plus(more.slow);
    }

    fn minus(&mut self, less: Counts) {
        self.calls.minus(less.calls);
        self.failures.minus(less.failures);
        self.slow.minus(less.slow);
    }
}

impl Window {
    pub(super) fn new(window: config::Window, now: Monotonic) -> Window {
        match window {
            config::Window::Time(span) => Window::Time(Box::new(Buckets::new(span / BUCKETS as u32, now))),
            config::Window::Calls(calls) => Window::Calls(Ring::new(calls)),
        }
    }

    /// Counts one call and says how many there are now.
    pub(super) fn add(&mut self, call: Counts, now: Monotonic) -> Counts {
        match self {
            Window::Time(buckets) => buckets.add(call, now),
            Window::Calls(ring) => ring.add(call),
        }
    }

    pub(super) fn counts(&mut self, now: Monotonic) -> Counts {
        match self {
            Window::Time(buckets) => buckets.total(now),
            Window::Calls(ring) => ring.total,
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Window::Time(buckets) => buckets.clear(),
            Window::Calls(ring) => ring.clear(),
        }
    }
}

/// The last calls and their sum. The newest takes the place of the oldest.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    calls: Box<[Counts]>,
    next: usize,
    total: Counts,
}

impl Ring {
    fn new(calls: u32) -> Ring {
        let calls = usize::try_from(calls).expect("a configured number of calls fits").max(1);
        Ring { calls: vec![Counts::default(); calls].into_boxed_slice(), next: 0, total: Counts::default() }
    }

    fn add(&mut self, call: Counts) -> Counts {
        let oldest = std::mem::replace(&mut self.calls[self.next], call);
        self.total.minus(oldest);
        self.total.plus(call);
        self.next = if self.next + 1 == self.calls.len() { 0 } else { self.next + 1 };
        self.total
    }

    fn clear(&mut self) {
        self.calls.fill(Counts::default());
        self.total = Counts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(millis: u64) -> Monotonic {
        Monotonic::since_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_window_of_calls_forgets_the_oldest_call_and_no_time() {
        let mut window = Window::new(config::Window::Calls(3), at(0));
        for (millis, failed) in [(0, true), (1, false), (2, false)] {
            window.add(Counts::call(failed, true), at(millis));
        }
        assert_eq!(window.counts(at(3_600_000)), Counts { calls: 3, failures: 1, slow: 3 });
        assert_eq!(window.add(Counts::call(false, false), at(3)), Counts { calls: 3, failures: 0, slow: 2 });
    }

    #[test]
    fn a_cleared_window_counts_anew() {
        for kind in [config::Window::Calls(2), config::Window::Time(Duration::from_secs(1))] {
            let mut window = Window::new(kind, at(0));
            window.add(Counts::call(true, true), at(1));
            window.clear();
            assert_eq!(window.counts(at(1)), Counts::default());
            assert_eq!(window.add(Counts::call(true, false), at(1)), Counts::call(true, false));
        }
    }

    proptest! {
        #[test]
        fn a_window_of_calls_sums_the_last_of_them(
            calls in prop::collection::vec(any::<(bool, bool)>(), 0..60),
            size in 1u32..20,
        ) {
            let mut window = Window::new(config::Window::Calls(size), at(0));
            for (failed, slow) in &calls {
                window.add(Counts::call(*failed, *slow), at(0));
            }
            let last = calls.iter().rev().take(size as usize);
            let expected = last.fold(Counts::default(), |mut sum, (failed, slow)| {
                sum.plus(Counts::call(*failed, *slow));
                sum
            });
            prop_assert_eq!(window.counts(at(0)), expected);
        }
    }
}
