//! What leaves a store: partitions by time, and the streams that go to archives or are dropped.

use crate::{RowPosition, StoreError, StreamAct, StreamBatch, StreamRow, StreamSummary, archive::ArchivedStream};
use async_trait::async_trait;
use uuid::Uuid;

/// Which ended streams leave: those of one category that started and changed last long enough ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingRule {
    /// The category.
    pub category: String,
    /// Streams that changed last before this time, in milliseconds since the Unix epoch.
    pub changed_before_ms: i64,
    /// Streams that started before this time, in milliseconds since the Unix epoch, by their ids.
    pub started_before_ms: i64,
}

/// A period of starts, in milliseconds since the Unix epoch: from a time, and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartPeriod {
    /// The first time.
    pub from_ms: i64,
    /// The first time after the period.
    pub to_ms: i64,
}

/// A stream with what the store knows beside its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStanding {
    /// Its row in the read model.
    pub summary: StreamSummary,
    /// Its shard.
    pub shard: u16,
    /// Whether it continues.
    pub open: bool,
}

/// How far an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveState {
    /// An attempt: the streams are in the store, and a file of this name counts for nothing.
    Writing,
    /// The file is whole; its streams are being deleted from the store.
    Removing,
    /// The streams are gone from the store.
    Done,
}

impl ArchiveState {
    /// The word that the store keeps.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ArchiveState::Writing => "writing",
            ArchiveState::Removing => "removing",
            ArchiveState::Done => "done",
        }
    }

    pub(crate) fn parse(word: &str) -> Result<ArchiveState, StoreError> {
        let all = [ArchiveState::Writing, ArchiveState::Removing, ArchiveState::Done];
        let found = all.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| StoreError::Damaged(format!("an archive has the state {word:?}")))
    }
}

/// What an archive has, once it is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveContent {
    /// The name of the file; `None`: all its streams were dropped.
    pub file: Option<String>,
    /// Streams in the file, and their rows.
    pub streams: u64,
    /// Rows in the file.
    pub rows: u64,
    /// Streams that left without a file.
    pub dropped: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file before its trailer, in hexadecimal.
    pub sha256: Option<String>,
    /// The categories of the streams, ascending.
    pub categories: Vec<String>,
    /// When the last one of the streams changed, in milliseconds since the Unix epoch.
    pub newest_ms: Option<i64>,
}

/// An archive on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// 1, 2, 3, … in the store.
    pub number: i64,
    /// How far it is.
    pub state: ArchiveState,
    /// The starts of its streams.
    pub period: StartPeriod,
    /// What it has. Of an attempt only the file is known.
    pub content: ArchiveContent,
    /// When it was begun, in milliseconds since the Unix epoch.
    pub begun_ms: i64,
    /// When the last stream left the store; `None`: not yet.
    pub ended_ms: Option<i64>,
    /// The file before the present one, which is still to be removed: a stream in it was erased.
    pub replaced: Option<String>,
}

/// The erasure of a stream that has left the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedErasure {
    /// The stream without its content. Its last row is that of the act.
    pub erased: ArchivedStream,
    /// Who erased it, and why.
    pub act: StreamAct,
}

impl ArchivedErasure {
    /// Version and time of the row of the act.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the stream has no row.
    pub(crate) fn place(&self) -> Result<(u32, i64), StoreError> {
        let last = self.erased.rows.last().map(|row| (row.version, row.recorded_at_ms));
        last.ok_or_else(|| StoreError::Limit("an erased stream has no row of its act".into()))
    }
}

/// An erased stream of which a file of an archive may still have content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingErasure {
    /// The stream.
    pub stream: Uuid,
    /// The stream as files have it from then on; `None`: as the store has it, where it was erased.
    pub erased: Option<ArchivedStream>,
}

/// Another file in place of the file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveReplacement {
    /// The number of the archive.
    pub number: i64,
    /// The file on record.
    pub recorded: String,
    /// The file that is removed afterwards: mostly the one on record.
    pub replaced: String,
    /// The new file.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it before its trailer, in hexadecimal.
    pub sha256: String,
}

/// What became of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetachOutcome {
    /// It is gone, and the archive is on record.
    Done,
    /// A stream that was to leave has got rows; nothing was changed. Write the archive anew.
    Changed,
    /// Another process took it over; nothing was changed.
    Lost,
}

/// The streams of one shard that a store deletes in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedPortion {
    /// The archive that has them.
    pub number: i64,
    /// Their shard.
    pub shard: u16,
    /// The streams with their last versions in the archive, ascending.
    pub streams: Vec<(Uuid, u32)>,
}

/// The part of a store that makes room in it.
///
/// The order of an archive: [`StoreArchives::begin_archive`]; the file is written, is on the disk and has its name;
/// then either [`StoreArchives::detach_partition`], or [`StoreArchives::record_archive`],
/// [`StoreArchives::remove_archived`] until all are gone, and [`StoreArchives::end_archive`]. As long as a
/// stream has rows in the store, these are the truth, and a reader looks here first.
#[async_trait]
pub trait StoreArchives: std::fmt::Debug + Send + Sync {
    /// Creates partitions of `width_ms` for streams that will start, until they reach `until_ms`. Returns how many it
    /// created: 0 if they were there, or the database has no partitions. Appends wait meanwhile. After a crash during
    /// the call all of them exist or none.
    ///
    /// # Errors
    /// [`StoreError::is_transient`] when somebody held a table for more than a second: try again later. Streams without
    /// a partition of their own are kept in the partition after the last one.
    async fn add_partitions(&self, width_ms: i64, until_ms: i64) -> Result<u32, StoreError>;

