//! Beginning a command: evaluate what is sent, once, and record it before it is sent.

use super::{AdmissionRequest, AdmissionVerdict, IgnoreReason, draft::DecisionDraft, ended::FinalFailure, limit};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, EXPRESSION, GuardKind, HttpMethod},
    definition::{CallDefinition, CallTarget, StepAction, StepCompensation},
    event::{NoRetryReason, SagaEvent},
    expression::{CelExpression, ExpressionScope, ValueTemplate},
    id::StepIndex,
    policy::{AttemptLimit, RetryPolicy},
    state::CommandPhase,
    time::Timestamp,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Code of a failure that a participant's absence from participants.yaml caused.
pub(super) const GONE: &str = "participant_gone";

/// What expressions see of a step of its own, beside what all see.
#[derive(Clone, Copy, Default)]
pub(super) struct StepScope<'v> {
    pub(super) input: Option<&'v Value>,
    pub(super) result: Option<&'v Value>,
    pub(super) do_id: Option<&'v str>,
    /// Of other steps, where not those on record.
    pub(super) results: Option<&'v Map<String, Value>>,
}

/// A request that is evaluated and can be sent.
pub(super) struct EvaluatedRequest {
    pub(super) request: CommandRequest,
    /// Why it does without the result that there is.
    pub(super) without_result: Option<CommandFailure>,
}

impl DecisionDraft<'_, '_> {
    /// Whether the step's `if` holds; no `if` holds.
    pub(super) fn condition(&self, step: StepIndex) -> Result<bool, CommandFailure> {
        let Some(condition) = &self.plan.definition.step(step).condition else { return Ok(true) };
        self.boolean(condition, "if", StepScope::default())
    }

    /// Whether the step's `check` accepts what the participant answered.
    pub(super) fn check(&self, step: StepIndex, result: &Value) -> Result<(), CommandFailure> {
        self.check_answer(step, result, self.state.step(step).forward.request.as_deref())
    }

    /// Whether the step's `check` accepts `result` as an answer to `request`.
    pub(super) fn check_answer(
        &self,
        step: StepIndex,
        result: &Value,
        request: Option<&CommandRequest>,
    ) -> Result<(), CommandFailure> {
        let Some(check) = &self.plan.definition.step(step).check else { return Ok(()) };
        let input = body_of(request);
        let do_id = self.state.command_id(self.plan, super::draft::forward(step)).to_string();
        let own = StepScope { input: Some(input), result: Some(result), do_id: Some(&do_id), results: None };
        let accepted = self.boolean(check, "check", own)?;
        if accepted { Ok(()) } else { Err(CommandFailure::new("check", format!("`{}` is false", check.source()))) }
    }

    /// The evaluated `output` of the definition, within the limit of its event; null if the definition has none.
    pub(super) fn output(&self) -> Result<Value, CommandFailure> {
        match &self.plan.definition.output {
            None => Ok(Value::Null),
            Some(output) => {
                let output = self.render(output, "output", StepScope::default())?;
                limit::value_within_limit("the output within its event", &output).map(|()| output)
            }
        }
    }

    /// What a command sends to `performer`.
    pub(super) fn request(&self, command: CommandRef, performer: String) -> Result<EvaluatedRequest, CommandFailure> {
        let definition = self.plan.definition.step(command.step);
        match (command.direction, &definition.effects) {
            (CommandDirection::Do, StepCompensation::Undo(undo)) => {
                let request = self.do_within_limit(&definition.action, performer)?;
                self.leaves_way_back(command.step, &request, &undo.call)?;
                Ok(EvaluatedRequest { request, without_result: None })
            }
            (CommandDirection::Do, StepCompensation::ReadOnly | StepCompensation::Irreversible) => {
                let request = self.do_within_limit(&definition.action, performer)?;
                Ok(EvaluatedRequest { request, without_result: None })
            }
            (CommandDirection::Undo, StepCompensation::Undo(undo)) => {
                self.undo_within_limit(command.step, &undo.call, &performer)
            }
            (CommandDirection::Undo, StepCompensation::ReadOnly | StepCompensation::Irreversible) => {
                Err(CommandFailure::new("no_undo", "the step has no undo"))
            }
        }
    }

    fn do_within_limit(&self, action: &StepAction, performer: String) -> Result<CommandRequest, CommandFailure> {
        let request = self.do_request(action, performer)?;
        limit::within_limit(&request).map(|()| request)
    }

    fn do_request(&self, action: &StepAction, performer: String) -> Result<CommandRequest, CommandFailure> {
        match action {
            StepAction::Call(call) => {
                let body = match &call.with {
                    Some(with) => Some(self.render(with, "with", StepScope::default())?),
                    None => default_body(&call.target, || json!({})),
                };
                self.call_request(&call.target, performer, body, StepScope::default())
            }
            StepAction::Publish { topic, event_type, key, with } => Ok(CommandRequest::Publish {
                topic: topic.clone(),
                event_type: event_type.clone(),
                key: match key {
                    Some(key) => key_text(&self.render(key, "key", StepScope::default())?)?,
                    None => self.state.key.clone(),
                },
                body: self.render(with, "with", StepScope::default())?,
            }),
            StepAction::Wait(_) => Err(CommandFailure::new(EXPRESSION, "a wait sends nothing")),
        }
    }

