//! Durations of the last minutes, counted in buckets whose width grows with the duration.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Minutes that are kept, the present one included.
const MINUTES: usize = 5;
/// Buckets between one power of two and the next: a bucket ends at most an eighth above its beginning.
const PARTS: usize = 8;
/// Powers of two, in microseconds: up to 38 hours.
const POWERS: usize = 37;
const BUCKETS: usize = PARTS * POWERS;

/// A window over the last five minutes. Without locks: a duration that is counted while a minute begins may be lost.
#[derive(Debug)]
pub(super) struct LatencyWindow([MinuteSlot; MINUTES]);

#[derive(Debug)]
struct MinuteSlot {
    minute: AtomicU64,
    total_us: AtomicU64,
    buckets: Box<[AtomicU32; BUCKETS]>,
}

/// What a window has counted.
#[derive(Debug)]
pub(super) struct LatencyCounts {
    pub(super) count: u64,
    pub(super) total_us: u64,
    buckets: Vec<u64>,
}

impl LatencyWindow {
    pub(super) fn new() -> LatencyWindow {
        LatencyWindow(std::array::from_fn(|_| MinuteSlot {
            minute: AtomicU64::new(u64::MAX),
            total_us: AtomicU64::new(0),
            buckets: Box::new(std::array::from_fn(|_| AtomicU32::new(0))),
        }))
    }

    pub(super) fn record(&self, minute: u64, micros: u64) {
        let slot = self.slot(minute);
        slot.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        slot.total_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// The slot of this minute, empty if it was last used for another.
    fn slot(&self, minute: u64) -> &MinuteSlot {
        let slot = &self.0[usize::try_from(minute).unwrap_or_default() % MINUTES];
        if slot.minute.swap(minute, Ordering::Relaxed) != minute {
            slot.total_us.store(0, Ordering::Relaxed);
            slot.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        }
        slot
    }

    /// What was counted in `minute` and the four before it.
    pub(super) fn counts(&self, minute: u64) -> LatencyCounts {
        let mut counts = LatencyCounts { count: 0, total_us: 0, buckets: vec![0; BUCKETS] };
        let is_recent = |slot: &&MinuteSlot| {
            minute.checked_sub(slot.minute.load(Ordering::Relaxed)).is_some_and(|ago| ago < MINUTES as u64)
        };
        for slot in self.0.iter().filter(is_recent) {
            counts.total_us += slot.total_us.load(Ordering::Relaxed);
            for (sum, bucket) in counts.buckets.iter_mut().zip(slot.buckets.iter()) {
                *sum += u64::from(bucket.load(Ordering::Relaxed));
            }
        }
        counts.count = counts.buckets.iter().sum();
        counts
    }
}

impl LatencyCounts {
    /// The end of the bucket up to which `percent` of all are.
    pub(super) fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100);
        let mut below = 0;
        let reaches = |count: &u64| {
            below += count;
            below >= wanted
        };
        self.buckets.iter().position(reaches).map_or(0, end_of)
    }
}

/// The bucket of a duration: below [`PARTS`] one for each microsecond, from there on [`PARTS`] for each power of two.
fn bucket(micros: u64) -> usize {
    let Some(power) = micros.checked_ilog2().and_then(|log| log.checked_sub(PARTS.ilog2())) else {
        return usize::try_from(micros).unwrap_or_default();
    };
    let part = usize::try_from(micros >> power).unwrap_or(PARTS) - PARTS;
    ((power as usize + 1) * PARTS + part).min(BUCKETS - 1)
}

/// The largest duration of a bucket.
fn end_of(bucket: usize) -> u64 {
    let Some(power) = (bucket / PARTS).checked_sub(1) else { return bucket as u64 };
    (((bucket % PARTS + PARTS + 1) as u64) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_older_than_five_minutes_is_not_counted() {
        let window = LatencyWindow::new();
        (0..6).for_each(|minute| window.record(minute, 1_000));
        assert_eq!(window.counts(5).count, 5);
        assert_eq!(window.counts(9).count, 1);
        assert_eq!(window.counts(60).count, 0);
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_its_longest_duration_and_at_most_an_eighth_above_the_shortest(micros in 0_u64..1 << 36) {
            let end = end_of(bucket(micros));
            prop_assert!(end >= micros && end <= micros + micros / 8, "{micros} is in a bucket up to {end}");
            prop_assert_eq!(bucket(end), bucket(micros));
            prop_assert_eq!(bucket(end + 1), bucket(micros) + 1);
        }
    }
}
