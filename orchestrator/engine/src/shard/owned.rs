//! The sagas of one shard under one epoch: every input becomes a decision, every decision an append, every commit its effects.

use super::{
    Ended,
    attending::Heard,
    classified::classified,
    incidents,
    live::{InFlight, Live, Slot},
    measured,
    reading::Read,
    recovery::{self, Recovery},
    unreadable::Unreadable,
    waits::Waits,
};
use crate::{
    Parts,
    committer::NotCommitted,
    dispatch::Admissions,
    due::DueTimes,
    journal,
    message::{Body, Disposition, Message},
    row::{self, By, Shown},
    starting::Starting,
    turns::{self, Turn, Turns},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use saga_base::panics::caught;
use saga_core::{
    answerable::Answerable,
    decide::{self, Ignored, Outcome},
    event::{Decision, Event, ParkReason},
    evolve,
    id::{SagaId, Shard},
    input::Input,
    time::Timestamp,
};
use saga_event_store::{Append, Appended, Epoch};
use saga_resilience::gate::Wake;
use saga_wire::poison::PoisonCode;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::pin,
    sync::Arc,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Appends of one shard that may be under way; beyond it the shard takes no more messages until one is answered.
const IN_FLIGHT: usize = 1024;

/// Messages after which timers are looked at although more messages are there.
const TIMERS_EVERY: u32 = 64;

pub(super) struct Owned {
    pub(super) parts: Arc<Parts>,
    pub(super) shard: Shard,
    pub(super) epoch: Epoch,
    pub(super) sagas: HashMap<SagaId, Slot>,
    pub(super) due: DueTimes,
    /// Up to when answers have been taken, and when none could be.
    pub(super) answerable: Answerable,
    pub(super) heard: Heard,
    pub(super) starting: Starting,
    appends: FuturesUnordered<BoxFuture<'static, (SagaId, Result<Appended, NotCommitted>)>>,
    pub(super) loads: FuturesUnordered<BoxFuture<'static, Read>>,
    /// `None`: everything that was open at the claim has been looked at.
    pub(super) recovery: Option<Recovery>,
    pub(super) turns: Turns,
    pub(super) unreadable: Unreadable,
    /// Calls that the guard holds back outside of a decision; they become inputs in the next turn.
    pub(super) held_back: Vec<(SagaId, Input)>,
    /// Starts under keys that these sagas have, with other payloads.
    pub(super) repeated: Vec<(SagaId, Message)>,
    /// Sagas that have enough of them on record.
    pub(super) told_enough: HashSet<SagaId>,
    /// Sagas that are read again to be parked, with the reason.
    pub(super) to_park: HashMap<SagaId, String>,
    /// What waits in the guards' lines.
    pub(super) waits: Waits,
    fenced: bool,
}

impl Owned {
    pub(super) fn new(parts: Arc<Parts>, shard: Shard, epoch: Epoch, answerable: Answerable) -> Owned {
        Owned {
            recovery: Some(Recovery::begin(&parts, shard)),
            turns: Turns::of(&parts.turns),
            unreadable: Unreadable::default(),
            parts,
            shard,
            epoch,
            sagas: HashMap::new(),
            due: DueTimes::default(),
            answerable,
            heard: Heard::NotYet,
            starting: Starting::default(),
            appends: FuturesUnordered::new(),
            loads: FuturesUnordered::new(),
            held_back: Vec::new(),
            repeated: Vec::new(),
            told_enough: HashSet::new(),
            to_park: HashMap::new(),
            waits: Waits::default(),
            fenced: false,
        }
    }

    /// Works until it is told to stop, fenced, or what it rests on is gone; then waits for the appends that are under way, so that every message is either settled
    /// or still held.
    pub(super) async fn serve(
        &mut self,
        messages: &mut mpsc::Receiver<Message>,
        stop: &CancellationToken,
        gone: impl Future<Output = ()>,
    ) -> Ended {
        let mut messages_since_timers = 0;
        let mut gone = pin!(gone);
        while !self.fenced {
            for (saga, input) in std::mem::take(&mut self.held_back) {
                self.take_input(saga, Message::of(saga, input));
            }
            for (saga, message) in std::mem::take(&mut self.repeated) {
                self.take_input(saga, message);
            }
            if messages_since_timers >= TIMERS_EVERY {
                messages_since_timers = 0;
                let turn = self.turns.now();
                self.fire(turn);
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                Some((saga, answer)) = self.appends.next() => self.answered(saga, answer),
                Some(read) = self.loads.next() => self.all_loaded(read),
                () = stop.cancelled() => break,
                () = &mut gone => self.fenced = true,
                Some(next) = next(messages, &mut self.waits), if self.appends.len() < IN_FLIGHT => {
                    messages_since_timers += 1;
                    match next {
                        Next::Message(message) => self.take(message),
                        Next::Called(wake) => self.called(wake),
                    }
                }
                found = recovery::next(&mut self.recovery), if self.appends.len() < IN_FLIGHT => self.recovered(found),
                turn = self.turns.next(wake) => self.fire(turn),
            }
        }
        // Nobody here looks at calls any more.
        self.waits = Waits::default();
        while let Some((saga, answer)) = self.appends.next().await {
            self.answered(saga, answer);
        }
        if self.fenced { Ended::Fenced } else { Ended::Stopped }
    }

    fn wake(&mut self) -> tokio::time::Instant {
        let due = self.due.next(self.parts.clock.now(), self.answerable.until);
        let due = due.unwrap_or(Timestamp::MAX);
        self.parts.clock.instant_of(due)
    }

    /// Looks at what is due, as much as a turn is for. What comes after it waits for another turn.
    pub(super) fn fire(&mut self, turn: Option<Turn>) {
        let now = self.parts.clock.now();
        if let Some(turn) = turn {
            self.fire_together(now, &turn);
        }
        if self.due.waits_for_answers(now, self.answerable.until) {
            self.parts.answer_path.wants_word();
        }
    }

    fn fire_together(&mut self, now: Timestamp, turn: &Turn) {
        let mut to_read = Vec::new();
        for _ in 0..turns::TOGETHER {
            let Some(saga) = self.due.pop(now, self.answerable.until) else { break };
            self.fire_one(saga, turn.clone(), &mut to_read);
        }
        self.load_all(to_read);
    }

    fn fire_one(&mut self, saga: SagaId, turn: Turn, to_read: &mut Vec<SagaId>) {
        let message = Message::time_reached(saga, turn);
        match self.sagas.get(&saga) {
            None => {
                self.is_loading(saga, VecDeque::from([message]));
                to_read.push(saga);
            }
            // A saga whose append is under way sets its due time anew when that is answered.
            Some(Slot::Ready(live)) if live.append.is_some() => {}
            Some(Slot::Ready(_) | Slot::Loading { .. }) => self.take_input(saga, message),
        }
    }

    fn take(&mut self, message: Message) {
        if let Body::ReadUntil(read) = message.body {
            return self.read_until(read);
        }
        match message.body.saga() {
            None => self.take_start(message),
            Some(saga) => self.take_input(saga, message),
        }
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
            && live.broken.is_none()
            && let Some(message) = live.waiting.pop_front()
        {
            self.step(saga, &mut live, message);
        }
        if let Some(reason) = live.broken.take() {
            return self.read_and_park(saga, live.waiting, reason);
        }
        if !live.is_quiet() {
            self.sagas.insert(saga, Slot::Ready(live));
        }
    }

    fn step(&mut self, saga: SagaId, live: &mut Live, message: Message) {
        let Some(input) = message.body.input(&live.plan) else {
            return self.set_aside(message, PoisonCode::UnknownStep, "the saga's definition has no such step");
        };
        let input = classified(&self.parts.current.load().participants, &live.state, input);
        if let Some(participant) = live.late_success(&input) {
            self.parts.guarded.late_success(&participant);
        }
        live.settle_permit(&input);
        self.outcome_not_taken(live, &input);
        live.note_departures();
        let now = self.parts.clock.now();
        let mut admissions = Admissions::new(&self.parts, now, &self.answerable).about(&input);
        let decided =
            caught(|| admissions.during(|context| decide::decide(&live.plan, &mut live.state, &input, context)));
        let outcome = match decided {
            Ok(outcome) => outcome,
            Err(panic) => {
                live.broken = Some(panic.clone());
                return self.set_aside(message, PoisonCode::IllegalInput, &panic);
            }
        };
        match outcome {
            Ok(Outcome::Decided(decision)) => {
                live.permits.extend(admissions.into_permits());
                live.runs_by(&input);
                self.append(saga, live, message, decision);
            }
            Ok(Outcome::Noted) => self.noted(saga, live, message),
            Ok(Outcome::Ignored(ignored)) => {
                self.unchanged(saga, live, &input, &ignored);
                if ignored == (Ignored::KeyTaken { is_full: true }) {
                    self.is_told_enough(saga);
                }
                report_ignored(saga, &ignored);
                message.receipt.settle(Disposition::Ignored(ignored.to_string()));
            }
            Ok(Outcome::Refused(refused)) => message.receipt.settle(Disposition::Refused(refused.to_string())),
            Err(illegal) => self.set_aside(message, PoisonCode::IllegalInput, &illegal.to_string()),
        }
    }

    /// Nothing changes. A saga that was read because something was due goes on when that is none after all.
    fn unchanged(&mut self, saga: SagaId, live: &mut Live, input: &Input, ignored: &Ignored) {
        live.give_up_places(self.parts.clock.now());
        if matches!(input, Input::TimeReached) {
            self.perform(saga, live);
        }
        self.set_due(saga, live);
        self.wait_again(saga, live, input, ignored);
    }

    /// Nothing to record. What is outstanding by that, a question how far an attempt is, has its cause on record long since.
    fn noted(&mut self, saga: SagaId, live: &mut Live, message: Message) {
        self.perform(saga, live);
        self.set_due(saga, live);
        message.receipt.settle(Disposition::Ignored("it is no news".into()));
    }

    pub(super) fn append(&mut self, saga: SagaId, live: &mut Live, message: Message, decision: Decision) {
        let append = self.row(live, &decision);
        let payload_hash = append.as_ref().ok().and_then(|append| append.new_key.as_ref()).map(|key| key.payload_hash);
        live.append = Some(InFlight { message, decision, payload_hash });
        let committer = self.parts.committer(self.shard).clone();
        self.appends.push(Box::pin(async move {
            match append {
                Ok(append) => (saga, committer.append(append).await),
                // Nothing of it has left: it is as if the store had refused it.
                Err(unwritable) => (saga, Err(NotCommitted::Impossible(unwritable.to_string()))),
            }
        }));
    }

    fn row(&self, live: &mut Live, decision: &Decision) -> Result<Append, journal::codec::Unwritable> {
        let by = By { shard: self.shard, epoch: self.epoch };
        let append = row::unshown(by, &live.plan, &live.state, decision)?;
        let shows = Shown::of(&live.plan, &live.state);
        let changes = live.shown.as_ref() != Some(&shows) || evolve::changes_definition(decision);
        let summary = changes.then(|| row::summary(&live.plan, &live.state, &shows));
        live.shown = Some(shows);
        Ok(Append { summary, ..append })
    }

    fn answered(&mut self, saga: SagaId, answer: Result<Appended, NotCommitted>) {
        let Some(Slot::Ready(mut live)) = self.sagas.remove(&saga) else { return };
        let Some(in_flight) = live.append.take() else { return };
        match answer {
            Ok(Appended::Committed) => self.committed(saga, live, in_flight),
            Ok(Appended::DuplicateKey { stream, payload_hash }) => {
                self.duplicate(&live, in_flight, stream, payload_hash);
            }
            Ok(Appended::Conflict) => self.conflict(saga, *live, in_flight),
            Ok(Appended::Fenced) | Err(NotCommitted::Stopped) => {
                self.fenced = true;
                live.waiting.push_front(in_flight.message);
                self.sagas.insert(saga, Slot::Ready(live));
            }
            Err(NotCommitted::Impossible(reason)) => self.impossible(saga, *live, in_flight, reason),
        }
    }

    /// The saga parks, unless it is its parking that cannot be written.
    fn impossible(&mut self, saga: SagaId, live: Live, in_flight: InFlight, reason: String) {
        let InFlight { message, decision, payload_hash: _ } = in_flight;
        let is_start = decision.version == 1;
        self.start_ended(&live);
        self.set_aside(message, PoisonCode::StoreRefused, &reason);
        if is_start {
            live.waiting.into_iter().for_each(|message| self.unknown_saga(message));
        } else if is_parking(&decision) {
            live.waiting.into_iter().for_each(|message| self.set_aside(message, PoisonCode::StoreRefused, &reason));
            self.leave_out_for(saga, format!("the saga cannot be written on: {reason}"));
        } else {
            self.read_and_park(saga, live.waiting, reason);
        }
    }

    /// The only place from which effects leave.
    fn committed(&mut self, saga: SagaId, mut live: Box<Live>, in_flight: InFlight) {
        let InFlight { mut message, decision, payload_hash } = in_flight;
        live.keep_turn(&mut message.receipt);
        self.parts.observer.committed(saga, &live.plan, &live.state, &decision);
        self.parts.answers.committed(&live.plan, &live.state, &decision);
        measured::ended(&live.state, &decision);
        incidents::tell(saga, &live.plan, &decision);
        let disposition = match &message.body {
            Body::Start { .. } if decision.version == 1 => {
                self.start_committed(saga, &live, payload_hash);
                Disposition::Started(saga)
            }
            Body::Start { .. } => Disposition::Duplicate { saga, other_payload: true },
            Body::Reply(_) | Body::Input { .. } | Body::ReadUntil(_) => Disposition::Applied,
        };
        message.receipt.settle(disposition);
        self.perform(saga, &mut live);
        self.set_due(saga, &mut live);
        self.go_on(saga, live);
    }

    /// Somebody else wrote this version: what was decided here never happened. Read again, decide again.
    fn conflict(&mut self, saga: SagaId, mut live: Live, in_flight: InFlight) {
        warn!(%saga, version = live.state.version, "another writer was first; reading the saga again");
        metrics::counter!("saga_conflicts_total").increment(1);
        self.start_ended(&live);
        match in_flight.message.body {
            Body::Start { .. } if in_flight.decision.version == 1 => self.take_start(in_flight.message),
            Body::Start { .. } | Body::Reply(_) | Body::Input { .. } | Body::ReadUntil(_) => {
                live.waiting.push_front(in_flight.message);
                self.load(saga, live.waiting);
            }
        }
    }
}

/// What a shard is told.
enum Next {
    Message(Message),
    Called(Wake),
}

/// Whichever comes; neither can keep the other out.
async fn next(messages: &mut mpsc::Receiver<Message>, waits: &mut Waits) -> Option<Next> {
    tokio::select! {
        Some(message) = messages.recv() => Some(Next::Message(message)),
        Some(wake) = waits.called() => Some(Next::Called(wake)),
    }
}

/// Whether it is all that is written of a saga whose decisions cannot be made or written.
fn is_parking(decision: &Decision) -> bool {
    matches!(decision.events.as_slice(), [Event::SagaParked { reason: ParkReason::Limit { .. } }])
}

fn report_ignored(saga: SagaId, ignored: &Ignored) {
    metrics::counter!("saga_inputs_ignored_total", "reason" => ignored.code()).increment(1);
    match ignored {
        Ignored::Terminal => info!(%saga, "an input for a saga that has ended changes nothing"),
        Ignored::Settled
        | Ignored::NeverSent
        | Ignored::NoSuchAttempt
        | Ignored::NotDue
        | Ignored::StillHeld { .. }
        | Ignored::KeyTaken { .. }
        | Ignored::Repeated
        | Ignored::NotPublishing => debug!(%saga, reason = %ignored, "an input changes nothing"),
    }
}
