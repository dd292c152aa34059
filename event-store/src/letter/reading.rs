//! Queries about letters, which are the same for both databases.

use super::{
    LetterActQuery, LetterChange, LetterCoordinates, LetterEdit, LetterGroup, LetterOrder, LetterPosition,
    LetterStatus, MAX_LETTER_GROUPS, NewLetter, RepeatedLetter, StoredLetter, StoredLetterAct, StoredLetterFilter,
};
use crate::{
    MAX_ACTS, MAX_PAGE, StoreError,
    act::ActSource,
    backend::{QueryBuilder, QueryPool, StoredRow},
    nul::has_nul,
};
use uuid::Uuid;

/// An edit as the database has it, and the id of the data key that seals it.
pub(crate) type StoredEdit = (LetterEdit, Option<Uuid>);

pub(crate) async fn topics<R: QueryPool>(reader: &R) -> Result<Vec<String>, StoreError> {
    let ask = QueryBuilder::new(include_str!("../sql/letter_topics.sql"));
    ask.all(reader, |row| Ok(row.column("topic")?)).await
}

pub(crate) async fn positions<R: QueryPool>(reader: &R, topic: &str) -> Result<Vec<(i32, LetterPosition)>, StoreError> {
    if has_nul(topic) {
        return Ok(Vec::new());
    }
    let ask = QueryBuilder::new(include_str!("../sql/letter_positions.sql")).with(topic.to_owned());
    ask.all(reader, |row| {
        let position =
            LetterPosition { log: row.column("log")?, offset: row.column("position")?, mark: row.column("mark")? };
        Ok((row.column("partition")?, position))
    })
    .await
}

/// Puts a page together: which letters, in which order. Open letters have an index of their own.
macro_rules! page {
    ($among:literal, $order:literal) => {
        concat!(
            include_str!("../sql/letters.sql"),
            $among,
            include_str!("../sql/letters_matching.sql"),
            include_str!(concat!("../sql/letters_", $order, ".sql"))
        )
    };
}

pub(crate) async fn page<R: QueryPool>(
    reader: &R,
    filter: &StoredLetterFilter,
    order: LetterOrder,
) -> Result<Vec<StoredLetter>, StoreError> {
    if texts(filter).any(has_nul) {
        return Ok(Vec::new());
    }
    let is_open = !filter.statuses.is_empty() && filter.statuses.iter().all(|status| status.is_open());
    let text = match (is_open, order) {
        (false, LetterOrder::Newest) => page!("WHERE true", "newest"),
        (false, LetterOrder::Oldest) => page!("WHERE true", "oldest"),
        (true, LetterOrder::Newest) => page!("WHERE d.status IN ('new', 'reviewing')", "newest"),
        (true, LetterOrder::Oldest) => page!("WHERE d.status IN ('new', 'reviewing')", "oldest"),
    };
    let statuses: Vec<String> = filter.statuses.iter().map(|status| status.as_str().to_owned()).collect();
    QueryBuilder::planned_for_its_values(text)
        .with(filter.topic.clone())
        .with(listed(&statuses))
        .with(listed(&filter.codes))
        .with(filter.origin_topic.clone())
        .with(filter.definition.clone())
        .with(filter.key.clone())
        .with(filter.id.clone())
        .with(filter.fingerprint.clone())
        .with(filter.since_ms)
        .with(filter.until_ms)
        .with(filter.text.as_ref().map(|text| text.to_lowercase()))
        .with(filter.after)
        .with(filter.before)
        .with(filter.stream)
        .with(i64::from(filter.limit.min(MAX_PAGE)))
        .with(filter.part.map(|part| part.partition))
        .with(filter.part.map(|part| part.from))
        .with(filter.part.map(|part| part.to))
        .all(reader, letter)
        .await
}

fn texts(filter: &StoredLetterFilter) -> impl Iterator<Item = &str> {
    let one = [&filter.topic, &filter.origin_topic, &filter.definition, &filter.key, &filter.id, &filter.fingerprint];
    let one = one.into_iter().chain([&filter.text]).flatten();
    one.chain(&filter.codes).map(String::as_str)
}

/// A list with a comma before and after each entry; `None`: it is empty.
fn listed(all: &[String]) -> Option<String> {
    (!all.is_empty()).then(|| format!(",{},", all.join(",")))
}

pub(crate) async fn one<R: QueryPool>(
    reader: &R,
    place: &LetterCoordinates,
) -> Result<Option<(StoredLetter, Option<StoredEdit>)>, StoreError> {
    if has_nul(&place.topic) {
        return Ok(None);
    }
    let ask = QueryBuilder::new(include_str!("../sql/letter.sql")).with(place.topic.clone());
    ask.with(place.partition)
        .with(place.offset)
        .first(reader, |row| {
            let (edit, key): (Option<Vec<u8>>, Option<Uuid>) = (row.column("edit")?, row.column("edit_key")?);
            Ok((letter(row)?, edit.map(|record| (LetterEdit::new(record), key))))
        })
        .await
}

pub(crate) async fn last<R: QueryPool>(reader: &R) -> Result<i64, StoreError> {
    let ask = QueryBuilder::new(include_str!("../sql/last_letter.sql"));
    Ok(ask.first(reader, |row| Ok(row.column("number")?)).await?.unwrap_or_default())
}

