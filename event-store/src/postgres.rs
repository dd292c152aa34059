//! The store on Postgres 13 or newer.

mod archives;
mod attendance;
mod batch;
mod bounds;
mod comparing;
mod data_keys;
mod known;
mod left;
mod letters;
mod outlives;
mod pool;
mod pooler;
mod projections;
mod schema;
mod session;
mod statements;
mod witness;

pub use bounds::PostgresTimeouts;

use crate::{
    ActQuery, AppendOutcome, AttendanceRecord, CommitConfirmation, DatabaseActivity, EventStore, FeedError, FeedExtent,
    FeedPage, FeedPosition, JournalReader, KeySweep, KeySweepOutcome, MarkOutcome, NewNote, NoteNumber, RepairOutcome,
    RowPosition, SessionUsage, ShardAttendance, ShardEpoch, StepBack, StoreAccess, StoreError, StoreIdentity,
    StoredAct, StoredNote, StreamAppend, StreamBatch, StreamDimension, StreamErasure, StreamFilter, StreamFlagCount,
    StreamGroup, StreamKeyHolder, StreamMark, StreamRepair, StreamRow, StreamSnapshot, StreamStatusCount,
    StreamSummary, WaitTarget,
    attendance::check_attended,
    backend::{QueryBuilder, QueryPool},
    config::without_secret,
    erasure::check_erasure,
    feed_reading,
    limits::{check_batch, check_claim, check_streams, check_texts},
    mark::check_mark,
    matching,
    note::check_note,
    portion::{ReadBudget, in_order},
    reads,
    repair::check_repair,
    rows,
    snapshot::check_snapshot,
    sweep::check_sweep,
};
use async_trait::async_trait;
use batch::{PgQuery, bind_batch, bind_erasure, bind_repair, read_answer};
use pool::SessionPool;
use sqlx::{
    Row as _,
    postgres::{PgConnectOptions, PgRow},
};
use std::{str::FromStr, sync::Arc};
use tokio::sync::watch;
use uuid::Uuid;
use witness::PostgresWitness;

/// A store on Postgres.
///
/// Except for the migration, every call is one statement and therefore one transaction, in a task that nothing cancels.
/// A call ends within [`PostgresTimeouts`] even if the server or the network does not answer.
#[derive(Debug)]
pub struct PostgresStore {
    pool: SessionPool,
    identity: StoreIdentity,
    access: StoreAccess,
    witness: Arc<PostgresWitness>,
}

impl PostgresStore {
    /// Opens the store; see [`crate::open`].
    ///
    /// # Errors
    /// As [`crate::open`].
    pub async fn open(address: &str, access: StoreAccess) -> Result<PostgresStore, StoreError> {
        PostgresStore::open_within(address, access, PostgresTimeouts::default()).await
    }

    /// As [`PostgresStore::open`], with other bounds than the default.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub async fn open_within(
        address: &str,
        access: StoreAccess,
        bounds: PostgresTimeouts,
    ) -> Result<PostgresStore, StoreError> {
        let options = PgConnectOptions::from_str(address).map_err(|_| StoreError::Address(without_secret(address)))?;
        let witness = Arc::new(PostgresWitness::new(Uuid::new_v4()));
        let pool = SessionPool::new(options, access, bounds, Arc::clone(&witness));
        let identity = match access {
            StoreAccess::Write { shards } => {
                let server = pooler::refuse_shared_sessions(&pool).await?;
                if let Some(warning) = server.durability.warning() {
                    tracing::warn!("{warning}");
                }
                let identity = schema::prepare(&pool, shards).await?;
                witness.begin(identity.installation, server.timeline);
                identity
            }
            StoreAccess::Read => schema::look(&pool).await?,
        };
        schema::check_privileges(&pool, access).await?;
        Ok(PostgresStore { pool, identity, access, witness })
    }

    /// Splits `streams` into the first ones that have at most `max_bytes` together and the others. The statement
    /// `sizes` measures them.
    async fn reached(
        &self,
        sizes: &'static str,
        streams: &[Uuid],
        max_bytes: u64,
    ) -> Result<(Vec<Uuid>, Vec<Uuid>), StoreError> {
        let mut reached = in_order(streams);
        let sizes = self.pool.rows(sqlx::query(sizes).bind(reached.clone())).await?;
        let mut budget = ReadBudget::of(max_bytes);
        let mut left = Vec::new();
        for size in &sizes {
            if !budget.takes(size.try_get("bytes")?) {
                let next: Uuid = size.try_get("stream")?;
                left = reached.split_off(reached.partition_point(|stream| *stream < next));
                break;
            }
        }
        Ok((reached, left))
    }
}

