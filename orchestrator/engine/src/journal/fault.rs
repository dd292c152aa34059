//! Why a saga cannot be read: which row is at fault, and what an operator can do.

use super::codec::RowDecodeError;
use saga_core::{evolve::FoldError, id::SagaId};
use saga_event_store::StoreError;
use std::fmt;

/// A saga cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store did not answer.
    #[error("the event store did not answer")]
    Store(#[from] StoreError),
    /// What the store has of the saga cannot be read. It stays so until an operator has repaired it.
    #[error(transparent)]
    Fault(#[from] Box<JournalFault>),
}

impl JournalError {
    /// The error of the saga for an error of the store: damaged data is a fault of the saga that needs it.
    #[must_use]
    pub fn of(saga: SagaId, error: StoreError) -> JournalError {
        if error.is_damage() {
            return JournalFault { saga, version: None, kind: JournalFaultKind::Damaged(error.to_string()) }.into();
        }
        JournalError::Store(error)
    }

    /// Whether the same read may succeed later without an operator's action.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            JournalError::Store(error) => error.is_transient(),
            JournalError::Fault(_) => false,
        }
    }
}

impl From<JournalFault> for JournalError {
    fn from(fault: JournalFault) -> JournalError {
        JournalError::Fault(Box::new(fault))
    }
}

/// The definition or the policies of a saga cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The store did not answer.
    #[error("the event store did not answer")]
    Store(#[from] saga_event_store::StoreError),
    /// The store does not have the text.
    #[error("the store has no {kind} with hash {hash}")]
    Missing {
        /// The kind of the missing text: `definition` or `policies`.
        kind: &'static str,
        /// The hash that the text is stored under.
        hash: String,
    },
    /// The text is there and this build cannot read it.
    #[error("the stored {kind} with hash {hash} cannot be read: {reason}")]
    Unreadable {
        /// The kind of the stored text: `definition` or `policies`.
        kind: &'static str,
        /// The hash that the text is stored under.
        hash: String,
        /// The parser's message about the stored text.
        reason: String,
    },
}

impl PlanError {
    /// Whether the same read may succeed later without an operator's action.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            PlanError::Store(error) => error.is_transient(),
            PlanError::Missing { .. } | PlanError::Unreadable { .. } => false,
        }
    }
}

/// Why what the store has of a saga cannot be read. As a text it names the saga, the row and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("saga {saga} cannot be read: {kind}. {}", .kind.remedy(*.saga))]
pub struct JournalFault {
    /// The saga whose journal it is.
    pub saga: SagaId,
    /// Version of the row at fault; `None`: no single row is.
    pub version: Option<u32>,
    /// What is wrong.
    pub kind: JournalFaultKind,
}

impl JournalFault {
    /// The read model has the saga, and the journal does not.
    #[must_use]
    pub fn no_rows(saga: SagaId) -> JournalFault {
        JournalFault { saga, version: None, kind: JournalFaultKind::NoRows }
    }

    /// The same text for a saga that has ended: nothing of it is left to be ended.
    #[must_use]
    pub fn told_at_end(&self) -> String {
        let JournalFault { saga, kind, .. } = self;
        format!("saga {saga} cannot be read: {kind}. {}", kind.repair())
    }
}

/// What is wrong with what the store has of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalFaultKind {
    /// The read model has the saga, and the journal has no row of it.
    NoRows,
    /// Rows are missing, from the first version to the last one.
    MissingRows {
        /// Version of the first row that is missing.
        first: u32,
        /// Version of the last row that is missing.
        last: u32,
    },
    /// A row cannot be read.
    Row(RowDecodeError),
    /// The first row does not begin with the start of a saga.
    NoStart,
    /// The row says nothing: it could not be read when its saga was erased.
    NoEvents(u32),
    /// A document that the row names is missing.
    MissingDocument {
        /// The row that names the document.
        version: u32,
        /// `definition` or `policies`.
        kind: &'static str,
        /// The hash of the document.
        hash: String,
    },
    /// A document that the row names cannot be read.
    BadDocument {
        /// The row that names the document.
        version: u32,
        /// `definition` or `policies`.
        kind: &'static str,
        /// The hash of the document.
        hash: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// Each row can be read, and together they give no state.
    Fold(String),
    /// The database itself cannot return the rows or a document.
    Damaged(String),
}

