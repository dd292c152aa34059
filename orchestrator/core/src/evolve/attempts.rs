//! Attempts: begun, acknowledged, held back, ended without success.

use super::{EventFold, of};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest},
    event::AttemptOutcome,
    id::StepIndex,
    state::{CommandPhase, CommandState, InFlightAttempt},
    time::Timestamp,
};
use std::sync::Arc;

/// An attempt that ended without success.
pub(super) struct EndedAttempt<'e> {
    pub(super) attempt: u32,
    pub(super) outcome: AttemptOutcome,
    pub(super) failure: &'e CommandFailure,
    /// When the next attempt is due; `None`: there is none.
    pub(super) retry_at: Option<Timestamp>,
    pub(super) needs_person: bool,
}

impl EventFold<'_> {
    pub(super) fn step_started(&mut self, command: CommandRef, request: &CommandRequest, probe: bool) {
        self.state.command_mut(command).request = Some(Arc::new(request.clone()));
        self.attempt_started(command, 1, probe);
    }

    pub(super) fn wait_started(&mut self, step: StepIndex, until: Timestamp) {
        let command = self.state.command_mut(of(step, CommandDirection::Do));
        command.began_at.get_or_insert(self.at);
        command.phase = CommandPhase::Sleeping { until };
    }

    pub(super) fn attempt_started(&mut self, command: CommandRef, attempt: u32, probe: bool) {
        let policy = self.plan.policies.command(command);
        let time = policy.time_for(self.state.command(command).request.as_deref());
        self.begins_anew(command, attempt.saturating_sub(1));
        if command.direction == CommandDirection::Do {
            self.state.steps[command.step.at()].done_in = None;
        }
        let it = self.state.command_mut(command);
        mark_probe(it, attempt, probe);
        it.began_at.get_or_insert(self.at);
        it.attempt = attempt;
        it.in_doubt.insert(attempt);
        let first = it.in_doubt.len() == 1 && it.last_failure.is_none();
        it.phase = CommandPhase::Attempting(InFlightAttempt::started(time, self.name, self.at, first));
    }

    /// A command that had ended is worked on again, as an operator asked: it has fresh attempts, and nothing has
    /// answered for it.
    fn begins_anew(&mut self, command: CommandRef, attempts_before: u32) {
        if self.state.command(command).is_settled() {
            self.forget_substitute(command);
            let it = self.state.command_mut(command);
            it.fresh_from = attempts_before;
            it.began_at = Some(self.at);
        }
    }

    /// An attempt that was started and not sent is taken back, and so is the count of the row that started it.
    pub(super) fn held(&mut self, command: CommandRef, phase: CommandPhase) {
        self.begins_anew(command, self.state.command(command).attempt);
        let it = self.state.command_mut(command);
        it.began_at.get_or_insert(self.at);
        if it.refused == 0 {
            it.refused_since = Some(self.at);
        }
        it.refused = it.refused.saturating_add(1);
        if let CommandPhase::Attempting(_) = std::mem::replace(&mut it.phase, phase) {
            it.in_doubt.remove(&it.attempt);
            it.attempt -= 1;
            self.state.counted_rows = self.state.counted_rows.saturating_sub(1);
        }
    }

    pub(super) fn attempt_failed(&mut self, command: CommandRef, ended: &EndedAttempt<'_>) {
        let it = self.state.command_mut(command);
        it.refused = 0;
        match ended.outcome {
            AttemptOutcome::Failed => {
                it.in_doubt.remove(&ended.attempt);
            }
            AttemptOutcome::Unknown => it.doubted_at = Some(self.at),
        }
        // An answer to an earlier attempt says nothing of when the one that is out is over.
        if let (true, Some(until)) = (ended.attempt == it.attempt, ended.retry_at) {
            it.phase = CommandPhase::Resting { until };
            it.rested = Some(until.since(self.at));
        }
        it.last_failure = Some(ended.failure.clone());
        it.needs_person = ended.needs_person;
    }

    pub(super) fn attempt_extended(
        &mut self,
        command: CommandRef,
        deadline: Timestamp,
        ask_at: Option<Timestamp>,
        location: Option<&str>,
    ) {
        let it = self.state.command_mut(command);
        if let CommandPhase::Attempting(attempting) = &mut it.phase {
            attempting.extended(deadline, ask_at, location.map(str::to_owned), self.at);
            if ask_at.is_some() {
                it.asked_after.insert(it.attempt);
            }
        }
    }
}

/// An attempt that a guard took back may begin again, then as something else.
fn mark_probe(command: &mut CommandState, attempt: u32, probe: bool) {
    if probe {
        command.probes.insert(attempt);
    } else {
        command.probes.remove(&attempt);
    }
}
