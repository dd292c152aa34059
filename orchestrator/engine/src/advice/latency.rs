//! Durations as counts in buckets: memory is bounded, whatever was observed, and two histograms add up exactly.

use std::{collections::BTreeMap, time::Duration};

/// Each doubling of the duration has `2^5` buckets of equal width ("HDR Histogram", Tene), so a quantile is at most one
/// part in 32 above the duration that was observed, and never below it.
const SUB_BITS: u32 = 5;

/// Buckets of one doubling; below this many milliseconds every duration has a bucket of its own.
const SUB_BUCKETS: u64 = 1 << SUB_BITS;

/// By how much a quantile may be too high, as a share of it.
pub(super) const QUANTILE_ERROR: f64 = 1.0 / SUB_BUCKETS as f64;

/// Durations in milliseconds, by bucket. Journals have no finer times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LatencyHistogram {
    counts: BTreeMap<u16, u64>,
    total: u64,
}

impl LatencyHistogram {
    pub(super) fn add(&mut self, took: Duration) {
        *self.counts.entry(bucket_of(millis(took))).or_default() += 1;
        self.total += 1;
    }

    pub(super) fn merge(&mut self, other: &LatencyHistogram) {
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        self.total += other.total;
    }

    /// How many durations there are.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The duration that a share `q` of the durations does not exceed; `None`: there is no duration.
    pub(super) fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = ((self.total as f64 * q).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        self.counts.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| Duration::from_millis(upper_of(*bucket)))
        })
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn bucket_of(ms: u64) -> u16 {
    let Some(doubling) = ms.checked_ilog2().and_then(|log| log.checked_sub(SUB_BITS)) else { return ms as u16 };
    let within = (ms >> doubling) & (SUB_BUCKETS - 1);
    (SUB_BUCKETS + u64::from(doubling) * SUB_BUCKETS + within) as u16
}

/// The longest duration of a bucket.
fn upper_of(bucket: u16) -> u64 {
    let Some(above) = u64::from(bucket).checked_sub(SUB_BUCKETS) else { return bucket.into() };
    let (doubling, within) = (above / SUB_BUCKETS, above % SUB_BUCKETS);
    let next = u128::from(SUB_BUCKETS + within + 1) << doubling;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(all: &[u64]) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        all.iter().for_each(|ms| histogram.add(Duration::from_millis(*ms)));
        histogram
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!((of(&[]).quantile(0.5), of(&[]).total()), (None, 0));
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_too_low_and_at_most_its_error_too_high(
            mut all in prop::collection::vec(0u64..1 << 40, 1..200),
            q in 0.0f64..=1.0,
        ) {
            let found = of(&all).quantile(q).expect("some").as_millis() as f64;
            all.sort_unstable();
            let rank = ((all.len() as f64 * q).ceil() as usize).clamp(1, all.len());
            let exact = all[rank - 1] as f64;
            prop_assert!(found >= exact && found <= exact * (1.0 + QUANTILE_ERROR) + 1.0, "{found} for {exact}");
        }

        #[test]
        fn parts_add_up_to_the_whole(all in prop::collection::vec(any::<u64>(), 0..100), at in 0usize..100) {
            let (left, right) = all.split_at(at.min(all.len()));
            let mut sum = of(left);
            sum.merge(&of(right));
            prop_assert_eq!(sum, of(&all));
        }
    }
}
