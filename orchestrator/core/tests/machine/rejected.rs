//! A step that is known to be applied, because its `check` refused the result, and cannot be sent again.

use crate::given::{Saga, done, given, result, seconds};
use saga_core::{
    command::GuardKind,
    decide::AdmissionVerdict,
    event::OperatorAction::{Abandon, Retry, Skip},
    state::SagaStatus,
};
use serde_json::json;

const AFTER: &str = "
steps:
  - {step: pay, do: stock.P, pivot: true}
  - {step: ship, do: stock.S, check: result.ok}
";
const BEFORE: &str = "
steps:
  - {step: a, do: stock.A, undo: stock.UndoA, check: result.ok}
  - {step: b, do: stock.B, irreversible: true}
";

fn rejected_after_the_pivot() -> Saga {
    given(AFTER)
        .when("pay", done())
        .when("ship", result(json!({"ok": false})))
        .then(&["ship rejected (check)", "parked (ship rejected: check)"])
}

fn refused(saga: &Saga) -> AdmissionVerdict {
    AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: saga.now().plus(seconds(5)) }
}

#[test]
fn it_stays_applied_though_its_participant_is_gone() {
    let gone = || rejected_after_the_pivot().while_gate(AdmissionVerdict::Gone).when_operator(Retry);
    gone().then(&["operator: retry", "parked (ship rejected: participant_gone)"]).then_needs(&["ship"]);
    let back = gone().while_gate(AdmissionVerdict::Admitted).when_operator(Retry);
    back.then(&["operator: retry", "ship sent #2"])
        .when("ship", result(json!({"ok": true})))
        .then_status(SagaStatus::Completed);
    gone().when_operator(Skip).then(&["operator: skip ship", "ship skipped, in doubt", "completed"]);
    gone().when_operator(Abandon).then(&["operator: abandon", "abandoned, left pay, ship"]);
}

#[test]
fn it_stays_applied_though_its_participant_goes_while_a_guard_holds_it() {
    let parked = rejected_after_the_pivot();
    let gate = refused(&parked);
    let held =
        parked.while_gate(gate).when_operator(Retry).then(&["operator: retry", "ship held by Breaker, sent before"]);
    held.while_gate(AdmissionVerdict::Gone)
        .when_released("ship")
        .then(&["ship rejected (check)", "parked (ship rejected: participant_gone)"])
        .while_gate(AdmissionVerdict::Admitted)
        .when_operator(Retry)
        .then(&["operator: retry", "ship sent #2"]);
}

#[test]
fn before_the_pivot_it_is_undone_for_what_its_check_refused() {
    let parked = given(BEFORE).when_stopped().when("a", result(json!({"ok": false})));
    parked.while_gate(AdmissionVerdict::Gone).when_operator(Retry).then(&[
        "operator: retry",
        "goes back (a: check)",
        "undo a failed (participant_gone)",
        "incident (participant_gone)",
        "parked (undo of a)",
    ]);
}
