//! How often forecasts came true in the recorded past. Each is made from what was before its moment.

use super::{
    forecast::{AHEAD, FailureLimits, FailureOutlook, HealthPoints, outlook_at},
    series::HEALTH_BUCKET,
};
use serde::Serialize;

/// Failures in the past below which its figures mean little.
const FEWEST_FAILURES: u64 = 3;

/// How forecasts did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BacktestResult {
    /// Forecasts whose half hour is over.
    pub forecasts: u64,
    /// Of these, those that a failure followed within half an hour.
    pub came_true: u64,
    /// Failures that began without a forecast.
    pub missed: u64,
    /// Share of the forecasts that came true; `None`: there was none.
    pub precision: Option<f64>,
    /// Share of the failures that were forecast; `None`: there was none.
    pub recall: Option<f64>,
    /// From a forecast that came true to the failure, in minutes, of half of them at least.
    pub median_lead_minutes: Option<f64>,
}

/// How the forecasts did in the past, and beside them those of somebody who looks at the last five minutes only.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastRecord {
    /// Buckets of five minutes that had enough calls.
    pub buckets: u64,
    /// Times at which the participant began to fail, after half an hour in which it did not.
    pub failures: u64,
    /// Whether there were failures enough for the figures to mean something.
    pub is_enough: bool,
    /// By the trend.
    pub trend: BacktestResult,
    /// By the last value: a failure is forecast whenever half of a limit is reached.
    pub last_value: BacktestResult,
}

/// Both ways of forecasting, tried on the whole past.
pub(super) fn record(points: &HealthPoints, limits: FailureLimits) -> ForecastRecord {
    let onsets = onsets(points, limits);
    let trend = |at: i64| matches!(outlook_at(points, at, limits), FailureOutlook::Likely { .. });
    let last_value = |at: i64| points.get(&(at - 1)).is_some_and(|it| !it.is_failing(limits) && it.is_half_way(limits));
    ForecastRecord {
        buckets: points.len() as u64,
        failures: onsets.len() as u64,
        is_enough: onsets.len() as u64 >= FEWEST_FAILURES,
        trend: result(points, &onsets, &forecasts(points, limits, trend), limits),
        last_value: result(points, &onsets, &forecasts(points, limits, last_value), limits),
    }
}

/// The buckets in which a failure begins.
fn onsets(points: &HealthPoints, limits: FailureLimits) -> Vec<i64> {
    let failing: Vec<i64> = points.iter().filter(|(_, it)| it.is_failing(limits)).map(|(at, _)| *at).collect();
    let begins = |index: &usize| *index == 0 || failing[*index] - failing[index - 1] > AHEAD;
    (0..failing.len()).filter(begins).map(|index| failing[index]).collect()
}

/// The moments at which a forecast is made: one at a time, and none while a failure is less than half an hour old.
fn forecasts(points: &HealthPoints, limits: FailureLimits, is_likely: impl Fn(i64) -> bool) -> Vec<i64> {
    let mut made: Vec<i64> = Vec::new();
    let mut open_until = i64::MIN;
    for now in points.keys().map(|at| at + 1) {
        let fails = points.range(now - AHEAD..now).any(|(_, it)| it.is_failing(limits));
        if !fails && now >= open_until && is_likely(now) {
            made.push(now);
            open_until = now + AHEAD;
        }
    }
    made
}

