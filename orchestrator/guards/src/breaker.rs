//! The circuit breaker: while too many calls of a participant fail, it gets none for a time, then a few probes, then
//! all calls again.
//!
//! ```text
//! Closed   --(failure rate or slow-call rate over the window, or failures in a row)--> Open
//! Open     --(its time is over and a call asks)--------------------------------------> HalfOpen
//! HalfOpen --(a probe fails)---------------------------------------------------------> Open, for twice the time
//! HalfOpen --(as many probes succeeded as are configured)----------------------------> Closed, empty window, ramp
//! ```
//!
//! An admitted call holds a [`BreakerTicket`] and settles it exactly once. A ticket names the generation that issued
//! it, and every change of state begins a new generation. So the result of a call that began in an earlier state never
//! changes the present one; it is counted as stale. A ticket settled as [`CallVerdict::Neutral`] gives its slot back
//! and says nothing. A ticket that is never settled loses its slot when its time is over.
//!
//! Failures are those of the transport and of the participant's machinery: broken connections, timeouts, 5xx. A
//! participant that answers "declined" works.
//!
//! Where to read: `admit` is here; `settlement` is what a result changes; `config` says when the breaker trips;
//! `control` is what operators and the participant itself ask for; `inspection` looks without changing anything.
//! `window`, `probe_slots`, `ramp` and `load_shedding` hold the counts.
//!
//! Admitting and settling allocate nothing; time and random numbers are arguments.

mod config;
mod control;
mod counts;
mod inspection;
mod load_shedding;
mod probe_slots;
mod ramp;
mod report_throttle;
mod settlement;
mod snapshot;
mod ticket;
mod window;

#[cfg(test)]
mod tests;

pub use config::{BreakerConfig, BreakerConfigError, BreakerParameters, MAX_PROBES, MAX_WINDOW_CALLS, WindowConfig};
pub use snapshot::{BreakerCapacity, BreakerMode, BreakerSnapshot, BreakerState, TripDetails};
pub use ticket::{
    BreakerAdmission, BreakerGeneration, BreakerRefusal, BreakerTicket, BreakerTransition, CallVerdict, TripReason,
};

use crate::MonotonicTime;
use load_shedding::{LoadShedder, SHED_DELAY};
use probe_slots::ProbeSlots;
use ramp::{MAX_RAMP, SlowStartRamp};
use report_throttle::TripReportThrottle;
use std::time::Duration;
use ticket::TicketKind;
use window::SlidingWindow;

/// When a call that found the breaker forced open asks again. The commands that wait are notified when the operator
/// ends that, so this delay is for those that no notification reached.
pub const FORCED_OPEN_DELAY: Duration = Duration::from_secs(30);

/// The longest pause that a participant may ask for: a date by mistake must not stop its sagas for days.
pub const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// While all probes or all calls of the ramp are out, a refused call is to ask again after this share of `openFor`:
/// they answer sooner than that, and what waits should not wait much longer than they take.
const PROBING_DELAY_DIVISOR: u32 = 4;

/// The shortest delay that the breaker gives a refused call.
const MIN_DELAY: Duration = Duration::from_millis(1);

/// One breaker. Changes under `&mut`; callers that share it lock it.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    config: BreakerConfig,
    mode: BreakerMode,
    phase: BreakerPhase,
    /// When the mode or the phase began.
    since: MonotonicTime,
    generation: u64,
    /// The participant asked not to be called before.
    asked_until: MonotonicTime,
    /// The calls that are counted while it is closed; kept over changes of state because it is large.
    window: SlidingWindow,
    /// Those of the probes while it is half-open, those of the ramp while it is closed.
    slots: ProbeSlots,
    shed: Option<LoadShedder>,
    failures_in_a_row: u32,
    opened_in_a_row: u32,
    /// Why it opened last, until it closes.
    tripped: Option<TripDetails>,
    /// Successes of calls that had been given up, since it opened.
    late_successes: u32,
    stale_results: u64,
}

/// What the breaker does in automatic mode.
#[derive(Clone, Copy, Debug)]
enum BreakerPhase {
    Closed { ramp: Option<SlowStartRamp>, watch: TripReportThrottle },
    Open { until: MonotonicTime, random: u64 },
    HalfOpen { succeeded: u32 },
}

impl BreakerPhase {
    const CLOSED: BreakerPhase = BreakerPhase::Closed { ramp: None, watch: TripReportThrottle::Listening };
}

impl CircuitBreaker {
    /// A closed breaker that has seen no call.
    #[must_use]
    pub fn new(config: BreakerConfig, now: MonotonicTime) -> CircuitBreaker {
        CircuitBreaker {
            mode: BreakerMode::Automatic,
            phase: BreakerPhase::CLOSED,
            since: now,
            generation: 0,
            asked_until: MonotonicTime::default(),
            window: SlidingWindow::new(config.settings().window, now),
            slots: ProbeSlots::new(MAX_RAMP.max(MAX_PROBES)),
            shed: config.settings().shed_above.map(|_| LoadShedder::new(now)),
            failures_in_a_row: 0,
            opened_in_a_row: 0,
            tripped: None,
            late_successes: 0,
            stale_results: 0,
            config,
        }
    }

    /// Asks for one call. `hold` bounds how long a probe or a call of the ramp keeps its slot: a little more than the
    /// call can take; it is cut at `probeTimeout`. `random` decides which calls are shed.
    pub fn admit(&mut self, now: MonotonicTime, hold: Duration, random: u64) -> BreakerAdmission {
        match self.mode {
            BreakerMode::Automatic => self.admit_by_phase(now, hold, random),
            BreakerMode::ForcedOpen => refuse(FORCED_OPEN_DELAY, BreakerRefusal::Forced),
            BreakerMode::ForcedClosed | BreakerMode::MetricsOnly => self.admit_as(TicketKind::Unlimited),
        }
    }

