//! Sagas of a few definitions, driven by a seeded sequence; in every state every input is offered to a copy.

use super::{ACTS, Act, Commands, Course, HAPPENINGS, Happening, Phase};
use crate::{
    given::{
        self, START, busy, conflict, declined, done, forbidden, lost, not_sent, ongoing, plan, saga_id, seconds,
        start_with,
    },
    surroundings::Surroundings,
};
use saga_core::{
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef},
    decide::{self, AdmissionVerdict, DecisionOutcome, IgnoreReason},
    event::OperatorAction,
    id::StepIndex,
    input::{OutcomeDelivery, SagaInput},
    state::{self, AppliedAct, CommandOutcome, SagaDirection, SagaPlan, SagaState, SagaStatus},
    time::Timestamp,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

/// Sagas of each definition.
const SAGAS: u64 = 200;
/// Inputs of each saga.
const INPUTS: u64 = 28;
/// How often inputs are offered in states that look alike: what follows depends on more than how they look.
const LOOKS: u32 = 2;

const DEFINITIONS: [&str; 7] = [
    "
retry: {attempts: 2, delay: 3s, jitter: none}
timeout: 5m
onCompensated: {publish: news, type: Undone}
steps:
  - {step: a, do: stock.A, undo: {do: stock.UndoA, retry: {attempts: 2, delay: 3s}}, check: \"!has(result.bad)\"}
  - parallel:
      - {step: b, do: stock.B, undo: {do: stock.UndoB, retry: {attempts: 2, delay: 3s}}, timeout: 50s}
      - {step: look, do: GET bank/look, readOnly: true, if: event.looks}
      - {step: rest, wait: 25s}
",
    "
retry: {attempts: 2, delay: 3s, jitter: none}
onExhausted: park
onCompleted: {publish: news, type: Done}
onCompensated: {publish: news, type: Undone}
steps:
  - parallel:
      - {step: a, do: stock.A, undo: stock.UndoA, check: \"!has(result.bad)\"}
      - {step: extra, do: stock.E, undo: {do: stock.UndoE, retry: {attempts: 2, delay: 3s}}, optional: true, check: \"!has(result.bad)\"}
      - {step: nap, wait: 25s}
  - {step: b, do: stock.B, undo: {do: stock.UndoB, retry: {attempts: 1}}}
",
    "
retry: {attempts: 2, delay: 3s, jitter: none}
onCompleted: {publish: news, type: Done}
steps:
  - {step: extra, do: stock.E, undo: {do: stock.UndoE, retry: {attempts: 2, delay: 3s}}, optional: true, check: \"!has(result.bad)\"}
  - {step: pay, do: stock.P, undo: stock.UndoP, pivot: true, check: \"!has(result.bad)\"}
  - parallel:
      - {step: ship, do: stock.S, check: \"!has(result.bad)\"}
      - {step: tell, publish: news, type: Told, irreversible: true}
      - {step: rest, wait: 25s}
",
    "
retry: {attempts: 1}
onCompensated: {publish: news, type: Undone}
steps:
  - parallel:
      - {step: a, do: stock.A, undo: {do: stock.UndoA, retry: {attempts: 1}}}
      - {step: b, do: stock.B, undo: {do: stock.UndoB, retry: {attempts: 3, delay: 3s}}}
      - {step: c, do: stock.C, undo: {do: stock.UndoC, retry: {attempts: 3, delay: 3s}}, if: event.looks}
",
    "
retry: {attempts: 2, delay: 3s, jitter: none}
timeout: 3m
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: pay, do: stock.P, pivot: true}
",
    "
retry: {attempts: 1}
output: {nothing: \"${ event.nothing }\"}
steps:
  - {step: extra, do: stock.E, undo: {do: stock.UndoE, retry: {attempts: 1}}, optional: true}
  - {step: a, do: stock.A, undo: stock.UndoA}
",
    "
retry: {attempts: 1}
onExhausted: park
onCompleted: {publish: news, type: Done}
onCompensated: {publish: news, type: Undone}
steps:
  - parallel:
      - {step: a, do: stock.A, undo: {do: stock.UndoA, retry: {attempts: 1}}, fallback: [{value: {}, when: refused}]}
      - {step: b, do: stock.B, undo: {do: stock.UndoB, retry: {attempts: 1}}, fallback: [{value: {}}]}
      - {step: c, do: stock.C, undo: {do: stock.UndoC, retry: {attempts: 1}}, fallback: [{fail: {code: no}}]}
  - {step: d, do: stock.D, undo: stock.UndoD}
",
];

/// What was seen to follow.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(super) commands: Commands,
    pub(super) acts: BTreeMap<(Course, Act), BTreeSet<char>>,
    /// From which phase to which one a command went.
    pub(crate) phases: BTreeSet<(CommandDirection, Phase, Phase)>,
    /// The same by what happened to the command.
    pub(crate) answered: BTreeSet<(CommandDirection, Phase, Happening, Phase)>,
    /// The same by what happened to its saga.
    pub(crate) acted: BTreeSet<(CommandDirection, Phase, Act, Phase)>,
    /// From which status to which one a saga went.
    pub(crate) statuses: BTreeSet<(SagaStatus, SagaStatus)>,
}

impl Seen {
    /// One input led from `before` to `after`.
    fn moved(&mut self, before: &SagaState, after: &SagaState) {
        for command in commands(before) {
            let (from, to) = (phase(before, command), phase(after, command));
            if from != to {
                self.phases.insert((command.direction, from, to));
            }
        }
        if before.status() != after.status() {
            self.statuses.insert((before.status(), after.status()));
        }
    }
}

/// Everything, seen once.
pub(crate) fn explore() -> &'static Seen {
    static SEEN: OnceLock<Seen> = OnceLock::new();
    SEEN.get_or_init(|| {
        let mut seen = Seen::default();
        for (definition, body) in DEFINITIONS.iter().enumerate() {
            let plan = plan(body);
            let mut looks = BTreeMap::new();
            for saga in 0..SAGAS {
                Explorer::new(&plan, saga * 31 + definition as u64).run(&mut looks, &mut seen);
            }
        }
        seen
    })
}

/// What a state looks like.
type Look = (Course, Vec<Phase>);

struct Explorer<'p> {
    plan: &'p SagaPlan,
    state: SagaState,
    now: Timestamp,
    random: u64,
    acts: u64,
}

impl Explorer<'_> {
    fn new(plan: &SagaPlan, seed: u64) -> Explorer<'_> {
        let event = json!({"id": "4711", "looks": seed.is_multiple_of(2)});
        let gate = if seed % 5 == 4 { refused(START) } else { AdmissionVerdict::Admitted };
        let (_, state) = Surroundings::at(START)
            .random(seed)
            .gate(gate)
            .decide(|context| decide::start(plan, saga_id(), start_with(event), context));
        Explorer { plan, state, now: START, random: seed, acts: 0 }
    }

    fn run(&mut self, looks: &mut BTreeMap<Look, u32>, seen: &mut Seen) {
        for _ in 0..INPUTS {
            let times = looks.entry(self.look()).or_default();
            *times += 1;
            if *times <= LOOKS {
                self.offers(seen);
            }
            let before = self.state.clone();
            let limit = self.draw(if course(&self.state) == Course::Back { 8 } else { 25 }) == 0;
            if limit {
                Surroundings::at(self.now)
                    .decide(|context| decide::park(self.plan, &mut self.state, "a limit".into(), context));
            } else {
                let input = self.likely();
                let (now, gate) =
                    (self.now, if self.draw(5) == 0 { refused(self.now) } else { AdmissionVerdict::Admitted });
                decided(self.plan, &mut self.state, &input, now, gate);
            }
            seen.moved(&before, &self.state);
        }
    }

    fn look(&self) -> Look {
        (course(&self.state), self.commands().into_iter().map(|command| phase(&self.state, command)).collect())
    }

    fn draw(&mut self, below: usize) -> usize {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    /// An input that is about something: an answer to what is out, the time that something waits for, a person.
    fn likely(&mut self) -> SagaInput {
        let commands = self.commands();
        let out: Vec<CommandRef> =
            commands.iter().copied().filter(|command| phase(&self.state, *command) == Phase::Attempting).collect();
        match self.draw(10) {
            0..=5 if !out.is_empty() => {
                let command = out[self.draw(out.len())];
                let happening = HAPPENINGS[[0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 7][self.draw(13)]];
                let attempt = Some(self.state.command(command).attempt);
                let bad = self.draw(4) == 0;
                SagaInput::Answered { command, attempt, answer: answer(happening, bad) }
            }
            6 => {
                let command = commands[self.draw(commands.len())];
                let happening = HAPPENINGS[self.draw(8)];
                SagaInput::Answered { command, attempt: None, answer: answer(happening, false) }
            }
            7 if matches!(self.state.course, state::SagaPhase::Parked { .. }) || self.draw(4) == 0 => {
                let act = [Act::Retry, Act::Skip, Act::Cancel, Act::OutcomeAcknowledged, Act::Abandon][self.draw(5)];
                self.act(act)
            }
            _ => {
                let due = crate::given::next_due(&self.state, self.plan);
                self.now = due.map_or(self.now, |due| self.now.max(due));
                SagaInput::TimeReached
            }
        }
    }

    fn commands(&self) -> Vec<CommandRef> {
        commands(&self.state)
    }

    fn act(&mut self, act: Act) -> SagaInput {
        self.acts += 1;
        act_input(act, &format!("act-{}", self.acts))
    }

    /// Offers every input to a copy of the state.
    fn offers(&mut self, seen: &mut Seen) {
        let course = course(&self.state);
        for command in self.commands() {
            let key = (course, command.direction, phase(&self.state, command));
            for happening in HAPPENINGS.into_iter().filter(|happening| *happening != Happening::Due) {
                for bad in [false, true] {
                    let (letter, after) = self.offer(&input(&self.state, command, happening, bad));
                    seen.moved(&self.state, &after);
                    seen.answered.insert((command.direction, key.2, happening, phase(&after, command)));
                    seen.commands.entry((key, happening)).or_default().insert(letter);
                }
            }
        }
        self.offers_time(course, seen);
        for act in ACTS {
            let mut state = self.state.clone();
            let acted = AppliedAct { id: "act-0".into(), action: OperatorAction::Retry, command: None, at: self.now };
            let id = if act == Act::Repeated { "act-0" } else { "probe" };
            state.acts.add(acted);
            let letter = decided(self.plan, &mut state, &act_input(act, id), self.now, AdmissionVerdict::Admitted);
            seen.moved(&self.state, &state);
            let moves = |it: &CommandRef| (it.direction, phase(&self.state, *it), act, phase(&state, *it));
            seen.acted.extend(self.commands().iter().map(moves));
            seen.acts.entry((course, act)).or_default().insert(letter);
        }
    }

    fn offer(&self, input: &SagaInput) -> (char, SagaState) {
        let mut state = self.state.clone();
        let letter = decided(self.plan, &mut state, input, self.now, AdmissionVerdict::Admitted);
        (letter, state)
    }

    /// Time is offered to all commands at once: what counts is what became of each.
    fn offers_time(&self, course: Course, seen: &mut Seen) {
        let now = crate::given::next_due(&self.state, self.plan).map_or(self.now, |due| self.now.max(due));
        let mut later = self.state.clone();
        let letter = decided(self.plan, &mut later, &SagaInput::TimeReached, now, AdmissionVerdict::Admitted);
        seen.moved(&self.state, &later);
        for command in self.commands() {
            let key = (course, command.direction, phase(&self.state, command));
            let same = self.state.command(command) == later.command(command);
            let letter = if letter == '+' && same { '-' } else { letter };
            seen.commands.entry((key, Happening::Due)).or_default().insert(letter);
        }
    }
}

fn commands(state: &SagaState) -> Vec<CommandRef> {
    let both = |step| [CommandDirection::Do, CommandDirection::Undo].map(|direction| CommandRef { step, direction });
    (0..state.steps.len()).map(|step| StepIndex(step as u16)).flat_map(both).collect()
}

fn refused(now: Timestamp) -> AdmissionVerdict {
    AdmissionVerdict::Refused { guard: saga_core::command::GuardKind::Breaker, not_before: now.plus(seconds(7)) }
}

fn input(state: &SagaState, command: CommandRef, happening: Happening, bad: bool) -> SagaInput {
    let attempt = Some(state.command(command).attempt);
    SagaInput::Answered { command, attempt, answer: answer(happening, bad) }
}

fn answer(happening: Happening, bad: bool) -> CommandAnswer {
    match happening {
        Happening::Succeeded if bad => CommandAnswer::Succeeded { result: json!({"bad": true}) },
        Happening::Succeeded => done(),
        Happening::Refused => declined(),
        Happening::Conflict => conflict(),
        Happening::Busy => busy(),
        Happening::Forbidden => forbidden(),
        Happening::Lost => lost(),
        Happening::Ongoing | Happening::Due => ongoing(),
        Happening::NotSent => not_sent(),
    }
}

fn act_input(act: Act, id: &str) -> SagaInput {
    let outcome = |delivery| SagaInput::Delivered { delivery };
    let failure = CommandFailure::new("broker", "");
    let action = match act {
        Act::Retry | Act::Repeated => OperatorAction::Retry,
        Act::Skip => OperatorAction::Skip,
        Act::Cancel => OperatorAction::Cancel,
        Act::Abandon => OperatorAction::Abandon,
        Act::OutcomeAcknowledged => return outcome(OutcomeDelivery::Acknowledged),
        Act::OutcomeNotTaken => return outcome(OutcomeDelivery::Refused { failure, retry_after: seconds(1) }),
        Act::OutcomeNeverTaken => return outcome(OutcomeDelivery::Impossible { failure }),
    };
    given::act(id, action)
}

fn decided(plan: &SagaPlan, state: &mut SagaState, input: &SagaInput, now: Timestamp, gate: AdmissionVerdict) -> char {
    let decided = Surroundings::at(now).gate(gate).decide(|context| decide::decide(plan, state, input, context));
    match decided.expect("a legal input") {
        DecisionOutcome::Decided(_) => '+',
        DecisionOutcome::Noted => 'o',
        DecisionOutcome::Refused(_) => 'R',
        DecisionOutcome::Ignored(ignored) => match ignored {
            IgnoreReason::Terminal => 'T',
            IgnoreReason::Settled => 'S',
            IgnoreReason::Contradicted => 'C',
            IgnoreReason::NeverSent => 'N',
            IgnoreReason::NoSuchAttempt => 'A',
            IgnoreReason::NotDue | IgnoreReason::StillHeld { .. } => 'D',
            IgnoreReason::Repeated | IgnoreReason::KeyTaken { .. } => '=',
            IgnoreReason::NotPublishing => 'P',
        },
    }
}

fn course(state: &SagaState) -> Course {
    match &state.course {
        state::SagaPhase::Forward => Course::Forward,
        state::SagaPhase::Compensating { .. } => Course::Back,
        state::SagaPhase::Parked { was: SagaDirection::Forward, .. } => Course::ParkedForward,
        state::SagaPhase::Parked { was: SagaDirection::Back(_), .. } => Course::ParkedBack,
        state::SagaPhase::OutcomeDue { .. } => Course::OutcomeDue,
        state::SagaPhase::Ended(_) => Course::Ended,
    }
}

/// What `command` is in.
pub(crate) fn phase(state: &SagaState, command: CommandRef) -> Phase {
    if command.direction == CommandDirection::Do && state.step(command.step).is_answered_for() {
        return Phase::AnsweredFor;
    }
    match &state.command(command).phase {
        state::CommandPhase::Idle => Phase::Idle,
        state::CommandPhase::Held { .. } => Phase::Held,
        state::CommandPhase::Attempting(_) => Phase::Attempting,
        state::CommandPhase::Resting { .. } => Phase::Resting,
        state::CommandPhase::Sleeping { .. } => Phase::Sleeping,
        state::CommandPhase::Settled(CommandOutcome::Succeeded) => Phase::Succeeded,
        state::CommandPhase::Settled(CommandOutcome::Rejected(_)) => Phase::Rejected,
        state::CommandPhase::Settled(CommandOutcome::Failed(_)) => Phase::Failed,
        state::CommandPhase::Settled(CommandOutcome::Unknown(_)) => Phase::Unknown,
        state::CommandPhase::Settled(CommandOutcome::Skipped) => Phase::Skipped,
    }
}
