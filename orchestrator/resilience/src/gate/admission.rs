//! The guards before the decision on a call, in their order.
//!
//! Each step either passes the call on to the next one or refuses it. A refused call has changed no guard, with two
//! exceptions that the steps name.

use super::{AttemptKind, CallArrival, GuardRefusal, PermitRequest, capacity::CallCapacity, wait_queue::CommandQueues};
use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime,
    breaker::{BreakerAdmission, BreakerMode, BreakerTicket, CallVerdict, CircuitBreaker},
    budget::RetryBudget,
};
use std::time::Duration;

/// How long a probe holds its slot at most: longer than most attempts. The breaker cuts it at `probeTimeout`.
const PROBE_HOLD: Duration = Duration::from_secs(60);

/// The shortest delay that a refused caller receives.
const SHORTEST_DELAY: Duration = Duration::from_millis(10);

/// One call that asks, and the guards that it meets.
pub(super) struct AdmissionCheck<'a> {
    pub(super) breaker: &'a mut CircuitBreaker,
    pub(super) budget: &'a mut RetryBudget,
    pub(super) capacity: &'a CallCapacity,
    pub(super) queues: &'a mut CommandQueues,
    pub(super) request: PermitRequest,
    pub(super) now: MonotonicTime,
    pub(super) random: u64,
}

impl AdmissionCheck<'_> {
    /// Leads the call through all guards. On a refusal nothing is taken from the breaker or from the retry budget.
    ///
    /// # Errors
    /// The first guard that refuses.
    pub(super) fn admit(mut self, health: Result<(), Duration>) -> Result<BreakerTicket, GuardRefusal> {
        // Health comes first because it costs nothing and knows without a call that the participant is down.
        self.check_health(health)?;
        // The queue comes before everything that has a capacity: what is free belongs to the commands that wait.
        self.check_wait_queue()?;
        // Before the breaker, so that a call for which there is no room takes no probe's slot.
        self.check_memory_limits()?;
        let ticket = self.ask_breaker()?;
        // Last, so that a call that another guard refuses costs no retry.
        self.charge_retry_budget(ticket)
    }

    fn check_health(&self, health: Result<(), Duration>) -> Result<(), GuardRefusal> {
        if !respects_health_checks(self.breaker) {
            return Ok(());
        }
        health.map_err(|not_before| GuardRefusal::by(GuardKind::Health, not_before))
    }

    /// A call passes beside the commands that wait if there is room for all of them and for it.
    fn check_wait_queue(&mut self) -> Result<(), GuardRefusal> {
        let ahead = self.queues.ahead_of(self.request, self.now);
        if ahead == 0 {
            return Ok(());
        }
        // The refusal names the guard with the least room: that is the guard for which the call would wait.
        let (guard, room) = self.capacity.tightest(self.breaker.room(self.now).calls, self.now);
        let passes = usize::try_from(room).is_ok_and(|room| room > ahead);
        if passes { Ok(()) } else { Err(GuardRefusal::by(guard, Duration::ZERO)) }
    }

    /// Refuses before the decision what the rate limit or the bulkhead would only refuse after it.
    fn check_memory_limits(&self) -> Result<(), GuardRefusal> {
        self.capacity.check_memory_limits(self.now)
    }

    /// The first call after an open breaker's time makes it half-open, even if the retry budget then refuses the call.
    fn ask_breaker(&mut self) -> Result<BreakerTicket, GuardRefusal> {
        match self.breaker.admit(self.now, PROBE_HOLD, self.random) {
            BreakerAdmission::Admitted(ticket) => Ok(ticket),
            BreakerAdmission::Refused { retry_after, why: _ } => Err(self.refuse(GuardKind::Breaker, retry_after)),
        }
    }

    /// A first attempt adds to the budget, a further one takes from it; a further one that is refused is counted as
    /// refused.
    fn charge_retry_budget(&mut self, ticket: BreakerTicket) -> Result<BreakerTicket, GuardRefusal> {
        let charged = match self.request.attempt {
            AttemptKind::First => {
                self.budget.first(self.now);
                Ok(())
            }
            AttemptKind::Retry => self.take_retry(),
            AttemptKind::Repeat => Ok(()),
        };
        match charged {
            Ok(()) => Ok(ticket),
            Err(not_before) => {
                // The ticket may hold a probe's slot: the breaker has to get it back.
                let _ = self.breaker.settle(ticket, CallVerdict::Neutral, Duration::ZERO, self.now, self.random);
                Err(self.refuse(GuardKind::RetryBudget, not_before))
            }
        }
    }

    fn take_retry(&mut self) -> Result<(), Duration> {
        let ahead = match self.request.arrival {
            CallArrival::Notified => 0,
            CallArrival::New | CallArrival::AfterFailedProbe => self.queues.retries_ahead(self.now),
        };
        let balance = usize::try_from(self.budget.snapshot(self.now).balance).unwrap_or(usize::MAX);
        // What is left of the budget belongs to the retries that wait for it.
        if ahead > 0 && balance <= ahead {
            return Err(self.budget.wait(self.now).max(SHORTEST_DELAY));
        }
        self.budget.take(self.now)
    }

    fn refuse(&self, guard: GuardKind, delay: Duration) -> GuardRefusal {
        GuardRefusal::by(guard, spread(delay, self.random))
    }
}

/// An operator who forces a breaker closed knows better than a health check.
pub(super) fn respects_health_checks(breaker: &CircuitBreaker) -> bool {
    match breaker.mode() {
        BreakerMode::Automatic | BreakerMode::ForcedOpen => true,
        BreakerMode::ForcedClosed | BreakerMode::MetricsOnly => false,
    }
}

/// Up to a quarter later, so that refused callers do not come back all at once.
fn spread(delay: Duration, random: u64) -> Duration {
    let sixteenths = u32::try_from(random % 16).unwrap_or(0);
    delay + delay / 4 * sixteenths / 16
}
