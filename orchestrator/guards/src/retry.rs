//! Retry policies: how many attempts, and how long between them.

use crate::time::fraction;
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, time::Duration};

/// How often a command is tried, and the delay between its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts, the first one included.
    pub attempts: AttemptLimit,
    /// The delay before the second attempt, without jitter.
    pub delay: Duration,
    /// No delay is longer than this, whatever the backoff and the jitter.
    pub max_delay: Duration,
    /// How the delay grows.
    pub backoff: BackoffStrategy,
    /// How random numbers spread the delay.
    pub jitter: JitterStrategy,
    /// By how much an exponential delay grows each time, in percent: 200 doubles it. Policies that were stored without
    /// it double.
    #[serde(default = "doubling", skip_serializing_if = "is_doubling")]
    pub factor_percent: u32,
}

/// What stored policies mean that do not say how the delay grows; they keep their hash.
const DOUBLING: u32 = 200;

/// A number of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptLimit {
    /// No number of attempts ends it: it is tried until it succeeds.
    Forever,
    /// At most this many, the first one included.
    Limited(NonZeroU32),
}

/// How the delay grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BackoffStrategy {
    /// The delay is `delay` each time.
    Constant,
    /// The delay is `delay`, then twice that, then three times, and so on.
    Linear,
    /// The delay is `delay`, and is multiplied by the factor each time.
    Exponential,
}

/// How the delay is spread so that many sagas do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JitterStrategy {
    /// The delay is used as computed.
    None,
    /// Half of it fixed, half of it random.
    Equal,
    /// Anything from zero to the delay.
    Full,
    /// Anything from `delay` to three times the previous delay, at most the longest delay. The delay grows by itself:
    /// `backoff` has no effect.
    Decorrelated,
}

impl RetryPolicy {
    /// Few and quick: 3 attempts, 500 ms to 5 s.
    #[must_use]
    pub fn quick() -> RetryPolicy {
        RetryPolicy::exponential(3, 500, 5_000)
    }

    /// The default: 5 attempts, 1 s to 30 s.
    #[must_use]
    pub fn standard() -> RetryPolicy {
        RetryPolicy::exponential(5, 1_000, 30_000)
    }

    /// Many: 10 attempts, 2 s to 60 s.
    #[must_use]
    pub fn aggressive() -> RetryPolicy {
        RetryPolicy::exponential(10, 2_000, 60_000)
    }

    /// For participants that count calls: 5 attempts, 5 s to 120 s.
    #[must_use]
    pub fn rate_limited() -> RetryPolicy {
        RetryPolicy::exponential(5, 5_000, 120_000)
    }

    /// For undos, which are tried for longer: 30 attempts, 1 s to 5 m.
    #[must_use]
    pub fn undo() -> RetryPolicy {
        RetryPolicy::exponential(30, 1_000, 300_000)
    }

    fn exponential(attempts: u32, delay_ms: u64, max_delay_ms: u64) -> RetryPolicy {
        RetryPolicy {
            attempts: AttemptLimit::Limited(NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN)),
            delay: Duration::from_millis(delay_ms),
            max_delay: Duration::from_millis(max_delay_ms),
            backoff: BackoffStrategy::Exponential,
            jitter: JitterStrategy::Equal,
            factor_percent: DOUBLING,
        }
    }

    /// Whether attempt number `attempt` (the first is 1) may be made.
    #[must_use]
    pub fn allows(&self, attempt: u32) -> bool {
        match self.attempts {
            AttemptLimit::Forever => true,
            AttemptLimit::Limited(most) => attempt <= most.get(),
        }
    }

    /// The delay before attempt number `attempt` (2, 3, …), where `previous` is the delay before the attempt before it;
    /// never more than `max_delay`, whatever the numbers. Equal, full and decorrelated jitter as in "Exponential
    /// Backoff And Jitter" (AWS Architecture Blog, 2015).
    #[must_use]
    pub fn delay_before(&self, attempt: u32, previous: Option<Duration>, random: u64) -> Duration {
        let grown = self.grown(attempt.saturating_sub(2));
        match self.jitter {
            JitterStrategy::None => grown,
            JitterStrategy::Equal => grown / 2 + fraction(grown, random) / 2,
            JitterStrategy::Full => fraction(grown, random),
            JitterStrategy::Decorrelated => self.decorrelated(previous.unwrap_or(self.delay), random),
        }
    }

    fn grown(&self, retries_before: u32) -> Duration {
        let grown = match self.backoff {
            BackoffStrategy::Constant => self.delay,
            BackoffStrategy::Linear => self.delay.saturating_mul(retries_before.saturating_add(1)),
            BackoffStrategy::Exponential => self.exponential_after(retries_before),
        };
        grown.min(self.max_delay)
    }

    /// In floats, because a factor of little more than one takes thousands of steps to reach the longest delay.
    fn exponential_after(&self, retries_before: u32) -> Duration {
        let factor = f64::from(self.factor_percent) / 100.0;
        let grown = self.delay.as_secs_f64() * factor.powi(i32::try_from(retries_before).unwrap_or(i32::MAX));
        Duration::try_from_secs_f64(grown).unwrap_or(self.max_delay)
    }

    fn decorrelated(&self, previous: Duration, random: u64) -> Duration {
        let span = previous.saturating_mul(3).saturating_sub(self.delay);
        self.delay.saturating_add(fraction(span, random)).min(self.max_delay)
    }
}

fn doubling() -> u32 {
    DOUBLING
}

// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_doubling(factor_percent: &u32) -> bool {
    *factor_percent == DOUBLING
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn standard_doubles_from_one_second_to_thirty() {
        let policy = RetryPolicy { jitter: JitterStrategy::None, ..RetryPolicy::standard() };
        let delays = [2, 3, 4, 5, 6, 7, 8].map(|attempt| policy.delay_before(attempt, None, 0).as_secs());
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
        assert!(policy.allows(5));
        assert!(!policy.allows(6));
    }

    #[test]
    fn the_presets_differ_in_patience() {
        let check = |policy: RetryPolicy, attempts, first_s: f64, longest_s: f64| {
            assert!(policy.allows(attempts) && !policy.allows(attempts + 1));
            let policy = RetryPolicy { jitter: JitterStrategy::None, ..policy };
            assert_eq!(policy.delay_before(2, None, 0).as_secs_f64(), first_s);
            assert_eq!(policy.delay_before(u32::MAX, None, 0).as_secs_f64(), longest_s);
        };
        check(RetryPolicy::quick(), 3, 0.5, 5.0);
        check(RetryPolicy::standard(), 5, 1.0, 30.0);
        check(RetryPolicy::aggressive(), 10, 2.0, 60.0);
        check(RetryPolicy::rate_limited(), 5, 5.0, 120.0);
        check(RetryPolicy::undo(), 30, 1.0, 300.0);
    }

    #[test]
    fn delays_grow_as_the_backoff_says() {
        let seconds = |backoff| {
            let policy = RetryPolicy { backoff, jitter: JitterStrategy::None, ..RetryPolicy::standard() };
            [2, 3, 4].map(|attempt| policy.delay_before(attempt, None, 0).as_secs())
        };
        assert_eq!(seconds(BackoffStrategy::Constant), [1, 1, 1]);
        assert_eq!(seconds(BackoffStrategy::Linear), [1, 2, 3]);
        assert_eq!(seconds(BackoffStrategy::Exponential), [1, 2, 4]);
    }

    #[test]
    fn an_exponential_delay_grows_by_its_factor() {
        let millis = |factor_percent| {
            let policy = RetryPolicy { factor_percent, jitter: JitterStrategy::None, ..RetryPolicy::standard() };
            [2, 3, 4, 5].map(|attempt| policy.delay_before(attempt, None, 0).as_millis())
        };
        assert_eq!(millis(150), [1_000, 1_500, 2_250, 3_375]);
        assert_eq!(millis(200), [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(millis(100), [1_000, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn jitter_spreads_over_what_it_says() {
        let spread = |jitter| {
            let policy = RetryPolicy { delay: Duration::from_secs(8), jitter, ..RetryPolicy::standard() };
            [0, u64::MAX].map(|random| policy.delay_before(2, None, random).as_secs_f64().round())
        };
        assert_eq!(spread(JitterStrategy::None), [8.0, 8.0]);
        assert_eq!(spread(JitterStrategy::Equal), [4.0, 8.0]);
        assert_eq!(spread(JitterStrategy::Full), [0.0, 8.0]);
        assert_eq!(spread(JitterStrategy::Decorrelated), [8.0, 24.0]);
    }

    #[test]
    fn decorrelated_jitter_grows_from_the_rest_before() {
        let policy = RetryPolicy { jitter: JitterStrategy::Decorrelated, ..RetryPolicy::standard() };
        let rest = |previous, random| policy.delay_before(9, Some(Duration::from_secs(previous)), random).as_secs_f64();
        assert_eq!([rest(5, 0), rest(5, u64::MAX).round()], [1.0, 15.0]);
        assert_eq!([rest(20, 0), rest(20, u64::MAX)], [1.0, 30.0]);
        assert_eq!(rest(0, u64::MAX), 1.0);
    }

    #[test]
    fn a_policy_that_was_stored_without_a_factor_doubles_and_is_stored_as_before() {
        let stored = concat!(
            r#"{"attempts":{"limited":5},"delay":{"secs":1,"nanos":0},"maxDelay":{"secs":30,"nanos":0},"#,
            r#""backoff":"exponential","jitter":"equal"}"#,
        );
        let policy: RetryPolicy = serde_json::from_str(stored).expect("it was stored");
        assert_eq!(policy, RetryPolicy::standard());
        assert_eq!(serde_json::to_string(&policy).expect("it can be stored"), stored);
        let slower = RetryPolicy { factor_percent: 150, ..policy };
        let text = serde_json::to_string(&slower).expect("it can be stored");
        assert!(text.ends_with(r#""factorPercent":150}"#), "{text}");
        assert_eq!(serde_json::from_str::<RetryPolicy>(&text).expect("it was stored"), slower);
    }

    #[test]
    fn forever_allows_every_attempt() {
        let policy = RetryPolicy { attempts: AttemptLimit::Forever, ..RetryPolicy::undo() };
        assert!(policy.allows(u32::MAX));
    }

    proptest! {
        #[test]
        fn a_delay_is_never_longer_than_the_longest(
            attempt in any::<u32>(),
            random in any::<u64>(),
            (delay_ms, previous_ms) in (0u64..1 << 50, prop::option::of(0u64..1 << 50)),
            factor_percent in any::<u32>(),
        ) {
            for backoff in [BackoffStrategy::Constant, BackoffStrategy::Linear, BackoffStrategy::Exponential] {
                for jitter in [JitterStrategy::None, JitterStrategy::Equal, JitterStrategy::Full, JitterStrategy::Decorrelated] {
                    let delay = Duration::from_millis(delay_ms);
                    let policy = RetryPolicy { delay, backoff, jitter, factor_percent, ..RetryPolicy::standard() };
                    let previous = previous_ms.map(Duration::from_millis);
                    prop_assert!(policy.delay_before(attempt, previous, random) <= policy.max_delay);
                }
            }
        }
    }
}