    /// Looks again at a call that was admitted in `generation` and is not made yet: a call that waited for something
    /// else must not be sent after the breaker has opened, nor be sent beside the probes or the ramp of a later time.
    /// `Some`: it must not be sent now, and may ask again after this long. Its ticket still has to be settled.
    pub fn check_again(&mut self, generation: BreakerGeneration, now: MonotonicTime) -> Option<Duration> {
        match self.mode {
            BreakerMode::Automatic => self.check_again_by_phase(generation, now.max(self.since)),
            BreakerMode::ForcedOpen => Some(FORCED_OPEN_DELAY),
            BreakerMode::ForcedClosed | BreakerMode::MetricsOnly => None,
        }
    }

    fn check_again_by_phase(&self, generation: BreakerGeneration, now: MonotonicTime) -> Option<Duration> {
        if let Some(pause) = self.pause(now) {
            return Some(pause);
        }
        match self.phase {
            _ if generation.0 == self.generation => None,
            BreakerPhase::Closed { ramp: None, .. } => None,
            BreakerPhase::Closed { ramp: Some(_), .. } | BreakerPhase::Open { .. } | BreakerPhase::HalfOpen { .. } => {
                Some(self.short_delay().max(MIN_DELAY))
            }
        }
    }

    fn admit_by_phase(&mut self, now: MonotonicTime, hold: Duration, random: u64) -> BreakerAdmission {
        // Callers read the clock before they take the lock: a caller that read it before the state began must not get a
        // delay longer than the state lasts.
        let now = now.max(self.since);
        if let BreakerPhase::Open { until, .. } = self.phase {
            if now < until {
                return refuse(until.max(self.asked_until).since(now), BreakerRefusal::Open);
            }
            if now >= self.asked_until {
                self.enter(BreakerPhase::HalfOpen { succeeded: 0 }, now);
            }
        }
        if now < self.asked_until {
            return refuse(self.asked_until.since(now), BreakerRefusal::Asked);
        }
        match self.phase {
            BreakerPhase::Closed { .. } => self.admit_closed(now, hold, random),
            BreakerPhase::HalfOpen { .. } | BreakerPhase::Open { .. } => self.admit_probe(now, hold),
        }
    }

    fn admit_closed(&mut self, now: MonotonicTime, hold: Duration, random: u64) -> BreakerAdmission {
        if let Some(admission) = self.admit_on_ramp(now, hold) {
            return admission;
        }
        let settings = self.config.settings();
        let sheds = match (&mut self.shed, settings.shed_above) {
            (Some(shed), Some(above)) => shed.sheds(above, settings.minimum_calls, now, random),
            (Some(_) | None, _) => false,
        };
        if sheds { refuse(SHED_DELAY, BreakerRefusal::Shed) } else { self.admit_as(TicketKind::Unlimited) }
    }

    /// `None` if no ramp is under way.
    fn admit_on_ramp(&mut self, now: MonotonicTime, hold: Duration) -> Option<BreakerAdmission> {
        let BreakerPhase::Closed { ramp, .. } = &mut self.phase else { return None };
        let under_way = (*ramp)?;
        if under_way.is_over(now) {
            *ramp = None;
            return None;
        }
        let taken = self.slots.take(under_way.at_once(), now, hold.min(self.config.settings().probe_timeout));
        Some(match taken {
            Ok(slot) => self.admit_as(TicketKind::Ramp(slot)),
            Err(next) => {
                refuse(next.min(under_way.left(now)).min(self.short_delay()).max(MIN_DELAY), BreakerRefusal::Ramp)
            }
        })
    }

    fn admit_probe(&mut self, now: MonotonicTime, hold: Duration) -> BreakerAdmission {
        let probe_timeout = self.config.settings().probe_timeout;
        match self.slots.take(self.probes_wanted(), now, hold.min(probe_timeout)) {
            Ok(slot) => self.admit_as(TicketKind::Probe(slot)),
            Err(next) => refuse(next.min(self.short_delay()).max(MIN_DELAY), BreakerRefusal::Probing),
        }
    }

    /// No more probes are in flight at once than may still be needed to close the breaker.
    fn probes_wanted(&self) -> u32 {
        let succeeded = match self.phase {
            BreakerPhase::HalfOpen { succeeded } => succeeded,
            BreakerPhase::Closed { .. } | BreakerPhase::Open { .. } => 0,
        };
        // At least one, even if more have succeeded than a changed configuration asks for.
        self.config.successes().saturating_sub(succeeded).max(1).min(self.config.settings().probes)
    }

    fn admit_as(&self, kind: TicketKind) -> BreakerAdmission {
        BreakerAdmission::Admitted(BreakerTicket { generation: self.generation, kind })
    }

    fn short_delay(&self) -> Duration {
        self.config.settings().open_for / PROBING_DELAY_DIVISOR
    }

    /// Calls that began before belong to an earlier generation from now on.
    fn enter(&mut self, phase: BreakerPhase, now: MonotonicTime) {
        self.phase = phase;
        self.since = now;
        self.generation = self.generation.wrapping_add(1);
        self.slots.clear();
        self.window.clear();
        self.late_successes = 0;
    }
}

fn refuse(retry_after: Duration, why: BreakerRefusal) -> BreakerAdmission {
    BreakerAdmission::Refused { retry_after, why }
}
