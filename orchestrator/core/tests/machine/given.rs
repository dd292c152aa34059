//! given a definition, when something happens, then this is recorded and outstanding.
//!
//! Whatever a test does, after every input the journal folds to the state that decide left, and an input that is
//! ignored or refused leaves the state as it was.

use crate::{snapshots::TakenSnapshots, surroundings::Surroundings, words};
use saga_core::{
    answerable::{ALWAYS, AnswerWatermark, OutagePeriod},
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind, RetryAdvice},
    decide::{self, AdmissionVerdict, DecisionOutcome, IgnoreReason, PreviousAnswer},
    definition::{self, ParticipantCatalog, participants},
    event::{OperatorAction, SagaDecision, TriggerRecord},
    evolve,
    id::{SagaId, ShardId},
    input::{ActTarget, OperatorAct, OutcomeDelivery, PublicationRef, SagaFork, SagaInput, SagaStart},
    policy::SagaPolicies,
    react::{SagaEffect, react},
    replay::{self, RowReplay},
    state::{CommandPhase, SagaPlan, SagaState, SagaStatus, SendTime},
    time::Timestamp,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);

const PARTICIPANTS: &str = "
participants:
  stock: {kafka: {commands: stock.commands}, timeout: 30s}
  bank: {http: {url: 'http://localhost:9001'}, timeout: 5s}
  reader-a: {kafka: {commands: a.commands}, timeout: 45s, capabilities: [text-analysis]}
  reader-b: {kafka: {commands: b.commands}, retry: {attempts: 9}, capabilities: [text-analysis]}
";

pub(crate) fn participants() -> ParticipantCatalog {
    participants::parse("participants.yaml", PARTICIPANTS, &|_| None).expect("the participants of the tests hold")
}

/// The plan of a definition that begins with its `steps:` or its own settings.
pub(crate) fn plan(body: &str) -> SagaPlan {
    let text = format!("saga: test\ntrigger: {{topic: orders, key: \"${{ event.id }}\"}}\n{body}");
    let participants = participants();
    let parsed = definition::parse("test.saga.yaml", &text, Some(&participants), None);
    let parsed =
        parsed.unwrap_or_else(|findings| panic!("{}", definition::render(&findings, definition::RenderStyle::Plain)));
    let policies = SagaPolicies::resolve(&parsed.definition, &participants);
    SagaPlan::new(Arc::new(parsed.definition), Arc::new(policies))
}

pub(crate) fn start_with(event: Value) -> SagaStart {
    let trigger = TriggerRecord {
        topic: "orders".into(),
        partition: 0,
        offset: 7,
        key: None,
        timestamp: START,
        headers: BTreeMap::new(),
        event,
    };
    SagaStart { key: "4711".into(), trigger, traceparent: None }
}

/// When a saga has to be looked at again, as if answers could be read at all times.
pub(crate) fn next_due(state: &SagaState, plan: &SagaPlan) -> Option<Timestamp> {
    state.dues(plan, &ALWAYS, state.last_at).first()
}

pub(crate) fn saga_id() -> SagaId {
    SagaId::new(START, ShardId(3), 42)
}

/// The snapshots of a saga under test that are compared: a life of thousands of rows has as many.
const MOST_SNAPSHOTS: usize = 2;

/// A saga under test.
#[derive(Clone)]
pub(crate) struct Saga {
    pub(crate) plan: SagaPlan,
    pub(crate) state: SagaState,
    pub(crate) journal: Vec<SagaDecision>,
    snapshots: TakenSnapshots,
    now: Timestamp,
    answerable: AnswerWatermark,
    gate: AdmissionVerdict,
    known: Option<PreviousAnswer>,
    chosen: Option<&'static str>,
    /// What commands to `stock` may have.
    room: Option<usize>,
    last: DecisionOutcome,
    acts: u32,
}

/// A saga of the definition that `body` completes, right after its start.
pub(crate) fn given(body: &str) -> Saga {
    given_event(body, json!({"id": "4711"}))
}

/// The same, started by `event`.
pub(crate) fn given_event(body: &str, event: Value) -> Saga {
    given_gate(body, event, AdmissionVerdict::Admitted)
}

/// The same, while the guard of every participant answers `gate`.
pub(crate) fn given_gate(body: &str, event: Value, gate: AdmissionVerdict) -> Saga {
    given_known(body, event, gate, None)
}

