//! How many dead letters wait for a decision.

use saga_event_store::{EventStore, LetterOrder, LetterStatus, StoreError, StoredLetterFilter};

/// The dead letters of the whole installation that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenLetters {
    /// How many there are.
    pub open: i64,
    /// When the oldest of them was written, in milliseconds since the Unix epoch; `None`: there is none.
    pub oldest_open_ms: Option<i64>,
}

impl OpenLetters {
    pub(crate) async fn count(store: &dyn EventStore) -> Result<OpenLetters, StoreError> {
        let groups = store.letter_groups(None, (0, 0)).await?;
        let open = groups.iter().map(|group| group.open).sum();
        if open == 0 {
            return Ok(OpenLetters::default());
        }
        let statuses = vec![LetterStatus::New, LetterStatus::Reviewing];
        let filter = StoredLetterFilter { statuses, limit: 1, ..StoredLetterFilter::default() };
        let oldest = store.letters(&filter, LetterOrder::Oldest).await?;
        Ok(OpenLetters { open, oldest_open_ms: oldest.first().map(|letter| letter.letter.written_at_ms) })
    }
}
