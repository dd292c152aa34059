//! A saga's state in memory, and how far the event store has acknowledged it.

use super::{committer::CommitReceipt, journal::RecordedSaga};
use saga_core::{
    answerable::AnswerWatermark,
    command::CommandRef,
    react::{SagaEffect, react},
    state::{SagaPlan, SagaState, SendTime},
};
use std::{ops::Deref, sync::Arc};

/// The state that a shard's task decides on: as the store has it, or one decision ahead while that decision's append is
/// under way.
#[derive(Debug)]
pub(crate) struct LiveState {
    state: SagaState,
    /// The version up to which the store has acknowledged the state; 0: it has nothing of it.
    acknowledged: u32,
}

/// A state that the store has acknowledged: what is outstanding by it may be sent.
///
/// It is made from a journal that was read or from the receipt of a commit, and from nothing else.
#[derive(Debug)]
pub(crate) struct CommittedState<'a>(&'a SagaState);

impl LiveState {
    /// Of a saga that starts: nothing of it is acknowledged yet.
    pub(crate) fn starting(state: SagaState) -> LiveState {
        LiveState { state, acknowledged: 0 }
    }

    /// Of a saga that was read by a new owner, which knows the shard's answers so far. Returned with what the saga runs
    /// by.
    pub(crate) fn read(recorded: RecordedSaga, answerable: &AnswerWatermark) -> (Arc<SagaPlan>, LiveState) {
        let RecordedSaga { plan, mut state, decisions: _ } = recorded;
        state.taken_over(answerable);
        (plan, LiveState { acknowledged: state.version, state })
    }

    /// Decides: what `decide` does to the state is not acknowledged until its append is.
    pub(crate) fn decide<T>(&mut self, decide: impl FnOnce(&mut SagaState) -> T) -> T {
        decide(&mut self.state)
    }

    /// The append of the last decision is committed. A receipt of something else changes nothing.
    pub(crate) fn acknowledge(&mut self, receipt: &CommitReceipt) {
        if receipt.is_of(self.state.id, self.state.version) {
            self.acknowledged = self.state.version;
        }
    }

    /// `None` while an append is under way.
    pub(crate) fn committed(&self) -> Option<CommittedState<'_>> {
        (self.acknowledged == self.state.version).then_some(CommittedState(&self.state))
    }

    /// Notes when an attempt left. That is never recorded by itself.
    pub(crate) fn note_send_time(&mut self, command: CommandRef, attempt: u32, sent: SendTime) {
        self.state.departs(command, attempt, sent);
    }

    /// Notes whether the outcome event is on its way. That is never recorded by itself.
    pub(crate) fn note_outcome_sent(&mut self, is_sent: bool) {
        self.state.outcome_is_out = is_sent;
    }
}

/// Gives read access to the state, with or without a pending append.
impl Deref for LiveState {
    type Target = SagaState;

    fn deref(&self) -> &SagaState {
        &self.state
    }
}

impl CommittedState<'_> {
    /// Everything that is outstanding by this state.
    pub(crate) fn outstanding(&self, plan: &SagaPlan) -> Vec<SagaEffect> {
        react(plan, self.0)
    }
}

/// Gives read access to the committed state.
impl Deref for CommittedState<'_> {
    type Target = SagaState;

    fn deref(&self) -> &SagaState {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unguarded::decided_at;
    use saga_core::{
        answerable::ALWAYS,
        decide::{self, AdmissionVerdict},
        definition,
        event::TriggerRecord,
        id::{SagaId, ShardId},
        input::SagaStart,
        policy::SagaPolicies,
        time::Timestamp,
    };

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn started() -> (SagaPlan, SagaState) {
        let text = "saga: s\ntrigger: {topic: t, key: \"${ event.id }\"}\nsteps: [{step: a, wait: 1m}]\n";
        let parsed = definition::parse("s.saga.yaml", text, None, None).expect("a definition");
        let policies = SagaPolicies::resolve(&parsed.definition, &definition::ParticipantCatalog::default());
        let plan = SagaPlan::new(Arc::new(parsed.definition), Arc::new(policies));
        let trigger = TriggerRecord {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            key: None,
            timestamp: NOW,
            headers: std::collections::BTreeMap::new(),
            event: serde_json::json!({"id": "1"}),
        };
        let start = SagaStart { key: "1".into(), trigger, traceparent: None };
        let id = SagaId::new(NOW, ShardId(0), 7);
        let (_, state) =
            decided_at(NOW, 1, AdmissionVerdict::Admitted, |context| decide::start(&plan, id, start, context));
        (plan, state)
    }

    #[test]
    fn a_start_is_committed_by_its_own_receipt_only() {
        let (_, state) = started();
        let (saga, version) = (state.id, state.version);
        let mut live = LiveState::starting(state);
        assert!(live.committed().is_none(), "nothing is acknowledged");
        live.acknowledge(&CommitReceipt::of(saga.uuid(), version + 1));
        live.acknowledge(&CommitReceipt::of(SagaId::new(NOW, ShardId(0), 8).uuid(), version));
        assert!(live.committed().is_none(), "these are receipts of something else");
        live.acknowledge(&CommitReceipt::of(saga.uuid(), version));
        assert!(live.committed().is_some());
    }

    #[test]
    fn a_state_that_is_one_decision_ahead_is_not_committed() {
        let (plan, state) = started();
        let recorded = RecordedSaga { plan: Arc::new(plan), state, decisions: Vec::new() };
        let (plan, mut live) = LiveState::read(recorded, &ALWAYS);
        assert!(live.committed().is_some(), "it was read");
        let parked = live.decide(|state| {
            decided_at(NOW, 1, AdmissionVerdict::Admitted, |context| {
                decide::park(&plan, state, "a person has to look".into(), context)
            })
        });
        assert!(parked.is_some() && live.committed().is_none());
    }
}
