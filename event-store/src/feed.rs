//! The feed: the rows of all streams in one order, in which a reader that goes on after the last row it has read misses
//! none and gets none twice.
//!
//! The order is that of the transactions' ids, and a page ends before the oldest transaction that runs. So a row that
//! is committed late never comes to stand behind a reader. Rows of one stream are in the order of their versions.

mod position;

pub use position::{FeedPosition, PositionSyntaxError};

use crate::{StoreError, StreamRow};
use uuid::Uuid;

/// A row of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRow {
    /// Where the row is in the feed. A reader goes on after it.
    pub position: FeedPosition,
    /// The stream of the row.
    pub stream: Uuid,
    /// The version of the row in its stream.
    pub version: u32,
    /// The row; `None`: the journal no longer has it, because the stream was archived or dropped.
    pub row: Option<StreamRow>,
}

/// A page of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPage {
    /// Rows after the position that the caller gave; empty: there are no more for now.
    pub rows: Vec<FeedRow>,
    /// How far the feed goes.
    pub extent: FeedExtent,
}

/// From where to where the feed goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedExtent {
    /// The position before the oldest row that the feed has.
    pub oldest: FeedPosition,
    /// The position of the newest row that can be read.
    pub newest: FeedPosition,
    /// When the newest transaction that can be read recorded its rows, in milliseconds since the Unix epoch; `None`:
    /// there is none, or the journal no longer has its row.
    pub newest_at_ms: Option<i64>,
    /// When the oldest transaction was recorded that is committed and cannot be read yet, because an older transaction
    /// of the database server runs; `None`: the feed has all that is committed.
    pub held_since_ms: Option<i64>,
}

/// Why the store does not read on after a position.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The store cannot read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The feed no longer has the rows after the position.
    #[error(
        "the feed no longer has the rows after cursor {after}: they were archived or dropped. \
         Take what is missing from the sagas or the archive, and go on after {oldest}"
    )]
    Forgotten {
        /// The position that the caller gave.
        after: FeedPosition,
        /// The oldest position after which the feed has all rows.
        oldest: FeedPosition,
    },
    /// The store does not have the row of the position.
    #[error(
        "this store does not have the event of cursor {after}: the cursor belongs to another store, or the database was \
         put back to an older state and the reader has seen events that are lost. Check what the reader did with \
         them, and go on after {newest}, or read again after {oldest}"
    )]
    Unknown {
        /// The position that the caller gave.
        after: FeedPosition,
        /// The oldest position after which the feed has all rows.
        oldest: FeedPosition,
        /// The position of the newest row.
        newest: FeedPosition,
    },
}
