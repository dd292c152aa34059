//! Diagrams of what was seen.

use super::{inputs::Gate, observe::Seen};
use crate::transitions::Phase;
use saga_core::state::SagaStatus;
use std::{collections::BTreeMap, fmt::Write as _};

/// More than this nobody reads.
pub(super) const MOST_EDGES: usize = 25;
/// Words in a line of an edge's label.
const WORDS: usize = 3;

/// Why something goes from one state to another.
pub(super) type Edges<State> = BTreeMap<(State, State), Vec<&'static str>>;

/// The edges between phases that were seen.
pub(super) fn between_phases<'s>(seen: impl Iterator<Item = &'s Seen>) -> Edges<Phase> {
    let mut edges = Edges::new();
    for it in seen.filter(|it| it.gate == Gate::Admits || it.guard_moves_phase()) {
        add(&mut edges, it.phases, if it.gate == Gate::Admits { it.happens.edge() } else { it.gate.edge() });
    }
    edges
}

/// The edges between statuses that were seen.
pub(super) fn between_statuses<'s>(seen: impl Iterator<Item = &'s Seen>) -> Edges<SagaStatus> {
    let mut edges = Edges::new();
    for it in seen.filter(|it| it.gate == Gate::Admits || it.guard_moves_status()) {
        add(&mut edges, it.statuses, if it.gate == Gate::Admits { it.happens.rough_edge() } else { it.gate.edge() });
    }
    edges
}

fn add<State: Ord>(edges: &mut Edges<State>, ends: (State, State), label: &'static str) {
    if ends.0 != ends.1 {
        let labels = edges.entry(ends).or_default();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
}

/// The diagram of the edges that begin in a state which `begins` takes.
pub(super) fn diagram<State: Ord + Copy>(
    edges: &Edges<State>,
    name: impl Fn(State) -> String,
    begins: impl Fn(State) -> bool,
    around: &str,
) -> String {
    let mut text = format!("```mermaid\nstateDiagram-v2\n{around}");
    let drawn: Vec<_> = edges.iter().filter(|((from, _), _)| begins(*from)).collect();
    assert!(drawn.len() <= MOST_EDGES, "{} edges are too many for one diagram", drawn.len());
    for ((from, to), labels) in drawn {
        let label = labels.chunks(WORDS).map(|words| words.join(" / ")).collect::<Vec<_>>().join("<br/>");
        writeln!(text, "    {} --> {}: {label}", name(*from), name(*to)).expect("text takes text");
    }
    text.push_str("```\n");
    text
}