#[async_trait]
impl JournalReader for PostgresStore {
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError> {
        QueryBuilder::new(include_str!("postgres/sql/read.sql")).with(stream).all(&self.pool, rows::row).await
    }

    async fn scan(&self, after: RowPosition, limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        reads::scan(&self.pool, after, limit, max_bytes).await
    }

    async fn next_stream(&self, after: Uuid) -> Result<Option<Uuid>, StoreError> {
        reads::next_stream(&self.pool, after).await
    }

    async fn summaries(&self, streams: &[Uuid]) -> Result<Vec<StreamSummary>, StoreError> {
        check_streams(streams)?;
        let query =
            sqlx::query(concat!(include_str!("postgres/sql/list.sql"), include_str!("postgres/sql/of_streams.sql")));
        self.pool.rows(query.bind(streams)).await?.iter().map(rows::summary).collect()
    }

    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, StoreError> {
        reads::last_version(&self.pool, stream).await
    }

    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, StoreError> {
        reads::summary(&self.pool, stream).await
    }

    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, StoreError> {
        reads::document(&self.pool, kind, hash).await
    }

    async fn journaled(&self, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>, StoreError> {
        reads::journaled(&self.pool, after, limit).await
    }

    async fn acts_between(&self, first: Uuid, last: Uuid) -> Result<Option<Vec<StoredAct>>, StoreError> {
        reads::acts_between(&self.pool, first, last).await.map(Some)
    }

    async fn snapshot_versions(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, u32)>, StoreError> {
        check_streams(streams)?;
        let query = sqlx::query(include_str!("postgres/sql/snapshot_versions.sql")).bind(streams);
        let version = |row: &PgRow| Ok((row.try_get("stream")?, rows::version(row.try_get("version")?)?));
        self.pool.rows(query).await?.iter().map(version).collect()
    }

    async fn snapshots(&self, streams: &[Uuid]) -> Result<Vec<StreamSnapshot>, StoreError> {
        check_streams(streams)?;
        let query = sqlx::query(include_str!("postgres/sql/snapshots.sql")).bind(streams);
        self.pool.rows(query).await?.iter().map(rows::snapshot).collect()
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    fn identity(&self) -> StoreIdentity {
        self.identity
    }

    async fn claim(&self, shard: u16, owner: &str) -> Result<ShardEpoch, StoreError> {
        self.access.check_writable()?;
        check_claim(shard, self.identity.shards, owner)?;
        let query = sqlx::query(include_str!("postgres/sql/claim.sql"))
            .bind(i32::from(shard))
            .bind(owner)
            .bind(self.witness.highest(shard).0);
        let epoch = ShardEpoch(self.pool.row(query).await?.try_get("epoch")?);
        self.witness.claimed(shard, epoch, owner);
        Ok(epoch)
    }

    async fn attend(&self, all: &[AttendanceRecord]) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_attended(all)?;
        attendance::attend(&self.pool, all).await
    }

    async fn attendance(&self, shard: u16) -> Result<ShardAttendance, StoreError> {
        reads::attendance(&self.pool, shard).await
    }

    async fn clock_ms(&self) -> Result<i64, StoreError> {
        reads::clock_ms(&self.pool).await
    }

    async fn append(&self, batch: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError> {
        self.access.check_writable()?;
        check_batch(batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let fenced = self.witness.fenced(batch);
        let rows = self.pool.rows(bind_batch(fenced.as_deref().unwrap_or(batch))).await?;
        let mut answers = vec![AppendOutcome::Committed; batch.len()];
        for row in &rows {
            let (position, answer) = read_answer(row)?;
            if let Some(slot) = answers.get_mut(position) {
                *slot = answer;
            }
        }
        self.witness.appended(batch, &answers);
        Ok(answers)
    }

    async fn erase(&self, erasure: &StreamErasure) -> Result<AppendOutcome, StoreError> {
        self.access.check_writable()?;
        check_erasure(erasure)?;
        let batch = std::slice::from_ref(&erasure.append);
        let fenced = self.witness.fenced(batch);
        let query = bind_erasure(fenced.as_deref().unwrap_or(batch), &erasure.rows);
        let answer = match self.pool.rows(query).await?.first() {
            Some(row) => read_answer(row)?.1,
            None => AppendOutcome::Committed,
        };
        self.witness.appended(batch, std::slice::from_ref(&answer));
        Ok(answer)
    }

    async fn mark(&self, mark: &StreamMark) -> Result<MarkOutcome, StoreError> {
        self.access.check_writable()?;
        check_mark(mark)?;
        let query = sqlx::query(include_str!("postgres/sql/mark.sql"))
            .bind(i32::from(mark.shard))
            .bind(mark.epoch.0)
            .bind(mark.stream)
            .bind(&mark.status)
            .bind(&mark.reason)
            .bind(mark.at_ms)
            .bind(&mark.code);
        let row = self.pool.row(query).await?;
        Ok(if row.try_get("held")? { MarkOutcome::Shown } else { MarkOutcome::Fenced })
    }

    async fn repair(&self, repair: &StreamRepair) -> Result<RepairOutcome, StoreError> {
        self.access.check_writable()?;
        check_repair(repair, self.identity.shards)?;
        let repaired: bool = self.pool.row(bind_repair(repair)).await?.try_get("repaired")?;
        Ok(if repaired { RepairOutcome::Repaired } else { RepairOutcome::Outdated })
    }

    async fn read_from(&self, stream: Uuid, version: u32) -> Result<Vec<StreamRow>, StoreError> {
        let ask = QueryBuilder::new(include_str!("postgres/sql/read_from.sql")).with(stream).with(i64::from(version));
        ask.all(&self.pool, rows::row).await
    }

    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        check_streams(streams)?;
        let query = sqlx::query(include_str!("postgres/sql/read_many.sql")).bind(streams);
        self.pool.rows(query).await?.iter().map(row_of_stream).collect()
    }

    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        check_streams(streams)?;
        let (reached, left) = self.reached(include_str!("postgres/sql/sizes.sql"), streams, max_bytes).await?;
        Ok(StreamBatch { rows: self.read_many(&reached).await?, left })
    }

    async fn outlines_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        check_streams(streams)?;
        let (reached, left) = self.reached(include_str!("postgres/sql/outline_sizes.sql"), streams, max_bytes).await?;
        let query = sqlx::query(include_str!("postgres/sql/outlines.sql")).bind(reached);
        let rows = self.pool.rows(query).await?.iter().map(row_of_stream).collect::<Result<_, _>>()?;
        Ok(StreamBatch { rows, left })
    }

