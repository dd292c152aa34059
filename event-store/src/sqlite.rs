//! The store in one SQLite file, for trials and small installations: one engine at a time, and readers beside it.

mod append;
mod archives;
mod attendance;
mod data_keys;
mod erasing;
mod letters;
mod lock;
mod marking;
mod projections;
mod reading;
mod repairing;
mod schema;
mod statements;
mod witness;

use crate::{
    ActQuery, AppendOutcome, AttendanceRecord, CommitConfirmation, DatabaseActivity, EventStore, FeedError, FeedExtent,
    FeedPage, FeedPosition, JournalReader, KeySweep, KeySweepOutcome, MarkOutcome, NewNote, NoteNumber, RepairOutcome,
    RowPosition, SessionUsage, ShardAttendance, ShardEpoch, StepBack, StoreAccess, StoreError, StoreIdentity,
    StoredAct, StoredNote, StreamAppend, StreamBatch, StreamDimension, StreamErasure, StreamFilter, StreamFlagCount,
    StreamGroup, StreamKeyHolder, StreamMark, StreamRepair, StreamRow, StreamSnapshot, StreamStatusCount,
    StreamSummary, WaitTarget,
    attendance::check_attended,
    backend::{QueryBuilder, QueryPool, SqlStatement},
    erasure::check_erasure,
    feed_reading,
    limits::{check_batch, check_claim, check_streams, check_texts},
    mark::check_mark,
    matching,
    note::check_note,
    portion::in_order,
    reads,
    repair::check_repair,
    rows,
    snapshot::check_snapshot,
    sweep::check_sweep,
};
use async_trait::async_trait;
use lock::FileLock;
use reading::{OUTLINES, WHOLE};
use sqlx::{
    Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::watch;
use uuid::Uuid;
use witness::SqliteWitness;

/// Connections for writes. SQLite has one writer at a time; more connections would wait for each other.
const WRITERS: u32 = 1;
/// Connections for reads. They read while the writer writes.
const READERS: u32 = 4;
/// Maximum time that a statement waits for a write of another process.
const BUSY: Duration = Duration::from_secs(5);
/// Maximum time that a call waits for a connection. If the disk hangs, a write under way cannot be taken back and does
/// not end. Later calls fail after this time.
const ACQUIRE: Duration = Duration::from_secs(10);
/// Maximum time that a caller waits for a write. The write may be committed later. The same write again answers whether
/// it was.
const WRITE: Duration = Duration::from_secs(15);

/// A store in one file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    identity: StoreIdentity,
    access: StoreAccess,
    /// Keeps other engines out while the store is open to write; `None`: the store is open to read.
    _lock: Option<FileLock>,
    witness: SqliteWitness,
}

impl SqliteStore {
    /// Opens the file at `path`; see [`crate::open`].
    ///
    /// # Errors
    /// As [`crate::open`]; [`StoreError::Locked`] when another engine has the file.
    pub async fn open(path: &Path, access: StoreAccess) -> Result<SqliteStore, StoreError> {
        match access {
            StoreAccess::Write { shards } => SqliteStore::open_to_write(path, shards).await,
            StoreAccess::Read => SqliteStore::open_to_read(path).await,
        }
    }

    async fn open_to_write(path: &Path, shards: u16) -> Result<SqliteStore, StoreError> {
        let lock = FileLock::take(path)?;
        let options = options(path)
            .create_if_missing(true)
            // What is erased is overwritten in the file.
            .pragma("secure_delete", "ON")
            .journal_mode(SqliteJournalMode::Wal)
            // With FULL a confirmed commit survives a power failure, as on Postgres.
            .synchronous(SqliteSynchronous::Full);
        let writer = pool(WRITERS, options).await?;
        let migrating = writer.clone();
        let task = tokio::spawn(async move {
            schema::migrate(&migrating).await?;
            schema::create(&migrating, shards).await
        });
        let identity = task.await.map_err(|error| StoreError::Schema(format!("the migration failed: {error}")))??;
        let readers = pool(READERS, reading(path)).await?;
        let access = StoreAccess::Write { shards };
        let witness = SqliteWitness::new(identity.installation);
        Ok(SqliteStore { writer, readers, identity, access, _lock: Some(lock), witness })
    }

