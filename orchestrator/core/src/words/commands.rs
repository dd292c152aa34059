//! Commands and operators' acts, in words.

use super::told;
use crate::{
    command::{CommandDirection, CommandRef},
    event::OperatorAction,
    input::ActTarget,
    state::{SagaPlan, SagaState},
};

/// Commands and why each is where it is: `charge (http.401)`.
#[must_use]
pub fn commands(plan: &SagaPlan, state: &SagaState, commands: &[CommandRef]) -> String {
    let one = |command: &CommandRef| match (&state.command(*command).last_failure, state.why_needed(*command)) {
        (_, Some(failure)) | (Some(failure), None) => format!("{} ({})", self::command(plan, *command), told(failure)),
        (None, None) => self::command(plan, *command),
    };
    commands.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A step's name, or `undo of` it.
#[must_use]
pub fn command(plan: &SagaPlan, command: CommandRef) -> String {
    let name = &plan.definition.step(command.step).name;
    match command.direction {
        CommandDirection::Do => name.clone(),
        CommandDirection::Undo => format!("undo of {name}"),
    }
}

/// The step that an act names, in the operator's words: `undo of charge`.
#[must_use]
pub fn about(about: &ActTarget) -> String {
    match about.direction {
        Some(CommandDirection::Undo) => format!("undo of {}", about.step),
        Some(CommandDirection::Do) => format!("do of {}", about.step),
        None => about.step.clone(),
    }
}

/// An act, and what it was about: `skip of charge`.
#[must_use]
pub fn acted(plan: &SagaPlan, action: OperatorAction, of: Option<CommandRef>) -> String {
    let of = of.map(|of| format!(" of {}", command(plan, of))).unwrap_or_default();
    format!("{}{of}", action.as_str())
}
