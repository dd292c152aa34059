//! The seam.

use crate::{
    AppendOutcome, AttendanceRecord, CommitConfirmation, DatabaseActivity, KeySweep, KeySweepOutcome, MarkOutcome,
    NewNote, NoteNumber, SessionUsage, ShardAttendance, ShardEpoch, StepBack, StoreError, StoredNote, StreamAppend,
    StreamBatch, StreamDimension, StreamFilter, StreamFlagCount, StreamGroup, StreamMark, StreamRow, StreamStatusCount,
    StreamSummary, WaitTarget, postgres::PostgresStore, sqlite::SqliteStore, stream::check_shards,
};
use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// What a store is, fixed when it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreIdentity {
    /// Drawn at random at creation; what belongs to this store carries it.
    pub installation: Uuid,
    /// How many shards it has.
    pub shards: u16,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAccess {
    /// To write: migrates the schema, creates the store with this many shards if it is new.
    Write {
        /// How many shards the configuration says.
        shards: u16,
    },
    /// To read only: changes nothing, works beside an engine.
    Read,
}

/// Opens the store at `address`: `postgres://…` or `sqlite:…`.
///
/// # Errors
/// When the address is neither, the database does not answer or cannot be used (credentials, database, privileges), its schema is newer than
/// this build or was altered (or, to read, older), its number of shards is another one or out of bounds, or (SQLite) another engine has it.
/// Only [`StoreError::is_worth_waiting_at_start`] may pass by itself.
pub async fn open(address: &str, access: StoreAccess) -> Result<Arc<dyn EventStore>, StoreError> {
    if let StoreAccess::Write { shards } = access {
        check_shards(shards)?;
    }
    let opened = open_place(address, access).await;
    opened.map_err(|error| error.at(&place(address)))
}

/// Whether `address` can be that of a store. Whether there is one is found out by [`open`].
#[must_use]
pub fn is_address(address: &str) -> bool {
    match address.strip_prefix("sqlite:") {
        // SQLite knows more kinds of address: of a database in memory, and with parameters. None of them is a store that stays.
        Some(path) => !path.is_empty() && !path.starts_with(':') && !path.contains('?'),
        None => {
            let server = ["postgres://", "postgresql://"].iter().find_map(|scheme| address.strip_prefix(scheme));
            server.is_some_and(|server| !server.is_empty()) && address.parse::<PgConnectOptions>().is_ok()
        }
    }
}

/// Where the store at `address` is, for people: `postgres at host:port`, `sqlite file path`. Without user, password and parameters.
#[must_use]
pub fn place(address: &str) -> String {
    if let Some(path) = address.strip_prefix("sqlite:") {
        return format!("sqlite file {}", without_secret(path));
    }
    match address.parse::<PgConnectOptions>() {
        Ok(options) if address.starts_with("postgres") => {
            format!("postgres at {}:{}", options.get_host(), options.get_port())
        }
        Ok(_) | Err(_) => without_secret(address),
    }
}

async fn open_place(address: &str, access: StoreAccess) -> Result<Arc<dyn EventStore>, StoreError> {
    if !is_address(address) {
        return Err(StoreError::Address(without_secret(address)));
    }
    match address.strip_prefix("sqlite:") {
        Some(path) => Ok(Arc::new(SqliteStore::open(path.strip_prefix("//").unwrap_or(path), access).await?)),
        None => Ok(Arc::new(PostgresStore::open(address, access).await?)),
    }
}

/// An address as it may be shown and logged: without user, password and parameters.
pub(crate) fn without_secret(address: &str) -> String {
    let address = address.split_once('?').map_or(address, |(address, _)| address);
    match address.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => address.to_owned(),
    }
}

/// Streams of versioned rows. Used as `Arc<dyn EventStore>`. Cancelling a future never leaves a transaction open and never undoes what was
/// committed.
#[async_trait]
pub trait EventStore: std::fmt::Debug + Send + Sync {
    /// What the store is.
    fn identity(&self) -> StoreIdentity;

