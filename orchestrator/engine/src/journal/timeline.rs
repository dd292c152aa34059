//! When things happened in a saga, how long they took, and what caused them.

use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, FailureOrigin, GuardOwner},
    direct_start::{DirectStart, origin},
    event::{SagaDecision, SagaEvent},
    id::StepIndex,
    state::SagaPlan,
    time::Timestamp,
};
use std::{collections::BTreeMap, time::Duration};

/// Measures of one event of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EventTiming {
    /// Time since the row before; `None` in the first row.
    pub(super) since_before: Option<Duration>,
    /// Of an event that ends something: how long that took. An attempt counts from its start, a command from its first
    /// start or wait, a saga from its first row.
    pub(super) took: Option<Duration>,
    /// The attempt that the event is about, 1 for the first.
    pub(super) attempt: Option<u32>,
    /// What caused the event, in words; the id of the first event of its row, where the event followed from that.
    pub(super) cause: String,
}

/// The measures of all events, in their order.
pub(super) fn timings(plan: &SagaPlan, decisions: &[SagaDecision]) -> Vec<EventTiming> {
    let mut timeline = SagaTimeline::new(plan);
    decisions.iter().flat_map(|decision| timeline.row(decision)).collect()
}

/// What is known of a saga's commands after some of its rows.
struct SagaTimeline<'a> {
    plan: &'a SagaPlan,
    started_at: Option<Timestamp>,
    before: Option<Timestamp>,
    commands: BTreeMap<CommandRef, CommandTimeline>,
}

struct CommandTimeline {
    began_at: Timestamp,
    attempt: u32,
    attempt_at: Timestamp,
    /// The participant or topic that is called, once the request is on record.
    whose: Option<String>,
    /// Whether the command waits, and for what.
    waits_for: Option<String>,
}

