//! What leaves the store. SQLite has no partitions, so its streams are deleted, a few at a time.

use super::{SqliteStore, append::end_waits, erasing, in_task};
use crate::{
    ArchiveContent, ArchiveRecord, ArchiveReplacement, ArchivedErasure, DetachOutcome, EventStore as _,
    JournalReader as _, LeavingRule, PendingErasure, RemovedPortion, RowPosition, StartPeriod, StoreArchives,
    StoreError, StreamBatch, StreamRow, StreamStanding,
    archives::first_stream,
    backend::QueryBuilder,
    limits::{check_streams, page_limit},
    portion::in_order,
    reads, rows,
};
use async_trait::async_trait;
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

#[async_trait]
impl StoreArchives for SqliteStore {
    async fn add_partitions(&self, _width_ms: i64, _until_ms: i64) -> Result<u32, StoreError> {
        self.access.check_writable()?;
        Ok(0)
    }

    async fn partitions(&self) -> Result<Vec<StartPeriod>, StoreError> {
        Ok(Vec::new())
    }

    /// One process has the file to write.
    async fn lease_archiving(&self, _holder: Uuid) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        Ok(true)
    }

    async fn release_archiving(&self, _holder: Uuid) -> Result<(), StoreError> {
        Ok(())
    }

    async fn archives(&self) -> Result<Vec<ArchiveRecord>, StoreError> {
        reads::archives(&self.readers).await
    }

    async fn begin_archive(&self, period: StartPeriod, at_ms: i64) -> Result<i64, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("../sql/begin_archive.sql"));
        let row = query.bind(period.from_ms).bind(period.to_ms).bind(at_ms).fetch_one(&self.writer).await?;
        Ok(row.try_get("number")?)
    }

    async fn withdraw_archive(&self, number: i64) -> Result<(), StoreError> {
        self.access.check_writable()?;
        sqlx::query(include_str!("../sql/withdraw_archive.sql")).bind(number).execute(&self.writer).await?;
        Ok(())
    }

    async fn record_archive(&self, number: i64, content: &ArchiveContent) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        let recorded = sqlx::query(include_str!("../sql/record_archive.sql"))
            .bind(number)
            .bind(content.file.clone())
            .bind(content.streams.cast_signed())
            .bind(content.rows.cast_signed())
            .bind(content.dropped.cast_signed())
            .bind(content.bytes.cast_signed())
            .bind(content.sha256.clone())
            .bind(content.categories.join(","))
            .bind(content.newest_ms)
            .fetch_optional(&self.writer)
            .await?;
        Ok(recorded.is_some())
    }

    async fn remove_archived(&self, portion: &RemovedPortion) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let streams: Vec<Uuid> = portion.streams.iter().map(|(stream, _)| *stream).collect();
        check_streams(&streams)?;
        let (writer, owned) = (self.writer.clone(), portion.clone());
        in_task("the removal of archived streams", async move { remove(&writer, &owned).await }).await
    }

    async fn end_archive(&self, number: i64, at_ms: i64) -> Result<(), StoreError> {
        self.access.check_writable()?;
        sqlx::query(include_str!("../sql/end_archive.sql")).bind(number).bind(at_ms).execute(&self.writer).await?;
        Ok(())
    }

    async fn leaving(
        &self,
        period: StartPeriod,
        rules: &[LeavingRule],
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<StreamStanding>, StoreError> {
        let mut all = Vec::new();
        for rule in rules {
            let page = QueryBuilder::new(concat!(include_str!("sql/standings.sql"), include_str!("sql/leaving.sql")))
                .with(first_stream(period.from_ms))
                .with(first_stream(period.to_ms))
                .with(after)
                .with(rule.category.clone())
                .with(rule.changed_before_ms)
                .with(first_stream(rule.started_before_ms))
                .with(page_limit(limit));
            all.extend(page.all(&self.readers, rows::stream_standing).await?);
        }
        all.sort_by_key(|it| it.summary.stream);
        all.truncate(usize::try_from(page_limit(limit)).unwrap_or(usize::MAX));
        Ok(all)
    }

    async fn standings(&self, streams: &[Uuid]) -> Result<Vec<StreamStanding>, StoreError> {
        check_streams(streams)?;
        let mut all = Vec::with_capacity(streams.len());
        for stream in in_order(streams) {
            let query =
                QueryBuilder::new(concat!(include_str!("sql/standings.sql"), include_str!("../sql/of_stream.sql")));
            all.extend(query.with(stream).first(&self.readers, rows::stream_standing).await?);
        }
        Ok(all)
    }

    async fn staying(&self, period: StartPeriod, rules: &[LeavingRule], most: u32) -> Result<u64, StoreError> {
        let (from, to) = (first_stream(period.from_ms), first_stream(period.to_ms));
        let in_all = QueryBuilder::new(include_str!("sql/count_in_period.sql")).with(from).with(to);
        let mut staying = in_all.first(&self.readers, rows::streams).await?.unwrap_or_default();
        for rule in rules {
            let leaving = QueryBuilder::new(include_str!("sql/count_leaving.sql"))
                .with(from)
                .with(to)
                .with(rule.category.clone())
                .with(rule.changed_before_ms)
                .with(first_stream(rule.started_before_ms));
            staying -= leaving.first(&self.readers, rows::streams).await?.unwrap_or_default();
        }
        Ok(staying.unsigned_abs().min(u64::from(most)))
    }

    async fn forget_feed(&self, limit: u32) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let (writer, limit) = (self.writer.clone(), page_limit(limit));
        in_task("the shortening of the feed", async move { forget_feed(&writer, limit).await }).await
    }

    async fn scan_stored(
        &self,
        after: RowPosition,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        self.scan(after, limit, max_bytes).await
    }

    async fn read_stored_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        self.read_within(streams, max_bytes).await
    }

    async fn open_archived(&self, rows: Vec<(Uuid, StreamRow)>) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        Ok(rows)
    }

    async fn erase_archived(&self, erasure: &ArchivedErasure) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        erasure.place()?;
        let (writer, owned) = (self.writer.clone(), erasure.clone());
        in_task("the erasure", async move { erasing::erase_archived(&writer, &owned).await }).await
    }

    async fn pending_erasures(&self, after: Uuid, limit: u32) -> Result<Vec<PendingErasure>, StoreError> {
        reads::pending_erasures(&self.readers, after, limit).await
    }

    async fn pending_erasure(&self, stream: Uuid) -> Result<Option<PendingErasure>, StoreError> {
        reads::pending_erasure(&self.readers, stream).await
    }

    async fn end_erasures(&self, streams: &[Uuid]) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_streams(streams)?;
        for stream in streams {
            sqlx::query(include_str!("sql/end_erasure.sql")).bind(*stream).execute(&self.writer).await?;
        }
        Ok(())
    }

    async fn replace_archive(&self, replacement: &ArchiveReplacement) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        let replaced = sqlx::query(include_str!("../sql/replace_archive.sql"))
            .bind(replacement.number)
            .bind(replacement.recorded.clone())
            .bind(replacement.file.clone())
            .bind(replacement.rows.cast_signed())
            .bind(replacement.bytes.cast_signed())
            .bind(replacement.sha256.clone())
            .bind(replacement.replaced.clone())
            .fetch_optional(&self.writer)
            .await?;
        Ok(replaced.is_some())
    }

    async fn forget_replaced(&self, number: i64, replaced: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("../sql/forget_replaced.sql")).bind(number).bind(replaced.to_owned());
        query.execute(&self.writer).await?;
        Ok(())
    }

    async fn watch_partition(&self, _period: StartPeriod) -> Result<(), StoreError> {
        Err(without_partitions())
    }

    async fn detach_partition(
        &self,
        _number: i64,
        _period: StartPeriod,
        _kept: &[Uuid],
        _content: &ArchiveContent,
        _at_ms: i64,
    ) -> Result<DetachOutcome, StoreError> {
        Err(without_partitions())
    }
}

