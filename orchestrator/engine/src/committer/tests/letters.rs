//! The scripted store has no letters.

use super::{ScriptedStore, unasked};
use async_trait::async_trait;
use saga_event_store::{
    LetterAct, LetterActOutcome, LetterActQuery, LetterCoordinates, LetterEdit, LetterGroup, LetterOrder,
    LetterPortion, LetterPosition, LetterSweep, RepeatedLetter, StoreError, StoreLetters, StoredLetter,
    StoredLetterAct, StoredLetterFilter,
};

#[async_trait]
impl StoreLetters for ScriptedStore {
    async fn letter_topics(&self) -> Result<Vec<String>, StoreError> {
        Err(unasked())
    }

    async fn letter_positions(&self, _: &str) -> Result<Vec<(i32, LetterPosition)>, StoreError> {
        Err(unasked())
    }

    async fn add_letters(&self, _: &LetterPortion) -> Result<bool, StoreError> {
        Err(unasked())
    }

    async fn letters(&self, _: &StoredLetterFilter, _: LetterOrder) -> Result<Vec<StoredLetter>, StoreError> {
        Err(unasked())
    }

    async fn letter(&self, _: &LetterCoordinates) -> Result<Option<(StoredLetter, Option<LetterEdit>)>, StoreError> {
        Err(unasked())
    }

    async fn last_letter(&self) -> Result<i64, StoreError> {
        Err(unasked())
    }

    async fn act_on_letter(&self, _: &LetterAct) -> Result<LetterActOutcome, StoreError> {
        Err(unasked())
    }

    async fn letter_acts(&self, _: &LetterActQuery) -> Result<Vec<StoredLetterAct>, StoreError> {
        Err(unasked())
    }

    async fn letter_groups(&self, _: Option<&str>, _: (i64, i64)) -> Result<Vec<LetterGroup>, StoreError> {
        Err(unasked())
    }

    async fn repeated_letters(&self, _: &str, _: u32) -> Result<Vec<RepeatedLetter>, StoreError> {
        Err(unasked())
    }

    async fn forget_letters(&self, _: &LetterSweep, _: u32) -> Result<u64, StoreError> {
        Err(unasked())
    }
}
