//! Sagas whose journal cannot be read, or not be written on: they park alone, are shown so, and are tried again now and
//! then.

use super::{ShardLoop, live_saga::LiveSaga};
use crate::{
    journal::{self, shown},
    row::{shown_text, word},
};
use saga_core::{
    id::SagaId,
    state::{SagaStatus, SagaTimers},
};
use saga_event_store::{MarkOutcome, StreamMark};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tracing::{debug, error, info, warn};

/// Before it is tried again, for the first time.
const FIRST_REST: Duration = Duration::from_secs(30);
/// The longest retry delay: an operator may have repaired the saga.
const LONGEST_REST: Duration = Duration::from_secs(600);
/// The reason that is shown is no longer than this.
const REASON_BYTES: usize = 500;
/// Of a saga that is left out.
const UNREADABLE: &str = "unreadable";

/// How often each was tried in vain. As many as there are damaged sagas.
pub(super) type UnreadableSagas = HashMap<SagaId, u32>;

impl ShardLoop {
    /// One saga that cannot be read must not stop the shard: it stays as it is, and is tried again.
    pub(super) fn quarantine(&mut self, saga: SagaId, error: &journal::JournalError) {
        self.quarantine_for(saga, shown::unreadable(error));
    }

    /// The same of one that cannot be written on.
    pub(super) fn quarantine_for(&mut self, saga: SagaId, reason: String) {
        let tries = self.table.unreadable.entry(saga).or_default();
        *tries = tries.saturating_add(1);
        let rest = FIRST_REST.saturating_mul(2_u32.saturating_pow(*tries - 1)).min(LONGEST_REST);
        if *tries > 1 {
            debug!(%saga, reason, "the saga is left out still");
        } else {
            error!(%saga, reason, "the saga is left out; the shard goes on without it, and tries it again now and \
             then");
            metrics::counter!("saga_unreadable_total").increment(1);
        }
        // At each try: the store may not have taken the last mark, and the same mark again changes nothing.
        self.show(saga, SagaStatus::Parked, Some(reason), Some(UNREADABLE.to_owned()));
        let now = self.context.clock.now();
        self.table.due.set(saga, SagaTimers { timer: Some(now.plus(rest)), deadline: None });
    }

    /// A saga that was left out can be read again: what it is is shown again.
    pub(super) fn clear_quarantine(&mut self, saga: SagaId, live: &mut LiveSaga) {
        if self.table.unreadable.remove(&saga).is_none() {
            return;
        }
        info!(%saga, key = live.state.key, trace_id = %live.state.trace().trace, "the saga can be read again and goes on");
        live.shown = None;
        let (_, reason) = live.state.focus(&live.plan);
        self.show(saga, live.state.status(), reason, live.state.stands().code);
    }

    /// Shows the status in the read model, beside the journal. Nothing depends on it: a reader that does not see it
    /// sees what was shown before.
    fn show(&self, saga: SagaId, status: SagaStatus, reason: Option<String>, code: Option<String>) {
        let mark = StreamMark {
            shard: self.shard.0,
            epoch: self.epoch,
            stream: saga.uuid(),
            status: status.as_str().to_owned(),
            reason: reason.map(|reason| shown_text(&reason, REASON_BYTES)),
            code: code.map(|code| word(&code)),
            at_ms: self.context.clock.now().0,
        };
        let context = Arc::clone(&self.context);
        self.context.outputs.tasks.spawn(async move {
            match context.store.events().mark(&mark).await {
                Ok(MarkOutcome::Shown) => {}
                Ok(MarkOutcome::Fenced) => debug!(%saga, "the saga is another owner's by now"),
                Err(error) => warn!(%saga, %error, "the engine could not mark the saga as parked in the lists"),
            }
        });
    }
}
