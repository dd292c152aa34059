//! A row without its content, for a saga that an operator has erased.

use super::{
    CompensationCause, FallbackKind, ParkReason, SagaDecision, SagaEnd, SagaEvent, SubstituteAnswer, TakenOutcome,
    TakenOverStep,
};
use crate::command::CommandFailure;

impl SagaDecision {
    /// The same without what came in, was sent and was answered, as [`SagaDecision::outline`], and without texts in
    /// which a participant or an expression can have repeated it: messages of failures and places to ask. It folds to
    /// the same course and the same phases. Codes, names, times, and operators' acts with their reasons stay.
    #[must_use]
    pub fn erased(&self) -> SagaDecision {
        let outline = self.outline();
        SagaDecision { events: outline.events.into_iter().map(event).collect(), ..outline }
    }
}

fn event(event: SagaEvent) -> SagaEvent {
    match event {
        SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person } => {
            let failure = self::failure(failure);
            SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person }
        }
        SagaEvent::AttemptExtended { step, direction, attempt, deadline, ask_at, location: _ } => {
            SagaEvent::AttemptExtended { step, direction, attempt, deadline, ask_at, location: None }
        }
        SagaEvent::StepRejected { step, result, failure } => {
            SagaEvent::StepRejected { step, result, failure: self::failure(failure) }
        }
        SagaEvent::StepFailed { step, direction, outcome, failure, ending } => {
            SagaEvent::StepFailed { step, direction, outcome, failure: self::failure(failure), ending }
        }
        SagaEvent::StepTakenOver { step, taken } => {
            SagaEvent::StepTakenOver { step, taken: Box::new(self::taken(*taken)) }
        }
        SagaEvent::StepAnswered { step, by, request, result } => {
            SagaEvent::StepAnswered { step, by: substitute(by), request, result }
        }
        SagaEvent::CompensationStarted { cause } => SagaEvent::CompensationStarted { cause: self::cause(cause) },
        SagaEvent::SagaParked { reason } => SagaEvent::SagaParked { reason: parked(reason) },
        SagaEvent::OutcomeDue { end, request } => SagaEvent::OutcomeDue { end: self::end(end), request },
        SagaEvent::OutcomeWaiting { failure } => SagaEvent::OutcomeWaiting { failure: self::failure(failure) },
        SagaEvent::SagaEnded { end } => SagaEvent::SagaEnded { end: self::end(end) },
        SagaEvent::IncidentOpened { step, direction, failure } => {
            SagaEvent::IncidentOpened { step, direction, failure: self::failure(failure) }
        }
        SagaEvent::SagaStarted { .. }
        | SagaEvent::StepStarted { .. }
        | SagaEvent::WaitStarted { .. }
        | SagaEvent::AttemptStarted { .. }
        | SagaEvent::StepWaiting { .. }
        | SagaEvent::StepSucceeded { .. }
        | SagaEvent::StepSkipped { .. }
        | SagaEvent::ResultArrived { .. }
        | SagaEvent::SagaOverdue
        | SagaEvent::SagaResumed
        | SagaEvent::OperatorActed { .. }
        | SagaEvent::DefinitionChanged { .. }
        | SagaEvent::OutcomeShortened { .. } => event,
    }
}

fn failure(failure: CommandFailure) -> CommandFailure {
    CommandFailure { message: String::new(), ..failure }
}

fn cause(cause: CompensationCause) -> CompensationCause {
    match cause {
        CompensationCause::Step { step, failure } => CompensationCause::Step { step, failure: self::failure(failure) },
        CompensationCause::Timeout | CompensationCause::Cancelled { .. } => cause,
    }
}

fn parked(reason: ParkReason) -> ParkReason {
    match reason {
        ParkReason::StepFailed { step, failure, end } => {
            ParkReason::StepFailed { step, failure: self::failure(failure), end }
        }
        ParkReason::PivotUnknown { step, failure } => {
            ParkReason::PivotUnknown { step, failure: self::failure(failure) }
        }
        ParkReason::UndoFailed { steps, failure } => ParkReason::UndoFailed { steps, failure: self::failure(failure) },
        ParkReason::Output { failure } => ParkReason::Output { failure: self::failure(failure) },
        ParkReason::Limit { message: _ } => ParkReason::Limit { message: String::new() },
    }
}

fn taken(taken: TakenOverStep) -> TakenOverStep {
    let outcome = match taken.outcome {
        TakenOutcome::Failed { failure } => TakenOutcome::Failed { failure: self::failure(failure) },
        TakenOutcome::Succeeded | TakenOutcome::Skipped => taken.outcome,
    };
    TakenOverStep { outcome, by: taken.by.map(substitute), ..taken }
}

fn substitute(by: SubstituteAnswer) -> SubstituteAnswer {
    match by {
        SubstituteAnswer::Fallback { index, kind: FallbackKind::Fail { failure } } => {
            SubstituteAnswer::Fallback { index, kind: FallbackKind::Fail { failure: self::failure(failure) } }
        }
        SubstituteAnswer::Cache { .. } | SubstituteAnswer::Fallback { .. } => by,
    }
}

fn end(end: SagaEnd) -> SagaEnd {
    match end {
        SagaEnd::Compensated { cause, irreversible, in_doubt } => {
            SagaEnd::Compensated { cause: self::cause(cause), irreversible, in_doubt }
        }
        SagaEnd::Completed { .. } | SagaEnd::Abandoned { .. } => end,
    }
}
