//! A log of notes read from its beginning, a page at a time.

use saga_event_store::{EventStore, MAX_NOTES, NoteNumber, StoreError, StoredNote};

/// Shows all notes of the log `topic` to `visit`, oldest first.
///
/// # Errors
/// When the store does not answer. `visit` has seen a part of the notes then.
pub async fn each(store: &dyn EventStore, topic: &str, mut visit: impl FnMut(StoredNote)) -> Result<(), StoreError> {
    let none = first(store, topic, |note| {
        visit(note);
        None::<()>
    });
    none.await.map(drop)
}

/// What `choose` makes of the oldest note of the log `topic` for which it returns something; later notes are not read.
///
/// # Errors
/// When the store does not answer.
pub async fn first<T>(
    store: &dyn EventStore,
    topic: &str,
    mut choose: impl FnMut(StoredNote) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let mut after = NoteNumber::START;
    loop {
        let page = store.notes(topic, after, MAX_NOTES).await?;
        let Some(last) = page.last() else { return Ok(None) };
        after = last.number;
        if let Some(chosen) = page.into_iter().find_map(&mut choose) {
            return Ok(Some(chosen));
        }
    }
}
