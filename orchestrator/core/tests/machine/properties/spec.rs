//! Random definitions, known to the judge before they are written as YAML.

use proptest::prelude::*;
use saga_core::event::SubstituteAnswer;
use std::fmt::Write as _;

/// What a definition says, by itself.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) steps: Vec<Step>,
    pub(crate) timeout: bool,
    pub(crate) outcome_event: bool,
    blocks: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    /// What it follows directly.
    pub(crate) after: Vec<usize>,
    pub(crate) effects: Effects,
    pub(crate) optional: bool,
    pub(crate) side: Side,
    /// The value of its `if`.
    pub(crate) condition: Option<bool>,
    pub(crate) checked: bool,
    /// `None`: it says nothing.
    pub(crate) attempts: Option<u32>,
    pub(crate) undo_attempts: u32,
    pub(crate) fallback: Fallback,
    pub(crate) parks: bool,
    timed: bool,
    /// Its participant takes every request for one that it has already.
    pub(crate) conflicts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Kafka,
    Http,
    Publish,
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effects {
    Undo,
    ReadOnly,
    Irreversible,
}

/// What answers for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    None,
    Value,
    ValueWhenRefused,
    /// A value that the step's `check` refuses, then a failure.
    FailsAtLast,
    /// What is remembered, then a failure.
    Remembered,
    /// The cache before a call, the last answer after it.
    Cache,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    Pivot,
    After,
}

/// What is drawn for one step.
#[derive(Clone, Debug)]
struct Drawn {
    kind: u8,
    bits: u8,
    effects: u8,
    flags: [u8; 5],
    attempts: u32,
    undo_attempts: u32,
    fallback: u8,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (0..8u8, any::<u8>(), 0..6u8, any::<[u8; 5]>(), 1..4u32, 1..4u32, 0..10u8).prop_map(
        |(kind, bits, effects, flags, attempts, undo_attempts, fallback)| Drawn {
            kind,
            bits,
            effects,
            flags,
            attempts,
            undo_attempts,
            fallback,
        },
    )
}

/// Any definition that holds.
pub(crate) fn definitions() -> impl Strategy<Value = Spec> {
    let steps = prop::collection::vec(drawn(), 1..7);
    (steps, prop::option::of(0..6usize), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(drawn, pivot, blocks, timeout, outcome_event)| {
            let pivot = pivot.filter(|pivot| *pivot < drawn.len());
            let after = if blocks { in_blocks(&drawn, pivot) } else { in_a_graph(&drawn, pivot) };
            let steps =
                drawn.iter().zip(after).enumerate().map(|(at, (drawn, after))| step(at, drawn, after, pivot)).collect();
            Spec { steps, timeout, outcome_event, blocks }
        },
    )
}

/// Each step follows some of those before it; all before the pivot are followed by it, and all after it follow it.
fn in_a_graph(drawn: &[Drawn], pivot: Option<usize>) -> Vec<Vec<usize>> {
    let after = |(at, drawn): (usize, &Drawn)| match pivot {
        Some(pivot) if at == pivot => (0..at).collect(),
        Some(pivot) if at > pivot => {
            let chosen: Vec<usize> = (pivot..at).filter(|before| drawn.bits >> before & 1 == 1).collect();
            if chosen.is_empty() { vec![pivot] } else { chosen }
        }
        Some(_) | None => (0..at).filter(|before| drawn.bits >> before & 1 == 1).collect(),
    };
    drawn.iter().enumerate().map(after).collect()
}

/// A sequence of single steps and `parallel` blocks; the pivot stands alone.
fn in_blocks(drawn: &[Drawn], pivot: Option<usize>) -> Vec<Vec<usize>> {
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for (at, drawn) in drawn.iter().enumerate() {
        let alone = pivot == Some(at) || (at > 0 && pivot == Some(at - 1)) || blocks.is_empty();
        match blocks.last_mut() {
            Some(block) if !alone && drawn.bits.is_multiple_of(2) => block.push(at),
            Some(_) | None => blocks.push(vec![at]),
        }
    }
    let before = |block: usize| if block == 0 { Vec::new() } else { blocks[block - 1].clone() };
    blocks.iter().enumerate().flat_map(|(index, block)| block.iter().map(move |_| index)).map(before).collect()
}

