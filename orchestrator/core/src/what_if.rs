//! A recorded saga by another definition: what it would have done and how it would have ended, had it run by that one.
//!
//! The saga starts with the same trigger, and each attempt gets the answer that the same attempt of the same command
//! got: commands are the same if step and direction have the same names. Guards admit everything; operators act as they
//! did. Where the other definition asks for what was never answered, the simulation ends there and says so: an answer
//! is never made up. [`recorded`] reads the answers from a journal, [`simulation`] runs the saga by them.

mod recorded;
mod simulation;

use crate::{
    command::{CommandDirection, CommandRef, CommandRequest},
    event::{SagaDecision, SagaEvent},
    input::{SagaFork, SagaStart},
    state::{CommandOutcome, CommandPhase, SagaPlan, SagaState, SagaStatus},
};
use recorded::RecordedAnswers;
use serde_json::Value;
use simulation::SagaSimulation;
use std::collections::BTreeMap;

/// One command, by the name of its step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandName {
    /// Name of the step.
    pub step: String,
    /// Whether the step is performed or undone.
    pub direction: CommandDirection,
}

impl std::fmt::Display for CommandName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.direction {
            CommandDirection::Do => f.write_str(&self.step),
            CommandDirection::Undo => write!(f, "undo of {}", self.step),
        }
    }
}

/// What a saga did: its end so far, and what it called.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaCourse {
    /// Its status at the end of the journal or of the simulation.
    pub status: SagaStatus,
    /// Why it has this status, as a code; `None`: no reason is needed.
    pub code: Option<String>,
    /// The commands that were sent, with their requests.
    pub calls: BTreeMap<CommandName, CommandRequest>,
    /// How each command ended, steps in the order of the definition; a command that has not ended is not here.
    pub ends: Vec<(CommandName, CommandEnd)>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandEnd {
    /// The step is applied or undone.
    Succeeded,
    /// The step is applied, and its `check` refused the result.
    Rejected,
    /// It certainly had no effect.
    Failed,
    /// It may have had its effect.
    Unknown,
    /// Its `if` was false, or an operator skipped it.
    Skipped,
}

/// What the other definition would have done with a recorded saga.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatIfResult {
    /// What is on record.
    pub recorded: SagaCourse,
    /// What the other definition does, as far as it can be told.
    pub simulated: SagaCourse,
    /// Why the simulation could not go on; `None`: it reached an end.
    pub undecided: Option<UndecidedReason>,
}

/// Answers that count where none is on record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AssumedAnswers {
    /// Results of steps whose do was never answered, by their names.
    pub results: BTreeMap<String, Value>,
    /// Whether undos that were never answered count as done.
    pub undos_are_done: bool,
}

/// What was never answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndecidedReason {
    /// The command that the simulation waits for; `None`: it waits for none.
    pub command: Option<CommandName>,
    /// What is not on record, for people.
    pub reason: String,
}

/// Runs a recorded saga by `plan`. `start` is what its trigger is to that definition. `assumed` counts where no answer
/// is on record.
///
/// `recorded` is the saga as it is, with the plan that it ran by.
#[must_use]
pub fn what_if(
    plan: &SagaPlan,
    start: SagaStart,
    (ran_by, state, decisions): (&SagaPlan, &SagaState, &[SagaDecision]),
    assumed: &AssumedAnswers,
) -> WhatIfResult {
    let answers = RecordedAnswers::of(ran_by, decisions);
    let start = (start, fork(plan, ran_by, decisions));
    let mut simulation = SagaSimulation::start(plan, start, state.id, state.started_at, &answers, assumed);
    let undecided = simulation.run();
    let simulated = course(plan, &simulation.state, simulation.calls);
    let recorded = course(ran_by, state, calls(ran_by, decisions));
    WhatIfResult { recorded, simulated, undecided }
}

/// What a saga took over that runs another one again, as far as the other definition has those steps.
fn fork(plan: &SagaPlan, ran_by: &SagaPlan, decisions: &[SagaDecision]) -> Option<SagaFork> {
    let began_by = ran_by.chain()[0];
    let SagaFork { origin, taken } = decisions.first().and_then(SagaFork::recorded)?;
    let known = |(step, taken)| Some((plan.definition.find(&began_by.definition.step(step).name)?, taken));
    Some(SagaFork { origin, taken: taken.into_iter().filter_map(known).collect() })
}

