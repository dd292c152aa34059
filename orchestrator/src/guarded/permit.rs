//! A participant's breaker, and the permits it has given.

use super::{
    acts::Mode,
    bulkhead::Slot,
    changes::{Changes, What},
    metrics::{Called, Meters},
};
use saga_guards::{
    Monotonic,
    breaker::{self, Admission, Breaker, Settled, Snapshot, State, Ticket},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// How long a probe holds its slot at most: longer than most attempts. Without it, calls whose answers are lost would keep the breaker
/// half-open for ever.
const PROBE_HOLD: Duration = Duration::from_secs(60);

/// How soon a place may be free where all probes are out, as far as whoever picks a participant is concerned.
const PROBES_OUT_REST: Duration = Duration::from_secs(1);

/// A breaker with a clock.
#[derive(Debug)]
pub(super) struct Health {
    participant: String,
    started: Instant,
    breaker: Mutex<Breaker>,
    permits: AtomicU32,
    /// How many resets on record were put into effect.
    resets: AtomicU64,
    meters: Meters,
    changes: Changes,
}

/// Leave for one call to one participant. Dropped, it is given back and says nothing about the participant.
#[derive(Debug)]
#[must_use = "a dropped permit is given back at once"]
pub struct Permit {
    health: Arc<Health>,
    /// Taken out when it is settled.
    ticket: Option<Ticket>,
    since: Monotonic,
    /// Where the place in the bulkhead is put that the call gets later.
    seat: Seat,
}

/// The place of a call that is awaited: filled by whoever sends it, free again with the permit.
pub type Seat = Arc<OnceLock<Slot>>;

/// What a call that left says about its participant. If it says nothing, drop the permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, be it to say no.
    Success,
    /// It did not, or not in time, or with an error of its own.
    Failure,
}

impl Health {
    pub(super) fn new(participant: String, config: breaker::Config, changes: Changes) -> Health {
        Health {
            meters: Meters::of(&participant),
            participant,
            started: Instant::now(),
            breaker: Mutex::new(Breaker::new(config, Monotonic::default())),
            permits: AtomicU32::new(0),
            resets: AtomicU64::new(0),
            changes,
        }
    }

    /// Leaves the breaker to `mode`; reset first if there were more `resets` than before.
    pub(super) fn steer(&self, mode: Mode, resets: u64) {
        let now = self.now();
        let is_reset = self.resets.swap(resets, Ordering::Relaxed) < resets;
        let is_new = {
            let mut breaker = self.breaker();
            let before = breaker.mode();
            if is_reset {
                breaker.reset(now);
            }
            breaker.set_mode(mode.into(), now);
            breaker.mode() != before
        };
        if is_reset {
            self.tell(What::Reset);
        }
        if is_new {
            self.tell(What::ModeChanged { mode });
        }
    }

    fn tell(&self, what: What) {
        self.changes.publish(Some(&self.participant), what);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        self.breaker().snapshot(now)
    }

    /// How long no call would be admitted; `None`: one would be now.
    pub(super) fn refuses(&self) -> Option<Duration> {
        let now = self.now();
        let room = self.breaker().room(now);
        (room.calls == 0).then(|| room.look_again.unwrap_or(PROBES_OUT_REST))
    }

    /// Permits that are neither settled nor given back.
    pub(super) fn permits(&self) -> u32 {
        self.permits.load(Ordering::Relaxed)
    }

    fn settle(&self, ticket: Ticket, verdict: breaker::Verdict, since: Monotonic) {
        let now = self.now();
        let took = now.since(since);
        let settled = self.breaker().settle(ticket, verdict, took, now, fastrand::u64(..));
        self.meters.called(kind(verdict), took);
        let participant = self.participant.as_str();
        match settled {
            Settled::Kept | Settled::Stale => {}
            Settled::Opened(trip) => {
                warn!(participant, ?trip, "the breaker opened; commands wait");
                self.tell(What::BreakerOpened { trip });
            }
            Settled::Closed => {
                info!(participant, "the breaker closed");
                self.tell(What::BreakerClosed);
            }
            Settled::WouldOpen(trip) => {
                warn!(participant, ?trip, "the breaker would open if it did not only count");
                self.tell(What::BreakerWouldOpen { trip });
            }
        }
    }

    fn now(&self) -> Monotonic {
        Monotonic::since_origin(self.started.elapsed())
    }

    /// A breaker is consistent between any two of its methods, so a panic elsewhere under the lock leaves nothing half done.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Leave for one call, or how long to wait before asking again.
    pub(super) fn take(health: &Arc<Health>) -> Result<Permit, Duration> {
        let now = health.now();
        let (admission, begins_probing) = {
            let mut breaker = health.breaker();
            let before = breaker.state();
            let admission = breaker.admit(now, PROBE_HOLD, fastrand::u64(..));
            (admission, before == State::Open && breaker.state() == State::HalfOpen)
        };
        if begins_probing {
            health.tell(What::BreakerHalfOpen);
        }
        match admission {
            Admission::Refused { retry_after, why: _ } => {
                health.meters.not_permitted();
                Err(retry_after)
            }
            Admission::Admitted(ticket) => {
                health.permits.fetch_add(1, Ordering::Relaxed);
                Ok(Permit { health: Arc::clone(health), ticket: Some(ticket), since: now, seat: Seat::default() })
            }
        }
    }

    /// Where to put the call's place in the bulkhead, so that it is held as long as the permit.
    #[must_use]
    pub fn seat(&self) -> Seat {
        Arc::clone(&self.seat)
    }

    /// Tells the breaker how the call went.
    pub fn settle(mut self, verdict: Verdict) {
        if let Some(ticket) = self.ticket.take() {
            let verdict = match verdict {
                Verdict::Success => breaker::Verdict::Succeeded,
                Verdict::Failure => breaker::Verdict::Failed,
            };
            self.health.settle(ticket, verdict, self.since);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.health.permits.fetch_sub(1, Ordering::Relaxed);
        if let Some(ticket) = self.ticket.take() {
            self.health.settle(ticket, breaker::Verdict::Neutral, self.since);
        }
    }
}

fn kind(verdict: breaker::Verdict) -> Called {
    match verdict {
        breaker::Verdict::Succeeded => Called::Successful,
        breaker::Verdict::Failed | breaker::Verdict::Throttled => Called::Failed,
        breaker::Verdict::Neutral => Called::Ignored,
    }
}
