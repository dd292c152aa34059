//! Times: the saga's, a step's, an attempt's.

use crate::given::{START, busy, declined, done, given, given_gate, lost, ongoing, seconds};
use saga_core::{
    decide::{Admission, Ignored},
    event::OperatorAction::{Cancel, Retry},
    state::Status,
};
use serde_json::json;

const TIMED: &str = "
timeout: 10m
retry: {attempts: 5, delay: 20m, jitter: none}
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB}
";

#[test]
fn the_sagas_time_runs_from_its_start_and_its_end_compensates() {
    given(TIMED)
        .when_passed(seconds(10))
        .when("a", done())
        .when("b", busy())
        .then_due_in(Some(seconds(590)))
        .when_due()
        .then(&["goes back (timeout)", "b failed (busy)", "undo a sent"]);
}

#[test]
fn the_sagas_time_ends_to_matter_when_it_goes_back() {
    given(TIMED)
        .when("a", done())
        .when("b", declined())
        .when("undo a", busy())
        .when_passed(seconds(601))
        .then(&["undo a sent #2"]);
}

#[test]
fn a_call_in_flight_at_the_end_of_the_sagas_time_is_awaited() {
    let saga = given(&TIMED.replace("10m", "5m"));
    let mut saga = saga;
    for _ in 0..11 {
        saga = saga.when_passed(seconds(25)).when("a", ongoing());
    }
    saga.when_passed(seconds(25))
        .then(&["goes back (timeout)"])
        .then_out(&["a"])
        .when("a", done())
        .then(&["a succeeded", "undo a sent"]);
}

#[test]
fn the_time_of_a_parked_saga_does_not_fire_and_is_looked_at_when_it_is_moved_on() {
    given(&format!("onExhausted: park{}", TIMED.replace("attempts: 5", "attempts: 1")))
        .when("a", busy())
        .then_status(Status::Parked)
        .then_due_in(None)
        .when_passed(seconds(601))
        .then_ignored(&Ignored::NotDue)
        .when_operator(Retry)
        .then(&["operator: retry", "a sent #2"])
        .when_due()
        .then(&["goes back (timeout)"])
        .then_out(&["a"]);
}

#[test]
fn nothing_begins_once_the_saga_is_parked_in_the_same_moment() {
    const BODY: &str = "
onExhausted: park
steps:
  - parallel:
      - {step: a, do: stock.A, undo: stock.UndoA, retry: {attempts: 1}}
      - {step: b, do: stock.B, undo: stock.UndoB, retry: {attempts: 2, delay: 30s, jitter: none}}
";
    given(BODY)
        .when("b", busy())
        .when_due()
        .then(&["a #1 unknown (timeout)", "a unknown (timeout)", "parked (a: timeout)"])
        .then_out(&[])
        .when_operator(Retry)
        .then(&["operator: retry", "a sent #2"])
        .when_due()
        .then(&["b sent #2"]);
}

const STEP_TIMED: &str = "
retry: {attempts: 5, delay: 20s, jitter: none}
steps:
  - {step: a, do: stock.A, undo: stock.UndoA, timeout: 40s}
  - {step: b, do: stock.B, undo: stock.UndoB}
";

#[test]
fn a_steps_time_covers_all_attempts_and_rests() {
    given(STEP_TIMED)
        .when_passed(seconds(15))
        .when("a", lost())
        .then_due_in(Some(seconds(20)))
        .when_due()
        .then(&["a sent #2"])
        .then_due_in(Some(seconds(5)))
        .when_due()
        .then(&["a unknown (timeout)", "goes back (a: timeout)", "undo a sent"]);
}

#[test]
fn a_steps_time_that_ends_after_certain_failures_only_fails_it() {
    given(STEP_TIMED).when_passed(seconds(25)).when("a", busy()).when_due().then(&[
        "a failed (timeout)",
        "goes back (a: timeout)",
        "compensated",
    ]);
}

#[test]
fn a_steps_time_ends_to_matter_when_the_saga_goes_back() {
    const BODY: &str = "
steps:
  - parallel:
      - {step: a, do: stock.A, undo: stock.UndoA, timeout: 40s}
      - {step: b, do: stock.B, undo: stock.UndoB}
";
    given(BODY)
        .when_passed(seconds(25))
        .when("a", ongoing())
        .when("b", declined())
        .then_out(&["a"])
        .then_due_in(Some(seconds(30)))
        .when_passed(seconds(16))
        .then_ignored(&Ignored::NotDue)
        .when_passed(seconds(14))
        .then(&["a #1 unknown (timeout)", "a unknown (timeout)", "undo a sent"]);
}

#[test]
fn a_step_tried_again_by_an_operator_has_its_time_anew() {
    given(&format!("onExhausted: park{STEP_TIMED}"))
        .when_passed(seconds(25))
        .when("a", busy())
        .when_due()
        .then(&["a failed (timeout)", "parked (a: timeout)"])
        .when_operator(Retry)
        .then_due_in(Some(seconds(30)));
}

#[test]
fn due_times_are_never_before_the_sagas_last_event() {
    let mut saga = given(TIMED).when_passed(seconds(100)).then(&["a #1 unknown (timeout), rests"]);
    let journal = saga.journal.len();
    saga = saga.when_passed(seconds(0));
    assert_eq!(saga.journal.len(), journal);
    let times: Vec<_> = saga.journal.iter().map(|decision| decision.at).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_clock_that_goes_back_does_not_reorder_the_journal() {
    let saga = given(TIMED).when_passed(seconds(29)).when("a", busy());
    let saga = saga.at(START).when_operator(Cancel).then(&[
        "operator: cancel",
        "goes back (cancelled by ada)",
        "a failed (busy)",
        "compensated",
    ]);
    assert_eq!(saga.state.last_at, START.plus(seconds(29)));
}

#[test]
fn a_new_owner_fires_what_came_due_while_nobody_looked() {
    given(TIMED).recovered().when_passed(seconds(9999)).then(&[
        "goes back (timeout)",
        "a #1 unknown (timeout)",
        "a unknown (timeout)",
        "undo a sent",
    ]);
}

#[test]
fn a_held_step_without_time_of_its_own_waits_as_long_as_the_saga_may_run() {
    let later = Admission::Refused { guard: saga_core::command::Guard::Breaker, not_before: START.plus(seconds(9999)) };
    given_gate(TIMED, json!({"id": 1}), later).then_due_in(Some(seconds(600)));
}