    async fn open_to_read(path: &Path) -> Result<SqliteStore, StoreError> {
        if !path.exists() {
            return Err(StoreError::Schema(format!(
                "there is no event store at {} yet: start the engine once",
                path.display()
            )));
        }
        let readers = pool(READERS, reading(path)).await?;
        schema::complete(&readers).await?;
        let identity = schema::existing(&readers).await?;
        let witness = SqliteWitness::new(identity.installation);
        Ok(SqliteStore { writer: readers.clone(), readers, identity, access: StoreAccess::Read, _lock: None, witness })
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).foreign_keys(false)
}

fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    Ok(SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).connect_with(options).await?)
}

/// Runs a write in a task of its own. If the caller drops the future, the write still ends its transaction.
async fn in_task<T: Send + 'static>(
    what: &str,
    writing: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = tokio::time::timeout(WRITE, tokio::spawn(writing)).await;
    let ended = ended.map_err(|_| StoreError::Unavailable(format!("{what} has not ended within {WRITE:?}")))?;
    ended.map_err(|error| StoreError::Unavailable(format!("the task of {what} failed: {error}")))?
}

#[async_trait]
impl JournalReader for SqliteStore {
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError> {
        reading::stream(&self.readers, WHOLE, stream).await
    }

    async fn scan(&self, after: RowPosition, limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        reads::scan(&self.readers, after, limit, max_bytes).await
    }

    async fn next_stream(&self, after: Uuid) -> Result<Option<Uuid>, StoreError> {
        reads::next_stream(&self.readers, after).await
    }

    async fn summaries(&self, streams: &[Uuid]) -> Result<Vec<StreamSummary>, StoreError> {
        check_streams(streams)?;
        let mut all = Vec::with_capacity(streams.len());
        for stream in in_order(streams) {
            all.extend(self.summary(stream).await?);
        }
        Ok(all)
    }

    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, StoreError> {
        reads::last_version(&self.readers, stream).await
    }

    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, StoreError> {
        reads::summary(&self.readers, stream).await
    }

    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, StoreError> {
        reads::document(&self.readers, kind, hash).await
    }

