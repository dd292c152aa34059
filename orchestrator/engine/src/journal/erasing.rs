//! The rows of a saga as they read after an operator has erased it.

use super::codec::{self, RowEncodeError};
use saga_core::{
    event::{OperatorAction, SagaDecision, SagaEvent},
    state::SagaStatus,
    time::Timestamp,
};
use saga_event_store::{ErasedRow, StreamRow, StreamSummary};

/// Whether the decision records the erasure of its saga.
pub(crate) fn erases(decision: &SagaDecision) -> bool {
    let is_erasure =
        |event: &SagaEvent| matches!(event, SagaEvent::OperatorActed { action: OperatorAction::Erase, .. });
    decision.events.iter().any(is_erasure)
}

/// What can be erased of a saga whose journal cannot be read: it has ended, as the read model says.
///
/// # Errors
/// When it has not ended, or is erased already.
pub(crate) fn ended_unread(summary: &StreamSummary) -> Result<SagaStatus, &'static str> {
    if summary.erased_at_ms.is_some() {
        return Err("the saga is erased already");
    }
    let status = summary.status.parse::<SagaStatus>().ok().filter(|status| status.is_terminal());
    status.ok_or("the saga has not ended: end it with abandon, then erase it")
}

/// The id of the act by which the rows were erased, if their last one records it.
pub(crate) fn erased_by(rows: &[StreamRow]) -> Option<String> {
    let last = rows.last()?;
    let decision = codec::decode(last.version, Timestamp(last.recorded_at_ms), &last.payload).ok()?;
    decision.events.into_iter().find_map(|event| match event {
        SagaEvent::OperatorActed { id, action: OperatorAction::Erase, .. } => Some(id),
        _ => None,
    })
}

/// The rows before `version`, without their content. Of a row that this build cannot read nothing stays but that it was
/// there: it has no events then.
///
/// # Errors
/// When a row without its content would not be read back.
pub(crate) fn erased_rows(rows: &[StreamRow], version: u32) -> Result<Vec<ErasedRow>, RowEncodeError> {
    let before = rows.iter().filter(|row| row.version < version);
    before.map(|row| Ok(ErasedRow { version: row.version, payload: erased(row)? })).collect()
}

fn erased(row: &StreamRow) -> Result<Vec<u8>, RowEncodeError> {
    let at = Timestamp(row.recorded_at_ms);
    let decision = codec::decode(row.version, at, &row.payload);
    let decision = decision.unwrap_or_else(|_| SagaDecision { version: row.version, at, events: Vec::new() });
    codec::encode_erased(&decision)
}
