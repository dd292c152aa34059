//! Where the saga is heading, what operators did about it, and how its outcome event fares.

use super::EventFold;
use crate::{
    answerable::OutagePeriod,
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest},
    event::{CompensationCause, OperatorAction, ParkReason, SagaEnd},
    id::StepIndex,
    state::{CommandPhase, OutcomeForm, SagaDirection, SagaErasure, SagaPhase, StepState},
};

impl EventFold<'_> {
    pub(super) fn compensation_started(&mut self, cause: &CompensationCause) {
        self.state.cancel = None;
        self.state.course = SagaPhase::Compensating { cause: cause.clone() };
    }

    pub(super) fn parked(&mut self, reason: &ParkReason) {
        let was = heading(&self.state.course);
        self.state.course = SagaPhase::Parked { reason: reason.clone(), was, since: self.at };
    }

    /// A saga that was parked goes on with the time that it had left then.
    pub(super) fn resumed(&mut self) {
        if let SagaPhase::Parked { was, since, .. } = &self.state.course {
            let parked = OutagePeriod { began: *since, ended: self.at };
            self.state.course = match was.clone() {
                SagaDirection::Forward => SagaPhase::Forward,
                SagaDirection::Back(cause) => SagaPhase::Compensating { cause },
            };
            self.state.parked.add(parked);
        }
    }

    pub(super) fn acted(&mut self, who: &str, reason: &str, action: OperatorAction, command: Option<CommandRef>) {
        match action {
            OperatorAction::Cancel => {
                self.resumed();
                self.state.cancel = Some((who.to_owned(), reason.to_owned()));
            }
            OperatorAction::Abandon => self.abandon_waits(who, reason),
            OperatorAction::Erase => {
                let (who, reason) = (who.to_owned(), reason.to_owned());
                self.state.erased = Some(SagaErasure { at: self.at, who, reason });
            }
            OperatorAction::Skip => self.resumed(),
            // The event before it says by what the saga goes on; nothing else changes.
            OperatorAction::Migrate => {}
            OperatorAction::Retry => {
                self.resumed();
                self.grant_fresh_attempts(command);
            }
        }
    }

    /// Steps that have begun have the same places in the new definition.
    pub(super) fn definition_changed(&mut self) {
        self.state.steps.resize(self.plan.definition.steps.len(), StepState::default());
    }

    pub(super) fn outcome_due(&mut self, end: SagaEnd, request: &CommandRequest, form: OutcomeForm) {
        let (request, cause, at) = (request.clone(), self.name, self.at);
        self.state.course = SagaPhase::OutcomeDue { end, request, form, waits: None, cause, at };
    }

    pub(super) fn outcome_waits(&mut self, failure: &CommandFailure) {
        if let SagaPhase::OutcomeDue { waits, .. } = &mut self.state.course {
            *waits = Some(failure.clone());
        }
    }

    pub(super) fn outcome_shortened(&mut self, request: &CommandRequest) {
        if let SagaPhase::OutcomeDue { end, .. } = &self.state.course {
            self.outcome_due(end.clone(), request, OutcomeForm::WithoutOutput);
        }
    }

    fn abandon_waits(&mut self, who: &str, reason: &str) {
        if let SagaPhase::OutcomeDue { .. } = self.state.course {
            self.state.abandon = Some((who.to_owned(), reason.to_owned()));
        }
    }

    /// To `only` that command, or to all that wait.
    fn grant_fresh_attempts(&mut self, only: Option<CommandRef>) {
        for (step, index) in self.state.steps.iter_mut().zip(0u16..) {
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
}

fn heading(course: &SagaPhase) -> SagaDirection {
    match course {
        SagaPhase::Compensating { cause } => SagaDirection::Back(cause.clone()),
        SagaPhase::Parked { was, .. } => was.clone(),
        SagaPhase::Forward | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => SagaDirection::Forward,
    }
}
