//! Commits the row of an erasure, with the rows before it as they read from then on.

use super::context::ShardContext;
use super::store_retry::until_answered;
use crate::{
    committer::{CommitError, CommitOutcome, GroupCommitter},
    journal::erasing::erased_rows,
};
use saga_event_store::{StreamAppend, StreamErasure};

/// The rows that are read here stay the last ones until the commit: one append of a saga is under way at a time, and
/// this is it.
///
/// # Errors
/// When a row cannot be read, the store refuses, or the committer has stopped.
pub(super) async fn commit(
    context: &ShardContext,
    committer: &GroupCommitter,
    append: StreamAppend,
) -> Result<CommitOutcome, CommitError> {
    let read = || context.store.events().read(append.stream);
    let rows = until_answered(context, "read a saga that is erased", read).await;
    match erased_rows(rows, append.version) {
        Ok(rows) => committer.erase(StreamErasure { append, rows }).await,
        Err(unfit) => Err(CommitError::Impossible(unfit.to_string())),
    }
}