pub(crate) async fn acts<R: QueryPool>(
    reader: &R,
    wanted: &LetterActQuery,
) -> Result<Vec<StoredLetterAct>, StoreError> {
    if [&wanted.who, &wanted.letter].into_iter().flatten().chain([&wanted.action]).any(|text| has_nul(text)) {
        return Ok(Vec::new());
    }
    QueryBuilder::planned_for_its_values(include_str!("../sql/letter_acts.sql"))
        .with(wanted.before.0)
        .with(wanted.before.1)
        .with(wanted.since_ms)
        .with(wanted.who.clone())
        .with(wanted.letter.clone())
        .with(i64::from(wanted.limit.min(MAX_ACTS)))
        .with(wanted.action.clone())
        .all(reader, |row| {
            Ok(StoredLetterAct {
                number: row.column("number")?,
                at_ms: row.column("at")?,
                place: place(row)?,
                letter: row.column("id")?,
                who: row.column("who")?,
                action: row.column("action")?,
                why: row.column("why")?,
                result: row.column("result")?,
                id: row.column("act_id")?,
                source: ActSource::read(row)?,
                before: row.column("before")?,
                after: row.column("after")?,
            })
        })
        .await
}

pub(crate) async fn groups<R: QueryPool>(
    reader: &R,
    topic: Option<&str>,
    (recent_ms, before_ms): (i64, i64),
) -> Result<Vec<LetterGroup>, StoreError> {
    if topic.is_some_and(has_nul) {
        return Ok(Vec::new());
    }
    QueryBuilder::planned_for_its_values(include_str!("../sql/letter_groups.sql"))
        .with(topic.map(str::to_owned))
        .with(recent_ms)
        .with(before_ms)
        .with(i64::from(MAX_LETTER_GROUPS))
        .all(reader, |row| {
            Ok(LetterGroup {
                fingerprint: row.column("fingerprint")?,
                code: row.column("code")?,
                definition: row.column("definition")?,
                origin_topic: row.column("origin_topic")?,
                message: row.column("message")?,
                letters: row.column("letters")?,
                open: row.column("open")?,
                first_ms: row.column("first_at")?,
                last_ms: row.column("last_at")?,
                recent: row.column("recent")?,
                before: row.column("before")?,
            })
        })
        .await
}

pub(crate) async fn repeated<R: QueryPool>(
    reader: &R,
    after: &str,
    limit: u32,
) -> Result<Vec<RepeatedLetter>, StoreError> {
    QueryBuilder::new(include_str!("../sql/repeated_letters.sql"))
        .with(after.to_owned())
        .with(i64::from(limit.min(MAX_PAGE)))
        .all(reader, |row| {
            Ok(RepeatedLetter { id: row.column("id")?, letters: row.column("letters")?, open: row.column("open")? })
        })
        .await
}

fn place(row: &impl StoredRow) -> Result<LetterCoordinates, StoreError> {
    Ok(LetterCoordinates {
        topic: row.column("topic")?,
        partition: row.column("partition")?,
        offset: row.column("position")?,
    })
}

fn letter(row: &impl StoredRow) -> Result<StoredLetter, StoreError> {
    let redrives: i64 = row.column("redrives")?;
    Ok(StoredLetter {
        number: row.column("number")?,
        place: place(row)?,
        letter: NewLetter {
            offset: row.column("position")?,
            id: row.column("id")?,
            code: row.column("code")?,
            origin: origin(row)?,
            definition: row.column("definition")?,
            key: row.column("key")?,
            message: row.column("message")?,
            fingerprint: row.column("fingerprint")?,
            redrives: u32::try_from(redrives)
                .map_err(|_| StoreError::Damaged(format!("a letter was brought back {redrives} times")))?,
            written_at_ms: row.column("written_at")?,
            stream: row.column("stream")?,
        },
        status: status(&row.column::<String>("status")?)?,
        change: change(row)?,
        has_edit: row.column("has_edit")?,
    })
}

fn origin(row: &impl StoredRow) -> Result<Option<LetterCoordinates>, StoreError> {
    let topic: Option<String> = row.column("origin_topic")?;
    let place: (Option<i32>, Option<i64>) = (row.column("origin_partition")?, row.column("origin_offset")?);
    Ok(match (topic, place) {
        (Some(topic), (Some(partition), Some(offset))) => Some(LetterCoordinates { topic, partition, offset }),
        (_, _) => None,
    })
}

fn change(row: &impl StoredRow) -> Result<Option<LetterChange>, StoreError> {
    let at: Option<i64> = row.column("changed_at")?;
    let (who, why): (Option<String>, Option<String>) = (row.column("who")?, row.column("why")?);
    let result = row.column("result")?;
    Ok(at.map(|at_ms| LetterChange { at_ms, who: who.unwrap_or_default(), why: why.unwrap_or_default(), result }))
}

/// # Errors
/// [`StoreError::Damaged`] when no letter can have this status.
pub(crate) fn status(stored: &str) -> Result<LetterStatus, StoreError> {
    LetterStatus::parse(stored).ok_or_else(|| StoreError::Damaged(format!("a letter has the status `{stored}`")))
}
