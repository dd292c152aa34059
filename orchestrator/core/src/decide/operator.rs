//! Operators' acts. Each is an input with an id, a person and a reason; the same id changes nothing twice.

use super::{
    Ignored, Refused, Stop,
    draft::{Draft, forward, undo},
};
use crate::{
    command::{CommandRef, Direction},
    event::{Cause, End, Event, OperatorAction, ParkReason},
    state::{Course, Phase},
};

impl Draft<'_, '_> {
    pub(super) fn operator(&mut self, id: &str, who: &str, reason: &str, action: OperatorAction) -> Result<(), Stop> {
        if self.state.acts.contains(id) {
            return Err(Ignored::Repeated.into());
        }
        let acted = Event::OperatorActed { id: id.into(), who: who.into(), reason: reason.into(), action };
        match action {
            OperatorAction::Retry => self.retry(acted),
            OperatorAction::Skip => self.skip(acted),
            OperatorAction::Cancel => self.cancel(acted, who, reason),
            OperatorAction::Abandon => {
                let left = self.left_undone();
                self.emit(acted);
                self.emit(Event::SagaEnded { end: End::Abandoned { who: who.into(), reason: reason.into(), left } });
                Ok(())
            }
        }
    }

    fn retry(&mut self, acted: Event) -> Result<(), Stop> {
        let again = match &self.state.course {
            Course::Parked { reason, .. } => failed_commands(reason),
            Course::Forward | Course::Compensating { .. } => self.resting_commands()?,
            Course::OutcomeDue { .. } | Course::Ended(_) => {
                return Err(
                    Refused("nothing to retry: the outcome event is offered to the broker until it takes it").into()
                );
            }
        };
        self.emit(acted);
        for command in again {
            self.offer_again(command);
        }
        Ok(())
    }

    fn resting_commands(&self) -> Result<Vec<CommandRef>, Stop> {
        let rests = |phase: &Phase| matches!(phase, Phase::Held { .. } | Phase::Resting { .. });
        let resting: Vec<CommandRef> =
            self.state.commands().filter(|(_, command)| rests(&command.phase)).map(|(command, _)| command).collect();
        if resting.is_empty() {
            return Err(Refused("nothing to retry: no command failed or waits for its next attempt").into());
        }
        Ok(resting)
    }

    fn skip(&mut self, acted: Event) -> Result<(), Stop> {
        let Course::Parked { reason, .. } = self.state.course.clone() else {
            return Err(
                Refused("only a parked saga has a step to skip; cancel undoes it, abandon ends it as it is").into()
            );
        };
        self.emit(acted);
        match reason {
            ParkReason::StepFailed { step, .. } => self.emit(Event::StepSkipped { step, direction: Direction::Do }),
            ParkReason::PivotUnknown { step, failure } => {
                self.emit(Event::StepSkipped { step, direction: Direction::Do });
                self.go_back(step, failure);
            }
            ParkReason::UndoFailed { steps, .. } => {
                for step in steps {
                    self.emit(Event::StepSkipped { step, direction: Direction::Undo });
                }
            }
            ParkReason::Output { .. } => self.end(End::Completed { output: serde_json::Value::Null }),
            ParkReason::Limit { .. } => {}
        }
        Ok(())
    }

    fn cancel(&mut self, acted: Event, who: &str, reason: &str) -> Result<(), Stop> {
        if self.state.pivot_passed(self.plan) {
            return Err(Refused("the pivot is passed: the saga only goes forward; abandon ends it as it is").into());
        }
        match &self.state.course {
            Course::Compensating { .. } => Err(Refused("the saga is being undone already").into()),
            Course::OutcomeDue { .. } | Course::Ended(_) => Err(Refused("the saga is at its end").into()),
            Course::Parked { reason: ParkReason::PivotUnknown { .. }, .. } => Err(Refused(
                "whether the pivot happened is not known: retry asks again; skip, once you know that it did not happen, undoes the rest",
            )
            .into()),
            Course::Parked { reason: ParkReason::UndoFailed { .. }, .. } => {
                Err(Refused("undos gave up: retry tries them again; skip, once they are done by hand, goes on").into())
            }
            Course::Forward if self.state.pivot_is_out(self.plan) => {
                self.emit(acted);
                Ok(())
            }
            Course::Forward | Course::Parked { .. } => {
                self.emit(acted);
                let cause = Cause::Cancelled { who: who.into(), reason: reason.into() };
                self.emit(Event::CompensationStarted { cause });
                Ok(())
            }
        }
    }
}

/// The commands that a parked saga waits for.
fn failed_commands(reason: &ParkReason) -> Vec<CommandRef> {
    match reason {
        ParkReason::StepFailed { step, .. } | ParkReason::PivotUnknown { step, .. } => vec![forward(*step)],
        ParkReason::UndoFailed { steps, .. } => steps.iter().map(|step| undo(*step)).collect(),
        ParkReason::Output { .. } | ParkReason::Limit { .. } => Vec::new(),
    }
}
