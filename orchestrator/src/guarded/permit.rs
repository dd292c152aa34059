//! A participant's breaker, and the permits it has given.

use super::bulkhead::Slot;
use saga_guards::{
    Monotonic,
    breaker::{self, Admission, Breaker, Settled, Snapshot, Ticket},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// How long a probe holds its slot at most: longer than most attempts. Without it, calls whose answers are lost would keep the breaker
/// half-open for ever.
const PROBE_HOLD: Duration = Duration::from_secs(60);

/// A breaker with a clock.
#[derive(Debug)]
pub(super) struct Health {
    participant: String,
    started: Instant,
    breaker: Mutex<Breaker>,
    permits: AtomicU32,
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
    pub(super) fn new(participant: String, config: breaker::Config) -> Health {
        let breaker = Mutex::new(Breaker::new(config, Monotonic::default()));
        Health { participant, started: Instant::now(), breaker, permits: AtomicU32::new(0) }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        self.breaker().snapshot(now)
    }

    /// Permits that are neither settled nor given back.
    pub(super) fn permits(&self) -> u32 {
        self.permits.load(Ordering::Relaxed)
    }

    fn settle(&self, ticket: Ticket, verdict: breaker::Verdict, since: Monotonic) {
        let now = self.now();
        let settled = self.breaker().settle(ticket, verdict, now.since(since), now, fastrand::u64(..));
        let participant = self.participant.as_str();
        match settled {
            Settled::Kept | Settled::Stale => {}
            Settled::Opened(trip) => warn!(participant, ?trip, "the breaker opened; commands wait"),
            Settled::Closed => info!(participant, "the breaker closed"),
            Settled::WouldOpen(trip) => warn!(participant, ?trip, "the breaker would open if it did not only count"),
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
        let admission = health.breaker().admit(now, PROBE_HOLD, fastrand::u64(..));
        match admission {
            Admission::Refused { retry_after, why: _ } => Err(retry_after),
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
