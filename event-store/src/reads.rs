//! Queries that are the same for both databases.

use crate::{
    Attendance, Error, Flagged, Identity, MAX_NOTES, MAX_PAGE, Note, NoteNumber, Standing, StreamSummary, WaitsOn,
    backend::{Ask, Backend, Reader, RowOf, StoredRow},
    limits::has_nul,
    rows, standing, waits,
};
use uuid::Uuid;

/// The identity of the store; `None`: the store is not complete yet.
pub(crate) async fn identity<R: Reader>(reader: &R) -> Result<Option<Identity>, Error> {
    Ask::new(include_str!("sql/installation.sql")).first(reader, rows::identity).await
}

pub(crate) async fn clock_ms<R: Reader>(reader: &R) -> Result<i64, Error> {
    let now = Ask::new(R::Db::CLOCK).first(reader, |row| Ok(row.column("now")?)).await?;
    now.ok_or_else(|| Error::Unusable("the database does not tell the time".into()))
}

pub(crate) async fn attendance<R: Reader>(reader: &R, shard: u16) -> Result<Attendance, Error> {
    let shard = i64::from(shard);
    let until = Ask::new(include_str!("sql/attended_until.sql")).with(shard);
    let until_ms = until.first(reader, |row| Ok(row.column("until")?)).await?;
    let gaps = Ask::new(include_str!("sql/gaps.sql")).with(shard).all(reader, rows::gap).await?;
    Ok(Attendance { until_ms, gaps })
}

pub(crate) async fn open_streams<R: Reader>(
    reader: &R,
    shard: u16,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Uuid>, Error> {
    Ask::new(include_str!("sql/open_streams.sql"))
        .with(i64::from(shard))
        .with(after.unwrap_or(Uuid::nil()))
        .with(i64::from(limit.min(MAX_PAGE)))
        .all(reader, |row| Ok(row.column("stream")?))
        .await
}

pub(crate) async fn last_version<R: Reader>(reader: &R, stream: Uuid) -> Result<Option<u32>, Error> {
    let ask = Ask::new(include_str!("sql/last_version.sql")).with(stream);
    let version: Option<Option<i64>> = ask.first(reader, |row| Ok(row.column("version")?)).await?;
    version.flatten().map(rows::version).transpose()
}

pub(crate) async fn summary<R: Reader>(reader: &R, stream: Uuid) -> Result<Option<StreamSummary>, Error> {
    Ask::new(R::Db::SUMMARY).with(stream).first(reader, rows::summary).await
}

pub(crate) async fn counts<R: Reader>(reader: &R) -> Result<Vec<(String, String, i64)>, Error> {
    let read = |row: &RowOf<R>| Ok((row.column("category")?, row.column("status")?, row.column("streams")?));
    Ask::new(include_str!("sql/counts.sql")).all(reader, read).await
}

pub(crate) async fn waiting_counts<R: Reader>(reader: &R) -> Result<Vec<(WaitsOn, i64)>, Error> {
    let ask = Ask::new(R::Db::WAITING_COUNTS);
    let stored = ask.all(reader, |row| Ok((row.column("waits_on")?, row.column("streams")?))).await?;
    Ok(waits::counted(stored))
}

pub(crate) async fn standing<R: Reader>(reader: &R) -> Result<Vec<Standing>, Error> {
    Ask::new(include_str!("sql/standing.sql")).all(reader, rows::standing).await
}

pub(crate) async fn flagged<R: Reader>(reader: &R) -> Result<Vec<Flagged>, Error> {
    let ask = Ask::new(include_str!("sql/flagged.sql"));
    let read = |row: &RowOf<R>| Ok((row.column("flags")?, row.column("open")?, row.column("streams")?));
    Ok(standing::counted(ask.all(reader, read).await?))
}

pub(crate) async fn document<R: Reader>(reader: &R, kind: &str, hash: &str) -> Result<Option<String>, Error> {
    if has_nul(kind) || has_nul(hash) {
        return Ok(None);
    }
    let ask = Ask::new(include_str!("sql/get_document.sql")).with(kind.to_owned()).with(hash.to_owned());
    ask.first(reader, |row| Ok(row.column("body")?)).await
}

pub(crate) async fn notes<R: Reader>(
    reader: &R,
    topic: &str,
    after: NoteNumber,
    limit: u32,
) -> Result<Vec<Note>, Error> {
    if has_nul(topic) {
        return Ok(Vec::new());
    }
    let ask = Ask::new(include_str!("sql/notes.sql")).with(topic.to_owned()).with(after.0);
    ask.with(i64::from(limit.min(MAX_NOTES))).all(reader, rows::note).await
}
