//! Partitions, and what leaves the store.

use super::PostgresStore;
use crate::{
    ArchiveContent, ArchiveRecord, ArchiveReplacement, ArchivedErasure, DetachOutcome, EventStore as _,
    JournalReader as _, LeavingRule, PendingErasure, RemovedPortion, RowPosition, StartPeriod, StoreArchives,
    StoreError, StreamBatch, StreamRow, StreamStanding,
    archives::first_stream,
    backend::QueryBuilder,
    limits::{check_streams, page_limit},
    reads, rows,
};
use async_trait::async_trait;
use sqlx::Row as _;
use uuid::Uuid;

/// What the rules say, by column.
struct RuleColumns {
    categories: Vec<String>,
    changed_before: Vec<i64>,
    started_before: Vec<Uuid>,
}

impl RuleColumns {
    fn of(rules: &[LeavingRule]) -> RuleColumns {
        RuleColumns {
            categories: rules.iter().map(|rule| rule.category.clone()).collect(),
            changed_before: rules.iter().map(|rule| rule.changed_before_ms).collect(),
            started_before: rules.iter().map(|rule| first_stream(rule.started_before_ms)).collect(),
        }
    }
}

#[async_trait]
impl StoreArchives for PostgresStore {
    async fn add_partitions(&self, width_ms: i64, until_ms: i64) -> Result<u32, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("sql/add_partitions.sql")).bind(width_ms).bind(until_ms);
        let added: i32 = self.pool.row(query).await?.try_get("added")?;
        Ok(added.unsigned_abs())
    }

    async fn partitions(&self) -> Result<Vec<StartPeriod>, StoreError> {
        QueryBuilder::new(include_str!("../sql/partitions.sql")).all(&self.pool, rows::period).await
    }

    async fn lease_archiving(&self, holder: Uuid) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("sql/lease_archiving.sql")).bind(holder);
        Ok(!self.pool.rows(query).await?.is_empty())
    }

    async fn release_archiving(&self, holder: Uuid) -> Result<(), StoreError> {
        self.pool.rows(sqlx::query(include_str!("sql/release_archiving.sql")).bind(holder)).await.map(drop)
    }

    async fn archives(&self) -> Result<Vec<ArchiveRecord>, StoreError> {
        reads::archives(&self.pool).await
    }

    async fn begin_archive(&self, period: StartPeriod, at_ms: i64) -> Result<i64, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("../sql/begin_archive.sql"));
        Ok(self.pool.row(query.bind(period.from_ms).bind(period.to_ms).bind(at_ms)).await?.try_get("number")?)
    }

    async fn withdraw_archive(&self, number: i64) -> Result<(), StoreError> {
        self.access.check_writable()?;
        self.pool.rows(sqlx::query(include_str!("../sql/withdraw_archive.sql")).bind(number)).await.map(drop)
    }

    async fn record_archive(&self, number: i64, content: &ArchiveContent) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("../sql/record_archive.sql"))
            .bind(number)
            .bind(content.file.clone())
            .bind(content.streams.cast_signed())
            .bind(content.rows.cast_signed())
            .bind(content.dropped.cast_signed())
            .bind(content.bytes.cast_signed())
            .bind(content.sha256.clone())
            .bind(content.categories.join(","))
            .bind(content.newest_ms);
        Ok(!self.pool.rows(query).await?.is_empty())
    }

    async fn remove_archived(&self, portion: &RemovedPortion) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let streams: Vec<Uuid> = portion.streams.iter().map(|(stream, _)| *stream).collect();
        check_streams(&streams)?;
        let versions: Vec<i32> = portion.streams.iter().map(|(_, version)| version.cast_signed()).collect();
        let (first, last) = (streams.iter().min().copied(), streams.iter().max().copied());
        let query = sqlx::query(include_str!("sql/remove_archived.sql"))
            .bind(portion.number)
            .bind(i32::from(portion.shard))
            .bind(streams)
            .bind(versions)
            .bind(first)
            .bind(last);
        let removed: i64 = self.pool.row(query).await?.try_get("removed")?;
        Ok(removed.unsigned_abs())
    }

    async fn end_archive(&self, number: i64, at_ms: i64) -> Result<(), StoreError> {
        self.access.check_writable()?;
        self.pool.rows(sqlx::query(include_str!("../sql/end_archive.sql")).bind(number).bind(at_ms)).await.map(drop)
    }

    async fn leaving(
        &self,
        period: StartPeriod,
        rules: &[LeavingRule],
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<StreamStanding>, StoreError> {
        let columns = RuleColumns::of(rules);
        let query = sqlx::query(concat!(include_str!("sql/standings.sql"), include_str!("sql/leaving.sql")))
            .persistent(false)
            .bind(first_stream(period.from_ms))
            .bind(first_stream(period.to_ms))
            .bind(after)
            .bind(columns.categories)
            .bind(columns.changed_before)
            .bind(columns.started_before)
            .bind(page_limit(limit));
        self.pool.rows(query).await?.iter().map(rows::stream_standing).collect()
    }

    async fn standings(&self, streams: &[Uuid]) -> Result<Vec<StreamStanding>, StoreError> {
        check_streams(streams)?;
        let query = sqlx::query(concat!(include_str!("sql/standings.sql"), include_str!("sql/of_streams.sql")));
        self.pool.rows(query.bind(streams)).await?.iter().map(rows::stream_standing).collect()
    }

    async fn staying(&self, period: StartPeriod, rules: &[LeavingRule], most: u32) -> Result<u64, StoreError> {
        let columns = RuleColumns::of(rules);
        let query = sqlx::query(include_str!("sql/staying.sql"))
            .persistent(false)
            .bind(first_stream(period.from_ms))
            .bind(first_stream(period.to_ms))
            .bind(columns.categories)
            .bind(columns.changed_before)
            .bind(columns.started_before)
            .bind(i64::from(most));
        let staying: i64 = self.pool.row(query).await?.try_get("staying")?;
        Ok(staying.unsigned_abs())
    }

    async fn forget_feed(&self, limit: u32) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("sql/forget_feed.sql")).bind(page_limit(limit));
        let forgotten: i64 = self.pool.row(query).await?.try_get("forgotten")?;
        Ok(forgotten.unsigned_abs())
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
        let (erased, act) = (&erasure.erased, &erasure.act);
        let (version, at_ms) = erasure.place()?;
        let query = sqlx::query(include_str!("sql/erase_archived.sql"))
            .bind(erased.summary.stream)
            .bind(version.cast_signed())
            .bind(at_ms)
            .bind(erased.summary.category.clone())
            .bind(erased.summary.key.clone())
            .bind(act.who.clone())
            .bind(act.action.clone())
            .bind(act.reason.clone())
            .bind(act.id.clone())
            .bind(erased.to_line())
            .bind(act.source.subject.clone())
            .bind(act.source.token.clone())
            .bind(act.source.address.clone())
            .bind(act.source.request.clone())
            .bind(act.before.clone())
            .bind(act.after.clone());
        Ok(self.pool.row(query).await?.try_get("recorded")?)
    }

    async fn pending_erasures(&self, after: Uuid, limit: u32) -> Result<Vec<PendingErasure>, StoreError> {
        reads::pending_erasures(&self.pool, after, limit).await
    }

    async fn pending_erasure(&self, stream: Uuid) -> Result<Option<PendingErasure>, StoreError> {
        reads::pending_erasure(&self.pool, stream).await
    }

    async fn end_erasures(&self, streams: &[Uuid]) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_streams(streams)?;
        self.pool.rows(sqlx::query(include_str!("sql/end_erasures.sql")).bind(streams)).await.map(drop)
    }

    async fn replace_archive(&self, replacement: &ArchiveReplacement) -> Result<bool, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("../sql/replace_archive.sql"))
            .bind(replacement.number)
            .bind(replacement.recorded.clone())
            .bind(replacement.file.clone())
            .bind(replacement.rows.cast_signed())
            .bind(replacement.bytes.cast_signed())
            .bind(replacement.sha256.clone())
            .bind(replacement.replaced.clone());
        Ok(!self.pool.rows(query).await?.is_empty())
    }

    async fn forget_replaced(&self, number: i64, replaced: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("../sql/forget_replaced.sql")).bind(number).bind(replaced.to_owned());
        self.pool.rows(query).await.map(drop)
    }

    async fn watch_partition(&self, period: StartPeriod) -> Result<(), StoreError> {
        self.access.check_writable()?;
        self.pool.rows(sqlx::query(include_str!("sql/watch_partition.sql")).bind(period.from_ms)).await?;
        self.pool.rows(sqlx::query(include_str!("sql/check_old_partitions.sql"))).await.map(drop)
    }

    async fn detach_partition(
        &self,
        number: i64,
        period: StartPeriod,
        kept: &[Uuid],
        content: &ArchiveContent,
        at_ms: i64,
    ) -> Result<DetachOutcome, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("sql/detach_partition.sql"))
            .bind(number)
            .bind(period.from_ms)
            .bind(kept)
            .bind(content.file.clone())
            .bind(content.streams.cast_signed())
            .bind(content.rows.cast_signed())
            .bind(content.dropped.cast_signed())
            .bind(content.bytes.cast_signed())
            .bind(content.sha256.clone())
            .bind(content.categories.join(","))
            .bind(content.newest_ms)
            .bind(at_ms);
        let outcome: String = self.pool.row(query).await?.try_get("outcome")?;
        match outcome.as_str() {
            "done" => Ok(DetachOutcome::Done),
            "changed" => Ok(DetachOutcome::Changed),
            "lost" => Ok(DetachOutcome::Lost),
            other => Err(StoreError::Unusable(format!("detach_partition answered {other}"))),
        }
    }
}
