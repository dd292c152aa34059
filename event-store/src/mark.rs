//! Changes of the read model for streams whose rows cannot be read.

use crate::{ShardEpoch, StoreError, limits::check_texts};
use uuid::Uuid;

/// A change of the read model that no row of the stream causes. The store leaves a stream unchanged that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamMark {
    /// The shard that the stream belongs to.
    pub shard: u16,
    /// What the writer's claim of the shard returned.
    pub epoch: ShardEpoch,
    /// The stream whose row in the read model changes.
    pub stream: Uuid,
    /// The new status. The stream stays open.
    pub status: String,
    /// Why the stream has this status, for people.
    pub reason: Option<String>,
    /// A word for what failed.
    pub code: Option<String>,
    /// When the writer decided the mark, by its clock, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// The result of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkOutcome {
    /// The read model has the mark if the stream is open there.
    Shown,
    /// The shard was claimed again, so the epoch is too old. The store changed nothing.
    Fenced,
}

/// # Errors
/// [`StoreError::Limit`] when the mark has a text that a database cannot store.
pub(crate) fn check_mark(mark: &StreamMark) -> Result<(), StoreError> {
    check_texts([mark.status.as_str()])?;
    check_texts(mark.reason.as_deref())?;
    check_texts(mark.code.as_deref())
}
