//! What came back from a participant or the broker.

use super::{IgnoreReason, NoDecision, contradiction, draft::DecisionDraft};
use crate::{
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind, RetryAdvice},
    definition::PivotSide,
    event::{AttemptOutcome, NoRetryReason, SagaEvent},
    id::StepIndex,
    state::{AttemptTimes, CommandPhase, SagaDirection, SagaPhase},
};
use serde_json::Value;
use std::time::Duration;

/// How an attempt ended without success.
pub(super) struct AttemptFailure<'f> {
    pub(super) outcome: AttemptOutcome,
    pub(super) failure: &'f CommandFailure,
    pub(super) retry: RetryAdvice,
    pub(super) retry_after: Option<Duration>,
}

impl DecisionDraft<'_, '_> {
    pub(super) fn answered(
        &mut self,
        command: CommandRef,
        attempt: Option<u32>,
        answer: &CommandAnswer,
    ) -> Result<(), NoDecision> {
        match answer {
            CommandAnswer::Succeeded { result } => self.succeeded(command, result),
            CommandAnswer::Failed { failure, retry, retry_after } => {
                if contradiction::contradicts(self.state, command, attempt, answer) {
                    return Err(IgnoreReason::Contradicted.into());
                }
                if let Some(attempt) = self.doubt_settled(command, attempt, *retry) {
                    self.failed_late(command, attempt, failure);
                    return Ok(());
                }
                let attempt = self.unanswered(command, attempt)?;
                let retry = self.resolved(command, attempt, *retry);
                let outcome = self.worth(command, attempt, retry)?;
                self.failed(command, attempt, &AttemptFailure { outcome, failure, retry, retry_after: *retry_after });
                Ok(())
            }
            CommandAnswer::Unknown { failure, retry, retry_after } => {
                let attempt = self.current(command, attempt)?;
                let (outcome, retry) = (AttemptOutcome::Unknown, insisted(command, *retry));
                self.unknown(command, attempt, &AttemptFailure { outcome, failure, retry, retry_after: *retry_after });
                Ok(())
            }
            CommandAnswer::Ongoing { ask_after, location } => {
                let attempt = self.current(command, attempt)?;
                self.ongoing(command, attempt, *ask_after, location.clone());
                Ok(())
            }
            CommandAnswer::NotSent { guard, retry_after } => {
                let attempt = self.current(command, attempt)?;
                self.held_back(command, attempt, *guard, *retry_after);
                Ok(())
            }
        }
    }

    /// Settles the command whichever attempt it answers.
    fn succeeded(&mut self, command: CommandRef, result: &Value) -> Result<(), NoDecision> {
        let it = self.state.command(command);
        if it.request.is_none() {
            return Err(IgnoreReason::NeverSent.into());
        }
        if !it.is_settled() {
            self.record_success(command, result);
            return Ok(());
        }
        self.late(command, result)
    }

    pub(super) fn record_success(&mut self, command: CommandRef, result: &Value) {
        let step = command.step;
        let checked = match command.direction {
            CommandDirection::Do => self.check(step, result).and_then(|()| self.leaves_ways_back(step, result)),
            CommandDirection::Undo => Ok(()),
        };
        match checked {
            Ok(()) => {
                let cancelled = self.state.cancel.is_some();
                self.emit(SagaEvent::StepSucceeded {
                    step,
                    direction: command.direction,
                    result: kept(command, result),
                });
                self.cancel_came_too_late(command, cancelled);
            }
            Err(failure) => {
                self.emit(SagaEvent::StepRejected { step, result: result.clone(), failure: failure.clone() });
                self.step_ended_badly(command, failure);
            }
        }
    }

    /// A step whose result would leave no way back for another one is rejected while there is a way back: the saga
    /// undoes it, and no later command reads its result.
    fn leaves_ways_back(&self, step: StepIndex, result: &Value) -> Result<(), CommandFailure> {
        let is_before = self.plan.definition.step(step).side == PivotSide::Before;
        if is_before && matches!(self.state.course, SagaPhase::Forward) {
            self.keeps_ways_back(step, result)
        } else {
            Ok(())
        }
    }

    fn cancel_came_too_late(&mut self, command: CommandRef, cancelled: bool) {
        if cancelled && self.state.cancel.is_none() {
            let failure =
                CommandFailure::new("cancel_too_late", "the pivot succeeded while the cancel waited; the saga goes on");
            self.incident(Some(command), failure);
        }
    }

