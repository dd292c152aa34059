//! Sagas that are not in memory, and sagas that cannot be worked on.

use super::{
    ShardLoop,
    live_saga::{LiveSaga, SagaSlot},
    reading::{self, SagaLoadBatch, SagaLoadResult},
};
use crate::{
    admission::AdmissionControl,
    dead_letter::DeadLetter,
    message::{MessageContent, MessageOutcome, NO_SAGA, SAGA_LEFT, ShardMessage},
};
use saga_core::{decide, id::SagaId, input::SagaInput, state::SagaTimers};
use saga_wire::poison::PoisonCode;
use std::{collections::VecDeque, sync::Arc};
use tracing::error;

/// Whether a saga that was read has gone on.
pub(super) enum ResumeOutcome {
    /// What is outstanding has left, or waits.
    Resumed,
    /// Something is due since then, which comes before anything leaves.
    TimerDue(SagaTimers),
}

impl ShardLoop {
    pub(super) fn load(&mut self, saga: SagaId, waiting: VecDeque<ShardMessage>) {
        if waiting.is_empty() {
            return;
        }
        self.mark_loading(saga, waiting);
        self.load_all(vec![saga]);
    }

    /// The saga is about to be loaded.
    pub(super) fn mark_loading(&mut self, saga: SagaId, waiting: VecDeque<ShardMessage>) {
        self.table.sagas.insert(saga, SagaSlot::Loading { waiting });
        self.recovery.iter_mut().for_each(|recovery| recovery.mark_loaded(saga));
    }

    /// Reads sagas for which something waits.
    pub(super) fn load_all(&mut self, sagas: Vec<SagaId>) {
        if sagas.is_empty() {
            return;
        }
        let context = Arc::clone(&self.context);
        self.loads.push(Box::pin(async move { reading::portion(&context, sagas).await }));
    }

    pub(super) fn all_loaded(&mut self, read: SagaLoadBatch) {
        self.load_all(read.left);
        for (saga, loaded) in read.sagas {
            self.loaded(saga, loaded);
        }
    }

    /// The last decision cannot be trusted: the shard reads the saga again, parks it where its journal ends, and only
    /// then delivers the waiting messages.
    pub(super) fn read_and_park(&mut self, live: LiveSaga, reason: String) {
        let (saga, trace_id, mut waiting) = (live.state.id, live.state.trace().trace, live.waiting);
        error!(%saga, key = live.state.key, %trace_id, reason, "the saga's last decision cannot be trusted or written: it is parked, and the shard continues");
        metrics::counter!("saga_stopped_total").increment(1);
        self.table.to_park.insert(saga, reason);
        // The shard ignores a load without waiting messages, so one is added.
        waiting.push_back(ShardMessage::of(saga, SagaInput::TimeReached));
        self.load(saga, waiting);
    }

    fn park(&mut self, saga: SagaId, live: &mut LiveSaga, reason: String) {
        let mut admissions = AdmissionControl::new(
            &self.context.sources,
            self.context.clock.now(),
            &self.table.answerable,
            live.permits.draft(),
        );
        let mark = self.context.outputs.traces.mark(&live.state);
        let parked = admissions
            .with_context(|context| live.state.decide(|state| decide::park(&live.plan, state, reason, context)));
        drop(admissions);
        live.mark = mark;
        if let Some(decision) = parked {
            self.append(saga, live, ShardMessage::of(saga, SagaInput::TimeReached), decision);
        }
    }

    fn loaded(&mut self, saga: SagaId, loaded: SagaLoadResult) {
        let Some(SagaSlot::Loading { waiting }) = self.table.sagas.remove(&saga) else { return };
        match loaded {
            Ok(Some(recorded)) => {
                let mut live = Box::new(LiveSaga::restored(recorded, &self.table.answerable));
                live.waiting = waiting;
                self.clear_quarantine(saga, &mut live);
                match self.table.to_park.remove(&saga) {
                    Some(reason) => self.park(saga, &mut live, reason),
                    None => self.resume_now(saga, &mut live),
                }
                self.process_pending(saga, live);
            }
            Ok(None) => {
                report_vanished(saga, &waiting);
                waiting.into_iter().for_each(|message| self.unknown_saga(message));
            }
            Err(error) => {
                self.quarantine(saga, &error);
                waiting.into_iter().for_each(|message| self.reject_unreadable(saga, message, &error));
            }
        }
    }

