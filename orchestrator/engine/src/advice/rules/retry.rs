//! Retries: as many attempts as still help, over as long a time as the participant needs to come back.

use super::{FEWEST_CALLS, quantile};
use crate::advice::{
    observed::{AttemptCounts, CommandObservations},
    setting::{SettingValue, rounded_up, spoken},
    verdict::{AdviceConfidence, EvidenceFigures, RuleAdvice, RuleVerdict, percent, share},
};
use saga_guards::retry::{AttemptLimit, JitterStrategy, RetryPolicy};
use std::{num::NonZeroU32, time::Duration};

/// Further attempts below which nothing is said of how they do.
const FEWEST_RETRIES: u64 = 30;
/// Commands that gave up below which nothing is changed for them.
const FEWEST_EXHAUSTED: u64 = 5;
/// A further attempt helps if so many of its kind succeed.
const HELPS: f64 = 0.1;
/// A further attempt that succeeds less often than this is load and delay only.
const FUTILE: f64 = 0.05;
/// Share of failing commands that may give up.
const GIVEN_UP: f64 = 0.01;
/// No more attempts are advised: with a doubling delay ten are a quarter of an hour, and more load is no cure
/// ("Addressing Cascading Failures", Site Reliability Engineering, 2016).
const MOST_ATTEMPTS: u32 = 10;
/// Longest time that retries are stretched to; what lasts longer is for the breaker and for people.
const LONGEST: Duration = Duration::from_secs(15 * 60);

pub(super) fn judged(present: &RetryPolicy, it: &CommandObservations, outages: &[Duration]) -> RuleVerdict {
    let first = it.by_number.first().copied().unwrap_or_default();
    if first.made < FEWEST_CALLS {
        return RuleVerdict::TooLittle(format!("{} commands were sent, {FEWEST_CALLS} are needed", first.made));
    }
    let AttemptLimit::Limited(limit) = present.attempts else {
        return RuleVerdict::Fits("it is tried until it succeeds".to_owned());
    };
    let further = pooled(&it.by_number[1..]);
    if it.exhausted >= FEWEST_EXHAUSTED {
        return gave_up(present, it, further, outages);
    }
    if further.made < FEWEST_RETRIES {
        return RuleVerdict::Fits(format!("{} of {} commands were tried again", second(it).made, first.made));
    }
    fewer(present, limit, it).unwrap_or_else(|| RuleVerdict::Fits(fits(it, further)))
}

fn fits(it: &CommandObservations, further: AttemptCounts) -> String {
    let succeeded = percent(share(further.succeeded, further.made));
    format!(
        "{} further attempts were made, {succeeded} of them succeeded, and {} commands gave up",
        further.made, it.exhausted
    )
}

fn second(it: &CommandObservations) -> AttemptCounts {
    it.by_number.get(1).copied().unwrap_or_default()
}

fn pooled(counts: &[AttemptCounts]) -> AttemptCounts {
    counts.iter().fold(AttemptCounts::default(), |sum, it| AttemptCounts {
        made: sum.made + it.made,
        succeeded: sum.succeeded + it.succeeded,
    })
}

