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

use saga_core::{event::SagaDecision, event::SagaEvent, json, time::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of the stored shape. A reader refuses a later number, so that an older build never misreads a newer row.
const FORMAT: u8 = 1;

/// A stored row cannot be read as a decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowDecodeError {
    /// Written by a build that knows more, or one that is too old.
    #[error(
        "row {version} has format {format}, and this build reads formats {oldest} to {FORMAT}: {by}",
        oldest = upcast::OLDEST, by = other_build(*format)
    )]
    Format {
        /// The row's version in the saga's journal.
        version: u32,
        /// The format number that the row carries.
        format: u8,
    },
    /// The row says that it has an earlier format, and has not.
    #[error("row {version} of format {format} cannot be brought to format {FORMAT}: {reason}")]
    Outdated {
        /// The row's version in the saga's journal.
        version: u32,
        /// The format number that the row carries.
        format: u8,
        /// What the row lacks.
        reason: String,
    },
    /// An event of the row is of a kind that this build does not know.
    #[error("row {version} has an event of the kind `{event}`, which this build does not know")]
    UnknownEvent {
        /// The row's version in the saga's journal.
        version: u32,
        /// The kind, as it is stored.
        event: String,
    },
    /// The row ends in the middle.
    #[error("row {version} is cut off after {bytes} bytes")]
    Cut {
        /// The row's version in the saga's journal.
        version: u32,
        /// How many bytes there are.
        bytes: usize,
    },
    /// The row's bytes are not what this build writes.
    #[error("row {version} does not read as events: {reason}")]
    Shape {
        /// The row's version in the saga's journal.
        version: u32,
        /// Where the row differs.
        reason: String,
    },
}

impl RowDecodeError {
    /// The row's version in the saga's journal.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            RowDecodeError::Format { version, .. }
            | RowDecodeError::Outdated { version, .. }
            | RowDecodeError::UnknownEvent { version, .. }
            | RowDecodeError::Cut { version, .. }
            | RowDecodeError::Shape { version, .. } => *version,
        }
    }

    /// Whether a build that knows more wrote the row.
    #[must_use]
    pub fn is_of_newer_build(&self) -> bool {
        match self {
            RowDecodeError::Format { format, .. } => *format > FORMAT,
            RowDecodeError::UnknownEvent { .. } => true,
            RowDecodeError::Outdated { .. } | RowDecodeError::Cut { .. } | RowDecodeError::Shape { .. } => false,
        }
    }
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
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
    events: &'a [SagaEvent],
}

#[derive(Deserialize)]
struct RowFormat {
    v: u8,
}

/// A row whose events are not looked at.
#[derive(Deserialize)]
struct RawRow {
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
    written(decision, false)
}

/// The payload that replaces that of the row when its saga is erased. It says so.
///
/// # Errors
/// As [`encode`].
pub fn encode_erased(decision: &SagaDecision) -> Result<Vec<u8>, RowEncodeError> {
    written(&decision.erased(), true)
}

/// Whether a row lost its content in an erasure of its saga.
#[must_use]
pub fn is_erased(payload: &[u8]) -> bool {
    /// The mark is the second member, behind a format of at most three digits.
    const WITHIN: usize = 24;
    memchr::memmem::find(&payload[..payload.len().min(WITHIN)], br#","erased":true,"#).is_some()
}

fn written(decision: &SagaDecision, erased: bool) -> Result<Vec<u8>, RowEncodeError> {
    let unwritable = |reason: String| RowEncodeError { version: decision.version, reason };
    let row = EncodedRow { v: FORMAT, erased, events: &decision.events };
    let payload = serde_json::to_vec(&row).map_err(|error| unwritable(error.to_string()))?;
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
    let outline = serde_json::to_vec(&EncodedRow { v: FORMAT, erased: false, events: &outline.events }).ok()?;
    (outline.len() <= payload.len() / 2).then_some(outline)
}

/// The decision that a row records. A row of an earlier format is brought to this one first.
///
/// # Errors
/// When the row was written by a newer build, or is not a row of ours.
pub fn decode(version: u32, at: Timestamp, payload: &[u8]) -> Result<SagaDecision, RowDecodeError> {
    match serde_json::from_slice(payload) {
        Ok(DecodedRow { v: FORMAT, events }) => Ok(SagaDecision { version, at, events }),
        Ok(DecodedRow { v: format, .. }) => outdated(version, at, format, payload),
        Err(error) => match serde_json::from_slice(payload) {
            Ok(RowFormat { v: format }) if format != FORMAT => outdated(version, at, format, payload),
            Ok(_) | Err(_) => Err(unread(version, payload, &error)),
        },
    }
}

/// A row of another format. It is written anew and read again: rows of the current format have one reader.
#[cold]
fn outdated(version: u32, at: Timestamp, format: u8, payload: &[u8]) -> Result<SagaDecision, RowDecodeError> {
    if !(upcast::OLDEST..FORMAT).contains(&format) {
        return Err(RowDecodeError::Format { version, format });
    }
    let unfit = |reason: String| RowDecodeError::Outdated { version, format, reason };
    let row: RawRow = serde_json::from_slice(payload).map_err(|error| unfit(error.to_string()))?;
    let events = upcast::to_current(format, row.events).map_err(unfit)?;
    let payload = serde_json::to_vec(&UpcastRow { v: FORMAT, events }).map_err(|error| unfit(error.to_string()))?;
    let row: DecodedRow = serde_json::from_slice(&payload).map_err(|error| unfit(error.to_string()))?;
    Ok(SagaDecision { version, at, events: row.events })
}

fn other_build(format: u8) -> &'static str {
    if format > FORMAT { "a newer build wrote it" } else { "no release wrote it" }
}

/// Why a row of the current format cannot be read.
fn unread(version: u32, payload: &[u8], error: &serde_json::Error) -> RowDecodeError {
    if error.is_eof() {
        return RowDecodeError::Cut { version, bytes: payload.len() };
    }
    match unknown_event(payload) {
        Some(event) => RowDecodeError::UnknownEvent { version, event },
        None => RowDecodeError::Shape { version, reason: shortened(error) },
    }
}

/// The kind of the first event that cannot be read, if it is a kind that this build does not know.
fn unknown_event(payload: &[u8]) -> Option<String> {
    let RawRow { events } = serde_json::from_slice(payload).ok()?;
    events.into_iter().find_map(|event| {
        let kind = event.as_str().map(str::to_owned);
        let kind = kind.or_else(|| event.as_object()?.keys().next().cloned())?;
        let error = serde_json::from_value::<SagaEvent>(event).err()?;
        Some(error.to_string().starts_with(&format!("unknown variant `{kind}`")).then_some(kind))
    })?
}

/// Without the list of all words that would have been right.
fn shortened(error: &serde_json::Error) -> String {
    let (text, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    let what = text.split(", expected one of").next().unwrap_or_default();
    if what.ends_with(&place) { what.to_owned() } else { format!("{what}{place}") }
}

#[cfg(test)]
mod tests;
