//! (state, event) → state. Applies facts; has no rules and refuses nothing that decide recorded.

mod fold;

use crate::{
    answerable::{Outage, Outages},
    command::{CommandRef, Direction},
    event::{AttemptOutcome, Decision, Event, OperatorAction, Substitute},
    id::{SagaId, StepIndex},
    state::{
        Acted, Acts, Attempting, CommandState, Course, EventName, Heading, Incident, OutcomeForm, Phase, Plan, Seen,
        Settled, State, StepState,
    },
    time::Timestamp,
    trace,
};
use std::sync::Arc;

pub use fold::{FoldError, fold, step_of};

/// Whether the row is decided by another definition than the one before.
#[must_use]
pub fn changes_definition(decision: &Decision) -> bool {
    matches!(decision.events.first(), Some(Event::DefinitionChanged { .. }))
}

/// Applies one row to the state that the rows before it fold to.
pub fn evolve(plan: &Plan, state: &mut State, decision: &Decision) {
    for (event, index) in decision.events.iter().zip(0u16..) {
        apply(plan, state, event, EventName { version: decision.version, index }, decision.at);
    }
    close(state, decision);
}

/// What a row means to the state when all its events are applied.
pub(crate) fn close(state: &mut State, decision: &Decision) {
    if counts(&decision.events) {
        state.counted_rows = state.counted_rows.saturating_add(1);
    }
    state.version = decision.version;
    state.last_at = decision.at;
}

/// Whether a row of these events tells of a step ahead. What is recorded at a bounded rate however long it lasts is no loop: that a guard
/// holds a command back, and that a participant works on it.
pub(crate) fn counts(events: &[Event]) -> bool {
    events.iter().any(|event| {
        !matches!(event, Event::StepWaiting { .. } | Event::OutcomeWaiting { .. } | Event::AttemptExtended { .. })
    })
}