/// The same, while the last answer to every request of a read-only step is `known`.
pub(crate) fn given_known(body: &str, event: Value, gate: AdmissionVerdict, known: Option<PreviousAnswer>) -> Saga {
    begun(body, event, gate, known, Some("reader-a"))
}

/// The same, while `chosen` is who is chosen by capability.
pub(crate) fn given_chosen(body: &str, chosen: Option<&'static str>) -> Saga {
    begun(body, json!({"id": "4711"}), AdmissionVerdict::Admitted, None, chosen)
}

fn begun(
    body: &str,
    event: Value,
    gate: AdmissionVerdict,
    known: Option<PreviousAnswer>,
    chosen: Option<&'static str>,
) -> Saga {
    let plan = plan(body);
    let around = Surroundings::at(START).gate(gate).known(known.clone()).chosen(chosen);
    let (decision, state) = around.decide(|context| decide::start(&plan, saga_id(), start_with(event), context));
    let last = DecisionOutcome::Decided(decision.clone());
    let mut saga = Saga {
        plan,
        state,
        journal: vec![decision],
        snapshots: TakenSnapshots::default(),
        now: START,
        answerable: ALWAYS.clone(),
        gate,
        known,
        chosen,
        room: None,
        last,
        acts: 0,
    };
    saga.holds();
    saga
}

impl Saga {
    /// A saga that runs another one again, right after its start.
    pub(crate) fn forked(plan: &SagaPlan, id: SagaId, start: SagaStart, fork: SagaFork) -> Saga {
        let around = Surroundings::at(START).chosen(Some("reader-a"));
        let (decision, state) = around.decide(|context| decide::rerun(plan, id, start, fork, context));
        let mut saga = Saga {
            plan: plan.clone(),
            state,
            journal: vec![decision.clone()],
            snapshots: TakenSnapshots::default(),
            now: START,
            answerable: ALWAYS.clone(),
            gate: AdmissionVerdict::Admitted,
            known: None,
            chosen: Some("reader-a"),
            room: None,
            last: DecisionOutcome::Decided(decision),
            acts: 0,
        };
        saga.holds();
        saga
    }

    /// `command` is a step's name, or `undo` and a step's name.
    pub(crate) fn command(&self, command: &str) -> CommandRef {
        let (direction, name) = match command.strip_prefix("undo ") {
            Some(name) => (CommandDirection::Undo, name),
            None => (CommandDirection::Do, command),
        };
        let step = self.plan.definition.find(name).unwrap_or_else(|| panic!("no step {name}"));
        CommandRef { step, direction }
    }

    /// The current attempt of `command` is answered.
    pub(crate) fn when(self, command: &str, answer: CommandAnswer) -> Saga {
        let command = self.command(command);
        let attempt = Some(self.state.command(command).attempt);
        self.input(&SagaInput::Answered { command, attempt, answer })
    }

    /// `attempt` of `command` is answered; `None`: the answer does not say which.
    pub(crate) fn when_attempt(self, attempt: Option<u32>, command: &str, answer: CommandAnswer) -> Saga {
        let command = self.command(command);
        self.input(&SagaInput::Answered { command, attempt, answer })
    }

    /// The broker answers the outcome event.
    pub(crate) fn when_outcome(self, delivery: OutcomeDelivery) -> Saga {
        self.input(&SagaInput::Delivered { delivery })
    }

    /// Time passes, and the saga is told.
    pub(crate) fn when_passed(mut self, span: Duration) -> Saga {
        self.now = self.now.plus(span);
        self.input(&SagaInput::TimeReached)
    }

    /// Time passes until the saga wants to be looked at, and it is.
    pub(crate) fn when_due(mut self) -> Saga {
        let due = self.state.dues(&self.plan, &self.answerable, self.now).first().expect("something is due");
        self.now = self.now.max(due);
        self.input(&SagaInput::TimeReached)
    }

    /// The guard of `command` may let it leave.
    pub(crate) fn when_released(self, command: &str) -> Saga {
        let command = self.command(command);
        self.input(&SagaInput::Released { command })
    }

    pub(crate) fn when_operator(mut self, action: OperatorAction) -> Saga {
        self.acts += 1;
        let id = format!("act-{}", self.acts);
        self.when_act(&id, action)
    }

    pub(crate) fn when_act(self, id: &str, action: OperatorAction) -> Saga {
        self.input(&act(id, action))
    }

    /// An operator acts on `command`, a step's name or `undo` and a step's name.
    pub(crate) fn when_operator_names(mut self, command: &str, action: OperatorAction) -> Saga {
        self.acts += 1;
        let id = format!("act-{}", self.acts);
        self.when_act_names(&id, command, action)
    }

