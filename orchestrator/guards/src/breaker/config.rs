//! When a breaker opens, and how it closes again.

use super::{counts::CallCounts, ticket::TripReason};
use crate::time::fraction;
use std::{num::NonZeroU32, time::Duration};

/// Most probes that a half-open breaker may have: each is a call to a participant that was failing a moment ago.
pub const MAX_PROBES: u32 = 100;
/// Most calls of a window that counts calls: each is kept.
pub const MAX_WINDOW_CALLS: u32 = 10_000;

/// Which calls the breaker judges by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowConfig {
    /// The calls of the last span of this length.
    Time(Duration),
    /// This number of the last calls.
    Calls(u32),
}

/// What a file says of a breaker, unchecked; the defaults where it says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerParameters {
    /// The latest calls by which the breaker judges: of a span of time, or a number of them.
    pub window: WindowConfig,
    /// With fewer calls in the window no rate opens it.
    pub minimum_calls: u32,
    /// Share of failed calls from which on it opens, more than 0 and at most 1.
    pub failure_rate: f64,
    /// A call that takes longer is slow; `None`: none is.
    pub slow_call: Option<Duration>,
    /// Share of slow calls from which on it opens, more than 0 and at most 1.
    pub slow_call_rate: f64,
    /// So many failures in a row open it, whatever the rate; `None`: no number of them does.
    pub consecutive_failures: Option<NonZeroU32>,
    /// How long it refuses everything the first time.
    pub open_for: Duration,
    /// The longest: each time that it opens again without having been closed doubles the time. Up to a fifth more or
    /// less is drawn each time, of the longest too, so that those that opened together do not ask together.
    pub max_open_for: Duration,
    /// So many probes may be out at once.
    pub probes: u32,
    /// So many probes have to succeed before it closes; `None`: as many as may be out.
    pub successes: Option<u32>,
    /// How long a probe keeps its slot at most.
    pub probe_timeout: Duration,
    /// How long it takes after closing until it admits everyone again.
    pub ramp: Duration,
    /// Sheds load before it opens: of K times the calls that were accepted lately it admits all, of more a share
    /// ("Handling Overload", Site Reliability Engineering, 2016, with K = 2); `None`: it does not.
    pub shed_above: Option<f64>,
}

impl Default for BreakerParameters {
    fn default() -> BreakerParameters {
        BreakerParameters {
            window: WindowConfig::Time(Duration::from_secs(30)),
            minimum_calls: 10,
            failure_rate: 0.5,
            slow_call: None,
            slow_call_rate: 1.0,
            consecutive_failures: None,
            open_for: Duration::from_secs(10),
            max_open_for: Duration::from_secs(120),
            probes: 3,
            successes: None,
            probe_timeout: Duration::from_secs(60),
            ramp: Duration::from_secs(10),
            shed_above: None,
        }
    }
}

/// When a breaker opens, and how it closes again. Built only through [`BreakerConfig::new`], so its numbers always make
/// sense.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BreakerConfig(BreakerParameters);

