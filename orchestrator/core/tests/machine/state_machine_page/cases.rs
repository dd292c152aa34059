//! Sagas that real inputs brought to where the page looks at them.

mod dos;
mod plans;
mod sagas;
mod undos;

use crate::{
    given::{START, Saga, done, seconds},
    transitions::{self, Phase},
};
use saga_core::{
    command::{CommandRef, GuardKind},
    decide::AdmissionVerdict,
    event::OperatorAction,
    input::OutcomeDelivery,
    state::SagaStatus,
};

pub(super) use sagas::{sagas, starts};

/// A saga, and the command of it that the page is about.
#[derive(Clone)]
pub(super) struct Case {
    /// What is special about it.
    pub(super) name: String,
    pub(super) saga: Saga,
    pub(super) focus: CommandRef,
}

impl Case {
    /// What the command is in.
    pub(super) fn phase(&self) -> Phase {
        transitions::phase(&self.saga.state, self.focus)
    }

    /// What the saga is doing.
    pub(super) fn status(&self) -> SagaStatus {
        self.saga.state.status()
    }
}

/// A case that is about `focus`, a step's name, or `undo` and a step's name.
fn case(name: &str, focus: &str, saga: Saga) -> Case {
    Case { name: name.to_owned(), focus: saga.command(focus), saga }
}

/// Dos of sagas that have not ended.
pub(super) fn dos() -> Vec<Case> {
    dos::dos()
}

/// Undos of sagas that have not ended.
pub(super) fn undos() -> Vec<Case> {
    undos::undos()
}

/// Cases that have ended, one for each phase and each end.
pub(super) fn ended(cases: &[Case]) -> Vec<Case> {
    let mut found: Vec<Case> = Vec::new();
    for case in cases {
        for saga in ends(&case.saga).into_iter().filter(|saga| saga.state.status().is_terminal()) {
            let ended = Case { name: String::new(), saga, focus: case.focus };
            let name = format!("{:?}, {}", ended.phase(), ended.status());
            if found.iter().all(|known| known.name != name) {
                found.push(Case { name, ..ended });
            }
        }
    }
    found.sort_by_key(|case| (case.status(), case.phase()));
    found
}

/// The saga, as an operator, the broker, or the success of the step `next` may end it.
fn ends(saga: &Saga) -> Vec<Saga> {
    let abandoned = saga.clone().when_operator(OperatorAction::Abandon);
    let delivered = saga.clone().when_outcome(OutcomeDelivery::Acknowledged);
    let has_next = saga.plan.definition.find("next").is_some();
    let completed = has_next.then(|| saga.clone().when("next", done()));
    [abandoned, delivered].into_iter().chain(completed).collect()
}

/// A guard refuses, until long after every other timer.
pub(super) fn refused() -> AdmissionVerdict {
    AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START.plus(seconds(100_000)) }
}

/// The saga, with guards that admit from here on.
fn admitted(saga: Saga) -> Saga {
    saga.while_gate(AdmissionVerdict::Admitted)
}