impl WhatIfResult {
    /// Whether both end in the same status, for the same reason.
    #[must_use]
    pub fn ends_alike(&self) -> bool {
        (self.recorded.status, &self.recorded.code) == (self.simulated.status, &self.simulated.code)
    }

    /// The first command that ends otherwise; `None`: none does. Dos come before undos, each in the order of the
    /// definition, because what a saga undoes follows from its dos.
    #[must_use]
    pub fn parts_at(&self) -> Option<CommandName> {
        let of = |course: &SagaCourse, name: &CommandName| course.ends.iter().find(|(it, _)| it == name).map(|it| it.1);
        let names = || self.simulated.ends.iter().chain(&self.recorded.ends).map(|(name, _)| name);
        let differs = |name: &&CommandName| of(&self.recorded, name) != of(&self.simulated, name);
        let ways = [CommandDirection::Do, CommandDirection::Undo];
        ways.iter().find_map(|way| names().filter(|name| name.direction == *way).find(differs)).cloned()
    }

    /// Commands that only the other definition sends.
    #[must_use]
    pub fn added_calls(&self) -> Vec<CommandName> {
        only_in(&self.simulated, &self.recorded)
    }

    /// Commands that only the recorded saga sent.
    #[must_use]
    pub fn missing_calls(&self) -> Vec<CommandName> {
        only_in(&self.recorded, &self.simulated)
    }

    /// Commands that both send, with another request.
    #[must_use]
    pub fn changed_calls(&self) -> Vec<CommandName> {
        let calls = self.simulated.calls.iter();
        let changed =
            calls.filter(|(name, request)| self.recorded.calls.get(name).is_some_and(|recorded| recorded != *request));
        changed.map(|(name, _)| name.clone()).collect()
    }
}

fn only_in(one: &SagaCourse, other: &SagaCourse) -> Vec<CommandName> {
    one.calls.keys().filter(|name| !other.calls.contains_key(name)).cloned().collect()
}

fn course(plan: &SagaPlan, state: &SagaState, calls: BTreeMap<CommandName, CommandRequest>) -> SagaCourse {
    let named = |command: CommandRef| name_of(plan, command);
    let ends = state.commands().filter_map(|(command, it)| Some((named(command), end_of(&it.phase)?))).collect();
    SagaCourse { status: state.status(), code: state.stands().code, calls, ends }
}

fn end_of(phase: &CommandPhase) -> Option<CommandEnd> {
    match phase {
        CommandPhase::Settled(CommandOutcome::Succeeded) => Some(CommandEnd::Succeeded),
        CommandPhase::Settled(CommandOutcome::Rejected(_)) => Some(CommandEnd::Rejected),
        CommandPhase::Settled(CommandOutcome::Failed(_)) => Some(CommandEnd::Failed),
        CommandPhase::Settled(CommandOutcome::Unknown(_)) => Some(CommandEnd::Unknown),
        CommandPhase::Settled(CommandOutcome::Skipped) => Some(CommandEnd::Skipped),
        CommandPhase::Idle
        | CommandPhase::Held { .. }
        | CommandPhase::Attempting(_)
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. } => None,
    }
}

pub(crate) fn name_of(plan: &SagaPlan, command: CommandRef) -> CommandName {
    CommandName { step: plan.definition.step(command.step).name.clone(), direction: command.direction }
}

/// The requests on record.
fn calls(plan: &SagaPlan, decisions: &[SagaDecision]) -> BTreeMap<CommandName, CommandRequest> {
    let mut calls = BTreeMap::new();
    for event in decisions.iter().flat_map(|decision| &decision.events) {
        note_call(plan, event, &mut calls);
    }
    calls
}

/// Adds the call that `event` records.
fn note_call(plan: &SagaPlan, event: &SagaEvent, calls: &mut BTreeMap<CommandName, CommandRequest>) {
    if let SagaEvent::StepStarted { step, direction, request, .. } = event {
        let command = CommandRef { step: *step, direction: *direction };
        calls.insert(name_of(plan, command), request.clone());
    }
}
