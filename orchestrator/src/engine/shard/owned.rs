//! The sagas of one shard under one epoch: every input becomes a decision, every decision an append, every commit its effects.

use super::{
    Ended,
    live::{InFlight, Live, Sent, Slot},
    recovery,
};
use crate::{
    engine::{
        Parts,
        committer::NotCommitted,
        dead_letter::{self, DeadLetter},
        dispatch::{self, Admissions},
        due::DueTimes,
        message::{Body, Disposition, Message},
        starting::Starting,
    },
    guarded::{Admission, Permit},
    journal::{self, Recorded},
    kafka::poison::PoisonCode,
    participants::Dispatch,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use saga_core::{
    command::{Answer, Failure},
    decide::{self, Ignored, Outcome},
    event::Decision,
    id::{SagaId, Shard},
    input::Input,
    react::{CallEffect, Effect, react},
    state::{Plan, Status},
};
use saga_event_store::{Append, Appended, Epoch, NewKey, Summary};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

/// Appends of one shard that may be under way; beyond it the shard takes no more messages until one is answered.
const IN_FLIGHT: usize = 1024;

pub(super) struct Owned {
    pub(super) parts: Arc<Parts>,
    pub(super) shard: Shard,
    pub(super) epoch: Epoch,
    pub(super) sagas: HashMap<SagaId, Slot>,
    pub(super) due: DueTimes,
    starting: Starting,
    appends: FuturesUnordered<BoxFuture<'static, (SagaId, Result<Appended, NotCommitted>)>>,
    loads: FuturesUnordered<BoxFuture<'static, (SagaId, Result<Option<Recorded>, journal::Error>)>>,
    /// Calls that the guard holds back outside of a decision; they become inputs in the next turn.
    held_back: Vec<(SagaId, Input)>,
    fenced: bool,
}

impl Owned {
    pub(super) fn new(parts: Arc<Parts>, shard: Shard, epoch: Epoch) -> Owned {
        Owned {
            parts,
            shard,
            epoch,
            sagas: HashMap::new(),
            due: DueTimes::default(),
            starting: Starting::default(),
            appends: FuturesUnordered::new(),
            loads: FuturesUnordered::new(),
            held_back: Vec::new(),
            fenced: false,
        }
    }

    /// Works until it is told to stop or fenced; then waits for the appends that are under way, so that every message is either settled
    /// or still held.
    pub(super) async fn serve(&mut self, messages: &mut mpsc::Receiver<Message>, stop: &CancellationToken) -> Ended {
        while !self.fenced {
            for (saga, input) in std::mem::take(&mut self.held_back) {
                self.take_input(saga, Message::of(saga, input));
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                Some((saga, answer)) = self.appends.next() => self.answered(saga, answer),
                Some((saga, loaded)) = self.loads.next() => self.loaded(saga, loaded),
                () = stop.cancelled() => break,
                Some(message) = messages.recv(), if self.appends.len() < IN_FLIGHT => self.take(message),
                () = tokio::time::sleep_until(wake) => self.fire(),
            }
        }
        while let Some((saga, answer)) = self.appends.next().await {
            self.answered(saga, answer);
        }
        if self.fenced { Ended::Fenced } else { Ended::Stopped }
    }

    fn wake(&mut self) -> tokio::time::Instant {
        let due = self.due.next().unwrap_or(saga_core::time::Timestamp::MAX);
        self.parts.clock.instant_of(due)
    }

    fn fire(&mut self) {
        let now = self.parts.clock.now();
        while let Some(saga) = self.due.pop(now) {
            // A saga whose append is under way sets its due time anew when that is answered.
            let is_busy = matches!(self.sagas.get(&saga), Some(Slot::Ready(live)) if live.append.is_some());
            if !is_busy {
                self.take_input(saga, Message::of(saga, Input::TimeReached));
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message.body.saga() {
            None => self.take_start(message),
            Some(saga) => self.take_input(saga, message),
        }
    }

    /// A second start with the same key waits for the first: only the store can tell whether that one will be there.
    fn take_start(&mut self, message: Message) {
        let Body::Start { plan, start } = &message.body else { return };
        let key = (plan.definition.name.clone(), start.key.clone());
        let Some(message) = self.starting.begin(key, message) else { return };
        let Body::Start { plan, start } = &message.body else { return };
        let plan = Arc::clone(plan);
        let start = start.as_ref().clone();
        let now = self.parts.clock.now();
        let id = SagaId::new(now, self.shard, fastrand::u64(..));
        let mut admissions = Admissions::new(&self.parts.guarded, now);
        let (decision, state) = admissions.during(|context| decide::start(&plan, id, start, context));
        let mut live = Box::new(Live::new(plan, state, None));
        live.permits = admissions.into_permits();
        self.append(id, &mut live, message, decision);
        self.sagas.insert(id, Slot::Ready(live));
    }

    pub(super) fn take_input(&mut self, saga: SagaId, message: Message) {
        match self.sagas.remove(&saga) {
            None => self.load(saga, VecDeque::from([message])),
            Some(Slot::Loading { mut waiting }) => {
                waiting.push_back(message);
                self.sagas.insert(saga, Slot::Loading { waiting });
            }
            Some(Slot::Ready(mut live)) => {
                live.waiting.push_back(message);
                self.go_on(saga, live);
            }
        }
    }

    /// Decides on what waits until an append is under way or nothing waits, then puts the saga back or lets it go.
    pub(super) fn go_on(&mut self, saga: SagaId, mut live: Box<Live>) {
        while live.append.is_none()
            && let Some(message) = live.waiting.pop_front()
        {
            self.step(saga, &mut live, message);
        }
        if !live.is_quiet() {
            self.sagas.insert(saga, Slot::Ready(live));
        }
    }

    fn step(&mut self, saga: SagaId, live: &mut Live, message: Message) {
        let Some(input) = message.body.input(&live.plan) else {
            return self.set_aside(message, PoisonCode::UnknownStep, "the saga's definition has no such step");
        };
        live.settle_permit(&input);
        let mut admissions = Admissions::new(&self.parts.guarded, self.parts.clock.now());
        let outcome = admissions.during(|context| decide::decide(&live.plan, &mut live.state, &input, context));
        match outcome {
            Ok(Outcome::Decided(decision)) => {
                live.permits.extend(admissions.into_permits());
                self.append(saga, live, message, decision);
            }
            Ok(Outcome::Ignored(ignored)) => {
                self.due.set(saga, live.state.next_due(&live.plan));
                report_ignored(saga, &live.plan, &ignored);
                message.receipt.settle(Disposition::Ignored(ignored.to_string()));
            }
            Ok(Outcome::Refused(refused)) => message.receipt.settle(Disposition::Refused(refused.to_string())),
            Err(illegal) => self.set_aside(message, PoisonCode::IllegalInput, &illegal.to_string()),
        }
    }

    fn append(&mut self, saga: SagaId, live: &mut Live, message: Message, decision: Decision) {
        let append = self.row(saga, live, &decision);
        live.append = Some(InFlight { message, decision });
        let committer = self.parts.committer(self.shard).clone();
        self.appends.push(Box::pin(async move { (saga, committer.append(append).await) }));
    }

    fn row(&self, saga: SagaId, live: &mut Live, decision: &Decision) -> Append {
        let status = live.state.status();
        let summary = (live.shown != Some(status)).then(|| summary(live, status));
        live.shown = Some(status);
        Append {
            append_id: Uuid::from_u128(fastrand::u128(..)),
            shard: self.shard.0,
            epoch: self.epoch,
            stream: saga.uuid(),
            version: decision.version,
            recorded_at_ms: decision.at.0,
            payload: journal::codec::encode(decision),
            category: live.plan.definition.name.clone(),
            key: live.state.key.clone(),
            new_key: (decision.version == 1).then(|| NewKey { payload_hash: payload_hash(&live.state.trigger.event) }),
            summary,
        }
    }

    fn answered(&mut self, saga: SagaId, answer: Result<Appended, NotCommitted>) {
        let Some(Slot::Ready(mut live)) = self.sagas.remove(&saga) else { return };
        let Some(in_flight) = live.append.take() else { return };
        match answer {
            Ok(Appended::Committed) => self.committed(saga, live, in_flight),
            Ok(Appended::DuplicateKey { stream, payload_hash }) => {
                self.duplicate(&live, in_flight, stream, payload_hash)
            }
            Ok(Appended::Conflict) => self.conflict(saga, *live, in_flight),
            Ok(Appended::Fenced) | Err(NotCommitted::Stopped) => {
                self.fenced = true;
                live.waiting.push_front(in_flight.message);
                self.sagas.insert(saga, Slot::Ready(live));
            }
            Err(NotCommitted::Impossible(reason)) => {
                self.start_ended(&live);
                self.set_aside(in_flight.message, PoisonCode::StoreRefused, &reason);
                self.load(saga, live.waiting);
            }
        }
    }

    /// The only place from which effects leave.
    fn committed(&mut self, saga: SagaId, mut live: Box<Live>, in_flight: InFlight) {
        let InFlight { message, decision } = in_flight;
        self.parts.observer.committed(saga, &live.plan, &live.state, &decision);
        let disposition = match &message.body {
            Body::Start { .. } => {
                self.start_ended(&live);
                Disposition::Started(saga)
            }
            Body::Reply(_) | Body::Input { .. } => Disposition::Applied,
        };
        message.receipt.settle(disposition);
        self.perform(saga, &mut live, Dispatch::First);
        self.due.set(saga, live.state.next_due(&live.plan));
        self.go_on(saga, live);
    }

    /// Lets everything leave that is outstanding and has not left in this life. What was outstanding when the saga was read may have left in
    /// another one: it is repeated.
    pub(super) fn perform(&mut self, saga: SagaId, live: &mut Live, dispatch: Dispatch) {
        let effects = react(&live.plan, &live.state);
        live.forget_all_but(&effects);
        for effect in effects {
            let sent = Sent::of(&effect);
            if !live.sent.contains(&sent) {
                live.sent.push(sent);
                self.let_leave(saga, live, effect, dispatch);
            }
        }
    }

    fn let_leave(&mut self, saga: SagaId, live: &mut Live, effect: Effect, dispatch: Dispatch) {
        match effect {
            Effect::Publish(effect) => dispatch::publish(&self.parts, saga, &live.plan, &live.state, &effect),
            Effect::Call(effect) => {
                let command = effect.command;
                let Some(permit) = live.take_permit(command).or_else(|| self.late_permit(saga, &effect)) else {
                    return;
                };
                if let Some(permit) = dispatch::call(&self.parts, &live.plan, &live.state, effect, permit, dispatch) {
                    live.permits.push((command, permit));
                }
            }
        }
    }

    /// For a call that was recorded in another life, or that asks how far it is: no decision of this life asked the guard for it.
    fn late_permit(&mut self, saga: SagaId, effect: &CallEffect) -> Option<Permit> {
        match self.parts.guarded.admit(effect.request.participant()?) {
            Admission::Admitted(permit) => Some(permit),
            Admission::Gone => {
                let failure = Failure::new("participant_gone", "the participant is not configured any more");
                let answer = Answer::Unknown { failure };
                let input = Input::Answered { command: effect.command, attempt: Some(effect.attempt), answer };
                self.held_back.push((saga, input));
                None
            }
            Admission::Refused { not_before } => {
                // Not `NotSent`: the attempt may have left in another life.
                let answer = Answer::Ongoing { ask_after: Some(not_before), location: effect.location.clone() };
                let input = Input::Answered { command: effect.command, attempt: Some(effect.attempt), answer };
                self.held_back.push((saga, input));
                None
            }
        }
    }

    fn duplicate(&mut self, live: &Live, in_flight: InFlight, stream: Uuid, payload_hash: [u8; 32]) {
        let other_payload = payload_hash != self::payload_hash(&live.state.trigger.event);
        report_duplicate(live, stream, other_payload);
        let disposition = match SagaId::from_uuid(stream) {
            Some(saga) => Disposition::Duplicate { saga, other_payload },
            None => Disposition::Ignored("the key is taken by a stream that is not a saga".into()),
        };
        in_flight.message.receipt.settle(disposition);
        self.start_ended(live);
    }

    /// Somebody else wrote this version: what was decided here never happened. Read again, decide again.
    fn conflict(&mut self, saga: SagaId, mut live: Live, in_flight: InFlight) {
        warn!(%saga, version = live.state.version, "another writer was first; reading the saga again");
        metrics::counter!("saga_conflicts_total").increment(1);
        self.start_ended(&live);
        match in_flight.message.body {
            Body::Start { .. } => self.take_start(in_flight.message),
            Body::Reply(_) | Body::Input { .. } => {
                live.waiting.push_front(in_flight.message);
                self.load(saga, live.waiting);
            }
        }
    }

    /// Starts that waited for this one are tried in turn.
    fn start_ended(&mut self, live: &Live) {
        if live.state.version != 1 {
            return;
        }
        for message in self.starting.end(&(live.plan.definition.name.clone(), live.state.key.clone())) {
            self.take_start(message);
        }
    }

    fn load(&mut self, saga: SagaId, waiting: VecDeque<Message>) {
        if waiting.is_empty() {
            return;
        }
        self.sagas.insert(saga, Slot::Loading { waiting });
        let parts = Arc::clone(&self.parts);
        self.loads.push(Box::pin(async move { (saga, recovery::read(&parts, saga).await) }));
    }

    fn loaded(&mut self, saga: SagaId, loaded: Result<Option<Recorded>, journal::Error>) {
        let Some(Slot::Loading { waiting }) = self.sagas.remove(&saga) else { return };
        match loaded {
            Ok(Some(recorded)) => {
                let shown = recorded.state.status();
                let mut live = Box::new(Live::new(recorded.plan, recorded.state, Some(shown)));
                live.waiting = waiting;
                self.perform(saga, &mut live, Dispatch::Repeated);
                self.go_on(saga, live);
            }
            Ok(None) => waiting.into_iter().for_each(|message| self.unknown_saga(message)),
            Err(error) => {
                error!(%saga, error = &error as &dyn std::error::Error, "the saga cannot be read; the shard goes on without it");
                metrics::counter!("saga_unreadable_total").increment(1);
                let reason = error.to_string();
                waiting.into_iter().for_each(|message| self.set_aside(message, PoisonCode::SagaUnreadable, &reason));
            }
        }
    }

    fn unknown_saga(&self, message: Message) {
        match (message.record, message.receipt) {
            (Some(record), receipt) => {
                dead_letter::send(
                    &self.parts,
                    record,
                    receipt,
                    DeadLetter::new(PoisonCode::UnknownSaga, "no saga has this id"),
                );
            }
            (None, receipt) => receipt.settle(Disposition::UnknownSaga),
        }
    }

    /// What cannot be processed goes to the DLQ if it came as a record; whoever waits for an act is told.
    fn set_aside(&self, message: Message, code: PoisonCode, reason: &str) {
        error!(shard = self.shard.0, %code, reason, "a message is set aside");
        match (message.record, message.receipt) {
            (Some(record), receipt) => dead_letter::send(&self.parts, record, receipt, DeadLetter::new(code, reason)),
            (None, receipt) => receipt.settle(Disposition::Refused(reason.to_owned())),
        }
    }

    /// Everything that is held and not settled. Timers are left out: the next owner has its own.
    pub(super) fn take_unfinished(&mut self) -> Vec<Message> {
        let starting: Vec<Message> = self.starting.take_all().collect();
        let slots = std::mem::take(&mut self.sagas).into_values();
        let waiting = slots.flat_map(|slot| match slot {
            Slot::Loading { waiting } => waiting,
            Slot::Ready(live) => live.waiting,
        });
        let is_timer = |message: &Message| matches!(message.body, Body::Input { input: Input::TimeReached, .. });
        starting.into_iter().chain(waiting.filter(|message| !is_timer(message))).collect()
    }
}

fn summary(live: &Live, status: Status) -> Summary {
    let (step, reason) = live.state.focus(&live.plan);
    Summary {
        document: live.plan.definition.hash.clone(),
        status: status.as_str().to_owned(),
        open: !status.is_terminal(),
        step: step.map(|step| live.plan.definition.step(step).name.clone()),
        reason: reason.map(|reason| reason.replace('\0', "\u{fffd}")),
        started_at_ms: live.state.started_at.0,
    }
}

/// Of the decoded payload with its keys sorted: the same event produced twice is the same, however it was written.
fn payload_hash(event: &serde_json::Value) -> [u8; 32] {
    Sha256::digest(event.to_string()).into()
}

fn report_ignored(saga: SagaId, plan: &Plan, ignored: &Ignored) {
    metrics::counter!("saga_inputs_ignored_total", "reason" => ignored.code()).increment(1);
    match ignored {
        Ignored::LateSuccess { step } => {
            let step = &plan.definition.step(*step).name;
            warn!(%saga, step, "incident: the saga has ended, and a step that was neither applied nor undone reports success");
            metrics::counter!("saga_incidents_total", "code" => "late_success").increment(1);
        }
        Ignored::Terminal => info!(%saga, "an input for a saga that has ended changes nothing"),
        Ignored::Settled
        | Ignored::NeverSent
        | Ignored::NoSuchAttempt
        | Ignored::NotDue
        | Ignored::Repeated
        | Ignored::NotPublishing => debug!(%saga, reason = %ignored, "an input changes nothing"),
    }
}

fn report_duplicate(live: &Live, stream: Uuid, other_payload: bool) {
    let trigger = &live.state.trigger;
    let other = if other_payload { "yes" } else { "no" };
    metrics::counter!("saga_duplicates_total", "other_payload" => other).increment(1);
    if other_payload {
        warn!(
            saga = live.plan.definition.name, key = live.state.key, taken_by = %stream,
            record = format!("{}/{}/{}", trigger.topic, trigger.partition, trigger.offset),
            "a trigger with another payload came under a key that is taken; it is ignored"
        );
    }
}
