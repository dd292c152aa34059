//! All guards of one participant, under one lock that is held for some instructions at a time and never across an await.
//!
//! ```text
//! decision:  health → line → room in memory → breaker → retry budget                → permit, or a place in the line
//! leaving:   rate limit (a short wait) → bulkhead (a short queue) → the call        → breaker and adaptive limit are told
//! ```
//!
//! A gate outlives every change of its settings. Nothing here allocates unless somebody has to wait.

mod capacity;
#[cfg(test)]
mod schedules;
mod state;
mod view;
mod wait_queue;

pub(super) use capacity::Leaving;
pub use capacity::Slot;
pub use state::Refused;
pub(crate) use view::GateView;
pub use wait_queue::InLine;
pub use wait_queue::Woken;
pub use wait_queue::{Since, Waiter, Wake, lane};

use super::{
    metrics::{Called, Meters},
    permit::{Permit, Said},
    settings::{GateSettings, Steering},
};
use crate::{
    failed_call::FailedCall,
    guard_events::{Changes, What},
};
use saga_base::sync::{Mutex, MutexGuard};
use saga_core::command::Guard;
use saga_guards::{
    Lane, Monotonic,
    breaker::{Settled, State, Ticket, Trip, Verdict},
};
use state::{Inner, Opening};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};
use tracing::{info, warn};

/// All guards of one participant.
#[derive(Debug)]
pub(crate) struct Gate {
    name: Arc<str>,
    started: Instant,
    inner: Mutex<Inner>,
    /// Rung when somebody who waits may be able to go on.
    bell: Arc<Notify>,
    meters: Meters,
    changes: Changes,
}

/// Who asks, while a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// Undos go first.
    pub lane: Lane,
    /// Which attempt it is to the retry budget.
    pub attempt: Attempt,
    /// Who is before it.
    pub coming: Coming,
}

/// How one who asks has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// Called out of the line: nobody is before it.
    Woken,
    /// By itself: behind those of its lane.
    Anew,
    /// By itself, after a probe that failed: behind everybody.
    AfterProbe,
}

/// An attempt, as the retry budget sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The command's first: it pays.
    First,
    /// A further one: it takes.
    Further,
    /// The same one again, asked after or sent once more by a new owner: neither.
    Same,
}

/// What a call gives back.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) ticket: Ticket,
    pub(super) attempt: Attempt,
    pub(super) left_at: Monotonic,
    /// Its place in the bulkhead is its own.
    pub(super) has_place: bool,
}

impl Gate {
    pub(super) fn new(name: &str, settings: GateSettings, bell: Arc<Notify>, changes: Changes) -> Gate {
        Gate::metered(name, settings, bell, changes, Meters::of(name))
    }

    /// Where those wait whose participant nobody has configured.
    pub(super) fn nobodys(settings: GateSettings, bell: Arc<Notify>, changes: Changes) -> Gate {
        Gate::metered("", settings, bell, changes, Meters::nobodys())
    }

