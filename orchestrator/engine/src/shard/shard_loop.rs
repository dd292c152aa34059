//! The sagas of one shard under one epoch: every input becomes a decision, every decision an append, every commit its
//! effects.

use super::{
    OwnershipEnd, ShardLoop, course_lines, erasing, incidents,
    live_saga::{InFlightAppend, LiveSaga, SagaSlot},
    recovery, saga_metrics,
    wait_registry::WaitRegistry,
};
use crate::{
    act_trail,
    admission::AdmissionControl,
    committer::{CommitError, CommitOutcome},
    dead_letter::DeadLetter,
    idempotency::{self, IdempotencyHit},
    journal,
    load_permits::{self, LoadPermit},
    message::{MessageContent, MessageOutcome, NO_NEWS, ShardMessage},
    reply_classes::classified,
    row::{self, ReadModelState, ShardWriter},
};
use futures_util::StreamExt;
use saga_base::panics::caught;
use saga_core::{
    decide::{self, DecisionOutcome, IgnoreReason},
    event::{ParkReason, SagaDecision, SagaEvent},
    evolve,
    id::SagaId,
    input::SagaInput,
    time::Timestamp,
};
use saga_event_store::StreamAppend;
use saga_resilience::gate::WakeSignal;
use saga_wire::poison::PoisonCode;
use std::{collections::VecDeque, pin::pin, sync::Arc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Appends of one shard that may be under way; beyond it the shard takes no more messages until one is answered.
const IN_FLIGHT: usize = 1024;

/// Messages after which timers are looked at although more messages are there.
const TIMERS_EVERY: u32 = 64;

impl ShardLoop {
    /// Works until it is stopped or fenced, or until what it depends on is gone. Then waits for the appends that are
    /// under way, so that every message is either settled or still held.
    pub(super) async fn serve(
        &mut self,
        messages: &mut mpsc::Receiver<ShardMessage>,
        stop: &CancellationToken,
        gone: impl Future<Output = ()>,
    ) -> OwnershipEnd {
        let mut messages_since_timers = 0;
        let mut gone = pin!(gone);
        while !self.fenced {
            for (saga, input) in std::mem::take(&mut self.table.deferred_inputs) {
                self.handle_input(saga, ShardMessage::of(saga, input));
            }
            for (saga, message) in std::mem::take(&mut self.table.deferred_messages) {
                self.handle_input(saga, message);
            }
            if messages_since_timers >= TIMERS_EVERY {
                messages_since_timers = 0;
                let turn = self.load_permits.now();
                self.process_due_timers(turn);
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                Some((saga, answer)) = self.appends.next() => self.on_append_result(saga, answer),
                Some(read) = self.loads.next() => self.all_loaded(read),
                () = stop.cancelled() => break,
                () = &mut gone => self.fenced = true,
                Some(next) = next(messages, &mut self.table.waits), if self.appends.len() < IN_FLIGHT => {
                    messages_since_timers += 1;
                    match next {
                        ShardEvent::Message(message) => self.take(message),
                        ShardEvent::WaiterNotified(wake) => self.on_waiter_notified(wake),
                    }
                }
                found = recovery::next(&mut self.recovery), if self.appends.len() < IN_FLIGHT => {
                    self.on_recovery_batch(found);
                }
                turn = self.load_permits.next(wake) => self.process_due_timers(turn),
            }
        }
        // This task looks at no calls any more.
        self.table.waits = WaitRegistry::default();
        while let Some((saga, answer)) = self.appends.next().await {
            self.on_append_result(saga, answer);
        }
        if self.fenced { OwnershipEnd::Fenced } else { OwnershipEnd::Stopped }
    }

    fn wake(&mut self) -> tokio::time::Instant {
        let due = self.table.due.next(self.context.clock.now(), self.table.answerable.until);
        let due = due.unwrap_or(Timestamp::MAX);
        self.context.clock.instant_of(due)
    }

    /// Looks at what is due, as much as a turn is for. What comes after it waits for another turn.
    pub(super) fn process_due_timers(&mut self, turn: Option<LoadPermit>) {
        let now = self.context.clock.now();
        if let Some(turn) = turn {
            self.process_due_batch(now, &turn);
        }
        if self.table.due.waits_for_answers(now, self.table.answerable.until) {
            self.context.answer_path.request_watermark();
        }
    }

    fn process_due_batch(&mut self, now: Timestamp, turn: &LoadPermit) {
        let mut to_read = Vec::new();
        for _ in 0..load_permits::TOGETHER {
            let Some(saga) = self.table.due.pop(now, self.table.answerable.until) else { break };
            self.process_due_saga(saga, turn.clone(), &mut to_read);
        }
        self.load_all(to_read);
    }

    fn process_due_saga(&mut self, saga: SagaId, turn: LoadPermit, to_read: &mut Vec<SagaId>) {
        let message = ShardMessage::time_reached(saga, turn);
        match self.table.sagas.get(&saga) {
            None => {
                self.mark_loading(saga, VecDeque::from([message]));
                to_read.push(saga);
            }
            // A saga whose append is under way sets its due time anew when that is answered.
            Some(SagaSlot::Ready(live)) if live.append.is_some() => {}
            Some(SagaSlot::Ready(_) | SagaSlot::Loading { .. }) => self.handle_input(saga, message),
        }
    }

    fn take(&mut self, message: ShardMessage) {
        if let MessageContent::ReadUntil(read) = message.body {
            return self.advance_watermark(read);
        }
        match message.body.saga() {
            None => self.take_start(message),
            Some(saga) => self.handle_input(saga, message),
        }
    }

    pub(super) fn handle_input(&mut self, saga: SagaId, message: ShardMessage) {
        match self.table.sagas.remove(&saga) {
            None => self.load(saga, VecDeque::from([message])),
            Some(SagaSlot::Loading { mut waiting }) => {
                waiting.push_back(message);
                self.table.sagas.insert(saga, SagaSlot::Loading { waiting });
            }
            Some(SagaSlot::Ready(mut live)) => {
                live.waiting.push_back(message);
                self.process_pending(saga, live);
            }
        }
    }

    /// Decides on what waits until an append is under way or nothing waits, then puts the saga back or lets it go.
    pub(super) fn process_pending(&mut self, saga: SagaId, mut live: Box<LiveSaga>) {
        while live.append.is_none()
            && live.panic_message.is_none()
            && let Some(message) = live.waiting.pop_front()
        {
            self.step(saga, &mut live, message);
        }
        if let Some(reason) = live.panic_message.take() {
            return self.read_and_park(*live, reason);
        }
        if !live.is_evictable() {
            self.table.sagas.insert(saga, SagaSlot::Ready(live));
        }
    }

    fn step(&mut self, saga: SagaId, live: &mut LiveSaga, message: ShardMessage) {
        if let MessageContent::Rerun { .. } = message.body {
            return self.begin_rerun(live, message);
        }
        let input = match message.body.input(&live.plan, &live.state) {
            Ok(input) => input,
            Err(reason) => return self.dead_letter(message, PoisonCode::UnknownStep, reason),
        };
        let input = classified(&self.context.config.load().participants, &live.state, input);
        if let Some(participant) = live.late_success(&input) {
            self.context.sources.guards().late_success(&participant);
        }
        live.settle_permit(&input);
        self.requeue_outcome(live, &input);
        live.record_send_times();
        live.mark = self.context.outputs.traces.mark(&live.state);
        live.before_act = act_trail::before(&input, &live.plan, &live.state);
        let now = self.context.clock.now();
        let mut admissions =
            AdmissionControl::new(&self.context.sources, now, &self.table.answerable, live.permits.draft())
                .about(&input);
        let decided = caught(|| {
            admissions
                .with_context(|context| live.state.decide(|state| decide::decide(&live.plan, state, &input, context)))
        });
        let outcome = match decided {
            Ok(outcome) => outcome,
            Err(panic) => {
                drop(admissions);
                live.panic_message = Some(panic.clone());
                return self.dead_letter(message, PoisonCode::Crash, &panic);
            }
        };
        if matches!(outcome, Ok(DecisionOutcome::Decided(_))) {
            admissions.keep_permits();
        } else {
            drop(admissions);
        }
        match outcome {
            Ok(DecisionOutcome::Decided(decision)) => {
                live.switch_definition(&input);
                self.append(saga, live, message, decision);
            }
            Ok(DecisionOutcome::Noted) => self.apply_unrecorded(saga, live, message),
            Ok(DecisionOutcome::Ignored(ignored)) => {
                self.unchanged(saga, live, &input, &ignored);
                if ignored == (IgnoreReason::KeyTaken { is_full: true }) {
                    self.mark_reports_full(saga);
                }
                report_ignored(live, &input, &ignored);
                self.settle_ignored(live, message, &ignored);
            }
            Ok(DecisionOutcome::Refused(refused)) => {
                message.receipt.settle(MessageOutcome::Refused(refused.to_string()));
            }
            Err(illegal) => self.dead_letter(message, PoisonCode::IllegalInput, &illegal.to_string()),
        }
    }

    /// A reply that contradicts an earlier one is for a person to look at.
    fn settle_ignored(&self, live: &LiveSaga, message: ShardMessage, ignored: &IgnoreReason) {
        let told = ignored.to_string();
        match (ignored, message.record) {
            (IgnoreReason::Contradicted, Some(record)) => {
                let letter = DeadLetter::new(PoisonCode::Contradiction, told).of(&live.plan.definition.name);
                self.context.outputs.letters.send(record, message.receipt, letter);
            }
            (_, _) => message.receipt.settle(MessageOutcome::Ignored(told)),
        }
    }

    /// Nothing changes. A saga that was read because something was due goes on when that is none after all.
    fn unchanged(&mut self, saga: SagaId, live: &mut LiveSaga, input: &SagaInput, ignored: &IgnoreReason) {
        live.release_expired_permits(self.context.clock.now());
        if matches!(input, SagaInput::TimeReached) {
            self.dispatch_outstanding(saga, live);
        }
        self.set_due(saga, live);
        self.requeue(saga, live, input, ignored);
    }

    /// Nothing to record. What is outstanding by that, a question how far an attempt is, has its cause on record long
    /// since.
    fn apply_unrecorded(&mut self, saga: SagaId, live: &mut LiveSaga, message: ShardMessage) {
        self.dispatch_outstanding(saga, live);
        self.set_due(saga, live);
        message.receipt.settle(MessageOutcome::Ignored(NO_NEWS.into()));
    }

    pub(super) fn append(&mut self, saga: SagaId, live: &mut LiveSaga, message: ShardMessage, decision: SagaDecision) {
        let append = self.row(live, &decision, &message.body);
        let payload_hash = append.as_ref().ok().and_then(|append| append.new_key.as_ref()).map(|key| key.payload_hash);
        let append_id = append.as_ref().map(|append| append.append_id).unwrap_or_default();
        let is_erasure = journal::erasing::erases(&decision);
        let mark = match decision.version {
            1 => self.context.outputs.traces.mark_start(&live.state),
            _ => std::mem::take(&mut live.mark),
        };
        live.append = Some(InFlightAppend { message, decision, append_id, payload_hash, mark });
        let (context, committer) = (Arc::clone(&self.context), self.context.store.committer(self.shard).clone());
        self.appends.push(Box::pin(async move {
            match append {
                Ok(append) if is_erasure => (saga, erasing::commit(&context, &committer, append).await),
                Ok(append) => (saga, committer.commit(append).await),
                // Nothing of it has left: it is as if the store had refused it.
                Err(unwritable) => (saga, Err(CommitError::Impossible(unwritable.to_string()))),
            }
        }));
    }

    fn row(
        &self,
        live: &mut LiveSaga,
        decision: &SagaDecision,
        cause: &MessageContent,
    ) -> Result<StreamAppend, journal::codec::RowEncodeError> {
        let by = ShardWriter { shard: self.shard, epoch: self.epoch };
        let mut append = row::unshown(by, &live.plan, &live.state, decision)?;
        if let Some(act) = &mut append.act {
            act.source = act_trail::source_of(cause);
            act.before = live.before_act.take();
            act.after = Some(act_trail::standing(&live.plan, &live.state));
        }
        let shows = ReadModelState::of(&live.plan, &live.state);
        let is_same = live.shown.as_ref() == Some(&shows);
        // The reason of an erased saga goes, too.
        let changes = !is_same || evolve::changes_definition(decision) || journal::erasing::erases(decision);
        let summary = changes.then(|| row::summary(&live.plan, &live.state, &shows));
        live.shown = Some(shows);
        Ok(StreamAppend { summary, ..append })
    }

    fn on_append_result(&mut self, saga: SagaId, answer: Result<CommitOutcome, CommitError>) {
        let Some(SagaSlot::Ready(mut live)) = self.table.sagas.remove(&saga) else { return };
        let Some(in_flight) = live.append.take() else { return };
        match answer {
            Ok(CommitOutcome::Committed(receipt)) => {
                live.state.acknowledge(&receipt);
                self.on_committed(saga, live, in_flight);
            }
            Ok(CommitOutcome::DuplicateKey { stream, payload_hash }) => {
                self.duplicate(&live, in_flight, stream, payload_hash);
            }
            Ok(CommitOutcome::Conflict) => self.on_version_conflict(saga, *live, in_flight),
            Ok(CommitOutcome::Fenced) | Err(CommitError::Stopped) => {
                self.fenced = true;
                live.waiting.push_front(in_flight.message);
                self.table.sagas.insert(saga, SagaSlot::Ready(live));
            }
            Err(CommitError::Impossible(reason)) => self.on_append_rejected(saga, *live, in_flight, reason),
        }
    }

    /// The saga parks, unless it is its parking that cannot be written.
    fn on_append_rejected(&mut self, saga: SagaId, live: LiveSaga, in_flight: InFlightAppend, reason: String) {
        let InFlightAppend { message, decision, append_id: _, payload_hash: _, mark: _ } = in_flight;
        let is_start = decision.version == 1;
        self.release_start_key(&live);
        self.dead_letter(message, PoisonCode::StoreRefused, &reason);
        if is_start {
            live.waiting.into_iter().for_each(|message| self.unknown_saga(message));
        } else if is_parking(&decision) {
            live.waiting.into_iter().for_each(|message| self.dead_letter(message, PoisonCode::StoreRefused, &reason));
            self.quarantine_for(saga, format!("the saga cannot be written on: {reason}"));
        } else {
            self.read_and_park(live, reason);
        }
    }

    /// What is outstanding by the decision may be sent now.
    fn on_committed(&mut self, saga: SagaId, mut live: Box<LiveSaga>, in_flight: InFlightAppend) {
        let InFlightAppend { mut message, decision, append_id, payload_hash, mark } = in_flight;
        self.keep_snapshot(&live, append_id);
        live.keep_turn(&mut message.receipt);
        self.context.outputs.observer.committed(saga, &live.plan, &live.state, &decision);
        self.context.outputs.watch.committed(saga);
        let now = self.context.clock.now();
        self.context.outputs.traces.committed(&mark, (&live.plan, &live.state), &decision, now);
        self.context.sources.learn(&live.plan, &live.state, &decision);
        saga_metrics::committed(&self.context.config.load(), &live.plan, &live.state, &decision);
        course_lines::tell(&live.plan, &live.state, &decision);
        incidents::tell(&live.plan, &live.state, &decision);
        let disposition = match &message.body {
            MessageContent::Start { .. } | MessageContent::Rerun { .. } if decision.version == 1 => {
                self.start_committed(saga, &live, payload_hash);
                MessageOutcome::Started(saga)
            }
            MessageContent::Start { .. } => MessageOutcome::Duplicate { saga, other_payload: true },
            MessageContent::Rerun { .. }
            | MessageContent::Reply(_)
            | MessageContent::Input { .. }
            | MessageContent::ReadUntil(_) => MessageOutcome::Applied,
        };
        message.receipt.settle(disposition);
        self.dispatch_outstanding(saga, &mut live);
        self.set_due(saga, &mut live);
        self.process_pending(saga, live);
    }

    /// Another owner wrote this version: the decision of this shard never happened. The shard reads the saga again and
    /// decides again.
    fn on_version_conflict(&mut self, saga: SagaId, mut live: LiveSaga, in_flight: InFlightAppend) {
        warn!(
            %saga, key = live.state.key, trace_id = %live.state.trace().trace, version = live.state.version,
            "another writer was first; reading the saga again"
        );
        metrics::counter!("saga_conflicts_total").increment(1);
        self.release_start_key(&live);
        match in_flight.message.body {
            MessageContent::Start { .. } | MessageContent::Rerun { .. } if in_flight.decision.version == 1 => {
                self.take_start(in_flight.message);
            }
            MessageContent::Start { .. }
            | MessageContent::Rerun { .. }
            | MessageContent::Reply(_)
            | MessageContent::Input { .. }
            | MessageContent::ReadUntil(_) => {
                live.waiting.push_front(in_flight.message);
                self.load(saga, live.waiting);
            }
        }
    }
}

/// What the shard's task receives.
enum ShardEvent {
    Message(ShardMessage),
    WaiterNotified(WakeSignal),
}

/// Whichever comes; neither can keep the other out.
async fn next(messages: &mut mpsc::Receiver<ShardMessage>, waits: &mut WaitRegistry) -> Option<ShardEvent> {
    tokio::select! {
        Some(message) = messages.recv() => Some(ShardEvent::Message(message)),
        Some(wake) = waits.next_notified() => Some(ShardEvent::WaiterNotified(wake)),
    }
}

/// Whether it is all that is written of a saga whose decisions cannot be made or written.
fn is_parking(decision: &SagaDecision) -> bool {
    matches!(decision.events.as_slice(), [SagaEvent::SagaParked { reason: ParkReason::Limit { .. } }])
}

/// What came again, if the input did.
fn recognised(ignored: &IgnoreReason) -> Option<IdempotencyHit> {
    match ignored {
        IgnoreReason::Settled => Some(IdempotencyHit::Reply),
        IgnoreReason::Repeated => Some(IdempotencyHit::Act),
        IgnoreReason::Terminal
        | IgnoreReason::Contradicted
        | IgnoreReason::NeverSent
        | IgnoreReason::NoSuchAttempt
        | IgnoreReason::NotDue
        | IgnoreReason::StillHeld { .. }
        | IgnoreReason::KeyTaken { .. }
        | IgnoreReason::NotPublishing => None,
    }
}

fn report_ignored(live: &LiveSaga, input: &SagaInput, ignored: &IgnoreReason) {
    let (saga, key, trace_id) = (live.state.id, live.state.key.as_str(), live.state.trace().trace);
    let step = input.command().map(|command| live.plan.definition.step(command.step).name.as_str());
    metrics::counter!("saga_inputs_ignored_total", "reason" => ignored.code()).increment(1);
    if let Some(hit) = recognised(ignored) {
        idempotency::recognised(hit);
    }
    match ignored {
        IgnoreReason::Terminal => {
            info!(%saga, key, %trace_id, step, "an input for a saga that has ended changes nothing");
        }
        IgnoreReason::Settled
        | IgnoreReason::Contradicted
        | IgnoreReason::NeverSent
        | IgnoreReason::NoSuchAttempt
        | IgnoreReason::NotDue
        | IgnoreReason::StillHeld { .. }
        | IgnoreReason::KeyTaken { .. }
        | IgnoreReason::Repeated
        | IgnoreReason::NotPublishing => {
            debug!(%saga, key, %trace_id, step, reason = %ignored, "an input changes nothing");
        }
    }
}