/// Commands gave up: more attempts, if those help, and over a longer time, if outages outlast them.
fn gave_up(
    present: &RetryPolicy,
    it: &CommandObservations,
    further: AttemptCounts,
    outages: &[Duration],
) -> RuleVerdict {
    let (mut policy, mut reasons) = (present.clone(), Vec::new());
    let helps = share(further.succeeded, further.made);
    if further.made >= FEWEST_RETRIES && helps >= HELPS {
        add_attempts(&mut policy, helps);
        reasons.push(format!(
            "{} of {} further attempts succeeded ({})",
            further.succeeded,
            further.made,
            percent(helps)
        ));
    }
    let outage = quantile(outages.iter().copied(), 0.9).filter(|outage| *outage > span_of(&policy));
    if let Some(outage) = outage {
        stretch(&mut policy, (outage * 3 / 2).min(LONGEST));
        reasons.push(format!(
            "nine in ten of {} outages were over within {}, and the delays before all attempts are about {} together",
            outages.len(),
            spoken(outage),
            spoken(rounded_up(span_of(present)))
        ));
    }
    if policy == *present {
        let why = "more attempts hardly helped, and no outage outlasted them";
        return RuleVerdict::Fits(format!("{} commands gave up; {why}", it.exhausted));
    }
    let added = attempts_of(&policy).saturating_sub(attempts_of(present));
    let saved = if outage.is_some() { 1.0 - GIVEN_UP } else { 1.0 - (1.0 - helps).powi(added as i32) };
    RuleVerdict::Change(Box::new(RuleAdvice {
        effect: format!(
            "about {:.0} of the {} commands that gave up would have succeeded, after at most {} of delays",
            it.exhausted as f64 * saved,
            it.exhausted,
            spoken(rounded_up(span_of(&policy)))
        ),
        value: SettingValue::Retry(policy),
        because: format!("{} commands gave up: {}", it.exhausted, reasons.join("; ")),
        figures: figures(it, further),
        confidence: if outages.len() >= 5 || outage.is_none() {
            AdviceConfidence::Medium
        } else {
            AdviceConfidence::Low
        },
    }))
}

/// So many that one in a hundred of failing commands gives up, if each attempt succeeds independently.
fn add_attempts(policy: &mut RetryPolicy, helps: f64) {
    let needed = (GIVEN_UP.ln() / (1.0 - helps).max(0.01).ln()).ceil();
    let wanted = 1 + needed.clamp(1.0, f64::from(MOST_ATTEMPTS)) as u32;
    let wanted = wanted.max(attempts_of(policy) + 1).min(MOST_ATTEMPTS.max(attempts_of(policy)));
    policy.attempts = limited(wanted);
}

/// First by more attempts, then by longer delays.
fn stretch(policy: &mut RetryPolicy, time: Duration) {
    // Each turn adds an attempt or doubles the delays: ten and eleven turns reach a quarter of an hour from a second.
    for _ in 0..32 {
        if span_of(policy) >= time {
            return;
        }
        if attempts_of(policy) < MOST_ATTEMPTS {
            policy.attempts = limited(attempts_of(policy) + 1);
        } else {
            policy.delay = (policy.delay * 2).min(LONGEST);
            policy.max_delay = policy.max_delay.max(policy.delay * 8).min(LONGEST);
        }
    }
}

fn limited(attempts: u32) -> AttemptLimit {
    AttemptLimit::Limited(NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN))
}

fn attempts_of(policy: &RetryPolicy) -> u32 {
    match policy.attempts {
        AttemptLimit::Limited(most) => most.get(),
        AttemptLimit::Forever => u32::MAX,
    }
}

/// The delays before all attempts together, as they are on average.
fn span_of(policy: &RetryPolicy) -> Duration {
    let mean = match policy.jitter {
        JitterStrategy::None => 1.0,
        JitterStrategy::Equal => 0.75,
        JitterStrategy::Full => 0.5,
        JitterStrategy::Decorrelated => 1.5,
    };
    let even = RetryPolicy { jitter: JitterStrategy::None, ..policy.clone() };
    let attempts = attempts_of(policy).min(1_000);
    (2..=attempts).map(|attempt| even.delay_before(attempt, None, 0)).sum::<Duration>().mul_f64(mean)
}

