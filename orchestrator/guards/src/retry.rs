//! Retry policies: how many attempts, and how long between them.

use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, time::Duration};

/// How often a command is tried and how long it rests between attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts, the first one included.
    pub attempts: Attempts,
    /// Before the second attempt, without jitter.
    pub delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// How the delay grows.
    pub backoff: Backoff,
    /// How the delay is spread.
    pub jitter: Jitter,
}

/// A number of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Attempts {
    /// Until it succeeds.
    Forever,
    /// At most this many, the first one included.
    Limited(NonZeroU32),
}

/// How the delay grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Backoff {
    /// Always `delay`.
    Constant,
    /// `delay`, twice, three times…
    Linear,
    /// `delay`, doubled each time.
    Exponential,
}

/// How the delay is spread so that many sagas do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Jitter {
    /// The delay as computed.
    None,
    /// Half of it fixed, half of it random.
    Equal,
    /// Anything from zero to the delay.
    Full,
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

    /// For undos, which are worth more patience: 30 attempts, 1 s to 5 m.
    #[must_use]
    pub fn undo() -> RetryPolicy {
        RetryPolicy::exponential(30, 1_000, 300_000)
    }

    fn exponential(attempts: u32, delay_ms: u64, max_delay_ms: u64) -> RetryPolicy {
        RetryPolicy {
            attempts: Attempts::Limited(NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN)),
            delay: Duration::from_millis(delay_ms),
            max_delay: Duration::from_millis(max_delay_ms),
            backoff: Backoff::Exponential,
            jitter: Jitter::Equal,
        }
    }

    /// Whether attempt number `attempt` (the first is 1) may be made.
    #[must_use]
    pub fn allows(&self, attempt: u32) -> bool {
        match self.attempts {
            Attempts::Forever => true,
            Attempts::Limited(most) => attempt <= most.get(),
        }
    }

    /// How long to rest before attempt number `attempt` (2, 3, …); never more than `max_delay`, whatever the numbers.
    #[must_use]
    pub fn delay_before(&self, attempt: u32, random: u64) -> Duration {
        let retries_before = attempt.saturating_sub(2);
        let grown = match self.backoff {
            Backoff::Constant => self.delay,
            Backoff::Linear => self.delay.saturating_mul(retries_before.saturating_add(1)),
            Backoff::Exponential => self.delay.saturating_mul(1u32.checked_shl(retries_before).unwrap_or(u32::MAX)),
        };
        self.jitter.spread(grown.min(self.max_delay), random)
    }
}

impl Jitter {
    /// `delay` spread by `random`; never longer than `delay`. Equal and full jitter as in "Exponential Backoff And Jitter" (AWS
    /// Architecture Blog, 2015).
    #[must_use]
    pub fn spread(self, delay: Duration, random: u64) -> Duration {
        let share = Duration::from_nanos(fraction(delay, random));
        match self {
            Jitter::None => delay,
            Jitter::Equal => delay / 2 + share / 2,
            Jitter::Full => share,
        }
    }
}

/// `delay` in nanoseconds times `random / 2^64`, rounded down.
fn fraction(delay: Duration, random: u64) -> u64 {
    let nanos = delay.as_nanos().min(u128::from(u64::MAX));
    let product = (nanos * u128::from(random)) >> 64;
    u64::try_from(product).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn standard_doubles_from_one_second_to_thirty() {
        let policy = RetryPolicy { jitter: Jitter::None, ..RetryPolicy::standard() };
        let delays = [2, 3, 4, 5, 6, 7, 8].map(|attempt| policy.delay_before(attempt, 0).as_secs());
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
        assert!(policy.allows(5));
        assert!(!policy.allows(6));
    }

    #[test]
    fn the_presets_differ_in_patience() {
        let check = |policy: RetryPolicy, attempts, first_s: f64, longest_s: f64| {
            assert!(policy.allows(attempts) && !policy.allows(attempts + 1));
            let policy = RetryPolicy { jitter: Jitter::None, ..policy };
            assert_eq!(policy.delay_before(2, 0).as_secs_f64(), first_s);
            assert_eq!(policy.delay_before(u32::MAX, 0).as_secs_f64(), longest_s);
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
            let policy = RetryPolicy { backoff, jitter: Jitter::None, ..RetryPolicy::standard() };
            [2, 3, 4].map(|attempt| policy.delay_before(attempt, 0).as_secs())
        };
        assert_eq!(seconds(Backoff::Constant), [1, 1, 1]);
        assert_eq!(seconds(Backoff::Linear), [1, 2, 3]);
        assert_eq!(seconds(Backoff::Exponential), [1, 2, 4]);
    }

    #[test]
    fn jitter_spreads_over_what_it_says() {
        let delay = Duration::from_secs(8);
        let spread = |jitter: Jitter| [0, u64::MAX].map(|random| jitter.spread(delay, random).as_secs_f64().round());
        assert_eq!(spread(Jitter::None), [8.0, 8.0]);
        assert_eq!(spread(Jitter::Equal), [4.0, 8.0]);
        assert_eq!(spread(Jitter::Full), [0.0, 8.0]);
    }

    #[test]
    fn forever_allows_every_attempt() {
        let policy = RetryPolicy { attempts: Attempts::Forever, ..RetryPolicy::undo() };
        assert!(policy.allows(u32::MAX));
    }

    proptest! {
        #[test]
        fn a_delay_is_never_longer_than_the_longest(attempt in any::<u32>(), random in any::<u64>(), delay_ms in 0u64..1 << 50) {
            for backoff in [Backoff::Constant, Backoff::Linear, Backoff::Exponential] {
                for jitter in [Jitter::None, Jitter::Equal, Jitter::Full] {
                    let delay = Duration::from_millis(delay_ms);
                    let policy = RetryPolicy { delay, backoff, jitter, ..RetryPolicy::standard() };
                    prop_assert!(policy.delay_before(attempt, random) <= policy.max_delay);
                }
            }
        }
    }
}
