//! (state, event) → state. Applies facts; has no rules and refuses nothing that decide recorded.

mod fold;

use crate::{
    answerable::{OutageLog, OutagePeriod},
    command::{CommandDirection, CommandRef},
    event::{AttemptOutcome, OperatorAction, SagaDecision, SagaEvent, SubstituteAnswer},
    id::{SagaId, StepIndex},
    state::{
        ActHistory, AppliedAct, CommandOutcome, CommandPhase, CommandState, EventPosition, InFlightAttempt,
        OutcomeForm, SagaDirection, SagaIncident, SagaPhase, SagaPlan, SagaState, ScopeConstants, StepState,
    },
    time::Timestamp,
    trace,
};
use std::sync::Arc;

pub use fold::{FoldError, fold, step_of};

/// Whether the row is decided by another definition than the one before.
#[must_use]
pub fn changes_definition(decision: &SagaDecision) -> bool {
    matches!(decision.events.first(), Some(SagaEvent::DefinitionChanged { .. }))
}

/// Applies one row to the state that the rows before it fold to.
pub fn evolve(plan: &SagaPlan, state: &mut SagaState, decision: &SagaDecision) {
    for (event, index) in decision.events.iter().zip(0u16..) {
        apply(plan, state, event, EventPosition { version: decision.version, index }, decision.at);
    }
    close(state, decision);
}

/// What a row means to the state when all its events are applied.
pub(crate) fn close(state: &mut SagaState, decision: &SagaDecision) {
    if counts(&decision.events) {
        state.counted_rows = state.counted_rows.saturating_add(1);
    }
    state.version = decision.version;
    state.last_at = decision.at;
}

/// Whether a row of these events tells of a step ahead. What is recorded at a bounded rate however long it lasts is no loop: that a guard
/// holds a command back, and that a participant works on it.
pub(crate) fn counts(events: &[SagaEvent]) -> bool {
    events.iter().any(|event| {
        !matches!(
            event,
            SagaEvent::StepWaiting { .. } | SagaEvent::OutcomeWaiting { .. } | SagaEvent::AttemptExtended { .. }
        )
    })
}

/// The state right after its start; `None` if `event` is not a start.
pub(crate) fn started(plan: &SagaPlan, saga: SagaId, event: &SagaEvent, at: Timestamp) -> Option<SagaState> {
    let SagaEvent::SagaStarted { key, trigger, traceparent, .. } = event else { return None };
    Some(SagaState {
        id: saga,
        version: 0,
        last_at: at,
        counted_rows: 0,
        started_at: at,
        key: key.clone(),
        trigger: Arc::new(trigger.as_ref().clone()),
        traceparent: trace::traceparent(saga, traceparent.as_deref()),
        seen: Arc::new(ScopeConstants::new(plan, saga, key, at, trigger)),
        course: SagaPhase::Forward,
        steps: vec![StepState::default(); plan.definition.steps.len()],
        results: serde_json::Map::new(),
        parked: OutageLog::NONE,
        overdue: false,
        cancel: None,
        abandon: None,
        acts: ActHistory::default(),
        outcome_is_out: false,
        incidents: Vec::new(),
    })
}

/// An attempt that a guard took back may begin again, then as something else.
fn is_probe(command: &mut CommandState, attempt: u32, probe: bool) {
    if probe {
        command.probes.insert(attempt);
    } else {
        command.probes.remove(&attempt);
    }
}