    async fn journaled(&self, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>, StoreError> {
        reads::journaled(&self.readers, after, limit).await
    }

    async fn acts_between(&self, first: Uuid, last: Uuid) -> Result<Option<Vec<StoredAct>>, StoreError> {
        reads::acts_between(&self.readers, first, last).await.map(Some)
    }

    async fn snapshot_versions(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, u32)>, StoreError> {
        check_streams(streams)?;
        let mut all = Vec::new();
        for stream in in_order(streams) {
            let ask = QueryBuilder::new(include_str!("sqlite/sql/snapshot_version.sql")).with(stream);
            let version = ask.first(&self.readers, |row: &SqliteRow| rows::version(row.try_get("version")?)).await?;
            all.extend(version.map(|version| (stream, version)));
        }
        Ok(all)
    }

    async fn snapshots(&self, streams: &[Uuid]) -> Result<Vec<StreamSnapshot>, StoreError> {
        check_streams(streams)?;
        let mut all = Vec::new();
        for stream in in_order(streams) {
            let ask = QueryBuilder::new(include_str!("sqlite/sql/snapshot.sql")).with(stream);
            all.extend(ask.first(&self.readers, rows::snapshot).await?);
        }
        Ok(all)
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    fn identity(&self) -> StoreIdentity {
        self.identity
    }

    async fn claim(&self, shard: u16, owner: &str) -> Result<ShardEpoch, StoreError> {
        self.access.check_writable()?;
        check_claim(shard, self.identity.shards, owner)?;
        let row = sqlx::query(include_str!("sqlite/sql/claim.sql"))
            .bind(i64::from(shard))
            .bind(owner)
            .fetch_one(&self.writer)
            .await?;
        Ok(ShardEpoch(row.try_get("epoch")?))
    }

    async fn attend(&self, all: &[AttendanceRecord]) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_attended(all)?;
        attendance::attend(&self.writer, all).await
    }

    async fn attendance(&self, shard: u16) -> Result<ShardAttendance, StoreError> {
        reads::attendance(&self.readers, shard).await
    }

    async fn clock_ms(&self) -> Result<i64, StoreError> {
        reads::clock_ms(&self.readers).await
    }

    async fn append(&self, batch: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError> {
        self.access.check_writable()?;
        check_batch(batch)?;
        let (writer, owned) = (self.writer.clone(), batch.to_vec());
        let answers = in_task("the append", async move { append::append(&writer, &owned).await }).await?;
        self.witness.appended(batch, &answers);
        Ok(answers)
    }

    async fn erase(&self, erasure: &StreamErasure) -> Result<AppendOutcome, StoreError> {
        self.access.check_writable()?;
        check_erasure(erasure)?;
        let (writer, owned) = (self.writer.clone(), erasure.clone());
        let answer = in_task("the erasure", async move { erasing::erase(&writer, &owned).await }).await?;
        self.witness.appended(std::slice::from_ref(&erasure.append), std::slice::from_ref(&answer));
        Ok(answer)
    }

    async fn mark(&self, mark: &StreamMark) -> Result<MarkOutcome, StoreError> {
        self.access.check_writable()?;
        check_mark(mark)?;
        let (writer, owned) = (self.writer.clone(), mark.clone());
        in_task("the mark", async move { marking::mark(&writer, &owned).await }).await
    }

    async fn repair(&self, repair: &StreamRepair) -> Result<RepairOutcome, StoreError> {
        self.access.check_writable()?;
        check_repair(repair, self.identity.shards)?;
        let (writer, owned) = (self.writer.clone(), repair.clone());
        in_task("the repair", async move { repairing::repair(&writer, &owned).await }).await
    }

    async fn read_from(&self, stream: Uuid, version: u32) -> Result<Vec<StreamRow>, StoreError> {
        let ask = QueryBuilder::new(include_str!("sqlite/sql/read_from.sql")).with(stream).with(i64::from(version));
        ask.all(&self.readers, rows::row).await
    }

    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        check_streams(streams)?;
        let mut all = Vec::new();
        for stream in in_order(streams) {
            all.extend(self.read(stream).await?.into_iter().map(|row| (stream, row)));
        }
        Ok(all)
    }

    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        reading::within(&self.readers, WHOLE, streams, max_bytes).await
    }

