//! When a breaker opens, and how it closes again.

use serde::{Deserialize, Serialize};
use std::time::Duration;

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
        Ok(Config { failure_rate, minimum_calls, window, open_for, probes })
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
}

impl Default for Config {
    fn default() -> Config {
        Config {
            failure_rate: 0.5,
            minimum_calls: 10,
            window: Duration::from_secs(30),
            open_for: Duration::from_secs(10),
            probes: 3,
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
}

impl TryFrom<Unchecked> for Config {
    type Error = ConfigError;

    fn try_from(it: Unchecked) -> Result<Config, ConfigError> {
        Config::new(it.failure_rate, it.minimum_calls, it.window, it.open_for, it.probes)
    }
}
