//! Asks the core what follows.

use super::{
    cases::{Case, refused},
    facts,
    happens::Happens,
    inputs::Gate,
    known,
    offer::offer,
};
use crate::transitions::{self, Phase};
use saga_core::{
    decide::{AdmissionVerdict, DecisionOutcome},
    evolve,
    input::SagaInput,
    state::{SagaPlan, SagaState, SagaStatus},
};

/// What an input led to in one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its place among the cases.
    pub(super) case: usize,
    pub(super) happens: Happens,
    pub(super) gate: Gate,
    pub(super) phases: (Phase, Phase),
    pub(super) statuses: (SagaStatus, SagaStatus),
    /// What was recorded, or why nothing was.
    pub(super) told: String,
    /// Where it leads when the guards admit.
    admitted: (Phase, SagaStatus),
}

impl Seen {
    /// Whether the answer of the guards leads to another phase.
    pub(super) fn guard_moves_phase(&self) -> bool {
        self.phases.1 != self.admitted.0
    }

    /// Whether the answer of the guards leads to another status.
    pub(super) fn guard_moves_status(&self) -> bool {
        self.statuses.1 != self.admitted.1
    }
}

/// Every input in every case, under every guard.
pub(super) fn observe(cases: &[Case]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for happens in Happens::all() {
        for (place, case) in cases.iter().enumerate() {
            let Some(admitted) = observed(place, case, happens, Gate::Admits) else { continue };
            let end = (admitted.phases.1, admitted.statuses.1);
            let others = Gate::ALL.iter().copied().filter(|gate| *gate != Gate::Admits);
            let others = others.filter_map(|gate| observed(place, case, happens, gate));
            let others: Vec<Seen> = others.map(|other| Seen { admitted: end, ..other }).collect();
            seen.extend(std::iter::once(admitted).chain(others));
        }
    }
    seen
}

fn observed(place: usize, case: &Case, happens: Happens, gate: Gate) -> Option<Seen> {
    let (saga, input) = offer(case, happens)?;
    assert!(known::rows(&input).contains(&happens), "{input:?} is not {happens:?}");
    let mut after = saga.clone().while_gate(admission(gate));
    let outcome = after.decides(&input);
    evolves(&saga.state, &after.state, &outcome, plan_of(&input).unwrap_or(&saga.plan));
    let phases = (case.phase(), transitions::phase(&after.state, case.focus));
    let statuses = (case.status(), after.state.status());
    let (told, admitted) = (facts::outcome(case, &outcome), (phases.1, statuses.1));
    Some(Seen { case: place, happens, gate, phases, statuses, told, admitted })
}

/// What the saga runs by from then on, where the input says so.
fn plan_of(input: &SagaInput) -> Option<&SagaPlan> {
    if let SagaInput::Mended { plan, .. } = input { Some(plan) } else { None }
}

/// What is recorded leads from `before` to `after`.
fn evolves(before: &SagaState, after: &SagaState, outcome: &DecisionOutcome, plan: &SagaPlan) {
    let mut evolved = before.clone();
    match outcome {
        DecisionOutcome::Decided(decision) => evolve::evolve(plan, &mut evolved, decision),
        DecisionOutcome::Noted => return,
        DecisionOutcome::Ignored(_) | DecisionOutcome::Refused(_) => {}
    }
    assert_eq!(evolved.as_recorded(), after.clone().as_recorded(), "the row leads to what was decided");
}

fn admission(gate: Gate) -> AdmissionVerdict {
    let admission = match gate {
        Gate::Admits => AdmissionVerdict::Admitted,
        Gate::Probes => AdmissionVerdict::Probe,
        Gate::Refuses => refused(),
        Gate::Gone => AdmissionVerdict::Gone,
    };
    assert_eq!(known::gate(admission), gate);
    admission
}
