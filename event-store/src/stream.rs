//! Streams, rows and what an append brings.

use crate::{Error, Waiting, WaitsOn, standing::is_flag};
use std::collections::HashSet;
use uuid::Uuid;

/// Rows of one batch: beyond this a statement's arrays cost more than a second round trip.
pub const MAX_BATCH_ROWS: usize = 1024;
/// Payload bytes of one batch: a quarter of what a default Postgres gives a statement before it spills.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a key: what an index entry holds comfortably.
pub const MAX_KEY_BYTES: usize = 256;
/// Bytes of a category: with a key it is one index entry, of which a Postgres page holds 2,704.
pub const MAX_CATEGORY_BYTES: usize = 256;
/// Shards of one store: an id has 12 bits for its shard.
pub const MAX_SHARDS: u16 = 4096;
/// Rows of one page of a list, a recovery or a sweep.
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

/// What was read of several streams: whole streams, in ascending order, none of them twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// All rows of the streams that were reached, by stream and version.
    pub rows: Vec<(Uuid, Row)>,
    /// The streams that were not reached, ascending: ask for them next. Empty: all were read.
    pub left: Vec<Uuid>,
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

/// Which streams to list; an empty filter lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these words, which have no commas; empty: any.
    pub statuses: Vec<String>,
    /// This one.
    pub category: Option<String>,
    /// This one.
    pub key: Option<String>,
    /// Only streams that go on. Where only such are wanted it is to be said: they are found without passing by all that have ended.
    pub only_open: bool,
    /// Only streams with this flag.
    pub flag: Option<String>,
    /// Only streams that wait on something, and on what; `None`: any.
    pub waiting: Option<Waiting>,
    /// Only streams that have any flag.
    pub flagged: bool,
    /// Only streams that are there.
    pub step: Option<String>,
    /// Only streams with this code. They have an index of their own.
    pub code: Option<String>,
    /// Only streams that go by a document whose hash begins so.
    pub document: Option<String>,
    /// Only streams whose row has not changed since this time. Milliseconds since the epoch.
    pub unchanged_since_ms: Option<i64>,
    /// Only this stream and later ones.
    pub from: Option<Uuid>,
    /// Only streams before this one: the last of the page before.
    pub before: Option<Uuid>,
    /// How many, at most [`MAX_PAGE`].
    pub limit: u32,
}

/// Which keys may be forgotten: a page of one category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Of this category.
    pub category: String,
    /// Only keys whose stream is not open, and whose row has not changed since this time. Milliseconds since the epoch.
    pub ended_before_ms: i64,
    /// Only keys after this one: [`Swept::next`] of the page before; `None`: from the first.
    pub after: Option<String>,
    /// How many keys to look at, at most [`MAX_PAGE`]. It bounds the work of one call, however many of them stay.
    pub limit: u32,
}

/// What became of a [`Sweep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many keys were forgotten.
    pub forgotten: u64,
    /// Where the next page begins; `None`: this was the last one.
    pub next: Option<String>,
}

impl Swept {
    /// A page on which `looked_at` keys were found, the last of which is `last`.
    pub(crate) fn page(forgotten: u64, looked_at: i64, last: Option<String>, limit: u32) -> Swept {
        Swept { forgotten, next: last.filter(|_| looked_at >= i64::from(limit)) }
    }
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
    let bytes: usize = batch.iter().map(Append::bytes).sum();
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
    check_length("key", &append.key, MAX_KEY_BYTES)?;
    check_length("category", &append.category, MAX_CATEGORY_BYTES)?;
    if append.version == 0 || i32::try_from(append.version).is_err() {
        return Err(Error::Limit(format!("a version is {}, expected 1 to {}", append.version, i32::MAX)));
    }
    check_texts([append.key.as_str(), append.category.as_str()])?;
    append.summary.as_ref().map_or(Ok(()), check_summary)
}

fn check_summary(summary: &Summary) -> Result<(), Error> {
    check_texts([summary.document.as_str(), summary.status.as_str()])?;
    check_texts(summary.step.as_deref())?;
    check_texts(summary.reason.as_deref())?;
    check_texts(summary.code.as_deref())?;
    match summary.flags.iter().find(|flag| !is_flag(flag)) {
        Some(flag) => Err(Error::Limit(format!("`{flag}` is no flag: one has no commas and is not empty"))),
        None => Ok(()),
    }
}

