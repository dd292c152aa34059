//! The word for what a saga is doing, derived and never stored in the state.

use super::{Course, Phase, State};
use crate::{
    definition::or_did_you_mean,
    event::{End, OperatorAction},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Status of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
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

impl Status {
    /// All of them, those that need a person first.
    pub const ALL: [Status; 7] = [
        Status::Parked,
        Status::Compensating,
        Status::Waiting,
        Status::Running,
        Status::Completed,
        Status::Compensated,
        Status::Abandoned,
    ];

    /// Those of sagas that go on, those that need a person first.
    pub const OPEN: [Status; 4] = [Status::Parked, Status::Compensating, Status::Waiting, Status::Running];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Compensating => "compensating",
            Status::Parked => "parked",
            Status::Completed => "completed",
            Status::Compensated => "compensated",
            Status::Abandoned => "abandoned",
        }
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Status::Completed | Status::Compensated | Status::Abandoned => true,
            Status::Running | Status::Waiting | Status::Compensating | Status::Parked => false,
        }
    }
}

impl Status {
    /// Whether a saga that has this status after `action` is where whoever acted wanted it, or on its way there.
    #[must_use]
    pub fn is_wanted_by(self, action: OperatorAction) -> bool {
        match (self, action) {
            (Status::Running | Status::Waiting | Status::Compensating, _) => true,
            (Status::Parked, _) => false,
            (Status::Completed | Status::Compensated, OperatorAction::Retry | OperatorAction::Skip) => true,
            (Status::Compensated, OperatorAction::Cancel) | (Status::Abandoned, OperatorAction::Abandon) => true,
            (Status::Completed, OperatorAction::Cancel | OperatorAction::Abandon) => false,
            (Status::Compensated, OperatorAction::Abandon) => false,
            (Status::Abandoned, OperatorAction::Retry | OperatorAction::Skip | OperatorAction::Cancel) => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is not a status.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a status: expected one of {all}{guess}", all = words(), guess = guess(.0))]
pub struct NotAStatus(pub String);

fn guess(wrong: &str) -> String {
    or_did_you_mean(wrong, Status::ALL.map(Status::as_str))
}

fn words() -> String {
    Status::ALL.map(Status::as_str).join(", ")
}

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Status, NotAStatus> {
        Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| NotAStatus(text.to_owned()))
    }
}

impl State {
    /// The saga's status.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.course {
            Course::Forward if self.is_worked_on() => Status::Running,
            Course::Forward => Status::Waiting,
            Course::Compensating { .. } => Status::Compensating,
            Course::Parked { .. } => Status::Parked,
            Course::OutcomeDue { end: End::Completed { .. }, waits: None, .. } => Status::Running,
            Course::OutcomeDue { end: End::Completed { .. }, waits: Some(_), .. } => Status::Waiting,
            Course::OutcomeDue { end: End::Compensated { .. } | End::Abandoned { .. }, .. } => Status::Compensating,
            Course::Ended(End::Completed { .. }) => Status::Completed,
            Course::Ended(End::Compensated { .. }) => Status::Compensated,
            Course::Ended(End::Abandoned { .. }) => Status::Abandoned,
        }
    }

    /// Whether some attempt is out that is within its first timeout.
    fn is_worked_on(&self) -> bool {
        self.commands().any(|(_, command)| matches!(&command.phase, Phase::Attempting(attempting) if attempting.first))
    }
}
