//! Dead letters on SQLite.

use super::{SqliteStore, in_task};
use crate::{
    EditChange, LetterAct, LetterActOutcome, LetterActQuery, LetterCoordinates, LetterEdit, LetterGroup, LetterOrder,
    LetterPortion, LetterPosition, LetterStatus, LetterSweep, MAX_PAGE, NewLetter, RepeatedLetter, StoreError,
    StoreLetters, StoredLetter, StoredLetterAct, StoredLetterFilter,
    letter::{
        check_letter_act, check_portion,
        reading::{self, StoredEdit},
    },
    sealing::LetterReader,
};
use async_trait::async_trait;
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

#[async_trait]
impl LetterReader for SqliteStore {
    async fn stored_letter(
        &self,
        place: &LetterCoordinates,
    ) -> Result<Option<(StoredLetter, Option<StoredEdit>)>, StoreError> {
        reading::one(&self.readers, place).await
    }
}

#[async_trait]
impl StoreLetters for SqliteStore {
    async fn letter_topics(&self) -> Result<Vec<String>, StoreError> {
        reading::topics(&self.readers).await
    }

    async fn letter_positions(&self, topic: &str) -> Result<Vec<(i32, LetterPosition)>, StoreError> {
        reading::positions(&self.readers, topic).await
    }

    async fn add_letters(&self, portion: &LetterPortion) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        check_portion(portion)?;
        let (writer, portion) = (self.writer.clone(), portion.clone());
        in_task("the portion of letters", async move { add(&writer, &portion).await }).await
    }

    async fn letters(&self, filter: &StoredLetterFilter, order: LetterOrder) -> Result<Vec<StoredLetter>, StoreError> {
        reading::page(&self.readers, filter, order).await
    }

    async fn letter(
        &self,
        place: &LetterCoordinates,
    ) -> Result<Option<(StoredLetter, Option<LetterEdit>)>, StoreError> {
        let found = reading::one(&self.readers, place).await?;
        Ok(found.map(|(letter, edit)| (letter, edit.map(|(edit, _)| edit))))
    }

    async fn last_letter(&self) -> Result<i64, StoreError> {
        reading::last(&self.readers).await
    }

    async fn act_on_letter(&self, act: &LetterAct) -> Result<LetterActOutcome, StoreError> {
        self.access.check_writable()?;
        check_letter_act(act)?;
        let (writer, act) = (self.writer.clone(), act.clone());
        in_task("the act on a letter", async move { change(&writer, &act).await }).await
    }

    async fn letter_acts(&self, wanted: &LetterActQuery) -> Result<Vec<StoredLetterAct>, StoreError> {
        reading::acts(&self.readers, wanted).await
    }

    async fn letter_groups(&self, topic: Option<&str>, recent: (i64, i64)) -> Result<Vec<LetterGroup>, StoreError> {
        reading::groups(&self.readers, topic, recent).await
    }

    async fn repeated_letters(&self, after: &str, limit: u32) -> Result<Vec<RepeatedLetter>, StoreError> {
        reading::repeated(&self.readers, after, limit).await
    }

    async fn forget_letters(&self, sweep: &LetterSweep, limit: u32) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let (writer, sweep) = (self.writer.clone(), sweep.clone());
        in_task("the removal of letters", async move { forget(&writer, &sweep, limit).await }).await
    }
}

