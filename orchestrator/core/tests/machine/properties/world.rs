//! A world that loses, repeats, delays and refuses.

mod again;

use super::{
    hours::Hours,
    judge::{Ended, Judge},
    participants::{Message, Mood, Site},
    spec::{Effects, Side, Spec, name},
};
use crate::{
    given::{self, plan, saga_id, seconds, start_with},
    snapshots::TakenSnapshots,
    surroundings::Surroundings,
};
use saga_core::{
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef, GuardKind, RetryAdvice},
    decide::{self, AdmissionVerdict, DecisionOutcome, PreviousAnswer},
    event::{OperatorAction, SagaDecision, SagaEnd, SagaEvent},
    evolve,
    id::StepIndex,
    input::{ActTarget, OutcomeDelivery, PublicationRef, SagaInput},
    react::{SagaEffect, react},
    replay::{self, RowReplay},
    state::{CommandPhase, EventPosition, SagaPhase, SagaPlan, SagaState, SendTime},
    time::Timestamp,
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};

/// More inputs than any saga of these definitions needs in a kind world.
const MOST_INPUTS: usize = 500;
pub(super) struct World {
    spec: Spec,
    plan: SagaPlan,
    state: SagaState,
    journal: Vec<SagaDecision>,
    /// One of every version.
    snapshots: TakenSnapshots,
    judge: Judge,
    sites: Vec<Site>,
    now: Timestamp,
    refuses_until: Timestamp,
    /// The participants are not configured.
    is_gone: bool,
    /// On their way to participants.
    net: Vec<Message>,
    /// On their way back.
    replies: Vec<SagaInput>,
    /// What was an input before.
    heard: Vec<SagaInput>,
    /// What left in this life.
    sent: BTreeSet<(u32, u16, u32)>,
    /// What left in any life.
    ever_sent: BTreeSet<(u32, u16)>,
    /// Attempts that their participants have said to work on.
    acknowledged: BTreeSet<(CommandRef, u32)>,
    acts: usize,
    life: u32,
    hours: Hours,
    /// What it runs by once the next input is decided.
    moves_to: Option<SagaPlan>,
}

impl World {
    pub(super) fn new(spec: Spec) -> World {
        let plan = plan(&spec.yaml());
        let now = crate::given::START;
        let event = json!({"id": "4711", "yes": true, "no": false});
        let (decision, state) = Surroundings::at(now)
            .known(remembered(now))
            .decide(|context| decide::start(&plan, saga_id(), start_with(event), context));
        let mut world = World {
            judge: Judge::new(spec.clone()),
            sites: spec.steps.iter().map(|step| Site::new(step.conflicts)).collect(),
            spec,
            plan,
            state,
            journal: Vec::new(),
            snapshots: TakenSnapshots::default(),
            now,
            refuses_until: now,
            is_gone: false,
            net: Vec::new(),
            replies: Vec::new(),
            heard: Vec::new(),
            sent: BTreeSet::new(),
            ever_sent: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            acts: 0,
            life: 1,
            hours: Hours::new(),
            moves_to: None,
        };
        world.recorded(decision);
        world
    }

    /// One thing happens, drawn.
    pub(super) fn happens(&mut self, drawn: u16) {
        let (what, which) = (drawn % 30, usize::from(drawn / 30));
        match what {
            0..=3 => self.arrives(which, Mood::Does, true),
            4 => self.arrives(which, Mood::Declines, true),
            5 => self.arrives(which, Mood::KnowsUsNot, true),
            6 => self.arrives(which, Mood::DoesBadly, true),
            7 => self.arrives(which, Mood::Declines, true),
            8 => self.arrives(which, Mood::IsBusy, true),
            9 => self.reply_is_unreadable(which),
            10 => self.arrives(which, Mood::IsAtIt, true),
            11 => self.arrives(which, Mood::Does, false),
            12 => self.is_lost(which),
            13 => self.connection_breaks(which),
            14 => self.is_held_back(which),
            15 | 16 => self.is_answered(which),
            17 => self.is_repeated(which),
            18 => self.crashes(),
            19 if which.is_multiple_of(3) => self.is_gone = !self.is_gone,
            19 => self.refuses_until = self.now.plus(seconds(1 + drawn as u64 % 40)),
            20 | 21 => self.comes_due(),
            22 if self.is_parked() => self.passes(drawn as u64 % 900),
            22 => self.passes(1 + drawn as u64 % 90),
            23 => self.operator(which),
            24 => self.is_stopped(),
            25 => self.hours.cut_off(self.now),
            26 => self.hours.reached(self.now),
            27 => self.arrives(which, Mood::MeetsItself, true),
            28 if self.is_parked() => self.acts(OperatorAction::Skip),
            28 if which.is_multiple_of(4) => self.migrates(),
            _ => self.is_answered_twice(which),
        }
    }