fn without_partitions() -> StoreError {
    StoreError::Unusable("SQLite has no partitions".to_owned())
}

async fn forget_feed(writer: &SqlitePool, limit: i64) -> Result<u64, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let floor = sqlx::query(include_str!("sql/feed_floor.sql")).bind(limit).fetch_one(&mut *transaction).await?;
    let Some(position) = floor.try_get::<Option<i64>, _>("position")? else { return Ok(0) };
    for statement in [include_str!("sql/forget_feed.sql"), include_str!("sql/move_feed_floor.sql")] {
        sqlx::query(statement).bind(position).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(floor.try_get::<i64, _>("forgotten")?.unsigned_abs())
}

async fn remove(writer: &SqlitePool, portion: &RemovedPortion) -> Result<u64, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let removing = sqlx::query(include_str!("sql/is_removing.sql")).bind(portion.number);
    if removing.fetch_optional(&mut *transaction).await?.is_none() {
        return Ok(0);
    }
    let mut removed = 0;
    for (stream, version) in &portion.streams {
        removed += u64::from(remove_one(&mut transaction, *stream, *version).await?);
    }
    transaction.commit().await?;
    Ok(removed)
}

async fn remove_one(
    transaction: &mut Transaction<'static, Sqlite>,
    stream: Uuid,
    version: u32,
) -> Result<bool, StoreError> {
    let may_leave = sqlx::query(include_str!("sql/may_leave.sql")).bind(stream).bind(i64::from(version));
    if may_leave.fetch_optional(&mut **transaction).await?.is_none() {
        return Ok(false);
    }
    for statement in [
        include_str!("sql/remove_rows.sql"),
        include_str!("sql/remove_outlines.sql"),
        include_str!("sql/remove_snapshot.sql"),
        include_str!("sql/remove_line.sql"),
    ] {
        sqlx::query(statement).bind(stream).execute(&mut **transaction).await?;
    }
    end_waits(transaction, stream).await?;
    Ok(true)
}
