//! The permits of one saga's calls. A permit is in this table from its admission until the answer to its attempt.
//!
//! Two things leave the table. A call over HTTP takes its permit along: it settles the permit when its answer is there,
//! and not when the shard's queue gets to that answer, and it is in flight as long as it runs, also when its saga does
//! not wait for it any more. A publication takes its permit along until the broker has answered. A command over Kafka
//! has nothing that waits for its reply, so its permit stays here and the sender gets a delegate.

use saga_core::{
    command::{CommandAnswer, CommandRef, CommandRequest},
    id::SagaId,
};
use saga_resilience::{
    call_signal::CallSignal,
    permit::{BulkheadSlotCell, CallPermit, PendingCall},
};

/// Permits by command and attempt. Dropped, all are returned and say nothing about their participants.
#[derive(Debug, Default)]
pub(crate) struct PermitTable {
    held: Vec<HeldPermit>,
}

#[derive(Debug)]
struct HeldPermit {
    command: CommandRef,
    attempt: u32,
    permit: CallPermit,
}

/// What the sender of a call gets.
#[derive(Debug)]
pub(crate) enum CallLeave {
    /// The permit itself: the call settles it at its end.
    Permit(CallPermit),
    /// The table keeps the permit until the reply: the sender takes the place in the bulkhead only.
    Delegate(PendingCall, BulkheadSlotCell),
}

impl PermitTable {
    /// For the admissions of one decision: they are kept if the decision is.
    pub(crate) fn draft(&mut self) -> PermitDraft<'_> {
        PermitDraft { since: self.held.len(), table: self }
    }

    /// Keeps a permit that was asked for outside of a decision.
    pub(crate) fn hold(&mut self, command: CommandRef, attempt: u32, permit: CallPermit) {
        self.held.push(HeldPermit { command, attempt, permit });
    }

    pub(crate) fn has(&self, command: CommandRef, attempt: u32) -> bool {
        self.position(command, Some(attempt)).is_some()
    }

    /// What the sender of the attempt gets; `None`: there is no permit for it.
    pub(crate) fn send(&mut self, command: CommandRef, attempt: u32, request: &CommandRequest) -> Option<CallLeave> {
        match request {
            CommandRequest::Kafka { .. } => {
                let position = self.position(command, Some(attempt))?;
                let (pending, slot) = self.held[position].permit.delegate();
                Some(CallLeave::Delegate(pending, slot))
            }
            CommandRequest::Http { .. } | CommandRequest::Publish { .. } => {
                self.take(command, Some(attempt)).map(CallLeave::Permit)
            }
        }
    }

    /// The permit of a publication, which returns it when the broker has answered.
    pub(crate) fn publish(&mut self, command: CommandRef, attempt: u32) -> Option<CallPermit> {
        self.take(command, Some(attempt))
    }

    /// An answer tells the breaker how the participant is; which attempt it was about is no matter of the guard. An
    /// attempt that goes on keeps its permit.
    pub(crate) fn settle(&mut self, saga: SagaId, command: CommandRef, attempt: Option<u32>, answer: &CommandAnswer) {
        let goes_on = matches!(answer, CommandAnswer::Ongoing { .. });
        if !goes_on && let Some(permit) = self.take(command, attempt) {
            permit.record_failure(saga, answer);
            permit.settle(CallSignal::from_answer(answer));
        }
    }

    /// The attempt had no answer in its time: that counts as a failure of the participant.
    pub(crate) fn expire(&mut self, saga: SagaId, command: CommandRef, attempt: u32) {
        if let Some(permit) = self.take(command, Some(attempt)) {
            permit.settle_timeout(saga);
        }
    }

    /// The attempt is over for a reason that says nothing about the participant.
    pub(crate) fn release(&mut self, command: CommandRef, attempt: u32) {
        if let Some(permit) = self.take(command, Some(attempt)) {
            permit.settle(CallSignal::NEUTRAL);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn take(&mut self, command: CommandRef, attempt: Option<u32>) -> Option<CallPermit> {
        let position = self.position(command, attempt)?;
        Some(self.held.swap_remove(position).permit)
    }

    /// `None`: for whichever attempt a permit is held.
    fn position(&self, command: CommandRef, attempt: Option<u32>) -> Option<usize> {
        let is_it =
            |held: &HeldPermit| held.command == command && attempt.is_none_or(|attempt| attempt == held.attempt);
        self.held.iter().position(is_it)
    }
}

/// The admissions of a decision that is being made. Dropped, they are returned.
#[derive(Debug)]
pub(crate) struct PermitDraft<'a> {
    table: &'a mut PermitTable,
    /// How many permits the table had before.
    since: usize,
}