    fn metered(name: &str, settings: GateSettings, bell: Arc<Notify>, changes: Changes, meters: Meters) -> Gate {
        let inner = Mutex::new(Inner::new(settings, Monotonic::default()));
        Gate { name: name.into(), started: Instant::now(), inner, bell, meters, changes }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Leave for one call; or who refuses and for how long at least.
    pub(super) fn admit(self: &Arc<Gate>, asking: Asking, health: Result<(), Duration>) -> Result<Permit, Refused> {
        let now = self.now();
        let (ticket, begins_probing) = {
            let mut inner = self.inner();
            let before = inner.state();
            let ticket = inner.admit(asking, health, now, fastrand::u64(..));
            (ticket, before == State::Open && inner.state() == State::HalfOpen)
        };
        if begins_probing {
            self.publish(What::BreakerHalfOpen);
        }
        let ticket = ticket.inspect_err(|refused| {
            if refused.guard == Guard::Breaker {
                self.meters.not_permitted();
            }
        })?;
        Ok(Permit::new(Arc::clone(self), ticket, asking, now))
    }

    /// Takes a permit's ticket back with what its call said, and its place if it is at hand.
    pub(super) fn settle(self: &Arc<Gate>, back: Back, said: Said) {
        let Back { ticket, attempt, left_at, has_place } = back;
        let now = self.now();
        let took = now.since(left_at);
        let mut inner = self.inner();
        if said == Said::NOTHING {
            inner.did_not_leave(attempt, now);
        }
        let (settled, pause) = inner.settle(ticket, said, took, now, fastrand::u64(..));
        if has_place {
            inner.places.vacate();
        }
        let share = inner.share_now_after_trip(settled, now);
        let woken = inner.fit(now);
        let somebody_waits = inner.somebody_waits();
        let opening = matches!(settled, Settled::Opened(_)).then(|| inner.opening(now));
        drop(inner);
        woken.wake(self);
        self.meters.called(kind(said.verdict), took);
        self.tell(settled, opening);
        if let Some(span) = pause {
            self.publish(What::PauseAsked { span });
        }
        if let Some(share) = share {
            self.publish(What::Degraded { share });
        }
        if somebody_waits {
            self.bell.notify_one();
        }
    }

    /// Keeps a call that failed for people to see.
    pub(super) fn failed(&self, failed: FailedCall) {
        self.inner().failed(failed);
    }

    /// A call that had been given up succeeded after all: the participant works.
    pub(super) fn late_success(&self) {
        let now = self.now();
        let asks = self.inner().late_success(now);
        if asks {
            info!(
                participant = self.name(),
                "calls that had been given up succeed late: the participant is asked again now"
            );
            self.bell.notify_one();
        }
    }

    /// Works by `settings` from now on; what is counted and who waits stays.
    pub(super) fn configure(self: &Arc<Gate>, settings: GateSettings) {
        self.change(|inner, now| inner.configure(settings, now));
    }

    /// Everybody who waits looks again: what held them back is gone.
    pub(super) fn open_line(self: &Arc<Gate>) {
        self.change(|inner, _| inner.forgive_times());
    }

    /// What people have decided holds from now on; the same again changes nothing.
    pub(super) fn apply(self: &Arc<Gate>, said: Steering) {
        let mut told = Vec::new();
        self.change(|inner, now| told = inner.apply(said, now));
        told.into_iter().for_each(|what| self.publish(what));
    }

    pub(super) fn view(&self) -> GateView {
        let now = self.now();
        self.inner().view(now)
    }

    /// Puts into effect and tells what time alone has changed since it was last asked to.
    pub(super) fn look_at_the_time(self: &Arc<Gate>) {
        let now = self.now();
        let mut inner = self.inner();
        let is_restored = inner.is_restored(now);
        let woken = inner.fit(now);
        drop(inner);
        woken.wake(self);
        if is_restored {
            self.publish(What::Restored);
            self.bell.notify_one();
        }
    }

    fn change(self: &Arc<Gate>, change: impl FnOnce(&mut Inner, Monotonic)) {
        let now = self.now();
        let mut inner = self.inner();
        change(&mut inner, now);
        let woken = inner.fit(now);
        drop(inner);
        woken.wake(self);
        self.bell.notify_one();
    }

    fn tell(&self, settled: Settled, opening: Option<Opening>) {
        let participant = self.name();
        match settled {
            Settled::Kept | Settled::Stale => {}
            Settled::Opened(trip) => {
                self.tell_of_opening(trip, opening);
            }
            Settled::Closed => {
                info!(participant, "the breaker closed");
                self.publish(What::BreakerClosed);
            }
            Settled::WouldOpen(trip) => {
                warn!(participant, trip = trip.as_str(), "the breaker only counts, and would have opened");
                self.publish(What::BreakerWouldOpen { trip });
            }
        }
    }

    fn tell_of_opening(&self, trip: Trip, opening: Option<Opening>) {
        let (participant, trip_word) = (self.name(), trip.as_str());
        let (tripped, last) = opening.map_or((None, None), |opening| (opening.tripped, opening.last));
        let (calls, failed) = tripped.map_or((0, 0), |tripped| (tripped.calls, tripped.failures));
        let saga = last.as_ref().map(|last| last.saga.as_str());
        let failure = last.as_ref().map(FailedCall::told).unwrap_or_default();
        match trip {
            Trip::Probe => {
                warn!(
                    participant,
                    trip = trip_word,
                    failure,
                    saga,
                    "a probe failed: the breaker stays open; commands wait"
                );
            }
            Trip::FailureRate | Trip::SlowCallRate | Trip::ConsecutiveFailures => {
                warn!(participant, trip = trip_word, calls, failed, failure, saga, "the breaker opened; commands wait");
            }
        }
        self.publish(What::BreakerOpened { trip, calls, failures: failed, last });
    }

    fn publish(&self, what: What) {
        self.changes.publish(Some(&self.name), what);
    }

    /// When the breaker may admit a call; zero: now.
    pub(super) fn opens_in(&self) -> Duration {
        let now = self.now();
        self.inner().opens_in(now)
    }

    pub(super) fn now(&self) -> Monotonic {
        Monotonic::since_origin(self.started.elapsed())
    }

    /// The guards are consistent between any two of their methods, so a panic elsewhere under the lock leaves nothing half done.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Whether somebody waits for it, or a call is out.
    pub(super) fn is_in_use(&self) -> bool {
        let view = self.view();
        view.permits > 0 || view.in_line > 0
    }

    /// Whether anybody has it: who waits for it, whose call is out, or who has just found it and is about to ask.
    pub(super) fn is_held(self: &Arc<Gate>) -> bool {
        Arc::strong_count(self) > 1
    }
}

fn kind(verdict: Verdict) -> Called {
    match verdict {
        Verdict::Succeeded => Called::Successful,
        Verdict::Failed | Verdict::Throttled => Called::Failed,
        Verdict::Neutral => Called::Ignored,
    }
}
