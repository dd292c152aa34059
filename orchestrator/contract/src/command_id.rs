//! The identity of a command, which outlives attempts, engines and restarts.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Whether a command performs a step or undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandDirection {
    /// It performs the step.
    Do,
    /// It undoes the step.
    Undo,
}

impl CommandDirection {
    /// `do` or `undo`, as it is written in ids, headers and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CommandDirection::Do => "do",
            CommandDirection::Undo => "undo",
        }
    }

    /// `do` or `undo`; anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<CommandDirection> {
        [CommandDirection::Do, CommandDirection::Undo].into_iter().find(|direction| direction.as_str() == text)
    }
}

impl fmt::Display for CommandDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `<saga id>:<step>:<do or undo>`: the identity of a command, the same for every attempt of it. `Saga` is the form of
/// the saga's id: the engine reads it, a participant takes it as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandIdentity<Saga> {
    /// The id of the saga that the command belongs to.
    pub saga: Saga,
    /// The step's name.
    pub step: String,
    /// Whether the command performs or undoes the step.
    pub direction: CommandDirection,
}

impl<Saga: Clone> CommandIdentity<Saga> {
    /// The `do` of the same step; of a `do` itself.
    #[must_use]
    pub fn of_do(&self) -> CommandIdentity<Saga> {
        CommandIdentity { direction: CommandDirection::Do, ..self.clone() }
    }
}

impl<Saga: fmt::Display> fmt::Display for CommandIdentity<Saga> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.saga, self.step, self.direction)
    }
}

/// A text is not a command id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a command id: expected `<saga id>:<step>:<do or undo>`")]
pub struct CommandIdError(pub String);

impl<Saga: FromStr> FromStr for CommandIdentity<Saga> {
    type Err = CommandIdError;

    fn from_str(text: &str) -> Result<CommandIdentity<Saga>, CommandIdError> {
        read(text).ok_or_else(|| CommandIdError(text.to_owned()))
    }
}

fn read<Saga: FromStr>(text: &str) -> Option<CommandIdentity<Saga>> {
    let (saga, rest) = text.split_once(':')?;
    let (step, direction) = rest.split_once(':')?;
    let direction = CommandDirection::parse(direction)?;
    if saga.is_empty() || step.is_empty() || text.contains('\0') {
        return None;
    }
    Some(CommandIdentity { saga: saga.parse().ok()?, step: step.to_owned(), direction })
}

/// The namespace of the keys that are derived from command ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f3c_51a8_7f6e_4b0d_9f6b_2c9d_7a10_64e1);

/// The idempotency key of the command `id` for a participant that wants a UUID (version 5, RFC 9562): the same for
/// every attempt.
#[must_use]
pub fn idempotency_uuid(id: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back() {
        for text in ["saga-1:reserve:do", "saga-1:reserve:undo"] {
            let id: CommandIdentity<String> = text.parse().expect("an id");
            assert_eq!(id.to_string(), text);
            assert_eq!(id.of_do().to_string(), "saga-1:reserve:do");
        }
    }

    #[test]
    fn an_id_has_three_parts_and_no_nul() {
        for text in ["", "s", "s:a", ":a:do", "s::do", "s:a:do:1", "s:a:b:do", "s:a:redo", "s\0:a:do"] {
            assert_eq!(text.parse::<CommandIdentity<String>>(), Err(CommandIdError(text.into())));
        }
    }

    #[test]
    fn the_id_of_the_saga_has_to_be_one() {
        assert!("seven:a:do".parse::<CommandIdentity<u64>>().is_err());
        assert_eq!("7:a:do".parse::<CommandIdentity<u64>>().map(|id| id.saga), Ok(7));
    }

    #[test]
    fn the_derived_key_never_changes() {
        assert_eq!(idempotency_uuid("s:charge:do").to_string(), "09ff9d20-26de-5567-b7b0-97b707c212c5");
    }
}
