//! A participant's breaker, and the permits it has given.

pub use saga_guards::breaker::Verdict;

use saga_guards::breaker::{self, Breaker};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// A breaker with a clock.
#[derive(Debug)]
pub(super) struct Health {
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
    leave: Option<breaker::Permit>,
}

impl Health {
    pub(super) fn new(config: breaker::Config) -> Health {
        Health { started: Instant::now(), breaker: Mutex::new(Breaker::new(config)), permits: AtomicU32::new(0) }
    }

    pub(super) fn state(&self) -> breaker::State {
        let now = self.now();
        self.breaker().state(now)
    }

    /// Permits that are neither settled nor given back.
    pub(super) fn permits(&self) -> u32 {
        self.permits.load(Ordering::Relaxed)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
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
        let leave = health.breaker().admit(now).map_err(|refused| refused.not_before.saturating_sub(now))?;
        health.permits.fetch_add(1, Ordering::Relaxed);
        Ok(Permit { health: Arc::clone(health), leave: Some(leave) })
    }

    /// Tells the breaker how the call went.
    pub fn settle(mut self, verdict: Verdict) {
        if let Some(leave) = self.leave.take() {
            let now = self.health.now();
            self.health.breaker().record(leave, verdict, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.health.permits.fetch_sub(1, Ordering::Relaxed);
        if let Some(leave) = self.leave.take() {
            let now = self.health.now();
            self.health.breaker().give_back(leave, now);
        }
    }
}
