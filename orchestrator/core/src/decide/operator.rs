//! Operators' acts. Each is an input with an id, a person and a reason; the same id changes nothing twice.

use super::{
    Ignored, Refused, Stop,
    draft::{Draft, forward, undo},
};
use crate::{
    command::{CommandRef, Direction},
    event::{End, Event, OperatorAction, ParkReason},
    id::StepIndex,
    state::{Course, Heading, Phase},
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
            OperatorAction::Cancel => self.cancel(acted),
            OperatorAction::Abandon => {
                let is_on_its_way = matches!(self.state.course, Course::OutcomeDue { waits: None, .. });
                self.emit(acted);
                // The broker may have the outcome event already: what it says decides how the saga ends.
                if !is_on_its_way {
                    self.abandoned(who, reason);
                }
                Ok(())
            }
        }
    }

    pub(super) fn abandoned(&mut self, who: &str, reason: &str) {
        let left = self.left_undone();
        self.emit(Event::SagaEnded { end: End::Abandoned { who: who.into(), reason: reason.into(), left } });
    }

    fn retry(&mut self, acted: Event) -> Result<(), Stop> {
        let again = match &self.state.course {
            Course::Parked { was: Heading::Forward, .. } => self.given_up_forward(),
            Course::Parked { was: Heading::Back(_), .. } => self.given_up_undos(),
            Course::Forward | Course::Compensating { .. } => self.resting_commands()?,
            Course::OutcomeDue { .. } | Course::Ended(_) => {
                return Err(
                    Refused("nothing to retry: the outcome event is offered to the broker until it takes it").into()
                );
            }
        };
        self.emit(acted);
        for command in again {
            // The one before may have parked the saga again, or sent it back.
            let wanted = match command.direction {
                Direction::Do => matches!(self.state.course, Course::Forward),
                Direction::Undo => !matches!(self.state.course, Course::Parked { .. }),
            };
            if wanted {
                self.offer_again(command);
            }
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
            // A skipped pivot would be a passed one. What became of this one stays on record as unknown.
            ParkReason::PivotUnknown { step, failure } => self.go_back(step, failure),
            ParkReason::UndoFailed { .. } => {
                for CommandRef { step, direction } in self.given_up_undos() {
                    self.emit(Event::StepSkipped { step, direction });
                }
            }
            ParkReason::Output { .. } => self.end(End::Completed { output: serde_json::Value::Null }),
            ParkReason::Limit { .. } => {}
        }
        Ok(())
    }

    /// What follows from a cancel follows at once, or after the answer of a pivot that is out.
    fn cancel(&mut self, acted: Event) -> Result<(), Stop> {
        if self.state.pivot_passed(self.plan) {
            return Err(Refused("the pivot is passed: the saga only goes forward; abandon ends it as it is").into());
        }
        match &self.state.course {
            Course::OutcomeDue { .. } | Course::Ended(_) => Err(Refused("the saga is at its end").into()),
            Course::Parked { reason: ParkReason::PivotUnknown { .. }, .. } => Err(Refused(
                "whether the pivot happened is not known: retry asks again; skip, once you know that it did not happen, undoes the rest",
            )
            .into()),
            Course::Parked { reason: ParkReason::UndoFailed { .. }, was: Heading::Back(_), .. } => {
                Err(Refused("undos gave up: retry tries them again; skip, once they are done by hand, goes on").into())
            }
            Course::Compensating { .. } | Course::Parked { was: Heading::Back(_), .. } => {
                Err(Refused("the saga is being undone already").into())
            }
            Course::Forward | Course::Parked { was: Heading::Forward, .. } => {
                self.emit(acted);
                Ok(())
            }
        }
    }

    /// What a saga that is parked on its way forward waits for: required steps that ended badly, and undos of optional ones.
    fn given_up_forward(&self) -> Vec<CommandRef> {
        let definition = &self.plan.definition;
        let ended_badly =
            |step: &StepIndex| !definition.step(*step).optional && self.state.step(*step).ended_badly().is_some();
        definition.indices().filter(ended_badly).map(forward).chain(self.given_up_undos()).collect()
    }

    fn given_up_undos(&self) -> Vec<CommandRef> {
        let gave_up = |step: &StepIndex| self.state.step(*step).undo.gave_up().is_some();
        self.plan.definition.indices().filter(gave_up).map(undo).collect()
    }
}
