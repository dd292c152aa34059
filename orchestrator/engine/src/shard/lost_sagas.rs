//! The sagas that a shard had in memory when the event store lost some of them.

use super::context::ShardContext;
use super::{ShardLoop, live_saga::SagaSlot};
use saga_core::id::{SagaId, ShardId};
use std::collections::BTreeMap;
use tracing::error;

/// Lost sagas that the log reports one by one; the rest is counted.
const TOLD: u64 = 100;
/// Sagas that the shard looks up one by one; those beyond this number are reported as not open any more.
const ASKED: usize = 1000;

/// Sagas that were open before a step back, with their business keys where they were known.
#[derive(Debug, Default)]
pub(super) struct RememberedSagas(BTreeMap<SagaId, Option<String>>);

impl RememberedSagas {
    /// Keeps what `owned` knows, to be compared with what is read next.
    pub(super) fn keep(&mut self, owned: &ShardLoop) {
        self.0.extend(owned.table.due.sagas().map(|saga| (saga, None)));
        for (saga, slot) in &owned.table.sagas {
            let key = match slot {
                SagaSlot::Ready(live) => Some(live.state.key.clone()),
                SagaSlot::Loading { .. } => None,
            };
            self.0.insert(*saga, key);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that `owned` did not read, and forgets all.
    pub(super) fn missing(&mut self, owned: &ShardLoop) -> MissingSagas {
        let mut missing = std::mem::take(&mut self.0);
        missing.retain(|saga, _| !owned.table.sagas.contains_key(saga) && !owned.table.due.has(*saga));
        MissingSagas(missing)
    }
}

/// Sagas that were open, and were not read again.
#[derive(Debug)]
pub(super) struct MissingSagas(BTreeMap<SagaId, Option<String>>);

impl MissingSagas {
    /// Says which of them the store does not have any more.
    pub(super) async fn report(self, context: &ShardContext, shard: ShardId) {
        let beyond = self.0.len().saturating_sub(ASKED);
        let mut lost = 0u64;
        for (saga, key) in self.0.into_iter().take(ASKED) {
            if !is_there(context, saga).await {
                lost += 1;
                tell(saga, key.as_deref(), lost);
            }
        }
        if lost > 0 {
            metrics::counter!("saga_lost_total").increment(lost);
            error!(
                shard = shard.0,
                lost,
                not_asked_for = beyond,
                "sagas that were open here are not in the event store any more"
            );
        }
    }
}

fn tell(saga: SagaId, key: Option<&str>, number: u64) {
    if number <= TOLD {
        error!(%saga, key, "the saga is lost: the event store does not have it any more. What its participants did for \
         it is on their side only");
    }
}

/// The recovery that follows waits while the store is unavailable; here such a store counts as having the saga.
async fn is_there(context: &ShardContext, saga: SagaId) -> bool {
    context.store.events().summary(saga.uuid()).await.map_or(true, |summary| summary.is_some())
}
