//! What the read model says of a stream whose own rows cannot be read.

use crate::{Epoch, Error, limits::check_texts};
use uuid::Uuid;

/// A change of the read model without a row of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The stream's shard.
    pub shard: u16,
    /// The writer's epoch of that shard.
    pub epoch: Epoch,
    /// The stream. One that is not open is left as it is.
    pub stream: Uuid,
    /// A word. The stream stays open.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// What failed, in a word.
    pub code: Option<String>,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// The read model says so, if it knows the stream as open.
    Shown,
    /// Somebody claimed the shard; nothing was changed.
    Fenced,
}

/// Whether a mark can be kept.
///
/// # Errors
/// When not.
pub(crate) fn check_mark(mark: &Mark) -> Result<(), Error> {
    check_texts([mark.status.as_str()])?;
    check_texts(mark.reason.as_deref())?;
    check_texts(mark.code.as_deref())
}
