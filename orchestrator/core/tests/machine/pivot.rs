//! The pivot: after its success the saga only goes forward.

use crate::given::{busy, declined, done, forbidden, given, given_event, lost, result, seconds};
use saga_core::{
    decide::IgnoreReason,
    event::OperatorAction::{Abandon, Cancel, Retry, Skip},
    state::SagaStatus,
};
use serde_json::json;

/// The pivot has no undo.
const FIRM: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
timeout: 10m
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: pay, do: stock.P, pivot: true}
  - {step: ship, do: stock.S}
";

/// The pivot has an undo, for when its outcome is not known.
const UNDOABLE: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
timeout: 10m
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: pay, do: stock.P, undo: stock.UndoP, pivot: true}
  - {step: ship, do: stock.S}
";

#[test]
fn a_pivot_that_failed_compensates() {
    given(FIRM).when("a", done()).when("pay", declined()).then(&[
        "pay #1 failed (declined)",
        "pay failed (declined)",
        "goes back (pay: declined)",
        "undo a sent",
    ]);
}

#[test]
fn a_pivot_that_stays_unknown_compensates_if_it_has_an_undo() {
    given(UNDOABLE).when("a", done()).when("pay", lost()).when_due().when("pay", lost()).then(&[
        "pay #2 unknown (lost)",
        "pay unknown (lost)",
        "goes back (pay: lost)",
        "undo pay sent",
    ]);
}

#[test]
fn a_pivot_that_stays_unknown_parks_if_it_has_no_undo() {
    given(FIRM)
        .when("a", done())
        .when("pay", lost())
        .when_due()
        .when("pay", lost())
        .then(&["pay #2 unknown (lost)", "pay unknown (lost)", "parked (pivot pay unknown: lost)"])
        .then_status(SagaStatus::Parked);
}

fn parked_for_the_pivot() -> crate::given::Saga {
    given(FIRM).when("a", done()).when("pay", lost()).when_due().when("pay", lost())
}

#[test]
fn a_late_success_of_the_pivot_moves_the_saga_on() {
    parked_for_the_pivot().when("pay", done()).then(&["pay succeeded", "resumed", "ship sent"]);
}

#[test]
fn a_retry_asks_the_pivot_again_and_a_skip_declares_that_it_did_not_happen() {
    parked_for_the_pivot().when_operator(Retry).then(&["operator: retry", "pay sent #3"]);
    parked_for_the_pivot()
        .when_operator(Cancel)
        .then_refused("whether the pivot happened")
        .when_operator(Skip)
        .then(&["operator: skip pay", "goes back (pay: lost)", "undo a sent"])
        .when("undo a", done())
        .then(&["undo a succeeded", "compensated but for pay"]);
}

#[test]
fn a_pivot_that_was_declared_not_to_have_happened_and_reports_success_is_an_incident() {
    let declared = || parked_for_the_pivot().when_operator(Skip);
    declared()
        .when("pay", done())
        .then(&["pay result arrived", "incident (late_success)"])
        .when("pay", done())
        .then_ignored(&IgnoreReason::Settled);
    let ended = declared().when("undo a", done()).then_status(SagaStatus::Compensated);
    ended.when("pay", done()).then(&["pay result arrived", "incident (late_success)"]);
}

/// The pivot is not for everybody.
const CONDITIONAL: &str = "
retry: {attempts: 2, delay: 20m, jitter: none}
timeout: 10m
onExhausted: park
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: pay, do: stock.P, pivot: true, undo: stock.UndoP, if: event.pays}
  - {step: ship, do: stock.S}
";

fn skipped_by_condition() -> crate::given::Saga {
    given_event(CONDITIONAL, json!({"id": "4711", "pays": false})).when("a", done()).then(&[
        "a succeeded",
        "pay skipped",
        "ship sent",
    ])
}

#[test]
fn a_skipped_pivot_is_passed_and_nothing_around_it_is_undone() {
    skipped_by_condition().when_operator(Cancel).then_refused("the pivot is passed");
    skipped_by_condition()
        .when("ship", busy())
        .when_due()
        .then(&["overdue", "incident (overdue)"])
        .when_due()
        .then(&["ship sent #2"])
        .when("ship", declined())
        .then(&["ship #2 failed (declined)", "ship failed (declined)", "parked (ship: declined)"]);
}

#[test]
fn a_pivot_that_a_person_skips_is_passed_though_it_may_have_happened() {
    let skipped = || {
        given_event(&CONDITIONAL.replace("attempts: 2", "attempts: 1"), json!({"id": "4711", "pays": true}))
            .when("a", done())
            .when("pay", lost())
            .then(&["pay #1 unknown (lost)", "pay unknown (lost)", "parked (pay unknown: lost)"])
            .when_operator(Skip)
            .then(&["operator: skip pay", "pay skipped, in doubt", "ship sent"])
    };
    skipped().when_operator(Cancel).then_refused("the pivot is passed");
    skipped().when("pay", done()).then(&["pay result arrived", "incident (late_success)"]).then_out(&["ship"]);
    skipped().when_passed(seconds(600)).then(&[
        "overdue",
        "incident (overdue)",
        "ship #1 unknown (timeout)",
        "ship unknown (timeout)",
        "parked (ship unknown: timeout)",
    ]);
}

