//! The guards of one participant together, as the gate's lock protects them. Each method takes some instructions; none
//! waits.

use super::{
    AdmittedCall, CallReturn, GateView, GuardRefusal, PermitRequest,
    acquire::PendingWakeups,
    admission::{AdmissionCheck, respects_health_checks},
    capacity::{CallCapacity, NotifyCapacity, refund_retry_budget},
    wait_queue::{CommandQueues, NOTIFICATION_TTL},
};
use crate::{
    call_signal::CallSignal,
    failed_call::{FailedCall, RecentFailures},
    guard_events::GuardEventKind,
    settings::{GateSettings, ManualOverride},
    topic_availability::TopicAvailability,
};
use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime,
    breaker::{self, BreakerState, BreakerTicket, BreakerTransition, CircuitBreaker, TripDetails, TripReason},
    budget::RetryBudget,
};
use std::time::Duration;

/// Commands that are notified and have not asked yet, at most: each of their sagas is read before it asks, and more at
/// once would only queue for the database.
const MAX_NOTIFIED: u32 = 256;

/// The guards of one participant.
#[derive(Debug)]
pub(super) struct GateState {
    pub(super) breaker: CircuitBreaker,
    pub(super) failures: RecentFailures,
    budget: RetryBudget,
    pub(super) capacity: CallCapacity,
    pub(super) queues: CommandQueues,
    manual_override: ManualOverride,
}

/// What a settled call has changed: to be woken and reported outside of the lock.
#[derive(Debug)]
pub(super) struct CallSettlement {
    pub(super) transition: BreakerTransition,
    /// What opened the breaker, if the call did.
    pub(super) opening: Option<BreakerOpening>,
    /// How long the participant gets no calls from now because it asked for that.
    pub(super) pause: Option<Duration>,
    /// The share of the capacity that is used from now on because the breaker has closed.
    pub(super) degraded_to: Option<f64>,
    pub(super) wakeups: PendingWakeups,
    pub(super) has_waiters: bool,
}

/// What is reported when the breaker opens.
#[derive(Clone, Debug)]
pub(super) struct BreakerOpening {
    pub(super) tripped: Option<TripDetails>,
    pub(super) last: Option<FailedCall>,
}

impl GateState {
    pub(super) fn new(settings: &GateSettings, now: MonotonicTime) -> GateState {
        GateState {
            breaker: CircuitBreaker::new(settings.breaker, now),
            failures: RecentFailures::default(),
            budget: RetryBudget::new(settings.budget, now),
            capacity: CallCapacity::new(settings, now),
            queues: CommandQueues::default(),
            manual_override: ManualOverride::default(),
        }
    }

    /// Leads a call through the guards of [`AdmissionCheck`]; an admitted call takes a permit.
    pub(super) fn admit(
        &mut self,
        request: PermitRequest,
        health: Result<(), Duration>,
        now: MonotonicTime,
        random: u64,
    ) -> Result<BreakerTicket, GuardRefusal> {
        let GateState { breaker, budget, capacity, queues, .. } = self;
        let check = AdmissionCheck { breaker, budget, capacity, queues, request, now, random };
        let ticket = check.admit(health)?;
        self.capacity.count_admitted();
        Ok(ticket)
    }

    /// Whether the breaker still lets a call be made that it has admitted.
    pub(super) fn check_still_admitted(&mut self, call: AdmittedCall, now: MonotonicTime) -> Result<(), GuardRefusal> {
        let recalled = self.breaker.check_again(call.generation, now);
        recalled.map_or(Ok(()), |not_before| Err(GuardRefusal::by(GuardKind::Breaker, not_before)))
    }

    /// Takes a permit back with what its call said.
    pub(super) fn settle(
        &mut self,
        back: CallReturn,
        signal: CallSignal,
        now: MonotonicTime,
        random: u64,
    ) -> CallSettlement {
        // A call that was not made has neither paid into the budget nor taken from it.
        if signal == CallSignal::NEUTRAL {
            refund_retry_budget(&mut self.budget, back.attempt, now);
        }
        let took = now.since(back.started_at);
        self.capacity.count_settled();
        let transition = self.breaker.settle(back.ticket, signal.verdict, took, now, random);
        let pause = signal.retry_after.and_then(|pause| self.breaker.open_for_at_least(pause, now));
        self.capacity.bulkhead.record_load(signal.load(took), now);
        let degraded_to = self.follow(transition, now);
        if back.holds_slot {
            self.capacity.bulkhead.slots().release_without_handover();
        }
        let wakeups = self.resize_limits(now);
        let opening = matches!(transition, BreakerTransition::Opened(_)).then(|| self.opening(now));
        CallSettlement { transition, opening, pause, degraded_to, wakeups, has_waiters: self.has_waiters() }
    }

    /// What the other guards do when the breaker changes its state. Answers the share of the capacity that is used by
    /// that.
    fn follow(&mut self, transition: BreakerTransition, now: MonotonicTime) -> Option<f64> {
        match transition {
            BreakerTransition::Opened(
                TripReason::FailureRate | TripReason::SlowCallRate | TripReason::ConsecutiveFailures,
            ) => {
                self.failures.opened();
                None
            }
            BreakerTransition::Closed => {
                self.failures.closed();
                self.queues.clear_probe_penalties();
                self.capacity.degraded.begin_after_trip(now)
            }
            // A probe that fails only prolongs the opening, whose failures are kept.
            BreakerTransition::Opened(TripReason::Probe)
            | BreakerTransition::Kept
            | BreakerTransition::Stale
            | BreakerTransition::WouldOpen(_) => None,
        }
    }

