//! Notes: small texts in append-only logs, one log for each topic.

use crate::{
    StoreError,
    limits::{check_length, check_texts},
};
use uuid::Uuid;

/// Most bytes of a note's body.
pub const MAX_NOTE_BYTES: usize = 32 * 1024;
/// Most bytes of a topic's name. It is part of an index entry.
pub const MAX_TOPIC_BYTES: usize = 256;
/// Most notes in one page, which is 32 MiB when all of them are as large as they can be.
pub const MAX_NOTES: u32 = 1_000;

/// Position of a note in its topic: 1, 2, 3, … without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteNumber(pub i64);

impl NoteNumber {
    /// The position before the first note.
    pub const START: NoteNumber = NoteNumber(0);
}

/// A note that a writer asks the store to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNote {
    /// Drawn at random by the writer. The store adds an id once to a topic.
    pub id: Uuid,
    /// Name of the log, from 1 to [`MAX_TOPIC_BYTES`] bytes.
    pub topic: String,
    /// What the note says, at most [`MAX_NOTE_BYTES`] bytes. The store does not read it.
    pub body: String,
    /// When the writer made the note, by its clock, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// A committed note, with the number that the store assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNote {
    /// Where the note is in its topic. The store assigns it.
    pub number: NoteNumber,
    /// The id from the writer: [`NewNote::id`].
    pub id: Uuid,
    /// When the writer made the note: [`NewNote::at_ms`].
    pub at_ms: i64,
    /// What the note says: [`NewNote::body`].
    pub body: String,
}

/// # Errors
/// [`StoreError::Limit`] names the limit that the note breaks.
pub(crate) fn check_note(note: &NewNote) -> Result<(), StoreError> {
    check_length("topic", &note.topic, MAX_TOPIC_BYTES)?;
    check_texts([note.topic.as_str(), note.body.as_str()])?;
    if note.body.len() > MAX_NOTE_BYTES {
        return Err(StoreError::Limit(format!("a note has {} bytes, the limit is {MAX_NOTE_BYTES}", note.body.len())));
    }
    Ok(())
}
