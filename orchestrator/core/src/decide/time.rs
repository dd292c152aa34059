//! What the passing of time leads to. Stale timers change nothing.

use super::{Ignored, Stop, answer::Bad, draft::Draft};
use crate::{
    command::{CommandRef, Direction, ErrorClass, Failure, Retryable},
    event::{AttemptOutcome, Cause, Ending, Event},
    state::{Course, Phase},
    time::Timestamp,
};
use serde_json::Value;

impl Draft<'_, '_> {
    pub(super) fn time_reached(&mut self) -> Result<(), Stop> {
        match self.state.course {
            Course::Forward | Course::Compensating { .. } => {}
            Course::Parked { .. } | Course::OutcomeDue { .. } | Course::Ended(_) => return Err(Ignored::NotDue.into()),
        }
        self.saga_time();
        let commands: Vec<CommandRef> = self.state.commands().map(|(command, _)| command).collect();
        for command in commands {
            // The times of a parked saga do not fire, from the moment that it parks.
            if !matches!(self.state.course, Course::Parked { .. }) {
                self.command_time(command);
            }
        }
        if self.is_empty() && !self.noted { Err(Ignored::NotDue.into()) } else { Ok(()) }
    }

    pub(super) fn released(&mut self, command: CommandRef) -> Result<(), Stop> {
        let is_under_way = matches!(self.state.course, Course::Forward | Course::Compensating { .. });
        let held = matches!(self.state.command(command).phase, Phase::Held { .. });
        let given_up = command.direction == Direction::Do && matches!(self.state.course, Course::Compensating { .. });
        if !is_under_way || !held || given_up {
            return Err(Ignored::NotDue.into());
        }
        self.released = Some(command);
        self.offer_again(command);
        match self.still_held.take() {
            Some(still_held) if self.is_empty() => Err(still_held.into()),
            Some(_) | None => Ok(()),
        }
    }

    fn saga_time(&mut self) {
        let is_forward = matches!(self.state.course, Course::Forward);
        let ends = self.state.deadline_due(self.plan, &self.context.answerable.outages);
        let is_over = ends.is_some_and(|end| self.is_over(end));
        if !is_forward || !is_over {
            return;
        }
        if self.state.pivot_passed(self.plan) {
            let failure = Failure::new("overdue", "the saga's time ended after its pivot; it goes on");
            self.emit(Event::SagaOverdue);
            self.incident(None, failure);
        } else {
            self.turn_back(Cause::Timeout);
        }
    }

    fn command_time(&mut self, command: CommandRef) {
        let going_back = matches!(self.state.course, Course::Compensating { .. });
        let outages = &self.context.answerable.outages;
        if self.state.step_ends(self.plan, command, outages).is_some_and(|end| self.is_over(end)) {
            let failure = Failure::new("timeout", "the step's time was over");
            let ending = if self.state.command(command).needs_person { Ending::NeedsPerson } else { Ending::Exhausted };
            self.give_up(command, failure, ending);
            return;
        }
        let pauses = &*self.state.pauses(outages, self.now);
        let due = |at: &Timestamp, now: Timestamp| *at <= now;
        match &self.state.command(command).phase {
            Phase::Idle | Phase::Settled(_) => {}
            // What rests when the saga goes back is settled by the way back itself.
            Phase::Held { .. } | Phase::Resting { .. } | Phase::Sleeping { .. }
                if going_back && command.direction == Direction::Do => {}
            Phase::Held { not_before, .. } if due(not_before, self.now) => self.offer_again(command),
            Phase::Resting { until } if due(until, self.now) => self.offer_again(command),
            Phase::Sleeping { until } if due(until, self.now) => self.emit(Event::StepSucceeded {
                step: command.step,
                direction: command.direction,
                result: Value::Null,
            }),
            Phase::Attempting(attempting) if attempting.ends(pauses).is_some_and(|end| self.is_over(end)) => {
                self.attempt_timed_out(command);
            }
            Phase::Attempting(attempting) if attempting.ask_at().is_some_and(|at| due(&at, self.now)) => {
                self.ask(command);
            }
            Phase::Held { .. } | Phase::Resting { .. } | Phase::Sleeping { .. } | Phase::Attempting(_) => {}
        }
    }

    /// Whether a time that ends at `end` is over: the clock says so, and every answer that was there by then has been taken.
    pub(super) fn is_over(&self, end: Timestamp) -> bool {
        end <= self.now && end <= self.context.answerable.until
    }

    /// What a guard held back, what rested, or what an operator wants tried again. A step whose condition could not be evaluated begins
    /// with its condition.
    pub(super) fn offer_again(&mut self, command: CommandRef) {
        let it = self.state.command(command);
        match (command.direction, it.request.is_some(), it.began_at.is_some()) {
            (_, true, _) => self.attempt_again(command),
            (Direction::Do, false, false) => self.begin_step(command.step),
            (Direction::Do, false, true) | (Direction::Undo, false, _) => self.begin_or_fail(command),
        }
    }

    fn attempt_timed_out(&mut self, command: CommandRef) {
        let attempt = self.state.command(command).attempt;
        let failure = &Failure::new("timeout", "no answer within the attempt's time").of_class(ErrorClass::Timeout);
        let outcome = AttemptOutcome::Unknown;
        self.unknown(command, attempt, &Bad { outcome, failure, retry: Retryable::Yes, retry_after: None });
    }

    /// That it is asked is no news, and no row.
    fn ask(&mut self, command: CommandRef) {
        self.state.note_asked(command);
        self.noted = true;
    }
}
