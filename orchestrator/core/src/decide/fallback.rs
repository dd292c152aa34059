//! What answers for a step in place of its participant: the cache before a call, fallbacks when a do ended without
//! success.

use super::draft::{DecisionDraft, forward};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind},
    definition::{FallbackAnswer, FallbackCondition, FallbackRule},
    event::{AttemptOutcome, FallbackKind, NoRetryReason, SagaEvent, SubstituteAnswer},
    id::StepIndex,
    state::{SagaDirection, SagaPhase},
    time::Timestamp,
    words,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// An answer to the same request that the engine remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviousAnswer {
    /// When the participant gave it.
    pub at: Timestamp,
    /// The result that the participant answered with.
    pub result: Value,
}

/// Why a fallback is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FallbackTrigger {
    /// The do ended without success, for this reason.
    Ended(NoRetryReason),
    /// A guard holds back a do of which no attempt was sent.
    Refused,
}

impl DecisionDraft<'_, '_> {
    /// Settles a step whose `cache` has a fresh answer to the same request that its `check` accepts. `false`: a call
    /// has to be made.
    pub(super) fn answered_from_cache(&mut self, command: CommandRef, request: &CommandRequest) -> bool {
        let step = command.step;
        let most = self.plan.definition.step(step).cache.filter(|_| command.direction == CommandDirection::Do);
        let Some(known) = most.and_then(|most| self.recent(request, most)) else { return false };
        if self.check_answer(step, &known.result, Some(request)).is_err() {
            return false;
        }
        let by = SubstituteAnswer::Cache { at: known.at };
        self.emit(SagaEvent::StepAnswered { step, by, request: Some(request.clone()), result: known.result });
        true
    }

    /// Lets the step's fallbacks answer for a do that has just ended, if one of them can.
    pub(super) fn fall_back(&mut self, command: CommandRef, ending: NoRetryReason) {
        if command.direction == CommandDirection::Do {
            self.answer_for(command.step, FallbackTrigger::Ended(ending));
        }
    }

    /// Ends a do that a guard holds back before any attempt of it was sent, if a fallback answers for it then. `false`:
    /// it waits.
    pub(super) fn answered_though_refused(&mut self, command: CommandRef, guard: GuardKind) -> bool {
        let CommandRef { step, direction } = command;
        if direction == CommandDirection::Undo {
            return false;
        }
        let request = self.what_is_asked(step);
        let Some((by, result)) = self.stand_in(step, request.as_deref(), FallbackTrigger::Refused) else {
            return false;
        };
        let failure = CommandFailure::new("refused", format!("{} refuses the call", words::guard_name(guard)));
        let (outcome, ending) = (AttemptOutcome::Failed, NoRetryReason::Definite);
        self.emit(SagaEvent::StepFailed { step, direction, outcome, failure: failure.clone(), ending });
        self.record_answer(step, by, request, result);
        self.step_ended_badly(command, failure);
        true
    }

    fn answer_for(&mut self, step: StepIndex, occasion: FallbackTrigger) {
        if self.plan.definition.step(step).fallback.is_empty() {
            return;
        }
        let request = self.what_is_asked(step);
        if let Some((by, result)) = self.stand_in(step, request.as_deref(), occasion) {
            self.record_answer(step, by, request, result);
        }
    }

    fn record_answer(
        &mut self,
        step: StepIndex,
        by: SubstituteAnswer,
        request: Option<Arc<CommandRequest>>,
        result: Value,
    ) {
        let on_record = self.state.step(step).forward.request.is_some();
        let request = request.filter(|_| !on_record).map(Arc::unwrap_or_clone);
        self.emit(SagaEvent::StepAnswered { step, by, request, result });
    }

    /// What the do sends, or would have sent.
    fn what_is_asked(&mut self, step: StepIndex) -> Option<Arc<CommandRequest>> {
        if let Some(recorded) = &self.state.step(step).forward.request {
            return Some(Arc::clone(recorded));
        }
        let performer = self.performer(forward(step)).ok()?;
        self.request(forward(step), performer).ok().map(|evaluated| Arc::new(evaluated.request))
    }

    /// The first fallback that can answer, and its answer. On the way back nothing needs one.
    fn stand_in(
        &mut self,
        step: StepIndex,
        request: Option<&CommandRequest>,
        occasion: FallbackTrigger,
    ) -> Option<(SubstituteAnswer, Value)> {
        if !matches!(self.state.course, SagaPhase::Forward | SagaPhase::Parked { was: SagaDirection::Forward, .. }) {
            return None;
        }
        let plan = self.plan;
        let items = plan.definition.step(step).fallback.iter().zip(0u16..);
        items.filter(|(fallback, _)| suits(fallback, occasion)).find_map(|(fallback, index)| {
            let (kind, result) = self.answer_of(&fallback.answer, request)?;
            let refused = kind.failure().is_none() && self.check_answer(step, &result, request).is_err();
            (!refused).then_some((SubstituteAnswer::Fallback { index, kind }, result))
        })
    }

    fn answer_of(
        &mut self,
        answer: &FallbackAnswer,
        request: Option<&CommandRequest>,
    ) -> Option<(FallbackKind, Value)> {
        match answer {
            FallbackAnswer::Cached(most) => {
                self.recent(request?, *most).map(|known| (FallbackKind::Cached { at: known.at }, known.result))
            }
            FallbackAnswer::LastKnown => {
                let known = (self.context.recall)(request?)?;
                Some((FallbackKind::LastKnown { at: known.at }, known.result))
            }
            FallbackAnswer::Value(value) => Some((FallbackKind::Value, value.clone())),
            FallbackAnswer::Expression(template) => {
                self.fallback_value(template).ok().map(|value| (FallbackKind::Expression, value))
            }
            FallbackAnswer::Fail(failure) => Some((FallbackKind::Fail { failure: failure.clone() }, Value::Null)),
        }
    }

    fn recent(&mut self, request: &CommandRequest, most: Duration) -> Option<PreviousAnswer> {
        let now = self.now;
        (self.context.recall)(request).filter(|known| now.since(known.at) <= most)
    }
}

/// A failure that a person can fix parks the saga instead of undoing it: then only a fallback that has a result
/// answers.
fn suits(fallback: &FallbackRule, occasion: FallbackTrigger) -> bool {
    match occasion {
        FallbackTrigger::Ended(NoRetryReason::Definite | NoRetryReason::Exhausted) => true,
        FallbackTrigger::Ended(NoRetryReason::NeedsPerson) => !matches!(fallback.answer, FallbackAnswer::Fail(_)),
        FallbackTrigger::Refused => fallback.when == FallbackCondition::Refused,
    }
}