    fn opening(&mut self, now: MonotonicTime) -> BreakerOpening {
        let snapshot = self.breaker.snapshot(now);
        BreakerOpening { tripped: snapshot.tripped, last: self.failures.last().into_iter().next() }
    }

    /// A call that had been given up succeeded after all. Answers whether the breaker lets probes through earlier
    /// because of that.
    pub(super) fn late_success(&mut self, now: MonotonicTime) -> bool {
        let probes_now = self.breaker.late_success(now);
        if probes_now {
            self.queues.clear_not_before();
        }
        probes_now
    }

    /// Gives the bulkhead and the rate limit the size that holds at `now`.
    pub(super) fn resize_limits(&mut self, now: MonotonicTime) -> PendingWakeups {
        self.capacity.resize(now)
    }

    /// Works by `settings` from now on. Counts, state and waiting commands stay.
    pub(super) fn configure(&mut self, settings: &GateSettings, now: MonotonicTime) {
        self.breaker.configure(settings.breaker, now);
        self.budget.configure(settings.budget);
        self.capacity.configure(settings, now);
        // The waiting commands got their delays from the settings before.
        self.queues.clear_not_before();
    }

    /// Puts into effect what operators have set. Answers what is different by that.
    pub(super) fn apply(&mut self, manual: ManualOverride, now: MonotonicTime) -> Vec<GuardEventKind> {
        let (mut changes, share_before) = (Vec::new(), self.capacity.degraded.share(now));
        if manual.resets != self.manual_override.resets {
            self.reset(now);
            changes.push(GuardEventKind::Reset);
        }
        if manual.mode != self.breaker.mode() {
            self.breaker.set_mode(manual.mode, now);
            changes.push(GuardEventKind::ModeChanged { mode: manual.mode });
        }
        if manual != self.manual_override {
            self.queues.clear_not_before();
        }
        self.capacity.set_override(&manual);
        self.manual_override = manual;
        changes.extend(change_of_share(share_before, self.capacity.degraded.share(now)));
        changes
    }

    fn reset(&mut self, now: MonotonicTime) {
        self.breaker.reset(now);
        self.failures.closed();
        // The commands that wait would otherwise be sent all at once.
        if self.has_waiters() {
            self.breaker.close_with_ramp(now);
        }
        self.capacity.degraded.end();
    }

    pub(super) fn time_to_admission(&mut self, now: MonotonicTime) -> Duration {
        let room = self.breaker.room(now);
        if room.calls > 0 { Duration::ZERO } else { room.check_again_in.unwrap_or(breaker::FORCED_OPEN_DELAY) }
    }

    /// How many waiting commands may be notified: as many as would be admitted and find a slot or a short queue for
    /// one.
    pub(super) fn notify_capacity(
        &mut self,
        health: Result<(), Duration>,
        topic: TopicAvailability,
        now: MonotonicTime,
    ) -> NotifyCapacity {
        if let (true, Err(later)) = (respects_health_checks(&self.breaker), health) {
            return NotifyCapacity::none_for(later);
        }
        let most = match topic {
            TopicAvailability::All => MAX_NOTIFIED,
            TopicAvailability::Probe => 1,
            TopicAvailability::Nothing(later) => return NotifyCapacity::none_for(later),
        };
        let capacity = self.capacity.notify_capacity(self.breaker.room(now), now);
        // A command that was notified and has not asked yet is going to use what is free.
        let notified = self.queues.notified(now);
        let forgotten_in = (notified > 0).then_some(NOTIFICATION_TTL);
        NotifyCapacity {
            calls: capacity.calls.min(most).saturating_sub(notified),
            check_again_in: [capacity.check_again_in, forgotten_in].into_iter().flatten().min(),
        }
    }

    /// How many of them may be further attempts.
    pub(super) fn retry_notify_capacity(&mut self, now: MonotonicTime) -> NotifyCapacity {
        NotifyCapacity::of_retries(&mut self.budget, now)
    }

    pub(super) fn has_waiters(&self) -> bool {
        !self.queues.is_empty()
    }

    pub(super) fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    pub(super) fn view(&mut self, now: MonotonicTime) -> GateView {
        let capacity = &self.capacity;
        GateView {
            now,
            breaker: self.breaker.snapshot(now),
            last_failures: self.failures.last(),
            failures_before_opening: self.failures.failures_before_opening(),
            permits: capacity.permits(),
            calls_begun: capacity.calls_begun(),
            limit: capacity.bulkhead.limit(),
            waiting: capacity.bulkhead.waiting(),
            rate_limit_waiting: capacity.rate_limit.waiting(),
            rate_limit_capacity: capacity.rate_limit.capacity(now),
            budget: self.budget.snapshot(now),
            share: capacity.degraded.share(now),
            queued: u32::try_from(self.queues.len()).unwrap_or(u32::MAX),
        }
    }
}

#[expect(clippy::float_cmp, reason = "a share that nobody touched is the same bits")]
fn change_of_share(before: f64, after: f64) -> Option<GuardEventKind> {
    if before == after {
        return None;
    }
    Some(if after < 1.0 { GuardEventKind::Degraded { share: after } } else { GuardEventKind::Restored })
}