    pub(crate) fn when_act_names(self, id: &str, command: &str, action: OperatorAction) -> Saga {
        let (direction, step) = match command.strip_prefix("undo ") {
            Some(step) => (CommandDirection::Undo, step),
            None => (CommandDirection::Do, command),
        };
        self.input(&act_on(id, action, Some(ActTarget { step: step.into(), direction: Some(direction) })))
    }

    /// An operator retries by the definition that `body` completes.
    pub(crate) fn when_mended(mut self, body: &str) -> Saga {
        self.acts += 1;
        let SagaInput::Operator(act) = act(&format!("act-{}", self.acts), OperatorAction::Retry) else {
            unreachable!()
        };
        self.input(&SagaInput::Mended { act, plan: Arc::new(plan(body)) })
    }

    /// An operator moves it to the definition that `body` completes.
    pub(crate) fn when_migrated(mut self, body: &str) -> Saga {
        self.acts += 1;
        let SagaInput::Operator(act) = act(&format!("act-{}", self.acts), OperatorAction::Migrate) else {
            unreachable!()
        };
        self.input(&SagaInput::Mended { act, plan: Arc::new(plan(body)) })
    }

    /// A person is needed for exactly these.
    #[track_caller]
    pub(crate) fn then_needs(self, expected: &[&str]) -> Saga {
        let needs = self.state.needs_person(&self.plan);
        let needs: Vec<String> = needs.into_iter().map(|it| words::command(&self.plan, it)).collect();
        assert_eq!(needs, expected);
        self
    }

    /// From here on the guard of every participant answers so.
    pub(crate) fn while_gate(mut self, gate: AdmissionVerdict) -> Saga {
        self.gate = gate;
        self
    }

    /// From here on the last answer to every request of a read-only step is `result`, which the participant gave at
    /// `at`.
    pub(crate) fn while_known(mut self, at: Timestamp, result: Value) -> Saga {
        self.known = Some(PreviousAnswer { at, result });
        self
    }

    /// From here on `chosen` is who is chosen by capability.
    pub(crate) fn while_chosen(mut self, chosen: Option<&'static str>) -> Saga {
        self.chosen = chosen;
        self
    }

    /// From here on the topic of `stock` takes bodies of so many bytes.
    pub(crate) fn while_room(mut self, room: usize) -> Saga {
        self.room = Some(room);
        self
    }

    /// Its outcome event has left, although it waits by what is on record.
    pub(crate) fn while_outcome_is_out(mut self) -> Saga {
        self.state.outcome_is_out = true;
        self
    }

    /// The owner's clock shows something else.
    pub(crate) fn at(mut self, now: Timestamp) -> Saga {
        self.now = now;
        self
    }

    /// From here on no answer can be read.
    pub(crate) fn while_cut_off(mut self) -> Saga {
        self.answerable.until = self.now;
        self
    }

    /// From here on answers are read again, and those that came have been.
    pub(crate) fn while_reached(mut self) -> Saga {
        let (began, ended) = (self.answerable.until, self.now);
        self.answerable.outages.add(OutagePeriod { began, ended });
        self.answerable.until = Timestamp::MAX;
        self
    }

