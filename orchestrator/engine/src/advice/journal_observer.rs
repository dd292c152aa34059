//! One journal, event by event: what it tells of the participants that its saga called.
//!
//! An attempt is measured from the decision to send it until the decision about its answer. So over HTTP it has the
//! wait in memory for a permit in it, which is at most two seconds, and always the commit of its start.

use super::observed::{CommandObservations, ObservedCommand, ObservedPast};
use saga_core::{
    command::{CommandDirection, CommandFailure, ErrorClass, GuardKind},
    event::{CompensationCause, NoRetryReason, ParkReason, SagaDecision, SagaEvent},
    evolve::{self, FoldError},
    id::{SagaId, StepIndex},
    state::SagaPlan,
    time::Timestamp,
};
use saga_guards::breaker::CallVerdict;
use std::collections::HashMap;

/// What the journal of one saga tells.
///
/// # Errors
/// When the rows do not fold.
pub(super) fn observed(plan: &SagaPlan, saga: SagaId, decisions: &[SagaDecision]) -> Result<ObservedPast, FoldError> {
    let mut observer = JournalObserver::default();
    evolve::visit(plan, saga, decisions, |plan, _, decision| {
        for event in &decision.events {
            observer.event(plan, decision.at, event);
        }
    })?;
    observer.past.sagas = 1;
    Ok(observer.past)
}

/// A step by its name, and whether it is performed or undone.
type StepDirection = (String, CommandDirection);

#[derive(Default)]
struct JournalObserver {
    past: ObservedPast,
    /// By step and direction; the names stay when an operator changes the definition.
    commands: HashMap<StepDirection, CommandCourse>,
}

/// What is under way of one command.
struct CommandCourse {
    command: ObservedCommand,
    /// The attempt that is awaited.
    awaited: Option<AwaitedAttempt>,
    wait: Option<(GuardKind, Timestamp)>,
    first_failure: Option<Timestamp>,
    /// When the first attempt began to which no answer came in time.
    in_doubt_since: Option<Timestamp>,
    timeouts: u64,
}

#[derive(Clone, Copy)]
struct AwaitedAttempt {
    number: u32,
    began: Timestamp,
    /// The participant said that it takes longer: how long it takes says nothing of a timeout.
    is_extended: bool,
}

impl JournalObserver {
    fn event(&mut self, plan: &SagaPlan, at: Timestamp, event: &SagaEvent) {
        self.past.events += 1;
        self.past.saw(at);
        let name = |step: &StepIndex| plan.definition.step(*step).name.clone();
        match event {
            SagaEvent::SagaStarted { name, definition, policies, .. } => {
                self.past.newest.insert(name.clone(), (at, definition.clone(), policies.clone()));
            }
            SagaEvent::StepStarted { step, direction, request, .. } => {
                let Some(participant) = request.participant() else { return };
                self.asked(plan, participant, &(name(step), *direction), at);
                self.begun(&(name(step), *direction), 1, at);
            }
            SagaEvent::AttemptStarted { step, direction, attempt, .. } => {
                self.begun(&(name(step), *direction), *attempt, at);
            }
            SagaEvent::AttemptFailed { step, direction, attempt, failure, .. } => {
                self.failed(&(name(step), *direction), *attempt, failure, at);
            }
            SagaEvent::AttemptExtended { step, direction, .. } => self.extended(&(name(step), *direction)),
            SagaEvent::StepWaiting { step, direction, guard, participant: Some(participant), .. } => {
                self.asked(plan, participant, &(name(step), *direction), at);
                self.held(&(name(step), *direction), *guard, at);
            }
            SagaEvent::StepSucceeded { step, direction, .. } => self.succeeded(&(name(step), *direction), at),
            SagaEvent::StepRejected { step, .. } => self.succeeded(&(name(step), CommandDirection::Do), at),
            SagaEvent::StepFailed { step, direction, ending, .. } => {
                self.gave_up(&(name(step), *direction), *ending);
            }
            SagaEvent::ResultArrived { step, .. } => self.arrived_late(&(name(step), CommandDirection::Do), at),
            SagaEvent::CompensationStarted { cause: CompensationCause::Step { step, .. } } => {
                self.count(&(name(step), CommandDirection::Do), |counts| counts.compensated += 1);
            }
            SagaEvent::SagaParked { reason } => self.parked(plan, reason),
            SagaEvent::StepWaiting { participant: None, .. }
            | SagaEvent::CompensationStarted { .. }
            | SagaEvent::StepTakenOver { .. }
            | SagaEvent::WaitStarted { .. }
            | SagaEvent::StepAnswered { .. }
            | SagaEvent::StepSkipped { .. }
            | SagaEvent::SagaOverdue
            | SagaEvent::SagaResumed
            | SagaEvent::OperatorActed { .. }
            | SagaEvent::DefinitionChanged { .. }
            | SagaEvent::OutcomeDue { .. }
            | SagaEvent::OutcomeWaiting { .. }
            | SagaEvent::OutcomeShortened { .. }
            | SagaEvent::SagaEnded { .. }
            | SagaEvent::IncidentOpened { .. } => {}
        }
    }