    /// From here on everything that is sent arrives once, is done and answered, and people move parked sagas on.
    pub(super) fn is_kind(&mut self) {
        self.hours.reached(self.now);
        self.refuses_until = self.now;
        self.is_gone = false;
        for _ in 0..MOST_INPUTS {
            if !self.net.is_empty() {
                self.arrives(0, Mood::Does, true);
            } else if !self.replies.is_empty() {
                self.is_answered(0);
            } else if self.judge.end.is_some() {
                return;
            } else if self.is_parked() {
                self.is_moved_on();
            } else {
                self.comes_due();
            }
        }
        panic!("the saga does not end: {:?}\n{:?}", self.state.course, self.state.steps);
    }

    fn is_parked(&self) -> bool {
        matches!(self.state.course, SagaPhase::Parked { .. })
    }

    fn is_moved_on(&mut self) {
        // What stays refused is skipped at last.
        let action = if self.acts % 3 == 2 { OperatorAction::Skip } else { OperatorAction::Retry };
        let before = self.journal.len();
        self.acts(action);
        assert!(self.journal.len() > before, "a parked saga can be moved on: {:?}", self.state.course);
    }

    fn take(&mut self, which: usize) -> Option<Message> {
        let count = self.net.len();
        (count > 0).then(|| self.net.remove(which % count))
    }

    fn arrives(&mut self, which: usize, mood: Mood, answered: bool) {
        let Some(message) = self.take(which) else { return };
        let answer = self.performs(&message, mood);
        let input = message.reply(answer);
        if answered && !self.hours.is_cut_off() {
            self.input(&input);
        } else {
            self.replies.push(input);
        }
    }

    /// The participant answers by a record that cannot be read, and a person mends the record some time later.
    fn reply_is_unreadable(&mut self, which: usize) {
        let Some(message) = self.take(which) else { return };
        if message.is_publication {
            return self.net.push(message);
        }
        let mood = if which.is_multiple_of(3) { Mood::Declines } else { Mood::Does };
        let mended = self.performs(&message, mood);
        self.replies.push(message.reply(mended));
        let failure = CommandFailure::unreadable_reply("not_json", "");
        self.input(&message.reply(CommandAnswer::Unknown { failure, retry: RetryAdvice::Park, retry_after: None }));
    }

    fn performs(&mut self, message: &Message, mood: Mood) -> CommandAnswer {
        let step = message.command.step.at();
        let copied = self.net.iter().any(|other| other.is_copy_of(message));
        let checked = self.spec.steps[step].checked;
        self.sites[step].answers(message, mood, copied, checked)
    }

    /// The request, or its answer, is lost, and nobody says so.
    fn is_lost(&mut self, which: usize) {
        let Some(message) = self.take(which) else { return };
        if which.is_multiple_of(2) {
            self.performs(&message, Mood::Does);
        }
    }

    /// The request, or its answer, is lost, and the caller sees that something broke.
    fn connection_breaks(&mut self, which: usize) {
        let Some(message) = self.take(which) else { return };
        if which.is_multiple_of(2) {
            self.performs(&message, Mood::Does);
        }
        self.input(&message.reply(CommandAnswer::unknown(CommandFailure::new("lost", ""))));
    }

