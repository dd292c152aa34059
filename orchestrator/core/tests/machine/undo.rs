//! The way back: order, what is undone and what is not, undos that give up.

use crate::given::{busy, declined, done, given, lost, ongoing, seconds};
use saga_core::{
    event::OperatorAction::{Retry, Skip},
    state::SagaStatus,
};

const THREE: &str = "
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB}
  - {step: c, do: stock.C, undo: stock.UndoC}
";

#[test]
fn compensation_starts_in_the_decision_of_its_cause() {
    given(THREE).when("a", done()).when("b", declined()).then(&[
        "b #1 failed (declined)",
        "b failed (declined)",
        "goes back (b: declined)",
        "undo a sent",
    ]);
}

#[test]
fn steps_are_undone_in_reverse_order_each_after_the_one_before() {
    given(THREE)
        .when("a", done())
        .when("b", done())
        .when("c", declined())
        .then_out(&["undo b"])
        .then_status(SagaStatus::Compensating)
        .when("undo b", done())
        .then(&["undo b succeeded", "undo a sent"])
        .when("undo a", done())
        .then(&["undo a succeeded", "compensated"])
        .then_status(SagaStatus::Compensated);
}

#[test]
fn a_step_that_was_never_sent_is_not_undone() {
    given(THREE).when("a", declined()).then(&[
        "a #1 failed (declined)",
        "a failed (declined)",
        "goes back (a: declined)",
        "compensated",
    ]);
}

#[test]
fn a_read_only_step_is_not_undone_and_an_irreversible_one_is_listed() {
    given(
        "steps:
  - {step: look, do: GET bank/accounts, readOnly: true}
  - {step: mail, do: stock.Mail, irreversible: true}
  - {step: charge, do: stock.Charge, undo: stock.Refund}",
    )
    .when("look", done())
    .when("mail", done())
    .when("charge", declined())
    .then(&[
        "charge #1 failed (declined)",
        "charge failed (declined)",
        "goes back (charge: declined)",
        "compensated but for mail",
    ]);
}

#[test]
fn an_irreversible_step_does_not_hold_up_the_undo_of_what_is_before_it() {
    given(
        "steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: mail, do: stock.Mail, irreversible: true}
  - {step: c, do: stock.C, undo: stock.UndoC}",
    )
    .when("a", done())
    .when("mail", done())
    .when("c", declined())
    .then_out(&["undo a"]);
}

const PATIENT: &str = "
steps:
  - {step: a, do: stock.A, undo: stock.UndoA, retry: {attempts: 1}}
  - {step: b, do: stock.B, undo: {do: stock.UndoB, retry: {attempts: 2, delay: 7s, jitter: none}}, retry: {attempts: 1}}
  - {step: c, do: stock.C, undo: stock.UndoC, retry: {attempts: 1}}
";

#[test]
fn an_undo_has_a_retry_policy_of_its_own() {
    given(PATIENT)
        .when("a", done())
        .when("b", done())
        .when("c", busy())
        .when("undo b", busy())
        .then(&["undo b #1 failed (busy), rests"])
        .then_due_in(Some(seconds(7)))
        .when_due()
        .then(&["undo b sent #2"]);
}

#[test]
fn an_undo_is_patient_by_default() {
    let mut saga = given(PATIENT).when("a", done()).when("b", lost()).when("undo b", done());
    for _ in 1..30 {
        saga = saga.when("undo a", lost()).when_due();
    }
    saga.when("undo a", lost()).then(&[
        "undo a #30 unknown (lost)",
        "undo a unknown (lost)",
        "incident (lost)",
        "parked (undo of a)",
    ]);
}

#[test]
fn an_undo_that_times_out_is_tried_again() {
    given(PATIENT)
        .when("a", done())
        .when("b", declined())
        .when_passed(seconds(30))
        .then(&["undo a #1 unknown (timeout), rests"]);
}

const FORK: &str = "
steps:
  - {step: root, do: stock.R, undo: stock.UndoR}
  - parallel:
      - {step: left, do: stock.L, undo: stock.UndoL}
      - {step: right, do: stock.X, undo: stock.UndoX}
  - {step: last, do: stock.Z, undo: stock.UndoZ}
";

#[test]
fn an_undo_refused_for_good_blocks_only_its_predecessors_and_then_the_saga_parks_with_an_incident() {
    given(FORK)
        .when("root", done())
        .when("left", done())
        .when("right", done())
        .when("last", declined())
        .then_out(&["undo left", "undo right"])
        .when("undo left", declined())
        .then(&["undo left #1 failed (declined)", "undo left failed (declined)", "incident (declined)"])
        .then_status(SagaStatus::Compensating)
        .when("undo right", done())
        .then(&["undo right succeeded", "parked (undo of left)"])
        .then_out(&[]);
}

