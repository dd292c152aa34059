//! A participant that answers "conflict" may have met an earlier sending of the same command. It is asked again while
//! that can still run.

use crate::given::{START, Saga, busy, conflict, declined, done, given, lost, seconds};
use saga_core::{
    command::CommandAnswer,
    decide::IgnoreReason,
    event::OperatorAction::{Retry, Skip},
    state::{CommandOutcome, CommandPhase, SagaStatus},
    time::Timestamp,
};

const SHIP: &str = "
steps:
  - {step: pay, do: stock.P, pivot: true}
  - {step: ship, do: POST bank/parcels, retry: {delay: 2s, backoff: constant, jitter: none}}
";

/// The first attempt of `ship`, which has five seconds and two to leave, is not answered.
fn in_doubt() -> Saga {
    given(SHIP).when("pay", done()).when_due().then(&["ship #1 unknown (timeout), rests"]).when_due()
}

#[test]
fn a_conflict_is_asked_again_while_an_earlier_attempt_can_still_run_and_then_it_is_definite() {
    let mut saga = in_doubt().then(&["ship sent #2"]);
    for attempt in
        ["ship #2 failed (http.409), rests", "ship #3 failed (http.409), rests", "ship #4 failed (http.409), rests"]
    {
        saga = saga.when("ship", conflict()).then(&[attempt]).when_due();
    }
    // 2 s of rest before each attempt, and an attempt is taken to run on for 7 s.
    saga.when("ship", conflict())
        .then(&["ship #5 failed (http.409)", "ship unknown (http.409)", "parked (ship unknown: http.409)"])
        .when_operator(Skip)
        .then_status(SagaStatus::Completed);
}

#[test]
fn a_success_after_a_conflict_counts() {
    in_doubt().when("ship", conflict()).when_due().when("ship", done()).then_status(SagaStatus::Completed);
    in_doubt().when("ship", conflict()).when_attempt(Some(1), "ship", done()).then_status(SagaStatus::Completed);
}

#[test]
fn a_conflict_is_definite_where_no_earlier_attempt_can_run() {
    given(SHIP).when("pay", done()).when("ship", conflict()).then(&[
        "ship #1 failed (http.409)",
        "ship failed (http.409)",
        "parked (ship: http.409)",
    ]);
    given(SHIP).when("pay", done()).when("ship", busy()).when_due().when("ship", conflict()).then(&[
        "ship #2 failed (http.409)",
        "ship failed (http.409)",
        "parked (ship: http.409)",
    ]);
}

#[test]
fn a_conflict_with_an_attempt_that_is_out_leaves_that_to_its_answer() {
    in_doubt().when_attempt(Some(1), "ship", conflict()).then(&["ship #1 failed (http.409)"]).then_out(&["ship"]);
}

#[test]
fn a_conflict_of_what_an_earlier_owner_sent_is_asked_about_again() {
    let mut saga = given(SHIP).when("pay", done()).recovered();
    saga = saga.when("ship", conflict()).then(&["ship #1 unknown (http.409), rests"]).when_due();
    for _ in 0..3 {
        saga = saga.when("ship", conflict()).when_due();
    }
    saga.when("ship", conflict()).then_status(SagaStatus::Parked);
}

const ONCE: &str = "
retry: {attempts: 1, delay: 2s, backoff: constant, jitter: none}
steps: [{step: a, do: POST bank/a, undo: POST bank/undo-a, attemptTimeout: 25s}]
";