    /// Raises the shard's epoch and returns it. From then on no append of an older epoch is committed. A crash in between leaves the epoch
    /// raised and unused. A shard that the store does not have is an [`StoreError::Limit`].
    async fn claim(&self, shard: u16, owner: &str) -> Result<ShardEpoch, StoreError>;

    /// Records until when shards were attended to, each under its owner's epoch: of an older claim nothing is kept, and nothing that says
    /// less than is on record. A gap is on record before the end that lies after it, or with it. A repeat changes nothing.
    async fn attend(&self, all: &[AttendanceRecord]) -> Result<(), StoreError>;

    /// Until when the owners of a shard attended to it, and the gaps that streams which are still open lived through.
    async fn attendance(&self, shard: u16) -> Result<ShardAttendance, StoreError>;

    /// What the database's clock says, in milliseconds since the epoch; for SQLite that of this machine.
    async fn clock_ms(&self) -> Result<i64, StoreError>;

    /// Writes a batch in one transaction and answers each append alone, in order: one that is a duplicate, a conflict or fenced does not
    /// fail the others. A row is written with its key and its change of the read model, or nothing of it is. At most one append of a stream,
    /// [`crate::MAX_BATCH_ROWS`] rows and [`crate::MAX_BATCH_BYTES`] of payload.
    ///
    /// Of several answers the first that is true: committed under this append id, fenced, duplicate key, conflict.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when one append breaks a limit: none of the batch was sent, and the others can be sent without it.
    /// [`StoreError::Refused`] when the database takes one append's values for faulty: nothing of this call was written; the others can be sent
    /// without it. What [`StoreError::is_transient`]: it is not known what was committed; the same batch again answers [`AppendOutcome::Committed`]
    /// for what was.
    async fn append(&self, batch: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError>;

    /// Changes what the read model says of a stream, beside its rows: for a stream that its owner cannot read. The next append of the stream
    /// that brings a summary says otherwise.
    async fn mark(&self, mark: &StreamMark) -> Result<MarkOutcome, StoreError>;

    /// All rows of a stream, oldest first; none if there is no such stream.
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError>;

    /// All rows of several streams, by stream and version; at most [`crate::MAX_PAGE`] streams.
    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, StreamRow)>, StoreError>;

    /// All rows of the first of several streams, by stream and version: of as many as have at most `max_bytes` of payload together, and of
    /// one however large it is. At most [`crate::MAX_PAGE`] streams; those that were not reached are [`StreamBatch::left`].
    ///
    /// What a stream has is measured before it is read: a row that is appended in between comes on top. None is in a shard that the caller
    /// has claimed and does not write to meanwhile.
    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError>;

    /// As [`EventStore::read_within`], with the outlines of rows that have one in place of their payloads: neither is such a payload loaded
    /// nor does it count.
    async fn outlines_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError>;

    /// A page of the shard's open streams after `after`, ascending.
    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError>;

    /// The version of a stream's last row, found without its payload; `None`: there is no such stream.
    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, StoreError>;

    /// The read model's row of a stream.
    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, StoreError>;

