use crate::MonotonicTime;
use std::time::Duration;

/// What is counted: numbers that are added as calls come and taken off as they grow old.
pub(crate) trait BucketValue: Copy + Default {
    fn plus(&mut self, more: Self);
    fn minus(&mut self, less: Self);
}

impl BucketValue for u32 {
    fn plus(&mut self, more: u32) {
        *self = self.saturating_add(more);
    }

    fn minus(&mut self, less: u32) {
        *self = self.saturating_sub(less);
    }
}

/// Sums over a span of time that moves on, in `N` buckets: the oldest of them leaves at a time. Adding and reading cost
/// the same however much was added.
#[derive(Clone, Debug)]
pub(crate) struct RollingBuckets<T, const N: usize> {
    width_ns: u64,
    /// Number of the newest bucket since the origin of the clock; its place in the ring is that modulo `N`.
    newest: u64,
    buckets: [T; N],
    total: T,
}

impl<T: BucketValue, const N: usize> RollingBuckets<T, N> {
    /// Empty buckets that are `width` wide, at least a nanosecond.
    pub(crate) fn new(width: Duration, now: MonotonicTime) -> RollingBuckets<T, N> {
        let width_ns = nanos(width).max(1);
        RollingBuckets {
            width_ns,
            newest: nanos(now.elapsed()) / width_ns,
            buckets: [T::default(); N],
            total: T::default(),
        }
    }

    /// Adds `more` and says what the sum is now. A reading older than the newest one counts as the newest: readers race
    /// by nanoseconds, and time never goes back.
    pub(crate) fn add(&mut self, more: T, now: MonotonicTime) -> T {
        self.advance(now);
        self.buckets[place::<N>(self.newest)].plus(more);
        self.total.plus(more);
        self.total
    }

    /// The sum of what has not left.
    pub(crate) fn total(&mut self, now: MonotonicTime) -> T {
        self.advance(now);
        self.total
    }

    /// Forgets all that was added: the sum is zero again.
    pub(crate) fn clear(&mut self) {
        self.buckets = [T::default(); N];
        self.total = T::default();
    }

    /// How long until the oldest bucket leaves that `counts`, more than zero; `None` if none does.
    pub(crate) fn leaves_in(&self, now: MonotonicTime, counts: impl Fn(T) -> bool) -> Option<Duration> {
        let ages = (0..N as u64).rev().filter(|age| *age <= self.newest);
        let mut numbers = ages.map(|age| self.newest - age);
        let oldest = numbers.find(|number| counts(self.buckets[place::<N>(*number)]))?;
        let leaves = oldest.saturating_add(N as u64).saturating_mul(self.width_ns);
        Some(Duration::from_nanos(leaves.saturating_sub(nanos(now.elapsed())).max(1)))
    }

    fn advance(&mut self, now: MonotonicTime) {
        let number = nanos(now.elapsed()) / self.width_ns;
        let passed = number.saturating_sub(self.newest);
        if passed == 0 {
            return;
        }
        let left = usize::try_from(passed).unwrap_or(N).min(N);
        for step in 1..=left {
            let place = place::<N>(self.newest.wrapping_add(step as u64));
            self.total.minus(std::mem::take(&mut self.buckets[place]));
        }
        self.newest = number;
    }
}

impl<const N: usize> RollingBuckets<u32, N> {
    /// Takes one of what has not left off again, the newest there is.
    pub(crate) fn take_back(&mut self, now: MonotonicTime) {
        self.advance(now);
        let newest = self.newest;
        let mut places = (0..N as u64).map(|age| place::<N>(newest.wrapping_sub(age)));
        if let Some(found) = places.find(|place| self.buckets[*place] > 0) {
            self.buckets[found] -= 1;
            self.total -= 1;
        }
    }
}

/// In 64 bits, which last for 584 years and divide several times faster than 128.
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn place<const N: usize>(number: u64) -> usize {
    usize::try_from(number % N as u64).expect("a remainder by the number of buckets fits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDTH_MS: u64 = 100;

    fn at(millis: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_millis(millis))
    }

    fn second() -> RollingBuckets<u32, 10> {
        RollingBuckets::new(Duration::from_millis(WIDTH_MS), at(0))
    }

    #[test]
    fn what_was_added_counts_until_its_tenth_of_the_span_has_left() {
        let mut second = second();
        second.add(1, at(50));
        second.add(2, at(150));
        assert_eq!(second.total(at(999)), 3);
        assert_eq!(second.total(at(1_000)), 2);
        assert_eq!(second.total(at(1_100)), 0);
    }

    #[test]
    fn a_reading_that_is_older_than_the_newest_counts_as_the_newest() {
        let mut second = second();
        second.add(1, at(5_000));
        second.add(1, at(10));
        assert_eq!(second.total(at(4_000)), 2);
        assert_eq!(second.total(at(5_999)), 2);
        assert_eq!(second.total(at(6_000)), 0);
    }

    #[test]
    fn what_is_taken_back_is_the_newest() {
        let mut second = second();
        second.add(1, at(50));
        second.add(1, at(450));
        second.take_back(at(500));
        assert_eq!(second.total(at(500)), 1);
        assert_eq!(second.total(at(1_050)), 0, "the older one stayed");
        second.take_back(at(1_050));
        assert_eq!(second.total(at(1_050)), 0);
    }

    #[test]
    fn a_clock_at_its_end_is_counted_too() {
        let mut second = second();
        let end = MonotonicTime::since_origin(Duration::MAX);
        second.add(1, end);
        assert_eq!(second.total(end), 1);
        assert!(second.leaves_in(end, |count| count > 0).is_some_and(|rest| rest > Duration::ZERO));
    }

    #[test]
    fn it_says_when_the_oldest_leaves_that_counts() {
        let mut second = second();
        assert_eq!(second.leaves_in(at(0), |count| count > 0), None);
        second.add(1, at(250));
        second.add(9, at(350));
        assert_eq!(second.leaves_in(at(350), |count| count > 0), Some(Duration::from_millis(850)));
        assert_eq!(second.leaves_in(at(350), |count| count > 1), Some(Duration::from_millis(950)));
    }

    /// The same, of all that was ever added.
    fn naive(added: &[(u64, u32)], now: u64) -> u32 {
        added.iter().filter(|(made, _)| made / WIDTH_MS + 10 > now / WIDTH_MS).map(|(_, count)| count).sum()
    }

    proptest! {
        #[test]
        fn it_sums_what_a_list_of_everything_sums(steps in prop::collection::vec((0u64..700, 0u32..9), 0..200)) {
            let mut second = second();
            let mut now = 0;
            let mut added = Vec::new();
            for (rest, count) in steps {
                now += rest;
                second.add(count, at(now));
                added.push((now, count));
                prop_assert_eq!(second.total(at(now)), naive(&added, now));
            }
        }
    }
}
