//! The permit for one call: from the guards' decision until the call has ended.

use crate::{
    call_signal::CallSignal,
    failed_call::FailedCall,
    gate::{AdmittedCall, AttemptKind, BulkheadSlot, CallGate, CallReturn, GuardRefusal, PermitRequest},
};
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin},
    id::SagaId,
};
use saga_guards::{MonotonicTime, breaker::BreakerTicket};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The permit for one call to one participant. Dropped, it is given back and says nothing about the participant.
#[derive(Debug)]
#[must_use = "a dropped permit is given back at once"]
pub struct CallPermit {
    gate: Arc<CallGate>,
    /// Taken out when the permit is settled.
    ticket: Option<BreakerTicket>,
    admitted: AdmittedCall,
    attempt: AttemptKind,
    /// When the permit was given; from [`CallPermit::acquire`] on, when the call began.
    started_at: MonotonicTime,
    bulkhead_permit: BulkheadPermit,
}

/// The call's slot of the bulkhead.
#[derive(Debug)]
enum BulkheadPermit {
    /// The call is not in flight yet.
    None,
    /// The permit holds it.
    Held,
    /// The task that sends the call puts it into the cell.
    Delegated(BulkheadSlotCell),
}

/// The slot of a call whose reply is awaited: filled by the task that sends the call, free again with the permit.
pub type BulkheadSlotCell = Arc<OnceLock<BulkheadSlot>>;

impl CallPermit {
    /// Asks the guards for one call.
    ///
    /// # Errors
    /// The guard that refuses. Nothing is taken then.
    pub(crate) fn request(
        gate: &Arc<CallGate>,
        request: PermitRequest,
        health: Result<(), Duration>,
    ) -> Result<CallPermit, GuardRefusal> {
        let (ticket, now) = gate.admit(request, health)?;
        let PermitRequest { lane, attempt, .. } = request;
        Ok(CallPermit {
            gate: Arc::clone(gate),
            admitted: AdmittedCall { lane, generation: ticket.generation() },
            ticket: Some(ticket),
            attempt,
            started_at: now,
            bulkhead_permit: BulkheadPermit::None,
        })
    }

    /// Waits for the rate limit and then for a slot of the bulkhead, each no longer than the participant's `maxWait`.
    /// The call is in flight when this returns; its slot is free again with the permit.
    ///
    /// # Errors
    /// The guard that refuses, and when to ask again.
    pub async fn acquire(&mut self) -> Result<(), GuardRefusal> {
        self.started_at = match self.gate.try_acquire(self.admitted)? {
            Some(now) => now,
            None => self.gate.acquire_within_max_wait(self.admitted).await?.forget(),
        };
        self.bulkhead_permit = BulkheadPermit::Held;
        Ok(())
    }

    /// Whether the call finds out if the participant is available again.
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(BreakerTicket::is_probe)
    }

    /// Lets another task send the call, while the permit stays here until the reply: that task acquires the slot and
    /// puts it into the cell.
    pub fn delegate(&mut self) -> (PendingCall, BulkheadSlotCell) {
        let cell = BulkheadSlotCell::default();
        self.bulkhead_permit = BulkheadPermit::Delegated(Arc::clone(&cell));
        (PendingCall { gate: Arc::clone(&self.gate), admitted: self.admitted }, cell)
    }

    /// Keeps what `answer` says of a call that failed, for people to see.
    pub fn record_failure(&self, saga: SagaId, answer: &CommandAnswer) {
        match answer {
            CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. }
                if CallSignal::from_answer(answer).is_bad() =>
            {
                self.gate.record_failure(FailedCall::now(saga, failure));
            }
            CommandAnswer::Failed { .. }
            | CommandAnswer::Unknown { .. }
            | CommandAnswer::Succeeded { .. }
            | CommandAnswer::Ongoing { .. }
            | CommandAnswer::NotSent { .. } => {}
        }
    }

    /// Tells the guards that no answer came within the attempt's time.
    pub fn settle_timeout(self, saga: SagaId) {
        let failure = CommandFailure::new("timeout", "no answer within the attempt's time")
            .of_origin(FailureOrigin::Transport)
            .of_class(ErrorClass::Timeout);
        self.gate.record_failure(FailedCall::now(saga, &failure));
        self.settle(CallSignal::TIMEOUT);
    }

    /// Tells the guards how the call went.
    pub fn settle(mut self, signal: CallSignal) {
        self.give_back(signal);
    }

    fn give_back(&mut self, signal: CallSignal) {
        let Some(ticket) = self.ticket.take() else { return };
        let (started_at, holds_slot) = match &self.bulkhead_permit {
            BulkheadPermit::None => (self.started_at, false),
            BulkheadPermit::Held => (self.started_at, true),
            BulkheadPermit::Delegated(cell) => (cell.get().map_or(self.started_at, BulkheadSlot::since), false),
        };
        self.gate.settle(CallReturn { ticket, attempt: self.attempt, started_at, holds_slot }, signal);
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.give_back(CallSignal::NEUTRAL);
    }
}

/// The right to send a call whose permit another task holds.
#[derive(Debug)]
pub struct PendingCall {
    gate: Arc<CallGate>,
    admitted: AdmittedCall,
}

impl PendingCall {
    /// As [`CallPermit::acquire`]; the slot is free again when it is dropped.
    ///
    /// # Errors
    /// The guard that refuses, and when to ask again.
    pub async fn acquire(self) -> Result<BulkheadSlot, GuardRefusal> {
        match self.gate.try_acquire(self.admitted)? {
            Some(now) => Ok(BulkheadSlot::given(&self.gate, now)),
            None => self.gate.acquire_within_max_wait(self.admitted).await,
        }
    }
}
