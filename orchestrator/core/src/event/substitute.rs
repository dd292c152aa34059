//! What answered in place of a participant.

use crate::{command::CommandFailure, time::Timestamp};
use serde::{Deserialize, Serialize};

/// What answered in place of a participant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubstituteAnswer {
    /// The step's `cache`, before any call: nothing was asked, and the step succeeded.
    Cache {
        /// When the participant gave the answer that is used again.
        at: Timestamp,
    },
    /// One of the step's fallbacks. What became of the do stays what is on record.
    Fallback {
        /// Its place in the definition's list, from 0.
        index: u16,
        /// The kind of fallback, with what it answered from.
        kind: FallbackKind,
    },
}

/// What kind of fallback answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FallbackKind {
    /// An answer to the same request that is recent enough.
    Cached {
        /// When the participant gave the answer that is used again.
        at: Timestamp,
    },
    /// The last answer to the same request.
    LastKnown {
        /// When the participant gave the answer that is used again.
        at: Timestamp,
    },
    /// The literal that the fallback has in the definition.
    Value,
    /// The value of the fallback's expression.
    Expression,
    /// The fallback says that the step failed permanently.
    Fail {
        /// The code and the message that the fallback gives the failure.
        failure: CommandFailure,
    },
}

impl SubstituteAnswer {
    /// Short and stable, for counters and programs: `cache`, or the fallback's key.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            SubstituteAnswer::Cache { .. } => "cache",
            SubstituteAnswer::Fallback { kind, .. } => kind.code(),
        }
    }

    /// When the participant gave the answer that is used again; `None`: it never gave it.
    #[must_use]
    pub fn answered_at(&self) -> Option<Timestamp> {
        match self {
            SubstituteAnswer::Cache { at }
            | SubstituteAnswer::Fallback {
                kind: FallbackKind::Cached { at } | FallbackKind::LastKnown { at }, ..
            } => Some(*at),
            SubstituteAnswer::Fallback {
                kind: FallbackKind::Value | FallbackKind::Expression | FallbackKind::Fail { .. },
                ..
            } => None,
        }
    }

    /// Why the step failed, if that is what it says.
    #[must_use]
    pub fn failure(&self) -> Option<&CommandFailure> {
        match self {
            SubstituteAnswer::Fallback { kind, .. } => kind.failure(),
            SubstituteAnswer::Cache { .. } => None,
        }
    }
}

impl FallbackKind {
    /// Its key in a definition.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            FallbackKind::Cached { .. } => "cached",
            FallbackKind::LastKnown { .. } => "lastKnown",
            FallbackKind::Value => "value",
            FallbackKind::Expression => "expression",
            FallbackKind::Fail { .. } => "fail",
        }
    }

    /// Why the step failed, if that is what it says.
    #[must_use]
    pub fn failure(&self) -> Option<&CommandFailure> {
        match self {
            FallbackKind::Fail { failure } => Some(failure),
            FallbackKind::Cached { .. }
            | FallbackKind::LastKnown { .. }
            | FallbackKind::Value
            | FallbackKind::Expression => None,
        }
    }
}
