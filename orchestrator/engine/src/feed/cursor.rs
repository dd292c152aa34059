//! Cursors: where a reader of the feed goes on.

use saga_event_store::{FeedPosition, PositionSyntaxError};
use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Where a reader goes on: after a row, or after some of its events. Its text is that of the row's position, and behind
/// it the number of events that the reader has, unless it has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCursor {
    row: FeedPosition,
    taken: Option<u16>,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedStart {
    /// With the oldest event that the feed has.
    Oldest,
    /// With the next event.
    Newest,
    /// After a cursor.
    After(EventCursor),
}

impl EventCursor {
    pub(crate) fn after_row(row: FeedPosition) -> EventCursor {
        EventCursor { row, taken: None }
    }

    /// After `taken` of the `all` events of a row.
    pub(super) fn after_event(row: FeedPosition, taken: u16, all: usize) -> EventCursor {
        EventCursor { row, taken: Some(taken).filter(|taken| usize::from(*taken) < all) }
    }

    pub(crate) fn row(self) -> FeedPosition {
        self.row
    }

    pub(super) fn is_within_a_row(self) -> bool {
        self.taken.is_some()
    }

    /// The position after which the store reads.
    pub(super) fn read_after(self) -> FeedPosition {
        if self.taken.is_some() { self.row.before() } else { self.row }
    }

    /// How many events of the row at `position` the reader has.
    pub(super) fn taken_of(self, position: FeedPosition) -> usize {
        if self.row == position { self.taken.map_or(0, usize::from) } else { 0 }
    }

    pub(super) fn is_end_of(self, newest: FeedPosition) -> bool {
        self.taken.is_none() && self.row == newest
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.taken {
            None => write!(f, "{}", self.row),
            Some(taken) => write!(f, "{}.{taken}", self.row),
        }
    }
}

impl Serialize for EventCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Parts of the text of a row's position.
const ROW_PARTS: usize = 4;

impl FromStr for EventCursor {
    type Err = PositionSyntaxError;

    fn from_str(text: &str) -> Result<EventCursor, PositionSyntaxError> {
        if text.split('.').count() <= ROW_PARTS {
            return Ok(EventCursor::after_row(text.parse()?));
        }
        let wrong = || PositionSyntaxError(text.chars().take(100).collect());
        let (row, taken) = text.rsplit_once('.').ok_or_else(wrong)?;
        let taken = taken.parse::<u16>().ok().filter(|number| *number > 0 && number.to_string() == taken);
        Ok(EventCursor { row: row.parse().map_err(|_| wrong())?, taken: Some(taken.ok_or_else(wrong)?) })
    }
}

impl FromStr for FeedStart {
    type Err = PositionSyntaxError;

    fn from_str(text: &str) -> Result<FeedStart, PositionSyntaxError> {
        match text {
            "oldest" => Ok(FeedStart::Oldest),
            "newest" => Ok(FeedStart::Newest),
            cursor => Ok(FeedStart::After(cursor.parse()?)),
        }
    }
}