/// Numbers that a breaker cannot work with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BreakerConfigError {
    /// A share of calls is more than 0 and at most 1.
    #[error("{0} is {1}: expected more than 0 and at most 1")]
    Share(&'static str, f64),
    /// A rate of no calls is no rate.
    #[error("minimumCalls is 0: expected at least 1")]
    MinimumCalls,
    /// A rate that needs more calls than the window holds never opens it.
    #[error("minimumCalls is {minimum}, the window holds {window} calls: expected at most as many")]
    MoreThanWindow {
        /// The value of `minimumCalls`, more than the window holds.
        minimum: u32,
        /// How many calls the window holds.
        window: u32,
    },
    /// The window is divided into buckets of at least a millisecond.
    #[error("window is {0:?}: expected at least 10ms")]
    Window(Duration),
    /// A window of calls holds some, and not too many.
    #[error("window is {0} calls: expected 1 to {MAX_WINDOW_CALLS}")]
    WindowCalls(u32),
    /// A span that must not be zero.
    #[error("{0} is 0: expected more")]
    Zero(&'static str),
    /// The longest is not shorter than the first.
    #[error("maxOpenFor is {longest:?}, shorter than openFor, which is {first:?}")]
    OpenFor {
        /// The value of `openFor`: how long it stays open the first time.
        first: Duration,
        /// The value of `maxOpenFor`: how long it stays open at most.
        longest: Duration,
    },
    /// Without a probe nothing closes the breaker; with too many it is no probe.
    #[error("{0} is {1}: expected 1 to {MAX_PROBES}")]
    Probes(&'static str, u32),
    /// Accepted calls times less than 1 would shed calls of a healthy participant.
    #[error("shedAbove is {0}: expected at least 1.1")]
    Shed(f64),
}

impl BreakerConfig {
    /// The checked settings.
    ///
    /// # Errors
    /// When a number makes no sense; the error says which and what is expected.
    pub fn new(settings: BreakerParameters) -> Result<BreakerConfig, BreakerConfigError> {
        check_window(&settings)?;
        check_shares(&settings)?;
        for (name, span) in [
            ("openFor", settings.open_for),
            ("probeTimeout", settings.probe_timeout),
            ("slowCall", settings.slow_call.unwrap_or(Duration::MAX)),
        ] {
            if span.is_zero() {
                return Err(BreakerConfigError::Zero(name));
            }
        }
        if settings.max_open_for < settings.open_for {
            return Err(BreakerConfigError::OpenFor { first: settings.open_for, longest: settings.max_open_for });
        }
        for (name, count) in [("probes", settings.probes), ("successes", settings.successes.unwrap_or(1))] {
            if !(1..=MAX_PROBES).contains(&count) {
                return Err(BreakerConfigError::Probes(name, count));
            }
        }
        Ok(BreakerConfig(settings))
    }

    /// The settings, which have been checked.
    #[must_use]
    pub fn settings(&self) -> &BreakerParameters {
        &self.0
    }

    /// So many probes have to succeed before it closes.
    #[must_use]
    pub fn successes(&self) -> u32 {
        self.0.successes.unwrap_or(self.0.probes)
    }

    /// How long it stays open when it opens for the `opening`th time (1, 2, …) since it was last closed: doubled each
    /// time up to the longest, then up to a fifth more or less, by `random`.
    pub(super) fn open_span(&self, opening: u32, random: u64) -> Duration {
        let doubled = 1u32.checked_shl(opening.saturating_sub(1)).unwrap_or(u32::MAX);
        let span = self.0.open_for.saturating_mul(doubled).min(self.0.max_open_for);
        let fifth = span / 5;
        (span - fifth).saturating_add(fraction(fifth.saturating_mul(2), random))
    }

    pub(super) fn is_slow(&self, took: Duration) -> bool {
        self.0.slow_call.is_some_and(|slow| took > slow)
    }

    /// Why a breaker that has counted this opens; `None`: it does not.
    pub(super) fn trip(&self, counts: CallCounts, failures_in_a_row: u32) -> Option<TripReason> {
        if self.0.consecutive_failures.is_some_and(|most| failures_in_a_row >= most.get()) {
            return Some(TripReason::ConsecutiveFailures);
        }
        if counts.calls < self.0.minimum_calls {
            return None;
        }
        let calls = f64::from(counts.calls);
        if f64::from(counts.failures) >= self.0.failure_rate * calls {
            return Some(TripReason::FailureRate);
        }
        // Without a limit no call is slow, and a rate of none is not reached.
        (f64::from(counts.slow) >= self.0.slow_call_rate * calls).then_some(TripReason::SlowCallRate)
    }
}

fn check_window(settings: &BreakerParameters) -> Result<(), BreakerConfigError> {
    if settings.minimum_calls == 0 {
        return Err(BreakerConfigError::MinimumCalls);
    }
    match settings.window {
        WindowConfig::Time(span) if span < Duration::from_millis(10) => Err(BreakerConfigError::Window(span)),
        WindowConfig::Calls(calls) if !(1..=MAX_WINDOW_CALLS).contains(&calls) => {
            Err(BreakerConfigError::WindowCalls(calls))
        }
        WindowConfig::Calls(window) if settings.minimum_calls > window => {
            Err(BreakerConfigError::MoreThanWindow { minimum: settings.minimum_calls, window })
        }
        WindowConfig::Time(_) | WindowConfig::Calls(_) => Ok(()),
    }
}

fn check_shares(settings: &BreakerParameters) -> Result<(), BreakerConfigError> {
    for (name, share) in [("failureRate", settings.failure_rate), ("slowCallRate", settings.slow_call_rate)] {
        if !(share > 0.0 && share <= 1.0) {
            return Err(BreakerConfigError::Share(name, share));
        }
    }
    match settings.shed_above {
        // Not a number is no factor either.
        Some(factor) if factor.is_nan() || factor < 1.1 => Err(BreakerConfigError::Shed(factor)),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut BreakerParameters)) -> BreakerConfigError {
        let mut settings = BreakerParameters::default();
        change(&mut settings);
        BreakerConfig::new(settings).expect_err("no breaker can work with that")
    }

    #[test]
    fn the_defaults_are_what_may_be_configured() {
        assert_eq!(BreakerConfig::new(BreakerParameters::default()), Ok(BreakerConfig::default()));
    }

    #[test]
    fn what_no_breaker_can_work_with_is_refused() {
        for rate in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            assert!(matches!(refusal(|it| it.failure_rate = rate), BreakerConfigError::Share("failureRate", _)));
            assert!(matches!(refusal(|it| it.slow_call_rate = rate), BreakerConfigError::Share("slowCallRate", _)));
        }
        for factor in [1.0, 0.0, f64::NAN] {
            assert!(matches!(refusal(|it| it.shed_above = Some(factor)), BreakerConfigError::Shed(_)));
        }
        let zero = Duration::ZERO;
        assert_eq!(refusal(|it| it.minimum_calls = 0), BreakerConfigError::MinimumCalls);
        assert_eq!(refusal(|it| it.window = WindowConfig::Time(zero)), BreakerConfigError::Window(zero));
        assert_eq!(refusal(|it| it.window = WindowConfig::Calls(0)), BreakerConfigError::WindowCalls(0));
        assert_eq!(
            refusal(|it| it.window = WindowConfig::Calls(5)),
            BreakerConfigError::MoreThanWindow { minimum: 10, window: 5 }
        );
        assert_eq!(refusal(|it| it.open_for = zero), BreakerConfigError::Zero("openFor"));
        assert_eq!(refusal(|it| it.probe_timeout = zero), BreakerConfigError::Zero("probeTimeout"));
        assert_eq!(refusal(|it| it.slow_call = Some(zero)), BreakerConfigError::Zero("slowCall"));
        assert!(matches!(refusal(|it| it.max_open_for = Duration::from_secs(1)), BreakerConfigError::OpenFor { .. }));
        for count in [0, MAX_PROBES + 1] {
            assert_eq!(refusal(|it| it.probes = count), BreakerConfigError::Probes("probes", count));
            assert_eq!(refusal(|it| it.successes = Some(count)), BreakerConfigError::Probes("successes", count));
        }
    }

    #[test]
    fn a_refusal_says_the_value_and_what_is_expected() {
        assert_eq!(refusal(|it| it.probes = 0).to_string(), "probes is 0: expected 1 to 100");
    }
}
