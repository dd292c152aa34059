//! Starts of sagas, and what becomes of a second one with the same key.

use super::{
    ShardLoop,
    context::ShardContext,
    live_saga::{InFlightAppend, LiveSaga, SagaSlot},
    reruns::settle_rerun,
};
use crate::{
    admission::AdmissionControl,
    idempotency,
    message::{MessageContent, MessageOutcome, ShardMessage, coordinates},
    permit_table::PermitTable,
    row::{self, payload_hash},
    starting::{KeyHolder, StartAdmission, StartKey},
};
use saga_base::panics::caught;
use saga_core::{
    decide::{self, DecisionContext},
    event::SagaDecision,
    id::SagaId,
    input::SagaStart,
    state::{SagaPlan, SagaState},
};
use saga_event_store::ERASED_HASH;
use saga_resilience::guard_events::GuardEventKind;
use saga_wire::poison::PoisonCode;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

/// Sagas that the shard remembers as having enough duplicates on record. To forget one costs a read of it.
const TOLD_ENOUGH: usize = 1024;

impl ShardLoop {
    /// A second start with the same key waits for the first: only the store can tell whether that one will be there.
    pub(super) fn take_start(&mut self, message: ShardMessage) {
        let (plan, start) = match &message.body {
            MessageContent::Start { plan, start } => (Arc::clone(plan), start.as_ref().clone()),
            // The saga that it is about is judged again.
            MessageContent::Rerun { saga, .. } => return self.table.deferred_messages.push((*saga, message)),
            MessageContent::Input { .. } | MessageContent::Reply(_) | MessageContent::ReadUntil(_) => return,
        };
        let key = (plan.definition.name.clone(), start.key.clone());
        self.begin_first(&key, message, &plan, |id, context| decide::start(&plan, id, start, context));
    }

    /// Begins a saga, unless one of this key has begun or is about to.
    pub(super) fn begin_first(
        &mut self,
        key: &StartKey,
        message: ShardMessage,
        plan: &Arc<SagaPlan>,
        start: impl FnOnce(SagaId, &mut DecisionContext<'_>) -> (SagaDecision, SagaState),
    ) {
        match self.table.starting.begin(key.clone(), message, Instant::now()) {
            StartAdmission::First(message) => self.start(key, message, plan, start),
            StartAdmission::Waits => {}
            StartAdmission::Taken(message, holder) => self.settle_duplicate(message, &holder),
        }
    }

    fn start(
        &mut self,
        key: &StartKey,
        message: ShardMessage,
        plan: &Arc<SagaPlan>,
        start: impl FnOnce(SagaId, &mut DecisionContext<'_>) -> (SagaDecision, SagaState),
    ) {
        let now = self.context.clock.now();
        let id = SagaId::new(now, self.shard, fastrand::u64(..));
        let mut permits = PermitTable::default();
        let mut admissions = AdmissionControl::new(&self.context.sources, now, &self.table.answerable, permits.draft());
        let started = caught(|| admissions.with_context(|context| start(id, context)));
        let (decision, state) = match started {
            Ok(started) => started,
            Err(panic) => {
                drop(admissions);
                return self.start_impossible(key, message, PoisonCode::Crash, &panic);
            }
        };
        admissions.keep_permits();
        let mut live = Box::new(LiveSaga::new(Arc::clone(plan), state));
        live.permits = permits;
        self.append(id, &mut live, message, decision);
        self.table.sagas.insert(id, SagaSlot::Ready(live));
    }

    /// Nothing of the start is recorded; the messages that wait for the key may try.
    fn start_impossible(&mut self, key: &StartKey, message: ShardMessage, code: PoisonCode, reason: &str) {
        self.dead_letter(message, code, reason);
        for message in self.table.starting.end(key) {
            self.take_start(message);
        }
    }

    /// The key was taken before: this start is answered, and all that waited for it.
    pub(super) fn duplicate(
        &mut self,
        live: &LiveSaga,
        in_flight: InFlightAppend,
        stream: Uuid,
        payload_hash: [u8; 32],
    ) {
        let holder = KeyHolder { stream, payload_hash, record: None };
        self.settle_duplicate(in_flight.message, &holder);
        self.key_taken(live, &holder);
    }

    /// The saga is there: all that waited for its key are answered.
    pub(super) fn start_committed(&mut self, saga: SagaId, live: &LiveSaga, payload_hash: Option<[u8; 32]>) {
        let payload_hash = payload_hash.unwrap_or_else(|| row::new_key(&live.plan, &live.state).payload_hash);
        let record = Some(coordinates(&live.state.trigger));
        self.key_taken(live, &KeyHolder { stream: saga.uuid(), payload_hash, record });
    }

    fn key_taken(&mut self, live: &LiveSaga, holder: &KeyHolder) {
        for message in self.table.starting.taken(start_key(live), holder.clone(), Instant::now()) {
            self.settle_duplicate(message, holder);
        }
    }

    /// At-least-once delivery brings the same payload again. An operator should look at another payload: the saga that
    /// has the key is notified of it.
    fn settle_duplicate(&mut self, message: ShardMessage, holder: &KeyHolder) {
        let (plan, start) = match &message.body {
            MessageContent::Start { plan, start } => (plan, start),
            MessageContent::Rerun { .. } => return settle_rerun(message, holder),
            MessageContent::Input { .. } | MessageContent::Reply(_) | MessageContent::ReadUntil(_) => return,
        };
        // What started an erased saga is not known any more.
        let is_known = holder.payload_hash != ERASED_HASH;
        let other_payload = is_known && holder.payload_hash != payload_hash(&start.trigger.event);
        idempotency::duplicate(other_payload);
        if other_payload {
            report_duplicate(&self.context, &plan.definition.name, start, holder);
        }
        let Some(saga) = SagaId::from_uuid(holder.stream) else {
            let why = "the key is taken by a stream that is not a saga";
            return message.receipt.settle(MessageOutcome::Ignored(why.into()));
        };
        if other_payload && saga.shard() == self.shard && !self.table.duplicate_reports_full.contains(&saga) {
            self.table.deferred_messages.push((saga, message));
        } else {
            message.receipt.settle(MessageOutcome::Duplicate { saga, other_payload });
        }
    }

    /// The saga has as many of them on record as are kept: it need not be read for more.
    pub(super) fn mark_reports_full(&mut self, saga: SagaId) {
        if self.table.duplicate_reports_full.len() >= TOLD_ENOUGH {
            self.table.duplicate_reports_full.clear();
        }
        self.table.duplicate_reports_full.insert(saga);
    }

    /// The start came to nothing: those that waited for it are tried in turn.
    pub(super) fn release_start_key(&mut self, live: &LiveSaga) {
        if live.state.version != 1 {
            return;
        }
        for message in self.table.starting.end(&start_key(live)) {
            self.take_start(message);
        }
    }
}

/// The key under which the saga starts.
fn start_key(live: &LiveSaga) -> StartKey {
    let key = row::new_key(&live.plan, &live.state);
    (key.category, key.key)
}

/// Reports the duplicate in the log, and to the followers of changes.
fn report_duplicate(context: &ShardContext, name: &str, start: &SagaStart, holder: &KeyHolder) {
    let record = coordinates(&start.trigger);
    warn!(
        definition = name, key = start.key, saga = %holder.stream, started_by = holder.record, record,
        "a trigger with another payload came under a key that is taken; it is ignored"
    );
    let taken_by = holder.stream.to_string();
    let what = GuardEventKind::KeyTaken { saga: name.to_owned(), key: start.key.clone(), taken_by, record };
    context.sources.guards().changes().publish(None, what);
}
