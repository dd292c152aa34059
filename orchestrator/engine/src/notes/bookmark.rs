//! How far a log of notes was read, by the last note itself and not by its number alone: a store that lost commits
//! gives the number again.

use saga_event_store::{EventStore, MAX_NOTES, NoteNumber, StoreError, StoredNote};
use uuid::Uuid;

/// After which note a log is read on; at first before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoteCursor(Option<(NoteNumber, Uuid)>);

/// The notes that come after a bookmark.
#[derive(Debug)]
pub enum NotePage {
    /// New notes, in their order; none are there yet where it is empty.
    New {
        /// The new notes, in the order of the topic.
        notes: Vec<StoredNote>,
        /// The bookmark when they are dealt with.
        then: NoteCursor,
        /// Whether there is nothing more for now.
        is_last: bool,
    },
    /// The note that was read last is not there any more: the store lost it. What was read is to be forgotten, and all
    /// read anew.
    Lost,
}

impl NoteCursor {
    /// The next page of the log `topic`.
    pub async fn next(self, store: &dyn EventStore, topic: &str) -> Result<NotePage, StoreError> {
        // It begins with the last note that was read.
        let from = self.0.map_or(NoteNumber::START, |(last, _)| NoteNumber(last.0 - 1));
        let mut notes = store.notes(topic, from, MAX_NOTES).await?;
        let is_last = notes.len() < MAX_NOTES as usize;
        if self.0.is_some() {
            if notes.first().map(NoteCursor::at) != Some(self) {
                return Ok(NotePage::Lost);
            }
            notes.remove(0);
        }
        let then = notes.last().map_or(self, NoteCursor::at);
        Ok(NotePage::New { notes, then, is_last })
    }

    fn at(note: &StoredNote) -> NoteCursor {
        NoteCursor(Some((note.number, note.id)))
    }
}
