//! Until when the owners of shards attended to them, and when nobody did.

use crate::{MAX_SHARDS, ShardEpoch, StoreError};

/// A span in which nobody attended to a shard, in milliseconds since the epoch by its owners' clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttendanceGap {
    /// When it began.
    pub began_ms: i64,
    /// When it was over.
    pub ended_ms: i64,
}

/// A shard's owner attended to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttendanceRecord {
    /// Which shard.
    pub shard: u16,
    /// Under which claim: of an older one nothing is kept.
    pub epoch: ShardEpoch,
    /// Until when.
    pub until_ms: i64,
    /// When nobody had, that is not on record yet.
    pub gaps: Vec<AttendanceGap>,
}

/// What is on record of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardAttendance {
    /// Until when its owners attended to it; `None`: nobody ever said so.
    pub until_ms: Option<i64>,
    /// When nobody did, in order of their beginning.
    pub gaps: Vec<AttendanceGap>,
}

/// # Errors
/// When it says more than there can be.
pub(crate) fn check_attended(all: &[AttendanceRecord]) -> Result<(), StoreError> {
    if all.len() > usize::from(MAX_SHARDS) {
        return Err(StoreError::Limit(format!("{} shards are attended to, the limit is {MAX_SHARDS}", all.len())));
    }
    Ok(())
}
