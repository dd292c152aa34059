//! What every store does, whatever its database.

use crate::{
    ActQuery, AppendOutcome, AttendanceRecord, CommitConfirmation, DatabaseActivity, FeedError, FeedExtent, FeedPage,
    FeedPosition, JournalReader, KeySweep, KeySweepOutcome, MarkOutcome, NewNote, NoteNumber, RepairOutcome,
    SessionUsage, ShardAttendance, ShardEpoch, StepBack, StoreArchives, StoreError, StoreLetters, StoreProjections,
    StoredAct, StoredNote, StreamAppend, StreamBatch, StreamDimension, StreamErasure, StreamFilter, StreamFlagCount,
    StreamGroup, StreamKeyHolder, StreamMark, StreamRepair, StreamRow, StreamSnapshot, StreamStatusCount,
    StreamSummary, WaitTarget,
};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// What distinguishes a store from others. Its creation fixes both values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreIdentity {
    /// A random id. Topics and groups that belong to the store carry it.
    pub installation: Uuid,
    /// The number of shards, which never changes.
    pub shards: u16,
}

impl StoreIdentity {
    /// Returns the same identity if it has the number of shards that the configuration says.
    ///
    /// # Errors
    /// [`StoreError::Shards`] when it has another number.
    pub(crate) fn with_shards(self, configured: u16) -> Result<StoreIdentity, StoreError> {
        if self.shards == configured { Ok(self) } else { Err(StoreError::Shards { stored: self.shards, configured }) }
    }
}

/// Streams of versioned rows. Callers share a store as `Arc<dyn EventStore>`.
///
/// A caller can drop the future of any call. The call leaves no transaction open then, and what it committed stays
/// committed.
#[async_trait]
pub trait EventStore: JournalReader + StoreArchives + StoreLetters + StoreProjections {
    /// What distinguishes this store from others.
    fn identity(&self) -> StoreIdentity;

    /// Raises the epoch of the shard and returns it. From then on the store commits no append under an older epoch.
    /// After a crash during the call the epoch may be raised although no process uses it.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the store does not have the shard.
    async fn claim(&self, shard: u16, owner: &str) -> Result<ShardEpoch, StoreError>;

    /// Records until when owners attended to their shards. The store ignores a report under an older epoch, and a
    /// report that says less than it has. It records the gaps of a report before or together with its end. The same
    /// reports again change nothing.
    async fn attend(&self, all: &[AttendanceRecord]) -> Result<(), StoreError>;

    /// What the store has recorded about the shard. It keeps the gaps during which a stream existed that is still open.
    async fn attendance(&self, shard: u16) -> Result<ShardAttendance, StoreError>;

    /// The clock of the database, in milliseconds since the Unix epoch. For SQLite it is the clock of this machine.
    async fn clock_ms(&self) -> Result<i64, StoreError>;

    /// Writes a batch in one transaction and returns one answer for each append, in their order. An append that is a
    /// duplicate, a conflict or fenced does not fail the others. The store writes a row together with its key and its
    /// change of the read model, or none of them. A batch has at most one append of a stream, [`crate::MAX_BATCH_ROWS`]
    /// rows and [`crate::MAX_BATCH_BYTES`] of payload.
    ///
    /// The answer is the first of these that is true: committed under this append id, fenced, duplicate key, conflict.
    ///
    /// # Errors
    /// - [`StoreError::Limit`]: one append breaks a limit. The store sent nothing; the others can be sent without it.
    /// - [`StoreError::Refused`]: the database refuses the values of one append. The store wrote nothing; the others
    ///   can be sent without it.
    /// - [`StoreError::Damaged`]: the database has an unreadable value for the key of one append. Send each append
    ///   alone, under the same append ids: only that append fails.
    /// - An error that [`StoreError::is_transient`]: the caller does not know what was committed. The same batch again
    ///   answers [`AppendOutcome::Committed`] for each append that was.
    async fn append(&self, batch: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError>;

    /// A page of what people did to streams, newest first. An act is here as soon as its row is.
    async fn acts(&self, wanted: &ActQuery) -> Result<Vec<StoredAct>, StoreError>;

    /// Appends the last row of a stream, as [`EventStore::append`] does, and in the same transaction takes the content
    /// out of all rows before it: the store replaces their payloads and deletes their outlines, the data key of the
    /// stream, and what [`crate::NewStreamKey::payload_hash`] tells of its start. The rows keep versions, times
    /// and append ids. [`StreamSummary::erased_at_ms`] says when. The caller appends nothing to the stream afterwards.
    ///
    /// The answer is [`AppendOutcome::Conflict`], too, when the store does not have exactly the rows before it. A
    /// repeat of a committed erasure under its append id changes nothing.
    ///
    /// # Errors
    /// As [`EventStore::append`]; [`StoreError::Limit`] when the rows are not numbered 1 to the one before the append,
    /// or have more than [`crate::MAX_BATCH_BYTES`].
    async fn erase(&self, erasure: &StreamErasure) -> Result<AppendOutcome, StoreError>;

    /// Changes the row of a stream in the read model without a row of the stream. An owner uses it for a stream that it
    /// cannot read. The next append of the stream with a summary replaces the mark. The same mark again changes
    /// nothing.
    async fn mark(&self, mark: &StreamMark) -> Result<MarkOutcome, StoreError>;

    /// Writes the row of a stream in the read model as the rows of the stream say it, if the last one has the version
    /// that the caller read. The store compares the version and writes in one transaction that keeps appends of the
    /// shard out, so it never takes back what an append showed. The call needs no claim. The same repair again changes
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the repair breaks a limit; the store sent nothing.
    async fn repair(&self, repair: &StreamRepair) -> Result<RepairOutcome, StoreError>;

    /// The rows of a stream from this version on, oldest first.
    async fn read_from(&self, stream: Uuid, version: u32) -> Result<Vec<StreamRow>, StoreError>;

    /// All rows of several streams, ordered by stream and version; at most [`crate::MAX_PAGE`] streams.
    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, StreamRow)>, StoreError>;

