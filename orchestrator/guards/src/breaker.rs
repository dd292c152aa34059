//! The circuit breaker: a participant that keeps failing is left alone for a while, then asked by a few probes, then used again.
//!
//! ```text
//! Closed   --(failure rate over the window, or failures in a row)--> Open
//! Open     --(openFor is over and somebody asks)-------------------> HalfOpen
//! HalfOpen --(a probe fails)---------------------------------------> Open
//! HalfOpen --(as many probes succeeded as are configured)----------> Closed, with an empty window
//! ```
//!
//! Whoever is admitted holds a [`Ticket`] and settles it exactly once. A ticket names the generation it was issued in, and every change of
//! state begins a new one, so the result of a call that was begun in an earlier state never changes the present one. A ticket settled as
//! [`Verdict::Neutral`] gives its probe slot back and says nothing; one that is never settled loses its slot when its time is over.
//!
//! Failures are those of the transport and of the participant's machinery: broken connections, timeouts, 5xx. A participant that answers
//! "declined" works.

mod config;
mod probing;
mod window;

#[cfg(test)]
mod tests;

pub use config::{Config, ConfigError, MAX_PROBES, MAX_WINDOW_CALLS, Settings, Window};

use crate::Monotonic;
use probing::{ProbeId, Probing};
use std::time::Duration;
use window::Window as Counts;

/// While all probes are out, whoever asks is told to come back after this share of `openFor`: probes answer sooner than that, and what
/// waits should not wait much longer than they take.
const PROBING_SHARE: u32 = 4;

/// One breaker. Changes under `&mut`; whoever shares it locks it.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: Config,
    phase: Phase,
    generation: u64,
    failures_in_a_row: u32,
}

#[derive(Clone, Debug)]
enum Phase {
    Closed { window: Counts },
    Open { since: Monotonic },
    HalfOpen { probing: Probing },
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It admits everyone.
    Closed,
    /// It admits nobody until its time is over.
    Open,
    /// It admits probes only.
    HalfOpen,
}

/// The breaker's answer to whoever wants to call.
#[derive(Debug)]
pub enum Admission {
    /// The call may be made; settle the ticket when its end is known.
    Admitted(Ticket),
    /// It may not.
    Refused {
        /// When to ask again: not before this long. Exact, so spread it: many wait for the same moment.
        retry_after: Duration,
    },
}

/// The right to make one call. Settle it, [`Verdict::Neutral`] if nothing came of it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is not settled keeps its probe slot until its time is over"]
pub struct Ticket {
    generation: u64,
    probe: Option<ProbeId>,
}

impl Ticket {
    /// Whether the call finds out if the participant is back.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

/// What a call says about its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, whatever the answer says about the business.
    Succeeded,
    /// It could not be reached, did not answer, or broke: transport faults, timeouts, 5xx.
    Failed,
    /// Nothing: the call did not leave, or was given up for a reason of ours.
    Neutral,
}

/// What settling a ticket did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was counted, or was neutral, and the state is the same.
    Kept,
    /// It belongs to an earlier state and was not counted.
    Stale,
    /// The breaker opened.
    Opened(Trip),
    /// The breaker closed.
    Closed,
}

/// Why a breaker opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// Too large a share of the window's calls failed.
    FailureRate,
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// A probe failed.
    Probe,
}

/// A breaker as it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// What it is doing. An open breaker whose time is over is shown open until somebody asks it.
    pub state: State,
    /// Calls in the window; 0 unless closed.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// Probes that are out; 0 unless half-open.
    pub probes_out: u32,
    /// How long an open breaker goes on refusing.
    pub open_for: Option<Duration>,
}

impl Snapshot {
    /// Share of the window's calls that failed; `None` without calls.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        (self.calls > 0).then(|| f64::from(self.failures) / f64::from(self.calls))
    }
}

impl Breaker {
    /// A closed breaker that has seen no call.
    #[must_use]
    pub fn new(config: Config, now: Monotonic) -> Breaker {
        let phase = Phase::closed(&config, now);
        Breaker { config, phase, generation: 0, failures_in_a_row: 0 }
    }