    /// The periods of the partitions, oldest first; empty: the database has none.
    async fn partitions(&self) -> Result<Vec<StartPeriod>, StoreError>;

    /// Takes or renews the right to archive for some minutes; `false`: another process has it.
    async fn lease_archiving(&self, holder: Uuid) -> Result<bool, StoreError>;

    /// Gives the right back.
    async fn release_archiving(&self, holder: Uuid) -> Result<(), StoreError>;

    /// All archives on record, oldest first.
    async fn archives(&self) -> Result<Vec<ArchiveRecord>, StoreError>;

    /// Records an attempt under the next number, and returns that. `name` makes the name of the file of it.
    async fn begin_archive(&self, period: StartPeriod, at_ms: i64) -> Result<i64, StoreError>;

    /// Removes the record of an attempt. The caller has removed its file.
    async fn withdraw_archive(&self, number: i64) -> Result<(), StoreError>;

    /// Records that the file of an attempt is whole; `false`: another process has withdrawn the attempt.
    async fn record_archive(&self, number: i64, content: &ArchiveContent) -> Result<bool, StoreError>;

    /// Deletes streams that have ended and did not change since they were read, and returns how many. The archive has
    /// to be on record and not at its end.
    async fn remove_archived(&self, portion: &RemovedPortion) -> Result<u64, StoreError>;

    /// Records that all streams of the archive that could leave are gone.
    async fn end_archive(&self, number: i64, at_ms: i64) -> Result<(), StoreError>;

    /// A page of the streams of a period that leave by these rules, ascending, after the stream `after`.
    async fn leaving(
        &self,
        period: StartPeriod,
        rules: &[LeavingRule],
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<StreamStanding>, StoreError>;

    /// The standing of several streams, in an order of the store's own; at most [`crate::MAX_PAGE`].
    async fn standings(&self, streams: &[Uuid]) -> Result<Vec<StreamStanding>, StoreError>;

    /// How many streams of a period stay by these rules; counted up to `most`.
    async fn staying(&self, period: StartPeriod, rules: &[LeavingRule], most: u32) -> Result<u64, StoreError>;

    /// Forgets the oldest transactions of the feed, as long as all their rows have left: at most `limit`, and returns
    /// how many. A reader of the feed that was not so far is told.
    async fn forget_feed(&self, limit: u32) -> Result<u64, StoreError>;

    /// As [`crate::JournalReader::scan`], with the bytes as the database has them: what is encrypted stays encrypted.
    async fn scan_stored(
        &self,
        after: RowPosition,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<(Uuid, StreamRow)>, StoreError>;

    /// As [`crate::EventStore::read_within`], with the bytes as the database has them.
    async fn read_stored_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError>;

    /// Decrypts rows that come from an archive, with the keys that the store keeps. Rows that are not encrypted stay as
    /// they are.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first row that has no key any more: its stream was erased.
    async fn open_archived(&self, rows: Vec<(Uuid, StreamRow)>) -> Result<Vec<(Uuid, StreamRow)>, StoreError>;

    /// Records the erasure of a stream that has left the store, in one transaction: the act, that its files are to be
    /// written anew ([`StoreArchives::pending_erasures`]), and the end of its data key, after which no copy of an
    /// encrypted file can be read. `false`: the stream is in the store, or an act is on record under that version;
    /// nothing was changed.
    async fn erase_archived(&self, erasure: &ArchivedErasure) -> Result<bool, StoreError>;

    /// A page of the erased streams of which files may still have content, ascending, after the stream `after`.
    async fn pending_erasures(&self, after: Uuid, limit: u32) -> Result<Vec<PendingErasure>, StoreError>;

    /// One of them; `None`: no file has content of the stream on account of an erasure.
    async fn pending_erasure(&self, stream: Uuid) -> Result<Option<PendingErasure>, StoreError>;

    /// Records that no file has content of these streams any more; at most [`crate::MAX_PAGE`].
    async fn end_erasures(&self, streams: &[Uuid]) -> Result<(), StoreError>;

    /// Puts a file that is whole, on the disk and proved on record in place of another one; `false`: another file is on
    /// record, or the one before it is not removed yet. After a crash the record names a whole file in any case.
    async fn replace_archive(&self, replacement: &ArchiveReplacement) -> Result<bool, StoreError>;

    /// Records that the file before the present one is removed.
    async fn forget_replaced(&self, number: i64, replaced: &str) -> Result<(), StoreError>;

    /// From now on the store notices streams of the partition that change. For [`StoreArchives::detach_partition`].
    async fn watch_partition(&self, period: StartPeriod) -> Result<(), StoreError>;

    /// Takes the oldest partition out of the tables with all its streams but `kept`, and records the archive, in one
    /// transaction. Appends and reads wait meanwhile, and the call waits at most a second for them.
    async fn detach_partition(
        &self,
        number: i64,
        period: StartPeriod,
        kept: &[Uuid],
        content: &ArchiveContent,
        at_ms: i64,
    ) -> Result<DetachOutcome, StoreError>;
}

/// The lowest id of a stream that started at this time.
pub(crate) fn first_stream(ms: i64) -> Uuid {
    /// The id has 48 bits for the time.
    const LATEST: u64 = (1 << 48) - 1;
    Uuid::from_u128(u128::from(u64::try_from(ms).unwrap_or_default().min(LATEST)) << 80)
}