    /// A guard, or the transport, refuses what has not left, or another sending of what its participant has
    /// acknowledged.
    fn is_held_back(&mut self, which: usize) {
        let is_acknowledged = |message: &Message| self.acknowledged.contains(&(message.command, message.attempt));
        let Some(at) = self.net.iter().position(|message| message.untouched || is_acknowledged(message)) else {
            return;
        };
        let message = self.net.remove(at);
        let retry_after = seconds(1 + which as u64 % 9);
        self.input(&message.reply(CommandAnswer::NotSent { guard: GuardKind::Bulkhead, retry_after }));
    }

    fn is_answered(&mut self, which: usize) {
        let count = self.replies.len();
        if count > 0 && !self.hours.is_cut_off() {
            let input = self.replies.remove(which % count);
            self.input(&input);
        }
    }

    /// A request arrives a second time.
    fn is_repeated(&mut self, which: usize) {
        let count = self.net.len();
        if count > 0 {
            let copy = Message { untouched: false, ..self.net[which % count].clone() };
            self.net[which % count].untouched = false;
            self.net.push(copy);
        }
    }

    /// An old input comes again.
    fn is_answered_twice(&mut self, which: usize) {
        let count = self.heard.len();
        if count > 0 {
            let input = self.heard[which % count].clone();
            self.input(&input);
        }
    }

    /// The owner dies; the next one folds the journal and sends what is outstanding.
    fn crashes(&mut self) {
        self.state = evolve::fold(&self.plan, self.state.id, &self.journal).expect("a journal");
        self.state.taken_over(&self.hours.answerable);
        self.hours.changes_owner(self.now);
        self.sent.clear();
        self.life += 1;
        self.sends();
    }

    fn comes_due(&mut self) {
        if let Some(due) = self.next_due() {
            self.now = self.now.max(due);
            self.input(&SagaInput::TimeReached);
            let next = self.next_due();
            assert!(next.is_none_or(|next| next > self.now), "what was due is due again at once: {:?}", self.state);
        }
    }

    /// What is due while no answer can be read waits.
    fn next_due(&self) -> Option<Timestamp> {
        let dues = self.state.dues(&self.plan, &self.hours.answerable, self.now);
        let deadline = dues.deadline.filter(|deadline| *deadline <= self.hours.answerable.until);
        dues.timer.into_iter().chain(deadline).min()
    }

    fn passes(&mut self, count: u64) {
        self.now = self.now.plus(seconds(count));
        self.input(&SagaInput::TimeReached);
    }

    fn operator(&mut self, which: usize) {
        let actions = [
            OperatorAction::Retry,
            OperatorAction::Retry,
            OperatorAction::Cancel,
            OperatorAction::Skip,
            OperatorAction::Cancel,
            OperatorAction::Abandon,
        ];
        let action = actions[which % actions.len()];
        let named = self.in_need().filter(|_| action == OperatorAction::Retry && self.acts.is_multiple_of(3));
        if named.is_some() { self.acts_on(action, named) } else { self.acts(action) }
    }

    /// An operator moves it to a text that says the same.
    fn migrates(&mut self) {
        self.acts += 1;
        let id = format!("act-{}", self.acts);
        let SagaInput::Operator(act) = given::act(&id, OperatorAction::Migrate) else { unreachable!("an act") };
        let same = plan(&format!("{}\n# moved {}\n", self.spec.yaml(), self.acts));
        let before = self.state.clone();
        let input = SagaInput::Mended { act, plan: Arc::new(same.clone()) };
        self.moves_to = Some(same);
        self.input(&input);
        self.moves_to = None;
        let goes_on = matches!(before.course, SagaPhase::Forward | SagaPhase::Compensating { .. });
        let is_moved = self.state.version > before.version;
        assert!(!goes_on && !self.is_parked() || is_moved, "an equal text fits: {:?}", before.course);
        assert!(!is_moved || self.state.course == before.course, "it goes on where it was");
    }

    /// One of the steps that need a person.
    fn in_need(&self) -> Option<ActTarget> {
        let needs = self.state.needs_person(&self.plan);
        let command = needs.get(self.acts % needs.len().max(1))?;
        let step = self.plan.definition.step(command.step).name.clone();
        Some(ActTarget { step, direction: Some(command.direction) })
    }