#[test]
fn a_conflict_with_what_an_earlier_owner_sent_costs_no_attempt() {
    given(ONCE)
        .recovered()
        .when("a", conflict())
        .then(&["a #1 unknown (http.409), rests"])
        .when_due()
        .when("a", conflict())
        .then(&["a #2 failed (http.409), rests"])
        .when_due()
        .when("a", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn when_no_earlier_sending_can_run_any_more_its_attempts_are_over() {
    // An attempt of 25 s is taken to run on for two seconds more, and 2 s of rest are before each asking.
    let mut saga = given(ONCE).recovered();
    for _ in 0..14 {
        saga = saga.when("a", conflict()).then_status(SagaStatus::Waiting).when_due();
    }
    saga = saga.when("a", conflict()).then_status(SagaStatus::Compensating);
    saga.then_out(&["undo a"]);
}

#[test]
fn a_conflict_with_an_attempt_of_ours_that_timed_out_costs_none_either() {
    given(&ONCE.replace("attempts: 1", "attempts: 2"))
        .when_due()
        .then(&["a #1 unknown (timeout), rests"])
        .when_due()
        .when("a", conflict())
        .then(&["a #2 failed (http.409), rests"])
        .when_due()
        .when("a", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn a_participant_that_is_busy_with_it_is_asked_again_by_the_policy_alone() {
    given(ONCE).recovered().when("a", busy()).then(&[
        "a #1 unknown (busy)",
        "a unknown (busy)",
        "goes back (a: busy)",
        "undo a sent",
    ]);
}

#[test]
fn before_the_pivot_a_conflict_that_lasts_compensates_and_what_is_in_doubt_is_undone() {
    const ONE: &str = "
retry: {attempts: 99, delay: 2s, backoff: constant, jitter: none}
steps: [{step: a, do: POST bank/a, undo: POST bank/undo-a}]
";
    let mut saga = given(ONE).when("a", lost()).when_due();
    for _ in 0..3 {
        saga = saga.when("a", conflict()).when_due();
    }
    saga.when("a", conflict()).then(&[
        "a #5 failed (http.409)",
        "a unknown (http.409)",
        "goes back (a: http.409)",
        "undo a sent",
    ]);
}

#[test]
fn an_undo_that_meets_a_conflict_that_lasts_gives_up_though_it_is_tried_for_ever() {
    const ONE: &str = "
steps:
  - step: a
    do: POST bank/a
    undo: {do: POST bank/undo-a, retry: {attempts: forever, delay: 2s, maxDelay: 2s, backoff: constant, jitter: none}}
  - {step: b, do: stock.B, readOnly: true}
";
    let mut saga = given(ONE).when("a", done()).when("b", declined()).when("undo a", lost()).when_due();
    for _ in 0..3 {
        saga = saga.when("undo a", conflict()).when_due();
    }
    let saga = saga.when("undo a", conflict()).then_status(SagaStatus::Parked);
    let phase = &saga.state.command(saga.command("undo a")).phase;
    assert!(matches!(phase, CommandPhase::Settled(CommandOutcome::Unknown(_))), "{phase:?}");
    saga.when_operator(Retry).then(&["operator: retry", "undo a sent #6"]);
}

#[test]
fn a_conflict_that_nobody_waits_for_changes_nothing() {
    given(SHIP).when("pay", done()).when("ship", done()).when("ship", conflict()).then_ignored(&IgnoreReason::Terminal);
}

/// How long a participant is taken to run on with what nobody awaits any more, after an attempt of `timeout`.
fn taken_to_run_on(timeout: &str) -> std::time::Duration {
    let body = format!(
        "steps: [{{step: a, do: stock.A, undo: stock.U, attemptTimeout: {timeout}, retry: {{delay: 1s, maxDelay: 1s, attempts: 999, jitter: none}}}}]"
    );
    let mut saga = given(&body).when_due();
    let doubted_at: Timestamp = saga.state.last_at;
    while !matches!(saga.state.status(), SagaStatus::Compensating) {
        let answer: CommandAnswer = conflict();
        saga = saga.when_due().when("a", answer);
    }
    assert!(doubted_at > START);
    saga.state.last_at.since(doubted_at)
}

#[test]
fn how_long_an_attempt_is_taken_to_run_on_is_bounded() {
    assert_eq!(taken_to_run_on("200ms"), seconds(5));
    assert_eq!(taken_to_run_on("20s"), seconds(20));
    assert_eq!(taken_to_run_on("1h"), seconds(60));
}
