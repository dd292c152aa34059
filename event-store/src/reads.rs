//! Queries that are the same for both databases.

use crate::{
    ActPosition, ActQuery, ActSelection, ArchiveRecord, MAX_ACTS, MAX_NOTES, MAX_PAGE, NoteNumber, PendingErasure,
    RowPosition, ShardAttendance, StoreError, StoreIdentity, StoredAct, StoredNote, StreamFlagCount, StreamKeyHolder,
    StreamRow, StreamStatusCount, StreamSummary, WaitTarget,
    backend::{QueryBuilder, QueryPool, RowOf, SqlBackend, StoredRow},
    cipher::WrappedKey,
    limits::page_limit,
    nul::has_nul,
    rows,
    sealing::StoredDataKey,
    standing, waits,
};
use uuid::Uuid;

/// The identity of the store; `None`: the store is not complete yet.
pub(crate) async fn identity<R: QueryPool>(reader: &R) -> Result<Option<StoreIdentity>, StoreError> {
    QueryBuilder::new(include_str!("sql/installation.sql")).first(reader, rows::identity).await
}

pub(crate) async fn clock_ms<R: QueryPool>(reader: &R) -> Result<i64, StoreError> {
    let now = QueryBuilder::new(R::Db::CLOCK).first(reader, |row| Ok(row.column("now")?)).await?;
    now.ok_or_else(|| StoreError::Unusable("the database does not tell the time".into()))
}

pub(crate) async fn attendance<R: QueryPool>(reader: &R, shard: u16) -> Result<ShardAttendance, StoreError> {
    let shard = i64::from(shard);
    let until = QueryBuilder::new(include_str!("sql/attended_until.sql")).with(shard);
    let until_ms = until.first(reader, |row| Ok(row.column("until")?)).await?;
    let gaps = QueryBuilder::new(include_str!("sql/gaps.sql")).with(shard).all(reader, rows::gap).await?;
    Ok(ShardAttendance { until_ms, gaps })
}

pub(crate) async fn open_streams<R: QueryPool>(
    reader: &R,
    shard: u16,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    QueryBuilder::new(include_str!("sql/open_streams.sql"))
        .with(i64::from(shard))
        .with(after.unwrap_or_default())
        .with(i64::from(limit.min(MAX_PAGE)))
        .all(reader, |row| Ok(row.column("stream")?))
        .await
}

pub(crate) async fn key_holder<R: QueryPool>(
    reader: &R,
    category: &str,
    key: &str,
) -> Result<Option<StreamKeyHolder>, StoreError> {
    QueryBuilder::new(include_str!("sql/key_holder.sql"))
        .with(category.to_owned())
        .with(key.to_owned())
        .first(reader, rows::key_holder)
        .await
}

pub(crate) async fn last_version<R: QueryPool>(reader: &R, stream: Uuid) -> Result<Option<u32>, StoreError> {
    let ask = QueryBuilder::new(include_str!("sql/last_version.sql")).with(stream);
    let version: Option<Option<i64>> = ask.first(reader, |row| Ok(row.column("version")?)).await?;
    version.flatten().map(rows::version).transpose()
}

pub(crate) async fn summary<R: QueryPool>(reader: &R, stream: Uuid) -> Result<Option<StreamSummary>, StoreError> {
    QueryBuilder::new(R::Db::SUMMARY).with(stream).first(reader, rows::summary).await
}

pub(crate) async fn scan<R: QueryPool>(
    reader: &R,
    after: RowPosition,
    limit: u32,
    max_bytes: u64,
) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
    QueryBuilder::new(R::Db::SCAN)
        .with(after.stream)
        .with(i64::from(after.version))
        .with(i64::from(limit.clamp(1, MAX_PAGE)))
        .with(i64::try_from(max_bytes).unwrap_or(i64::MAX).max(1))
        .all(reader, |row| Ok((row.column("stream")?, rows::row(row)?)))
        .await
}

pub(crate) async fn data_key_page<R: QueryPool>(
    reader: &R,
    after: Uuid,
    limit: u32,
) -> Result<Vec<StoredDataKey>, StoreError> {
    let ask = QueryBuilder::new(include_str!("sql/data_key_page.sql")).with(after);
    ask.with(i64::from(limit.min(MAX_PAGE))).all(reader, data_key).await
}

pub(crate) fn data_key(row: &impl StoredRow) -> Result<StoredDataKey, StoreError> {
    Ok(StoredDataKey { stream: row.column("stream")?, wrapped: WrappedKey(row.column("wrapped")?) })
}

pub(crate) async fn key_ids<R: QueryPool>(reader: &R) -> Result<Vec<String>, StoreError> {
    QueryBuilder::new(include_str!("sql/key_ids.sql")).all(reader, |row| Ok(row.column("id")?)).await
}

pub(crate) async fn next_stream<R: QueryPool>(reader: &R, after: Uuid) -> Result<Option<Uuid>, StoreError> {
    let ask = QueryBuilder::new(include_str!("sql/next_stream.sql")).with(after);
    ask.first(reader, |row| Ok(row.column("stream")?)).await
}

