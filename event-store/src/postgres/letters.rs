//! Dead letters on Postgres.

use super::{PostgresStore, batch::PgQuery};
use crate::{
    EditChange, LetterAct, LetterActOutcome, LetterActQuery, LetterCoordinates, LetterEdit, LetterGroup, LetterOrder,
    LetterPortion, LetterPosition, LetterSweep, MAX_PAGE, NewLetter, RepeatedLetter, StoreError, StoreLetters,
    StoredLetter, StoredLetterAct, StoredLetterFilter,
    letter::{
        check_letter_act, check_portion,
        reading::{self, StoredEdit},
    },
    sealing::LetterReader,
};
use async_trait::async_trait;
use sqlx::Row as _;

#[async_trait]
impl LetterReader for PostgresStore {
    async fn stored_letter(
        &self,
        place: &LetterCoordinates,
    ) -> Result<Option<(StoredLetter, Option<StoredEdit>)>, StoreError> {
        reading::one(&self.pool, place).await
    }
}

#[async_trait]
impl StoreLetters for PostgresStore {
    async fn letter_topics(&self) -> Result<Vec<String>, StoreError> {
        reading::topics(&self.pool).await
    }

    async fn letter_positions(&self, topic: &str) -> Result<Vec<(i32, LetterPosition)>, StoreError> {
        reading::positions(&self.pool, topic).await
    }

    async fn add_letters(&self, portion: &LetterPortion) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        check_portion(portion)?;
        let moved: i64 = self.pool.row(bind_portion(portion)).await?.try_get("moved")?;
        Ok(moved == 1)
    }

    async fn letters(&self, filter: &StoredLetterFilter, order: LetterOrder) -> Result<Vec<StoredLetter>, StoreError> {
        reading::page(&self.pool, filter, order).await
    }

    async fn letter(
        &self,
        place: &LetterCoordinates,
    ) -> Result<Option<(StoredLetter, Option<LetterEdit>)>, StoreError> {
        let found = reading::one(&self.pool, place).await?;
        Ok(found.map(|(letter, edit)| (letter, edit.map(|(edit, _)| edit))))
    }

    async fn last_letter(&self) -> Result<i64, StoreError> {
        reading::last(&self.pool).await
    }

    async fn act_on_letter(&self, act: &LetterAct) -> Result<LetterActOutcome, StoreError> {
        self.access.check_writable()?;
        check_letter_act(act)?;
        let row = self.pool.row(bind_act(act)).await?;
        let (changed, earlier): (i64, i64) = (row.try_get("changed")?, row.try_get("earlier")?);
        let status: Option<String> = row.try_get("status")?;
        Ok(match (changed, earlier, status) {
            (1.., _, _) => LetterActOutcome::Applied,
            (_, 1.., _) => LetterActOutcome::Repeated,
            (_, _, Some(status)) => LetterActOutcome::Refused(reading::status(&status)?),
            (_, _, None) => LetterActOutcome::Unknown,
        })
    }

    async fn letter_acts(&self, wanted: &LetterActQuery) -> Result<Vec<StoredLetterAct>, StoreError> {
        reading::acts(&self.pool, wanted).await
    }

    async fn letter_groups(&self, topic: Option<&str>, recent: (i64, i64)) -> Result<Vec<LetterGroup>, StoreError> {
        reading::groups(&self.pool, topic, recent).await
    }

    async fn repeated_letters(&self, after: &str, limit: u32) -> Result<Vec<RepeatedLetter>, StoreError> {
        reading::repeated(&self.pool, after, limit).await
    }

    async fn forget_letters(&self, sweep: &LetterSweep, limit: u32) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let limit = i64::from(limit.min(MAX_PAGE));
        let query = match sweep {
            LetterSweep::EndedBefore(before) => {
                sqlx::query(include_str!("sql/forget_ended_letters.sql")).bind(*before).bind(limit)
            }
            LetterSweep::Gone { topic, partition, first_offset, written_before_ms } => {
                let query = sqlx::query(include_str!("sql/forget_gone_letters.sql"));
                query.bind(*written_before_ms).bind(limit).bind(topic.clone()).bind(*partition).bind(*first_offset)
            }
        };
        let removed: i64 = self.pool.row(query).await?.try_get("removed")?;
        Ok(removed.unsigned_abs())
    }
}

fn bind_portion(portion: &LetterPortion) -> PgQuery {
    fn all<T>(portion: &LetterPortion, of: impl Fn(&NewLetter) -> T) -> Vec<T> {
        portion.letters.iter().map(of).collect()
    }
    sqlx::query(include_str!("sql/add_letters.sql"))
        .bind(portion.topic.clone())
        .bind(portion.partition)
        .bind(portion.from.log)
        .bind(portion.from.offset)
        .bind(portion.to.log)
        .bind(portion.to.offset)
        .bind(portion.to.mark.clone())
        .bind(all(portion, |it| it.offset))
        .bind(all(portion, |it| it.id.clone()))
        .bind(all(portion, |it| it.code.clone()))
        .bind(all(portion, |it| it.origin.as_ref().map(|origin| origin.topic.clone())))
        .bind(all(portion, |it| it.origin.as_ref().map(|origin| origin.partition)))
        .bind(all(portion, |it| it.origin.as_ref().map(|origin| origin.offset)))
        .bind(all(portion, |it| it.definition.clone()))
        .bind(all(portion, |it| it.key.clone()))
        .bind(all(portion, |it| it.message.clone()))
        .bind(all(portion, |it| it.fingerprint.clone()))
        .bind(all(portion, |it| i64::from(it.redrives)))
        .bind(all(portion, |it| it.written_at_ms))
        .bind(all(portion, |it| it.stream))
}

fn bind_act(act: &LetterAct) -> PgQuery {
    let expected: Vec<String> = act.expected.iter().map(|status| status.as_str().to_owned()).collect();
    let (changes, edit) = match &act.edit {
        EditChange::Keep => (false, None),
        EditChange::Put(edit) => (true, Some(edit)),
        EditChange::Remove => (true, None),
    };
    let sealed_by = edit.and_then(|edit| edit.sealed_by.clone());
    sqlx::query(include_str!("sql/act_on_letter.sql"))
        .bind(act.place.topic.clone())
        .bind(act.place.partition)
        .bind(act.place.offset)
        .bind(act.id.clone())
        .bind(expected)
        .bind(act.status.as_str())
        .bind(act.at_ms)
        .bind(act.who.clone())
        .bind(act.why.clone())
        .bind(act.result.clone())
        .bind(i64::from(act.redrives))
        .bind(changes)
        .bind(edit.map(|edit| edit.record.clone()))
        .bind(sealed_by.as_ref().map(|(stream, _)| *stream))
        .bind(act.action.clone())
        .bind(sealed_by.map(|(_, wrapped)| wrapped.0))
        .bind(act.source.subject.clone())
        .bind(act.source.token.clone())
        .bind(act.source.address.clone())
        .bind(act.source.request.clone())
}
