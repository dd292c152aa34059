//! What people did to streams, as an index over the rows that their acts made.

use uuid::Uuid;

/// Most acts in one page.
pub const MAX_ACTS: u32 = 10_000;

/// An act of a person that made a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAct {
    /// The id by which the act is known again.
    pub id: String,
    /// The person.
    pub who: String,
    /// What was done, in words.
    pub action: String,
    /// Why, in the words of the person.
    pub reason: String,
}

/// Where a row is in the order of acts, which is that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActPosition {
    /// [`crate::StreamAppend::recorded_at_ms`] of the row.
    pub at_ms: i64,
    /// The stream of the row.
    pub stream: Uuid,
    /// The version of the row.
    pub version: u32,
}

impl ActPosition {
    /// After all acts.
    pub const END: ActPosition = ActPosition { at_ms: i64::MAX, stream: Uuid::max(), version: i32::MAX.unsigned_abs() };
}

/// Which acts are wanted, by one index each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActSelection {
    /// All.
    All,
    /// Those of this person.
    By(String),
    /// Those on this stream.
    On(Uuid),
}

/// A page of acts, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActQuery {
    /// Which acts.
    pub scope: ActSelection,
    /// Only acts at this time or later, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Only acts before this position.
    pub before: ActPosition,
    /// At most so many, and at most [`MAX_ACTS`].
    pub limit: u32,
}

/// An act with the row that it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAct {
    /// Where the row is.
    pub position: ActPosition,
    /// The business key of the stream: [`crate::StreamAppend::key`].
    pub key: String,
    /// The act.
    pub act: StreamAct,
}
