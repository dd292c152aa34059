//! The breaker: it opens in outages and at no other time, and looks again about when they are over.

use super::{FEWEST_CALLS, quantile};
use crate::advice::{
    series::{LOAD_BUCKET, ObservedOutage, ParticipantSeries},
    setting::{SettingValue, rounded_up, spoken},
    verdict::{AdviceConfidence, EvidenceFigures, RuleAdvice, RuleVerdict},
};
use saga_guards::breaker::{BreakerParameters, WindowConfig};
use std::time::Duration;

/// Outages, or openings, below which nothing is said of them: one is chance.
const FEWEST: usize = 2;
/// Calls in the window beyond those that it needs.
const ROOM: f64 = 1.5;
/// Fewer calls are no rate.
const LEAST_CALLS: u32 = 5;
/// The longest window that is advised: older calls say nothing of the present.
const LONGEST_WINDOW: Duration = Duration::from_secs(10 * 60);

pub(super) fn judged(
    present: &BreakerParameters,
    series: &ParticipantSeries,
    outages: &[ObservedOutage],
    attempts: u64,
) -> RuleVerdict {
    if attempts < FEWEST_CALLS {
        return RuleVerdict::TooLittle(format!("{attempts} calls were made, {FEWEST_CALLS} are needed"));
    }
    let openings = series.openings(outages);
    let seen = SeenOutages {
        outages,
        openings: openings.len(),
        needless: openings.iter().filter(|opening| !opening.in_outage).count(),
    };
    if outages.is_empty() && openings.is_empty() {
        return RuleVerdict::Fits("no outage was seen, and it never opened".to_owned());
    }
    if outages.len() < FEWEST && openings.len() < FEWEST {
        return RuleVerdict::TooLittle(format!(
            "{} outages were seen and it opened {} times; {FEWEST} are needed",
            outages.len(),
            openings.len()
        ));
    }
    seen.judged(present, series)
}

struct SeenOutages<'o> {
    outages: &'o [ObservedOutage],
    openings: usize,
    needless: usize,
}

impl SeenOutages<'_> {
    fn judged(&self, present: &BreakerParameters, series: &ParticipantSeries) -> RuleVerdict {
        let (mut settings, mut reasons, mut effects) = (*present, Vec::new(), Vec::new());
        if self.needless >= FEWEST && self.needless * 2 >= self.openings {
            settings.minimum_calls = within_window(present, present.minimum_calls.saturating_mul(2));
            reasons.push(format!("it opened {} times, {} of them without an outage", self.openings, self.needless));
            effects.push(format!("about {} needless openings fewer", self.needless));
        }
        self.widen(&mut settings, series, &mut reasons, &mut effects);
        self.look_sooner(&mut settings, &mut reasons, &mut effects);
        if settings == *present {
            let why = format!("{} outages were seen, and it opened {} times", self.outages.len(), self.openings);
            return RuleVerdict::Fits(why);
        }
        RuleVerdict::Change(Box::new(RuleAdvice {
            value: SettingValue::Breaker(settings),
            because: reasons.join("; "),
            figures: self.figures(),
            effect: effects.join("; "),
            confidence: if self.outages.len() >= 5 { AdviceConfidence::Medium } else { AdviceConfidence::Low },
        }))
    }

    /// A window that holds fewer calls than `minimumCalls` at the usual rate can never open the breaker.
    fn widen(
        &self,
        settings: &mut BreakerParameters,
        series: &ParticipantSeries,
        reasons: &mut Vec<String>,
        effects: &mut Vec<String>,
    ) {
        let unopened = self.outages.iter().filter(|outage| !outage.opened).count();
        let WindowConfig::Time(window) = settings.window else { return };
        let judged_from = settings.minimum_calls;
        let usual = quantile(series.load().map(|it| it.succeeded + it.failed).filter(|ended| *ended > 0), 0.5);
        let a_second = f64::from(usual.unwrap_or_default()) / LOAD_BUCKET.as_secs_f64();
        let held = a_second * window.as_secs_f64();
        if unopened < FEWEST || unopened * 2 < self.outages.len() || held >= f64::from(settings.minimum_calls) {
            return;
        }
        let needed = Duration::from_secs_f64((f64::from(settings.minimum_calls) / a_second.max(0.001) * ROOM).min(1e9));
        let longest = rounded_up(needed).clamp(window, LONGEST_WINDOW.max(window));
        settings.window = WindowConfig::Time(longest);
        let held_then = (a_second * longest.as_secs_f64() / ROOM) as u32;
        settings.minimum_calls = settings.minimum_calls.min(held_then.max(LEAST_CALLS));
        reasons.push(format!(
            "it stayed closed in {unopened} of {} outages: {} hold about {held:.0} calls, and it judges from {} on",
            self.outages.len(),
            spoken(window),
            judged_from
        ));
        effects.push("it can open in an outage".to_owned());
    }

    /// Outages are known to ten seconds only, so a shorter `openFor` than two of these is never shortened.
    fn look_sooner(&self, settings: &mut BreakerParameters, reasons: &mut Vec<String>, effects: &mut Vec<String>) {
        let opened = || self.outages.iter().filter(|outage| outage.opened);
        let Some(usual) = quantile(opened().map(ObservedOutage::lasted), 0.5) else { return };
        if opened().count() < FEWEST || usual * 2 > settings.open_for || settings.open_for <= LOAD_BUCKET * 2 {
            return;
        }
        let before = settings.open_for;
        settings.open_for = rounded_up(usual.max(LOAD_BUCKET)).min(before);
        reasons.push(format!(
            "half of {} outages were over within {}, and it refuses calls for {} at first",
            opened().count(),
            spoken(usual),
            spoken(before)
        ));
        effects.push(format!("calls go on up to {} sooner", spoken(before.saturating_sub(settings.open_for))));
    }

    fn figures(&self) -> EvidenceFigures {
        let lasted = quantile(self.outages.iter().map(ObservedOutage::lasted), 0.5).unwrap_or_default();
        [
            ("outages", self.outages.len() as f64),
            ("outageP50Ms", lasted.as_millis() as f64),
            ("openings", self.openings as f64),
            ("needlessOpenings", self.needless as f64),
        ]
        .into()
    }
}