/// The state right after its start; `None` if `event` is not a start.
pub(crate) fn started(plan: &Plan, saga: SagaId, event: &Event, at: Timestamp) -> Option<State> {
    let Event::SagaStarted { key, trigger, traceparent, .. } = event else { return None };
    Some(State {
        id: saga,
        version: 0,
        last_at: at,
        counted_rows: 0,
        started_at: at,
        key: key.clone(),
        trigger: Arc::new(trigger.as_ref().clone()),
        traceparent: trace::traceparent(saga, traceparent.as_deref()),
        seen: Arc::new(Seen::new(plan, saga, key, at, trigger)),
        course: Course::Forward,
        steps: vec![StepState::default(); plan.definition.steps.len()],
        results: serde_json::Map::new(),
        parked: Outages::NONE,
        overdue: false,
        cancel: None,
        abandon: None,
        acts: Acts::default(),
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
pub(crate) fn apply(plan: &Plan, state: &mut State, event: &Event, name: EventName, at: Timestamp) {
    match event {
        Event::SagaStarted { .. } => {}
        Event::StepStarted { step, direction, request, probe } => {
            let command = CommandRef { step: *step, direction: *direction };
            state.command_mut(command).request = Some(Arc::new(request.clone()));
            is_probe(state.command_mut(command), 1, *probe);
            attempt_started(plan, state, command, 1, name, at);
        }
        Event::WaitStarted { step, until } => {
            let command = state.command_mut(CommandRef { step: *step, direction: Direction::Do });
            command.began_at.get_or_insert(at);
            command.phase = Phase::Sleeping { until: *until };
        }
        Event::AttemptStarted { step, direction, attempt, probe } => {
            let command = CommandRef { step: *step, direction: *direction };
            is_probe(state.command_mut(command), *attempt, *probe);
            attempt_started(plan, state, command, *attempt, name, at);
        }
        Event::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person } => {
            let command = state.command_mut(CommandRef { step: *step, direction: *direction });
            attempt_failed(command, *attempt, *outcome, *retry_at, at);
            command.last_failure = Some(failure.clone());
            command.needs_person = *needs_person;
        }
        Event::AttemptExtended { step, direction, deadline, ask_at, location, .. } => {
            let command = state.command_mut(CommandRef { step: *step, direction: *direction });
            if let Phase::Attempting(attempting) = &mut command.phase {
                attempting.extended(*deadline, *ask_at, location.clone(), at);
                if ask_at.is_some() {
                    command.asked_after.insert(command.attempt);
                }
            }
        }
        Event::StepWaiting { step, direction, guard, participant, not_before, .. } => {
            let command = CommandRef { step: *step, direction: *direction };
            let phase = Phase::Held { guard: *guard, participant: participant.clone(), not_before: *not_before };
            held(state, command, phase, at);
        }
        Event::StepSucceeded { step, direction, result } => {
            settle(state, CommandRef { step: *step, direction: *direction }, Settled::Succeeded);
            if *direction == Direction::Do {
                pivot_settled(plan, state, *step);
                let name = plan.definition.step(*step).name.clone();
                state.results.insert(name, result.clone());
                state.steps[step.at()].result = Some(result.clone());
            }
        }
        Event::StepRejected { step, result, failure } => {
            let command = CommandRef { step: *step, direction: Direction::Do };
            settle(state, command, Settled::Rejected(failure.clone()));
            state.steps[step.at()].result = Some(result.clone());
        }
        Event::StepFailed { step, direction, outcome, failure, ending } => {
            let settled = match outcome {
                AttemptOutcome::Failed => Settled::Failed(failure.clone()),
                AttemptOutcome::Unknown => Settled::Unknown(failure.clone()),
            };
            let command = CommandRef { step: *step, direction: *direction };
            settle(state, command, settled);
            state.command_mut(command).ending = Some(*ending);
        }
        Event::StepAnswered { step, by, request, result } => {
            if let Some(request) = request {
                state.steps[step.at()].forward.request = Some(Arc::new(request.clone()));
            }
            answered(plan, state, *step, by, result);
        }
        Event::StepSkipped { step, direction, in_doubt: _ } => {
            settle(state, CommandRef { step: *step, direction: *direction }, Settled::Skipped);
            if *direction == Direction::Do {
                pivot_settled(plan, state, *step);
            }
        }
        Event::ResultArrived { step, result } => result_arrived(&mut state.steps[step.at()], result),
        Event::CompensationStarted { cause } => {
            state.cancel = None;
            state.course = Course::Compensating { cause: cause.clone() };
        }
        Event::SagaOverdue => state.overdue = true,
        Event::SagaParked { reason } => {
            let was = heading(&state.course);
            state.course = Course::Parked { reason: reason.clone(), was, since: at };
        }
        Event::SagaResumed => resume(state, at),
        Event::OperatorActed { id, who, reason, action, command } => {
            state.acts.add(Acted { id: id.clone(), action: *action, command: *command, at });
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
        Event::DefinitionChanged { .. } => state.steps.resize(plan.definition.steps.len(), StepState::default()),
        Event::OutcomeDue { end, request } => {
            let (end, request) = (end.clone(), request.clone());
            let form = OutcomeForm::Whole;
            state.course = Course::OutcomeDue { end, request, form, waits: None, cause: name, at };
        }
        Event::OutcomeWaiting { failure } => {
            if let Course::OutcomeDue { waits, .. } = &mut state.course {
                *waits = Some(failure.clone());
            }
        }
        Event::OutcomeShortened { request } => {
            if let Course::OutcomeDue { end, .. } = &state.course {
                let (end, request) = (end.clone(), request.clone());
                let form = OutcomeForm::WithoutOutput;
                state.course = Course::OutcomeDue { end, request, form, waits: None, cause: name, at };
            }
        }
        Event::SagaEnded { end } => state.course = Course::Ended(end.clone()),
        Event::IncidentOpened { step, direction, failure } => {
            state.incidents.push(Incident { at, step: *step, direction: *direction, failure: failure.clone() });
        }
    }
}

/// A cancel that waited for the pivot comes too late once the pivot is passed.
fn pivot_settled(plan: &Plan, state: &mut State, step: StepIndex) {
    if plan.definition.step(step).pivot {
        state.cancel = None;
    }
}

/// The cache settles a step that nobody asked; what a fallback answers leaves open what became of the do, and its undo is not told of it.
fn answered(plan: &Plan, state: &mut State, step: StepIndex, by: &Substitute, result: &serde_json::Value) {
    if let Substitute::Cache { .. } = by {
        settle(state, CommandRef { step, direction: Direction::Do }, Settled::Succeeded);
        state.steps[step.at()].result = Some(result.clone());
    }
    if by.failure().is_none() {
        state.results.insert(plan.definition.step(step).name.clone(), result.clone());
    }
    state.steps[step.at()].substitute = Some(by.clone());
}

fn attempt_started(plan: &Plan, state: &mut State, command: CommandRef, attempt: u32, cause: EventName, at: Timestamp) {
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
    it.phase = Phase::Attempting(Attempting::started(time, cause, at, first));
}

/// An attempt that was started and did not leave is taken back, and so is the count of the row that started it.
fn held(state: &mut State, command: CommandRef, phase: Phase, at: Timestamp) {
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
    if let Phase::Attempting(_) = std::mem::replace(&mut it.phase, phase) {
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
        command.phase = Phase::Resting { until };
        command.rested = Some(until.since(at));
    }
}

/// What is begun anew, or ends anew, has not been answered for.
fn forget_substitute(state: &mut State, command: CommandRef) {
    if command.direction == Direction::Do {
        state.steps[command.step.at()].substitute = None;
    }
}

fn settle(state: &mut State, command: CommandRef, settled: Settled) {
    forget_substitute(state, command);
    let it = state.command_mut(command);
    if let Settled::Failed(failure) | Settled::Unknown(failure) = &settled {
        it.last_failure = Some(failure.clone());
    }
    it.refused = 0;
    it.ending = None;
    it.phase = Phase::Settled(settled);
}

/// A success that comes after its step was given up: from now on the step may be applied, and its undo knows the result.
fn result_arrived(step: &mut StepState, result: &serde_json::Value) {
    step.result = Some(result.clone());
    if let Phase::Settled(Settled::Failed(failure)) = &step.forward.phase {
        step.forward.phase = Phase::Settled(Settled::Unknown(failure.clone()));
    }
}

fn heading(course: &Course) -> Heading {
    match course {
        Course::Compensating { cause } => Heading::Back(cause.clone()),
        Course::Parked { was, .. } => was.clone(),
        Course::Forward | Course::OutcomeDue { .. } | Course::Ended(_) => Heading::Forward,
    }
}

fn abandon_waits(state: &mut State, who: &str, reason: &str) {
    if let Course::OutcomeDue { .. } = state.course {
        state.abandon = Some((who.to_owned(), reason.to_owned()));
    }
}

/// A saga that was parked goes on with the time that it had left then.
fn resume(state: &mut State, at: Timestamp) {
    if let Course::Parked { was, since, .. } = &state.course {
        let parked = Outage { began: *since, ended: at };
        state.course = match was.clone() {
            Heading::Forward => Course::Forward,
            Heading::Back(cause) => Course::Compensating { cause },
        };
        state.parked.add(parked);
    }
}

/// To `only` that command, or to all that wait.
fn grant_fresh_attempts(state: &mut State, only: Option<CommandRef>) {
    for (step, index) in state.steps.iter_mut().zip(0u16..) {
        for (direction, command) in [(Direction::Do, &mut step.forward), (Direction::Undo, &mut step.undo)] {
            let is_meant = only.is_none_or(|only| only == CommandRef { step: StepIndex(index), direction });
            if let (true, Phase::Held { .. } | Phase::Resting { .. }) = (is_meant, &command.phase) {
                command.fresh_from = command.attempt;
            }
        }
    }
}
