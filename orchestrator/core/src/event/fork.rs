//! What a saga that runs another one again has from that one.

use super::SubstituteAnswer;
use crate::{
    command::{CommandFailure, CommandRequest},
    id::SagaId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The saga that a saga runs again, and the operator's act that asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkOrigin {
    /// The saga that is run again.
    pub saga: SagaId,
    /// Version of its last row when it was judged.
    pub version: u32,
    /// Identity of the operator's act.
    pub act: String,
    /// The operator, as the act names them.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
    /// The first step that is performed again; `None`: all steps are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether the operator gave `force`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Steps whose effects in the saga that is run again stand, or may, although this saga does not take them over.
    /// Only a forced act leaves any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<String>,
}

/// How a step ended in the saga that is run again, and what its undo needs to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenOverStep {
    /// How its do ended.
    pub outcome: TakenOutcome,
    /// What expressions read as `steps.<name>`; null if the step has no result.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
    /// What the do was sent: `input` of the undo. It also names the participant that performed the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<CommandRequest>,
    /// The saga that performed the step. The participant knows the do by a command id with this saga in it, so the undo
    /// has the same.
    pub done_in: SagaId,
    /// What answered in place of the participant, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<SubstituteAnswer>,
}

impl TakenOverStep {
    /// Whether expressions can read a result of the step: it succeeded, or a fallback answered.
    pub(crate) fn has_result(&self) -> bool {
        match self.outcome {
            TakenOutcome::Succeeded => true,
            TakenOutcome::Failed { .. } => self.by.as_ref().is_some_and(|by| by.failure().is_none()),
            TakenOutcome::Skipped => false,
        }
    }
}

/// How a step ended whose outcome is taken over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TakenOutcome {
    /// It is applied and not undone.
    Succeeded,
    /// Its `if` was false, or an operator skipped it.
    Skipped,
    /// It has no effect, or none any more, and what follows goes on without it: it is optional, or a fallback answered.
    Failed {
        /// Why it did not succeed.
        failure: CommandFailure,
    },
}
