//! The rate limit: what the participant accepts while it answers 429, and what arrives where it never does.

use super::{FEWEST_CALLS, quantile};
use crate::advice::{
    observed::CommandObservations,
    series::{LOAD_BUCKET, ParticipantSeries},
    setting::SettingValue,
    verdict::{AdviceConfidence, RuleAdvice, RuleVerdict, percent, share},
};
use saga_core::command::{ErrorClass, GuardKind};
use saga_guards::rate::CallRate;
use std::{num::NonZeroU32, time::Duration};

/// Answers of 429 below which nothing is said of them.
const FEWEST_THROTTLED: u64 = 20;
/// The same as a share of the attempts, and for calls that were held back.
const IN_THE_WAY: f64 = 0.01;
/// Share of what was accepted that is advised, so that other callers have room.
const SAFE: f64 = 0.9;
/// Room above what arrives.
const ROOM: f64 = 1.25;

pub(super) fn judged(
    present: Option<CallRate>,
    it: &CommandObservations,
    series: &ParticipantSeries,
    engines: NonZeroU32,
) -> RuleVerdict {
    if it.attempts < FEWEST_CALLS {
        return RuleVerdict::TooLittle(format!("{} calls were made, {FEWEST_CALLS} are needed", it.attempts));
    }
    let throttled = it.failures.get(&ErrorClass::RateLimit).copied().unwrap_or_default();
    let held = it.waits.get(&GuardKind::RateLimit).map_or(0, |waits| waits.total());
    let is_many = |count: u64| count >= FEWEST_THROTTLED && share(count, it.attempts) >= IN_THE_WAY;
    let engines = f64::from(engines.get());
    match (is_many(throttled), present) {
        (true, present) => too_fast(present, throttled, it.attempts, series, engines),
        (false, Some(rate)) if is_many(held) && throttled == 0 => too_slow(rate, held, series, engines),
        (false, _) => RuleVerdict::Fits(format!("{throttled} calls were answered by 429, {held} were held back")),
    }
}

fn per_second(rate: CallRate) -> f64 {
    f64::from(rate.calls.get()) / rate.per.as_secs_f64()
}

fn too_fast(
    present: Option<CallRate>,
    throttled: u64,
    attempts: u64,
    series: &ParticipantSeries,
    engines: f64,
) -> RuleVerdict {
    let accepted = series.load().filter(|it| it.throttled > 0).map(|it| it.succeeded);
    let accepted = f64::from(quantile(accepted, 0.5).unwrap_or_default()) / LOAD_BUCKET.as_secs_f64();
    let advised = accepted * SAFE / engines;
    if present.is_some_and(|rate| per_second(rate) <= advised) {
        return RuleVerdict::Fits(format!(
            "{throttled} calls were answered by 429, though no more were sent than it accepts"
        ));
    }
    let Some(rate) = rate_of(advised) else {
        return RuleVerdict::TooLittle("whenever it answered 429 it accepted nothing else".to_owned());
    };
    RuleVerdict::Change(Box::new(RuleAdvice {
        value: SettingValue::Rate(Some(rate)),
        because: format!(
            "{throttled} of {attempts} calls were answered by 429 ({}); at such times it accepted {accepted:.1} calls a \
             second, as the median of ten seconds",
            percent(share(throttled, attempts))
        ),
        figures: [("throttled", throttled as f64), ("acceptedPerSecond", accepted)].into(),
        effect: format!("most of the {throttled} refused calls would have waited here, without an attempt"),
        confidence: AdviceConfidence::Medium,
    }))
}

fn too_slow(present: CallRate, held: u64, series: &ParticipantSeries, engines: f64) -> RuleVerdict {
    let arrived = series.load().map(|it| it.arrived).filter(|arrived| *arrived > 0);
    let peak = f64::from(quantile(arrived, 0.99).unwrap_or_default()) / LOAD_BUCKET.as_secs_f64();
    let advised = (peak * ROOM / engines).max(per_second(present) * 1.5);
    let Some(rate) = rate_of(advised) else { return RuleVerdict::Fits("nothing arrives".to_owned()) };
    RuleVerdict::Change(Box::new(RuleAdvice {
        value: SettingValue::Rate(Some(rate)),
        because: format!(
            "it held back {held} calls, and the participant never answered 429; {peak:.1} commands a second \
                          arrive at busy times"
        ),
        figures: [("held", held as f64), ("arrivalsPerSecond", peak)].into(),
        effect: format!("{held} calls would have left sooner; ask the participant's owners first what it may be sent"),
        confidence: AdviceConfidence::Low,
    }))
}

/// Calls a second, or a minute where that is less than one.
fn rate_of(calls_a_second: f64) -> Option<CallRate> {
    let (calls, per) = if calls_a_second >= 1.0 { (calls_a_second, 1) } else { (calls_a_second * 60.0, 60) };
    let calls = NonZeroU32::new(calls.floor() as u32)?;
    let burst = NonZeroU32::new(calls.get() / per).unwrap_or(NonZeroU32::MIN);
    Some(CallRate { calls, per: Duration::from_secs(per.into()), burst })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::series::begin;

    /// Of 50 calls a second 30 are accepted.
    fn throttled() -> (CommandObservations, ParticipantSeries) {
        let (mut it, mut series) = (CommandObservations::default(), ParticipantSeries::default());
        it.attempts = 5_000;
        it.failures.insert(ErrorClass::RateLimit, 2_000);
        for at in 0..10 {
            let bucket = series.load_at(begin(at, LOAD_BUCKET));
            (bucket.arrived, bucket.succeeded, bucket.throttled) = (500, 300, 200);
        }
        (it, series)
    }

    #[test]
    fn what_it_accepts_becomes_the_limit() {
        let (it, series) = throttled();
        let judged = |present| judged(present, &it, &series, NonZeroU32::MIN);
        let RuleVerdict::Change(advice) = judged(None) else { panic!("a limit") };
        assert_eq!(advice.value.to_string(), "27/s");
        assert!(matches!(judged(rate_of(20.0)), RuleVerdict::Fits(_)), "no more is sent already");
    }

    #[test]
    fn a_limit_that_only_holds_back_is_raised() {
        let (mut it, series) = throttled();
        it.failures.clear();
        let held = it.waits.entry(GuardKind::RateLimit).or_default();
        (0..100).for_each(|_| held.add(Duration::from_secs(1)));
        let RuleVerdict::Change(advice) = judged(rate_of(20.0), &it, &series, NonZeroU32::MIN) else { panic!("more") };
        assert_eq!((advice.value.to_string().as_str(), advice.confidence), ("62/s", AdviceConfidence::Low));
        assert!(matches!(judged(None, &it, &series, NonZeroU32::MIN), RuleVerdict::Fits(_)));
    }
}