    async fn feed(&self, after: FeedPosition, limit: u32, max_bytes: u64) -> Result<FeedPage, FeedError> {
        feed_reading::read(&self.pool, after, limit, max_bytes).await
    }

    async fn feed_extent(&self) -> Result<FeedExtent, StoreError> {
        feed_reading::extent(&self.pool).await
    }

    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        reads::open_streams(&self.pool, shard, after, limit).await
    }

    async fn key_holder(&self, category: &str, key: &str) -> Result<Option<StreamKeyHolder>, StoreError> {
        check_texts([category, key])?;
        reads::key_holder(&self.pool, category, key).await
    }

    async fn list(&self, filter: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError> {
        matching::list(&self.pool, filter).await
    }

    async fn stream_below(&self, before: Option<Uuid>, places: u32) -> Result<Option<Uuid>, StoreError> {
        matching::stream_below(&self.pool, before, places).await
    }

    async fn tally(&self, filter: &StreamFilter, by: &[StreamDimension]) -> Result<Vec<StreamGroup>, StoreError> {
        matching::tally(&self.pool, filter, by).await
    }

    async fn counts(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        reads::counts(&self.pool).await
    }

    async fn waiting_counts(&self) -> Result<Vec<(WaitTarget, i64)>, StoreError> {
        reads::waiting_counts(&self.pool).await
    }

    async fn standing(&self) -> Result<Vec<StreamStatusCount>, StoreError> {
        reads::standing(&self.pool).await
    }

    async fn flagged(&self) -> Result<Vec<StreamFlagCount>, StoreError> {
        reads::flagged(&self.pool).await
    }

    fn sessions(&self) -> SessionUsage {
        self.pool.sessions()
    }

    async fn forget_keys(&self, sweep: &KeySweep) -> Result<KeySweepOutcome, StoreError> {
        self.access.check_writable()?;
        let limit = check_sweep(sweep)?;
        let query = sqlx::query(include_str!("postgres/sql/forget_keys.sql"))
            .bind(&sweep.category)
            // No key is empty.
            .bind(sweep.after.as_deref().unwrap_or_default())
            .bind(sweep.ended_before_ms)
            .bind(i64::from(limit));
        let row = self.pool.row(query).await?;
        let forgotten: i64 = row.try_get("forgotten")?;
        Ok(KeySweepOutcome::page(forgotten.unsigned_abs(), row.try_get("looked_at")?, row.try_get("last_key")?, limit))
    }

    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_texts([kind, hash, body])?;
        let query = sqlx::query(include_str!("sql/put_document.sql")).bind(kind).bind(hash).bind(body);
        self.pool.rows(query).await?;
        Ok(())
    }

    async fn put_snapshot(&self, snapshot: &StreamSnapshot) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_snapshot(snapshot)?;
        let query = sqlx::query(include_str!("sql/put_snapshot.sql"))
            .bind(snapshot.stream)
            .bind(i64::from(snapshot.version))
            .bind(snapshot.append_id)
            .bind(i64::from(snapshot.format))
            .bind(snapshot.state.clone());
        self.pool.rows(query).await?;
        Ok(())
    }

    async fn remove_snapshots(&self, streams: &[Uuid]) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        check_streams(streams)?;
        let query = sqlx::query(include_str!("postgres/sql/remove_snapshots.sql")).bind(streams);
        Ok(self.pool.rows(query).await?.len() as u64)
    }

    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, StoreError> {
        self.access.check_writable()?;
        check_note(note)?;
        let query = sqlx::query(include_str!("postgres/sql/add_note.sql"))
            .bind(note.topic.clone())
            .bind(note.id)
            .bind(note.at_ms)
            .bind(note.body.clone());
        Ok(NoteNumber(self.pool.row(query).await?.try_get("number")?))
    }

    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<StoredNote>, StoreError> {
        reads::notes(&self.pool, topic, after, limit).await
    }

    async fn acts(&self, wanted: &ActQuery) -> Result<Vec<StoredAct>, StoreError> {
        reads::acts(&self.pool, wanted).await
    }

    async fn heartbeat(&self, owner: &str, at_ms: i64) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_texts([owner])?;
        let query = sqlx::query(include_str!("postgres/sql/heartbeat.sql")).bind(self.witness.writer());
        let before = self.witness.before_beat();
        let row = self.pool.row(query.bind(owner).bind(at_ms)).await?;
        self.witness.beat(before, row.try_get("number")?, at_ms);
        Ok(())
    }

    fn steps_back(&self) -> watch::Receiver<Option<Arc<StepBack>>> {
        self.witness.told()
    }

    fn confirmed(&self) -> Option<CommitConfirmation> {
        self.witness.confirmed()
    }

    async fn compare(&self, all: &[CommitConfirmation]) -> Result<Vec<usize>, StoreError> {
        self.access.check_writable()?;
        let has = comparing::what_is_there(&self.pool, all).await?;
        Ok(self.witness.compared(all, &has))
    }

    async fn activity(&self) -> Result<DatabaseActivity, StoreError> {
        let row = self.pool.row(sqlx::query(include_str!("postgres/sql/activity.sql"))).await?;
        Ok(DatabaseActivity { commits: row.try_get("commits")?, wal_bytes: row.try_get("wal_bytes")? })
    }
}

fn row_of_stream(row: &PgRow) -> Result<(Uuid, StreamRow), StoreError> {
    Ok((row.try_get("stream")?, rows::row(row)?))
}

impl QueryPool for SessionPool {
    type Db = sqlx::Postgres;

    fn rows(&self, statement: PgQuery) -> impl Future<Output = Result<Vec<PgRow>, StoreError>> + Send {
        SessionPool::rows(self, statement)
    }
}