    async fn outlines_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        reading::within(&self.readers, OUTLINES, streams, max_bytes).await
    }

    async fn feed(&self, after: FeedPosition, limit: u32, max_bytes: u64) -> Result<FeedPage, FeedError> {
        feed_reading::read(&self.readers, after, limit, max_bytes).await
    }

    async fn feed_extent(&self) -> Result<FeedExtent, StoreError> {
        feed_reading::extent(&self.readers).await
    }

    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        reads::open_streams(&self.readers, shard, after, limit).await
    }

    async fn key_holder(&self, category: &str, key: &str) -> Result<Option<StreamKeyHolder>, StoreError> {
        check_texts([category, key])?;
        reads::key_holder(&self.readers, category, key).await
    }

    async fn list(&self, filter: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError> {
        matching::list(&self.readers, filter).await
    }

    async fn stream_below(&self, before: Option<Uuid>, places: u32) -> Result<Option<Uuid>, StoreError> {
        matching::stream_below(&self.readers, before, places).await
    }

    async fn tally(&self, filter: &StreamFilter, by: &[StreamDimension]) -> Result<Vec<StreamGroup>, StoreError> {
        matching::tally(&self.readers, filter, by).await
    }

    async fn counts(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        reads::counts(&self.readers).await
    }

    async fn waiting_counts(&self) -> Result<Vec<(WaitTarget, i64)>, StoreError> {
        reads::waiting_counts(&self.readers).await
    }

    async fn standing(&self) -> Result<Vec<StreamStatusCount>, StoreError> {
        reads::standing(&self.readers).await
    }

    async fn flagged(&self) -> Result<Vec<StreamFlagCount>, StoreError> {
        reads::flagged(&self.readers).await
    }

    fn sessions(&self) -> SessionUsage {
        let in_use = |pool: &SqlitePool| u64::from(pool.size()).saturating_sub(pool.num_idle() as u64);
        SessionUsage { most: u64::from(READERS + WRITERS), in_use: in_use(&self.readers) + in_use(&self.writer) }
    }

    async fn forget_keys(&self, sweep: &KeySweep) -> Result<KeySweepOutcome, StoreError> {
        self.access.check_writable()?;
        let limit = check_sweep(sweep)?;
        // No key is empty.
        let after = sweep.after.as_deref().unwrap_or_default();
        let page = sqlx::query(include_str!("sqlite/sql/keys_to_look_at.sql"))
            .bind(&sweep.category)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_one(&self.readers)
            .await?;
        let last: Option<String> = page.try_get("last_key")?;
        let deleted = sqlx::query(include_str!("sqlite/sql/forget_keys.sql"))
            .bind(&sweep.category)
            .bind(after)
            .bind(&last)
            .bind(sweep.ended_before_ms)
            .execute(&self.writer)
            .await?;
        Ok(KeySweepOutcome::page(deleted.rows_affected(), page.try_get("looked_at")?, last, limit))
    }

    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_texts([kind, hash, body])?;
        sqlx::query(include_str!("sql/put_document.sql"))
            .bind(kind)
            .bind(hash)
            .bind(body)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn put_snapshot(&self, snapshot: &StreamSnapshot) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_snapshot(snapshot)?;
        sqlx::query(include_str!("sql/put_snapshot.sql"))
            .bind(snapshot.stream)
            .bind(i64::from(snapshot.version))
            .bind(snapshot.append_id)
            .bind(i64::from(snapshot.format))
            .bind(&snapshot.state)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn remove_snapshots(&self, streams: &[Uuid]) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        check_streams(streams)?;
        let mut removed = 0;
        for stream in in_order(streams) {
            let remove = sqlx::query(include_str!("sqlite/sql/remove_snapshot.sql")).bind(stream);
            removed += remove.execute(&self.writer).await?.rows_affected();
        }
        Ok(removed)
    }

    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, StoreError> {
        self.access.check_writable()?;
        check_note(note)?;
        sqlx::query(include_str!("sqlite/sql/add_note.sql"))
            .bind(&note.topic)
            .bind(note.id)
            .bind(note.at_ms)
            .bind(&note.body)
            .execute(&self.writer)
            .await?;
        // It is there now, from this call or from an earlier one, and nobody removes it.
        let number = sqlx::query(include_str!("sqlite/sql/note_number.sql")).bind(&note.topic).bind(note.id);
        let row = number.fetch_one(&self.writer).await?;
        Ok(NoteNumber(row.try_get("number")?))
    }

    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<StoredNote>, StoreError> {
        reads::notes(&self.readers, topic, after, limit).await
    }

    async fn acts(&self, wanted: &ActQuery) -> Result<Vec<StoredAct>, StoreError> {
        reads::acts(&self.readers, wanted).await
    }

    async fn heartbeat(&self, owner: &str, at_ms: i64) -> Result<(), StoreError> {
        self.access.check_writable()?;
        check_texts([owner])?;
        // One engine uses the file, so there is one heartbeat in it.
        let before = self.witness.before_beat();
        let row = sqlx::query(include_str!("sqlite/sql/heartbeat.sql"))
            .bind(owner)
            .bind(at_ms)
            .fetch_one(&self.writer)
            .await?;
        self.witness.beat(before, row.try_get("number")?, at_ms);
        Ok(())
    }

    /// While this process has the lock of the file, the file does not step back. An older copy may have replaced it
    /// before: only [`EventStore::compare`] finds that.
    fn steps_back(&self) -> watch::Receiver<Option<Arc<StepBack>>> {
        self.witness.told()
    }

    fn confirmed(&self) -> Option<CommitConfirmation> {
        self.witness.confirmed()
    }

    async fn compare(&self, all: &[CommitConfirmation]) -> Result<Vec<usize>, StoreError> {
        self.access.check_writable()?;
        self.witness.compare(&self.readers, all).await
    }

    async fn activity(&self) -> Result<DatabaseActivity, StoreError> {
        Ok(DatabaseActivity::default())
    }
}

impl QueryPool for SqlitePool {
    type Db = sqlx::Sqlite;

    async fn rows(&self, statement: SqlStatement<sqlx::Sqlite>) -> Result<Vec<SqliteRow>, StoreError> {
        Ok(statement.fetch_all(self).await?)
    }
}