    /// The attempt that a failure counts for: the one it names, or the only one that is unanswered.
    fn unanswered(&self, command: CommandRef, attempt: Option<u32>) -> Result<u32, NoDecision> {
        let it = self.state.command(command);
        if it.request.is_none() {
            return Err(IgnoreReason::NeverSent.into());
        }
        if it.is_settled() {
            return Err(IgnoreReason::Settled.into());
        }
        let mut in_doubt = it.in_doubt.iter().copied();
        let named = match (attempt, in_doubt.next(), in_doubt.next()) {
            (Some(attempt), ..) => it.in_doubt.contains(&attempt).then_some(attempt),
            (None, Some(only), None) => Some(only),
            (None, None | Some(_), _) => None,
        };
        named.ok_or_else(|| IgnoreReason::NoSuchAttempt.into())
    }

    /// What a failure says of its attempt. That a participant is busy, or its guard refuses the call, says nothing of
    /// what an earlier owner sent, nor of what the participant has accepted and is asked after; a permanent refusal is
    /// the participant's answer to the command, however often the command was sent.
    fn worth(&self, command: CommandRef, attempt: u32, retry: RetryAdvice) -> Result<AttemptOutcome, NoDecision> {
        if retry == RetryAdvice::No || !self.left_more_than_once(command, attempt) {
            return Ok(AttemptOutcome::Failed);
        }
        self.current(command, Some(attempt)).map(|_| AttemptOutcome::Unknown)
    }

    /// Whether another sending of the attempt may be under way: an earlier owner's, or one that was asked after.
    fn left_more_than_once(&self, command: CommandRef, attempt: u32) -> bool {
        self.is_inherited(command, attempt) || self.state.command(command).asked_after.contains(&attempt)
    }

    /// What a conflict says: not now, while another sending of the command can still run, which costs no attempt of the
    /// policy; after that, a permanent refusal.
    fn resolved(&self, command: CommandRef, attempt: u32, retry: RetryAdvice) -> RetryAdvice {
        match retry {
            RetryAdvice::Conflict if !self.another_can_run(command, attempt) => RetryAdvice::No,
            RetryAdvice::Conflict | RetryAdvice::No | RetryAdvice::Yes | RetryAdvice::ThenPark | RetryAdvice::Park => {
                retry
            }
        }
    }

    /// Whether a sending of the command can still run beside `attempt`: the attempt that is out, another sending of
    /// this one, or one that was given up in doubt a short time ago.
    fn another_can_run(&self, command: CommandRef, attempt: u32) -> bool {
        let it = self.state.command(command);
        let another_is_out = attempt != it.attempt && matches!(it.phase, CommandPhase::Attempting(_));
        let another_in_doubt = it.in_doubt.iter().any(|other| *other != attempt);
        let policy = self.plan.policies.command(command);
        let runs_until = it.doubted_at.map(|at| at.plus(policy.runs_on(it.request.as_deref())));
        let runs_on = another_in_doubt && runs_until.is_some_and(|until| self.now < until);
        another_is_out || self.left_more_than_once(command, attempt) || runs_on
    }

    /// Where the attempt is asked after, if a guard that refuses now refuses only a further sending of it: the
    /// participant has acknowledged it, or an earlier owner sent it.
    fn left_before(&self, command: CommandRef, attempt: u32) -> Option<Option<String>> {
        let CommandPhase::Attempting(attempting) = &self.state.command(command).phase else { return None };
        let left = attempting.heard_at.is_some() || self.is_inherited(command, attempt);
        left.then(|| attempting.location().map(str::to_owned))
    }

    fn is_inherited(&self, command: CommandRef, attempt: u32) -> bool {
        attempt <= self.state.command(command).inherited
    }

    /// The attempt that is out, if the answer is about it.
    fn current(&self, command: CommandRef, attempt: Option<u32>) -> Result<u32, NoDecision> {
        let it = self.state.command(command);
        match &it.phase {
            CommandPhase::Attempting(_) if attempt.is_none_or(|attempt| attempt == it.attempt) => Ok(it.attempt),
            CommandPhase::Attempting(_)
            | CommandPhase::Held { .. }
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => Err(IgnoreReason::NoSuchAttempt.into()),
            CommandPhase::Settled(_) => Err(IgnoreReason::Settled.into()),
            CommandPhase::Idle => Err(IgnoreReason::NeverSent.into()),
        }
    }

