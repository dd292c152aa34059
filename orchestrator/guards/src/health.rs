//! Whether a participant is well by its own word: health checks, counted, and their trend over time.
//!
//! One failed check proves little, so failures are counted in a row, and so are successes on the way back; who was never found well or
//! unwell is believed to be well.

mod config;
mod history;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use history::{Check, HISTORY, RECENT, Summary, Trend};

use crate::Monotonic;
use history::History;
use std::time::Duration;

/// What is known of one participant, or of one of its endpoints.
#[derive(Debug)]
pub struct Health {
    config: Config,
    state: State,
    /// Checks in a row that ended as the last one.
    streak: u32,
    last_at: Option<Monotonic>,
    history: History,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered well.
    Passed {
        /// From the question to the answer.
        took: Duration,
    },
    /// It was answered badly, or not in time.
    Failed,
}

/// What the checks say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not enough yet: taken for well.
    #[default]
    Unknown,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
}

/// What followed from a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The state stays.
    Kept,
    /// It is another one now.
    Became(State),
}

/// What is known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What the checks say.
    pub state: State,
    /// Checks in a row that ended as the last one.
    pub streak: u32,
    /// Since the last check; `None`: there was none.
    pub checked_ago: Option<Duration>,
    /// Whether the last answer still holds.
    pub is_fresh: bool,
    /// All checks that are remembered.
    pub overall: Summary,
    /// The last [`RECENT`] of them.
    pub recent: Summary,
    /// The last ones against those before.
    pub trend: Trend,
    /// The checks that are remembered, the latest first.
    pub history: Vec<Check>,
}

impl Health {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(config: Config) -> Health {
        Health { config, state: State::Unknown, streak: 0, last_at: None, history: History::default() }
    }

    /// Other settings; what is known stays.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
    }

    /// A check ended at `now`. The first success of one that was never found well or unwell suffices.
    pub fn checked(&mut self, outcome: Outcome, now: Monotonic) -> Checked {
        let passed = matches!(outcome, Outcome::Passed { .. });
        let goes_on = self.history.last_passed() == Some(passed);
        self.streak = if goes_on { self.streak.saturating_add(1) } else { 1 };
        self.last_at = Some(now);
        self.history.add(outcome, now);
        let next = self.next(passed);
        if next == self.state {
            return Checked::Kept;
        }
        self.state = next;
        Checked::Became(next)
    }

    /// What the checks say.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether calls may go there.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        match self.state {
            State::Unknown | State::Healthy => true,
            State::Unhealthy => false,
        }
    }

    /// Whether the last answer still holds: for one interval.
    #[must_use]
    pub fn is_fresh(&self, now: Monotonic) -> bool {
        self.last_at.is_some_and(|last| now.since(last) < self.config.interval)
    }

    /// How long until the next check is due; zero if it is.
    #[must_use]
    pub fn until_next(&self, now: Monotonic) -> Duration {
        self.last_at.map_or(Duration::ZERO, |last| last.plus(self.config.interval).since(now))
    }

    /// Whether calls are to wait: for how long at least, until a check may have said something else. An old answer refuses nobody: without
    /// checks nothing is known.
    #[must_use]
    pub fn refuses(&self, now: Monotonic) -> Option<Duration> {
        let due = self.last_at?.plus(self.config.interval);
        let answered = due.plus(self.config.timeout);
        match self.state {
            State::Unknown | State::Healthy => None,
            State::Unhealthy if now < due => Some(due.since(now)),
            State::Unhealthy if now < answered => Some(answered.since(now)),
            State::Unhealthy => None,
        }
    }

    /// What is known at this moment.
    #[must_use]
    pub fn snapshot(&self, now: Monotonic) -> Snapshot {
        Snapshot {
            state: self.state,
            streak: self.streak,
            checked_ago: self.last_at.map(|last| now.since(last)),
            is_fresh: self.is_fresh(now),
            overall: self.history.overall(),
            recent: self.history.recent(),
            trend: self.history.trend(),
            history: self.history.list(now),
        }
    }

    fn next(&self, passed: bool) -> State {
        match (self.state, passed) {
            (State::Unknown | State::Healthy, true) => State::Healthy,
            (State::Unhealthy, true) if self.streak >= self.config.healthy_after.get() => State::Healthy,
            (State::Unknown | State::Healthy, false) if self.streak >= self.config.unhealthy_after.get() => {
                State::Unhealthy
            }
            (state @ (State::Unknown | State::Healthy | State::Unhealthy), true | false) => state,
        }
    }
}
