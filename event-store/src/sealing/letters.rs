//! Dead letters of an encrypted store: edits are sealed, each by a data key of its own, because they are records of
//! other people. Codes, places, keys and messages stay plain, as the list of streams does.

use super::{cache::KnownKey, keyed::LetterReader, opening::KeyUse, sealed_store::SealedStore};
use crate::{
    DataKey, EditChange, LetterAct, LetterActOutcome, LetterActQuery, LetterCoordinates, LetterEdit, LetterGroup,
    LetterOrder, LetterPortion, LetterPosition, LetterSweep, RepeatedLetter, StoreError, StoreLetters, StoredLetter,
    StoredLetterAct, StoredLetterFilter,
    cipher::{SealedPart, SealedPlace, is_sealed, open, seal},
    letter::{check_letter_act, reading::StoredEdit},
};
use async_trait::async_trait;
use uuid::Uuid;

/// An edit is one value, so its place is always the same one of its key.
const PLACE: u32 = 1;

impl SealedStore {
    fn sealed_edit(&self, edit: &LetterEdit) -> LetterEdit {
        let Some(current) = &self.opener.ring.current else { return edit.clone() };
        let (key, stream) = (DataKey::draw(), Uuid::new_v4());
        let place = SealedPlace { stream, version: PLACE };
        LetterEdit {
            record: seal(&key, place, SealedPart::Payload, &edit.record),
            sealed_by: Some((stream, key.wrapped(current, stream))),
        }
    }

    async fn opened_edit(&self, (edit, stream): StoredEdit) -> Result<LetterEdit, StoreError> {
        let Some(stream) = stream.filter(|_| is_sealed(&edit.record)) else { return Ok(edit) };
        let keys = self.opener.keys([stream], KeyUse::Once).await?;
        let key = keys.get(&stream).and_then(KnownKey::key);
        let damaged = || StoreError::Damaged("the edit of a letter is sealed and cannot be opened".to_owned());
        let place = SealedPlace { stream, version: PLACE };
        let opened = open(key.ok_or_else(damaged)?, place, &[SealedPart::Payload], edit.record);
        opened.map(LetterEdit::new).map_err(|_| damaged())
    }
}

#[async_trait]
impl StoreLetters for SealedStore {
    async fn letter_topics(&self) -> Result<Vec<String>, StoreError> {
        self.inner.letter_topics().await
    }

    async fn letter_positions(&self, topic: &str) -> Result<Vec<(i32, LetterPosition)>, StoreError> {
        self.inner.letter_positions(topic).await
    }

    async fn add_letters(&self, portion: &LetterPortion) -> Result<bool, StoreError> {
        self.inner.add_letters(portion).await
    }

    async fn letters(&self, filter: &StoredLetterFilter, order: LetterOrder) -> Result<Vec<StoredLetter>, StoreError> {
        self.inner.letters(filter, order).await
    }

    async fn letter(
        &self,
        place: &LetterCoordinates,
    ) -> Result<Option<(StoredLetter, Option<LetterEdit>)>, StoreError> {
        let Some((letter, edit)) = LetterReader::stored_letter(self.inner.as_ref(), place).await? else {
            return Ok(None);
        };
        let edit = match edit {
            Some(edit) => Some(self.opened_edit(edit).await?),
            None => None,
        };
        Ok(Some((letter, edit)))
    }

    async fn last_letter(&self) -> Result<i64, StoreError> {
        self.inner.last_letter().await
    }

    async fn act_on_letter(&self, act: &LetterAct) -> Result<LetterActOutcome, StoreError> {
        check_letter_act(act)?;
        match &act.edit {
            EditChange::Put(edit) => {
                let edit = EditChange::Put(self.sealed_edit(edit));
                self.inner.act_on_letter(&LetterAct { edit, ..act.clone() }).await
            }
            EditChange::Keep | EditChange::Remove => self.inner.act_on_letter(act).await,
        }
    }

    async fn letter_acts(&self, wanted: &LetterActQuery) -> Result<Vec<StoredLetterAct>, StoreError> {
        self.inner.letter_acts(wanted).await
    }

    async fn letter_groups(&self, topic: Option<&str>, recent: (i64, i64)) -> Result<Vec<LetterGroup>, StoreError> {
        self.inner.letter_groups(topic, recent).await
    }

    async fn repeated_letters(&self, after: &str, limit: u32) -> Result<Vec<RepeatedLetter>, StoreError> {
        self.inner.repeated_letters(after, limit).await
    }

    async fn forget_letters(&self, sweep: &LetterSweep, limit: u32) -> Result<u64, StoreError> {
        self.inner.forget_letters(sweep, limit).await
    }
}
