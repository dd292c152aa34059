//! A circuit breaker: refuses calls to a participant that mostly fails, and tries carefully whether it has recovered.
//!
//! ```text
//! Closed   --(enough calls, too many failed)--> Open
//! Open     --(open_for has passed)-----------> HalfOpen
//! HalfOpen --(as many successes as probes)---> Closed
//! HalfOpen --(a probe failed)----------------> Open
//! ```
//!
//! Every change begins a generation. A permit carries the generation it was given in, and a result from an older one changes nothing: a
//! call that hung since before the breaker opened says nothing about now. Failures are counted over time and not in a row, because
//! one success in between does not make a participant healthy that fails half of its calls.

mod config;
mod probes;
#[cfg(test)]
mod tests;
mod window;

pub use config::{Config, ConfigError, MAX_PROBES};
use probes::{Probes, Ticket};
use serde::Serialize;
use std::time::Duration;
use window::Window;

/// How long a probe holds its slot at most. Longer than most attempts; without it, calls whose answers are lost would keep the breaker
/// half-open for ever.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// How a call ended, as far as the participant's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, be it to say no.
    Success,
    /// It did not, or not in time, or with an error of its own.
    Failure,
}

/// What a breaker does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Lets every call through.
    Closed,
    /// Lets none through.
    Open,
    /// Lets a few through to see.
    HalfOpen,
}

/// Leave for one call. Hand it to [`Breaker::record`] when the call has ended, or to [`Breaker::give_back`] when nothing was learned.
#[derive(Debug)]
#[must_use = "a permit that is not handed back keeps its probe's slot until that expires"]
pub struct Permit {
    generation: u64,
    probe: Option<Ticket>,
}

/// No leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it makes sense to ask again, on the clock of the question; always later than it.
    pub not_before: Duration,
}

/// A circuit breaker. `now` is always the time since one arbitrary start; small steps backwards do no harm.
#[derive(Debug)]
pub struct Breaker {
    config: Config,
    generation: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open { until: Duration },
    HalfOpen(Probes),
}

impl Breaker {
    /// A closed breaker that has seen nothing.
    #[must_use]
    pub fn new(config: Config) -> Breaker {
        let phase = Phase::Closed(Window::new(config.window(), Duration::ZERO));
        Breaker { config, generation: 0, phase }
    }

    /// Leave for one call.
    ///
    /// # Errors
    /// When it is open, or half-open with all probes under way.
    pub fn admit(&mut self, now: Duration) -> Result<Permit, Refused> {
        if let Phase::Open { until } = self.phase
            && until <= now
        {
            self.enter(Phase::HalfOpen(Probes::new(self.config.probes())));
        }
        let rest = self.config.open_for() / 2;
        match &mut self.phase {
            Phase::Closed(_) => Ok(Permit { generation: self.generation, probe: None }),
            Phase::Open { until } => Err(Refused { not_before: *until }),
            Phase::HalfOpen(probes) => match probes.take(now, now + PROBE_TIMEOUT) {
                Ok(ticket) => Ok(Permit { generation: self.generation, probe: Some(ticket) }),
                Err(expiry) => Err(Refused { not_before: expiry.min(now + rest).max(now + SHORTEST_REST) }),
            },
        }
    }

    /// Counts how a call ended.
    pub fn record(&mut self, permit: Permit, verdict: Verdict, now: Duration) {
        let Permit { generation, probe } = permit;
        if generation != self.generation {
            return;
        }
        match (&mut self.phase, probe) {
            (Phase::Closed(window), _) => {
                window.count(verdict, now);
                if verdict == Verdict::Failure {
                    self.open_if_failing(now);
                }
            }
            (Phase::HalfOpen(probes), Some(ticket)) => match verdict {
                Verdict::Success if probes.succeed(ticket, now) => self.close(now),
                Verdict::Success => {}
                Verdict::Failure if probes.give_back(ticket, now) => self.open(now),
                Verdict::Failure => {}
            },
            (Phase::HalfOpen(_), None) | (Phase::Open { .. }, _) => {}
        }
    }

    /// Takes a permit back for a call of which nothing was learned: it never left, or nobody waits for it any more.
    pub fn give_back(&mut self, permit: Permit, now: Duration) {
        let Permit { generation, probe } = permit;
        if generation != self.generation {
            return;
        }
        match (&mut self.phase, probe) {
            (Phase::HalfOpen(probes), Some(ticket)) => {
                probes.give_back(ticket, now);
            }
            (Phase::HalfOpen(_), None) | (Phase::Closed(_) | Phase::Open { .. }, _) => {}
        }
    }

    /// What it does at `now`.
    #[must_use]
    pub fn state(&self, now: Duration) -> State {
        match self.phase {
            Phase::Closed(_) => State::Closed,
            Phase::Open { until } if now < until => State::Open,
            Phase::Open { .. } | Phase::HalfOpen(_) => State::HalfOpen,
        }
    }

    fn open_if_failing(&mut self, now: Duration) {
        let Phase::Closed(window) = &mut self.phase else { return };
        let counts = window.counts(now);
        let failing = f64::from(counts.failures) >= self.config.failure_rate() * f64::from(counts.calls());
        if counts.calls() >= self.config.minimum_calls() && failing {
            self.open(now);
        }
    }

    fn open(&mut self, now: Duration) {
        self.enter(Phase::Open { until: now.saturating_add(self.config.open_for()) });
    }

    fn close(&mut self, now: Duration) {
        self.enter(Phase::Closed(Window::new(self.config.window(), now)));
    }

    fn enter(&mut self, phase: Phase) {
        self.generation += 1;
        self.phase = phase;
    }
}

/// Whoever is refused while probes are under way asks again no sooner than this: every question is a decision on record.
const SHORTEST_REST: Duration = Duration::from_millis(100);
