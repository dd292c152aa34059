//! Snapshots of long sagas: the owner keeps one after a commit, beside its work, and a later owner reads it in place of
//! the rows before it. Without one the whole journal is read.

use super::{ShardLoop, context::ShardContext, live_saga::LiveSaga};
use crate::journal::{
    RecordedSaga,
    snapshots::{self, SNAPSHOT_ROWS, SnapshotUnused},
};
use saga_core::{id::SagaId, state::SagaState};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tracing::{debug, warn};
use uuid::Uuid;

/// Sagas of one portion that are read from their snapshots: each may take some megabytes.
const MOST_RESUMED: usize = 16;

impl ShardLoop {
    /// After a commit: keeps a snapshot at every [`SNAPSHOT_ROWS`] rows, and removes it when the saga has ended.
    /// Nothing waits for it. If as many are being written as may be, or the store does not answer, this version has
    /// none.
    pub(super) fn keep_snapshot(&self, live: &LiveSaga, append_id: Uuid) {
        let version = live.state.version;
        let is_over = live.state.status().is_terminal();
        if version < SNAPSHOT_ROWS || !(is_over || version.is_multiple_of(SNAPSHOT_ROWS)) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.context.store.snapshots).try_acquire_owned() else {
            return count("skipped");
        };
        let (context, plan, state) = (Arc::clone(&self.context), Arc::clone(&live.plan), SagaState::clone(&live.state));
        self.context.outputs.tasks.spawn(async move {
            if is_over {
                remove(&context, state.id).await;
            } else if let Some(snapshot) = snapshots::taken(&plan, &state, append_id) {
                keep(&context, state.id, snapshot).await;
            } else {
                count("tooLarge");
            }
            drop(permit);
        });
    }
}

async fn keep(context: &ShardContext, saga: SagaId, snapshot: saga_event_store::StreamSnapshot) {
    match context.store.events().put_snapshot(&snapshot).await {
        Ok(()) => count("written"),
        Err(error) => {
            count("failed");
            debug!(%saga, %error, "the state of a long saga could not be kept; its journal is read whole");
        }
    }
}

async fn remove(context: &ShardContext, saga: SagaId) {
    if let Err(error) = context.store.events().remove_snapshots(&[saga.uuid()]).await {
        debug!(%saga, %error, "the snapshot of a saga that has ended stays");
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("saga_snapshots_total", "outcome" => outcome).increment(1);
}

/// Those of `sagas` that have snapshots, read from these on; and from which one on there are too many for one portion.
pub(super) async fn resumed(
    context: &ShardContext,
    sagas: &[SagaId],
) -> (BTreeMap<SagaId, RecordedSaga>, Option<SagaId>) {
    let mut with = with_snapshots(context, sagas).await;
    let beyond = with.iter().nth(MOST_RESUMED).copied();
    if let Some(beyond) = beyond {
        with.split_off(&beyond);
    }
    let mut resumed = BTreeMap::new();
    for saga in with {
        let _turn = context.store.reads.acquire().await;
        match context.store.journal.resumed(saga).await {
            Ok(recorded) => {
                count("used");
                resumed.insert(saga, recorded);
            }
            Err(unused) => told(saga, &unused),
        }
    }
    (resumed, beyond)
}

/// A store that does not answer counts as having none: the read that follows waits for it.
async fn with_snapshots(context: &ShardContext, sagas: &[SagaId]) -> BTreeSet<SagaId> {
    let ids: Vec<Uuid> = sagas.iter().map(|saga| saga.uuid()).collect();
    let _turn = context.store.reads.acquire().await;
    let known = context.store.events().snapshot_versions(&ids).await.unwrap_or_default();
    known.into_iter().filter_map(|(stream, _)| SagaId::from_uuid(stream)).collect()
}

fn told(saga: SagaId, unused: &SnapshotUnused) {
    metrics::counter!("saga_snapshots_ignored_total", "reason" => unused.as_str()).increment(1);
    warn!(%saga, reason = %unused, "the snapshot of the saga is not used; its journal is read whole");
}