/// A pivot alone, without an undo, that parks when its attempts are used up.
pub(crate) fn a_firm_pivot(kind: Kind, attempts: u32) -> Spec {
    let pivot = Step {
        kind,
        after: Vec::new(),
        effects: Effects::Irreversible,
        optional: false,
        side: Side::Pivot,
        condition: None,
        checked: false,
        attempts: Some(attempts),
        undo_attempts: 1,
        fallback: Fallback::None,
        parks: true,
        timed: false,
        conflicts: false,
    };
    Spec { steps: vec![pivot], timeout: false, outcome_event: false, blocks: false }
}

/// Two steps side by side that can be undone and have one attempt; the first one is optional.
pub(crate) fn two_of_one_attempt() -> Spec {
    let Spec { mut steps, .. } = a_firm_pivot(Kind::Kafka, 1);
    let (side, effects, timed, checked) = (Side::Before, Effects::Undo, true, true);
    let second = Step { side, effects, timed, checked, ..steps.remove(0) };
    let first = Step { optional: true, ..second.clone() };
    Spec { steps: vec![first, second], timeout: false, outcome_event: false, blocks: false }
}

/// A step that only looks, alone, whose last fallback declares that it failed.
pub(crate) fn a_look_that_fails_at_last() -> Spec {
    let Spec { mut steps, .. } = a_firm_pivot(Kind::Kafka, 1);
    let look = steps.remove(0);
    let (side, effects, fallback) = (Side::Before, Effects::ReadOnly, Fallback::FailsAtLast);
    let look = Step { side, effects, fallback, checked: true, timed: true, ..look };
    Spec { steps: vec![look], timeout: false, outcome_event: false, blocks: false }
}

fn step(at: usize, drawn: &Drawn, after: Vec<usize>, pivot: Option<usize>) -> Step {
    let side = match pivot {
        Some(pivot) if at == pivot => Side::Pivot,
        Some(pivot) if at > pivot => Side::After,
        Some(_) | None => Side::Before,
    };
    let kind = match (drawn.kind, side) {
        (0..=2, _) | (5..=7, Side::Pivot) => Kind::Kafka,
        (3 | 4, _) => Kind::Http,
        (5 | 6, _) => Kind::Publish,
        _ => Kind::Wait,
    };
    let optional = side != Side::Pivot && kind != Kind::Wait && drawn.flags[0].is_multiple_of(4);
    let effects = effects(drawn, kind, side, optional);
    let checked = drawn.flags[1].is_multiple_of(3)
        && matches!(kind, Kind::Kafka | Kind::Http)
        && (effects != Effects::Irreversible || side == Side::After);
    let says_attempts = side != Side::After || optional || drawn.flags[4].is_multiple_of(2);
    Step {
        kind,
        after,
        effects,
        optional,
        side,
        condition: [Some(true), Some(false), None, None, None, None][usize::from(drawn.flags[2] % 6)],
        checked,
        attempts: says_attempts.then_some(drawn.attempts),
        undo_attempts: drawn.undo_attempts,
        fallback: fallback(drawn, kind, side, effects),
        parks: side != Side::After && drawn.flags[3].is_multiple_of(4),
        timed: kind != Kind::Wait && drawn.flags[4].is_multiple_of(5),
        conflicts: drawn.flags[3] % 16 == 7,
    }
}

fn fallback(drawn: &Drawn, kind: Kind, side: Side, effects: Effects) -> Fallback {
    match (kind, side, effects, drawn.fallback) {
        (Kind::Publish | Kind::Wait, ..) | (_, Side::Pivot, ..) => Fallback::None,
        (_, _, Effects::ReadOnly, 6 | 7) => Fallback::Remembered,
        (_, _, Effects::ReadOnly, 8 | 9) => Fallback::Cache,
        (.., 3) => Fallback::Value,
        (.., 4) => Fallback::ValueWhenRefused,
        (.., 5) => Fallback::FailsAtLast,
        _ => Fallback::None,
    }
}

fn effects(drawn: &Drawn, kind: Kind, side: Side, optional: bool) -> Effects {
    match (kind, side, drawn.effects) {
        (Kind::Wait, ..) => Effects::ReadOnly,
        (_, Side::After, _) if !optional => Effects::Irreversible,
        (_, Side::Pivot, 0..=2) | (_, Side::Before | Side::After, 0..=3) => Effects::Undo,
        (Kind::Kafka | Kind::Http, Side::Before, 4) => Effects::ReadOnly,
        _ => Effects::Irreversible,
    }
}

pub(crate) fn name(step: usize) -> String {
    format!("s{step}")
}