pub(crate) async fn journaled<R: QueryPool>(
    reader: &R,
    after: Uuid,
    limit: u32,
) -> Result<Vec<(Uuid, bool)>, StoreError> {
    QueryBuilder::new(include_str!("sql/journaled.sql"))
        .with(after)
        .with(i64::from(limit.min(MAX_PAGE)))
        .all(reader, |row| Ok((row.column("stream")?, row.column("has_rows")?)))
        .await
}

pub(crate) async fn archives<R: QueryPool>(reader: &R) -> Result<Vec<ArchiveRecord>, StoreError> {
    QueryBuilder::new(include_str!("sql/archives.sql")).all(reader, rows::archive).await
}

pub(crate) async fn pending_erasures<R: QueryPool>(
    reader: &R,
    after: Uuid,
    limit: u32,
) -> Result<Vec<PendingErasure>, StoreError> {
    let page = QueryBuilder::new(include_str!("sql/archive_erasures.sql")).with(after).with(page_limit(limit));
    page.all(reader, rows::pending_erasure).await
}

pub(crate) async fn pending_erasure<R: QueryPool>(
    reader: &R,
    stream: Uuid,
) -> Result<Option<PendingErasure>, StoreError> {
    let one = QueryBuilder::new(include_str!("sql/archive_erasure.sql")).with(stream);
    one.first(reader, rows::pending_erasure).await
}

pub(crate) async fn counts<R: QueryPool>(reader: &R) -> Result<Vec<(String, String, i64)>, StoreError> {
    let read = |row: &RowOf<R>| Ok((row.column("category")?, row.column("status")?, row.column("streams")?));
    QueryBuilder::new(include_str!("sql/counts.sql")).all(reader, read).await
}

pub(crate) async fn waiting_counts<R: QueryPool>(reader: &R) -> Result<Vec<(WaitTarget, i64)>, StoreError> {
    let ask = QueryBuilder::new(R::Db::WAITING_COUNTS);
    let stored = ask.all(reader, |row| Ok((row.column("waits_on")?, row.column("streams")?))).await?;
    Ok(waits::counted(stored))
}

pub(crate) async fn standing<R: QueryPool>(reader: &R) -> Result<Vec<StreamStatusCount>, StoreError> {
    QueryBuilder::new(include_str!("sql/standing.sql")).all(reader, rows::standing).await
}

pub(crate) async fn flagged<R: QueryPool>(reader: &R) -> Result<Vec<StreamFlagCount>, StoreError> {
    let ask = QueryBuilder::new(include_str!("sql/flagged.sql"));
    let read = |row: &RowOf<R>| Ok((row.column("flags")?, row.column("open")?, row.column("streams")?));
    Ok(standing::counted(ask.all(reader, read).await?))
}

pub(crate) async fn document<R: QueryPool>(reader: &R, kind: &str, hash: &str) -> Result<Option<String>, StoreError> {
    if has_nul(kind) || has_nul(hash) {
        return Ok(None);
    }
    let ask = QueryBuilder::new(include_str!("sql/get_document.sql")).with(kind.to_owned()).with(hash.to_owned());
    ask.first(reader, |row| Ok(row.column("body")?)).await
}

pub(crate) async fn notes<R: QueryPool>(
    reader: &R,
    topic: &str,
    after: NoteNumber,
    limit: u32,
) -> Result<Vec<StoredNote>, StoreError> {
    if has_nul(topic) {
        return Ok(Vec::new());
    }
    let ask = QueryBuilder::new(include_str!("sql/notes.sql")).with(topic.to_owned()).with(after.0);
    ask.with(i64::from(limit.min(MAX_NOTES))).all(reader, rows::note).await
}

pub(crate) async fn acts<R: QueryPool>(reader: &R, wanted: &ActQuery) -> Result<Vec<StoredAct>, StoreError> {
    if has_nul(&wanted.action) {
        return Ok(Vec::new());
    }
    let sql = match &wanted.scope {
        ActSelection::All => include_str!("sql/acts.sql"),
        ActSelection::By(who) if has_nul(who) => return Ok(Vec::new()),
        ActSelection::By(_) => include_str!("sql/acts_by.sql"),
        ActSelection::On(_) => include_str!("sql/acts_on.sql"),
    };
    let ActPosition { at_ms, stream, version } = wanted.before;
    let ask = QueryBuilder::new(sql).with(at_ms).with(stream).with(i64::from(version)).with(wanted.since_ms);
    let ask = ask.with(i64::from(wanted.limit.min(MAX_ACTS))).with(wanted.action.clone());
    let ask = match &wanted.scope {
        ActSelection::All => ask,
        ActSelection::By(who) => ask.with(who.clone()),
        ActSelection::On(stream) => ask.with(*stream),
    };
    ask.all(reader, rows::act).await
}

pub(crate) async fn acts_between<R: QueryPool>(
    reader: &R,
    first: Uuid,
    last: Uuid,
) -> Result<Vec<StoredAct>, StoreError> {
    QueryBuilder::new(include_str!("sql/acts_between.sql")).with(first).with(last).all(reader, rows::act).await
}
