//! What the passing of time leads to. Stale timers change nothing.

use super::{IgnoreReason, NoDecision, answer::AttemptFailure, draft::DecisionDraft};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, ErrorClass, FailureOrigin, RetryAdvice},
    event::{AttemptOutcome, CompensationCause, NoRetryReason, SagaEvent},
    state::{CommandPhase, SagaPhase},
    time::Timestamp,
};
use serde_json::Value;

impl DecisionDraft<'_, '_> {
    pub(super) fn time_reached(&mut self) -> Result<(), NoDecision> {
        match self.state.course {
            SagaPhase::Forward | SagaPhase::Compensating { .. } => {}
            SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => {
                return Err(IgnoreReason::NotDue.into());
            }
        }
        self.saga_time();
        let commands: Vec<CommandRef> = self.state.commands().map(|(command, _)| command).collect();
        for command in commands {
            // The times of a parked saga do not fire, from the moment that it parks.
            if !matches!(self.state.course, SagaPhase::Parked { .. }) {
                self.command_time(command);
            }
        }
        if self.is_empty() && !self.noted { Err(IgnoreReason::NotDue.into()) } else { Ok(()) }
    }

    pub(super) fn released(&mut self, command: CommandRef) -> Result<(), NoDecision> {
        let is_under_way = matches!(self.state.course, SagaPhase::Forward | SagaPhase::Compensating { .. });
        let held = matches!(self.state.command(command).phase, CommandPhase::Held { .. });
        let given_up =
            command.direction == CommandDirection::Do && matches!(self.state.course, SagaPhase::Compensating { .. });
        if !is_under_way || !held || given_up {
            return Err(IgnoreReason::NotDue.into());
        }
        self.released = Some(command);
        self.offer_again(command);
        match self.still_held.take() {
            Some(still_held) if self.is_empty() => Err(still_held.into()),
            Some(_) | None => Ok(()),
        }
    }

    fn saga_time(&mut self) {
        let is_forward = matches!(self.state.course, SagaPhase::Forward);
        let ends = self.state.deadline_due(self.plan, &self.context.answerable.outages);
        let is_over = ends.is_some_and(|end| self.is_over(end));
        if !is_forward || !is_over {
            return;
        }
        if self.state.pivot_passed(self.plan) {
            let failure = CommandFailure::new("overdue", "the saga's time ended after its pivot; it goes on");
            self.emit(SagaEvent::SagaOverdue);
            self.incident(None, failure);
        } else {
            self.turn_back(CompensationCause::Timeout);
        }
    }

    fn command_time(&mut self, command: CommandRef) {
        let going_back = matches!(self.state.course, SagaPhase::Compensating { .. });
        let outages = &self.context.answerable.outages;
        if self.state.step_ends(self.plan, command, outages).is_some_and(|end| self.is_over(end)) {
            let failure = CommandFailure::new("timeout", "the step's time was over");
            let ending = if self.state.command(command).needs_person {
                NoRetryReason::NeedsPerson
            } else {
                NoRetryReason::Exhausted
            };
            self.give_up(command, failure, ending);
            return;
        }
        let pauses = &*self.state.pauses(outages, self.now);
        let due = |at: &Timestamp, now: Timestamp| *at <= now;
        match &self.state.command(command).phase {
            CommandPhase::Idle | CommandPhase::Settled(_) => {}
            // A command whose retry delay runs when the saga goes back is settled by the way back itself.
            CommandPhase::Held { .. } | CommandPhase::Resting { .. } | CommandPhase::Sleeping { .. }
                if going_back && command.direction == CommandDirection::Do => {}
            CommandPhase::Held { not_before, .. } if due(not_before, self.now) => self.offer_again(command),
            CommandPhase::Resting { until } if due(until, self.now) => self.offer_again(command),
            CommandPhase::Sleeping { until } if due(until, self.now) => self.emit(SagaEvent::StepSucceeded {
                step: command.step,
                direction: command.direction,
                result: Value::Null,
            }),
            CommandPhase::Attempting(attempting) if attempting.ends(pauses).is_some_and(|end| self.is_over(end)) => {
                self.attempt_timed_out(command);
            }
            CommandPhase::Attempting(attempting) if attempting.ask_at().is_some_and(|at| due(&at, self.now)) => {
                self.ask(command);
            }
            CommandPhase::Held { .. }
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. }
            | CommandPhase::Attempting(_) => {}
        }
    }

    /// Whether a time that ends at `end` is over: the clock says so, and every answer that was there by then has been
    /// taken.
    pub(super) fn is_over(&self, end: Timestamp) -> bool {
        end <= self.now && end <= self.context.answerable.until
    }

    /// A command that a guard held back, whose retry delay ran, or that an operator wants tried again. A step whose
    /// condition could not be evaluated begins with its condition.
    pub(super) fn offer_again(&mut self, command: CommandRef) {
        let it = self.state.command(command);
        match (command.direction, it.request.is_some(), it.began_at.is_some()) {
            (_, true, _) => self.attempt_again(command),
            (CommandDirection::Do, false, false) => self.begin_step(command.step),
            (CommandDirection::Do, false, true) | (CommandDirection::Undo, false, _) => self.begin_or_fail(command),
        }
    }

    fn attempt_timed_out(&mut self, command: CommandRef) {
        let attempt = self.state.command(command).attempt;
        let failure = &CommandFailure::new("timeout", "no answer within the attempt's time")
            .of_origin(FailureOrigin::Transport)
            .of_class(ErrorClass::Timeout);
        let outcome = AttemptOutcome::Unknown;
        self.unknown(
            command,
            attempt,
            &AttemptFailure { outcome, failure, retry: RetryAdvice::Yes, retry_after: None },
        );
    }

    /// That it is asked is no news, and no row.
    fn ask(&mut self, command: CommandRef) {
        self.state.note_asked(command);
        self.noted = true;
    }
}