/// Whether a text has 1 to `most` bytes.
///
/// # Errors
/// When not.
pub(crate) fn check_length(what: &str, text: &str, most: usize) -> Result<(), Error> {
    match text.len() {
        length if length == 0 || length > most => {
            Err(Error::Limit(format!("a {what} has {length} bytes, expected 1 to {most}")))
        }
        _ => Ok(()),
    }
}

/// Whether texts can be kept.
///
/// # Errors
/// When one has a NUL character: Postgres cannot keep it, and what one store refuses all do.
pub(crate) fn check_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
    if texts.into_iter().any(has_nul) {
        return Err(Error::Limit("a text has a NUL character, which a database cannot keep".into()));
    }
    Ok(())
}

/// Whether a claim names a shard that the store has, by an owner that can be kept.
///
/// # Errors
/// Which of them it does not.
pub(crate) fn check_claim(shard: u16, shards: u16, owner: &str) -> Result<(), Error> {
    if shard >= shards {
        return Err(Error::Limit(format!("shard {shard} was claimed, the store has shards 0 to {}", shards - 1)));
    }
    check_texts([owner])
}

/// Whether a store can be created with so many shards.
///
/// # Errors
/// When not.
pub(crate) fn check_shards(shards: u16) -> Result<(), Error> {
    if (1..=MAX_SHARDS).contains(&shards) {
        return Ok(());
    }
    Err(Error::Limit(format!("a store with {shards} shards was asked for, expected 1 to {MAX_SHARDS}")))
}

/// How many keys a sweep looks at.
///
/// # Errors
/// When it names none or too many, or a text that cannot be kept.
pub(crate) fn check_sweep(sweep: &Sweep) -> Result<u32, Error> {
    if !(1..=MAX_PAGE).contains(&sweep.limit) {
        return Err(Error::Limit(format!("a sweep looks at {} keys, expected 1 to {MAX_PAGE}", sweep.limit)));
    }
    check_texts([sweep.category.as_str()])?;
    check_texts(sweep.after.as_deref())?;
    Ok(sweep.limit)
}

/// Whether so many streams can be read at once.
///
/// # Errors
/// When not.
pub(crate) fn check_streams(streams: &[Uuid]) -> Result<(), Error> {
    if u32::try_from(streams.len()).is_ok_and(|length| length <= MAX_PAGE) {
        return Ok(());
    }
    Err(Error::Limit(format!("{} streams were asked for at once, the limit is {MAX_PAGE}", streams.len())))
}

/// Each stream once, ascending.
pub(crate) fn in_order(streams: &[Uuid]) -> Vec<Uuid> {
    let mut sorted = streams.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// Payload bytes that one read may load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    most: u64,
    taken: u64,
}

impl Budget {
    pub(crate) fn of(most: u64) -> Budget {
        Budget { most, taken: 0 }
    }

    /// Takes the bytes of one more stream if there is room for them; the first always finds room, or nobody would ever read it.
    pub(crate) fn takes(&mut self, bytes: i64) -> bool {
        let taken = self.taken.saturating_add(bytes.unsigned_abs());
        let has_room = bytes == 0 || self.taken == 0 || taken <= self.most;
        if has_room {
            self.taken = taken;
        }
        has_room
    }
}

impl Filter {
    /// Whether it asks for a text that no store can have.
    pub(crate) fn finds_nothing(&self) -> bool {
        let (category, key) = (self.category.as_deref(), self.key.as_deref());
        let only_unknown_statuses = !self.statuses.is_empty() && self.statuses.iter().all(|status| has_nul(status));
        let waits_on_nothing = self.waiting.as_ref().is_some_and(Waiting::finds_nothing);
        let has_no_flag = self.flag.as_deref().is_some_and(|flag| !is_flag(flag));
        let texts = [category, key, self.step.as_deref(), self.code.as_deref(), self.document.as_deref()];
        has_no_flag || waits_on_nothing || only_unknown_statuses || texts.into_iter().flatten().any(has_nul)
    }

    /// The statuses that a store can have, with a comma between two; `None`: any.
    pub(crate) fn statuses_as_text(&self) -> Option<String> {
        let known = self.statuses.iter().map(String::as_str).filter(|status| !has_nul(status));
        (!self.statuses.is_empty()).then(|| known.collect::<Vec<_>>().join(","))
    }
}

pub(crate) fn has_nul(text: &str) -> bool {
    text.contains('\0')
}
