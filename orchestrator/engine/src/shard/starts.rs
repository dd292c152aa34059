//! Starts of sagas, and what becomes of a second one with the same key.

use super::{
    ShardLoop,
    context::ShardContext,
    live_saga::{InFlightAppend, LiveSaga, SagaSlot},
};
use crate::{
    admission::AdmissionControl,
    message::{MessageContent, MessageOutcome, ShardMessage, coordinates},
    permit_table::PermitTable,
    row::payload_hash,
    starting::{KeyHolder, StartAdmission},
};
use saga_base::panics::caught;
use saga_core::{decide, id::SagaId, input::SagaStart};
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
        let MessageContent::Start { plan, start } = &message.body else { return };
        let key = (plan.definition.name.clone(), start.key.clone());
        match self.table.starting.begin(key, message, Instant::now()) {
            StartAdmission::First(message) => self.start(message),
            StartAdmission::Waits => {}
            StartAdmission::Taken(message, holder) => self.settle_duplicate(message, &holder),
        }
    }

    fn start(&mut self, message: ShardMessage) {
        let MessageContent::Start { plan, start } = &message.body else { return };
        let plan = Arc::clone(plan);
        let start = start.as_ref().clone();
        let now = self.context.clock.now();
        let id = SagaId::new(now, self.shard, fastrand::u64(..));
        let mut permits = PermitTable::default();
        let mut admissions = AdmissionControl::new(&self.context.sources, now, &self.table.answerable, permits.draft());
        let started = caught(|| admissions.with_context(|context| decide::start(&plan, id, start, context)));
        let (decision, state) = match started {
            Ok(started) => started,
            Err(panic) => {
                drop(admissions);
                return self.start_impossible(message, &panic);
            }
        };
        admissions.keep_permits();
        let mut live = Box::new(LiveSaga::new(plan, state));
        live.permits = permits;
        self.append(id, &mut live, message, decision);
        self.table.sagas.insert(id, SagaSlot::Ready(live));
    }

    /// Nothing of the start is recorded; the messages that wait for the key may try.
    fn start_impossible(&mut self, message: ShardMessage, reason: &str) {
        let MessageContent::Start { plan, start } = &message.body else { return };
        let key = (plan.definition.name.clone(), start.key.clone());
        self.dead_letter(message, PoisonCode::IllegalInput, reason);
        for message in self.table.starting.end(&key) {
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
        let trigger = &live.state.trigger;
        let payload_hash = payload_hash.unwrap_or_else(|| self::payload_hash(&trigger.event));
        self.key_taken(live, &KeyHolder { stream: saga.uuid(), payload_hash, record: Some(coordinates(trigger)) });
    }

    fn key_taken(&mut self, live: &LiveSaga, holder: &KeyHolder) {
        let key = (live.plan.definition.name.clone(), live.state.key.clone());
        for message in self.table.starting.taken(key, holder.clone(), Instant::now()) {
            self.settle_duplicate(message, holder);
        }
    }

    /// At-least-once delivery brings the same payload again. An operator should look at another payload: the saga that
    /// has the key is notified of it.
    fn settle_duplicate(&mut self, message: ShardMessage, holder: &KeyHolder) {
        let MessageContent::Start { plan, start } = &message.body else { return };
        let other_payload = holder.payload_hash != payload_hash(&start.trigger.event);
        count(other_payload);
        if other_payload {
            report_duplicate(&self.context, &plan.definition.name, start, holder);
        }
        let Some(saga) = SagaId::from_uuid(holder.stream) else {
            let why = "the key is taken by a stream that is not a saga";
            return message.receipt.settle(MessageOutcome::Ignored(why.into()));
        };
        if other_payload && saga.shard() == self.shard && !self.table.duplicate_reports_full.contains(&saga) {
            self.table.duplicate_starts.push((saga, message));
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
        for message in self.table.starting.end(&(live.plan.definition.name.clone(), live.state.key.clone())) {
            self.take_start(message);
        }
    }
}

/// Reports the duplicate in the log, and to the followers of changes.
fn report_duplicate(context: &ShardContext, name: &str, start: &SagaStart, holder: &KeyHolder) {
    let record = coordinates(&start.trigger);
    warn!(
        saga = name, key = start.key, taken_by = %holder.stream, taken_by_record = holder.record, record,
        "a trigger with another payload came under a key that is taken; it is ignored"
    );
    let taken_by = holder.stream.to_string();
    let what = GuardEventKind::KeyTaken { saga: name.to_owned(), key: start.key.clone(), taken_by, record };
    context.sources.guards().changes().publish(None, what);
}

fn count(other_payload: bool) {
    let other = if other_payload { "yes" } else { "no" };
    metrics::counter!("saga_duplicates_total", "other_payload" => other).increment(1);
}
