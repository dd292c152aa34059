//! What people did to one letter.

use saga_event_store::{EventStore, LetterActQuery, LetterCoordinates, StoreError, StoredLetter, StoredLetterAct};

/// The latest acts on the letter with this id that is at `place`; its copies at other places have their own. The acts
/// stay when the letter's row leaves the table.
///
/// # Errors
/// When the store does not answer.
pub async fn letter_acts(
    store: &dyn EventStore,
    id: &str,
    place: &LetterCoordinates,
) -> Result<Vec<StoredLetterAct>, StoreError> {
    let query = LetterActQuery { letter: Some(id.to_owned()), ..LetterActQuery::default() };
    let acts = store.letter_acts(&query).await?;
    Ok(acts.into_iter().filter(|act| act.place == *place).collect())
}

/// Whether the act with this id is on record for the letter: the same request came before.
pub(super) async fn is_recorded(store: &dyn EventStore, letter: &StoredLetter, act: &str) -> Result<bool, StoreError> {
    let acts = letter_acts(store, &letter.letter.id, &letter.place).await?;
    Ok(acts.iter().any(|known| known.id == act))
}