fn result(points: &HealthPoints, onsets: &[i64], made: &[i64], limits: FailureLimits) -> BacktestResult {
    let end = points.last_key_value().map_or(i64::MIN, |(last, _)| last + 1);
    let failure_after =
        |made: i64| points.range(made..made + AHEAD).find(|(_, it)| it.is_failing(limits)).map(|it| *it.0);
    let decided = made.iter().filter(|made| **made + AHEAD <= end || failure_after(**made).is_some());
    let forecasts = decided.clone().count() as u64;
    let mut leads: Vec<i64> = decided.filter_map(|made| Some(failure_after(*made)? - made)).collect();
    leads.sort_unstable();
    let is_forecast = |onset: &&i64| made.iter().any(|made| (*made..made + AHEAD).contains(onset));
    let foreseen = onsets.iter().filter(is_forecast).count() as u64;
    let (came_true, failures) = (leads.len() as u64, onsets.len() as u64);
    BacktestResult {
        forecasts,
        came_true,
        missed: failures - foreseen,
        precision: share(came_true, forecasts),
        recall: share(foreseen, failures),
        median_lead_minutes: leads.get(leads.len().saturating_sub(1) / 2).map(|lead| minutes(*lead)),
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn minutes(buckets: i64) -> f64 {
    buckets as f64 * HEALTH_BUCKET.as_secs_f64() / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::forecast::HealthPoint;
    use proptest::prelude::*;
    use std::time::Duration;

    const LIMITS: FailureLimits = FailureLimits { error_share: 0.5, timeout: Duration::from_secs(2) };

    fn errors(shares: &[f64]) -> HealthPoints {
        let point = |share: &f64| HealthPoint { error_share: *share, latency: None };
        (0..).zip(shares.iter().map(point)).collect()
    }

    /// Errors that grow for 35 minutes until the participant fails, and an hour of peace, three times; then a failure
    /// out of nothing.
    fn past() -> Vec<f64> {
        let growing = [0.0, 0.02, 0.1, 0.18, 0.26, 0.34, 0.42, 0.6, 0.7];
        let mut past = [growing.as_slice(), &[0.0; 12]].concat().repeat(3);
        past.extend([0.0, 0.0, 0.9, 0.0]);
        past
    }

    #[test]
    fn what_grows_is_foreseen_and_what_comes_out_of_nothing_is_missed() {
        let record = record(&errors(&past()), LIMITS);
        assert_eq!((record.failures, record.is_enough), (4, true), "{record:?}");
        let trend = &record.trend;
        assert_eq!((trend.forecasts, trend.came_true, trend.missed), (3, 3, 1), "{trend:?}");
        assert_eq!((trend.precision, trend.recall), (Some(1.0), Some(0.75)));
        let (lead, naive) = (trend.median_lead_minutes, record.last_value.median_lead_minutes);
        assert!(lead > naive && naive.is_some(), "the trend is known before half of the limit: {record:?}");
    }

    #[test]
    fn a_past_without_failures_has_no_figures() {
        let record = record(&errors(&[0.0; 50]), LIMITS);
        assert_eq!((record.failures, record.is_enough), (0, false));
        assert_eq!(record.trend, BacktestResult::default());
    }

    #[test]
    fn a_forecast_that_nothing_follows_counts_against_the_precision() {
        let mut shares = vec![0.0, 0.05, 0.15, 0.25, 0.35];
        shares.extend([0.0; 12]);
        let record = record(&errors(&shares), LIMITS);
        assert_eq!((record.trend.forecasts, record.trend.came_true), (1, 0), "{record:?}");
        assert_eq!((record.trend.precision, record.trend.recall), (Some(0.0), None));
    }

    proptest! {
        #[test]
        fn forecasts_that_were_made_stay_whatever_follows(
            shares in prop::collection::vec(0.0f64..=1.0, 0..80),
            at in 0usize..80,
        ) {
            let (whole, cut) = (errors(&shares), errors(&shares[..at.min(shares.len())]));
            let made = |points: &HealthPoints| {
                forecasts(points, LIMITS, |now| matches!(outlook_at(points, now, LIMITS), FailureOutlook::Likely { .. }))
            };
            let end = cut.last_key_value().map_or(0, |(last, _)| last + 1);
            let until: Vec<i64> = made(&whole).into_iter().filter(|now| *now <= end).collect();
            prop_assert_eq!(until, made(&cut));
        }
    }
}
