use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, time::Duration};

/// The most probes of one half-open period. A participant that may be down is not to be met by more.
pub const MAX_PROBES: u32 = 100;

/// The longest window. Calls of an hour ago say nothing about now.
pub const MAX_WINDOW: Duration = Duration::from_hours(1);

/// The shortest window: its buckets would be narrower than the scatter of the clock readings.
pub const MIN_WINDOW: Duration = Duration::from_millis(100);

/// The longest and the shortest time that a breaker stays open.
pub const MAX_OPEN_FOR: Duration = Duration::from_hours(1);
/// See [`MAX_OPEN_FOR`].
pub const MIN_OPEN_FOR: Duration = Duration::from_millis(10);

/// What a breaker is configured with, as written; [`Config`] is what has been checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Opens when this share of the window's calls failed: above 0, up to 1.
    pub failure_rate: f64,
    /// The rate says nothing below this many calls in the window.
    pub minimum_calls: u32,
    /// How far back calls count.
    pub window: Duration,
    /// How long it refuses before it probes.
    pub open_for: Duration,
    /// How many calls find out whether the participant is back; all must succeed.
    pub probes: u32,
    /// Also opens after this many failures in a row, whatever the rate; `None` never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            failure_rate: 0.5,
            minimum_calls: 10,
            window: Duration::from_secs(30),
            open_for: Duration::from_secs(10),
            probes: 3,
            consecutive_failures: None,
        }
    }
}

/// Checked configuration of a breaker: `0 < failure_rate ≤ 1`, counts of at least 1, spans within their limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Config {
    settings: Settings,
}

/// Settings that no breaker can work with. Says the key, the value and what is expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidConfig {
    /// `failureRate`
    #[error("failureRate is {0}, expected a number above 0 and up to 1")]
    FailureRate(f64),
    /// `minimumCalls`
    #[error("minimumCalls is 0, expected at least 1")]
    MinimumCalls,
    /// `window`
    #[error("window is {0:?}, expected {MIN_WINDOW:?} to {MAX_WINDOW:?}")]
    Window(Duration),
    /// `openFor`
    #[error("openFor is {0:?}, expected {MIN_OPEN_FOR:?} to {MAX_OPEN_FOR:?}")]
    OpenFor(Duration),
    /// `probes`
    #[error("probes is {0}, expected 1 to {MAX_PROBES}")]
    Probes(u32),
    /// `consecutiveFailures`
    #[error("consecutiveFailures is 0, expected at least 1, or leave it out")]
    ConsecutiveFailures,
}

impl InvalidConfig {
    /// The key that is wrong, as it is written.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            InvalidConfig::FailureRate(_) => "failureRate",
            InvalidConfig::MinimumCalls => "minimumCalls",
            InvalidConfig::Window(_) => "window",
            InvalidConfig::OpenFor(_) => "openFor",
            InvalidConfig::Probes(_) => "probes",
            InvalidConfig::ConsecutiveFailures => "consecutiveFailures",
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config { settings: Settings::default() }
    }
}

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    /// The first setting that is outside of what [`InvalidConfig`] says is expected.
    pub fn new(settings: Settings) -> Result<Config, InvalidConfig> {
        let Settings { failure_rate, minimum_calls, window, open_for, probes, consecutive_failures } = settings;
        // Written so that a NaN is refused too.
        if !(failure_rate > 0.0 && failure_rate <= 1.0) {
            return Err(InvalidConfig::FailureRate(failure_rate));
        }
        if minimum_calls == 0 {
            return Err(InvalidConfig::MinimumCalls);
        }
        if !(MIN_WINDOW..=MAX_WINDOW).contains(&window) {
            return Err(InvalidConfig::Window(window));
        }
        if !(MIN_OPEN_FOR..=MAX_OPEN_FOR).contains(&open_for) {
            return Err(InvalidConfig::OpenFor(open_for));
        }
        if !(1..=MAX_PROBES).contains(&probes) {
            return Err(InvalidConfig::Probes(probes));
        }
        if consecutive_failures == Some(0) {
            return Err(InvalidConfig::ConsecutiveFailures);
        }
        Ok(Config { settings })
    }

    /// The settings that were checked.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn is_too_many(&self, failures: u32, calls: u32) -> bool {
        calls >= self.settings.minimum_calls && f64::from(failures) >= self.settings.failure_rate * f64::from(calls)
    }

    pub(super) fn is_too_many_in_a_row(&self, failures: u32) -> bool {
        self.consecutive_failures().is_some_and(|most| failures >= most.get())
    }

    fn consecutive_failures(&self) -> Option<NonZeroU32> {
        self.settings.consecutive_failures.and_then(NonZeroU32::new)
    }
}

impl TryFrom<Settings> for Config {
    type Error = InvalidConfig;

    fn try_from(settings: Settings) -> Result<Config, InvalidConfig> {
        Config::new(settings)
    }
}

impl From<Config> for Settings {
    fn from(config: Config) -> Settings {
        config.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Settings)) -> &'static str {
        let mut settings = Settings::default();
        change(&mut settings);
        Config::new(settings).expect_err("the settings are out of range").key()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::new(Settings::default()), Ok(Config::default()));
    }

    #[test]
    fn what_no_breaker_can_work_with_is_refused_by_its_key() {
        for rate in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            assert_eq!(refused(|it| it.failure_rate = rate), "failureRate");
        }
        assert_eq!(refused(|it| it.minimum_calls = 0), "minimumCalls");
        assert_eq!(refused(|it| it.window = Duration::ZERO), "window");
        assert_eq!(refused(|it| it.window = Duration::MAX), "window");
        assert_eq!(refused(|it| it.open_for = Duration::ZERO), "openFor");
        assert_eq!(refused(|it| it.open_for = Duration::MAX), "openFor");
        assert_eq!(refused(|it| it.probes = 0), "probes");
        assert_eq!(refused(|it| it.probes = MAX_PROBES + 1), "probes");
        assert_eq!(refused(|it| it.consecutive_failures = Some(0)), "consecutiveFailures");
    }

    #[test]
    fn a_refusal_says_the_value_and_what_is_expected() {
        let error = Config::new(Settings { probes: 0, ..Settings::default() }).expect_err("no probes");
        assert_eq!(error.to_string(), "probes is 0, expected 1 to 100");
    }
}
