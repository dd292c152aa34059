//! How a saga stood before a decision, as far as spans that the decision ends began then.

use crate::{
    command::{CommandDirection, CommandRef, CommandRequest, GuardKind},
    event::SagaEnd,
    id::StepIndex,
    state::{CommandPhase, CommandState, SagaPhase, SagaState},
    time::Timestamp,
};

/// How a saga stood. Of a saga that has no row yet, the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanMarks {
    /// Two for each step: its do and its undo.
    commands: Vec<CommandMark>,
    pub(super) parked_since: Option<Timestamp>,
    /// The topic that the outcome event goes to, and since when it is due.
    pub(super) outcome: Option<(String, Timestamp)>,
    pub(super) is_ended: bool,
}

/// How a command stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandMark {
    pub(super) is_settled: bool,
    /// The attempt under way, and when it was started.
    pub(super) attempt: Option<(u32, Timestamp)>,
    /// The guard that holds it back, and since when.
    pub(super) waits: Option<(GuardKind, Timestamp)>,
}

impl SpanMarks {
    /// How it stands now.
    #[must_use]
    pub fn of(state: &SagaState) -> SpanMarks {
        let commands = state.steps.iter().flat_map(|step| [&step.forward, &step.undo]).map(CommandMark::of).collect();
        let (mut parked_since, mut outcome) = (None, None);
        match &state.course {
            SagaPhase::Parked { since, .. } => parked_since = Some(*since),
            SagaPhase::OutcomeDue { request: CommandRequest::Publish { topic, .. }, at, .. } => {
                outcome = Some((topic.clone(), *at));
            }
            SagaPhase::OutcomeDue { .. }
            | SagaPhase::Forward
            | SagaPhase::Compensating { .. }
            | SagaPhase::Ended(_) => {}
        }
        let is_ended = matches!(state.course, SagaPhase::Ended(_));
        SpanMarks { commands, parked_since, outcome, is_ended }
    }

    pub(super) fn command(&self, command: CommandRef) -> CommandMark {
        let at = 2 * command.step.at() + usize::from(command.direction == CommandDirection::Undo);
        self.commands.get(at).copied().unwrap_or_default()
    }
}

/// Whether the saga goes back, has gone back, was ended by an operator, or is or was parked: what a person wants to see
/// whole. It stays so.
#[must_use]
pub fn is_kept(state: &SagaState) -> bool {
    let has_failed = match &state.course {
        SagaPhase::Forward => false,
        SagaPhase::Compensating { .. } | SagaPhase::Parked { .. } => true,
        SagaPhase::OutcomeDue { end, .. } | SagaPhase::Ended(end) => match end {
            SagaEnd::Completed { .. } => false,
            SagaEnd::Compensated { .. } | SagaEnd::Abandoned { .. } => true,
        },
    };
    has_failed || !state.parked.as_slice().is_empty()
}

impl CommandMark {
    fn of(command: &CommandState) -> CommandMark {
        let mut mark = CommandMark::default();
        match &command.phase {
            CommandPhase::Settled(_) => mark.is_settled = true,
            CommandPhase::Attempting(attempting) => mark.attempt = Some((command.attempt, attempting.at)),
            CommandPhase::Held { guard, .. } => {
                mark.waits = command.refused_since.map(|since| (*guard, since));
            }
            CommandPhase::Idle | CommandPhase::Resting { .. } | CommandPhase::Sleeping { .. } => {}
        }
        mark
    }
}

/// Every command of the saga.
pub(super) fn commands(state: &SagaState) -> impl Iterator<Item = CommandRef> {
    let steps = (0u16..).take(state.steps.len()).map(StepIndex);
    steps
        .flat_map(|step| [CommandDirection::Do, CommandDirection::Undo].map(|direction| CommandRef { step, direction }))
}