    /// Whoever sends the attempt that is out tells when it left.
    pub(crate) fn while_departure(mut self, command: &str, departure: SendTime) -> Saga {
        let command = self.command(command);
        let attempt = self.state.command(command).attempt;
        self.state.departs(command, attempt, departure);
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The saga parks for a reason outside of its rules.
    pub(crate) fn when_stopped(mut self) -> Saga {
        let around = Surroundings::at(self.now);
        let decision = around.decide(|context| decide::park(&self.plan, &mut self.state, "a limit".into(), context));
        let decision = decision.expect("a saga that goes on parks");
        self.journal.push(decision.clone());
        self.last = DecisionOutcome::Decided(decision);
        self
    }

    /// The owner is lost, and a new one folds the journal.
    pub(crate) fn recovered(mut self) -> Saga {
        self.state = evolve::fold(&self.plan, self.state.id, &self.journal).expect("a journal");
        self
    }

    /// The owner is lost, and a new one, which has sent nothing yet, takes the saga over.
    pub(crate) fn recovered_and_not_sent(self) -> Saga {
        let mut saga = self.recovered();
        saga.state.taken_over(&saga.answerable);
        saga
    }

    /// The owner is lost, and a new one takes the saga over and sends again or asks after what is out.
    pub(crate) fn taken_over(self) -> Saga {
        let now = self.now;
        let mut saga = self.recovered_and_not_sent();
        for effect in react(&saga.plan, &saga.state) {
            let SagaEffect::Call(call) = effect else { continue };
            let CommandPhase::Attempting(attempting) = &saga.state.command(call.command).phase else { continue };
            if attempting.departure == SendTime::NotYet {
                saga.state.departs(call.command, call.attempt, SendTime::At(now));
            }
        }
        saga
    }

    pub(crate) fn input(mut self, input: &SagaInput) -> Saga {
        let before = self.state.clone();
        self.last = self.decides(input);
        match &self.last {
            DecisionOutcome::Decided(decision) => {
                self.journal.push(decision.clone());
                if let SagaInput::Mended { plan, .. } = input {
                    self.plan = plan.after(Arc::new(self.plan.clone()));
                }
            }
            DecisionOutcome::Noted => {
                let recorded = |state: SagaState| state.as_recorded().inherited();
                assert_eq!(recorded(self.state.clone()), recorded(before), "nothing is recorded");
            }
            DecisionOutcome::Ignored(_) | DecisionOutcome::Refused(_) => {
                assert_eq!(self.state, before, "nothing changes");
            }
        }
        self.holds();
        self
    }

    /// What is decided on `input`; the state is evolved by it, and the journal is left as it is.
    pub(crate) fn decides(&mut self, input: &SagaInput) -> DecisionOutcome {
        let around = Surroundings::at(self.now)
            .answerable(&self.answerable)
            .random(u64::from(self.state.version))
            .gate(self.gate)
            .known(self.known.clone())
            .chosen(self.chosen)
            .room(self.room);
        let decided = around.decide(|context| decide::decide(&self.plan, &mut self.state, input, context));
        decided.expect("a legal input")
    }

    /// What holds after every input.
    fn holds(&mut self) {
        let folded = evolve::fold(&self.plan, self.state.id, &self.journal).expect("a journal");
        assert_eq!(folded, self.state.clone().as_recorded().inherited(), "the journal folds to the state");
        self.snapshots.take(&self.plan, &self.state, MOST_SNAPSHOTS);
        self.snapshots.lead_to(&self.plan, &self.journal, &folded);
        self.comes_out_the_same(&folded);
        let dues = self.state.dues(&self.plan, &self.answerable, self.now);
        let deadline = dues.deadline.filter(|deadline| *deadline <= self.answerable.until);
        let due = dues.timer.into_iter().chain(deadline).min();
        let told = matches!(self.last, DecisionOutcome::Ignored(IgnoreReason::NotDue));
        assert!(!told || due.is_none_or(|due| due > self.now), "what is due was looked at: {due:?} at {:?}", self.now);
    }

    /// Every row is decided again from what the journal has, and comes out as it is on record; the state, too.
    fn comes_out_the_same(&self, folded: &SagaState) {
        let replayed = replay::replay(&self.plan, self.state.id, &self.journal).expect("a journal");
        assert_eq!(replayed.state, *folded);
        for (version, row) in &replayed.rows {
            assert!(!matches!(row, RowReplay::Diverged { .. }), "row {version} comes out as {row:#?}");
        }
    }

    /// The last input was recorded as these facts.
    #[track_caller]
    pub(crate) fn then(self, facts: &[&str]) -> Saga {
        let DecisionOutcome::Decided(decision) = &self.last else { panic!("not decided: {:?}", self.last) };
        let told: Vec<String> = decision.events.iter().map(|event| words::told(&self.plan, event)).collect();
        assert_eq!(told, facts);
        self
    }

    /// The last input is known from now on, and not recorded.
    #[track_caller]
    pub(crate) fn then_noted(self) -> Saga {
        assert_eq!(self.last, DecisionOutcome::Noted);
        self
    }

    #[track_caller]
    pub(crate) fn then_ignored(self, why: &IgnoreReason) -> Saga {
        assert_eq!(self.last, DecisionOutcome::Ignored(why.clone()));
        self
    }

    #[track_caller]
    pub(crate) fn then_refused(self, part: &str) -> Saga {
        let DecisionOutcome::Refused(refused) = &self.last else { panic!("not refused: {:?}", self.last) };
        assert!(refused.0.contains(part), "{refused}");
        self
    }

    /// Exactly these commands and publications are outstanding.
    #[track_caller]
    pub(crate) fn then_out(self, commands: &[&str]) -> Saga {
        assert_eq!(self.out(), commands);
        self
    }

    /// The commands and publications that are outstanding, and what waits.
    pub(crate) fn out(&self) -> Vec<String> {
        react(&self.plan, &self.state).iter().map(|effect| self.effect(effect)).collect()
    }

    #[track_caller]
    pub(crate) fn then_status(self, status: SagaStatus) -> Saga {
        assert_eq!(self.state.status(), status, "{:?}", self.state.course);
        self
    }

    /// The guards that hold it back, as `guard:participant`.
    #[track_caller]
    pub(crate) fn then_held_by(self, expected: &[&str]) -> Saga {
        let held = self.state.held_by(&self.plan);
        let held: Vec<String> = held.iter().map(|it| format!("{}:{}", it.guard.as_str(), it.whose)).collect();
        assert_eq!(held, expected);
        self
    }

    /// The saga is looked at again after this long, counted from now.
    #[track_caller]
    pub(crate) fn then_due_in(self, span: Option<Duration>) -> Saga {
        let due = self.state.dues(&self.plan, &self.answerable, self.now).first();
        assert_eq!(due, span.map(|span| self.now.plus(span)));
        self
    }

    /// What was sent for `command`.
    pub(crate) fn body(&self, command: &str) -> Value {
        let request = self.state.command(self.command(command)).request.clone().expect("it was sent");
        match &*request {
            CommandRequest::Kafka { body, .. } | CommandRequest::Publish { body, .. } => body.clone(),
            CommandRequest::Http { body, .. } => body.clone().unwrap_or(Value::Null),
        }
    }

    fn effect(&self, effect: &SagaEffect) -> String {
        match effect {
            SagaEffect::Call(call) => words::command(&self.plan, call.command),
            SagaEffect::Publish(publish) => match publish.publication {
                PublicationRef::Step(command) => words::command(&self.plan, command),
                PublicationRef::Outcome => "outcome".into(),
            },
            SagaEffect::Wait(wait) => format!("{} waits", words::command(&self.plan, wait.command)),
        }
    }
}

/// An operator's act on the whole saga.
pub(crate) fn act(id: &str, action: OperatorAction) -> SagaInput {
    act_on(id, action, None)
}

/// An operator's act, on the step that it names.
pub(crate) fn act_on(id: &str, action: OperatorAction, about: Option<ActTarget>) -> SagaInput {
    SagaInput::Operator(OperatorAct {
        id: id.into(),
        who: "ada".into(),
        reason: "asked".into(),
        action,
        about,
        origin: Box::default(),
    })
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn done() -> CommandAnswer {
    CommandAnswer::Succeeded { result: json!({}) }
}

pub(crate) fn result(result: Value) -> CommandAnswer {
    CommandAnswer::Succeeded { result }
}

/// The participant says no for good.
pub(crate) fn declined() -> CommandAnswer {
    CommandAnswer::Failed { failure: CommandFailure::new("declined", ""), retry: RetryAdvice::No, retry_after: None }
}

/// The participant says that it has the command already, or no for good.
pub(crate) fn conflict() -> CommandAnswer {
    CommandAnswer::Failed {
        failure: CommandFailure::new("http.409", ""),
        retry: RetryAdvice::Conflict,
        retry_after: None,
    }
}

/// The participant says no for now.
pub(crate) fn busy() -> CommandAnswer {
    CommandAnswer::Failed { failure: CommandFailure::new("busy", ""), retry: RetryAdvice::Yes, retry_after: None }
}

/// The participant does not know us.
pub(crate) fn forbidden() -> CommandAnswer {
    CommandAnswer::Failed {
        failure: CommandFailure::new("http.401", ""),
        retry: RetryAdvice::ThenPark,
        retry_after: None,
    }
}

/// It may have happened.
pub(crate) fn lost() -> CommandAnswer {
    CommandAnswer::unknown(CommandFailure::new("lost", ""))
}

/// The participant works on it and will report.
/// The participant has answered by a record that nobody can read.
pub(crate) fn unreadable() -> CommandAnswer {
    let failure = CommandFailure::unreadable_reply("not_json", "cut off");
    CommandAnswer::Unknown { failure, retry: RetryAdvice::Park, retry_after: None }
}

pub(crate) fn ongoing() -> CommandAnswer {
    CommandAnswer::Ongoing { ask_after: None, location: None }
}

/// A guard held the attempt back before anything left.
pub(crate) fn not_sent() -> CommandAnswer {
    CommandAnswer::NotSent { guard: GuardKind::Bulkhead, retry_after: Duration::from_secs(1) }
}