impl fmt::Display for JournalFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalFaultKind::NoRows => f.write_str("the journal has no row of it"),
            JournalFaultKind::MissingRows { first, last } if first == last => write!(f, "row {first} is missing"),
            JournalFaultKind::MissingRows { first, last } => write!(f, "rows {first} to {last} are missing"),
            JournalFaultKind::Row(error) => write!(f, "{error}"),
            JournalFaultKind::NoStart => f.write_str("row 1 does not begin with the start of a saga"),
            JournalFaultKind::NoEvents(version) => {
                write!(f, "row {version} could not be read when the saga was erased")
            }
            JournalFaultKind::MissingDocument { version, kind, hash } => {
                write!(f, "row {version} names the {kind} {hash}, which the store does not have")
            }
            JournalFaultKind::BadDocument { version, kind, hash, reason } => {
                write!(f, "row {version} names the {kind} {hash}, which cannot be read: {reason}")
            }
            JournalFaultKind::Fold(reason) => write!(f, "its rows give no state: {reason}"),
            JournalFaultKind::Damaged(reason) => f.write_str(reason),
        }
    }
}

impl JournalFaultKind {
    /// What an operator can do, as whole sentences.
    #[must_use]
    pub fn remedy(&self, saga: SagaId) -> String {
        match self {
            JournalFaultKind::NoEvents(_) => self.repair().to_owned(),
            JournalFaultKind::NoRows
            | JournalFaultKind::MissingRows { .. }
            | JournalFaultKind::Row(_)
            | JournalFaultKind::NoStart
            | JournalFaultKind::MissingDocument { .. }
            | JournalFaultKind::BadDocument { .. }
            | JournalFaultKind::Fold(_)
            | JournalFaultKind::Damaged(_) => {
                format!("{} If it has not ended, `saga abandon {saga}` ends it as it is.", self.repair())
            }
        }
    }

    /// How the saga can be read again, as a whole sentence.
    fn repair(&self) -> &'static str {
        match self {
            JournalFaultKind::NoRows | JournalFaultKind::MissingRows { .. } | JournalFaultKind::NoStart => {
                "Restore its rows of the table journal from a backup."
            }
            JournalFaultKind::Row(error) if error.is_of_newer_build() => {
                "Upgrade this program to the build that wrote the row."
            }
            JournalFaultKind::Row(_) => "Restore the row from a backup.",
            JournalFaultKind::NoEvents(_) => "Its content is erased for ever, and nothing is left to be done.",
            JournalFaultKind::MissingDocument { .. } | JournalFaultKind::BadDocument { .. } => {
                "Put it back: `saga definitions restore FILE`, with the files of that time."
            }
            JournalFaultKind::Fold(_) => "Restore its rows from a backup, or use the build that wrote them.",
            JournalFaultKind::Damaged(_) => "Repair the database, or restore it from a backup.",
        }
    }
}

impl From<(SagaId, RowDecodeError)> for JournalFault {
    fn from((saga, error): (SagaId, RowDecodeError)) -> JournalFault {
        JournalFault { saga, version: Some(error.version()), kind: JournalFaultKind::Row(error) }
    }
}

impl From<(SagaId, FoldError)> for JournalFault {
    fn from((saga, error): (SagaId, FoldError)) -> JournalFault {
        JournalFault { saga, version: error.version(), kind: JournalFaultKind::Fold(error.to_string()) }
    }
}

/// The error of the saga for a plan that the row `version` names.
pub(super) fn of_plan(saga: SagaId, version: u32, error: PlanError) -> JournalError {
    let kind = match error {
        PlanError::Store(error) => return JournalError::of(saga, error),
        PlanError::Missing { kind, hash } => JournalFaultKind::MissingDocument { version, kind, hash },
        PlanError::Unreadable { kind, hash, reason } => JournalFaultKind::BadDocument { version, kind, hash, reason },
    };
    JournalFault { saga, version: Some(version), kind }.into()
}

#[cfg(test)]
mod tests;
