//! Outcomes that nobody knows: when in doubt, undo.

use crate::given::{busy, declined, done, forbidden, given, lost, not_sent, ongoing, result, seconds, unreadable};
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, RetryAdvice},
    decide::IgnoreReason,
    event::OperatorAction::{self, Cancel},
    state::{CommandOutcome, SagaStatus},
};
use serde_json::json;

const ONE: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
steps: [{step: a, do: stock.A, undo: stock.UndoA}]
";

#[test]
fn an_attempt_without_answer_is_unknown_after_its_timeout() {
    let saga = given(ONE).then_due_in(Some(seconds(30))).when_due().then(&["a #1 unknown (timeout), rests"]);
    let failure = saga.state.command(saga.command("a")).last_failure.clone();
    assert_eq!(failure.and_then(|failure| failure.class), Some(ErrorClass::Timeout));
}

#[test]
fn a_step_that_stays_unknown_is_undone_like_one_that_succeeded() {
    given(ONE).when("a", lost()).when_due().when("a", lost()).then(&[
        "a #2 unknown (lost)",
        "a unknown (lost)",
        "goes back (a: lost)",
        "undo a sent",
    ]);
}

#[test]
fn a_failure_is_not_certain_while_another_attempt_is_in_doubt() {
    for answer in [busy(), declined()] {
        let saga = given(ONE).when("a", lost()).when_due().when("a", answer).then_out(&["undo a"]);
        let phase = &saga.state.command(saga.command("a")).phase;
        assert!(matches!(phase, saga_core::state::CommandPhase::Settled(CommandOutcome::Unknown(_))), "{phase:?}");
    }
}

#[test]
fn a_failure_is_certain_once_every_attempt_that_left_is_known_to_have_failed() {
    given(ONE).when("a", lost()).when_due().when_attempt(Some(1), "a", busy()).when("a", busy()).then(&[
        "a #2 failed (busy)",
        "a failed (busy)",
        "goes back (a: busy)",
        "compensated",
    ]);
}

/// An attempt that nobody knows anything of, with what is to be done about it.
fn lost_and(retry: RetryAdvice, retry_after: Option<std::time::Duration>) -> CommandAnswer {
    CommandAnswer::Unknown { failure: CommandFailure::new("lost", ""), retry, retry_after }
}

#[test]
fn the_next_attempt_after_an_unknown_one_waits_as_long_as_the_participant_asks_and_as_its_policy_says() {
    given(ONE).when("a", lost_and(RetryAdvice::Yes, Some(seconds(60)))).then_due_in(Some(seconds(60)));
    given(ONE).when("a", lost_and(RetryAdvice::Yes, Some(seconds(0)))).then_due_in(Some(seconds(1)));
}

#[test]
fn an_unknown_attempt_that_is_not_to_be_tried_again_leaves_the_step_unknown() {
    given(ONE).when("a", lost_and(RetryAdvice::No, None)).then(&[
        "a #1 unknown (lost)",
        "a unknown (lost)",
        "goes back (a: lost)",
        "undo a sent",
    ]);
}

#[test]
fn an_unknown_attempt_that_a_person_has_to_look_at_is_tried_again_first() {
    let park = || lost_and(RetryAdvice::ThenPark, None);
    given(ONE)
        .when("a", park())
        .then_due_in(Some(seconds(1)))
        .when_due()
        .when("a", park())
        .then_status(SagaStatus::Parked);
}

const BESIDE: &str = "
retry: {attempts: 5, delay: 1s, jitter: none}
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB, after: []}
  - {step: c, do: stock.C, undo: stock.UndoC, after: [a, b]}
";

#[test]
fn a_reply_that_cannot_be_read_parks_its_saga_although_attempts_are_left() {
    let parked = given(BESIDE).when("a", unreadable()).then(&[
        "a #1 unknown (reply.not_json)",
        "a unknown (reply.not_json)",
        "parked (a unknown: reply.not_json)",
    ]);
    parked.then_needs(&["a"]);
}

#[test]
fn what_comes_later_is_on_record_in_its_order_and_nothing_follows_before_the_reply_is_mended() {
    let waits = given(BESIDE).when("a", unreadable()).when("b", done()).then(&["b succeeded"]).then_out(&[]);
    waits.when("a", done()).then(&["a succeeded", "resumed", "c sent"]).then_status(SagaStatus::Running);
}