impl<'a> SagaTimeline<'a> {
    fn new(plan: &'a SagaPlan) -> SagaTimeline<'a> {
        SagaTimeline { plan, started_at: None, before: None, commands: BTreeMap::new() }
    }

    fn row(&mut self, decision: &SagaDecision) -> Vec<EventTiming> {
        let since_before = self.before.map(|before| decision.at.since(before));
        let mut timings = Vec::with_capacity(decision.events.len());
        for (index, event) in decision.events.iter().enumerate() {
            let cause = if index == 0 { self.cause(event) } else { format!("{}.0", decision.version) };
            let took = self.took(event, decision.at);
            self.follow(event, decision.at);
            timings.push(EventTiming { since_before, took, attempt: self.attempt(event), cause });
        }
        self.before = Some(decision.at);
        timings
    }

    fn took(&self, event: &SagaEvent, at: Timestamp) -> Option<Duration> {
        let of = |step: StepIndex, direction| self.commands.get(&CommandRef { step, direction });
        let since = match event {
            SagaEvent::SagaEnded { .. } => self.started_at,
            SagaEvent::AttemptFailed { step, direction, attempt, .. } => {
                of(*step, *direction).filter(|it| it.attempt == *attempt).map(|it| it.attempt_at)
            }
            SagaEvent::StepSucceeded { step, direction, .. } | SagaEvent::StepFailed { step, direction, .. } => {
                of(*step, *direction).map(|it| it.began_at)
            }
            SagaEvent::StepRejected { step, .. }
            | SagaEvent::StepAnswered { step, .. }
            | SagaEvent::ResultArrived { step, .. } => of(*step, CommandDirection::Do).map(|it| it.began_at),
            SagaEvent::SagaStarted { .. }
            | SagaEvent::StepTakenOver { .. }
            | SagaEvent::StepStarted { .. }
            | SagaEvent::WaitStarted { .. }
            | SagaEvent::AttemptStarted { .. }
            | SagaEvent::AttemptExtended { .. }
            | SagaEvent::StepWaiting { .. }
            | SagaEvent::StepSkipped { .. }
            | SagaEvent::CompensationStarted { .. }
            | SagaEvent::SagaOverdue
            | SagaEvent::SagaParked { .. }
            | SagaEvent::SagaResumed
            | SagaEvent::OperatorActed { .. }
            | SagaEvent::DefinitionChanged { .. }
            | SagaEvent::OutcomeDue { .. }
            | SagaEvent::OutcomeWaiting { .. }
            | SagaEvent::OutcomeShortened { .. }
            | SagaEvent::IncidentOpened { .. } => None,
        };
        since.map(|since| at.since(since))
    }

    /// Brings what is known up to date.
    fn follow(&mut self, event: &SagaEvent, at: Timestamp) {
        match event {
            SagaEvent::SagaStarted { .. } => self.started_at = Some(at),
            SagaEvent::StepStarted { step, direction, request, .. } => {
                let command = self.command(*step, *direction, at);
                (command.attempt, command.attempt_at, command.waits_for) = (1, at, None);
                command.whose = Some(called(request));
            }
            SagaEvent::AttemptStarted { step, direction, attempt, .. } => {
                let command = self.command(*step, *direction, at);
                (command.attempt, command.attempt_at, command.waits_for) = (*attempt, at, None);
            }
            SagaEvent::WaitStarted { step, .. } => {
                self.command(*step, CommandDirection::Do, at).waits_for = Some("time: the wait is over".into());
            }
            SagaEvent::StepWaiting { step, direction, guard, participant, .. } => {
                let whose = participant.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
                self.command(*step, *direction, at).waits_for = Some(format!("guard {}{whose}", guard.as_str()));
            }
            SagaEvent::AttemptFailed { step, direction, retry_at, .. } => {
                let waits_for = retry_at.map(|_| "time: the retry delay is over".into());
                self.command(*step, *direction, at).waits_for = waits_for;
            }
            SagaEvent::StepTakenOver { .. }
            | SagaEvent::AttemptExtended { .. }
            | SagaEvent::StepSucceeded { .. }
            | SagaEvent::StepRejected { .. }
            | SagaEvent::StepFailed { .. }
            | SagaEvent::StepAnswered { .. }
            | SagaEvent::StepSkipped { .. }
            | SagaEvent::ResultArrived { .. }
            | SagaEvent::CompensationStarted { .. }
            | SagaEvent::SagaOverdue
            | SagaEvent::SagaParked { .. }
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

    fn command(&mut self, step: StepIndex, direction: CommandDirection, at: Timestamp) -> &mut CommandTimeline {
        self.commands.entry(CommandRef { step, direction }).or_insert(CommandTimeline {
            began_at: at,
            attempt: 0,
            attempt_at: at,
            whose: None,
            waits_for: None,
        })
    }

    /// The attempt that `event` is about.
    fn attempt(&self, event: &SagaEvent) -> Option<u32> {
        match event {
            SagaEvent::AttemptStarted { attempt, .. }
            | SagaEvent::AttemptFailed { attempt, .. }
            | SagaEvent::AttemptExtended { attempt, .. } => Some(*attempt),
            SagaEvent::StepStarted { .. } => Some(1),
            SagaEvent::StepSucceeded { step, direction, .. } | SagaEvent::StepFailed { step, direction, .. } => {
                self.last_attempt(*step, *direction)
            }
            SagaEvent::StepRejected { step, .. } | SagaEvent::ResultArrived { step, .. } => {
                self.last_attempt(*step, CommandDirection::Do)
            }
            SagaEvent::SagaStarted { .. }
            | SagaEvent::StepTakenOver { .. }
            | SagaEvent::WaitStarted { .. }
            | SagaEvent::StepWaiting { .. }
            | SagaEvent::StepAnswered { .. }
            | SagaEvent::StepSkipped { .. }
            | SagaEvent::CompensationStarted { .. }
            | SagaEvent::SagaOverdue
            | SagaEvent::SagaParked { .. }
            | SagaEvent::SagaResumed
            | SagaEvent::OperatorActed { .. }
            | SagaEvent::DefinitionChanged { .. }
            | SagaEvent::OutcomeDue { .. }
            | SagaEvent::OutcomeWaiting { .. }
            | SagaEvent::OutcomeShortened { .. }
            | SagaEvent::SagaEnded { .. }
            | SagaEvent::IncidentOpened { .. } => None,
        }
    }

    fn last_attempt(&self, step: StepIndex, direction: CommandDirection) -> Option<u32> {
        self.commands.get(&CommandRef { step, direction }).map(|it| it.attempt).filter(|attempt| *attempt > 0)
    }

    /// What made the engine decide the row that begins with `event`.
    fn cause(&self, event: &SagaEvent) -> String {
        match event {
            SagaEvent::SagaStarted { forked_from: Some(origin), .. } => format!("operator {}", origin.who),
            SagaEvent::SagaStarted { trigger, .. } => match DirectStart::of(trigger) {
                Some(start) => format!("a request of {}", start.who),
                None => format!("record {}", origin(trigger)),
            },
            SagaEvent::StepSucceeded { step, direction, .. } => self.answer_or_wait(*step, *direction),
            SagaEvent::StepRejected { step, .. } | SagaEvent::ResultArrived { step, .. } => {
                self.answer_or_wait(*step, CommandDirection::Do)
            }
            SagaEvent::AttemptExtended { step, direction, .. } => self.answer_of(*step, *direction),
            SagaEvent::AttemptFailed { step, direction, failure, .. } => self.failed(*step, *direction, failure),
            SagaEvent::StepStarted { step, direction, .. }
            | SagaEvent::AttemptStarted { step, direction, .. }
            | SagaEvent::StepFailed { step, direction, .. }
            | SagaEvent::StepSkipped { step, direction, .. } => self.waited(*step, *direction),
            SagaEvent::StepAnswered { step, .. } | SagaEvent::WaitStarted { step, .. } => {
                self.waited(*step, CommandDirection::Do)
            }
            SagaEvent::StepWaiting { guard, participant, .. } => {
                let whose = participant.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
                format!("guard {}{whose}", guard.as_str())
            }
            SagaEvent::StepTakenOver { taken, .. } => format!("saga {}", taken.done_in),
            SagaEvent::OperatorActed { who, .. } => format!("operator {who}"),
            SagaEvent::DefinitionChanged { .. } => "an operator".into(),
            SagaEvent::CompensationStarted { .. } | SagaEvent::SagaOverdue => "time: the saga's timeout is over".into(),
            SagaEvent::SagaResumed => "a late answer".into(),
            SagaEvent::OutcomeWaiting { .. } | SagaEvent::OutcomeShortened { .. } | SagaEvent::SagaEnded { .. } => {
                "the broker, about the outcome event".into()
            }
            SagaEvent::SagaParked { .. } | SagaEvent::OutcomeDue { .. } => "the engine".into(),
            SagaEvent::IncidentOpened { step: Some(_), .. } => "a late answer".into(),
            SagaEvent::IncidentOpened { step: None, .. } => "a record or the broker".into(),
        }
    }

    fn answer_or_wait(&self, step: StepIndex, direction: CommandDirection) -> String {
        match self.commands.get(&CommandRef { step, direction }) {
            Some(CommandTimeline { waits_for: Some(time), whose: None, .. }) => time.clone(),
            Some(_) | None => self.answer_of(step, direction),
        }
    }

    fn answer_of(&self, step: StepIndex, direction: CommandDirection) -> String {
        let whose = self.commands.get(&CommandRef { step, direction }).and_then(|it| it.whose.as_deref());
        format!("answer of {}", whose.unwrap_or(&self.plan.definition.step(step).name))
    }

    fn failed(&self, step: StepIndex, direction: CommandDirection, failure: &CommandFailure) -> String {
        match failure.origin {
            FailureOrigin::Participant { .. } => self.answer_of(step, direction),
            FailureOrigin::Transport if failure.is_silence() => "time: no answer in time".into(),
            FailureOrigin::Transport => "the connection".into(),
            FailureOrigin::Broker => "the broker".into(),
            FailureOrigin::Engine => "the engine".into(),
        }
    }

    fn waited(&self, step: StepIndex, direction: CommandDirection) -> String {
        let waits_for = self.commands.get(&CommandRef { step, direction }).and_then(|it| it.waits_for.clone());
        waits_for.unwrap_or_else(|| "time".into())
    }
}

fn called(request: &CommandRequest) -> String {
    match request.whose() {
        GuardOwner::Participant(name) => name.to_owned(),
        GuardOwner::Topic(topic) => format!("the broker ({topic})"),
    }
}
