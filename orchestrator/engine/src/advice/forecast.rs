//! Which participant is about to fail: the trend of its error share and of its latency, continued for half an hour.
//!
//! Each is smoothed by Holt's method ("Forecasting seasonals and trends by exponentially weighted moving averages",
//! 1957) with fixed constants, latency by its logarithm, because it grows by a factor when queues fill. A forecast uses
//! buckets that have ended, and nothing else.

use super::series::{HEALTH_BUCKET, HealthBucket};
use std::{collections::BTreeMap, time::Duration};

/// How much a new value counts for the level…
const LEVEL_WEIGHT: f64 = 0.7;
/// …and a new difference for the trend.
const TREND_WEIGHT: f64 = 0.5;
/// Buckets that a forecast looks ahead: 30 minutes.
pub(super) const AHEAD: i64 = 6;
/// Buckets that it looks back: two hours. What is older has no weight left.
const BACK: i64 = 24;
/// Buckets with values below which there is no trend.
const FEWEST_BUCKETS: usize = 4;
/// Calls below which a bucket has no value: one failure of nine is no tenth.
const FEWEST_CALLS: u64 = 10;
/// Below this share of its limit a value is noise, whatever its trend is.
const NOISE: f64 = 0.1;
/// The quantile of latency that is watched.
pub(super) const WATCHED_QUANTILE: f64 = 0.95;

/// When a participant counts as failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FailureLimits {
    /// The failure rate at which its breaker opens.
    pub(super) error_share: f64,
    /// Its timeout; the 95th percentile reaches it when one in twenty calls times out.
    pub(super) timeout: Duration,
}

/// Five minutes of a participant that had enough calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HealthPoint {
    pub(super) error_share: f64,
    /// In seconds; `None`: no call was answered or timed out.
    pub(super) latency: Option<f64>,
}

impl HealthPoint {
    pub(super) fn is_failing(&self, limits: FailureLimits) -> bool {
        let is_slow = self.latency.is_some_and(|latency| latency >= limits.timeout.as_secs_f64());
        self.error_share >= limits.error_share || is_slow
    }

    /// Whether half of a limit is reached.
    pub(super) fn is_half_way(&self, limits: FailureLimits) -> bool {
        let is_slow = self.latency.is_some_and(|latency| latency * 2.0 >= limits.timeout.as_secs_f64());
        self.error_share * 2.0 >= limits.error_share || is_slow
    }
}

/// The buckets with enough calls, by their number.
pub(super) type HealthPoints = BTreeMap<i64, HealthPoint>;

pub(super) fn points(buckets: &BTreeMap<i64, HealthBucket>) -> HealthPoints {
    let enough = buckets.iter().filter(|(_, bucket)| bucket.ended >= FEWEST_CALLS);
    let point = |bucket: &HealthBucket| HealthPoint {
        error_share: bucket.failed as f64 / bucket.ended as f64,
        latency: bucket.latency.quantile(WATCHED_QUANTILE).map(|latency| latency.as_secs_f64()),
    };
    enough.map(|(at, bucket)| (*at, point(bucket))).collect()
}

/// What reaches its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ForecastMeasure {
    /// The share of calls that fail, as the breaker counts them.
    Errors,
    /// The 95th percentile of latency.
    Latency,
}

/// What is to be expected of a participant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FailureOutlook {
    /// There are too few calls of late for a trend.
    TooLittle,
    /// It fails already.
    Failing,
    /// No trend leads to a failure within half an hour.
    Steady,
    /// It is likely to fail within this time.
    Likely { measure: ForecastMeasure, within: Duration },
}

/// The outlook at the beginning of the bucket `now`, from the buckets before it.
pub(super) fn outlook_at(points: &HealthPoints, now: i64, limits: FailureLimits) -> FailureOutlook {
    let recent = points.range(now - BACK..now);
    let Some((last, point)) = recent.clone().next_back() else { return FailureOutlook::TooLittle };
    if now - last > 2 || recent.clone().count() < FEWEST_BUCKETS {
        return FailureOutlook::TooLittle;
    }
    if point.is_failing(limits) {
        return FailureOutlook::Failing;
    }
    let errors = crossing(recent.clone().map(|(at, it)| (*at, it.error_share)), now, limits.error_share, NOISE);
    let latencies = recent.filter_map(|(at, it)| it.latency.map(|latency| (*at, latency.max(0.001).ln())));
    let timeout = limits.timeout.as_secs_f64().max(0.001);
    let slow = crossing(latencies, now, timeout.ln(), f64::NEG_INFINITY)
        .filter(|_| point.latency.is_some_and(|latency| latency >= timeout * NOISE));
    let first = [(errors, ForecastMeasure::Errors), (slow, ForecastMeasure::Latency)];
    let first =
        first.into_iter().filter_map(|(ahead, measure)| Some((ahead?, measure))).min_by_key(|(ahead, _)| *ahead);
    first.map_or(FailureOutlook::Steady, |(ahead, measure)| FailureOutlook::Likely {
        measure,
        within: HEALTH_BUCKET * u32::try_from(ahead).unwrap_or(u32::MAX),
    })
}