/// Attempts that hardly ever succeed are left out. Commands that gave up are not: those are judged before.
fn fewer(present: &RetryPolicy, limit: NonZeroU32, it: &CommandObservations) -> Option<RuleVerdict> {
    let useful = (1..it.by_number.len()).find(|used| {
        let rest = pooled(&it.by_number[*used..]);
        rest.made >= FEWEST_RETRIES && upper_bound(rest) < FUTILE
    })?;
    let useful = u32::try_from(useful).ok().filter(|useful| *useful < limit.get())?;
    let rest = pooled(&it.by_number[useful as usize..]);
    Some(RuleVerdict::Change(Box::new(RuleAdvice {
        value: SettingValue::Retry(RetryPolicy { attempts: limited(useful), ..present.clone() }),
        because: format!("of {} attempts after the first {useful}, {} succeeded", rest.made, rest.succeeded),
        figures: figures(it, rest),
        effect: format!("{} calls fewer, and what fails is known sooner", rest.made),
        confidence: AdviceConfidence::Medium,
    })))
}

/// The share of successes that is exceeded in one of twenty such samples only (Wilson's interval, 1927).
fn upper_bound(counts: AttemptCounts) -> f64 {
    let (n, p, z) = (counts.made.max(1) as f64, share(counts.succeeded, counts.made), 1.645);
    let middle = p + z * z / (2.0 * n);
    (middle + z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt()) / (1.0 + z * z / n)
}

fn figures(it: &CommandObservations, further: AttemptCounts) -> EvidenceFigures {
    let recovery = it.recovery.quantile(0.9).unwrap_or_default();
    [
        ("commands", it.by_number.first().copied().unwrap_or_default().made as f64),
        ("furtherAttempts", further.made as f64),
        ("furtherSucceeded", further.succeeded as f64),
        ("exhausted", it.exhausted as f64),
        ("compensated", it.compensated as f64),
        ("recoveryP90Ms", recovery.as_millis() as f64),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(by_number: &[(u64, u64)], exhausted: u64) -> CommandObservations {
        let by_number = by_number.iter().map(|(made, succeeded)| AttemptCounts { made: *made, succeeded: *succeeded });
        CommandObservations { by_number: by_number.collect(), exhausted, ..CommandObservations::default() }
    }

    fn policy(attempts: u32) -> RetryPolicy {
        RetryPolicy { attempts: limited(attempts), ..RetryPolicy::standard() }
    }

    fn advised(verdict: RuleVerdict) -> RetryPolicy {
        match verdict {
            RuleVerdict::Change(advice) => match advice.value {
                SettingValue::Retry(policy) => policy,
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn few_commands_are_not_enough_and_no_failure_is_no_reason() {
        assert!(matches!(judged(&policy(3), &observed(&[(199, 100)], 50), &[]), RuleVerdict::TooLittle(_)));
        assert!(matches!(judged(&policy(3), &CommandObservations::default(), &[]), RuleVerdict::TooLittle(_)));
        assert!(matches!(judged(&policy(3), &observed(&[(500, 500)], 0), &[]), RuleVerdict::Fits(_)));
    }

    #[test]
    fn attempts_that_still_help_are_made() {
        let it = observed(&[(1_000, 800), (200, 100), (100, 50)], 50);
        assert_eq!(advised(judged(&policy(3), &it, &[])).attempts, limited(8));
    }

    #[test]
    fn retries_outlast_nine_in_ten_outages() {
        let it = observed(&[(1_000, 900), (100, 5), (95, 3)], 92);
        let outages = [20, 25, 30, 40, 50].map(Duration::from_secs);
        let advised = advised(judged(&policy(3), &it, &outages));
        assert!(span_of(&advised) >= Duration::from_secs(75), "{advised:?}");
        assert!(attempts_of(&advised) <= MOST_ATTEMPTS, "{advised:?}");
    }

    #[test]
    fn a_longer_outage_than_anything_reaches_a_bound() {
        let mut it = policy(3);
        stretch(&mut it, LONGEST);
        assert!(span_of(&it) >= LONGEST && it.max_delay <= LONGEST, "{it:?}");
    }

    #[test]
    fn attempts_that_never_help_are_left_out() {
        let it = observed(&[(1_000, 800), (200, 190), (100, 0), (100, 1)], 0);
        assert_eq!(advised(judged(&policy(4), &it, &[])).attempts, limited(2));
    }
}