    /// A page of the read model, newest streams first.
    async fn list(&self, filter: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError>;

    /// How many of the streams that `filter` matches agree in what they are counted `by`, the most first; at most [`StreamFilter::limit`] groups.
    /// Looks at every stream that matches, and of those that have ended at as many as [`StreamFilter::from`] lets it.
    async fn tally(&self, filter: &StreamFilter, by: &[StreamDimension]) -> Result<Vec<StreamGroup>, StoreError>;

    /// How many streams there are, by category and status.
    async fn counts(&self) -> Result<Vec<(String, String, i64)>, StoreError>;

    /// How many streams wait on what; one that waits on several counts for each.
    async fn waiting_counts(&self) -> Result<Vec<(WaitTarget, i64)>, StoreError>;

    /// Forgets keys of streams that ended long ago, a page at a time in an order of the store's own: from then on such a key starts a new
    /// stream. Without it a key stays taken for ever, which is what keeps a record that is delivered once more from starting its stream
    /// again; so the time has to be longer than such records live.
    ///
    /// A key stays taken while its stream is open, and where the read model does not know its stream. Rows and the read model stay as they
    /// are, so several streams of a category can then have the same key. Needs no claim: a stream that is not open stays so, and an append
    /// that takes a key while it is forgotten is a duplicate, starts its stream, or is a conflict whose repeat starts it. A call that
    /// breaks off has forgotten its page or nothing; either way the page can be swept again.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when it looks at no key or at more than [`crate::MAX_PAGE`].
    async fn forget_keys(&self, sweep: &KeySweep) -> Result<KeySweepOutcome, StoreError>;

    /// How the open streams stand, by category and status. Looks at every open stream, and at none that has ended.
    async fn standing(&self) -> Result<Vec<StreamStatusCount>, StoreError>;

    /// How many streams have which flags.
    async fn flagged(&self) -> Result<Vec<StreamFlagCount>, StoreError>;

    /// This process's connections to the database.
    fn sessions(&self) -> SessionUsage;

    /// Keeps a text under its kind and hash; a repeat changes nothing.
    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), StoreError>;

    /// The text kept under kind and hash.
    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, StoreError>;

    /// Adds a note to the end of its topic's log, and returns its place there. The same id in the same topic again is the same note: it
    /// stays as it was first added, and its place is returned. Needs no claim; writers of one topic wait for each other.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when topic or body break a limit; nothing was sent. After what [`StoreError::is_transient`] add the same note again.
    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, StoreError>;

    /// A page of a topic's notes after `after`, in their order, at most [`crate::MAX_NOTES`]. Notes become visible in the order of their
    /// numbers, whoever writes: whoever reads on after the last number it saw misses none. An empty page is the end for now.
    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<StoredNote>, StoreError>;

    /// Writes a mark of this process and commits it: when it returns, the database takes writes. `at_ms` is now by the caller's clock, in
    /// milliseconds since the epoch; `owner` is for people who look into the database. Marks of processes that are gone are removed.
    async fn heartbeat(&self, owner: &str, at_ms: i64) -> Result<(), StoreError>;

    /// Tells when the database is found to have lost what it had confirmed: the last time that happened, `None` until it does. What this
    /// process had claimed is fenced then, and its next claims rise above all epochs that it knows.
    ///
    /// It is found by whoever opens a connection, among what this process wrote itself and remembers: the last appends, claims and heartbeat;
    /// and by [`EventStore::compare`].
    fn steps_back(&self) -> watch::Receiver<Option<Arc<StepBack>>>;

    /// What this process knows to be committed, to be kept elsewhere and given to [`EventStore::compare`] by a later process; `None` before
    /// its first heartbeat.
    fn confirmed(&self) -> Option<CommitConfirmation>;

    /// Holds the database against what earlier processes knew to be committed, before this one claims anything. What is missing is told by
    /// [`EventStore::steps_back`]; the answer is which of `all` are missing, by position. The marks of a process stay for some days after
    /// its end only: nothing older may be given.
    async fn compare(&self, all: &[CommitConfirmation]) -> Result<Vec<usize>, StoreError>;

    /// What the database has done so far; zeros where it does not say.
    async fn activity(&self) -> Result<DatabaseActivity, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_names_host_and_port_and_no_secret() {
        assert_eq!(place("postgres://u:secret@db/saga?sslmode=require"), "postgres at db:5432");
        assert_eq!(place("postgres://u:secret@db:6543/saga"), "postgres at db:6543");
        assert_eq!(place("sqlite:./saga.db"), "sqlite file ./saga.db");
        assert_eq!(place("mysql://u:secret@db/saga"), "…@db/saga");
    }
}
