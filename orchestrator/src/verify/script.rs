//! The commands of a verification: typed ones, or those of a step of a definition.

use super::subject::TypedTarget;
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRequest},
    decide::SagaRehearsal,
    id::{SagaId, StepIndex},
    words::addressed,
};
use serde_json::{Value, json};

/// Commands as they were typed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypedCommands {
    /// The do that is verified.
    pub target: TypedTarget,
    /// Its `undo`; `None`: the rules for undos are not tested.
    pub undo: Option<TypedTarget>,
    /// Input of the `do`.
    pub with: Value,
    /// Input of the `undo`; `None`: `{input, result}` of the do, like the short form in a definition.
    pub undo_with: Option<Value>,
}

/// A step of a definition.
#[derive(Clone, Debug)]
pub(crate) struct RehearsedStep {
    /// The saga that it is a step of.
    pub rehearsal: SagaRehearsal,
    /// Position of the step in the definition.
    pub step: StepIndex,
    /// Name of the definition.
    pub saga: String,
    /// Name of the step.
    pub name: String,
    /// Why the undo is not tested; `None`: it is.
    pub without_undo: Option<String>,
}

/// The commands that are verified, and how the kit got them.
#[derive(Clone, Debug)]
pub(crate) enum VerificationScript {
    /// As it was typed.
    Typed(TypedCommands),
    /// As a step sends it.
    Step(RehearsedStep),
}

impl VerificationScript {
    /// Name of the definition that the commands claim to come from.
    pub(super) fn saga(&self) -> &str {
        match self {
            VerificationScript::Typed(_) => "verify-participant",
            VerificationScript::Step(step) => &step.saga,
        }
    }

    /// Name of the step.
    pub(super) fn step(&self) -> &str {
        match self {
            VerificationScript::Typed(_) => "verify",
            VerificationScript::Step(step) => &step.name,
        }
    }

    /// Why the undo is not tested; `None`: it is.
    pub(super) fn without_undo(&self) -> Option<&str> {
        match self {
            VerificationScript::Typed(typed) if typed.undo.is_none() => Some("no --undo was given"),
            VerificationScript::Typed(_) => None,
            VerificationScript::Step(step) => step.without_undo.as_deref(),
        }
    }

    /// The request of a command of `saga`; `result` is the result of its do, null if it is not known.
    pub(super) fn request(
        &self,
        saga: SagaId,
        direction: CommandDirection,
        result: &Value,
    ) -> Result<CommandRequest, CommandFailure> {
        match self {
            VerificationScript::Typed(typed) => Ok(typed.request(direction, result)),
            VerificationScript::Step(RehearsedStep { rehearsal, step, .. }) => match direction {
                CommandDirection::Do => rehearsal.does(saga, *step),
                CommandDirection::Undo => rehearsal.undoes(saga, *step, result),
            },
        }
    }
}

impl TypedCommands {
    fn request(&self, direction: CommandDirection, result: &Value) -> CommandRequest {
        match (direction, &self.undo) {
            (CommandDirection::Undo, Some(undo)) => {
                let body = self.undo_with.clone();
                undo.request(body.unwrap_or_else(|| json!({"input": self.with, "result": result})))
            }
            (CommandDirection::Do | CommandDirection::Undo, _) => self.target.request(self.with.clone()),
        }
    }
}

/// The command as it is typed.
pub(super) fn told(request: &CommandRequest) -> String {
    match request {
        CommandRequest::Kafka { participant, command, .. } => format!("{participant}.{command}"),
        CommandRequest::Http { .. } | CommandRequest::Publish { .. } => addressed(request),
    }
}
