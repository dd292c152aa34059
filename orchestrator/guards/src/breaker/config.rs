//! When a breaker opens, and how it closes again.

use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, time::Duration};

/// Most probes that a half-open breaker may have: each is a call to a participant that was failing a moment ago.
pub const MAX_PROBES: u32 = 100;

/// When a breaker opens, and how it closes again. Built only through [`Config::new`], so its numbers always make sense.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
pub struct Config {
    failure_rate: f64,
    minimum_calls: u32,
    window: Duration,
    open_for: Duration,
    probes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    consecutive_failures: Option<NonZeroU32>,
}

/// Numbers that a breaker cannot work with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A share of calls is more than 0 and at most 1.
    #[error("failureRate is {0}: expected more than 0 and at most 1")]
    FailureRate(f64),
    /// A rate of no calls is no rate.
    #[error("minimumCalls is 0: expected at least 1")]
    MinimumCalls,
    /// The window is divided into buckets of at least a millisecond.
    #[error("window is {0:?}: expected at least 10ms")]
    Window(Duration),
    /// A breaker that opens for no time never refuses.
    #[error("openFor is 0: expected more")]
    OpenFor,
    /// Without a probe nothing closes the breaker; with too many it is no probe.
    #[error("probes is {0}: expected 1 to {MAX_PROBES}")]
    Probes(u32),
}

impl Config {
    /// Opens when at least `failure_rate` of at least `minimum_calls` calls within `window` failed; stays open for `open_for`; closes
    /// when `probes` calls in a row succeeded.
    ///
    /// # Errors
    /// When a number makes no sense; the error says which and what is expected.
    pub fn new(
        failure_rate: f64,
        minimum_calls: u32,
        window: Duration,
        open_for: Duration,
        probes: u32,
    ) -> Result<Config, ConfigError> {
        if !(failure_rate > 0.0 && failure_rate <= 1.0) {
            return Err(ConfigError::FailureRate(failure_rate));
        }
        if minimum_calls == 0 {
            return Err(ConfigError::MinimumCalls);
        }
        if window < Duration::from_millis(10) {
            return Err(ConfigError::Window(window));
        }
        if open_for.is_zero() {
            return Err(ConfigError::OpenFor);
        }
        if !(1..=MAX_PROBES).contains(&probes) {
            return Err(ConfigError::Probes(probes));
        }
        Ok(Config { failure_rate, minimum_calls, window, open_for, probes, consecutive_failures: None })
    }

    /// The same, but it also opens after `failures` in a row, whatever the rate and however few the calls.
    #[must_use]
    pub fn with_consecutive_failures(self, failures: NonZeroU32) -> Config {
        Config { consecutive_failures: Some(failures), ..self }
    }

    /// Share of failed calls at which it opens, more than 0 and at most 1.
    #[must_use]
    pub fn failure_rate(&self) -> f64 {
        self.failure_rate
    }

    /// Below this number of calls within the window it never opens.
    #[must_use]
    pub fn minimum_calls(&self) -> u32 {
        self.minimum_calls
    }

    /// How far back calls count.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// How long it refuses everything once open.
    #[must_use]
    pub fn open_for(&self) -> Duration {
        self.open_for
    }

    /// How many calls have to succeed before it closes; never more are under way while it is half-open.
    #[must_use]
    pub fn probes(&self) -> u32 {
        self.probes
    }

    /// So many failures in a row open it too; `None`: no number of them does.
    #[must_use]
    pub fn consecutive_failures(&self) -> Option<NonZeroU32> {
        self.consecutive_failures
    }

    pub(super) fn is_too_many(&self, failures: u32, calls: u32) -> bool {
        calls >= self.minimum_calls && f64::from(failures) >= self.failure_rate * f64::from(calls)
    }

    pub(super) fn is_too_many_in_a_row(&self, failures: u32) -> bool {
        self.consecutive_failures.is_some_and(|most| failures >= most.get())
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            failure_rate: 0.5,
            minimum_calls: 10,
            window: Duration::from_secs(30),
            open_for: Duration::from_secs(10),
            probes: 3,
            consecutive_failures: None,
        }
    }
}

/// The wire shape, before its numbers are checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unchecked {
    failure_rate: f64,
    minimum_calls: u32,
    window: Duration,
    open_for: Duration,
    probes: u32,
    #[serde(default)]
    consecutive_failures: Option<NonZeroU32>,
}

impl TryFrom<Unchecked> for Config {
    type Error = ConfigError;

    fn try_from(it: Unchecked) -> Result<Config, ConfigError> {
        let config = Config::new(it.failure_rate, it.minimum_calls, it.window, it.open_for, it.probes)?;
        Ok(Config { consecutive_failures: it.consecutive_failures, ..config })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);
    const OPEN_FOR: Duration = Duration::from_secs(10);

    #[test]
    fn the_defaults_are_what_may_be_configured() {
        assert_eq!(Config::new(0.5, 10, WINDOW, OPEN_FOR, 3), Ok(Config::default()));
    }

    #[test]
    fn what_no_breaker_can_work_with_is_refused() {
        for rate in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            assert!(matches!(Config::new(rate, 10, WINDOW, OPEN_FOR, 3), Err(ConfigError::FailureRate(_))));
        }
        assert_eq!(Config::new(0.5, 0, WINDOW, OPEN_FOR, 3), Err(ConfigError::MinimumCalls));
        assert_eq!(Config::new(0.5, 10, Duration::ZERO, OPEN_FOR, 3), Err(ConfigError::Window(Duration::ZERO)));
        assert_eq!(Config::new(0.5, 10, WINDOW, Duration::ZERO, 3), Err(ConfigError::OpenFor));
        for probes in [0, MAX_PROBES + 1] {
            assert_eq!(Config::new(0.5, 10, WINDOW, OPEN_FOR, probes), Err(ConfigError::Probes(probes)));
        }
    }

    #[test]
    fn a_refusal_says_the_value_and_what_is_expected() {
        let error = Config::new(0.5, 10, WINDOW, OPEN_FOR, 0).expect_err("no probes");
        assert_eq!(error.to_string(), "probes is 0: expected 1 to 100");
    }
}
