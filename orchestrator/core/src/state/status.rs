//! The word for what a saga is doing, derived and never stored in the state.

use super::{CommandPhase, SagaPhase, SagaState};
use crate::{
    definition::or_did_you_mean,
    event::{OperatorAction, SagaEnd},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Status of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SagaStatus {
    /// A step is being worked on.
    Running,
    /// On a timer, a guard, a reply later than its first timeout.
    Waiting,
    /// It is being undone.
    Compensating,
    /// It cannot go on by itself.
    Parked,
    /// Terminal: every step is applied, skipped, or optional.
    Completed,
    /// Terminal: everything is undone.
    Compensated,
    /// Terminal: an operator ended it.
    Abandoned,
}

impl SagaStatus {
    /// All of them, those that need a person first.
    pub const ALL: [SagaStatus; 7] = [
        SagaStatus::Parked,
        SagaStatus::Compensating,
        SagaStatus::Waiting,
        SagaStatus::Running,
        SagaStatus::Completed,
        SagaStatus::Compensated,
        SagaStatus::Abandoned,
    ];

    /// Those of sagas that go on, those that need a person first.
    pub const OPEN: [SagaStatus; 4] =
        [SagaStatus::Parked, SagaStatus::Compensating, SagaStatus::Waiting, SagaStatus::Running];

    /// The status's word, the same as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SagaStatus::Running => "running",
            SagaStatus::Waiting => "waiting",
            SagaStatus::Compensating => "compensating",
            SagaStatus::Parked => "parked",
            SagaStatus::Completed => "completed",
            SagaStatus::Compensated => "compensated",
            SagaStatus::Abandoned => "abandoned",
        }
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            SagaStatus::Completed | SagaStatus::Compensated | SagaStatus::Abandoned => true,
            SagaStatus::Running | SagaStatus::Waiting | SagaStatus::Compensating | SagaStatus::Parked => false,
        }
    }
}

impl SagaStatus {
    /// Whether a saga that has this status after `action` is where the operator wanted it, or on its way there.
    #[must_use]
    pub fn is_wanted_by(self, action: OperatorAction) -> bool {
        match (self, action) {
            // It stays where it is, and goes on from there.
            (_, OperatorAction::Migrate) => true,
            (SagaStatus::Running | SagaStatus::Waiting | SagaStatus::Compensating, _) => true,
            (SagaStatus::Parked, _) => false,
            (SagaStatus::Completed | SagaStatus::Compensated | SagaStatus::Abandoned, OperatorAction::Erase) => true,
            (SagaStatus::Completed | SagaStatus::Compensated, OperatorAction::Retry | OperatorAction::Skip) => true,
            (SagaStatus::Compensated, OperatorAction::Cancel) | (SagaStatus::Abandoned, OperatorAction::Abandon) => {
                true
            }
            (SagaStatus::Completed, OperatorAction::Cancel | OperatorAction::Abandon) => false,
            (SagaStatus::Compensated, OperatorAction::Abandon) => false,
            (SagaStatus::Abandoned, OperatorAction::Retry | OperatorAction::Skip | OperatorAction::Cancel) => false,
        }
    }
}

impl fmt::Display for SagaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is not a status.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a status: expected one of {all}{guess}", all = words(), guess = guess(.0))]
pub struct SagaStatusError(pub String);

fn guess(wrong: &str) -> String {
    or_did_you_mean(wrong, SagaStatus::ALL.map(SagaStatus::as_str))
}

fn words() -> String {
    SagaStatus::ALL.map(SagaStatus::as_str).join(", ")
}

impl FromStr for SagaStatus {
    type Err = SagaStatusError;

    fn from_str(text: &str) -> Result<SagaStatus, SagaStatusError> {
        SagaStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| SagaStatusError(text.to_owned()))
    }
}

impl SagaState {
    /// The status that follows from where the saga is heading and from what it is doing now.
    #[must_use]
    pub fn status(&self) -> SagaStatus {
        match &self.course {
            SagaPhase::Forward if self.is_worked_on() => SagaStatus::Running,
            SagaPhase::Forward => SagaStatus::Waiting,
            SagaPhase::Compensating { .. } => SagaStatus::Compensating,
            SagaPhase::Parked { .. } => SagaStatus::Parked,
            SagaPhase::OutcomeDue { end: SagaEnd::Completed { .. }, waits: None, .. } => SagaStatus::Running,
            SagaPhase::OutcomeDue { end: SagaEnd::Completed { .. }, waits: Some(_), .. } => SagaStatus::Waiting,
            SagaPhase::OutcomeDue { end: SagaEnd::Compensated { .. } | SagaEnd::Abandoned { .. }, .. } => {
                SagaStatus::Compensating
            }
            SagaPhase::Ended(SagaEnd::Completed { .. }) => SagaStatus::Completed,
            SagaPhase::Ended(SagaEnd::Compensated { .. }) => SagaStatus::Compensated,
            SagaPhase::Ended(SagaEnd::Abandoned { .. }) => SagaStatus::Abandoned,
        }
    }

    /// Whether some attempt is out that is within its first timeout.
    fn is_worked_on(&self) -> bool {
        self.commands()
            .any(|(_, command)| matches!(&command.phase, CommandPhase::Attempting(attempting) if attempting.first))
    }
}