fn parked_for_an_undo() -> crate::given::Saga {
    given(THREE).when("a", done()).when("b", done()).when("c", declined()).when("undo b", declined())
}

#[test]
fn a_retry_tries_an_undo_that_gave_up_again_with_fresh_attempts() {
    parked_for_an_undo()
        .when_operator(Retry)
        .then(&["operator: retry", "undo b sent #2"])
        .then_status(SagaStatus::Compensating)
        .when("undo b", busy())
        .then(&["undo b #2 failed (busy), rests"])
        .when_due()
        .when("undo b", done())
        .then(&["undo b succeeded", "undo a sent"]);
}

#[test]
fn a_skip_takes_an_undo_as_done_by_hand() {
    parked_for_an_undo()
        .when_operator(Skip)
        .then(&["operator: skip undo b", "undo b skipped", "undo a sent"])
        .when("undo a", done())
        .then_status(SagaStatus::Compensated);
}

#[test]
fn a_late_success_of_an_undo_that_gave_up_moves_the_saga_on() {
    parked_for_an_undo().when("undo b", done()).then(&["undo b succeeded", "resumed", "undo a sent"]);
}

fn parked_for_two_undos() -> crate::given::Saga {
    given(FORK)
        .when("root", done())
        .when("left", done())
        .when("right", done())
        .when("last", declined())
        .when("undo left", declined())
        .when("undo right", declined())
}

#[test]
fn a_late_success_of_one_of_two_undos_leaves_the_saga_parked_for_the_other() {
    parked_for_two_undos()
        .when("undo left", done())
        .then(&["undo left succeeded"])
        .then_status(SagaStatus::Parked)
        .when_operator(Retry)
        .then(&["operator: retry", "undo right sent #2"]);
    parked_for_two_undos().when("undo left", done()).when_operator(Skip).then(&[
        "operator: skip undo right",
        "undo right skipped",
        "undo root sent",
    ]);
}

#[test]
fn of_two_undos_that_gave_up_a_skip_declares_the_one_that_it_names_done_by_hand() {
    let parked = || parked_for_two_undos().then_needs(&["undo left", "undo right"]);
    parked().when_operator(Skip).then_refused("several steps need a person: undo of left (declined), undo of right");
    parked()
        .when_operator_names("undo left", Skip)
        .then(&["operator: skip undo left", "undo left skipped", "parked (undo of right)"])
        .when_operator_names("left", Skip)
        .then_refused("the saga does not wait for do of left: undo of right (declined)");
    parked().when_operator_names("undo right", Retry).then(&["operator: retry undo right", "undo right sent #2"]);
}

#[test]
fn an_undo_that_cannot_be_evaluated_parks_the_saga_and_a_person_skips_it() {
    given(
        "steps:
  - {step: a, do: stock.A, undo: {do: stock.UndoA, with: {x: \"${ event.nothing }\"}}}
  - {step: b, do: stock.B, undo: stock.UndoB}",
    )
    .when("a", done())
    .when("b", declined())
    .then(&[
        "b #1 failed (declined)",
        "b failed (declined)",
        "goes back (b: declined)",
        "undo a failed (expression)",
        "incident (expression)",
        "parked (undo of a)",
    ])
    .when_operator(Retry)
    .then(&["operator: retry", "undo a failed (expression)", "incident (expression)", "parked (undo of a)"])
    .when_operator(Skip)
    .then(&["operator: skip undo a", "undo a skipped", "compensated"]);
}

#[test]
fn an_undo_that_is_ongoing_is_awaited() {
    given(PATIENT)
        .when("a", done())
        .when("b", declined())
        .when_passed(seconds(20))
        .when("undo a", ongoing())
        .then(&["undo a #1 ongoing"])
        .then_due_in(Some(seconds(30)));
}

#[test]
fn the_graph_of_after_decides_what_is_undone_when() {
    given(
        "steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB, after: []}
  - {step: c, do: stock.C, undo: stock.UndoC, after: [a]}
  - {step: d, do: stock.D, undo: stock.UndoD, after: [b, c]}",
    )
    .then_out(&["a", "b"])
    .when("b", done())
    .then(&["b succeeded"])
    .when("a", done())
    .then_out(&["c"])
    .when("c", declined())
    .then_out(&["undo a", "undo b"]);
}
