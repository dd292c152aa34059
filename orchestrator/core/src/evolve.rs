//! (state, event) → state. Applies facts; has no rules and refuses nothing that decide recorded.

mod attempts;
mod course;
mod endings;
mod fold;

use crate::{
    answerable::OutageLog,
    command::{CommandDirection, CommandRef},
    event::{SagaDecision, SagaEvent},
    id::{SagaId, StepIndex},
    state::{
        ActHistory, AppliedAct, CommandPhase, EventPosition, OutcomeForm, SagaIncident, SagaPhase, SagaPlan, SagaState,
        ScopeConstants, StepState,
    },
    time::Timestamp,
    trace,
};
use attempts::EndedAttempt;
use std::sync::Arc;

pub use fold::{FoldError, fold, resumed, step_of, visit};
pub(crate) use fold::{check, fold_as_owner};

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

/// Whether a row of these events tells of a step ahead. What is recorded at a bounded rate however long it lasts is no
/// loop: that a guard holds a command back, and that a participant works on it.
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
    let SagaEvent::SagaStarted { key, trigger, traceparent, forked_from, .. } = event else { return None };
    Some(SagaState {
        id: saga,
        version: 0,
        last_at: at,
        counted_rows: 0,
        started_at: at,
        key: key.clone(),
        forked_from: forked_from.as_deref().map(|origin| Arc::new(origin.clone())),
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
        erased: None,
        outcome_is_out: false,
        incidents: Vec::new(),
    })
}

/// Applies one event to `state`. `name` is its place in the journal, `at` the time of its row.
pub(crate) fn apply(plan: &SagaPlan, state: &mut SagaState, event: &SagaEvent, name: EventPosition, at: Timestamp) {
    EventFold { plan, state, name, at }.apply(event);
}

/// One event on its way into the state. The modules below hold what an event of each family does.
struct EventFold<'a> {
    plan: &'a SagaPlan,
    state: &'a mut SagaState,
    /// Where the event stands in the journal.
    name: EventPosition,
    /// When its row was decided.
    at: Timestamp,
}

impl EventFold<'_> {
    fn apply(&mut self, event: &SagaEvent) {
        match event {
            SagaEvent::SagaStarted { .. } => {}
            SagaEvent::StepTakenOver { step, taken } => self.taken_over(*step, taken),
            SagaEvent::StepStarted { step, direction, request, probe } => {
                self.step_started(of(*step, *direction), request, *probe);
            }
            SagaEvent::WaitStarted { step, until } => self.wait_started(*step, *until),
            SagaEvent::AttemptStarted { step, direction, attempt, probe } => {
                self.attempt_started(of(*step, *direction), *attempt, *probe);
            }
            SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person } => {
                let (attempt, outcome, retry_at, needs_person) = (*attempt, *outcome, *retry_at, *needs_person);
                let ended = EndedAttempt { attempt, outcome, failure, retry_at, needs_person };
                self.attempt_failed(of(*step, *direction), &ended);
            }
            SagaEvent::AttemptExtended { step, direction, deadline, ask_at, location, .. } => {
                self.attempt_extended(of(*step, *direction), *deadline, *ask_at, location.as_deref());
            }
            SagaEvent::StepWaiting { step, direction, guard, participant, not_before, .. } => {
                let phase =
                    CommandPhase::Held { guard: *guard, participant: participant.clone(), not_before: *not_before };
                self.held(of(*step, *direction), phase);
            }
            SagaEvent::StepSucceeded { step, direction, result } => self.succeeded(of(*step, *direction), result),
            SagaEvent::StepRejected { step, result, failure } => self.rejected(*step, result, failure),
            SagaEvent::StepFailed { step, direction, outcome, failure, ending } => {
                self.failed(of(*step, *direction), *outcome, failure, *ending);
            }
            SagaEvent::StepAnswered { step, by, request, result } => self.answered(*step, by, request.as_ref(), result),
            SagaEvent::StepSkipped { step, direction, in_doubt: _ } => self.skipped(of(*step, *direction)),
            SagaEvent::ResultArrived { step, result } => self.result_arrived(*step, result),
            SagaEvent::CompensationStarted { cause } => self.compensation_started(cause),
            SagaEvent::SagaOverdue => self.state.overdue = true,
            SagaEvent::SagaParked { reason } => self.parked(reason),
            SagaEvent::SagaResumed => self.resumed(),
            SagaEvent::OperatorActed { id, who, reason, action, command } => {
                self.state.acts.add(AppliedAct { id: id.clone(), action: *action, command: *command, at: self.at });
                self.acted(who, reason, *action, *command);
            }
            SagaEvent::DefinitionChanged { .. } => self.definition_changed(),
            SagaEvent::OutcomeDue { end, request } => self.outcome_due(end.clone(), request, OutcomeForm::Whole),
            SagaEvent::OutcomeWaiting { failure } => self.outcome_waits(failure),
            SagaEvent::OutcomeShortened { request } => self.outcome_shortened(request),
            SagaEvent::SagaEnded { end } => self.state.course = SagaPhase::Ended(end.clone()),
            SagaEvent::IncidentOpened { step, direction, failure } => {
                let incident =
                    SagaIncident { at: self.at, step: *step, direction: *direction, failure: failure.clone() };
                self.state.incidents.push(incident);
            }
        }
    }
}

fn of(step: StepIndex, direction: CommandDirection) -> CommandRef {
    CommandRef { step, direction }
}
