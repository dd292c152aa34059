//! Records of when shards had an owner that worked on them.

use crate::{MAX_SHARDS, ShardEpoch, StoreError};

/// A period in which no engine attended to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttendanceGap {
    /// The end of the last attendance before the gap, by that owner's clock, in milliseconds since the Unix epoch.
    pub began_ms: i64,
    /// The begin of the next attendance, by the next owner's clock, in milliseconds since the Unix epoch.
    pub ended_ms: i64,
}

/// An owner's report that it attended to its shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttendanceRecord {
    /// The shard that the owner has claimed.
    pub shard: u16,
    /// What the owner's claim returned. The store ignores a report under an older epoch.
    pub epoch: ShardEpoch,
    /// Until when the owner attended to the shard, by its clock, in milliseconds since the Unix epoch.
    pub until_ms: i64,
    /// Gaps before this report that the store does not have yet.
    pub gaps: Vec<AttendanceGap>,
}

/// What the store has recorded about a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardAttendance {
    /// The latest [`AttendanceRecord::until_ms`]; `None`: the store has no report about the shard.
    pub until_ms: Option<i64>,
    /// The gaps, ordered by their begin.
    pub gaps: Vec<AttendanceGap>,
}

/// # Errors
/// [`StoreError::Limit`] when there are more reports than a store can have shards.
pub(crate) fn check_attended(all: &[AttendanceRecord]) -> Result<(), StoreError> {
    if all.len() > usize::from(MAX_SHARDS) {
        return Err(StoreError::Limit(format!("a call reports {} shards, the limit is {MAX_SHARDS}", all.len())));
    }
    Ok(())
}
