//! Streams that are read up to a number of bytes.

use crate::Row;
use uuid::Uuid;

/// What was read of several streams: whole streams, in ascending order, none of them twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// All rows of the streams that were reached, by stream and version.
    pub rows: Vec<(Uuid, Row)>,
    /// The streams that were not reached, ascending: ask for them next. Empty: all were read.
    pub left: Vec<Uuid>,
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