async fn add(writer: &SqlitePool, portion: &LetterPortion) -> Result<bool, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let moved = sqlx::query(include_str!("sql/move_letter_log.sql"))
        .bind(&portion.topic)
        .bind(portion.partition)
        .bind(portion.from.log)
        .bind(portion.from.offset)
        .bind(portion.to.log)
        .bind(portion.to.offset)
        .bind(&portion.to.mark)
        .execute(&mut *transaction)
        .await?;
    if moved.rows_affected() == 0 {
        return Ok(false);
    }
    for letter in &portion.letters {
        add_letter(&mut transaction, portion, letter).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn add_letter(
    transaction: &mut Transaction<'_, Sqlite>,
    portion: &LetterPortion,
    letter: &NewLetter,
) -> Result<(), StoreError> {
    let origin = letter.origin.as_ref();
    sqlx::query(include_str!("sql/add_letter.sql"))
        .bind(&portion.topic)
        .bind(portion.partition)
        .bind(portion.to.log)
        .bind(letter.offset)
        .bind(&letter.id)
        .bind(&letter.code)
        .bind(origin.map(|origin| &origin.topic))
        .bind(origin.map(|origin| origin.partition))
        .bind(origin.map(|origin| origin.offset))
        .bind(&letter.definition)
        .bind(&letter.key)
        .bind(&letter.message)
        .bind(&letter.fingerprint)
        .bind(i64::from(letter.redrives))
        .bind(letter.written_at_ms)
        .bind(letter.stream)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn change(writer: &SqlitePool, act: &LetterAct) -> Result<LetterActOutcome, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let found = sqlx::query(include_str!("sql/find_letter.sql"))
        .bind(&act.place.topic)
        .bind(act.place.partition)
        .bind(act.place.offset)
        .bind(&act.id)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(found) = found else { return Ok(LetterActOutcome::Unknown) };
    if found.try_get("earlier")? {
        return Ok(LetterActOutcome::Repeated);
    }
    let status = reading::status(found.try_get("status")?)?;
    if !act.expected.contains(&status) {
        return Ok(LetterActOutcome::Refused(status));
    }
    apply(&mut transaction, act, (found.try_get("number")?, found.try_get("edit_key")?), status).await?;
    transaction.commit().await?;
    Ok(LetterActOutcome::Applied)
}

async fn record(
    transaction: &mut Transaction<'_, Sqlite>,
    act: &LetterAct,
    number: i64,
    before: LetterStatus,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/add_letter_act.sql"))
        .bind(number)
        .bind(act.at_ms)
        .bind(&act.who)
        .bind(&act.action)
        .bind(&act.why)
        .bind(&act.result)
        .bind(&act.id)
        .bind(&act.source.subject)
        .bind(&act.source.token)
        .bind(&act.source.address)
        .bind(&act.source.request)
        .bind(before.as_str())
        .bind(act.status.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn apply(
    transaction: &mut Transaction<'_, Sqlite>,
    act: &LetterAct,
    (number, edit_key): (i64, Option<Uuid>),
    before: LetterStatus,
) -> Result<(), StoreError> {
    let (changes, edit) = match &act.edit {
        EditChange::Keep => (false, None),
        EditChange::Put(edit) => (true, Some(edit)),
        EditChange::Remove => (true, None),
    };
    let sealed_by = edit.and_then(|edit| edit.sealed_by.as_ref());
    sqlx::query(include_str!("sql/change_letter.sql"))
        .bind(number)
        .bind(act.status.as_str())
        .bind(act.at_ms)
        .bind(&act.who)
        .bind(&act.why)
        .bind(&act.result)
        .bind(i64::from(act.redrives))
        .bind(changes)
        .bind(edit.map(|edit| &edit.record))
        .bind(sealed_by.map(|(stream, _)| *stream))
        .execute(&mut **transaction)
        .await?;
    record(transaction, act, number, before).await?;
    if let Some(sealed_before) = edit_key.filter(|_| changes) {
        sqlx::query(include_str!("sql/erase_data_key.sql")).bind(sealed_before).execute(&mut **transaction).await?;
    }
    if let Some((stream, wrapped)) = sealed_by {
        let add = sqlx::query(include_str!("sql/add_data_key.sql")).bind(*stream).bind(&wrapped.0);
        add.execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn forget(writer: &SqlitePool, sweep: &LetterSweep, limit: u32) -> Result<u64, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let limit = i64::from(limit.min(MAX_PAGE));
    let query = match sweep {
        LetterSweep::EndedBefore(before) => {
            sqlx::query(include_str!("sql/ended_letters.sql")).bind(*before).bind(limit)
        }
        LetterSweep::Gone { topic, partition, first_offset, written_before_ms } => {
            let query = sqlx::query(include_str!("sql/gone_letters.sql")).bind(*written_before_ms).bind(limit);
            query.bind(topic).bind(*partition).bind(*first_offset)
        }
    };
    let found = query.fetch_all(&mut *transaction).await?;
    for row in &found {
        let (number, edit_key): (i64, Option<Uuid>) = (row.try_get("number")?, row.try_get("edit_key")?);
        sqlx::query(include_str!("sql/remove_letter.sql")).bind(number).execute(&mut *transaction).await?;
        if let Some(key) = edit_key {
            sqlx::query(include_str!("sql/erase_data_key.sql")).bind(key).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(found.len() as u64)
}
