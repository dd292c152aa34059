//! Reads that are bounded by the bytes that they load.

use crate::StreamRow;
use uuid::Uuid;

/// Whole streams that one bounded read returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamBatch {
    /// All rows of the streams that the read reached, ordered by stream and version. No stream is in it twice.
    pub rows: Vec<(Uuid, StreamRow)>,
    /// The streams that the read did not reach, ascending. The caller asks for them next. Empty: the read reached all.
    pub left: Vec<Uuid>,
}

/// Returns each stream once, ascending.
pub(crate) fn in_order(streams: &[Uuid]) -> Vec<Uuid> {
    let mut sorted = streams.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// The payload bytes that one read may still load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadBudget {
    most: u64,
    taken: u64,
}

impl ReadBudget {
    pub(crate) fn of(most: u64) -> ReadBudget {
        ReadBudget { most, taken: 0 }
    }

    /// Takes the bytes of one more stream if the budget has room. It always has room for the first one: otherwise no
    /// call could ever read a stream that is larger than the budget.
    pub(crate) fn takes(&mut self, bytes: i64) -> bool {
        let taken = self.taken.saturating_add(bytes.unsigned_abs());
        let has_room = bytes == 0 || self.taken == 0 || taken <= self.most;
        if has_room {
            self.taken = taken;
        }
        has_room
    }
}