    fn failed(&mut self, command: CommandRef, attempt: u32, bad: &AttemptFailure<'_>) {
        let is_current = attempt == self.state.command(command).attempt;
        let goes_on = !is_current && bad.retry != RetryAdvice::No;
        let ended = if goes_on { None } else { self.end_of_retries(command, bad.retry) };
        self.attempt_ended(command, attempt, bad, ended);
    }

    /// `None`: another attempt is made.
    fn end_of_retries(&self, command: CommandRef, retry: RetryAdvice) -> Option<NoRetryReason> {
        match retry {
            RetryAdvice::No => Some(NoRetryReason::Definite),
            RetryAdvice::Conflict if !self.retries_are_over(command) => None,
            RetryAdvice::Yes | RetryAdvice::ThenPark if self.may_retry(command) => None,
            RetryAdvice::Yes | RetryAdvice::Conflict => Some(NoRetryReason::Exhausted),
            RetryAdvice::ThenPark | RetryAdvice::Park => Some(NoRetryReason::NeedsPerson),
        }
    }

    /// Also what an attempt's timeout amounts to.
    pub(super) fn unknown(&mut self, command: CommandRef, attempt: u32, bad: &AttemptFailure<'_>) {
        let ended = self.end_of_retries(command, bad.retry);
        self.attempt_ended(command, attempt, bad, ended);
    }

    fn attempt_ended(
        &mut self,
        command: CommandRef,
        attempt: u32,
        bad: &AttemptFailure<'_>,
        ended: Option<NoRetryReason>,
    ) {
        let (step, direction) = (command.step, command.direction);
        let is_current = attempt == self.state.command(command).attempt;
        let least = if bad.retry == RetryAdvice::Conflict { CONFLICT_REST } else { Duration::ZERO };
        let retry_after = bad.retry_after.unwrap_or_default().max(least);
        let retry_at = (ended.is_none() && is_current).then(|| self.next_attempt_at(command, retry_after));
        let needs_person = matches!(bad.retry, RetryAdvice::ThenPark | RetryAdvice::Park);
        let (outcome, failure) = (bad.outcome, bad.failure.clone());
        self.emit(SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person });
        if let Some(ending) = ended {
            self.give_up(command, bad.failure.clone(), ending);
        }
    }

    fn next_attempt_at(&mut self, command: CommandRef, retry_after: Duration) -> crate::time::Timestamp {
        let it = self.state.command(command);
        let next = it.attempts_used() + 1;
        // The retry delays before an operator granted fresh attempts are no measure for these.
        let rested = it.rested.filter(|_| next > 2);
        let policy = &self.plan.policies.command(command).retry;
        let delay = self.delay(command, policy, next, rested);
        self.now.plus(delay.max(retry_after))
    }

    /// Whether the policy grants another attempt and the saga's course allows one.
    fn may_retry(&self, command: CommandRef) -> bool {
        let next = self.state.command(command).attempts_used() + 1;
        self.plan.policies.command(command).retry.allows(next) && !self.retries_are_over(command)
    }

    /// Forward retries end when the saga goes back, and those of the pivot when the saga's time is over or a cancel
    /// waits.
    pub(super) fn retries_are_over(&self, command: CommandRef) -> bool {
        if command.direction == CommandDirection::Undo {
            return false;
        }
        match &self.state.course {
            SagaPhase::Compensating { .. } | SagaPhase::Parked { was: SagaDirection::Back(_), .. } => true,
            SagaPhase::Forward | SagaPhase::Parked { was: SagaDirection::Forward, .. } => {
                let is_pivot = self.plan.definition.step(command.step).side == PivotSide::Pivot;
                is_pivot && self.saga_must_go_back()
            }
            SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => true,
        }
    }

    fn ongoing(&mut self, command: CommandRef, attempt: u32, ask_after: Option<Duration>, location: Option<String>) {
        let timeout = self.plan.policies.command(command).time_for(self.state.command(command).request.as_deref());
        let (step, direction) = (command.step, command.direction);
        let ask_at = ask_after.map(|after| self.now.plus(after.max(SHORTEST_ASK)));
        let deadline = ask_at.unwrap_or(self.now).plus(timeout);
        if self.is_news(command) {
            self.emit(SagaEvent::AttemptExtended { step, direction, attempt, deadline, ask_at, location });
        } else {
            self.note(command, AttemptTimes { since: ask_at.unwrap_or(self.now), ask_at, location });
        }
    }

    fn note(&mut self, command: CommandRef, times: AttemptTimes) {
        self.state.note(command, times);
        self.noted = true;
    }

    /// Whether it is worth a row that the participant works on it: the first time. What it says again is recorded now
    /// and then, so that people see that it was heard.
    fn is_news(&self, command: CommandRef) -> bool {
        let CommandPhase::Attempting(attempting) = &self.state.command(command).phase else { return false };
        let Some(heard_at) = attempting.heard_at else { return true };
        let rest = TOLD_AGAIN.max(heard_at.since(attempting.at) / TOLD_AGAIN_SHARE);
        self.now.since(heard_at) >= rest
    }

    /// What was sent before is under way all the same: it is sent or asked after again when the guard allows. A broker
    /// cannot be asked, so what an earlier owner published is in doubt and published again.
    fn held_back(&mut self, command: CommandRef, attempt: u32, guard: GuardKind, retry_after: Duration) {
        let is_published =
            matches!(self.state.command(command).request.as_deref(), Some(CommandRequest::Publish { .. }));
        match self.left_before(command, attempt) {
            None => self.not_sent(command, attempt, guard, retry_after),
            Some(_) if is_published => {
                let failure =
                    &CommandFailure::new("not_sent_again", "the broker cannot be reached to publish it again");
                let (outcome, retry_after) = (AttemptOutcome::Unknown, Some(retry_after));
                self.unknown(
                    command,
                    attempt,
                    &AttemptFailure { outcome, failure, retry: RetryAdvice::Yes, retry_after },
                );
            }
            Some(location) => self.asked_later(command, retry_after, location),
        }
    }

    /// A guard refuses the question: that says nothing of the attempt, and is no row however often it happens. The saga
    /// does not ask before the time that the participant gave.
    fn asked_later(&mut self, command: CommandRef, retry_after: Duration, location: Option<String>) {
        let CommandPhase::Attempting(attempting) = &self.state.command(command).phase else { return };
        let ask_at = self.now.plus(retry_after.max(SHORTEST_ASK)).max(attempting.ask_at().unwrap_or(self.now));
        self.note(command, AttemptTimes { since: ask_at, ask_at: Some(ask_at), location });
    }

    fn not_sent(&mut self, command: CommandRef, attempt: u32, guard: GuardKind, retry_after: Duration) {
        let (step, direction) = (command.step, command.direction);
        let not_before = self.now.plus(retry_after.max(SHORTEST_ASK)).max(self.now.plus(self.rest_of_refused(command)));
        let participant =
            self.state.command(command).request.as_deref().and_then(CommandRequest::participant).map(Into::into);
        self.emit(SagaEvent::StepWaiting { step, direction, guard, participant, not_before, ever_sent: attempt > 1 });
        if attempt == 1 {
            self.answered_though_refused(command, guard);
        }
    }
}

