//! Rows of the read model that are written anew from the rows of their streams.

use crate::{
    StoreError, SummaryUpdate,
    limits::{MAX_CATEGORY_BYTES, MAX_KEY_BYTES, check_length, check_summary, check_texts},
};
use uuid::Uuid;

/// The row of a stream in the read model, as all rows of the stream up to a version say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRepair {
    /// The shard that the stream belongs to.
    pub shard: u16,
    /// The stream whose row in the read model is written.
    pub stream: Uuid,
    /// The version of the last row that the caller read.
    pub version: u32,
    /// [`crate::StreamAppend::category`].
    pub category: String,
    /// [`crate::StreamAppend::key`].
    pub key: String,
    /// What the read model says from now on.
    pub summary: SummaryUpdate,
    /// When the row was recorded that changed the read model last, in milliseconds since the Unix epoch.
    pub updated_at_ms: i64,
    /// When the content of the rows was erased; `None`: it is there.
    pub erased_at_ms: Option<i64>,
}

/// The result of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairOutcome {
    /// The read model has the row.
    Repaired,
    /// The last row of the stream has another version, or the stream has no rows. The store changed nothing. Read the
    /// stream again.
    Outdated,
}

/// # Errors
/// [`StoreError::Limit`] when an append with these values would break a limit, or the store does not have the shard.
pub(crate) fn check_repair(repair: &StreamRepair, shards: u16) -> Result<(), StoreError> {
    if repair.shard >= shards {
        let last = shards - 1;
        return Err(StoreError::Limit(format!(
            "a repair names shard {}, the store has shards 0 to {last}",
            repair.shard
        )));
    }
    check_length("key", &repair.key, MAX_KEY_BYTES)?;
    check_length("category", &repair.category, MAX_CATEGORY_BYTES)?;
    check_texts([repair.key.as_str(), repair.category.as_str()])?;
    check_summary(&repair.summary)
}
