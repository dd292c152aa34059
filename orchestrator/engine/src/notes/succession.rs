//! Logs in the event store whose entries supersede one another: each names the one that it follows, and of several that
//! follow the same one the first counts. So two engines that write at the same moment agree on one order, and one of
//! them learns that it has to look again.

use crate::notes::bookmark::{NoteCursor, NotePage};
use saga_core::time::Timestamp;
use saga_event_store::{EventStore, NewNote, NoteNumber, StoreError, StoredNote};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// An entry of the log that counts: it was written after the entry before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptimisticLogEntry<T> {
    /// Its place in the log: rises, with gaps where an entry came too late.
    pub number: NoteNumber,
    /// When it was written, by its writer's clock.
    pub at: Timestamp,
    /// The content of the entry.
    pub what: T,
}

/// The entries that count, oldest first, as far as they were read.
#[derive(Clone, Debug)]
pub struct OptimisticLog<T> {
    topic: &'static str,
    read_to: NoteCursor,
    entries: Vec<OptimisticLogEntry<T>>,
}

#[derive(Serialize, Deserialize)]
struct OptimisticLogRecord<T> {
    after: i64,
    #[serde(flatten)]
    what: T,
}

impl<T: Serialize + DeserializeOwned> OptimisticLog<T> {
    /// The log `topic`, of which nothing has been read.
    pub fn of(topic: &'static str) -> OptimisticLog<T> {
        OptimisticLog { topic, read_to: NoteCursor::default(), entries: Vec::new() }
    }

    /// What counts now; `None`: nothing was written yet.
    pub fn current(&self) -> Option<&OptimisticLogEntry<T>> {
        self.entries.last()
    }

    /// All that count, oldest first, as far as they were read.
    pub fn entries(&self) -> &[OptimisticLogEntry<T>] {
        &self.entries
    }

    /// Reads what is new. Where the store lost what was read, all is read anew.
    ///
    /// # Errors
    /// When the store does not answer, or a newer build wrote an entry that this one cannot read.
    pub async fn read(&mut self, store: &dyn EventStore) -> Result<(), StoreError> {
        loop {
            match self.read_to.next(store, self.topic).await? {
                NotePage::Lost => *self = OptimisticLog::of(self.topic),
                NotePage::New { notes, then, is_last } => {
                    notes.iter().try_for_each(|note| self.take(note))?;
                    self.read_to = then;
                    if is_last {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Writes `what` after the current entry and reads on. Afterwards [`OptimisticLog::current`] says which entry
    /// counts: another one, if another engine wrote first.
    ///
    /// # Errors
    /// As [`OptimisticLog::read`]; then it is not known whether it was written.
    pub async fn write(&mut self, store: &dyn EventStore, what: &T, now: Timestamp) -> Result<(), StoreError> {
        let after = self.current().map_or(NoteNumber::START, |entry| entry.number).0;
        let body = serde_json::to_string(&OptimisticLogRecord { after, what })
            .map_err(|error| StoreError::Unusable(error.to_string()))?;
        let note = NewNote { id: Uuid::new_v4(), topic: self.topic.to_owned(), body, at_ms: now.0 };
        store.add_note(&note).await?;
        self.read(store).await
    }

    fn take(&mut self, note: &StoredNote) -> Result<(), StoreError> {
        let unreadable = |error| {
            let (number, topic) = (note.number.0, self.topic);
            StoreError::Unusable(format!("note {number} of `{topic}` cannot be read by this build: {error}"))
        };
        let OptimisticLogRecord { after, what } = serde_json::from_str(&note.body).map_err(unreadable)?;
        if after == self.current().map_or(NoteNumber::START, |entry| entry.number).0 {
            self.entries.push(OptimisticLogEntry { number: note.number, at: Timestamp(note.at_ms), what });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_event_store::StoreAccess;
    use std::sync::Arc;

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct TestEntry {
        word: String,
    }

    fn said(word: &str) -> TestEntry {
        TestEntry { word: word.to_owned() }
    }

    async fn store() -> (Arc<dyn EventStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite:{}", folder.path().join("saga.db").display());
        (saga_event_store::open(&address, StoreAccess::Write { shards: 1 }).await.expect("a store"), folder)
    }

    #[tokio::test]
    async fn what_the_store_lost_does_not_count() {
        let ((store, _folder), (older, _other)) = (store().await, store().await);
        let mut log = OptimisticLog::of("words");
        for word in ["first", "lost"] {
            log.write(store.as_ref(), &said(word), Timestamp(1)).await.expect("written");
        }
        OptimisticLog::of("words").write(older.as_ref(), &said("kept"), Timestamp(1)).await.expect("written");
        log.read(older.as_ref()).await.expect("read");
        assert_eq!(log.current().map(|entry| entry.what.word.as_str()), Some("kept"));
    }

    #[tokio::test]
    async fn of_two_that_follow_the_same_entry_the_first_counts() {
        let (store, _folder) = store().await;
        let (mut one, mut two) = (OptimisticLog::of("words"), OptimisticLog::of("words"));
        one.write(store.as_ref(), &said("first"), Timestamp(1)).await.expect("written");
        // The second has not read what the first wrote.
        two.write(store.as_ref(), &said("late"), Timestamp(2)).await.expect("written");
        assert_eq!(two.current().map(|entry| &entry.what), Some(&said("first")));
        two.write(store.as_ref(), &said("second"), Timestamp(3)).await.expect("written");
        one.read(store.as_ref()).await.expect("read");
        let words =
            |log: &OptimisticLog<TestEntry>| log.entries.iter().map(|it| it.what.word.clone()).collect::<Vec<_>>();
        assert_eq!(words(&one), ["first", "second"]);
        assert_eq!(words(&two), words(&one));
    }
}