    /// A saga that was read goes on: what is due is looked at before anything leaves again, for it may have been given
    /// up by now.
    pub(super) fn resume(&mut self, saga: SagaId, live: &mut LiveSaga) -> ResumeOutcome {
        if let Some(dues) = self.due_now(live) {
            return ResumeOutcome::TimerDue(dues);
        }
        self.dispatch_outstanding(saga, live);
        self.set_due(saga, live);
        ResumeOutcome::Resumed
    }

    /// What came for it was there before its time is looked at.
    fn resume_now(&mut self, saga: SagaId, live: &mut LiveSaga) {
        let is_timer = |message: &ShardMessage| {
            matches!(message.body, MessageContent::Input { input: SagaInput::TimeReached, .. })
        };
        match self.resume(saga, live) {
            ResumeOutcome::Resumed => {}
            ResumeOutcome::TimerDue(_) if live.waiting.iter().any(is_timer) => {}
            ResumeOutcome::TimerDue(_) => live.waiting.push_back(ShardMessage::of(saga, SagaInput::TimeReached)),
        }
    }

    /// The shard was about to report a start to the saga that has its key.
    pub(super) fn unknown_saga(&self, message: ShardMessage) {
        if let MessageContent::Start { .. } | MessageContent::Rerun { .. } = message.body {
            return message.receipt.settle(MessageOutcome::UnknownSaga);
        }
        if let MessageContent::Reply(reply) = &message.body
            && self.context.store.journal.horizon().may_have_left(reply.command.saga)
        {
            metrics::counter!("saga_archived_replies_total").increment(1);
            return message.receipt.settle(MessageOutcome::Ignored(SAGA_LEFT.to_owned()));
        }
        let letter = DeadLetter::new(PoisonCode::UnknownSaga, NO_SAGA);
        self.reject(message, letter, MessageOutcome::UnknownSaga);
    }

    pub(super) fn dead_letter(&self, message: ShardMessage, code: PoisonCode, reason: &str) {
        error!(shard = self.shard.0, %code, reason, "a message is set aside");
        self.reject(message, DeadLetter::new(code, reason), MessageOutcome::Refused(reason.to_owned()));
    }

    /// A message that cannot be processed goes to the DLQ if it came as a record. An operator that waits for an act is
    /// notified.
    fn reject(&self, message: ShardMessage, letter: DeadLetter, told: MessageOutcome) {
        match (message.record, message.receipt) {
            (Some(record), receipt) => self.context.outputs.letters.send(record, receipt, letter),
            (None, receipt) => receipt.settle(told),
        }
    }

    /// Everything that is held and not settled. Timers are left out: the next owner has its own.
    pub(super) fn take_unfinished(&mut self) -> Vec<ShardMessage> {
        let repeated = std::mem::take(&mut self.table.deferred_messages).into_iter().map(|(_, message)| message);
        let starting: Vec<ShardMessage> = self.table.starting.take_all().chain(repeated).collect();
        let slots = std::mem::take(&mut self.table.sagas).into_values();
        let waiting = slots.flat_map(|slot| match slot {
            SagaSlot::Loading { waiting } => waiting,
            SagaSlot::Ready(live) => live.waiting,
        });
        let is_timer = |message: &ShardMessage| {
            matches!(
                message.body,
                MessageContent::Input { input: SagaInput::TimeReached | SagaInput::Released { .. }, .. }
            )
        };
        starting.into_iter().chain(waiting.filter(|message| !is_timer(message))).collect()
    }
}

/// A timer, a call or a guard's line of this engine knew the saga, so it was in the store.
fn report_vanished(saga: SagaId, waiting: &VecDeque<ShardMessage>) {
    if waiting.iter().any(ShardMessage::is_own) {
        metrics::counter!("saga_lost_total").increment(1);
        error!(%saga, "the saga is lost: something is due of it here, and the event store does not have it any more. \
         Look for it by hand, and see docs/operations.md, `A database that lost commits`");
    }
}
