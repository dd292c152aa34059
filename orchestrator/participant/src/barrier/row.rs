//! A command's row, and what it means.

use super::BarrierError;
use crate::{answer::ParticipantAnswer, command::SagaCommandId};
use serde_json::{Value, json};

/// What became of a command, as the column `state` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandRowState {
    /// Being performed by the transaction that sees it.
    Claimed,
    /// Done; the answer is the result.
    Succeeded,
    /// Refused permanently; the answer says why.
    Failed,
    /// A do that will never do anything.
    Undone,
}

/// The columns of one row as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommandRow {
    /// Column `state`: the word of a [`CommandRowState`].
    pub state: String,
    /// Column `answer`: the answer as JSON.
    pub answer: Option<String>,
    /// Column `attempt`: the attempt that was answered.
    pub attempt: Option<i32>,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRow {
    /// What became of the command.
    pub state: CommandRowState,
    /// The result, or why not.
    pub answer: Option<Value>,
    /// Which attempt was answered.
    pub attempt: Option<u32>,
}

impl CommandRowState {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CommandRowState::Claimed => "claimed",
            CommandRowState::Succeeded => "succeeded",
            CommandRowState::Failed => "failed",
            CommandRowState::Undone => "undone",
        }
    }

    fn parse(text: &str) -> Option<CommandRowState> {
        [CommandRowState::Claimed, CommandRowState::Succeeded, CommandRowState::Failed, CommandRowState::Undone]
            .into_iter()
            .find(|one| one.as_str() == text)
    }
}

impl CommandRow {
    pub(super) fn claimed() -> CommandRow {
        CommandRow { state: CommandRowState::Claimed, answer: None, attempt: None }
    }

    pub(super) fn undone() -> CommandRow {
        CommandRow { state: CommandRowState::Undone, answer: None, attempt: None }
    }

    /// `None`: the answer is not final.
    pub(super) fn answered(answer: &ParticipantAnswer, attempt: Option<u32>) -> Option<CommandRow> {
        let (state, answer) = match answer {
            ParticipantAnswer::Succeeded(result) => (CommandRowState::Succeeded, result.clone()),
            ParticipantAnswer::Failed { code, message, retryable: false } => {
                (CommandRowState::Failed, json!({"code": code, "message": message}))
            }
            ParticipantAnswer::Failed { retryable: true, .. } | ParticipantAnswer::Ongoing => return None,
        };
        Some(CommandRow { state, answer: Some(answer), attempt })
    }

    pub(super) fn read(id: &SagaCommandId, stored: StoredCommandRow) -> Result<CommandRow, BarrierError> {
        let state = CommandRowState::parse(&stored.state)
            .ok_or_else(|| unreadable(id, format!("its state is `{}`", stored.state)))?;
        let answer = stored.answer.map(|text| serde_json::from_str(&text)).transpose();
        let answer = answer.map_err(|error| unreadable(id, format!("its answer is not JSON: {error}")))?;
        Ok(CommandRow { state, answer, attempt: stored.attempt.and_then(|attempt| u32::try_from(attempt).ok()) })
    }

    pub(super) fn result(&self, id: &SagaCommandId) -> Result<Value, BarrierError> {
        self.answer.clone().ok_or_else(|| unreadable(id, "it has no answer".into()))
    }

    /// The answer of a row that has one.
    pub(super) fn answer(&self, id: &SagaCommandId) -> Result<ParticipantAnswer, BarrierError> {
        let value = self.result(id)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(match self.state {
            CommandRowState::Failed => ParticipantAnswer::refused(text("code"), text("message")),
            CommandRowState::Succeeded | CommandRowState::Claimed | CommandRowState::Undone => {
                ParticipantAnswer::Succeeded(value)
            }
        })
    }

    /// The answer as it is stored.
    #[must_use]
    pub fn answer_text(&self) -> Option<String> {
        self.answer.as_ref().map(Value::to_string)
    }

    /// The attempt as it is stored; one beyond what the column holds is the largest that it does.
    #[must_use]
    pub fn attempt_number(&self) -> Option<i32> {
        self.attempt.map(|attempt| i32::try_from(attempt).unwrap_or(i32::MAX))
    }
}

fn unreadable(id: &SagaCommandId, reason: String) -> BarrierError {
    BarrierError::Unreadable { command: id.to_string(), reason }
}
