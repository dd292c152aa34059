//! Streams, their rows, and appends.

use crate::{
    StreamAct, WaitTarget,
    cipher::{DataKey, WrappedKey, content_bytes},
};
use uuid::Uuid;

/// Fencing token of a shard. Each claim of the shard raises it, and the store refuses appends under an older epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardEpoch(pub i64);

/// A row that a writer asks the store to append.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamAppend {
    /// Drawn at random by the writer. A repeat under the same id finds the row of the first try.
    pub append_id: Uuid,
    /// The shard that the stream belongs to. It decides which epoch fences the append.
    pub shard: u16,
    /// What the writer's claim of the shard returned. The store compares it with the current epoch.
    pub epoch: ShardEpoch,
    /// Ids should rise with time: the index of the journal stays small in memory then.
    pub stream: Uuid,
    /// The version of the stream's last row plus 1; the first row has 1.
    pub version: u32,
    /// When the writer decided the row, by its clock, in milliseconds since the Unix epoch.
    pub recorded_at_ms: i64,
    /// What the row says. The store does not read it.
    pub payload: Vec<u8>,
    /// A shorter form of the payload, which lists read in its place; `None`: the row is small, and lists read the
    /// payload.
    pub outline: Option<Vec<u8>>,
    /// The category of the stream, as the read model has it. All appends of a stream carry the same one.
    pub category: String,
    /// The business key of the stream, as the read model has it. All appends of a stream carry the same one.
    pub key: String,
    /// A key that this stream takes. Only the first append of a stream sets it.
    pub new_key: Option<NewStreamKey>,
    /// What the read model says from this row on; `None`: the row changes nothing there.
    pub summary: Option<SummaryUpdate>,
    /// The act of a person that made the row; few rows have one. The store indexes it in the same transaction.
    pub act: Option<StreamAct>,
}

impl StreamAppend {
    /// Payload and outline together, which count for [`crate::MAX_BATCH_BYTES`]. What sealing adds does not count.
    #[must_use]
    pub fn bytes(&self) -> usize {
        content_bytes(&self.payload) + self.outline.as_deref().map_or(0, content_bytes)
    }
}

/// A key that the store takes in the same transaction as the first row of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStreamKey {
    /// Keys are unique within a category. Usually it is the stream's own: [`StreamAppend::category`].
    pub category: String,
    /// The key that no other stream of the category has. Usually it is the stream's own: [`StreamAppend::key`].
    pub key: String,
    /// SHA-256 of what started the stream. It distinguishes a repeated start from another start with the same key.
    pub payload_hash: [u8; 32],
    /// Seals the rows of the stream, if the store encrypts. It is drawn with the append, as the append id is: a repeat
    /// carries the same one.
    pub data_key: DataKey,
    /// The data key as the database gets it; `None`: the stream is not sealed.
    pub(crate) wrapped: Option<WrappedKey>,
}

impl NewStreamKey {
    /// Draws the data key of the stream.
    #[must_use]
    pub fn new(category: impl Into<String>, key: impl Into<String>, payload_hash: [u8; 32]) -> NewStreamKey {
        let (category, key) = (category.into(), key.into());
        NewStreamKey { category, key, payload_hash, data_key: DataKey::draw(), wrapped: None }
    }
}

/// The stream that took a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamKeyHolder {
    /// The stream whose first append took the key.
    pub stream: Uuid,
    /// [`NewStreamKey::payload_hash`] of that append.
    pub payload_hash: [u8; 32],
}

/// The new row of a stream in the read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryUpdate {
    /// Hash of the document that the stream follows.
    pub document: String,
    /// One of the words of the writer, without commas.
    pub status: String,
    /// Whether the stream continues. Recovery reads only open streams.
    pub open: bool,
    /// Name of the step that the stream is at, if it is at one.
    pub step: Option<String>,
    /// Why the stream has this status, for people.
    pub reason: Option<String>,
    /// When the stream started, in milliseconds since the Unix epoch. Only the first summary of a stream sets it.
    pub started_at_ms: i64,
    /// What the stream waits for; usually nothing.
    pub waits_on: Vec<WaitTarget>,
    /// Words for what people should look at, without commas; usually none.
    pub flags: Vec<String>,
    /// A word for what failed; usually none.
    pub code: Option<String>,
}

/// The result of one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The row is committed, now or by an earlier try under the same append id.
    Committed,
    /// Another stream has the key. The store wrote nothing.
    DuplicateKey {
        /// The stream that has the key.
        stream: Uuid,
        /// [`NewStreamKey::payload_hash`] of the append that took the key.
        payload_hash: [u8; 32],
    },
    /// Another row has this version, or no row has the version before it. The store wrote nothing. Read the stream
    /// again.
    Conflict,
    /// The shard was claimed again, so the epoch is too old. The store wrote nothing.
    Fenced,
}

/// A committed row of one stream, as reads return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRow {
    /// 1, 2, 3, … within the stream, without gaps.
    pub version: u32,
    /// When the writer decided the row: [`StreamAppend::recorded_at_ms`].
    pub recorded_at_ms: i64,
    /// The id under which the row was appended: [`StreamAppend::append_id`].
    pub append_id: Uuid,
    /// [`StreamAppend::payload`], or the outline where a call reads outlines.
    pub payload: Vec<u8>,
}

/// The position of a row in the order of streams and versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPosition {
    /// The stream of the row.
    pub stream: Uuid,
    /// The version of the row; 0 is the position before the first row of the stream.
    pub version: u32,
}

/// The row of one stream in the read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// The id by which [`crate::EventStore::read`] finds the rows.
    pub stream: Uuid,
    /// The category of the stream: [`StreamAppend::category`].
    pub category: String,
    /// The business key of the stream: [`StreamAppend::key`].
    pub key: String,
    /// Hash of the document that the stream follows: [`SummaryUpdate::document`].
    pub document: String,
    /// The status of the stream: [`SummaryUpdate::status`].
    pub status: String,
    /// The step that the stream is at, if any: [`SummaryUpdate::step`].
    pub step: Option<String>,
    /// Why the stream has this status, for people: [`SummaryUpdate::reason`].
    pub reason: Option<String>,
    /// When the stream started: [`SummaryUpdate::started_at_ms`].
    pub started_at_ms: i64,
    /// When the append or [`crate::StreamMark`] was recorded that changed this row last, in milliseconds since the Unix
    /// epoch.
    pub updated_at_ms: i64,
    /// [`SummaryUpdate::waits_on`], each once, ascending.
    pub waits_on: Vec<WaitTarget>,
    /// What people should look at: [`SummaryUpdate::flags`].
    pub flags: Vec<String>,
    /// A word for what failed, if anything did: [`SummaryUpdate::code`].
    pub code: Option<String>,
    /// When the content of the rows was erased ([`crate::EventStore::erase`]); `None`: it is there.
    pub erased_at_ms: Option<i64>,
}

/// Counters of the database for benchmarks. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseActivity {
    /// Committed transactions of all clients.
    pub commits: i64,
    /// Bytes of the write-ahead log of all clients.
    pub wal_bytes: i64,
}