fn within_window(present: &BreakerParameters, calls: u32) -> u32 {
    match present.window {
        WindowConfig::Calls(most) => calls.min(most),
        WindowConfig::Time(_) => calls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::series::{LoadBucket, begin};

    /// An outage of 20 s every ten minutes, with `calls` in every ten seconds, in which the breaker opened or not.
    fn outages(calls: u32, opens: bool) -> ParticipantSeries {
        let mut series = ParticipantSeries::default();
        for at in 0..300 {
            let is_bad = at % 60 < 2;
            let (succeeded, failed) = if is_bad { (0, calls) } else { (calls, 0) };
            let breaker_waits = u32::from(is_bad && opens);
            *series.load_at(begin(at, LOAD_BUCKET)) =
                LoadBucket { succeeded, failed, breaker_waits, ..LoadBucket::default() };
        }
        series
    }

    fn settings(verdict: RuleVerdict) -> BreakerParameters {
        match verdict {
            RuleVerdict::Change(advice) => match advice.value {
                SettingValue::Breaker(settings) => settings,
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn of(present: BreakerParameters, series: &ParticipantSeries) -> RuleVerdict {
        judged(&present, series, &series.outages(), 1_000)
    }

    #[test]
    fn a_breaker_without_outages_stays() {
        let mut series = ParticipantSeries::default();
        series.load_at(begin(1, LOAD_BUCKET)).succeeded = 1_000;
        assert!(matches!(of(BreakerParameters::default(), &series), RuleVerdict::Fits(_)));
        assert!(matches!(of(BreakerParameters::default(), &outages(30, true)), RuleVerdict::Fits(_)));
    }

    #[test]
    fn a_window_that_never_holds_enough_calls_is_widened() {
        let advised = settings(of(BreakerParameters::default(), &outages(3, false)));
        let WindowConfig::Time(window) = advised.window else { panic!("a time") };
        assert!(window >= Duration::from_secs(50), "3 calls in 10 s, 10 are needed: {window:?}");
    }

    #[test]
    fn a_breaker_that_stays_open_for_much_longer_than_outages_looks_sooner() {
        let present = BreakerParameters { open_for: Duration::from_secs(120), ..BreakerParameters::default() };
        assert_eq!(settings(of(present, &outages(30, true))).open_for, Duration::from_secs(20));
    }

    #[test]
    fn needless_openings_ask_for_more_calls() {
        let mut series = ParticipantSeries::default();
        for at in [0, 100, 200] {
            *series.load_at(begin(at, LOAD_BUCKET)) =
                LoadBucket { succeeded: 40, breaker_waits: 2, ..LoadBucket::default() };
        }
        assert_eq!(settings(of(BreakerParameters::default(), &series)).minimum_calls, 20);
    }
}
