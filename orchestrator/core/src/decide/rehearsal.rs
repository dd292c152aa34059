//! What the steps of a definition send, for a caller that asks participants in place of a saga.

use super::{AdmissionVerdict, CapabilityRequest, DecisionContext, JitterSource, draft::DecisionDraft};
use crate::{
    answerable::ALWAYS,
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest},
    event::SagaEvent,
    evolve,
    id::{SagaId, ShardId, StepIndex},
    input::SagaStart,
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};

/// Names the participant that performs a command which any participant with a capability may perform.
pub type CapabilityResolver = dyn Fn(&CapabilityRequest<'_>) -> Option<String> + Send + Sync;

/// A saga that no shard runs: the caller asks it what its steps would send, and gives it the answers.
#[derive(Clone)]
pub struct SagaRehearsal {
    plan: Arc<SagaPlan>,
    started: SagaEvent,
    now: Timestamp,
    choose: Arc<CapabilityResolver>,
    results: Map<String, Value>,
}

impl fmt::Debug for SagaRehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaRehearsal").field("definition", &self.plan.definition.name).finish_non_exhaustive()
    }
}

impl SagaRehearsal {
    /// Of the saga that `start` would start at this time.
    #[must_use]
    pub fn new(
        plan: Arc<SagaPlan>,
        start: SagaStart,
        now: Timestamp,
        choose: Arc<CapabilityResolver>,
    ) -> SagaRehearsal {
        let started = super::started(&plan, start, None);
        SagaRehearsal { plan, started, now, choose, results: Map::new() }
    }

    /// Whether the step's `if` holds.
    ///
    /// # Errors
    /// When it has no value.
    pub fn is_asked(&self, step: StepIndex) -> Result<bool, CommandFailure> {
        let saga = SagaId::new(self.now, ShardId(0), 0);
        self.asked(saga, |draft| draft.condition(step))
    }

    /// What the do of `step` sends, in a saga with this id.
    ///
    /// # Errors
    /// When an expression has no value, or no participant has the capability.
    pub fn does(&self, saga: SagaId, step: StepIndex) -> Result<CommandRequest, CommandFailure> {
        self.asked(saga, |draft| request(draft, CommandRef { step, direction: CommandDirection::Do }))
    }

    /// What the undo of `step` sends, after a do that answered `result`; null: it is not known to have succeeded.
    ///
    /// # Errors
    /// As [`SagaRehearsal::does`].
    pub fn undoes(&self, saga: SagaId, step: StepIndex, result: &Value) -> Result<CommandRequest, CommandFailure> {
        let done = self.does(saga, step)?;
        self.asked(saga, |draft| {
            let state = &mut draft.state.steps[step.at()];
            state.forward.request = Some(Arc::new(done));
            state.result = Some(result.clone());
            request(draft, CommandRef { step, direction: CommandDirection::Undo })
        })
    }

    /// The do of `step` was answered `result`: what follows reads it.
    pub fn answered(&mut self, step: StepIndex, result: Value) {
        self.results.insert(self.plan.definition.step(step).name.clone(), result);
    }

    fn asked<T>(&self, saga: SagaId, ask: impl FnOnce(&mut DecisionDraft<'_, '_>) -> T) -> T {
        let mut state = self.state(saga);
        let mut choose = |choosing: CapabilityRequest<'_>| (self.choose)(&choosing);
        let mut context = DecisionContext {
            now: self.now,
            answerable: &ALWAYS,
            random: JitterSource::Seed(0),
            admission: &mut |_| AdmissionVerdict::Admitted,
            room: &|_| None,
            choose: &mut choose,
            recall: &mut |_| None,
        };
        ask(&mut DecisionDraft::new(&self.plan, &mut state, &mut context))
    }

    fn state(&self, saga: SagaId) -> SagaState {
        let mut state = evolve::started(&self.plan, saga, &self.started, self.now).expect("the event is a start");
        state.results.clone_from(&self.results);
        state
    }
}

fn request(draft: &mut DecisionDraft<'_, '_>, command: CommandRef) -> Result<CommandRequest, CommandFailure> {
    let performer = draft.performer(command).map_err(|ended| ended.failure)?;
    draft.request(command, performer).map(|evaluated| evaluated.request)
}