    /// Whoever decides cannot, for once.
    fn is_stopped(&mut self) {
        self.judge.is_told(None);
        let parked = Surroundings::at(self.now)
            .decide(|context| decide::park(&self.plan, &mut self.state, "stopped".into(), context));
        if let Some(decision) = parked {
            self.recorded(decision);
        }
    }

    /// A skip names what it settles.
    fn acts(&mut self, action: OperatorAction) {
        let named = self.in_need().filter(|_| action == OperatorAction::Skip);
        self.acts_on(action, named);
    }

    fn acts_on(&mut self, action: OperatorAction, about: Option<ActTarget>) {
        self.acts += 1;
        let id = format!("act-{}", self.acts);
        self.input(&given::act_on(&id, action, about));
        // Whoever keeps the times fires at once what is due.
        if crate::given::next_due(&self.state, &self.plan).is_some_and(|due| due <= self.now) {
            self.comes_due();
        }
    }

    fn input(&mut self, input: &SagaInput) {
        // A guard speaks to the caller, who hears it once.
        if !matches!(input, SagaInput::Answered { answer: CommandAnswer::NotSent { .. }, .. }) {
            self.heard.push(input.clone());
        }
        if let SagaInput::Answered { command, attempt: Some(attempt), answer: CommandAnswer::Ongoing { .. } } = input {
            self.acknowledged.insert((*command, *attempt));
        }
        let has_to_tell = self.has_to_tell(input);
        let decided = self.decides(input);
        assert!(
            has_to_tell.is_none_or(|step| self.was_told_of(step)),
            "a success of a skipped step is told: {input:?}"
        );
        // What prolongs an attempt prolongs it each time.
        let prolongs = matches!(
            input,
            SagaInput::Answered { answer: CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. }, .. }
        );
        if decided && !prolongs {
            assert!(!self.decides(input), "the same input twice: {input:?}");
        }
    }

    /// The skipped step whose success this is.
    fn has_to_tell(&self, input: &SagaInput) -> Option<StepIndex> {
        let SagaInput::Answered { command, answer: CommandAnswer::Succeeded { .. }, .. } = input else { return None };
        let is_news = command.direction == CommandDirection::Do && self.judge.has_to_tell_of(command.step.at());
        is_news.then_some(command.step)
    }

    fn was_told_of(&self, step: StepIndex) -> bool {
        let told =
            |event: &SagaEvent| matches!(event, SagaEvent::IncidentOpened { step: about, .. } if *about == Some(step));
        self.journal.last().is_some_and(|decision| decision.events.iter().any(told))
    }

    /// Whether it was recorded.
    fn decides(&mut self, input: &SagaInput) -> bool {
        let before = self.state.clone();
        self.judge.is_told(said(input));
        let (now, until) = (self.now, self.refuses_until);
        let gate = if self.is_gone {
            AdmissionVerdict::Gone
        } else if until > now {
            AdmissionVerdict::Refused { guard: saga_core::command::GuardKind::Breaker, not_before: until }
        } else {
            AdmissionVerdict::Admitted
        };
        let around = Surroundings::at(now)
            .answerable(&self.hours.answerable)
            .random(now.0.unsigned_abs())
            .gate(gate)
            .known(remembered(now));
        let decided = around.decide(|context| decide::decide(&self.plan, &mut self.state, input, context));
        match decided.expect("a legal input") {
            DecisionOutcome::Decided(decision) => {
                if let Some(moved) = self.moves_to.take() {
                    self.plan = moved.after(Arc::new(self.plan.clone()));
                }
                self.recorded(decision);
                true
            }
            DecisionOutcome::Noted => {
                let recorded = |state: SagaState| state.as_recorded().inherited();
                assert_eq!(recorded(self.state.clone()), recorded(before), "nothing is recorded");
                self.hours.notes(input, now);
                self.sends();
                false
            }
            DecisionOutcome::Ignored(_) => {
                assert_eq!(self.state, before, "nothing changes");
                false
            }
            DecisionOutcome::Refused(_) => {
                assert_eq!(self.state, before, "nothing changes");
                false
            }
        }
    }

    fn recorded(&mut self, decision: SagaDecision) {
        self.judge.hears(&decision);
        self.hours.hears(&self.spec, &decision);
        let text = serde_json::to_string(&decision).expect("a row is JSON");
        let read: SagaDecision = serde_json::from_str(&text).expect("a row reads back");
        assert_eq!(read, decision);
        self.journal.push(decision);
        let folded = evolve::fold(&self.plan, self.state.id, &self.journal).expect("a journal");
        assert_eq!(folded, self.state.clone().as_recorded().inherited(), "the journal folds to the state");
        self.snapshots.take(&self.plan, &self.state, usize::MAX);
        self.is_seen_in_outline(&folded);
        self.sends();
    }

    /// Whoever looks at the saga without its payloads sees where it stands.
    fn is_seen_in_outline(&self, whole: &SagaState) {
        let outlines: Vec<SagaDecision> = self.journal.iter().map(SagaDecision::outline).collect();
        let text = serde_json::to_string(&outlines).expect("rows are JSON");
        assert!(!text.contains("\"ok\":") && !text.contains("\"yes\":"), "an outline has payloads: {text}");
        let outline = evolve::fold(&self.plan, self.state.id, &outlines).expect("outlines are a journal");
        let seen = |state: &SagaState| {
            let phases: Vec<_> = state.view(&self.plan).steps.into_iter().map(|step| step.phase).collect();
            (state.status(), state.focus(&self.plan), state.held_by(&self.plan), state.last_at, phases)
        };
        assert_eq!(seen(&outline), seen(whole), "the outlines tell where the saga stands");
        self.is_seen_without_its_texts(whole);
    }

    /// An erased journal tells the same course.
    fn is_seen_without_its_texts(&self, whole: &SagaState) {
        let erased: Vec<SagaDecision> = self.journal.iter().map(SagaDecision::erased).collect();
        let erased = evolve::fold(&self.plan, self.state.id, &erased).expect("erased rows are a journal");
        let seen = |state: &SagaState| {
            let phases: Vec<_> = state.view(&self.plan).steps.into_iter().map(|step| step.phase).collect();
            (state.status(), state.stands(), state.held_by(&self.plan), state.incident_kinds(), state.last_at, phases)
        };
        assert_eq!(seen(&erased), seen(whole), "the erased rows tell where the saga stands");
    }

    /// Everything outstanding leaves, once in a life; and it is all that the journal says is out.
    fn sends(&mut self) {
        let effects = react(&self.plan, &self.state);
        let mut out = BTreeSet::new();
        for effect in &effects {
            match effect {
                SagaEffect::Call(call) => {
                    out.insert((call.command.step.at(), call.command.direction, call.attempt));
                    self.send(call.command, call.attempt, false, call.cause, call.asked);
                }
                SagaEffect::Publish(publish) => match publish.publication {
                    PublicationRef::Step(command) => {
                        out.insert((command.step.at(), command.direction, publish.attempt));
                        self.send(command, publish.attempt, true, publish.cause, 0);
                    }
                    PublicationRef::Outcome => self.publishes_outcome(publish.cause),
                },
                SagaEffect::Wait(_) => {}
            }
        }
        assert_eq!(out, self.judge.out(), "what is outstanding is what the journal says is out");
        let stuck = effects.is_empty() && crate::given::next_due(&self.state, &self.plan).is_none();
        let rests = self.is_parked() || self.judge.end.is_some();
        assert!(rests || !stuck, "nothing will ever happen: {:?}", self.state);
    }

    fn send(&mut self, command: CommandRef, attempt: u32, is_publication: bool, cause: EventPosition, asked: u32) {
        if self.sent.insert((cause.version, cause.index, asked)) {
            if matches!(&self.state.command(command).phase, CommandPhase::Attempting(it) if it.departure == SendTime::NotYet)
            {
                self.state.departs(command, attempt, SendTime::At(self.now));
            }
            let untouched = self.ever_sent.insert((cause.version, cause.index)) && asked == 0;
            self.net.push(Message { command, attempt, is_publication, untouched, life: self.life });
        }
    }

    fn publishes_outcome(&mut self, cause: EventPosition) {
        if self.sent.insert((cause.version, cause.index, 0)) {
            let delivery = OutcomeDelivery::Acknowledged;
            self.replies.push(SagaInput::Delivered { delivery });
        }
    }

    /// What the participants are left with is what the end promises, whatever still arrives.
    pub(super) fn is_judged(&self) {
        let folded = evolve::fold(&self.plan, self.state.id, &self.journal).expect("a journal");
        self.is_decided_again(&folded);
        self.snapshots.lead_to(&self.plan, &self.journal, &folded);
        let end = self.judge.end.as_ref().expect("it ended");
        for step in 0..self.spec.steps.len() {
            if !self.judge.answered_by_hand[step] && !self.judge.is_wait(step) {
                self.is_judged_at(step, end);
            }
        }
    }

    /// The rules decide the same again, from the journal alone, and that leads to the state to which the journal folds.
    fn is_decided_again(&self, folded: &SagaState) {
        let replayed = replay::replay(&self.plan, self.state.id, &self.journal).expect("a journal");
        assert_eq!(replayed.state, *folded, "after {:#?}", self.journal);
        for (version, row) in &replayed.rows {
            let RowReplay::Diverged { recorded, found } = row else { continue };
            panic!("row {version} is {recorded:#?}\nand comes out as {found:#?}\nafter {:#?}", self.journal);
        }
    }

    fn is_judged_at(&self, step: usize, end: &SagaEnd) {
        let (spec, site, forward) = (&self.spec.steps[step], self.sites[step], &self.judge.forward[step]);
        let stays = site.applied && !site.undone;
        let told = format!("{}: {site:?} {forward:?} {end:?}", name(step));
        match end {
            SagaEnd::Completed { .. }
                if spec.optional && !forward.answered_for && forward.ended != Some(Ended::Succeeded) =>
            {
                assert!(!stays || spec.effects != Effects::Undo, "given up and left: {told}");
            }
            SagaEnd::Completed { .. } if forward.answered_for => {}
            SagaEnd::Completed { .. } if forward.ended == Some(Ended::Skipped) => {
                assert!(!site.applied || self.judge.may_be_applied(step), "certainly not done, and done: {told}");
            }
            SagaEnd::Completed { .. } => assert!(stays, "completed and not applied: {told}"),
            SagaEnd::Compensated { irreversible, .. } => match spec.effects {
                Effects::Undo => assert!(!stays, "compensated and left: {told}"),
                Effects::Irreversible if spec.side == Side::Pivot => assert!(!stays, "the pivot happened: {told}"),
                Effects::Irreversible => {
                    assert!(!stays || irreversible.iter().any(|listed| listed.at() == step), "not listed: {told}");
                }
                Effects::ReadOnly => {}
            },
            SagaEnd::Abandoned { left, .. } => {
                let listed = left.iter().any(|left| left.at() == step);
                assert!(!stays || listed || spec.effects == Effects::ReadOnly, "not told: {told}");
            }
        }
    }
}

/// What an answer says of trying again.
fn said(input: &SagaInput) -> Option<(CommandRef, RetryAdvice)> {
    match input {
        SagaInput::Answered {
            command,
            answer: CommandAnswer::Failed { retry, .. } | CommandAnswer::Unknown { retry, .. },
            ..
        } => Some((*command, *retry)),
        SagaInput::Answered {
            answer: CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. },
            ..
        }
        | SagaInput::Delivered { .. }
        | SagaInput::TimeReached
        | SagaInput::Released { .. }
        | SagaInput::KeyTaken { .. }
        | SagaInput::Operator(_)
        | SagaInput::Mended { .. } => None,
    }
}

/// What is remembered at `now`: nothing, or an answer that is older or younger than what the definitions ask for.
fn remembered(now: Timestamp) -> Option<PreviousAnswer> {
    let second = now.0 / 1000;
    let at = if second % 2 == 0 { now } else { now.minus(seconds(3600)) };
    (second % 3 != 0).then(|| PreviousAnswer { at, result: json!({"ok": second % 5 != 0}) })
}