/// Applies one event.
pub(crate) fn apply(plan: &SagaPlan, state: &mut SagaState, event: &SagaEvent, name: EventPosition, at: Timestamp) {
    match event {
        SagaEvent::SagaStarted { .. } => {}
        SagaEvent::StepStarted { step, direction, request, probe } => {
            let command = CommandRef { step: *step, direction: *direction };
            state.command_mut(command).request = Some(Arc::new(request.clone()));
            is_probe(state.command_mut(command), 1, *probe);
            attempt_started(plan, state, command, 1, name, at);
        }
        SagaEvent::WaitStarted { step, until } => {
            let command = state.command_mut(CommandRef { step: *step, direction: CommandDirection::Do });
            command.began_at.get_or_insert(at);
            command.phase = CommandPhase::Sleeping { until: *until };
        }
        SagaEvent::AttemptStarted { step, direction, attempt, probe } => {
            let command = CommandRef { step: *step, direction: *direction };
            is_probe(state.command_mut(command), *attempt, *probe);
            attempt_started(plan, state, command, *attempt, name, at);
        }
        SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person } => {
            let command = state.command_mut(CommandRef { step: *step, direction: *direction });
            attempt_failed(command, *attempt, *outcome, *retry_at, at);
            command.last_failure = Some(failure.clone());
            command.needs_person = *needs_person;
        }
        SagaEvent::AttemptExtended { step, direction, deadline, ask_at, location, .. } => {
            let command = state.command_mut(CommandRef { step: *step, direction: *direction });
            if let CommandPhase::Attempting(attempting) = &mut command.phase {
                attempting.extended(*deadline, *ask_at, location.clone(), at);
                if ask_at.is_some() {
                    command.asked_after.insert(command.attempt);
                }
            }
        }
        SagaEvent::StepWaiting { step, direction, guard, participant, not_before, .. } => {
            let command = CommandRef { step: *step, direction: *direction };
            let phase = CommandPhase::Held { guard: *guard, participant: participant.clone(), not_before: *not_before };
            held(state, command, phase, at);
        }
        SagaEvent::StepSucceeded { step, direction, result } => {
            settle(state, CommandRef { step: *step, direction: *direction }, CommandOutcome::Succeeded);
            if *direction == CommandDirection::Do {
                pivot_settled(plan, state, *step);
                let name = plan.definition.step(*step).name.clone();
                state.results.insert(name, result.clone());
                state.steps[step.at()].result = Some(result.clone());
            }
        }
        SagaEvent::StepRejected { step, result, failure } => {
            let command = CommandRef { step: *step, direction: CommandDirection::Do };
            settle(state, command, CommandOutcome::Rejected(failure.clone()));
            state.steps[step.at()].result = Some(result.clone());
        }
        SagaEvent::StepFailed { step, direction, outcome, failure, ending } => {
            let settled = match outcome {
                AttemptOutcome::Failed => CommandOutcome::Failed(failure.clone()),
                AttemptOutcome::Unknown => CommandOutcome::Unknown(failure.clone()),
            };
            let command = CommandRef { step: *step, direction: *direction };
            settle(state, command, settled);
            state.command_mut(command).ending = Some(*ending);
        }
        SagaEvent::StepAnswered { step, by, request, result } => {
            if let Some(request) = request {
                state.steps[step.at()].forward.request = Some(Arc::new(request.clone()));
            }
            answered(plan, state, *step, by, result);
        }
        SagaEvent::StepSkipped { step, direction, in_doubt: _ } => {
            settle(state, CommandRef { step: *step, direction: *direction }, CommandOutcome::Skipped);
            if *direction == CommandDirection::Do {
                pivot_settled(plan, state, *step);
            }
        }
        SagaEvent::ResultArrived { step, result } => result_arrived(&mut state.steps[step.at()], result),
        SagaEvent::CompensationStarted { cause } => {
            state.cancel = None;
            state.course = SagaPhase::Compensating { cause: cause.clone() };
        }
        SagaEvent::SagaOverdue => state.overdue = true,
        SagaEvent::SagaParked { reason } => {
            let was = heading(&state.course);
            state.course = SagaPhase::Parked { reason: reason.clone(), was, since: at };
        }
        SagaEvent::SagaResumed => resume(state, at),
        SagaEvent::OperatorActed { id, who, reason, action, command } => {
            state.acts.add(AppliedAct { id: id.clone(), action: *action, command: *command, at });
            match action {
                OperatorAction::Cancel => {
                    resume(state, at);
                    state.cancel = Some((who.clone(), reason.clone()));
                }
                OperatorAction::Abandon => abandon_waits(state, who, reason),
                OperatorAction::Skip => resume(state, at),
                OperatorAction::Retry => {
                    resume(state, at);
                    grant_fresh_attempts(state, *command);
                }
            }
        }
        // Steps that have begun have the same places there.
        SagaEvent::DefinitionChanged { .. } => state.steps.resize(plan.definition.steps.len(), StepState::default()),
        SagaEvent::OutcomeDue { end, request } => {
            let (end, request) = (end.clone(), request.clone());
            let form = OutcomeForm::Whole;
            state.course = SagaPhase::OutcomeDue { end, request, form, waits: None, cause: name, at };
        }
        SagaEvent::OutcomeWaiting { failure } => {
            if let SagaPhase::OutcomeDue { waits, .. } = &mut state.course {
                *waits = Some(failure.clone());
            }
        }
        SagaEvent::OutcomeShortened { request } => {
            if let SagaPhase::OutcomeDue { end, .. } = &state.course {
                let (end, request) = (end.clone(), request.clone());
                let form = OutcomeForm::WithoutOutput;
                state.course = SagaPhase::OutcomeDue { end, request, form, waits: None, cause: name, at };
            }
        }
        SagaEvent::SagaEnded { end } => state.course = SagaPhase::Ended(end.clone()),
        SagaEvent::IncidentOpened { step, direction, failure } => {
            state.incidents.push(SagaIncident { at, step: *step, direction: *direction, failure: failure.clone() });
        }
    }
}

/// A cancel that waited for the pivot comes too late once the pivot is passed.
fn pivot_settled(plan: &SagaPlan, state: &mut SagaState, step: StepIndex) {
    if plan.definition.step(step).pivot {
        state.cancel = None;
    }
}

/// The cache settles a step that nobody asked; what a fallback answers leaves open what became of the do, and its undo is not told of it.
fn answered(
    plan: &SagaPlan,
    state: &mut SagaState,
    step: StepIndex,
    by: &SubstituteAnswer,
    result: &serde_json::Value,
) {
    if let SubstituteAnswer::Cache { .. } = by {
        settle(state, CommandRef { step, direction: CommandDirection::Do }, CommandOutcome::Succeeded);
        state.steps[step.at()].result = Some(result.clone());
    }
    if by.failure().is_none() {
        state.results.insert(plan.definition.step(step).name.clone(), result.clone());
    }
    state.steps[step.at()].substitute = Some(by.clone());
}

