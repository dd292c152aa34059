//! Erasure: the rows of a stream that has ended lose their content for ever.

use crate::{MAX_BATCH_BYTES, StoreError, StreamAppend, limits::check_batch};

/// The last append of a stream, with which all rows before it lose their content.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamErasure {
    /// The row that records the erasure.
    pub append: StreamAppend,
    /// All rows that the store has of the stream before it, as they read from then on. A damaged stream may lack some.
    pub rows: Vec<ErasedRow>,
}

/// A row without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedRow {
    /// The version of the row, which stays, as do its time and its append id.
    pub version: u32,
    /// What the row says from then on.
    pub payload: Vec<u8>,
}

/// What [`crate::NewStreamKey::payload_hash`] is after an erasure: it no longer tells what started the stream.
pub const ERASED_HASH: [u8; 32] = [0; 32];

/// # Errors
/// [`StoreError::Limit`] when the append breaks a limit, or the rows are not those before it.
pub(crate) fn check_erasure(erasure: &StreamErasure) -> Result<(), StoreError> {
    check_batch(std::slice::from_ref(&erasure.append))?;
    let versions = || erasure.rows.iter().map(|row| row.version);
    let are_before = versions().all(|version| version < erasure.append.version);
    if !are_before || !versions().is_sorted_by(|one, next| one < next) {
        return Err(StoreError::Limit("an erasure needs all rows before its own, in order".into()));
    }
    let bytes: usize = erasure.rows.iter().map(|row| row.payload.len()).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(StoreError::Limit(format!(
            "the rows of an erasure have {bytes} bytes, the limit is {MAX_BATCH_BYTES}"
        )));
    }
    Ok(())
}