    /// All rows of the first of several streams, ordered by stream and version: of as many streams as have at most
    /// `max_bytes` of payload together, and of the first one whatever its size. At most [`crate::MAX_PAGE`] streams.
    /// [`StreamBatch::left`] has the streams that the call did not reach.
    ///
    /// The store measures a stream before it reads it. A row that is appended between the two is read in addition. The
    /// owner of a shard avoids this if it writes nothing during the call.
    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError>;

    /// As [`EventStore::read_within`], with the outline in place of the payload where a row has one. The store neither
    /// loads nor counts the payload of such a row.
    async fn outlines_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError>;

    /// Wraps data keys that a previous key-encryption key has wrapped with the current one, in many short transactions,
    /// and returns how many these are. After a call that returns 0, no data key needs a previous key. A call that fails
    /// has done a part; the caller repeats it. Without encryption there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Keys`] when a data key needs a key that this process does not have.
    async fn rewrap_data_keys(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// A page of the feed: the rows of all streams after a position, in the order of the feed; at most `limit` rows and
    /// [`crate::MAX_PAGE`], and at most `max_bytes` of payloads, but one row whatever its size. A reader that goes on
    /// after the last row of each page gets every committed row once, and the rows of a stream in the order of their
    /// versions. A row may come some time after its commit: see [`crate::FeedExtent::held_since_ms`].
    ///
    /// # Errors
    /// [`FeedError::Forgotten`] and [`FeedError::Unknown`] when the store cannot go on after `after`.
    async fn feed(&self, after: FeedPosition, limit: u32, max_bytes: u64) -> Result<FeedPage, FeedError>;

    /// From where to where the feed goes now.
    async fn feed_extent(&self) -> Result<FeedExtent, StoreError>;

    /// A page of the open streams of the shard, ascending, that begins after the stream `after`.
    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError>;

    /// The stream that has the key; `None`: the key was never taken in this category, or was forgotten.
    async fn key_holder(&self, category: &str, key: &str) -> Result<Option<StreamKeyHolder>, StoreError>;

    /// A page of the read model, newest streams first.
    async fn list(&self, filter: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError>;

    /// The stream that stands `places` below the newest one whose id is less than `before`; `None`: there are not so
    /// many. A search that no index carries ends there, and goes on from there.
    async fn stream_below(&self, before: Option<Uuid>, places: u32) -> Result<Option<Uuid>, StoreError>;

    /// Counts the streams that meet `filter`, grouped by the dimensions `by`, largest group first; at most
    /// [`StreamFilter::limit`] groups. The store reads every stream that meets the filter, and of the ended streams
    /// only those that [`StreamFilter::from`] admits.
    async fn tally(&self, filter: &StreamFilter, by: &[StreamDimension]) -> Result<Vec<StreamGroup>, StoreError>;

    /// The number of streams for each category and status.
    async fn counts(&self) -> Result<Vec<(String, String, i64)>, StoreError>;

    /// The number of streams for each thing that streams wait for. A stream that waits for several things counts once
    /// for each.
    async fn waiting_counts(&self) -> Result<Vec<(WaitTarget, i64)>, StoreError>;

    /// Forgets a page of keys whose streams ended long ago, in an order of the store's own. From then on such a key
    /// starts a new stream. A key that is not forgotten stays taken permanently, so that a record that is delivered
    /// again does not start its stream again. The time in `sweep` therefore has to be longer than such records exist.
    ///
    /// A key stays taken while its stream is open, and where the read model does not have its stream. Rows and the read
    /// model do not change, so several streams of a category can have the same key afterwards. The call needs no claim,
    /// because a stream that has ended stays ended. An append that takes a key at the same time is a duplicate, starts
    /// its stream, or is a conflict whose repeat starts it. A call that fails has forgotten its page or nothing. In
    /// both cases the caller can sweep the page again.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the page has no keys or more than [`crate::MAX_PAGE`].
    async fn forget_keys(&self, sweep: &KeySweep) -> Result<KeySweepOutcome, StoreError>;

    /// The open streams for each category and status. The store does not read streams that have ended.
    async fn standing(&self) -> Result<Vec<StreamStatusCount>, StoreError>;

    /// The number of streams for each flag.
    async fn flagged(&self) -> Result<Vec<StreamFlagCount>, StoreError>;

    /// The connections of this process to the database.
    fn sessions(&self) -> SessionUsage;

    /// Stores a text under its kind and hash. A repeat changes nothing; another text replaces the one that is there. So
    /// the caller puts a text under its own hash only, and thereby repairs a text that was damaged.
    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), StoreError>;

    /// Keeps the state of a stream, in place of the one that is kept of it. Nothing depends on it: the rows are the
    /// truth, and a snapshot that is lost or older than another one is as good. The call needs no claim.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the snapshot breaks a limit; the store sent nothing.
    async fn put_snapshot(&self, snapshot: &StreamSnapshot) -> Result<(), StoreError>;

    /// Removes the snapshots of several streams, at most [`crate::MAX_PAGE`], and returns how many there were. A writer
    /// that still has the state may keep a snapshot again: end the stream or its writer first.
    async fn remove_snapshots(&self, streams: &[Uuid]) -> Result<u64, StoreError>;

    /// Adds a note at the end of the log of its topic, and returns its position there. If the topic has the id already,
    /// the first note stays as it is and the call returns its position. The call needs no claim. Writers of one topic
    /// wait for each other.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when topic or body break a limit; the store sent nothing. After an error that
    /// [`StoreError::is_transient`] add the same note again.
    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, StoreError>;

    /// A page of the notes of a topic after `after`, in their order, at most [`crate::MAX_NOTES`]; empty: there are no
    /// more notes for now. Notes become visible in the order of their numbers. A reader that continues after the last
    /// number that it read misses none.
    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<StoredNote>, StoreError>;

    /// Commits a mark of this process. When the call succeeds, the database takes writes. `at_ms` is the caller's
    /// clock, in milliseconds since the Unix epoch. `owner` is for people who look into the database. The store removes
    /// marks of processes that stopped days ago.
    async fn heartbeat(&self, owner: &str, at_ms: i64) -> Result<(), StoreError>;

    /// Reports when the database has lost what it had confirmed: the last such step back, `None` until the first. The
    /// claims of this process are fenced then, and its next claims get epochs above all epochs that it knows.
    ///
    /// The store finds a step back when it opens a connection, by what this process wrote and remembers: the last
    /// appends, claims and heartbeat. [`EventStore::compare`] finds others.
    fn steps_back(&self) -> watch::Receiver<Option<Arc<StepBack>>>;

    /// What this process knows to be committed; `None` before its first heartbeat. The caller keeps it outside of the
    /// database, and a later process gives it to [`EventStore::compare`].
    fn confirmed(&self) -> Option<CommitConfirmation>;

    /// Compares the database with what earlier processes knew to be committed, and returns the positions in `all` of
    /// what is missing. The caller does this before its first claim. [`EventStore::steps_back`] reports the loss too.
    /// The store removes the marks of a process some days after its end, so `all` must have nothing older.
    async fn compare(&self, all: &[CommitConfirmation]) -> Result<Vec<usize>, StoreError>;

    /// Counters of the database for benchmarks; zeros if the database has none.
    async fn activity(&self) -> Result<DatabaseActivity, StoreError>;
}