    /// Asks for one call. `hold` bounds how long a probe keeps its slot: a little more than the call can take.
    pub fn admit(&mut self, now: Monotonic, hold: Duration) -> Admission {
        let open_for = self.config.open_for();
        match &mut self.phase {
            Phase::Closed { .. } => Admission::Admitted(Ticket { generation: self.generation, probe: None }),
            Phase::Open { since } if now.since(*since) < open_for => {
                Admission::Refused { retry_after: open_for.saturating_sub(now.since(*since)) }
            }
            Phase::Open { .. } => {
                self.enter(Phase::HalfOpen { probing: Probing::default() });
                self.admit(now, hold)
            }
            Phase::HalfOpen { probing } => match probing.take(self.config.probes(), now, hold) {
                Ok(probe) => Admission::Admitted(Ticket { generation: self.generation, probe: Some(probe) }),
                Err(next_slot) => Admission::Refused { retry_after: next_slot.min(open_for / PROBING_SHARE) },
            },
        }
    }

    /// Takes a ticket back with what its call said.
    // By value: a ticket is good for one verdict.
    #[allow(clippy::needless_pass_by_value)]
    pub fn settle(&mut self, ticket: Ticket, verdict: Verdict, now: Monotonic) -> Settled {
        if ticket.generation != self.generation {
            return Settled::Stale;
        }
        match (&mut self.phase, ticket.probe) {
            (Phase::Closed { .. }, None) => self.called(verdict, now),
            (Phase::HalfOpen { .. }, Some(probe)) => self.probed(probe, verdict, now),
            // A breaker issues no other tickets, so this one is another breaker's.
            (Phase::Closed { .. }, Some(_)) | (Phase::HalfOpen { .. }, None) | (Phase::Open { .. }, _) => {
                Settled::Stale
            }
        }
    }

    /// Works by `config` from now on. State and generation stay; the window starts anew if its span is another one.
    pub fn configure(&mut self, config: Config, now: Monotonic) {
        let same_window = config.window() == self.config.window();
        self.config = config;
        if !same_window && matches!(self.phase, Phase::Closed { .. }) {
            self.phase = Phase::closed(&self.config, now);
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// How it stands.
    pub fn snapshot(&mut self, now: Monotonic) -> Snapshot {
        let open_for = self.config.open_for();
        let mut snapshot = Snapshot {
            state: self.state(),
            calls: 0,
            failures: 0,
            failures_in_a_row: self.failures_in_a_row,
            probes_out: 0,
            open_for: None,
        };
        match &mut self.phase {
            Phase::Closed { window } => {
                let counts = window.counts(now);
                (snapshot.calls, snapshot.failures) = (counts.calls, counts.failures);
            }
            Phase::Open { since } => snapshot.open_for = Some(open_for.saturating_sub(now.since(*since))),
            Phase::HalfOpen { probing } => snapshot.probes_out = probing.out(now),
        }
        snapshot
    }

    fn called(&mut self, verdict: Verdict, now: Monotonic) -> Settled {
        let Phase::Closed { window } = &mut self.phase else { return Settled::Stale };
        let counts = match verdict {
            Verdict::Neutral => return Settled::Kept,
            Verdict::Succeeded => window.add(now, false),
            Verdict::Failed => window.add(now, true),
        };
        self.failures_in_a_row = match verdict {
            Verdict::Failed => self.failures_in_a_row.saturating_add(1),
            Verdict::Succeeded | Verdict::Neutral => 0,
        };
        if self.config.is_too_many_in_a_row(self.failures_in_a_row) {
            return self.open(Trip::ConsecutiveFailures, now);
        }
        if self.config.is_too_many(counts.failures, counts.calls) {
            return self.open(Trip::FailureRate, now);
        }
        Settled::Kept
    }

    fn probed(&mut self, probe: ProbeId, verdict: Verdict, now: Monotonic) -> Settled {
        let Phase::HalfOpen { probing } = &mut self.phase else { return Settled::Stale };
        match verdict {
            Verdict::Neutral => {
                probing.give_back(probe);
                Settled::Kept
            }
            Verdict::Failed => {
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.open(Trip::Probe, now)
            }
            Verdict::Succeeded => {
                let succeeded = probing.succeeded(probe);
                self.failures_in_a_row = 0;
                self.close_after(succeeded, now)
            }
        }
    }

    fn close_after(&mut self, succeeded: u32, now: Monotonic) -> Settled {
        if succeeded < self.config.probes() {
            return Settled::Kept;
        }
        self.enter(Phase::closed(&self.config, now));
        Settled::Closed
    }

    fn open(&mut self, trip: Trip, now: Monotonic) -> Settled {
        self.enter(Phase::Open { since: now });
        Settled::Opened(trip)
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
    }
}

impl Phase {
    fn closed(config: &Config, now: Monotonic) -> Phase {
        Phase::Closed { window: Counts::new(config.window(), now) }
    }
}
