//! What a step leaves of the way back: whether its undo, and those that read its result, can be sent.

use super::{
    draft::DecisionDraft,
    limit::{self, LIMIT},
    request::{EvaluatedRequest, StepScope, body_of, takes_body},
};
use crate::{
    command::{CommandFailure, CommandRequest},
    definition::{CallDefinition, CallTarget, ParticipantSelector, StepCompensation},
    expression::{CelExpression, NameRead, ValueTemplate},
    id::StepIndex,
};
use serde_json::Value;

impl DecisionDraft<'_, '_> {
    /// Whether the undo of a do could be sent without the do's result. An undo whose expressions have no value yet is
    /// not judged: they may read what only comes about later.
    pub(super) fn leaves_way_back(
        &self,
        step: StepIndex,
        request: &CommandRequest,
        undo: &CallDefinition,
    ) -> Result<(), CommandFailure> {
        let input = body_of(Some(request));
        let room = self.room_for_undo(undo, Some(request));
        let fits = match &undo.with {
            None if takes_body(&undo.target) => limit::leaves_room_for_undo(input, room),
            None => Ok(()),
            Some(_) => {
                match self.undo_request(step, undo, "", StepScope { input: Some(input), ..StepScope::default() }) {
                    Ok(request) => fits(&request, room),
                    Err(_) => Ok(()),
                }
            }
        };
        fits.map_err(|failure| {
            CommandFailure::new(
                LIMIT,
                format!("the command is not sent, because it could not be undone: {}", failure.message),
            )
        })
    }

    /// What an undo may have, as far as the topic is known that it goes to; `done`: the do.
    fn room_for_undo(&self, undo: &CallDefinition, done: Option<&CommandRequest>) -> Option<usize> {
        match (&undo.target, undo.target.whom()) {
            (CallTarget::Http { .. }, _) => None,
            (CallTarget::Kafka { .. }, ParticipantSelector::Participant(name)) => (self.context.room)(name),
            (CallTarget::Kafka { .. }, ParticipantSelector::Capability(_)) => (self.context.room)(done?.participant()?),
        }
    }

    /// Whether the results that there are, with `more`, leave room for the undos that read it: those of steps that may
    /// be applied, each without the result of its own step.
    pub(super) fn keeps_ways_back(&self, step: StepIndex, result: &Value) -> Result<(), CommandFailure> {
        let name = &self.plan.definition.step(step).name;
        let mut results = None;
        for other in self.plan.definition.indices().filter(|other| *other != step) {
            let StepCompensation::Undo(undo) = &self.plan.definition.step(other).effects else { continue };
            let Some(done) = self.state.step(other).forward.request.as_deref() else { continue };
            let state = self.state.step(other);
            let happened = state.may_be_applied() || !state.forward.in_doubt.is_empty();
            if !happened || !reads_result(&undo.call, name) {
                continue;
            }
            let results = results.get_or_insert_with(|| {
                let mut results = self.state.results.clone();
                results.insert(name.clone(), result.clone());
                results
            });
            let own = StepScope { input: Some(body_of(Some(done))), results: Some(results), ..StepScope::default() };
            let Ok(request) = self.undo_request(other, &undo.call, "", own) else { continue };
            fits(&request, self.room_for_undo(&undo.call, Some(done))).map_err(|failure| {
                let other = &self.plan.definition.step(other).name;
                CommandFailure::new(LIMIT, format!("with this result {other} could not be undone: {}", failure.message))
            })?;
        }
        Ok(())
    }

    /// The undo; where the result makes it too large or too deep, as after an unknown outcome. What a topic takes may
    /// have changed since it was asked: where nothing fits, its broker has the last word.
    pub(super) fn undo_within_limit(
        &self,
        step: StepIndex,
        call: &CallDefinition,
        performer: &str,
    ) -> Result<EvaluatedRequest, CommandFailure> {
        let done = self.state.step(step).forward.request.as_deref();
        let room = self.room_for_undo(call, done);
        let told = |result| StepScope { input: Some(body_of(done)), result: Some(result), ..StepScope::default() };
        let result = self.state.step(step).result.as_ref().unwrap_or(&Value::Null);
        let whole = self.undo_request(step, call, performer, told(result))?;
        let Err(failure) = fits(&whole, room) else {
            return Ok(EvaluatedRequest { request: whole, without_result: None });
        };
        if result.is_null() {
            return limit::within_limit(&whole).map(|()| EvaluatedRequest { request: whole, without_result: None });
        }
        let short = self.undo_request(step, call, performer, told(&Value::Null))?;
        if fits(&short, room).is_err() && limit::within_limit(&whole).is_ok() {
            return Ok(EvaluatedRequest { request: whole, without_result: None });
        }
        limit::within_limit(&short)?;
        let told = format!("the undo gets null as the result, as after an unknown outcome: {}", failure.message);
        Ok(EvaluatedRequest { request: short, without_result: Some(CommandFailure::new("undo_without_result", told)) })
    }
}

/// Whether an undo can be sent, to a topic that takes so much.
fn fits(undo: &CommandRequest, room: Option<usize>) -> Result<(), CommandFailure> {
    limit::within_limit(undo).and_then(|()| limit::within_room(undo, room))
}

/// Whether the request of an undo reads the result of the step `name`.
fn reads_result(undo: &CallDefinition, name: &str) -> bool {
    let is_it = |read: &NameRead| matches!(&read.path[..], [root, step, ..] if root == "steps" && step == name);
    let expressions = undo.with.iter().flat_map(ValueTemplate::expressions);
    expressions.flat_map(CelExpression::reads).any(|read| is_it(&read))
}