    /// Without `with`, the undo's body is what the do was sent and what it answered; by DELETE it has no body.
    pub(super) fn undo_request(
        &self,
        step: StepIndex,
        call: &CallDefinition,
        performer: &str,
        own: StepScope<'_>,
    ) -> Result<CommandRequest, CommandFailure> {
        let do_id = self.state.command_id(self.plan, super::draft::forward(step)).to_string();
        let (input, result) = (own.input.unwrap_or(&Value::Null), own.result.unwrap_or(&Value::Null));
        let own = StepScope { input: Some(input), result: Some(result), do_id: Some(&do_id), ..own };
        let body = match &call.with {
            Some(with) => Some(self.render(with, "undo.with", own)?),
            None => default_body(&call.target, || json!({"input": input, "result": result})),
        };
        self.call_request(&call.target, performer.to_owned(), body, own)
    }

    /// What a fallback's expression comes out as.
    pub(super) fn fallback_value(&self, template: &ValueTemplate) -> Result<Value, CommandFailure> {
        let value = self.render(template, "fallback", StepScope::default())?;
        limit::value_within_limit("the fallback", &value).map(|()| value)
    }

    fn call_request(
        &self,
        target: &CallTarget,
        participant: String,
        body: Option<Value>,
        own: StepScope<'_>,
    ) -> Result<CommandRequest, CommandFailure> {
        match target {
            CallTarget::Kafka { command, .. } => Ok(CommandRequest::Kafka {
                participant,
                command: command.clone(),
                body: body.unwrap_or_else(|| json!({})),
            }),
            CallTarget::Http { method, path, .. } => {
                let path = self.in_scope(own, |scope| {
                    path.render(scope).map_err(|error| CommandFailure::new(EXPRESSION, format!("path: {error}")))
                })?;
                Ok(CommandRequest::Http { participant, method: *method, path, body })
            }
        }
    }

    fn render(&self, template: &ValueTemplate, place: &str, own: StepScope<'_>) -> Result<Value, CommandFailure> {
        self.in_scope(own, |scope| {
            template.render(scope).map_err(|error| CommandFailure::new(EXPRESSION, format!("{place}: {error}")))
        })
    }

    fn boolean(&self, expression: &CelExpression, place: &str, own: StepScope<'_>) -> Result<bool, CommandFailure> {
        self.in_scope(own, |scope| {
            expression
                .evaluate_bool(scope)
                .map_err(|error| CommandFailure::new(EXPRESSION, format!("{place}: {error}")))
        })
    }

