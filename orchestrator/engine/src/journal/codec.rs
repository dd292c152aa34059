//! Saga events ↔ stored bytes. The payload of a row is `{"v":1,"events":[…]}`; version and time are columns of their
//! own.

use saga_core::{event::SagaDecision, event::SagaEvent, id::SagaId, json, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Of the stored shape. A reader refuses a number that it does not know, so that an older build never misreads a newer
/// row.
const FORMAT: u8 = 1;

/// A stored row cannot be read as a decision.
#[derive(Debug, thiserror::Error)]
pub enum RowDecodeError {
    /// Written by a build that knows more.
    #[error(
        "row {saga}/{version} has format {format}, this build reads format {FORMAT}: it was written by a newer build"
    )]
    Format {
        /// The saga that the row belongs to.
        saga: SagaId,
        /// The row's version in the saga's journal.
        version: u32,
        /// The format number that the row carries.
        format: u8,
    },
    /// The row's bytes are not what this build writes.
    #[error("row {saga}/{version} does not read as events")]
    Shape {
        /// The saga that the row belongs to.
        saga: SagaId,
        /// The row's version in the saga's journal.
        version: u32,
        /// The parser's error, which says where the row differs.
        source: serde_json::Error,
    },
}

/// A decision that would be written and could not be read back.
#[derive(Debug, thiserror::Error)]
#[error("the row {version} would not read back: {reason}")]
pub struct RowEncodeError {
    /// The version that the row would have had.
    version: u32,
    /// The decoder's message about the written bytes.
    reason: String,
}

#[derive(Serialize)]
struct EncodedRow<'a> {
    v: u8,
    events: &'a [SagaEvent],
}

#[derive(Deserialize)]
struct RowFormat {
    v: u8,
}

#[derive(Deserialize)]
struct DecodedRow {
    v: u8,
    events: Vec<SagaEvent>,
}

/// The payload of the row that records `decision`, proved to be readable: what no build can read could neither be
/// undone nor ended. One pass over the bytes proves it; a build for tests reads the row, too.
///
/// # Errors
/// When it would not be read back.
pub fn encode(decision: &SagaDecision) -> Result<Vec<u8>, RowEncodeError> {
    let unwritable = |reason: String| RowEncodeError { version: decision.version, reason };
    let payload = serde_json::to_vec(&EncodedRow { v: FORMAT, events: &decision.events })
        .map_err(|error| unwritable(error.to_string()))?;
    json::check_written(&payload).map_err(|unfit| unwritable(unfit.to_string()))?;
    if cfg!(debug_assertions) {
        serde_json::from_slice::<DecodedRow>(&payload).map_err(|error| unwritable(error.to_string()))?;
    }
    Ok(payload)
}

/// Rows of more bytes have an outline. A list reads a smaller row whole: that costs less than a second copy.
const OUTLINED_BYTES: usize = 4 * 1024;

/// The payload that replaces that of a large row for readers that do not need its content; `None` where it would save
/// little.
#[must_use]
pub fn outline(decision: &SagaDecision, payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() <= OUTLINED_BYTES {
        return None;
    }
    let outline = decision.outline();
    let outline = serde_json::to_vec(&EncodedRow { v: FORMAT, events: &outline.events }).ok()?;
    (outline.len() <= payload.len() / 2).then_some(outline)
}

/// The decision that a row records.
///
/// # Errors
/// When the row was written by a newer build, or is not a row of ours.
pub fn decode(saga: SagaId, version: u32, at: Timestamp, payload: &[u8]) -> Result<SagaDecision, RowDecodeError> {
    match serde_json::from_slice(payload) {
        Ok(DecodedRow { v: FORMAT, events }) => Ok(SagaDecision { version, at, events }),
        Ok(DecodedRow { v: format, .. }) => Err(RowDecodeError::Format { saga, version, format }),
        Err(source) => Err(unread(saga, version, payload, source)),
    }
}

/// A row of a newer build says its format, also where its events cannot be read.
fn unread(saga: SagaId, version: u32, payload: &[u8], source: serde_json::Error) -> RowDecodeError {
    match serde_json::from_slice(payload) {
        Ok(RowFormat { v: format }) if format != FORMAT => RowDecodeError::Format { saga, version, format },
        Ok(_) | Err(_) => RowDecodeError::Shape { saga, version, source },
    }
}

#[cfg(test)]
mod tests;