#[test]
fn a_rejected_pivot_was_not_passed_and_is_undone() {
    given("steps: [{step: pay, do: stock.P, undo: stock.UndoP, pivot: true, check: result.ok}]")
        .when("pay", result(json!({"ok": false})))
        .then(&["pay rejected (check)", "goes back (pay: check)", "undo pay sent"]);
}

#[test]
fn after_the_pivot_retries_go_on_for_ever_by_default() {
    let mut saga =
        given("steps: [{step: pay, do: stock.P, pivot: true}, {step: ship, do: stock.S}]").when("pay", done());
    for _ in 0..100 {
        saga = saga.when("ship", busy()).when_due();
    }
    saga.then_out(&["ship"]).when("ship", done()).then_status(SagaStatus::Completed);
}

#[test]
fn after_the_pivot_a_number_of_attempts_parks() {
    given(FIRM)
        .when("a", done())
        .when("pay", done())
        .when("ship", busy())
        .when_due()
        .when("ship", busy())
        .then(&["ship #2 failed (busy)", "ship failed (busy)", "parked (ship: busy)"])
        .then_out(&[]);
}

#[test]
fn after_the_pivot_a_definite_failure_parks() {
    given(FIRM)
        .when("a", done())
        .when("pay", done())
        .when("ship", declined())
        .then(&["ship #1 failed (declined)", "ship failed (declined)", "parked (ship: declined)"])
        .when_operator(Retry)
        .then(&["operator: retry", "ship sent #2"])
        .when("ship", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn a_late_success_after_the_pivot_moves_a_parked_saga_on() {
    given(FIRM).when("a", done()).when("pay", done()).when("ship", declined()).when("ship", done()).then(&[
        "ship succeeded",
        "resumed",
        "completed",
    ]);
}

#[test]
fn two_steps_after_the_pivot_that_failed_are_both_moved_on() {
    const BODY: &str = "
steps:
  - {step: pay, do: stock.P, pivot: true}
  - parallel:
      - {step: ship, do: stock.S}
      - {step: tell, do: stock.T}
";
    let failed = || given(BODY).when("pay", done()).when("ship", declined()).when("tell", declined());
    failed().when_operator(Retry).then(&["operator: retry", "ship sent #2", "tell sent #2"]);
    failed().when("ship", done()).then(&["ship succeeded", "resumed", "parked (tell: declined)"]);
    failed().when_operator_names("ship", Skip).then(&[
        "operator: skip ship",
        "ship skipped",
        "parked (tell: declined)",
    ]);
}

#[test]
fn an_if_that_cannot_be_evaluated_after_the_pivot_parks_and_a_retry_evaluates_it_again() {
    given("steps: [{step: pay, do: stock.P, pivot: true}, {step: ship, do: stock.S, if: event.nothing == 1}]")
        .when("pay", done())
        .then(&["pay succeeded", "ship failed (expression)", "parked (ship: expression)"])
        .when_operator(Retry)
        .then(&["operator: retry", "ship failed (expression)", "parked (ship: expression)"])
        .when_operator(Skip)
        .then(&["operator: skip ship", "ship skipped", "completed"]);
}

#[test]
fn after_the_pivot_cancel_is_refused() {
    given(FIRM).when("a", done()).when("pay", done()).when_operator(Cancel).then_refused("the pivot is passed");
}

#[test]
fn after_the_pivot_expiry_marks_the_saga_overdue_while_it_goes_on() {
    let resting = FIRM.replace("delay: 1s", "delay: 20m");
    let saga = given(&resting)
        .when("a", done())
        .when("pay", done())
        .when("ship", busy())
        .then_due_in(Some(seconds(600)))
        .when_due()
        .then(&["overdue", "incident (overdue)"])
        .then_status(SagaStatus::Waiting)
        .when_due()
        .then(&["ship sent #2"]);
    assert!(saga.state.overdue);
    assert_eq!(saga.state.incident_kinds(), [saga_core::incident::IncidentKind::Overdue]);
    saga.when("ship", done()).then_status(SagaStatus::Completed);
}

/// The saga has 10 s left when its pivot is sent.
fn pivot_sent_just_before_expiry(body: &str) -> crate::given::Saga {
    let saga = given(body).when_passed(seconds(25));
    let wait = saga_core::command::CommandAnswer::Ongoing { ask_after: None, location: None };
    let mut saga = saga.when("a", wait.clone());
    for _ in 0..22 {
        saga = saga.when_passed(seconds(25)).when("a", wait.clone());
    }
    saga.when_passed(seconds(20)).when("a", done()).then(&["a succeeded", "pay sent"]).then_due_in(Some(seconds(30)))
}

#[test]
fn at_expiry_a_pivot_under_way_that_succeeds_is_passed_and_the_saga_is_overdue() {
    pivot_sent_just_before_expiry(FIRM)
        .when_passed(seconds(10))
        .then_ignored(&IgnoreReason::NotDue)
        .when("pay", done())
        .then(&["pay succeeded", "ship sent"])
        .when_due()
        .then(&["overdue", "incident (overdue)"])
        .then_status(SagaStatus::Running)
        .when("ship", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn at_expiry_a_pivot_under_way_that_fails_is_not_tried_again() {
    pivot_sent_just_before_expiry(FIRM).when_passed(seconds(10)).when("pay", busy()).then(&[
        "pay #1 failed (busy)",
        "pay failed (busy)",
        "goes back (timeout)",
        "undo a sent",
    ]);
}

#[test]
fn at_expiry_a_pivot_under_way_that_stays_unknown_parks_without_an_undo_and_compensates_with_one() {
    pivot_sent_just_before_expiry(FIRM).when_due().then(&[
        "pay #1 unknown (timeout)",
        "pay unknown (timeout)",
        "parked (pivot pay unknown: timeout)",
    ]);
    pivot_sent_just_before_expiry(UNDOABLE).when_due().then(&[
        "pay #1 unknown (timeout)",
        "pay unknown (timeout)",
        "goes back (timeout)",
        "undo pay sent",
    ]);
}

#[test]
fn at_expiry_a_pivot_that_rests_in_doubt_parks_without_an_undo_and_compensates_with_one() {
    let resting = |body: &str| {
        let body = body.replace("delay: 1s", "delay: 1m");
        pivot_sent_just_before_expiry(&body).when("pay", lost()).then_due_in(Some(seconds(5))).when_due()
    };
    resting(FIRM).then(&["pay unknown (lost)", "parked (pivot pay unknown: lost)"]);
    resting(UNDOABLE).then(&["goes back (timeout)", "pay unknown (lost)", "undo pay sent"]);
}

#[test]
fn at_expiry_a_pivot_that_rests_after_a_certain_failure_compensates() {
    let body = FIRM.replace("delay: 1s", "delay: 1m");
    pivot_sent_just_before_expiry(&body).when("pay", busy()).when_due().then(&[
        "goes back (timeout)",
        "pay failed (busy)",
        "undo a sent",
    ]);
}

#[test]
fn a_cancel_during_the_call_of_the_pivot_waits_for_the_answer() {
    let cancelled =
        |body: &str| given(body).when("a", done()).when_operator(Cancel).then(&["operator: cancel"]).then_out(&["pay"]);
    cancelled(FIRM).when("pay", done()).then(&["pay succeeded", "incident (cancel_too_late)", "ship sent"]);
    cancelled(FIRM).when("pay", busy()).then(&[
        "pay #1 failed (busy)",
        "pay failed (busy)",
        "goes back (cancelled by ada)",
        "undo a sent",
    ]);
    cancelled(FIRM).when("pay", lost()).then(&[
        "pay #1 unknown (lost)",
        "pay unknown (lost)",
        "parked (pivot pay unknown: lost)",
    ]);
    cancelled(UNDOABLE).when("pay", lost()).then(&[
        "pay #1 unknown (lost)",
        "pay unknown (lost)",
        "goes back (cancelled by ada)",
        "undo pay sent",
    ]);
}

#[test]
fn a_cancel_that_waits_wins_over_parking_for_exhausted_retries() {
    given(&format!("onExhausted: park{FIRM}")).when("a", done()).when_operator(Cancel).when("pay", busy()).then(&[
        "pay #1 failed (busy)",
        "pay failed (busy)",
        "goes back (cancelled by ada)",
        "undo a sent",
    ]);
}

#[test]
fn a_cancel_while_the_pivot_rests_in_doubt_parks_without_an_undo_and_compensates_with_one() {
    given(FIRM).when("a", done()).when("pay", lost()).when_operator(Cancel).then(&[
        "operator: cancel",
        "pay unknown (lost)",
        "parked (pivot pay unknown: lost)",
    ]);
    given(UNDOABLE).when("a", done()).when("pay", lost()).when_operator(Cancel).then(&[
        "operator: cancel",
        "goes back (cancelled by ada)",
        "pay unknown (lost)",
        "undo pay sent",
    ]);
}

#[test]
fn a_refused_token_is_retried_and_then_parks_the_saga() {
    given(FIRM)
        .when("a", forbidden())
        .then(&["a #1 failed (http.401), rests"])
        .when_due()
        .when("a", forbidden())
        .then(&["a #2 failed (http.401)", "a failed (http.401)", "parked (a: http.401)"])
        .when_operator(Retry)
        .then(&["operator: retry", "a sent #3"]);
}

#[test]
fn an_abandoned_saga_names_the_pivot_that_is_left() {
    parked_for_the_pivot().when_operator(Abandon).then(&["operator: abandon", "abandoned, left a, pay"]);
}
