//! What a new owner does first, beside taking messages: read the journals of what is open, and let leave again what was
//! not answered.
//!
//! A portion at a time is read and looked at, of all shards together a few: what only waits for a time leaves no more
//! than that time, what is due is read again when its turn comes. So a million open sagas do not need a million states,
//! and the first of them goes on at once.

use super::{
    ShardLoop,
    context::ShardContext,
    listing,
    live_saga::LiveSaga,
    loading::ResumeOutcome,
    reading::{self, SagaLoadResult},
};
use crate::{load_permits::LoadPermitShare, message::ShardMessage};
use saga_core::id::{SagaId, ShardId};
use std::{collections::BTreeSet, sync::Arc};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};
use tracing::info;
use uuid::Uuid;

/// The number of sagas in one page of the listing.
const PAGE: u32 = 250;

/// The open sagas that were there when the shard was claimed, as far as the shard has not looked at them yet.
#[derive(Debug)]
pub(super) struct ShardRecovery {
    found: mpsc::Receiver<RecoveryBatch>,
    reader: JoinHandle<()>,
    /// Up to here all have been looked at: ids ascend.
    reached: Uuid,
    /// Those beyond it that something else has brought into memory: what was read of them may be old.
    touched: BTreeSet<Uuid>,
    sagas: usize,
}

/// A portion of the open sagas, as they were read.
#[derive(Debug)]
pub(super) struct RecoveryBatch {
    sagas: Vec<(SagaId, SagaLoadResult)>,
    /// Until it was looked at, so that few are in memory.
    _turn: OwnedSemaphorePermit,
}

impl ShardRecovery {
    pub(super) fn begin(context: &Arc<ShardContext>, shard: ShardId) -> ShardRecovery {
        let (portions, found) = mpsc::channel(1);
        let reader = tokio::spawn(read_open(Arc::clone(context), shard, portions));
        ShardRecovery { found, reader, reached: Uuid::nil(), touched: BTreeSet::new(), sagas: 0 }
    }

    /// Something else has brought the saga into memory.
    pub(super) fn mark_loaded(&mut self, saga: SagaId) {
        if saga.uuid() > self.reached {
            self.touched.insert(saga.uuid());
        }
    }

    fn reach(&mut self, saga: SagaId) -> bool {
        // Ids come in ascending order, so one id says of all before it that they were looked at.
        self.reached = self.reached.max(saga.uuid());
        self.sagas += 1;
        !self.touched.remove(&saga.uuid())
    }
}

impl Drop for ShardRecovery {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The next portion; never if nothing is recovered. `None`: that was all.
pub(super) async fn next(recovery: &mut Option<ShardRecovery>) -> Option<RecoveryBatch> {
    match recovery {
        Some(recovery) => recovery.found.recv().await,
        None => std::future::pending().await,
    }
}

async fn read_open(context: Arc<ShardContext>, shard: ShardId, portions: mpsc::Sender<RecoveryBatch>) {
    let mut after = None;
    loop {
        let page = listing::open_page(&context, shard, after, PAGE).await;
        let Some(last) = page.last().copied() else { return };
        after = Some(last);
        let mut left: Vec<SagaId> = page.into_iter().filter_map(SagaId::from_uuid).collect();
        while !left.is_empty() {
            // Before the read, and kept until the portion was looked at: what is read is in memory from then on.
            let Ok(turn) = Semaphore::acquire_owned(Arc::clone(&context.store.recovering)).await else { return };
            let read = reading::portion(&context, left).await;
            left = read.left;
            if portions.send(RecoveryBatch { sagas: read.sagas, _turn: turn }).await.is_err() {
                return;
            }
        }
    }
}

impl ShardLoop {
    /// Looks at everything that was open when the shard was claimed.
    pub(super) async fn recover_all(&mut self) {
        while self.recovery.is_some() {
            let found = next(&mut self.recovery).await;
            self.on_recovery_batch(found);
        }
    }

    /// Looks at a portion of what was open when the shard was claimed.
    pub(super) fn on_recovery_batch(&mut self, found: Option<RecoveryBatch>) {
        let Some(found) = found else { return self.recovery_ended() };
        let mut lent = LoadPermitShare::default();
        for (saga, loaded) in found.sagas {
            // What a message has brought into memory meanwhile has perhaps gone on: the portion may be older than it.
            let is_new = self.recovery.as_mut().is_none_or(|recovery| recovery.reach(saga));
            if is_new && !self.table.sagas.contains_key(&saga) {
                self.look_at(saga, loaded, &mut lent);
            }
        }
    }

    fn recovery_ended(&mut self) {
        let sagas = self.recovery.take().map_or(0, |recovery| recovery.sagas);
        self.context.outputs.observer.taken_over(sagas);
        if sagas > 0 {
            info!(shard = self.shard.0, sagas, "open sagas taken over");
        }
    }

    fn look_at(&mut self, saga: SagaId, loaded: SagaLoadResult, lent: &mut LoadPermitShare) {
        match loaded {
            Ok(Some(recorded)) => {
                let mut live = Box::new(LiveSaga::restored(recorded, &self.table.answerable));
                match self.resume(saga, &mut live) {
                    ResumeOutcome::Resumed => self.process_pending(saga, live),
                    ResumeOutcome::TimerDue(dues) => match lent.next_clone(&mut self.load_permits) {
                        Some(turn) => {
                            live.waiting.push_back(ShardMessage::time_reached(saga, turn));
                            self.process_pending(saga, live);
                        }
                        // It is read again when its turn comes: all of them may be due.
                        None => self.table.due.set(saga, dues),
                    },
                }
            }
            Ok(None) => {}
            Err(error) => self.quarantine(saga, &error),
        }
    }
}
