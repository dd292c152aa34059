//! The timeout of an attempt: long enough that few answers come too late, short enough that a lost one is noticed.

use super::{FEWEST_CALLS, tail_estimate};
use crate::advice::{
    observed::CommandObservations,
    setting::{SettingValue, rounded_up, spoken},
    verdict::{AdviceConfidence, EvidenceFigures, RuleAdvice, RuleVerdict, percent, share},
};
use std::time::Duration;

/// Share of attempts that may time out though the participant works: the rate of false timeouts of "Timeouts, retries,
/// and backoff with jitter" (Amazon Builders' Library, 2019).
const FALSE_TIMEOUTS: f64 = 0.001;
/// From this share on a longer timeout is advised: five times what is accepted.
const TOO_MANY: f64 = 5.0 * FALSE_TIMEOUTS;
/// Timeouts below which nothing is said of them.
const FEWEST_TIMEOUTS: u64 = 5;
/// The slowest answers come close to the timeout if they take so large a part of it. If they do not, what timed out was
/// lost and not slow, and a longer timeout would only wait longer for it.
const NEAR: u32 = 3;
/// A timeout is too long if it is so many times what all but one in a thousand answers take…
const TOO_LONG: u32 = 10;
/// …and so many times is advised.
const ROOM: u32 = 3;
/// Answers by which the 99.9th percentile is known.
const TAIL_CALLS: u64 = 1_000;
/// An estimate beyond what was seen goes no further than this.
const FURTHEST: u32 = 4;
/// No shorter timeout is advised: pauses of a runtime and of a network take this long.
const SHORTEST: Duration = Duration::from_millis(100);

/// `apart` is the share of timeouts that were not part of an outage.
pub(super) fn judged(present: Duration, it: &CommandObservations, apart: f64) -> RuleVerdict {
    let answered = it.latency.total() + it.late.total();
    if answered < FEWEST_CALLS {
        return RuleVerdict::TooLittle(format!("{answered} answers were measured, {FEWEST_CALLS} are needed"));
    }
    let needless = it.timeouts_rescued as f64 * apart;
    let needless_share = needless / it.attempts.max(1) as f64;
    let slowest = it.latency.quantile(1.0 - FALSE_TIMEOUTS).unwrap_or(present);
    let is_slow = are_late_seen(it) || slowest * NEAR >= present;
    if needless >= FEWEST_TIMEOUTS as f64 && needless_share >= TOO_MANY && is_slow {
        return too_short(present, it, apart);
    }
    let is_long = present >= slowest.max(SHORTEST) * TOO_LONG;
    if is_long && it.latency.total() >= TAIL_CALLS && it.timeouts >= FEWEST_TIMEOUTS && it.late.total() == 0 {
        return too_long(present, it, slowest);
    }
    let why = format!(
        "all but one in a thousand answers take at most {}, and {} of the attempts timed out",
        spoken(slowest),
        percent(share(it.timeouts, it.attempts))
    );
    RuleVerdict::Fits(why)
}

/// Whether late answers say how long most of the attempts took that timed out needlessly.
fn are_late_seen(it: &CommandObservations) -> bool {
    it.late.total() >= FEWEST_TIMEOUTS && it.late.total() * 2 >= it.timeouts_rescued
}

fn too_short(present: Duration, it: &CommandObservations, apart: f64) -> RuleVerdict {
    let seen = are_late_seen(it);
    let scattered = it.timeouts as f64 * apart;
    let estimate = if seen { seen_tail(it) } else { unseen_tail(present, it, scattered) };
    let Some(estimate) = estimate else {
        return RuleVerdict::TooLittle(format!(
            "{} attempts timed out and their commands succeeded later, but most answers take about as long as the \
             timeout, {}: how long the others take cannot be told; try twice the timeout and measure again",
            it.timeouts_rescued,
            spoken(present)
        ));
    };
    let advised = rounded_up(estimate.clamp(present * 5 / 4, present * FURTHEST));
    let confidence = match (seen, it.late.total() >= 50) {
        (true, true) => AdviceConfidence::High,
        (true, false) => AdviceConfidence::Medium,
        (false, _) => AdviceConfidence::Low,
    };
    let how = if seen { "as late answers show" } else { "as the distribution of the answers in time suggests" };
    let median = it.latency.quantile(0.5).unwrap_or_default();
    RuleVerdict::Change(Box::new(RuleAdvice {
        value: SettingValue::Span(advised),
        because: format!(
            "{} of {} attempts timed out ({}), and the commands of {} of them succeeded at a later attempt or late; \
             half of the answers take at most {}",
            it.timeouts,
            it.attempts,
            percent(share(it.timeouts, it.attempts)),
            it.timeouts_rescued,
            spoken(median)
        ),
        figures: figures(it),
        effect: format!(
            "about {:.0} of these timeouts would have been answers in time, {how}",
            it.timeouts_rescued as f64 * apart
        ),
        confidence,
    }))
}

/// What all but one in a thousand of all answers take, those that came late included.
fn seen_tail(it: &CommandObservations) -> Option<Duration> {
    let mut all = it.latency.clone();
    all.merge(&it.late);
    all.quantile(1.0 - FALSE_TIMEOUTS)
}

