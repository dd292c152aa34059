//! What a participant is asked: what somebody typed, or what a step of a definition sends.

use super::subject::Target;
use saga_core::{
    command::{Direction, Failure, Request},
    decide::Rehearsal,
    id::{SagaId, StepIndex},
    state::view::addressed,
};
use serde_json::{Value, json};

/// Commands as they were typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    /// The `do`.
    pub target: Target,
    /// Its `undo`; `None`: what an undo has to keep is not tested.
    pub undo: Option<Target>,
    /// What the `do` is sent.
    pub with: Value,
    /// What the `undo` is sent; `None`: what the short form of a definition sends, `{input, result}` of the do.
    pub undo_with: Option<Value>,
}

/// A step of a definition.
#[derive(Clone, Debug)]
pub struct RehearsedStep {
    /// The saga that it is a step of.
    pub rehearsal: Rehearsal,
    /// Which.
    pub step: StepIndex,
    /// Name of the definition.
    pub saga: String,
    /// Name of the step.
    pub name: String,
    /// Why nothing is asked of its undo.
    pub without_undo: Option<String>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Script {
    /// As it was typed.
    Typed(Typed),
    /// As a step sends it.
    Step(RehearsedStep),
}

impl Script {
    /// Name of the definition that the commands claim to come from.
    pub(super) fn saga(&self) -> &str {
        match self {
            Script::Typed(_) => "verify-participant",
            Script::Step(step) => &step.saga,
        }
    }

    /// Name of the step.
    pub(super) fn step(&self) -> &str {
        match self {
            Script::Typed(_) => "verify",
            Script::Step(step) => &step.name,
        }
    }

    /// Why nothing is asked of an undo.
    pub(super) fn without_undo(&self) -> Option<&str> {
        match self {
            Script::Typed(typed) if typed.undo.is_none() => Some("no --undo was given"),
            Script::Typed(_) => None,
            Script::Step(step) => step.without_undo.as_deref(),
        }
    }

    /// What a command of `saga` sends; `result` is what its do answered, null if that is not known.
    pub(super) fn request(&self, saga: SagaId, direction: Direction, result: &Value) -> Result<Request, Failure> {
        match self {
            Script::Typed(typed) => Ok(typed.request(direction, result)),
            Script::Step(RehearsedStep { rehearsal, step, .. }) => match direction {
                Direction::Do => rehearsal.does(saga, *step),
                Direction::Undo => rehearsal.undoes(saga, *step, result),
            },
        }
    }
}

impl Typed {
    fn request(&self, direction: Direction, result: &Value) -> Request {
        match (direction, &self.undo) {
            (Direction::Undo, Some(undo)) => {
                let body = self.undo_with.clone();
                undo.request(body.unwrap_or_else(|| json!({"input": self.with, "result": result})))
            }
            (Direction::Do | Direction::Undo, _) => self.target.request(self.with.clone()),
        }
    }
}

/// What is asked for, as it is typed.
pub(super) fn told(request: &Request) -> String {
    match request {
        Request::Kafka { participant, command, .. } => format!("{participant}.{command}"),
        Request::Http { .. } | Request::Publish { .. } => addressed(request),
    }
}