impl PermitDraft<'_> {
    pub(crate) fn hold(&mut self, command: CommandRef, attempt: u32, permit: CallPermit) {
        self.table.hold(command, attempt, permit);
    }

    /// The decision is made: its calls are sent after its commit.
    pub(crate) fn keep(mut self) {
        self.since = self.table.held.len();
    }
}

impl Drop for PermitDraft<'_> {
    fn drop(&mut self) {
        self.table.held.truncate(self.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{
        command::CommandDirection,
        definition::participants,
        id::{ShardId, StepIndex},
        time::Timestamp,
    };
    use saga_guards::PriorityLane;
    use saga_resilience::{
        gate::{AttemptKind, CallArrival, PermitRequest},
        registry::{GuardAdmission, GuardRegistry},
    };
    use serde_json::json;

    const COMMAND: CommandRef = CommandRef { step: StepIndex(0), direction: CommandDirection::Do };

    /// A participant that takes so many calls at a time.
    fn guards(limit: u32) -> GuardRegistry {
        let text = format!("participants:\n  stock: {{kafka: {{commands: stock}}, bulkhead: {limit}}}\n");
        let said = participants::parse("participants.yaml", &text, &|_| None).expect("participants");
        GuardRegistry::from_participants(&said).expect("guards")
    }

    fn admit(guards: &GuardRegistry) -> Option<CallPermit> {
        let asking = PermitRequest { lane: PriorityLane::Do, attempt: AttemptKind::First, arrival: CallArrival::New };
        match guards.admit("stock", asking) {
            GuardAdmission::Admitted(permit) => Some(permit),
            GuardAdmission::Refused { .. } | GuardAdmission::NotConfigured => None,
        }
    }

    #[test]
    fn the_permits_of_a_decision_that_is_not_made_are_returned() {
        let (guards, mut table) = (guards(2), PermitTable::default());
        table.hold(COMMAND, 1, admit(&guards).expect("there is room"));
        let mut draft = table.draft();
        draft.hold(COMMAND, 2, admit(&guards).expect("there is room"));
        drop(draft);
        assert!(table.has(COMMAND, 1) && !table.has(COMMAND, 2));
        let mut draft = table.draft();
        draft.hold(COMMAND, 2, admit(&guards).expect("it was returned"));
        draft.keep();
        assert!(table.has(COMMAND, 1) && table.has(COMMAND, 2));
        assert!(admit(&guards).is_none(), "both are kept");
    }

    #[tokio::test]
    async fn a_command_over_kafka_has_its_place_until_its_reply() {
        let (guards, mut table) = (guards(1), PermitTable::default());
        table.hold(COMMAND, 1, admit(&guards).expect("there is room"));
        let request = CommandRequest::Kafka { participant: "stock".into(), command: "Reserve".into(), body: json!({}) };
        let Some(CallLeave::Delegate(pending, slot)) = table.send(COMMAND, 1, &request) else {
            panic!("the permit stays in the table")
        };
        slot.set(pending.acquire().await.expect("a place is free")).expect("it is empty");
        drop(slot);
        assert!(admit(&guards).is_none(), "the only place is taken");
        let saga = SagaId::new(Timestamp(1), ShardId(0), 7);
        table.settle(saga, COMMAND, Some(1), &CommandAnswer::Succeeded { result: json!({}) });
        assert!(table.is_empty() && admit(&guards).is_some(), "the reply returns it");
    }
}
