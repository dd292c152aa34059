use crate::Monotonic;
use std::time::Duration;

/// Buckets of a window: the oldest tenth of the calls leaves at a time.
const BUCKETS: usize = 10;

/// Counts of calls over a span of time that moves on. Adding and reading cost the same however many calls there were.
#[derive(Clone, Debug)]
pub(super) struct Window {
    width_ns: u64,
    /// Number of the newest bucket since the origin of the clock; its place in the ring is that modulo [`BUCKETS`].
    newest: u64,
    buckets: [Counts; BUCKETS],
    total: Counts,
}

/// Calls and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
}

impl Window {
    pub(super) fn new(span: Duration, now: Monotonic) -> Window {
        let width_ns = (nanos(span) / BUCKETS as u64).max(1);
        let empty = Counts::default();
        let mut window = Window { width_ns, newest: 0, buckets: [empty; BUCKETS], total: empty };
        window.newest = window.number(now);
        window
    }

    /// Counts one call and says how many there are now. A reading older than the newest one counts as the newest: readers race by
    /// nanoseconds, and time never goes back.
    pub(super) fn add(&mut self, now: Monotonic, failed: bool) -> Counts {
        self.advance(now);
        let bucket = &mut self.buckets[place(self.newest)];
        for counts in [bucket, &mut self.total] {
            counts.calls = counts.calls.saturating_add(1);
            counts.failures = counts.failures.saturating_add(u32::from(failed));
        }
        self.total
    }

    pub(super) fn counts(&mut self, now: Monotonic) -> Counts {
        self.advance(now);
        self.total
    }

    fn advance(&mut self, now: Monotonic) {
        let number = self.number(now);
        let passed = number.saturating_sub(self.newest);
        if passed == 0 {
            return;
        }
        let cleared = usize::try_from(passed).unwrap_or(BUCKETS).min(BUCKETS);
        for step in 1..=cleared {
            self.clear(place(self.newest.wrapping_add(step as u64)));
        }
        self.newest = number;
    }

    fn clear(&mut self, place: usize) {
        let left = std::mem::take(&mut self.buckets[place]);
        self.total.calls = self.total.calls.saturating_sub(left.calls);
        self.total.failures = self.total.failures.saturating_sub(left.failures);
    }

    fn number(&self, now: Monotonic) -> u64 {
        nanos(now.elapsed()) / self.width_ns
    }
}

/// In 64 bits, which last for 584 years and divide several times faster than 128.
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS as u64).expect("a remainder by ten fits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPAN_MS: u64 = 1_000;

    fn at(millis: u64) -> Monotonic {
        Monotonic::since_origin(Duration::from_millis(millis))
    }

    fn window() -> Window {
        Window::new(Duration::from_millis(SPAN_MS), at(0))
    }

    #[test]
    fn a_call_counts_until_its_tenth_of_the_window_has_left() {
        let mut window = window();
        window.add(at(50), true);
        window.add(at(150), false);
        assert_eq!(window.counts(at(999)), Counts { calls: 2, failures: 1 });
        assert_eq!(window.counts(at(1_000)), Counts { calls: 1, failures: 0 });
        assert_eq!(window.counts(at(1_100)), Counts::default());
    }

    #[test]
    fn a_reading_that_is_older_than_the_newest_counts_as_the_newest() {
        let mut window = window();
        window.add(at(5_000), false);
        window.add(at(10), true);
        assert_eq!(window.counts(at(4_000)), Counts { calls: 2, failures: 1 });
        assert_eq!(window.counts(at(5_999)), Counts { calls: 2, failures: 1 });
    }

    #[test]
    fn a_clock_at_its_end_is_counted_too() {
        let mut window = window();
        window.add(Monotonic::since_origin(Duration::MAX), true);
        assert_eq!(window.counts(Monotonic::since_origin(Duration::MAX)), Counts { calls: 1, failures: 1 });
    }

    /// The same, of all calls ever made.
    fn naive(calls: &[(u64, bool)], now: u64) -> Counts {
        let bucket = |millis: u64| millis / (SPAN_MS / BUCKETS as u64);
        let counted = calls.iter().filter(|(made, _)| bucket(*made) + BUCKETS as u64 > bucket(now));
        counted.fold(Counts::default(), |counts, (_, failed)| Counts {
            calls: counts.calls + 1,
            failures: counts.failures + u32::from(*failed),
        })
    }

    proptest! {
        #[test]
        fn it_counts_what_a_list_of_all_calls_counts(calls in prop::collection::vec((0u64..700, any::<bool>()), 0..200)) {
            let mut window = window();
            let mut now = 0;
            let mut made = Vec::new();
            for (rest, failed) in calls {
                now += rest;
                window.add(at(now), failed);
                made.push((now, failed));
                prop_assert_eq!(window.counts(at(now)), naive(&made, now));
            }
        }
    }
}