fn unseen_tail(present: Duration, it: &CommandObservations, scattered: f64) -> Option<Duration> {
    let cut = scattered / (it.latency.total() as f64 + scattered);
    // The median of all attempts is a lower quantile of all, and a higher one of those that were answered.
    let median = it.latency.quantile((0.5 / (1.0 - cut)).min(1.0))?;
    tail_estimate::answered_by(median, present, cut, FALSE_TIMEOUTS)
}

fn too_long(present: Duration, it: &CommandObservations, slowest: Duration) -> RuleVerdict {
    let advised = rounded_up((slowest * ROOM).max(SHORTEST));
    let sooner = present.saturating_sub(advised);
    RuleVerdict::Change(Box::new(RuleAdvice {
        value: SettingValue::Span(advised),
        because: format!(
            "all but one in a thousand of {} answers take at most {}, and {} attempts were waited for until the timeout",
            it.latency.total(),
            spoken(slowest),
            it.timeouts
        ),
        figures: figures(it),
        effect: format!(
            "each lost attempt is noticed {} sooner, {} in all",
            spoken(sooner),
            spoken(sooner.saturating_mul(u32::try_from(it.timeouts).unwrap_or(u32::MAX)))
        ),
        confidence: AdviceConfidence::Medium,
    }))
}

fn figures(it: &CommandObservations) -> EvidenceFigures {
    let ms = |q: f64| it.latency.quantile(q).unwrap_or_default().as_millis() as f64;
    [
        ("attempts", it.attempts as f64),
        ("timeouts", it.timeouts as f64),
        ("timeoutsRescued", it.timeouts_rescued as f64),
        ("lateAnswers", it.late.total() as f64),
        ("p50Ms", ms(0.5)),
        ("p99Ms", ms(0.99)),
        ("p999Ms", ms(0.999)),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A participant whose answers take 10 to 100 ms.
    fn quick(answers: u64) -> CommandObservations {
        let mut it = CommandObservations { attempts: answers, succeeded: answers, ..CommandObservations::default() };
        (0..answers).for_each(|n| it.latency.add(ms(10 + n % 90)));
        it
    }

    fn advised(verdict: RuleVerdict) -> (Duration, AdviceConfidence) {
        match verdict {
            RuleVerdict::Change(advice) => match advice.value {
                SettingValue::Span(span) => (span, advice.confidence),
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn few_answers_are_not_enough() {
        assert!(matches!(judged(ms(100), &quick(199), 1.0), RuleVerdict::TooLittle(_)));
    }

    #[test]
    fn a_timeout_that_hardly_anything_reaches_stays() {
        let mut it = quick(2_000);
        assert!(matches!(judged(ms(200), &it, 1.0), RuleVerdict::Fits(_)));
        (it.timeouts, it.timeouts_rescued) = (4, 4);
        assert!(matches!(judged(ms(200), &it, 1.0), RuleVerdict::Fits(_)), "a few timeouts are no reason");
        assert!(matches!(judged(ms(60_000), &quick(2_000), 1.0), RuleVerdict::Fits(_)), "nothing was waited for");
    }

    #[test]
    fn late_answers_say_how_long_to_wait() {
        let mut it = quick(2_000);
        (it.attempts, it.timeouts, it.timeouts_rescued) = (2_060, 60, 60);
        (0..60).for_each(|n| it.late.add(ms(200 + n * 10)));
        let (span, confidence) = advised(judged(ms(150), &it, 1.0));
        assert!(span >= ms(600) && span <= ms(800), "no further than four times: {span:?}");
        assert_eq!(confidence, AdviceConfidence::High);
        assert!(matches!(judged(ms(150), &it, 0.05), RuleVerdict::Fits(_)), "an outage is no reason for a longer one");
    }

    #[test]
    fn unseen_answers_are_estimated_with_low_confidence() {
        let mut it = quick(2_000);
        (it.attempts, it.timeouts, it.timeouts_rescued) = (2_060, 60, 55);
        let (span, confidence) = advised(judged(ms(110), &it, 1.0));
        assert!(span > ms(110) && span <= ms(500), "{span:?}");
        assert_eq!(confidence, AdviceConfidence::Low);
    }

    #[test]
    fn calls_that_are_lost_ask_for_no_longer_timeout() {
        let mut it = quick(2_000);
        (it.attempts, it.timeouts, it.timeouts_rescued) = (2_060, 60, 60);
        assert!(matches!(judged(ms(800), &it, 1.0), RuleVerdict::Fits(_)), "no answer takes more than 100 ms");
        let (span, _) = advised(judged(ms(10_000), &it, 1.0));
        assert!(span < ms(1_000), "{span:?}");
    }

    #[test]
    fn a_timeout_is_too_long_where_attempts_were_lost() {
        let mut it = quick(2_000);
        it.timeouts = 20;
        let (span, _) = advised(judged(ms(30_000), &it, 1.0));
        assert_eq!(span, ms(300));
    }
}
