//! Streams, rows and what an append brings.

use crate::Error;
use std::collections::HashSet;
use uuid::Uuid;

/// Rows of one batch: beyond this a statement's arrays cost more than a second round trip.
pub const MAX_BATCH_ROWS: usize = 1024;
/// Payload bytes of one batch: a quarter of what a default Postgres gives a statement before it spills.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a key: what an index entry holds comfortably.
pub const MAX_KEY_BYTES: usize = 256;
/// Rows of one page of a list or a recovery.
pub const MAX_PAGE: u32 = 10_000;

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
    /// The stream's category.
    pub category: String,
    /// The stream's key.
    pub key: String,
    /// Set by the first append of a stream: takes the key.
    pub new_key: Option<NewKey>,
    /// Set when the read model changes.
    pub summary: Option<Summary>,
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
    /// Hash of the document that the stream was started by.
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
    /// Another row has this version; nothing was written.
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
    /// Hash of the document that it was started by.
    pub document: String,
    /// A word.
    pub status: String,
    /// Where it is.
    pub step: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Milliseconds since the epoch: when the status changed last.
    pub updated_at_ms: i64,
}

/// Which streams to list; an empty filter lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these; empty: any.
    pub statuses: Vec<String>,
    /// This one.
    pub category: Option<String>,
    /// This one.
    pub key: Option<String>,
    /// Only streams before this one: the last of the page before.
    pub before: Option<Uuid>,
    /// How many, at most [`MAX_PAGE`].
    pub limit: u32,
}

/// What the database has done so far, for benchmarks; counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Transactions that committed, of all clients.
    pub commits: i64,
    /// Bytes of write-ahead log, of all clients.
    pub wal_bytes: i64,
}

/// Whether a batch keeps the store's limits.
///
/// # Errors
/// Which limit it breaks, and by how much.
pub(crate) fn check_batch(batch: &[Append]) -> Result<(), Error> {
    if batch.len() > MAX_BATCH_ROWS {
        return Err(Error::Limit(format!("a batch has {} rows, the limit is {MAX_BATCH_ROWS}", batch.len())));
    }
    let bytes: usize = batch.iter().map(|append| append.payload.len()).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(Error::Limit(format!("a batch has {bytes} bytes, the limit is {MAX_BATCH_BYTES}")));
    }
    batch.iter().try_for_each(check_append)?;
    let streams: HashSet<Uuid> = batch.iter().map(|append| append.stream).collect();
    if streams.len() == batch.len() {
        Ok(())
    } else {
        Err(Error::Limit("a batch has two appends of one stream".into()))
    }
}

fn check_append(append: &Append) -> Result<(), Error> {
    if append.key.is_empty() || append.key.len() > MAX_KEY_BYTES {
        let length = append.key.len();
        return Err(Error::Limit(format!("a key has {length} bytes, expected 1 to {MAX_KEY_BYTES}")));
    }
    let texts = append.summary.iter().flat_map(|summary| [summary.step.as_deref(), summary.reason.as_deref()]);
    let mut texts = texts.flatten().chain([append.key.as_str(), append.category.as_str()]);
    if texts.any(|text| text.contains('\0')) {
        return Err(Error::Limit("a text has a NUL character, which a database cannot keep".into()));
    }
    Ok(())
}