    /// A command is asked for, whether or not a guard lets it go.
    fn asked(&mut self, plan: &SagaPlan, participant: &str, key: &StepDirection, at: Timestamp) {
        if self.commands.contains_key(key) {
            return;
        }
        let command = ObservedCommand {
            participant: participant.to_owned(),
            definition: plan.definition.name.clone(),
            step: key.0.clone(),
            direction: key.1,
        };
        self.past.series_of(participant).load_at(at).arrived += 1;
        self.commands.insert(key.clone(), CommandCourse::of(command));
    }

    fn begun(&mut self, key: &StepDirection, number: u32, at: Timestamp) {
        let Some(course) = self.commands.get_mut(key) else { return };
        let counts = self.past.command(&course.command);
        course.end_wait(counts, at);
        counts.attempts += 1;
        counts.numbered(number).made += 1;
        course.awaited = Some(AwaitedAttempt { number, began: at, is_extended: false });
    }

    /// An attempt that was decided on and not sent is taken back.
    fn held(&mut self, key: &StepDirection, guard: GuardKind, at: Timestamp) {
        let Some(course) = self.commands.get_mut(key) else { return };
        let counts = self.past.command(&course.command);
        let mut since = at;
        if let Some(attempt) = course.awaited.take() {
            counts.attempts -= 1;
            counts.numbered(attempt.number).made -= 1;
            since = attempt.began;
        }
        course.end_wait(counts, at);
        course.wait = Some((guard, since));
        let load = self.past.series_of(&course.command.participant).load_at(at);
        match guard {
            GuardKind::Breaker => load.breaker_waits += 1,
            GuardKind::Bulkhead => load.bulkhead_waits += 1,
            GuardKind::RateLimit | GuardKind::Transport | GuardKind::RetryBudget | GuardKind::Health => {}
        }
    }

    fn extended(&mut self, key: &StepDirection) {
        let attempt = self.commands.get_mut(key).and_then(|course| course.awaited.as_mut());
        attempt.into_iter().for_each(|attempt| attempt.is_extended = true);
    }

    /// A failure without a class is not the participant's.
    fn failed(&mut self, key: &StepDirection, number: u32, failure: &CommandFailure, at: Timestamp) {
        let Some(course) = self.commands.get_mut(key) else { return };
        let Some(attempt) = course.awaited.take_if(|attempt| attempt.number == number) else { return };
        course.first_failure.get_or_insert(at);
        let Some(class) = failure.class else { return };
        let counts = self.past.command(&course.command);
        *counts.failures.entry(class).or_default() += 1;
        let is_timeout = class == ErrorClass::Timeout;
        if is_timeout {
            counts.timeouts += 1;
            course.timeouts += 1;
            course.in_doubt_since.get_or_insert(attempt.began);
            self.past.series_of(&course.command.participant).load_at(at).timeouts += 1;
        }
        self.ended(&course_participant(&self.commands, key), class.verdict(), at);
        if is_timeout {
            self.took(key, attempt, at);
        }
    }

