//! Optional steps: their failure is recorded and the saga goes on.

use crate::given::{busy, declined, done, given, lost, result};
use saga_core::{event::OperatorAction::Skip, state::SagaStatus};
use serde_json::json;

const BODY: &str = "
retry: {attempts: 1}
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: extra, do: stock.E, undo: stock.UndoE, optional: true, check: \"!has(result.bad)\"}
  - {step: b, do: stock.B, undo: stock.UndoB}
";

#[test]
fn an_optional_step_that_succeeded_stays() {
    given(BODY)
        .when("a", done())
        .when("extra", done())
        .then(&["extra succeeded", "b sent"])
        .when("b", done())
        .then(&["b succeeded", "completed"]);
}

#[test]
fn an_optional_step_that_failed_counts_as_done() {
    for answer in [declined(), busy()] {
        given(BODY)
            .when("a", done())
            .when("extra", answer)
            .then_out(&["b"])
            .when("b", done())
            .then_status(SagaStatus::Completed);
    }
}

#[test]
fn an_optional_step_that_cannot_be_begun_is_an_incident() {
    let with = "with: {x: \"${ event.nothing }\"}";
    for own in [with, "if: event.nothing > 3"] {
        given(&BODY.replace("optional: true", &format!("optional: true, {own}")))
            .when("a", done())
            .then(&["a succeeded", "extra failed (expression)", "incident (expression)", "b sent"])
            .then_out(&["b"])
            .when("b", done())
            .then_status(SagaStatus::Completed);
    }
}

#[test]
fn an_optional_step_that_ended_unknown_is_undone_at_once_beside_what_follows() {
    given(BODY)
        .when("a", done())
        .when("extra", lost())
        .then(&["extra #1 unknown (lost)", "extra unknown (lost)", "b sent", "undo extra sent"])
        .then_out(&["undo extra", "b"])
        .then_status(SagaStatus::Running);
}

#[test]
fn an_optional_step_that_is_rejected_is_undone_at_once() {
    given(BODY).when("a", done()).when("extra", result(json!({"bad": 1}))).then(&[
        "extra rejected (check)",
        "b sent",
        "undo extra sent",
    ]);
}

#[test]
fn the_saga_ends_only_after_the_undo_of_an_optional_step() {
    given(BODY)
        .when("a", done())
        .when("extra", lost())
        .when("b", done())
        .then(&["b succeeded"])
        .then_out(&["undo extra"])
        .when("undo extra", done())
        .then(&["undo extra succeeded", "completed"]);
}

#[test]
fn an_optional_undo_that_gives_up_parks_the_saga_at_its_end() {
    let saga = given(BODY)
        .when("a", done())
        .when("extra", lost())
        .when("undo extra", declined())
        .then(&["undo extra #1 failed (declined)", "undo extra failed (declined)", "incident (declined)"])
        .then_status(SagaStatus::Running);
    assert_eq!(saga.state.view(&saga.plan).incidents[0].text(), "undo of extra: declined");
    saga.when("b", done()).then(&["b succeeded", "parked (undo of extra)"]).when_operator(Skip).then(&[
        "operator: skip undo extra",
        "undo extra skipped",
        "completed",
    ]);
}

#[test]
fn an_optional_step_that_succeeded_is_undone_when_the_saga_goes_back() {
    given(BODY).when("a", done()).when("extra", done()).when("b", declined()).then_out(&["undo extra"]);
}

#[test]
fn an_optional_undo_under_way_is_part_of_the_way_back() {
    given(BODY)
        .when("a", done())
        .when("extra", lost())
        .when("b", declined())
        .then_out(&["undo extra"])
        .when("undo extra", done())
        .then(&["undo extra succeeded", "undo a sent"]);
}

#[test]
fn a_late_success_of_an_optional_step_that_failed_is_undone() {
    given(BODY)
        .when("a", done())
        .when("extra", declined())
        .when("extra", done())
        .then(&["extra result arrived", "undo extra sent"]);
}

#[test]
fn an_optional_step_does_not_park_the_saga_for_a_refused_token() {
    given(BODY).when("a", done()).when("extra", crate::given::forbidden()).then_out(&["b"]);
}

#[test]
fn an_optional_step_before_the_pivot_is_undone_though_the_pivot_was_passed() {
    given(
        "retry: {attempts: 1}
steps:
  - {step: extra, do: stock.E, undo: stock.UndoE, optional: true}
  - {step: pay, do: stock.P, pivot: true}",
    )
    .when("extra", lost())
    .when("pay", done())
    .then(&["pay succeeded"])
    .then_out(&["undo extra"])
    .when("undo extra", done())
    .then_status(SagaStatus::Completed);
}
