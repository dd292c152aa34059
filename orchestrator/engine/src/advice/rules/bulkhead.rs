//! The bulkhead: as many places as the calls that arrive need at once (Little's law: L = λ W).

use super::{FEWEST_CALLS, quantile};
use crate::advice::{
    observed::CommandObservations,
    series::{LOAD_BUCKET, LoadBucket, ParticipantSeries},
    setting::{SettingValue, spoken},
    verdict::{AdviceConfidence, RuleAdvice, RuleVerdict, percent, share},
};
use saga_core::{command::GuardKind, definition::participants::BulkheadConfig};
use std::num::NonZeroU32;

/// Waits below which the bulkhead is not in the way.
const FEWEST_WAITS: u64 = 20;
/// The same as a share of the attempts.
const WAITING: f64 = 0.01;
/// Places beyond what was needed, for what comes within a bucket.
const ROOM: f64 = 1.25;
/// No more places are advised: each is a connection at the participant.
const MOST_PLACES: f64 = 10_000.0;
/// The busiest tenth of the time fails so many times as often as the rest: the participant is at its limit.
const STRAINED: f64 = 3.0;
/// And at least so often.
const STRAINED_SHARE: f64 = 0.05;

pub(super) fn judged(
    present: &BulkheadConfig,
    it: &CommandObservations,
    series: &ParticipantSeries,
    engines: NonZeroU32,
) -> RuleVerdict {
    if present.adaptive.is_some() {
        return RuleVerdict::Fits("it follows the participant's answers".to_owned());
    }
    if it.attempts < FEWEST_CALLS {
        return RuleVerdict::TooLittle(format!("{} calls were made, {FEWEST_CALLS} are needed", it.attempts));
    }
    let waits = it.waits.get(&GuardKind::Bulkhead).cloned().unwrap_or_default();
    if waits.total() < FEWEST_WAITS || share(waits.total(), it.attempts) < WAITING {
        return RuleVerdict::Fits(format!("it held back {} of {} calls", waits.total(), it.attempts));
    }
    let (busy, rest) = failing(series);
    if busy >= STRAINED_SHARE && busy >= STRAINED * rest {
        return RuleVerdict::Fits(format!(
            "it held back {} calls, but in the busiest tenth of the time {} of the calls failed, else {}: more at once \
             would overload the participant",
            waits.total(),
            percent(busy),
            percent(rest)
        ));
    }
    let (rate, took) = demand(it, series);
    let places = (rate * took / f64::from(engines.get()) * ROOM).ceil();
    let least = f64::from(present.limit.get()) * 1.5;
    let advised = places.max(least.ceil()).min(MOST_PLACES) as u32;
    let Some(limit) = NonZeroU32::new(advised).filter(|limit| *limit > present.limit) else {
        return RuleVerdict::Fits("it has as many places as are ever advised".to_owned());
    };
    let wait = waits.quantile(0.95).unwrap_or_default();
    RuleVerdict::Change(Box::new(RuleAdvice {
        value: SettingValue::Bulkhead(BulkheadConfig { limit, ..*present }),
        because: format!(
            "it held back {} of {} calls, 95 in 100 of them for at most {}; at busy times {rate:.1} calls a second are \
             to be made, and 95 in 100 calls take at most {took:.3} s",
            waits.total(),
            it.attempts,
            spoken(wait)
        ),
        figures: [
            ("held", waits.total() as f64),
            ("waitP95Ms", wait.as_millis() as f64),
            ("callsPerSecond", rate),
            ("latencyP95Ms", took * 1_000.0),
            ("placesByLittle", (rate * took).ceil()),
        ]
        .into(),
        effect: "what arrives within ten seconds leaves within ten seconds; a shorter burst still waits".to_owned(),
        confidence: if places >= least { AdviceConfidence::Medium } else { AdviceConfidence::Low },
    }))
}

/// Calls a second at busy times, further attempts included, and what a call takes, in seconds.
fn demand(it: &CommandObservations, series: &ParticipantSeries) -> (f64, f64) {
    let arrived = series.load().map(|bucket| bucket.arrived).filter(|arrived| *arrived > 0);
    let peak = quantile(arrived, 0.99).unwrap_or_default();
    let took = it.latency.quantile(0.95).unwrap_or_default();
    let commands = it.by_number.first().map_or(it.attempts, |first| first.made).max(1);
    let attempts = it.attempts as f64 / commands as f64;
    (f64::from(peak) * attempts / LOAD_BUCKET.as_secs_f64(), took.as_secs_f64())
}

/// The share of calls that failed in the busiest tenth of the time, and in the rest.
fn failing(series: &ParticipantSeries) -> (f64, f64) {
    let counted = |it: &LoadBucket| (u64::from(it.succeeded) + u64::from(it.failed), u64::from(it.failed));
    let mut buckets: Vec<(u64, u64)> = series.load().map(counted).filter(|(ended, _)| *ended > 0).collect();
    buckets.sort_unstable();
    let of = |buckets: &[(u64, u64)]| {
        let (ended, failed) = buckets.iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        share(failed, ended)
    };
    let (rest, busy) = buckets.split_at(buckets.len() - buckets.len().div_ceil(10));
    (of(busy), of(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::series::begin;
    use std::time::Duration;

    /// 40 calls a second for 100 seconds, each of which takes half a second.
    fn busy(waits: u64, failed: u32) -> (CommandObservations, ParticipantSeries) {
        let (mut it, mut series) = (CommandObservations::default(), ParticipantSeries::default());
        it.attempts = 4_000;
        (0..4_000).for_each(|_| it.latency.add(Duration::from_millis(500)));
        let held = it.waits.entry(GuardKind::Bulkhead).or_default();
        (0..waits).for_each(|_| held.add(Duration::from_secs(2)));
        for at in 0..10 {
            let bucket = series.load_at(begin(at, LOAD_BUCKET));
            (bucket.arrived, bucket.succeeded) = (400, 400);
            bucket.failed = if at == 9 { failed } else { 0 };
        }
        (it, series)
    }

    fn of(limit: u32) -> BulkheadConfig {
        BulkheadConfig::of(NonZeroU32::new(limit).expect("not zero"))
    }

    fn places(verdict: RuleVerdict) -> u32 {
        match verdict {
            RuleVerdict::Change(advice) => match advice.value {
                SettingValue::Bulkhead(config) => config.limit.get(),
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_places_are_those_of_littles_law_with_some_room() {
        let (it, series) = busy(500, 0);
        let engines = |count| NonZeroU32::new(count).expect("not zero");
        let (one, two) = (judged(&of(8), &it, &series, engines(1)), judged(&of(8), &it, &series, engines(2)));
        assert!((25..=27).contains(&places(one.clone())), "40/s for half a second are 20 at once: {one:?}");
        assert!((12..=14).contains(&places(two.clone())), "each of two engines has half of it: {two:?}");
    }

    #[test]
    fn a_bulkhead_that_is_not_in_the_way_or_that_protects_stays() {
        let (it, series) = busy(3, 0);
        assert!(matches!(judged(&of(8), &it, &series, NonZeroU32::MIN), RuleVerdict::Fits(_)));
        let (it, series) = busy(500, 200);
        let RuleVerdict::Fits(why) = judged(&of(8), &it, &series, NonZeroU32::MIN) else { panic!("it protects") };
        assert!(why.contains("overload"), "{why}");
    }
}