#[test]
fn each_of_two_replies_that_cannot_be_read_is_mended_before_the_saga_goes_on() {
    let both = given(BESIDE).when("a", unreadable()).when("b", unreadable());
    both.clone().when("b", done()).then(&["b succeeded"]).when("a", done()).then(&["a succeeded", "resumed", "c sent"]);
    let other = both.when("a", done()).then(&["a succeeded", "resumed", "parked (b unknown: reply.not_json)"]);
    other.when("b", done()).then(&["b succeeded", "resumed", "c sent"]);
}

#[test]
fn a_mended_reply_that_says_failed_settles_the_doubt_and_undoes_the_saga() {
    given(ONE).when("a", unreadable()).when("a", declined()).then(&[
        "a #1 failed (declined)",
        "a failed (declined)",
        "resumed",
        "goes back (a: declined)",
        "compensated",
    ]);
}

#[test]
fn a_definite_failure_settles_no_doubt_beside_another_one() {
    let two = given(ONE).when("a", lost()).when_due().when("a", unreadable());
    two.when_attempt(Some(2), "a", declined()).then_ignored(&IgnoreReason::Settled);
}

#[test]
fn an_undo_whose_reply_cannot_be_read_is_looked_at_by_a_person_and_mended() {
    let back = given(ONE).when_operator(Cancel).when("a", done()).then_out(&["undo a"]);
    let parked = back.when("undo a", unreadable()).then_status(SagaStatus::Parked);
    parked.when("undo a", done()).then(&["undo a succeeded", "resumed", "compensated"]);
}

#[test]
fn a_definite_failure_beside_a_doubt_ends_the_retries() {
    given(ONE).when("a", lost()).when("a", declined()).then(&[
        "a #1 failed (declined)",
        "a failed (declined)",
        "goes back (a: declined)",
        "compensated",
    ]);
}

#[test]
fn a_second_report_of_an_unknown_attempt_changes_nothing() {
    given(ONE).when("a", lost()).when("a", lost()).then_ignored(&IgnoreReason::NoSuchAttempt);
}

#[test]
fn an_attempt_that_a_guard_held_back_is_not_in_doubt() {
    given(ONE).when("a", not_sent()).when_due().when("a", declined()).then_status(SagaStatus::Compensated);
}

#[test]
fn the_undo_of_an_unknown_step_is_told_null_and_a_success_that_comes_later_changes_nothing() {
    let saga = given(&ONE.replace("attempts: 2", "attempts: 1")).when("a", lost());
    assert_eq!(saga.body("undo a"), json!({"input": {}, "result": null}));
    saga.when("a", result(json!({"late": true}))).then_ignored(&IgnoreReason::Settled);
}

#[test]
fn a_late_success_before_the_undo_was_sent_fills_in_the_result() {
    // The guard holds the undo back, so that it has not been sent when the success arrives.
    let refused = saga_core::decide::AdmissionVerdict::Refused {
        guard: saga_core::command::GuardKind::Breaker,
        not_before: crate::given::START.plus(seconds(10)),
    };
    let saga = given("retry: {attempts: 1}\nsteps: [{step: a, do: stock.A, undo: stock.UndoA}]")
        .while_gate(refused)
        .when("a", lost())
        .then(&["a #1 unknown (lost)", "a unknown (lost)", "goes back (a: lost)", "undo a held by Breaker"])
        .when("a", result(json!({"late": true})))
        .then(&["a result arrived"])
        .when("a", result(json!({"late": true})))
        .then_ignored(&IgnoreReason::Settled)
        .while_gate(saga_core::decide::AdmissionVerdict::Admitted)
        .when_due();
    assert_eq!(saga.body("undo a"), json!({"input": {}, "result": {"late": true}}));
}