/// How many buckets from `now` on, 1 to [`AHEAD`], the trend needs to reach `limit`.
fn crossing(values: impl Iterator<Item = (i64, f64)>, now: i64, limit: f64, noise: f64) -> Option<i64> {
    let trend = HoltTrend::of(values)?;
    let is_noise = trend.level < limit * noise || trend.slope <= 0.0;
    (1..=AHEAD).find(|ahead| !is_noise && trend.at(now + ahead - 1) >= limit)
}

/// A level and its change from bucket to bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct HoltTrend {
    at: i64,
    level: f64,
    slope: f64,
}

impl HoltTrend {
    fn of(mut values: impl Iterator<Item = (i64, f64)>) -> Option<HoltTrend> {
        let (at, level) = values.next()?;
        Some(values.fold(HoltTrend { at, level, slope: 0.0 }, |trend, (at, value)| trend.with(at, value)))
    }

    /// Over buckets without a value the trend goes on as it was.
    fn with(self, at: i64, value: f64) -> HoltTrend {
        let steps = (at - self.at).max(1) as f64;
        let level = LEVEL_WEIGHT * value + (1.0 - LEVEL_WEIGHT) * self.at(at);
        let slope = TREND_WEIGHT * (level - self.level) / steps + (1.0 - TREND_WEIGHT) * self.slope;
        HoltTrend { at, level, slope }
    }

    fn at(&self, bucket: i64) -> f64 {
        self.level + self.slope * (bucket - self.at) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: FailureLimits = FailureLimits { error_share: 0.5, timeout: Duration::from_secs(2) };

    fn errors(shares: &[f64]) -> HealthPoints {
        let point = |share: &f64| HealthPoint { error_share: *share, latency: Some(0.05) };
        (0..).zip(shares.iter().map(point)).collect()
    }

    fn latencies(seconds: &[f64]) -> HealthPoints {
        let point = |seconds: &f64| HealthPoint { error_share: 0.0, latency: Some(*seconds) };
        (0..).zip(seconds.iter().map(point)).collect()
    }

    #[test]
    fn a_participant_whose_errors_grow_is_likely_to_fail() {
        let outlook = outlook_at(&errors(&[0.0, 0.0, 0.08, 0.16, 0.24, 0.32]), 6, LIMITS);
        let FailureOutlook::Likely { measure: ForecastMeasure::Errors, within } = outlook else {
            panic!("{outlook:?}")
        };
        assert!(within <= Duration::from_secs(1_800), "{within:?}");
    }

    #[test]
    fn a_latency_that_grows_by_a_factor_reaches_the_timeout() {
        let outlook = outlook_at(&latencies(&[0.1, 0.1, 0.16, 0.25, 0.4, 0.64]), 6, LIMITS);
        assert!(matches!(outlook, FailureOutlook::Likely { measure: ForecastMeasure::Latency, .. }), "{outlook:?}");
    }

    #[test]
    fn what_is_steady_or_gets_better_has_no_forecast() {
        for shares in [[0.01; 6], [0.3, 0.25, 0.2, 0.15, 0.1, 0.05], [0.0, 0.02, 0.0, 0.02, 0.0, 0.02]] {
            assert_eq!(outlook_at(&errors(&shares), 6, LIMITS), FailureOutlook::Steady, "{shares:?}");
        }
        assert_eq!(outlook_at(&latencies(&[0.1, 0.12, 0.11, 0.1, 0.12, 0.1]), 6, LIMITS), FailureOutlook::Steady);
    }

    #[test]
    fn without_calls_of_late_nothing_is_said_and_a_failure_is_no_forecast() {
        assert_eq!(outlook_at(&errors(&[0.0, 0.1, 0.2]), 3, LIMITS), FailureOutlook::TooLittle);
        assert_eq!(outlook_at(&errors(&[0.0, 0.1, 0.2, 0.3]), 9, LIMITS), FailureOutlook::TooLittle);
        assert_eq!(outlook_at(&errors(&[0.0, 0.1, 0.2, 0.6]), 4, LIMITS), FailureOutlook::Failing);
        assert_eq!(outlook_at(&HealthPoints::new(), 4, LIMITS), FailureOutlook::TooLittle);
    }

    proptest! {
        #[test]
        fn the_future_never_changes_a_forecast(
            past in prop::collection::btree_map(0i64..60, (0.0f64..=1.0, prop::option::of(0.0f64..5.0)), 0..60),
            future in prop::collection::btree_map(0i64..60, (0.0f64..=1.0, prop::option::of(0.0f64..5.0)), 0..60),
            now in 0i64..60,
        ) {
            let of = |all: &BTreeMap<i64, (f64, Option<f64>)>, is_wanted: &dyn Fn(i64) -> bool| -> HealthPoints {
                let point = |(error_share, latency): (f64, Option<f64>)| HealthPoint { error_share, latency };
                all.iter().filter(|(at, _)| is_wanted(**at)).map(|(at, it)| (*at, point(*it))).collect()
            };
            let before = of(&past, &|at| at < now);
            let mut whole = before.clone();
            whole.extend(of(&future, &|at| at >= now));
            prop_assert_eq!(outlook_at(&before, now, LIMITS), outlook_at(&whole, now, LIMITS));
        }
    }
}
