//! Operators' acts that are on record, so that a repeat is known as one.

use crate::{command::CommandRef, event::OperatorAction, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The latest acts on one saga whose ids are known. An operator who repeats an act does so within minutes; a saga that
/// people act on more often than this in that time is driven by a program that has lost its way.
pub const ACTS_KEPT: usize = 256;

/// An act that is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedAct {
    /// Identity of the act: the same id is applied once.
    pub id: String,
    /// What the operator asked for.
    pub action: OperatorAction,
    /// The command that it was about, if that is on record.
    pub command: Option<CommandRef>,
    /// When it was applied.
    pub at: Timestamp,
}

/// The latest acts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActHistory(VecDeque<AppliedAct>);

impl ActHistory {
    /// The act with this id, as long as it is kept.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&AppliedAct> {
        self.0.iter().find(|acted| acted.id == id)
    }

    /// Adds the latest act; the oldest one goes when [`ACTS_KEPT`] are kept.
    pub fn add(&mut self, acted: AppliedAct) {
        if self.0.len() == ACTS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(acted);
    }
}