#[test]
fn an_ongoing_attempt_starts_its_timeout_again_and_counts_no_attempt() {
    given(ONE)
        .when_passed(seconds(29))
        .then_ignored(&IgnoreReason::NotDue)
        .when("a", ongoing())
        .then(&["a #1 ongoing"])
        .then_due_in(Some(seconds(30)))
        .then_status(SagaStatus::Waiting)
        .when("a", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn an_ongoing_attempt_is_asked_when_the_participant_says() {
    let ask = CommandAnswer::Ongoing { ask_after: Some(seconds(3)), location: Some("jobs/1".into()) };
    let saga = given(ONE).when("a", ask.clone()).then(&["a #1 ongoing, to be asked"]).then_due_in(Some(seconds(3)));
    let saga = saga.when_due().then_noted().then_out(&["a"]).then_due_in(Some(seconds(30)));
    let saga_core::react::SagaEffect::Call(call) = &saga_core::react::react(&saga.plan, &saga.state)[0] else {
        panic!("a call")
    };
    assert_eq!((call.asked, call.location.as_deref(), call.attempt), (1, Some("jobs/1"), 1));
    saga.when("a", ask)
        .then_noted()
        .then_due_in(Some(seconds(3)))
        .when_due()
        .when("a", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn an_asked_attempt_without_answer_is_unknown() {
    let ask = CommandAnswer::Ongoing { ask_after: Some(seconds(3)), location: None };
    given(ONE).when("a", ask).when_due().when_due().then(&["a #1 unknown (timeout), rests"]);
}

#[test]
fn a_late_report_of_progress_of_an_earlier_attempt_changes_nothing() {
    given(ONE)
        .when("a", lost())
        .when_due()
        .when_attempt(Some(1), "a", ongoing())
        .then_ignored(&IgnoreReason::NoSuchAttempt);
}

#[test]
fn that_a_participant_is_busy_says_nothing_of_what_left_under_an_earlier_owner() {
    given(ONE)
        .recovered()
        .when("a", busy())
        .then(&["a #1 unknown (busy), rests"])
        .when_due()
        .when("a", busy())
        .then(&["a #2 failed (busy)", "a unknown (busy)", "goes back (a: busy)", "undo a sent"]);
    given(ONE)
        .when("a", lost())
        .when_due()
        .recovered()
        .when_attempt(Some(1), "a", busy())
        .then_ignored(&IgnoreReason::NoSuchAttempt);
}

#[test]
fn a_refusal_for_good_is_certain_however_often_the_attempt_left() {
    given(ONE).recovered().when("a", declined()).then_status(SagaStatus::Compensated);
}

#[test]
fn what_left_under_an_earlier_owner_is_under_way_though_a_guard_holds_its_repetition_back() {
    given(ONE)
        .recovered()
        .when("a", not_sent())
        .then_noted()
        .then_due_in(Some(seconds(1)))
        .when_due()
        .then_noted()
        .then_out(&["a"]);
}

#[test]
fn an_attempt_that_was_acknowledged_stays_in_doubt_though_another_sending_of_it_is_refused() {
    let refused = || given(ONE).when("a", ongoing()).when("a", not_sent()).then_noted().then_out(&["a"]);
    refused().when_operator(Cancel).then(&["operator: cancel", "goes back (cancelled by ada)"]).when_due().then_noted();
    let stopped = refused().when_operator(Cancel).when("a", lost());
    stopped.then(&["a #1 unknown (lost)", "a unknown (lost)", "undo a sent"]);
}

#[test]
fn a_participant_is_not_asked_before_its_time_because_a_guard_refused_another_sending() {
    let ask = CommandAnswer::Ongoing { ask_after: Some(seconds(20)), location: None };
    given(ONE).when("a", ask).when("a", not_sent()).then_noted().then_due_in(Some(seconds(20)));
}

#[test]
fn an_attempt_that_is_asked_after_is_under_way_though_a_guard_holds_the_question_back() {
    let ask = CommandAnswer::Ongoing { ask_after: Some(seconds(3)), location: None };
    given(ONE).when("a", ask).when_due().when("a", not_sent()).then_noted().then_out(&["a"]);
}

#[test]
fn whatever_may_be_retried_says_nothing_of_what_was_accepted_however_long_ago() {
    let once = ONE.replace("attempts: 2", "attempts: 1");
    let ask = || CommandAnswer::Ongoing { ask_after: Some(seconds(3)), location: None };
    given(&once).when("a", ask()).when_due().when("a", ask()).then_noted().when("a", busy()).then(&[
        "a #1 unknown (busy)",
        "a unknown (busy)",
        "goes back (a: busy)",
        "undo a sent",
    ]);
    // The next attempt is refused for good: the one that was accepted stays in doubt.
    given(ONE)
        .when("a", ask())
        .when_due()
        .when_due()
        .then(&["a #1 unknown (timeout), rests"])
        .when_due()
        .when("a", declined())
        .then_out(&["undo a"]);
}

#[test]
fn that_nobody_is_let_in_says_nothing_of_what_was_accepted() {
    let ask = CommandAnswer::Ongoing { ask_after: Some(seconds(3)), location: Some("jobs/1".into()) };
    given(ONE)
        .when("a", ask)
        .when_due()
        .when("a", forbidden())
        .then(&["a #1 unknown (http.401), rests"])
        .when_due()
        .when("a", forbidden())
        .then(&["a #2 failed (http.401)", "a unknown (http.401)", "parked (a unknown: http.401)"])
        .when_operator(OperatorAction::Cancel)
        .then(&["operator: cancel", "goes back (cancelled by ada)", "undo a sent"]);
}
