//! What the steps of a definition send, for whoever asks participants in place of a saga.

use super::{Admission, Choosing, Context, draft::Draft};
use crate::{
    answerable::ALWAYS,
    command::{CommandRef, Direction, Failure, Request},
    event::Event,
    evolve,
    id::{SagaId, Shard, StepIndex},
    input::Start,
    state::{Plan, State},
    time::Timestamp,
};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};

/// Who performs what any participant with a capability may.
pub type Choose = dyn Fn(&Choosing<'_>) -> Option<String> + Send + Sync;

/// A saga that nobody runs: what its steps would send is asked of it, and it is told what was answered.
#[derive(Clone)]
pub struct Rehearsal {
    plan: Arc<Plan>,
    started: Event,
    now: Timestamp,
    choose: Arc<Choose>,
    results: Map<String, Value>,
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal").field("definition", &self.plan.definition.name).finish_non_exhaustive()
    }
}

impl Rehearsal {
    /// Of the saga that `start` would start at this time.
    #[must_use]
    pub fn new(plan: Arc<Plan>, start: Start, now: Timestamp, choose: Arc<Choose>) -> Rehearsal {
        let started = super::started(&plan, start);
        Rehearsal { plan, started, now, choose, results: Map::new() }
    }

    /// Whether the step's `if` holds.
    ///
    /// # Errors
    /// When it has no value.
    pub fn is_asked(&self, step: StepIndex) -> Result<bool, Failure> {
        let saga = SagaId::new(self.now, Shard(0), 0);
        self.asked(saga, |draft| draft.condition(step))
    }

    /// What the do of `step` sends, in a saga with this id.
    ///
    /// # Errors
    /// When an expression has no value, or nobody has the capability.
    pub fn does(&self, saga: SagaId, step: StepIndex) -> Result<Request, Failure> {
        self.asked(saga, |draft| request(draft, CommandRef { step, direction: Direction::Do }))
    }

    /// What the undo of `step` sends, after a do that answered `result`; null: it is not known to have succeeded.
    ///
    /// # Errors
    /// As [`Rehearsal::does`].
    pub fn undoes(&self, saga: SagaId, step: StepIndex, result: &Value) -> Result<Request, Failure> {
        let done = self.does(saga, step)?;
        self.asked(saga, |draft| {
            let state = &mut draft.state.steps[step.at()];
            state.forward.request = Some(Arc::new(done));
            state.result = Some(result.clone());
            request(draft, CommandRef { step, direction: Direction::Undo })
        })
    }

    /// The do of `step` was answered `result`: what follows reads it.
    pub fn answered(&mut self, step: StepIndex, result: Value) {
        self.results.insert(self.plan.definition.step(step).name.clone(), result);
    }

    fn asked<T>(&self, saga: SagaId, ask: impl FnOnce(&mut Draft<'_, '_>) -> T) -> T {
        let mut state = self.state(saga);
        let mut choose = |choosing: Choosing<'_>| (self.choose)(&choosing);
        let mut context = Context {
            now: self.now,
            answerable: &ALWAYS,
            random: 0,
            admission: &mut |_| Admission::Admitted,
            room: &|_| None,
            choose: &mut choose,
            recall: &mut |_| None,
        };
        ask(&mut Draft::new(&self.plan, &mut state, &mut context))
    }

    fn state(&self, saga: SagaId) -> State {
        let mut state = evolve::started(&self.plan, saga, &self.started, self.now).expect("the event is a start");
        state.results.clone_from(&self.results);
        state
    }
}

fn request(draft: &mut Draft<'_, '_>, command: CommandRef) -> Result<Request, Failure> {
    let performer = draft.performer(command).map_err(|ended| ended.failure)?;
    draft.request(command, performer).map(|evaluated| evaluated.request)
}
