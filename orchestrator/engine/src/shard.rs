//! One task per owned shard: the task claims the shard, reads back what is open, and then is the only writer of its
//! sagas until it is fenced or stopped.
//!
//! Nothing is awaited between a decision and the queueing of its append. Effects leave from a `CommittedState` only: a
//! state that was read from the journal or whose append the store has acknowledged.
//!
//! [`owner`] claims the shard and runs a [`ShardLoop`] for as long as it is not fenced. `table` holds the shard's sagas
//! and does no I/O; the other modules are what the loop does, each for one kind of event.

mod abandoning;
mod answer_watermark;
mod context;
mod course_lines;
mod effects;
mod erasing;
mod incidents;
mod listing;
mod live_saga;
mod loading;
mod lost_sagas;
mod owner;
mod reading;
mod recovery;
mod reruns;
mod saga_metrics;
mod shard_loop;
mod snapshots;
mod starts;
mod store_retry;
mod table;
#[cfg(test)]
mod tests;
mod unclaimed_queue;
mod unreadable;
mod wait_registry;

pub(crate) use context::{ShardContext, ShardOutputs, ShardStore};
pub(crate) use owner::run;

use super::{
    committer::{CommitError, CommitOutcome},
    load_permits::LoadPermitQueue,
};
use futures_util::{future::BoxFuture, stream::FuturesUnordered};
use reading::SagaLoadBatch;
use recovery::ShardRecovery;
use saga_core::{
    answerable::AnswerWatermark,
    id::{SagaId, ShardId},
};
use saga_event_store::ShardEpoch;
use std::sync::Arc;
use table::ShardTable;

/// The reason why the task no longer works on the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnershipEnd {
    Stopped,
    Fenced,
}

/// A shard under one epoch: its sagas, and what of them is under way.
struct ShardLoop {
    context: Arc<ShardContext>,
    shard: ShardId,
    epoch: ShardEpoch,
    table: ShardTable,
    appends: FuturesUnordered<BoxFuture<'static, (SagaId, Result<CommitOutcome, CommitError>)>>,
    loads: FuturesUnordered<BoxFuture<'static, SagaLoadBatch>>,
    /// `None`: everything that was open at the claim has been looked at.
    recovery: Option<ShardRecovery>,
    /// Permits to bring sagas into memory.
    load_permits: LoadPermitQueue,
    /// Another owner has the shard: nothing more is taken.
    fenced: bool,
}

impl ShardLoop {
    fn new(context: Arc<ShardContext>, shard: ShardId, epoch: ShardEpoch, answerable: AnswerWatermark) -> ShardLoop {
        ShardLoop {
            recovery: Some(ShardRecovery::begin(&context, shard)),
            load_permits: LoadPermitQueue::of(&context.load_permits),
            context,
            shard,
            epoch,
            table: ShardTable::new(answerable),
            appends: FuturesUnordered::new(),
            loads: FuturesUnordered::new(),
            fenced: false,
        }
    }
}