/// An undo whose outcome is unknown is tried on by its own policy, however its participant's failures are handled: to
/// give it up leaves something undone although no operator decided so. A conflict within the attempt is as unknown as
/// the attempt.
fn insisted(command: CommandRef, retry: RetryAdvice) -> RetryAdvice {
    match (command.direction, retry) {
        (CommandDirection::Undo, RetryAdvice::No) | (_, RetryAdvice::Conflict) => RetryAdvice::Yes,
        (CommandDirection::Undo, RetryAdvice::Yes | RetryAdvice::ThenPark | RetryAdvice::Park)
        | (CommandDirection::Do, RetryAdvice::No | RetryAdvice::Yes | RetryAdvice::ThenPark | RetryAdvice::Park) => {
            retry
        }
    }
}

/// That a participant works on an attempt is recorded again after this at the earliest: a day of it is some hundred
/// rows.
pub(super) const TOLD_AGAIN: Duration = Duration::from_secs(60);
/// And of an attempt that takes long after this part of the time that it has taken: a week of it is some more.
const TOLD_AGAIN_SHARE: u32 = 16;

/// Between two askings of a participant that works on an earlier sending: they are not counted, and each is a row.
const CONFLICT_REST: Duration = Duration::from_millis(500);

/// A participant that says "ask me at once" must not be asked in a loop.
const SHORTEST_ASK: Duration = Duration::from_millis(100);

/// The answer to an undo is not kept: nothing reads it.
pub(super) fn kept(command: CommandRef, result: &Value) -> Value {
    match command.direction {
        CommandDirection::Do => result.clone(),
        CommandDirection::Undo => Value::Null,
    }
}