impl Spec {
    /// Everything that depends on `step`, at any distance.
    pub(crate) fn dependents(&self, step: usize) -> Vec<usize> {
        let mut found = vec![false; self.steps.len()];
        for later in step + 1..self.steps.len() {
            found[later] = self.steps[later].after.iter().any(|before| *before == step || found[*before]);
        }
        (0..self.steps.len()).filter(|later| found[*later]).collect()
    }

    /// The definition after its name and trigger.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        if self.timeout {
            text.push_str("timeout: 5m\n");
        }
        if self.outcome_event {
            text.push_str("onCompleted: {publish: news, type: Done}\nonCompensated: {publish: news, type: Undone}\n");
        }
        text.push_str("steps:\n");
        for at in 0..self.steps.len() {
            self.write(at, &mut text);
        }
        text
    }

    fn write(&self, at: usize, text: &mut String) {
        let shares = |other: usize| self.steps.get(other).is_some_and(|step| step.after == self.steps[at].after);
        let follows = at > 0 && shares(at - 1);
        let in_block = self.blocks && (follows || shares(at + 1));
        if in_block && !follows {
            text.push_str("  - parallel:\n");
        }
        let indent = if in_block { "      " } else { "  " };
        let after = if self.blocks { String::new() } else { format!(", after: [{}]", list(&self.steps[at].after)) };
        writeln!(text, "{indent}- {{step: {}{}{after}}}", name(at), self.steps[at].yaml()).expect("text takes text");
    }
}

fn list(steps: &[usize]) -> String {
    steps.iter().map(|step| name(*step)).collect::<Vec<_>>().join(", ")
}

impl Step {
    fn yaml(&self) -> String {
        let mut text = match self.kind {
            Kind::Kafka => ", do: stock.Do".to_owned(),
            Kind::Http => ", do: POST bank/do".to_owned(),
            Kind::Publish => ", publish: news, type: Told".to_owned(),
            Kind::Wait => ", wait: 20s".to_owned(),
        };
        if let Some(condition) = self.condition {
            write!(text, ", if: event.{}", if condition { "yes" } else { "no" }).expect("text takes text");
        }
        if self.kind == Kind::Wait {
            return text;
        }
        let retry = |attempts: u32| format!("{{attempts: {attempts}, delay: 3s, jitter: none}}");
        let parts = [
            (self.checked, ", check: result.ok".to_owned()),
            (
                self.effects == Effects::Undo,
                format!(", undo: {{do: stock.Undo, retry: {}}}", retry(self.undo_attempts)),
            ),
            (self.effects == Effects::ReadOnly, ", readOnly: true".to_owned()),
            (self.effects == Effects::Irreversible && self.side == Side::Before, ", irreversible: true".to_owned()),
            (self.optional, ", optional: true".to_owned()),
            (self.side == Side::Pivot, ", pivot: true".to_owned()),
            (self.parks, ", onExhausted: park".to_owned()),
            (self.timed, ", timeout: 45s".to_owned()),
            (self.fallback != Fallback::None, format!(", {}", self.fallback.yaml())),
        ];
        text.extend(parts.into_iter().filter(|(said, _)| *said).map(|(_, part)| part));
        text.extend(self.attempts.map(|attempts| format!(", retry: {}", retry(attempts))));
        text
    }
}

impl Fallback {
    fn yaml(self) -> &'static str {
        match self {
            Fallback::None => "",
            Fallback::Value => "fallback: [{value: {ok: true}}]",
            Fallback::ValueWhenRefused => "fallback: [{value: {ok: true}, when: refused}]",
            Fallback::FailsAtLast => "fallback: [{expression: {ok: \"${ event.no }\"}}, {fail: {code: none}}]",
            Fallback::Remembered => "fallback: [{cached: 10m}, {lastKnown: true}, {fail: {code: none}}]",
            Fallback::Cache => "cache: 10m, fallback: [{lastKnown: true, when: refused}]",
        }
    }

    /// Whether such a fallback can be what answered.
    pub(crate) fn may_say(self, by: &SubstituteAnswer) -> bool {
        let codes: &[&str] = match self {
            Fallback::None => &[],
            Fallback::Value | Fallback::ValueWhenRefused => &["value"],
            Fallback::FailsAtLast => &["expression", "fail"],
            Fallback::Remembered => &["cached", "lastKnown", "fail"],
            Fallback::Cache => &["cache", "lastKnown"],
        };
        codes.contains(&by.code())
    }
}
