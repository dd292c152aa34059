//! What a shard's task holds of one saga.

use crate::{
    departure::LeavesAt,
    dispatch::Permitted,
    message::{Message, Receipt},
    row::Shown,
    turns::AtWork,
};
use saga_base::panics::caught;
use saga_core::{
    answerable::{ALWAYS, Answerable},
    command::{Answer, CommandRef, ErrorClass},
    event::Decision,
    input::{Input, Publication},
    react::{Effect, react},
    state::{Course, Phase, Plan, Settled, State},
    time::Timestamp,
};
use saga_resilience::{
    permit::{Permit, Said},
    transport::Dispatch,
};
use std::{collections::VecDeque, sync::Arc};

/// A saga in memory.
pub(super) enum Slot {
    /// Its journal is being read.
    Loading {
        /// What came in the meantime.
        waiting: VecDeque<Message>,
    },
    /// It can decide.
    Ready(Box<Live>),
}

/// A saga that can decide.
pub(super) struct Live {
    pub(super) plan: Arc<Plan>,
    /// One decision ahead of the store while an append is in flight; read by nobody else, dropped if the append is not committed.
    pub(super) state: State,
    /// What the read model shows once the append in flight is committed.
    pub(super) shown: Option<Shown>,
    pub(super) append: Option<InFlight>,
    /// What came while an append was in flight.
    pub(super) waiting: VecDeque<Message>,
    /// What has left in this life and is still outstanding.
    pub(super) sent: Vec<Sent>,
    /// What was outstanding when the saga was read: it may have left in the life of an earlier owner.
    before: Vec<Sent>,
    /// When what has left in this life left, as far as its time runs from there.
    pub(super) departures: Vec<(Sent, LeavesAt)>,
    /// Taken when a call was decided, handed over when it leaves.
    pub(super) permits: Vec<Permitted>,
    /// Its turn to be in memory because its time had come.
    turn: Option<AtWork>,
    /// A decision or its effects panicked with this: the state is not to be trusted.
    pub(super) broken: Option<String>,
}

/// A decision that is on its way to the store.
pub(super) struct InFlight {
    pub(super) message: Message,
    pub(super) decision: Decision,
    /// Of the event that the saga starts with; only a start has one.
    pub(super) payload_hash: Option<[u8; 32]>,
}

/// Identity of an effect that has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Call { command: CommandRef, attempt: u32, asked: u32 },
    Publish(Publication, u32),
}

impl Live {
    /// What was decided by another definition is recorded, and gone on with, by that.
    pub(super) fn runs_by(&mut self, input: &Input) {
        if let Input::Mended { plan, .. } = input {
            self.plan = Arc::new(plan.after(Arc::clone(&self.plan)));
            // A list shows the definition, whatever the status.
            self.shown = None;
        }
    }
}

impl Sent {
    /// `None` of what waits: nothing of it leaves.
    pub(super) fn of(effect: &Effect) -> Option<Sent> {
        match effect {
            Effect::Call(call) => Some(Sent::Call { command: call.command, attempt: call.attempt, asked: call.asked }),
            Effect::Publish(publish) => Some(Sent::Publish(publish.publication, publish.attempt)),
            Effect::Wait(_) => None,
        }
    }
}

impl Sent {
    /// The attempt that leaves; `None` of the outcome event.
    pub(super) fn attempt(&self) -> Option<(CommandRef, u32)> {
        match self {
            Sent::Call { command, attempt, .. } | Sent::Publish(Publication::Step(command), attempt) => {
                Some((*command, *attempt))
            }
            Sent::Publish(Publication::Outcome, _) => None,
        }
    }
}

impl Live {
    /// A saga that starts here.
    pub(super) fn new(plan: Arc<Plan>, state: State) -> Live {
        Live::with(plan, state, None, Vec::new())
    }

    /// A saga that was read: what is outstanding may have left before.
    pub(super) fn taken_over(plan: Arc<Plan>, mut state: State, answerable: &Answerable) -> Live {
        let shown = Shown::of(&plan, &state);
        // What holds it, and its incidents, may have been recorded by a build that did not show them.
        let is_plain = shown.held_by.is_empty() && shown.incidents.is_empty();
        let shown = is_plain.then_some(shown);
        let outstanding = caught(|| react(&plan, &state));
        let before =
            outstanding.as_ref().map(|effects| effects.iter().filter_map(Sent::of).collect()).unwrap_or_default();
        state.taken_over(answerable);
        let mut live = Live::with(plan, state, shown, before);
        live.broken = outstanding.err();
        live
    }

    /// Whether `sent` may have left in the life of an earlier owner.
    pub(super) fn dispatch_of(&self, sent: &Sent) -> Dispatch {
        if self.before.contains(sent) { Dispatch::Repeated } else { Dispatch::First }
    }

    fn with(plan: Arc<Plan>, state: State, shown: Option<Shown>, before: Vec<Sent>) -> Live {
        Live {
            plan,
            state,
            shown,
            append: None,
            waiting: VecDeque::new(),
            sent: Vec::new(),
            before,
            departures: Vec::new(),
            permits: Vec::new(),
            turn: None,
            broken: None,
        }
    }

