//! What follows at once from what was recorded: ready steps start, and a saga with nothing left to do ends.

use super::{
    draft::{DecisionDraft, forward, undo},
    ended::FinalFailure,
};
use crate::{
    command::{CommandDirection, CommandRef, CommandRequest},
    definition::{OutcomeEvent, StepAction},
    event::{AttemptOutcome, NoRetryReason, ParkReason, SagaEnd, SagaEvent},
    id::StepIndex,
    state::{CommandPhase, SagaPhase},
};
use serde_json::{Value, json};

impl DecisionDraft<'_, '_> {
    /// Goes on until nothing more follows. Each round records something, and a round for each step is the most there
    /// can be: a step is started, skipped or failed once in each direction.
    pub(super) fn advance(&mut self) {
        let most_rounds = 2 * self.state.steps.len() + 2;
        for _ in 0..most_rounds {
            let before = self.recorded();
            match self.state.course {
                SagaPhase::Forward => self.advance_forward(),
                SagaPhase::Compensating { .. } => self.advance_back(),
                SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => return,
            }
            if self.recorded() == before {
                return;
            }
        }
    }

    fn is_forward(&self) -> bool {
        matches!(self.state.course, SagaPhase::Forward)
    }

    fn advance_forward(&mut self) {
        if self.state.cancel.is_some() && !self.state.pivot_is_out(self.plan) && !self.state.pivot_passed(self.plan) {
            self.go_back_as_told();
            return;
        }
        self.look_at_what_ended_badly();
        for step in self.plan.definition.indices() {
            if self.is_forward() && self.is_ready(step) {
                self.begin_step(step);
            }
        }
        for step in self.plan.definition.indices() {
            let definition = self.plan.definition.step(step);
            let regretted = definition.optional && self.state.step(step).ended_badly().is_some();
            if self.is_forward() && regretted && self.state.step(step).undo_is_due(definition) {
                self.begin_or_fail(undo(step));
            }
        }
        if self.is_forward() && self.is_at_its_end() {
            self.complete();
        }
    }

    /// While a saga is parked nothing follows from what ends badly; it does when the saga is moved on, by how each step
    /// ended.
    fn look_at_what_ended_badly(&mut self) {
        for step in self.plan.definition.indices() {
            let state = self.state.step(step);
            let Some(failure) = state.ended_badly().filter(|_| self.is_forward()).cloned() else { continue };
            self.step_ended_badly(forward(step), failure);
        }
    }

    fn is_ready(&self, step: StepIndex) -> bool {
        let definition = self.plan.definition.step(step);
        let passes = |before: &StepIndex| self.state.step(*before).lets_pass(self.plan.definition.step(*before));
        self.state.step(step).forward.phase == CommandPhase::Idle && definition.after.iter().all(passes)
    }

    pub(super) fn begin_step(&mut self, step: StepIndex) {
        match self.condition(step) {
            Err(failure) => self.never_began(forward(step), FinalFailure { failure, ending: NoRetryReason::Definite }),
            Ok(false) => self.emit(SagaEvent::StepSkipped { step, direction: CommandDirection::Do, in_doubt: false }),
            Ok(true) => match &self.plan.definition.step(step).action {
                StepAction::Wait(span) => {
                    let until = self.now.plus(*span);
                    self.emit(SagaEvent::WaitStarted { step, until });
                }
                StepAction::Call(_) | StepAction::Publish { .. } => self.begin_or_fail(forward(step)),
            },
        }
    }

    /// Begins a command; one whose request cannot be evaluated has failed, and nothing is sent.
    pub(super) fn begin_or_fail(&mut self, command: CommandRef) {
        if let Err(ended) = self.begin(command) {
            self.never_began(command, ended);
        }
    }

    fn never_began(&mut self, command: CommandRef, ended: FinalFailure) {
        let (step, direction) = (command.step, command.direction);
        let (outcome, FinalFailure { failure, ending }) = (AttemptOutcome::Failed, ended);
        self.emit(SagaEvent::StepFailed { step, direction, outcome, failure: failure.clone(), ending });
        // What cannot be evaluated is a mistake of the definition: no fallback hides it.
        if ending == NoRetryReason::NeedsPerson {
            self.fall_back(command, ending);
        }
        match direction {
            // The saga goes on without it, and nothing else says that its definition is mistaken.
            CommandDirection::Do if self.plan.definition.step(step).optional => self.incident(Some(command), failure),
            CommandDirection::Do => self.step_ended_badly(command, failure),
            CommandDirection::Undo => self.incident(Some(command), failure),
        }
    }

    /// Every step lets pass, and the undos of optional steps have ended.
    fn is_at_its_end(&self) -> bool {
        let mut steps = self.plan.definition.indices();
        steps.all(|step| {
            let state = self.state.step(step);
            state.lets_pass(self.plan.definition.step(step)) && !state.undo.is_open()
        })
    }

    fn complete(&mut self) {
        if let Some(reason) = self.undos_that_gave_up() {
            self.emit(SagaEvent::SagaParked { reason });
            return;
        }
        match self.output() {
            Ok(output) => self.end(SagaEnd::Completed { output }),
            Err(failure) => self.emit(SagaEvent::SagaParked { reason: ParkReason::Output { failure } }),
        }
    }

    /// The undos that a person has to look at before the saga can end.
    pub(super) fn undos_that_gave_up(&self) -> Option<ParkReason> {
        let steps: Vec<StepIndex> = self.state.undos_given_up(self.plan).into_iter().map(|it| it.step).collect();
        let failure = self.state.step(*steps.first()?).undo.gave_up()?.clone();
        Some(ParkReason::UndoFailed { steps, failure })
    }

    /// The end, or the outcome event that has to be delivered before it.
    pub(super) fn end(&mut self, end: SagaEnd) {
        let definition = &self.plan.definition;
        let event = match &end {
            SagaEnd::Completed { .. } => definition.on_completed.as_ref(),
            SagaEnd::Compensated { .. } => definition.on_compensated.as_ref(),
            SagaEnd::Abandoned { .. } => None,
        };
        match event {
            Some(event) => {
                let request = self.outcome_event(event, &end);
                self.emit(SagaEvent::OutcomeDue { end, request });
            }
            None => self.emit(SagaEvent::SagaEnded { end }),
        }
    }

    fn outcome_event(&self, event: &OutcomeEvent, end: &SagaEnd) -> CommandRequest {
        let common = |status: &str| {
            json!({
                "sagaId": self.state.id.to_string(),
                "saga": self.plan.definition.name,
                "key": self.state.key,
                "status": status,
            })
        };
        let mut body = match end {
            SagaEnd::Completed { .. } => common("completed"),
            SagaEnd::Compensated { .. } => common("compensated"),
            SagaEnd::Abandoned { .. } => common("abandoned"),
        };
        match end {
            SagaEnd::Completed { output } => body["output"] = output.clone(),
            SagaEnd::Compensated { cause, .. } => {
                let (step, reason) = self.told(cause);
                body["output"] = Value::Null;
                body["failedStep"] = step;
                body["reason"] = reason;
            }
            SagaEnd::Abandoned { .. } => {}
        }
        CommandRequest::Publish {
            topic: event.topic.clone(),
            event_type: event.event_type.clone(),
            key: self.state.key.clone(),
            body,
        }
    }
}
