//! Notes: small texts beside the streams, in logs that only grow.

use crate::{
    Error,
    limits::{check_length, check_texts},
};
use uuid::Uuid;

/// Bytes of a note's body: what people write and a few values beside it, many times over; a page of them stays small.
pub const MAX_NOTE_BYTES: usize = 32 * 1024;
/// Bytes of a topic's name: an index entry begins with it.
pub const MAX_TOPIC_BYTES: usize = 256;
/// Notes of one page: at their largest they are 32 MiB.
pub const MAX_NOTES: u32 = 1_000;

/// Place of a note within its topic: 1, 2, 3, … without gaps. Before the first is [`NoteNumber::START`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteNumber(pub i64);

impl NoteNumber {
    /// Before the first note.
    pub const START: NoteNumber = NoteNumber(0);
}

/// A note that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNote {
    /// Its identity within the topic: the same id again is the same note.
    pub id: Uuid,
    /// Which log it belongs to: 1 to [`MAX_TOPIC_BYTES`] bytes.
    pub topic: String,
    /// At most [`MAX_NOTE_BYTES`].
    pub body: String,
    /// Milliseconds since the epoch, as its writer says.
    pub at_ms: i64,
}

/// A note that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its place.
    pub number: NoteNumber,
    /// Its identity.
    pub id: Uuid,
    /// Milliseconds since the epoch, as its writer said.
    pub at_ms: i64,
    /// The text.
    pub body: String,
}

/// Whether a note keeps the store's limits.
///
/// # Errors
/// Which it breaks.
pub(crate) fn check_note(note: &NewNote) -> Result<(), Error> {
    check_length("topic", &note.topic, MAX_TOPIC_BYTES)?;
    check_texts([note.topic.as_str(), note.body.as_str()])?;
    if note.body.len() > MAX_NOTE_BYTES {
        return Err(Error::Limit(format!("a note has {} bytes, the limit is {MAX_NOTE_BYTES}", note.body.len())));
    }
    Ok(())
}