    fn in_scope<T>(&self, own: StepScope<'_>, evaluate: impl FnOnce(&ExpressionScope<'_>) -> T) -> T {
        let scope = self.state.scope();
        evaluate(&ExpressionScope {
            steps: own.results.or(scope.steps),
            input: own.input,
            result: own.result,
            do_id: own.do_id,
            ..scope
        })
    }

    /// Asks the guard, then records the first attempt; a refusal is recorded instead and nothing is sent.
    pub(super) fn begin(&mut self, command: CommandRef) -> Result<(), FinalFailure> {
        let performer = self.performer(command)?;
        let evaluated = self
            .request(command, performer)
            .map_err(|failure| FinalFailure { failure, ending: NoRetryReason::Definite })?;
        let EvaluatedRequest { request, without_result } = evaluated;
        if self.answered_from_cache(command, &request) {
            return Ok(());
        }
        let CommandRef { step, direction } = command;
        let admission = self.admission(&request, command);
        match admission {
            AdmissionVerdict::Admitted | AdmissionVerdict::Probe => {
                let probe = admission == AdmissionVerdict::Probe;
                self.emit(SagaEvent::StepStarted { step, direction, request, probe });
                without_result.into_iter().for_each(|failure| self.incident(Some(command), failure));
            }
            AdmissionVerdict::Refused { guard, not_before } => self.refused(command, &request, guard, not_before),
            AdmissionVerdict::Gone => {
                return Err(FinalFailure { failure: gone(&request), ending: NoRetryReason::NeedsPerson });
            }
        }
        Ok(())
    }

    /// A further attempt of a command whose request is on record.
    pub(super) fn attempt_again(&mut self, command: CommandRef) {
        let it = self.state.command(command);
        let attempt = it.attempt + 1;
        let Some(request) = it.request.clone() else { return };
        let admission = self.admission(&request, command);
        match admission {
            AdmissionVerdict::Admitted | AdmissionVerdict::Probe => {
                let probe = admission == AdmissionVerdict::Probe;
                self.emit(SagaEvent::AttemptStarted {
                    step: command.step,
                    direction: command.direction,
                    attempt,
                    probe,
                });
            }
            AdmissionVerdict::Refused { guard, not_before } => self.refused(command, &request, guard, not_before),
            AdmissionVerdict::Gone => self.cannot_be_tried_again(command, gone(&request)),
        }
    }

    fn admission(&mut self, request: &CommandRequest, command: CommandRef) -> AdmissionVerdict {
        let it = self.state.command(command);
        let (attempt, has_probed) = (it.attempt + 1, it.has_probed());
        (self.context.admission)(AdmissionRequest { whose: request.whose(), command, attempt, has_probed })
    }

    /// A fallback that does not wait for the guard answers; otherwise the command waits.
    fn refused(&mut self, command: CommandRef, request: &CommandRequest, guard: GuardKind, not_before: Timestamp) {
        let never_left = self.state.command(command).attempt == 0;
        if !(never_left && self.answered_though_refused(command, guard)) {
            self.hold(command, request, guard, not_before);
        }
    }

    /// A guard that refuses a command which it holds already is nothing new: a command that waits a day for an
    /// unavailable participant costs one row.
    fn hold(&mut self, command: CommandRef, request: &CommandRequest, guard: GuardKind, not_before: Timestamp) {
        if self.released == Some(command) && self.is_held_by(command, request, guard) {
            self.still_held = Some(IgnoreReason::StillHeld { guard, not_before });
            return;
        }
        let ever_sent = self.state.command(command).attempt > 0;
        let rest = self.rest_of_refused(command);
        self.emit(SagaEvent::StepWaiting {
            step: command.step,
            direction: command.direction,
            guard,
            participant: request.participant().map(Into::into),
            // A guard that names the past would be asked again in the same millisecond, for ever.
            not_before: not_before.max(self.now.plus(Duration::from_millis(1))).max(self.now.plus(rest)),
            ever_sent,
        });
    }

    fn is_held_by(&self, command: CommandRef, request: &CommandRequest, guard: GuardKind) -> bool {
        match &self.state.command(command).phase {
            CommandPhase::Held { guard: by, participant, .. } => {
                *by == guard && participant.as_deref() == request.participant()
            }
            CommandPhase::Idle
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. }
            | CommandPhase::Settled(_) => false,
        }
    }

    /// How long a command that a guard refuses waits at least: nothing the first time, then longer each time, so that a
    /// participant which is down for a day costs some rows an hour for each saga that waits for it.
    pub(super) fn rest_of_refused(&mut self, command: CommandRef) -> Duration {
        let refused = self.state.command(command).refused;
        if refused == 0 {
            return Duration::ZERO;
        }
        self.delay(command, &refusals(), refused.saturating_add(1), None)
    }
}

/// Delays between refusals of a guard: 1 s to 30 s. A participant that is available again is noticed within the longest
/// delay.
fn refusals() -> RetryPolicy {
    let (delay, max_delay) = (Duration::from_secs(1), Duration::from_secs(30));
    RetryPolicy { attempts: AttemptLimit::Forever, delay, max_delay, ..RetryPolicy::standard() }
}

fn gone(request: &CommandRequest) -> CommandFailure {
    let participant = request.participant().unwrap_or_default();
    let message = format!("participants.yaml has no `{participant}` that takes this command; add it again, then retry");
    CommandFailure::new(GONE, message)
}

/// `input` in expressions: what the do was sent; `null` if it never was.
pub(super) fn body_of(request: Option<&CommandRequest>) -> &Value {
    match request {
        Some(CommandRequest::Kafka { body, .. } | CommandRequest::Publish { body, .. }) => body,
        Some(CommandRequest::Http { body, .. }) => body.as_ref().unwrap_or(&Value::Null),
        None => &Value::Null,
    }
}

fn default_body(target: &CallTarget, body: impl FnOnce() -> Value) -> Option<Value> {
    takes_body(target).then(body)
}

pub(super) fn takes_body(target: &CallTarget) -> bool {
    match target {
        CallTarget::Http { method: HttpMethod::Delete | HttpMethod::Get, .. } => false,
        CallTarget::Http { method: HttpMethod::Post | HttpMethod::Put | HttpMethod::Patch, .. }
        | CallTarget::Kafka { .. } => true,
    }
}

fn key_text(value: &Value) -> Result<String, CommandFailure> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(number) => crate::json::integer_text(number).map(str::to_owned).ok_or_else(|| no_key(value)),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => Err(no_key(value)),
    }
}

fn no_key(value: &Value) -> CommandFailure {
    let expected = "expected a string that is not empty, or an integer without point and exponent, or a boolean";
    CommandFailure::new(
        EXPRESSION,
        format!("key: {expected}, found {}", crate::expression::shorten(&value.to_string(), 80)),
    )
}
