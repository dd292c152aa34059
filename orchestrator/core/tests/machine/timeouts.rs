//! Times: the saga's, a step's, an attempt's.

use crate::given::{START, Saga, busy, declined, done, forbidden, given, given_gate, lost, ongoing, seconds};
use saga_core::{
    answerable::OutageLog,
    decide::{AdmissionVerdict, IgnoreReason},
    event::OperatorAction::{Cancel, Retry, Skip},
    state::SagaStatus,
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

/// Parks a minute after its start, with nine left.
fn parked_with_nine_minutes() -> Saga {
    given(&format!("onExhausted: park{}", TIMED.replace("attempts: 5", "attempts: 2").replace("20m", "40s")))
        .when_passed(seconds(20))
        .when("a", busy())
        .when_due()
        .when("a", busy())
        .then_status(SagaStatus::Parked)
}

#[test]
fn the_time_of_a_parked_saga_stands_still() {
    let parked = || parked_with_nine_minutes().then_due_in(None).when_passed(seconds(86_400));
    parked().then_ignored(&IgnoreReason::NotDue);
    let tried_again = parked().when_operator(Retry).then(&["operator: retry", "a sent #3"]);
    let tried_again = tried_again.when("a", done()).then_out(&["b"]).when("b", busy()).when_due().when_due();
    assert_eq!(tried_again.state.started_at, START);
    // A minute before it parked, 70 s of `b` since it was moved on.
    let left = tried_again
        .state
        .deadline(&tried_again.plan, &OutageLog::NONE, tried_again.state.last_at)
        .expect("it has a time");
    assert_eq!(left.since(tried_again.state.last_at), seconds(540 - 70));
    parked()
        .when_operator(Skip)
        .then(&["operator: skip a", "a skipped", "b sent"])
        .when("b", ongoing())
        .recovered()
        .when_passed(seconds(540))
        .then(&["goes back (timeout)", "b #1 unknown (timeout)", "b unknown (timeout)", "undo b sent"]);
}

#[test]
fn a_saga_that_parked_after_its_pivot_is_not_overdue_before_its_time_has_passed() {
    const BODY: &str = "
timeout: 10m
steps:
  - {step: pay, do: stock.P, pivot: true}
  - {step: ship, do: stock.S, retry: {delay: 20m}}
";
    given(BODY)
        .when("pay", done())
        .when_passed(seconds(20))
        .when("ship", declined())
        .when_passed(seconds(86_400))
        .when_operator(Retry)
        .when("ship", busy())
        .then_due_in(Some(seconds(580)))
        .when_due()
        .then(&["overdue", "incident (overdue)"]);
}

#[test]
fn the_time_of_a_step_beside_the_one_that_parked_stands_still() {
    const BODY: &str = "
onExhausted: park
steps:
  - parallel:
      - {step: a, do: stock.A, undo: stock.UndoA, retry: {attempts: 1}}
      - {step: b, do: stock.B, undo: stock.UndoB, timeout: 2m, retry: {attempts: 9, delay: 80s, jitter: none}}
      - {step: c, do: stock.C, undo: stock.UndoC}
";
    given(BODY)
        .when_passed(seconds(10))
        .when("b", busy())
        .when("a", busy())
        .then_status(SagaStatus::Parked)
        .when_passed(seconds(86_400))
        .when_operator(Skip)
        .then(&["operator: skip a", "a skipped"])
        // The attempt of `c` has its 20 s, the rest of `b` is over, its step has 110 s.
        .when_passed(seconds(0))
        .then(&["b sent #2"])
        .when("b", busy())
        .then_due_in(Some(seconds(20)))
        .when("c", done())
        .then_due_in(Some(seconds(80)))
        .when_due()
        .then(&["b sent #3"])
        .then_due_in(Some(seconds(30)))
        .when("b", busy())
        .then_due_in(Some(seconds(30)))
        .when_due()
        .then(&["b failed (timeout)", "parked (b: timeout)"]);
}

#[test]
fn a_step_whose_time_ends_after_a_refusal_that_a_person_can_mend_parks() {
    given("retry: {delay: 20s, jitter: none}\nsteps: [{step: a, do: stock.A, undo: stock.UndoA, timeout: 15s}]")
        .when("a", forbidden())
        .when_due()
        .then(&["a failed (timeout)", "parked (a: timeout)"]);
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
        .then(&["a #1 unknown (timeout)", "a unknown (timeout)", "parked (a unknown: timeout)"])
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
        .then_ignored(&IgnoreReason::NotDue)
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
    let later = AdmissionVerdict::Refused {
        guard: saga_core::command::GuardKind::Breaker,
        not_before: START.plus(seconds(9999)),
    };
    given_gate(TIMED, json!({"id": 1}), later).then_due_in(Some(seconds(600)));
}
