//! States of long streams, kept beside their rows.

use crate::{StoreError, StreamRow, cipher::content_bytes};
use uuid::Uuid;

/// The most bytes of a state that is kept as a snapshot. A larger one would cost more to read than many rows.
pub const MAX_SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;

/// The state of a stream at one of its versions. The store does not read the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSnapshot {
    /// The stream whose state it is.
    pub stream: Uuid,
    /// The version of the last row that the state includes.
    pub version: u32,
    /// [`StreamRow::append_id`] of that row: it distinguishes the row from another one of the same version.
    pub append_id: Uuid,
    /// The shape of `state`, by a number of the writer's own; at least 1.
    pub format: u32,
    /// The state; at most [`MAX_SNAPSHOT_BYTES`], before it is sealed.
    pub state: Vec<u8>,
}

impl StreamSnapshot {
    /// Whether `rows`, which begin at the version of the snapshot, go on from its state.
    #[must_use]
    pub fn is_of(&self, rows: &[StreamRow]) -> bool {
        rows.first().is_some_and(|row| (row.version, row.append_id) == (self.version, self.append_id))
    }
}

/// # Errors
/// [`StoreError::Limit`] when the snapshot breaks a limit.
pub(crate) fn check_snapshot(snapshot: &StreamSnapshot) -> Result<(), StoreError> {
    let bytes = content_bytes(&snapshot.state);
    if bytes > MAX_SNAPSHOT_BYTES {
        return Err(StoreError::Limit(format!("a snapshot has {bytes} bytes, the most are {MAX_SNAPSHOT_BYTES}")));
    }
    let is_number = |number: u32| (1..=i32::MAX.unsigned_abs()).contains(&number);
    if is_number(snapshot.version) && is_number(snapshot.format) {
        return Ok(());
    }
    Err(StoreError::Limit("the version and the format of a snapshot are numbers from 1 to 2147483647".to_owned()))
}