    /// Something is recorded. The turn is kept while the saga is in memory: others come when it has left.
    pub(super) fn keep_turn(&mut self, receipt: &mut Receipt) {
        match std::mem::replace(receipt, Receipt::None) {
            Receipt::Turn(turn) => self.turn = Some(turn.recorded()),
            other @ (Receipt::None | Receipt::Offset(_) | Receipt::Reply(_) | Receipt::Woken(_)) => *receipt = other,
        }
    }

    /// Tells the state when its attempts left, and whether its outcome event is out.
    pub(super) fn note_departures(&mut self) {
        self.state.outcome_is_out = self.sent.iter().any(|sent| matches!(sent, Sent::Publish(Publication::Outcome, _)));
        for (sent, leaves_at) in &self.departures {
            if let Some((command, attempt)) = sent.attempt() {
                self.state.departs(command, attempt, leaves_at.departure());
            }
        }
    }

    /// Nothing of it is under way: it can be read again when something happens to it.
    pub(super) fn is_quiet(&self) -> bool {
        self.append.is_none() && self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Its outcome event waits for its topic, and the saga need not be in memory for that.
    pub(super) fn outcome_has_not_left(&mut self) {
        self.sent.retain(|sent| !matches!(sent, Sent::Publish(Publication::Outcome, _)));
    }

    /// The permit taken for this attempt, if one was; `None`: for whichever is held.
    pub(super) fn take_permit(&mut self, command: CommandRef, attempt: Option<u32>) -> Option<Permit> {
        let is_it = |held: &Permitted| held.command == command && attempt.is_none_or(|attempt| attempt == held.attempt);
        let index = self.permits.iter().position(is_it)?;
        Some(self.permits.swap_remove(index).permit)
    }

    /// An answer tells the breaker how the participant is; what it was about is no matter of the guard.
    pub(super) fn settle_permit(&mut self, input: &Input) {
        let Input::Answered { command, attempt, answer } = input else { return };
        let goes_on = matches!(answer, Answer::Ongoing { .. });
        if !goes_on && let Some(permit) = self.take_permit(*command, *attempt) {
            permit.remember(self.state.id, answer);
            permit.settle(Said::by(answer));
        }
    }

    /// Whose command succeeds although its attempts had been given up; whether a repeated answer says so does not tell how the participant is.
    pub(super) fn late_success(&self, input: &Input) -> Option<String> {
        let Input::Answered { command, attempt, answer: Answer::Succeeded { .. } } = input else { return None };
        let it = self.state.command(*command);
        let is_out = matches!(it.phase, Phase::Attempting(_)) && attempt.is_none_or(|attempt| attempt == it.attempt);
        let is_news = !matches!(it.phase, Phase::Settled(Settled::Succeeded | Settled::Rejected(_)));
        let in_doubt = attempt.map_or(!it.in_doubt.is_empty(), |attempt| it.in_doubt.contains(&attempt));
        let given_up = is_news && in_doubt && !is_out;
        it.request.as_ref().filter(|_| given_up).and_then(|request| request.participant().map(str::to_owned))
    }

    /// Whether an attempt is over because nobody answered in time, and not because somebody ended it: only then does it say something of the
    /// participant.
    fn is_late(&self, command: CommandRef) -> bool {
        let failure = self.state.command(command).last_failure.as_ref();
        failure.is_some_and(|failure| failure.class == Some(ErrorClass::Timeout))
    }

    /// A parked saga's times do not fire, and yet an attempt that nobody answered in its time neither holds a place nor is sent again.
    pub(super) fn is_over(&self, sent: &Sent, now: Timestamp) -> bool {
        self.place_ends(sent).is_some_and(|end| end <= now)
    }

    /// When a parked saga's call gives its place back.
    fn place_ends(&self, sent: &Sent) -> Option<Timestamp> {
        let Sent::Call { command, .. } = sent else { return None };
        let is_parked = matches!(self.state.course, Course::Parked { .. });
        is_parked.then(|| self.state.attempt_ends(*command, &ALWAYS.outages)).flatten()
    }

    /// When the next place has to be given back.
    pub(super) fn next_place_ends(&self) -> Option<Timestamp> {
        self.sent.iter().filter_map(|sent| self.place_ends(sent)).min()
    }

    /// Gives back the places of attempts whose time was over in a parked saga, as if that had been recorded.
    pub(super) fn give_up_places(&mut self, now: Timestamp) {
        let (over, sent): (Vec<Sent>, Vec<Sent>) =
            std::mem::take(&mut self.sent).into_iter().partition(|sent| self.is_over(sent, now));
        self.sent = sent;
        for over in over {
            let Sent::Call { command, attempt, .. } = over else { continue };
            if let Some(permit) = self.take_permit(command, Some(attempt)) {
                permit.was_not_answered(self.state.id);
            }
        }
    }

    /// Forgets what is no longer outstanding. A permit that is still held for it belongs to an attempt that nobody answered in time.
    pub(super) fn forget_all_but(&mut self, effects: &[Effect]) {
        let outstanding: Vec<Sent> = effects.iter().filter_map(Sent::of).collect();
        self.departures.retain(|(sent, _)| outstanding.contains(sent));
        for over in self.sent.extract_if(.., |sent| !outstanding.contains(sent)).collect::<Vec<_>>() {
            let Sent::Call { command, attempt, .. } = over else { continue };
            let goes_on =
                outstanding.iter().any(|sent| matches!(sent, Sent::Call { command: other, .. } if *other == command));
            if !goes_on && let Some(permit) = self.take_permit(command, Some(attempt)) {
                if self.is_late(command) {
                    permit.was_not_answered(self.state.id);
                } else {
                    permit.settle(Said::NOTHING);
                }
            }
        }
    }
}

#[cfg(test)]
mod places;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Permitted;
    use saga_core::{
        answerable::ALWAYS,
        decide::{self, Context},
        definition::{self, Participants, participants},
        event::Trigger,
        id::{SagaId, Shard},
        input::Start,
        policy::Policies,
    };
    use saga_guards::Lane;
    use saga_resilience::{
        gate::{Asking, Attempt, Coming},
        registry::{Admission, Guarded},
    };

    pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn context<T>(now: Timestamp, decide: impl FnOnce(&mut Context<'_>) -> T) -> T {
        decide(&mut Context {
            now,
            answerable: &ALWAYS,
            random: 1,
            admission: &mut |_| decide::Admission::Admitted,
            room: &|_| None,
            choose: &mut |_| None,
            recall: &mut |_| None,
        })
    }

    /// A saga whose command over Kafka is unanswered, parked, and the guards of its participant, which takes one command at a time.
    fn parked() -> (Live, Guarded) {
        let said = stock(1);
        let (plan, state) = parked_saga(&said, 7);
        (Live::new(plan, state), Guarded::from_participants(&said).expect("guards"))
    }

    /// A participant that takes so many commands at a time.
    pub(super) fn stock(places: usize) -> Participants {
        let said =
            format!("participants:\n  stock: {{kafka: {{commands: stock}}, timeout: 30s, bulkhead: {places}}}\n");
        participants::parse("participants.yaml", &said, &|_| None).expect("participants")
    }

    pub(super) fn parked_saga(said: &Participants, number: u64) -> (Arc<Plan>, State) {
        let text =
            "saga: s\ntrigger: {topic: t, key: \"${ event.id }\"}\nsteps: [{step: a, do: stock.A, undo: stock.B}]\n";
        let parsed = definition::parse("s.saga.yaml", text, Some(said), None).expect("a definition");
        let policies = Policies::resolve(&parsed.definition, said);
        let plan = Arc::new(Plan::new(Arc::new(parsed.definition), Arc::new(policies)));
        let trigger = Trigger {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            key: None,
            timestamp: NOW,
            headers: std::collections::BTreeMap::new(),
            event: serde_json::json!({"id": "1"}),
        };
        let start = Start { key: "1".into(), trigger, traceparent: None };
        let id = SagaId::new(NOW, Shard(0), number);
        let (_, mut state) = context(NOW, |context| decide::start(&plan, id, start, context));
        context(NOW, |context| decide::park(&plan, &mut state, "a person has to look".into(), context));
        (plan, state)
    }

    pub(super) fn admit(guarded: &Guarded) -> Option<Permit> {
        match guarded.admit("stock", Asking { lane: Lane::Do, attempt: Attempt::First, coming: Coming::Anew }) {
            Admission::Admitted(permit) => Some(permit),
            Admission::Refused { .. } | Admission::Gone => None,
        }
    }

    #[tokio::test]
    async fn a_parked_saga_gives_its_place_back_when_the_attempt_s_time_is_over() {
        let (mut live, guarded) = parked();
        let effects = react(&live.plan, &live.state);
        let sent = effects.first().and_then(Sent::of).expect("the command is outstanding");
        let Sent::Call { command, attempt, .. } = sent else { panic!("a call") };
        let mut permit = admit(&guarded).expect("there is room");
        permit.pass().await.expect("a place is free");
        live.permits.push(Permitted { command, attempt, permit });
        live.sent.push(sent.clone());

        let end = NOW.plus(std::time::Duration::from_secs(30));
        assert_eq!(live.next_place_ends(), Some(end));
        live.give_up_places(end.minus(std::time::Duration::from_millis(1)));
        assert!(!live.permits.is_empty(), "its time is not over");
        live.give_up_places(end);
        assert!(live.permits.is_empty() && live.is_quiet());
        assert!(live.is_over(&sent, end), "it is not sent again");
        assert_eq!(live.next_place_ends(), None);
        let mut next = admit(&guarded).expect("the place is free");
        assert!(next.pass().await.is_ok());
    }
}
