//! What a request may come to, so that it can be recorded, read back and sent, and so that its way back can too.
//!
//! The budget of the way back is kept when a do is admitted: a do is not sent if its undo would not fit even without
//! the result, nor if its undo would be too large for the topic it goes to, as far as that is known. What a participant
//! will answer is not known then; where the answer does not fit beside the input, the undo is sent as after an unknown
//! outcome: with a result of null.

use super::REQUEST_LIMIT_BYTES;
use crate::{
    command::{CommandFailure, CommandRequest},
    json::{self, MAX_DEPTH},
};
use serde_json::Value;

/// Code of a failure that a limit caused.
pub(super) const LIMIT: &str = "limit";

/// What the outcome event says beside the output, at most: names and a key have limits of their own.
const ENVELOPE_BYTES: usize = 1024;

/// Whether a request is within the limits, so that it can be sent.
pub(super) fn within_limit(request: &CommandRequest) -> Result<(), CommandFailure> {
    extent_of(request).check("the request", ValueExtent::default())
}

/// Whether the topic of an undo takes it; it takes bodies of `room` bytes, if that is known.
pub(super) fn within_room(undo: &CommandRequest, room: Option<usize>) -> Result<(), CommandFailure> {
    fits_room(extent_of(undo).bytes, room)
}

fn extent_of(request: &CommandRequest) -> ValueExtent {
    let (body, beside) = match request {
        CommandRequest::Kafka { body, .. } => (Some(body), 0),
        CommandRequest::Publish { body, key, .. } => (Some(body), key.len()),
        CommandRequest::Http { body, path, .. } => (body.as_ref(), path.len()),
    };
    let body = body.map(ValueExtent::of).unwrap_or_default();
    ValueExtent { bytes: body.bytes.saturating_add(beside), ..body }
}

/// Whether an undo that is sent `{"input": …, "result": null}` can leave, to a topic that takes bodies of `room` bytes,
/// if that is known.
pub(super) fn leaves_room_for_undo(input: &Value, room: Option<usize>) -> Result<(), CommandFailure> {
    let wrapping = ValueExtent { bytes: r#"{"input":,"result":null}"#.len(), levels: 1 };
    let extent = ValueExtent::of(input);
    extent.check("the request within that of its undo", wrapping)?;
    fits_room(extent.bytes.saturating_add(wrapping.bytes), room)
}

fn fits_room(bytes: usize, room: Option<usize>) -> Result<(), CommandFailure> {
    match room.filter(|room| bytes > *room) {
        Some(room) => Err(CommandFailure::new(LIMIT, format!("the undo has {bytes} bytes, its topic takes {room}"))),
        None => Ok(()),
    }
}

/// Whether a value that an expression made can be recorded, and published in the outcome event; `what` names it.
pub(super) fn value_within_limit(what: &str, value: &Value) -> Result<(), CommandFailure> {
    ValueExtent::of(value).check(what, ValueExtent { bytes: ENVELOPE_BYTES, levels: 1 })
}

/// How far a value reaches.
#[derive(Clone, Copy, Debug, Default)]
struct ValueExtent {
    bytes: usize,
    levels: usize,
}

impl ValueExtent {
    fn of(value: &Value) -> ValueExtent {
        ValueExtent { bytes: size_bytes(value), levels: json::depth(value) }
    }

    fn check(self, what: &str, wrapping: ValueExtent) -> Result<(), CommandFailure> {
        let bytes = self.bytes.saturating_add(wrapping.bytes);
        let levels = self.levels + wrapping.levels;
        if bytes > REQUEST_LIMIT_BYTES {
            return Err(CommandFailure::new(
                LIMIT,
                format!("{what} has {bytes} bytes, the limit is {REQUEST_LIMIT_BYTES}"),
            ));
        }
        if levels > MAX_DEPTH {
            return Err(CommandFailure::new(
                LIMIT,
                format!("{what} nests {levels} levels deep, the limit is {MAX_DEPTH}"),
            ));
        }
        Ok(())
    }
}

/// Bytes of `value` as compact JSON, without writing them anywhere.
fn size_bytes(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}
