//! Saga events ↔ stored bytes. The payload of a row is `{"v":1,"events":[…]}`; version and time are columns of their
//! own.
//!
//! `v` is the format. An earlier format is brought to this one when it is read ([`upcast`]); a later one is refused.
//! Within a format, what is new in a build must not mislead the builds before it:
//!
//! - A field that this build does not know is ignored. So a field may be added without another format only if a build
//!   that ignores it folds the same course; otherwise the format changes.
//! - A field that a row lacks has its default, or the row is refused.
//! - A kind of event that this build does not know is refused: to ignore it would fold another saga.

mod upcast;

use saga_core::{event::SagaDecision, event::SagaEvent, id::SagaId, json, time::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of the stored shape. A reader refuses a later number, so that an older build never misreads a newer row.
const FORMAT: u8 = 1;

/// A stored row cannot be read as a decision.
#[derive(Debug, thiserror::Error)]
pub enum RowDecodeError {
    /// Written by a build that knows more, or one that is too old.
    #[error(
        "row {saga}/{version} has format {format}, and this build reads formats {oldest} to {FORMAT}: \
         {remedy}", oldest = upcast::OLDEST, remedy = other_build(*format)
    )]
    Format {
        /// The saga that the row belongs to.
        saga: SagaId,
        /// The row's version in the saga's journal.
        version: u32,
        /// The format number that the row carries.
        format: u8,
    },
    /// The row says that it has an earlier format, and has not.
    #[error("row {saga}/{version} of format {format} cannot be brought to format {FORMAT}: {reason}")]
    Outdated {
        /// The saga that the row belongs to.
        saga: SagaId,
        /// The row's version in the saga's journal.
        version: u32,
        /// The format number that the row carries.
        format: u8,
        /// What the row lacks.
        reason: String,
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
struct OutdatedRow {
    events: Vec<Value>,
}

#[derive(Serialize)]
struct UpcastRow {
    v: u8,
    events: Vec<Value>,
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

/// The decision that a row records. A row of an earlier format is brought to this one first.
///
/// # Errors
/// When the row was written by a newer build, or is not a row of ours.
pub fn decode(saga: SagaId, version: u32, at: Timestamp, payload: &[u8]) -> Result<SagaDecision, RowDecodeError> {
    match serde_json::from_slice(payload) {
        Ok(DecodedRow { v: FORMAT, events }) => Ok(SagaDecision { version, at, events }),
        Ok(DecodedRow { v: format, .. }) => outdated(saga, version, at, format, payload),
        Err(source) => match serde_json::from_slice(payload) {
            Ok(RowFormat { v: format }) if format != FORMAT => outdated(saga, version, at, format, payload),
            Ok(_) | Err(_) => Err(RowDecodeError::Shape { saga, version, source }),
        },
    }
}

/// A row of another format. It is written anew and read again: rows of the current format have one reader.
#[cold]
fn outdated(
    saga: SagaId,
    version: u32,
    at: Timestamp,
    format: u8,
    payload: &[u8],
) -> Result<SagaDecision, RowDecodeError> {
    if !(upcast::OLDEST..FORMAT).contains(&format) {
        return Err(RowDecodeError::Format { saga, version, format });
    }
    let unfit = |reason: String| RowDecodeError::Outdated { saga, version, format, reason };
    let row: OutdatedRow = serde_json::from_slice(payload).map_err(|error| unfit(error.to_string()))?;
    let events = upcast::to_current(format, row.events).map_err(unfit)?;
    let payload = serde_json::to_vec(&UpcastRow { v: FORMAT, events }).map_err(|error| unfit(error.to_string()))?;
    let row: DecodedRow = serde_json::from_slice(&payload).map_err(|error| unfit(error.to_string()))?;
    Ok(SagaDecision { version, at, events: row.events })
}

fn other_build(format: u8) -> &'static str {
    if format > FORMAT {
        "a newer build wrote it; update this engine to that build"
    } else {
        "no release wrote it; restore the row from a backup"
    }
}

#[cfg(test)]
mod tests;
