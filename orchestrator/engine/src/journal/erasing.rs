//! The rows of a saga as they read after an operator has erased it.

use super::codec::{self, RowDecodeError, RowEncodeError};
use saga_core::{
    event::{OperatorAction, SagaDecision, SagaEvent},
    time::Timestamp,
};
use saga_event_store::{ErasedRow, StreamRow};

/// A saga cannot be erased.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowErasureError {
    /// A row is not of a shape that this build reads.
    #[error(transparent)]
    Unreadable(#[from] RowDecodeError),
    /// A row without its content would not be read back.
    #[error(transparent)]
    Unwritable(#[from] RowEncodeError),
}

/// Whether the decision records the erasure of its saga.
pub(crate) fn erases(decision: &SagaDecision) -> bool {
    let is_erasure =
        |event: &SagaEvent| matches!(event, SagaEvent::OperatorActed { action: OperatorAction::Erase, .. });
    decision.events.iter().any(is_erasure)
}

/// The rows before `version`, without their content.
///
/// # Errors
/// When a row cannot be read.
pub(crate) fn erased_rows(rows: Vec<StreamRow>, version: u32) -> Result<Vec<ErasedRow>, RowErasureError> {
    let before = rows.into_iter().filter(|row| row.version < version);
    let erased = |row: StreamRow| {
        let decision = codec::decode(row.version, Timestamp(row.recorded_at_ms), &row.payload)?;
        Ok(ErasedRow { version: row.version, payload: codec::encode_erased(&decision)? })
    };
    before.map(erased).collect()
}