fn attempt_started(
    plan: &SagaPlan,
    state: &mut SagaState,
    command: CommandRef,
    attempt: u32,
    cause: EventPosition,
    at: Timestamp,
) {
    let time = plan.policies.command(command).time_for(state.command(command).request.as_deref());
    let it = state.command_mut(command);
    if it.is_settled() {
        it.fresh_from = attempt - 1;
        it.began_at = Some(at);
        forget_substitute(state, command);
    }
    let it = state.command_mut(command);
    it.began_at.get_or_insert(at);
    it.attempt = attempt;
    it.in_doubt.insert(attempt);
    let first = it.in_doubt.len() == 1 && it.last_failure.is_none();
    it.phase = CommandPhase::Attempting(InFlightAttempt::started(time, cause, at, first));
}

/// An attempt that was started and did not leave is taken back, and so is the count of the row that started it.
fn held(state: &mut SagaState, command: CommandRef, phase: CommandPhase, at: Timestamp) {
    let it = state.command_mut(command);
    if it.is_settled() {
        it.fresh_from = it.attempt;
        it.began_at = Some(at);
        forget_substitute(state, command);
    }
    let it = state.command_mut(command);
    it.began_at.get_or_insert(at);
    if it.refused == 0 {
        it.refused_since = Some(at);
    }
    it.refused = it.refused.saturating_add(1);
    if let CommandPhase::Attempting(_) = std::mem::replace(&mut it.phase, phase) {
        it.in_doubt.remove(&it.attempt);
        it.attempt -= 1;
        state.counted_rows = state.counted_rows.saturating_sub(1);
    }
}

fn attempt_failed(
    command: &mut CommandState,
    attempt: u32,
    outcome: AttemptOutcome,
    retry_at: Option<Timestamp>,
    at: Timestamp,
) {
    command.refused = 0;
    match outcome {
        AttemptOutcome::Failed => {
            command.in_doubt.remove(&attempt);
        }
        AttemptOutcome::Unknown => command.doubted_at = Some(at),
    }
    if let (true, Some(until)) = (attempt == command.attempt, retry_at) {
        command.phase = CommandPhase::Resting { until };
        command.rested = Some(until.since(at));
    }
}

/// What is begun anew, or ends anew, has not been answered for.
fn forget_substitute(state: &mut SagaState, command: CommandRef) {
    if command.direction == CommandDirection::Do {
        state.steps[command.step.at()].substitute = None;
    }
}

fn settle(state: &mut SagaState, command: CommandRef, settled: CommandOutcome) {
    forget_substitute(state, command);
    let it = state.command_mut(command);
    if let CommandOutcome::Failed(failure) | CommandOutcome::Unknown(failure) = &settled {
        it.last_failure = Some(failure.clone());
    }
    it.refused = 0;
    it.ending = None;
    it.phase = CommandPhase::Settled(settled);
}

/// A success that comes after its step was given up: from now on the step may be applied, and its undo knows the result.
fn result_arrived(step: &mut StepState, result: &serde_json::Value) {
    step.result = Some(result.clone());
    if let CommandPhase::Settled(CommandOutcome::Failed(failure)) = &step.forward.phase {
        step.forward.phase = CommandPhase::Settled(CommandOutcome::Unknown(failure.clone()));
    }
}

fn heading(course: &SagaPhase) -> SagaDirection {
    match course {
        SagaPhase::Compensating { cause } => SagaDirection::Back(cause.clone()),
        SagaPhase::Parked { was, .. } => was.clone(),
        SagaPhase::Forward | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => SagaDirection::Forward,
    }
}

fn abandon_waits(state: &mut SagaState, who: &str, reason: &str) {
    if let SagaPhase::OutcomeDue { .. } = state.course {
        state.abandon = Some((who.to_owned(), reason.to_owned()));
    }
}

/// A saga that was parked goes on with the time that it had left then.
fn resume(state: &mut SagaState, at: Timestamp) {
    if let SagaPhase::Parked { was, since, .. } = &state.course {
        let parked = OutagePeriod { began: *since, ended: at };
        state.course = match was.clone() {
            SagaDirection::Forward => SagaPhase::Forward,
            SagaDirection::Back(cause) => SagaPhase::Compensating { cause },
        };
        state.parked.add(parked);
    }
}

/// To `only` that command, or to all that wait.
fn grant_fresh_attempts(state: &mut SagaState, only: Option<CommandRef>) {
    for (step, index) in state.steps.iter_mut().zip(0u16..) {
        for (direction, command) in
            [(CommandDirection::Do, &mut step.forward), (CommandDirection::Undo, &mut step.undo)]
        {
            let is_meant = only.is_none_or(|only| only == CommandRef { step: StepIndex(index), direction });
            if let (true, CommandPhase::Held { .. } | CommandPhase::Resting { .. }) = (is_meant, &command.phase) {
                command.fresh_from = command.attempt;
            }
        }
    }
}