    /// An attempt ended, which says this of the participant.
    fn ended(&mut self, participant: &str, verdict: CallVerdict, at: Timestamp) {
        let series = self.past.series_of(participant);
        let load = series.load_at(at);
        match verdict {
            CallVerdict::Succeeded => load.succeeded += 1,
            CallVerdict::Failed => load.failed += 1,
            CallVerdict::Throttled => load.throttled += 1,
            CallVerdict::Neutral => return,
        }
        let health = series.health_at(at);
        health.ended += 1;
        health.failed += u64::from(verdict == CallVerdict::Failed);
    }

    fn took(&mut self, key: &StepDirection, attempt: AwaitedAttempt, at: Timestamp) {
        let participant = course_participant(&self.commands, key);
        if !attempt.is_extended {
            self.past.series_of(&participant).health_at(at).latency.add(at.since(attempt.began));
        }
    }

    /// The answer names no attempt: where an earlier one is in doubt, it may be that one's.
    fn succeeded(&mut self, key: &StepDirection, at: Timestamp) {
        let Some(course) = self.commands.get_mut(key) else { return };
        let (attempt, since) = (course.awaited.take(), course.in_doubt_since);
        let counts = self.past.command(&course.command);
        counts.succeeded += 1;
        counts.timeouts_rescued += std::mem::take(&mut course.timeouts);
        course.first_failure.take().into_iter().for_each(|first| counts.recovery.add(at.since(first)));
        match (attempt, since) {
            (Some(attempt), _) => counts.numbered(attempt.number).succeeded += 1,
            (None, Some(since)) => counts.late.add(at.since(since)),
            (None, None) => {}
        }
        let clear = attempt.filter(|attempt| since.is_none() && !attempt.is_extended);
        clear.into_iter().for_each(|attempt| counts.latency.add(at.since(attempt.began)));
        course.in_doubt_since = None;
        self.ended(&course_participant(&self.commands, key), CallVerdict::Succeeded, at);
        clear.into_iter().for_each(|attempt| self.took(key, attempt, at));
    }

    fn gave_up(&mut self, key: &StepDirection, ending: NoRetryReason) {
        let is_exhausted = match ending {
            NoRetryReason::Exhausted => true,
            NoRetryReason::Definite | NoRetryReason::NeedsPerson => false,
        };
        self.count(key, |counts| counts.exhausted += u64::from(is_exhausted));
        self.commands.get_mut(key).into_iter().for_each(|course| course.awaited = None);
    }

    fn arrived_late(&mut self, key: &StepDirection, at: Timestamp) {
        let Some(course) = self.commands.get_mut(key) else { return };
        let counts = self.past.command(&course.command);
        counts.timeouts_rescued += std::mem::take(&mut course.timeouts);
        course.in_doubt_since.take().into_iter().for_each(|since| counts.late.add(at.since(since)));
    }

    fn parked(&mut self, plan: &SagaPlan, reason: &ParkReason) {
        let direction = match reason {
            ParkReason::UndoFailed { .. } => CommandDirection::Undo,
            ParkReason::StepFailed { .. }
            | ParkReason::PivotUnknown { .. }
            | ParkReason::Output { .. }
            | ParkReason::Limit { .. } => CommandDirection::Do,
        };
        let Some(step) = reason.step() else { return };
        self.count(&(plan.definition.step(step).name.clone(), direction), |counts| counts.parked += 1);
    }

    fn count(&mut self, key: &StepDirection, counted: impl FnOnce(&mut CommandObservations)) {
        let Some(course) = self.commands.get(key) else { return };
        counted(self.past.command(&course.command));
    }
}

fn course_participant(commands: &HashMap<StepDirection, CommandCourse>, key: &StepDirection) -> String {
    commands.get(key).map(|course| course.command.participant.clone()).unwrap_or_default()
}

impl CommandCourse {
    fn of(command: ObservedCommand) -> CommandCourse {
        CommandCourse { command, awaited: None, wait: None, first_failure: None, in_doubt_since: None, timeouts: 0 }
    }

    fn end_wait(&mut self, counts: &mut CommandObservations, at: Timestamp) {
        let Some((guard, since)) = self.wait.take() else { return };
        counts.waits.entry(guard).or_default().add(at.since(since));
    }
}
