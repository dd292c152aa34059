//! Streams, rows and what an append brings.

use crate::WaitsOn;
use uuid::Uuid;

/// Fencing token of a shard. Whoever claims the shard raises it; appends of older epochs are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// One row that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// Identity of this append: a repeat under the same id finds its own row.
    pub append_id: Uuid,
    /// The stream's shard.
    pub shard: u16,
    /// The writer's epoch of that shard.
    pub epoch: Epoch,
    /// The stream; time-ordered ids keep the index cheap.
    pub stream: Uuid,
    /// The row's version: the last one plus 1.
    pub version: u32,
    /// Milliseconds since the epoch.
    pub recorded_at_ms: i64,
    /// The row.
    pub payload: Vec<u8>,
    /// The row without what nobody needs who wants to see where its stream stands; `None`: the row is small.
    pub outline: Option<Vec<u8>>,
    /// The stream's category.
    pub category: String,
    /// The stream's key.
    pub key: String,
    /// Set by the first append of a stream: takes the key.
    pub new_key: Option<NewKey>,
    /// Set when the read model changes.
    pub summary: Option<Summary>,
}

impl Append {
    /// What of it counts for the bounds of a batch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.outline.as_ref().map_or(0, Vec::len)
    }
}

/// The key of a new stream is taken together with its first row, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// SHA-256 of what started the stream, to tell a repeat from another thing under the same key.
    pub payload_hash: [u8; 32],
}

/// What the read model says of a stream from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Hash of the document that the stream goes by.
    pub document: String,
    /// A word.
    pub status: String,
    /// Whether recovery has to look at it.
    pub open: bool,
    /// Where it is.
    pub step: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Milliseconds since the epoch; read only when the row is new.
    pub started_at_ms: i64,
    /// What holds it; mostly nothing.
    pub waits_on: Vec<WaitsOn>,
    /// What people should look at, in words without commas; mostly nothing.
    pub flags: Vec<String>,
    /// What failed, in a word; mostly nothing.
    pub code: Option<String>,
}

/// What became of one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The row is there, written now or before under the same append id.
    Committed,
    /// The key is taken; nothing was written.
    DuplicateKey {
        /// By this stream.
        stream: Uuid,
        /// Which was started by this.
        payload_hash: [u8; 32],
    },
    /// Another row has this version, or none has the version before it; nothing was written. Read the stream again.
    Conflict,
    /// Somebody claimed the shard; nothing was written.
    Fenced,
}

/// One row that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// 1, 2, 3, …
    pub version: u32,
    /// Milliseconds since the epoch.
    pub recorded_at_ms: i64,
    /// Under which id it was appended.
    pub append_id: Uuid,
    /// The row.
    pub payload: Vec<u8>,
}

/// The read model's row of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream.
    pub stream: Uuid,
    /// Its category.
    pub category: String,
    /// Its key.
    pub key: String,
    /// Hash of the document that it goes by.
    pub document: String,
    /// A word.
    pub status: String,
    /// Where it is.
    pub step: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Milliseconds since the epoch: when the row changed last.
    pub updated_at_ms: i64,
    /// What holds it; mostly nothing.
    pub waits_on: Vec<WaitsOn>,
    /// What people should look at; mostly nothing.
    pub flags: Vec<String>,
    /// What failed, in a word; mostly nothing.
    pub code: Option<String>,
}

/// What the database has done so far, for benchmarks; counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Transactions that committed, of all clients.
    pub commits: i64,
    /// Bytes of write-ahead log, of all clients.
    pub wal_bytes: i64,
}
