//! The way to the end: order, conditions, checks, results, retries.

use crate::{
    given::{Saga, busy, declined, done, given, given_event, lost, not_sent, ongoing, result, seconds},
    surroundings::Surroundings,
};
use saga_core::{
    command::{CommandAnswer, CommandFailure, CommandRequest, RetryAdvice},
    decide::{self, DecisionError, IgnoreReason},
    event::OperatorAction::Cancel,
    input::SagaInput,
    state::SagaStatus,
};
use serde_json::json;
use std::time::Duration;

const TWO: &str = "
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}
";

#[test]
fn the_start_and_the_first_step_are_one_decision() {
    given(TWO).then(&["started", "reserve sent"]).then_out(&["reserve"]).then_status(SagaStatus::Running);
}

#[test]
fn the_success_of_a_step_and_the_start_of_the_next_are_one_decision() {
    given(TWO).when("reserve", done()).then(&["reserve succeeded", "charge sent"]).then_out(&["charge"]);
}

#[test]
fn a_saga_whose_steps_succeeded_is_completed_with_its_output() {
    let saga = given(&format!("output: {{paid: \"${{ steps.charge.cents }}\"}}{TWO}"))
        .when("reserve", done())
        .when("charge", result(json!({"cents": 5})))
        .then(&["charge succeeded", "completed"])
        .then_status(SagaStatus::Completed)
        .then_due_in(None)
        .then_out(&[]);
    assert_eq!(saga.state.view(&saga.plan).output, Some(json!({"paid": 5})));
}

#[test]
fn a_two_step_saga_is_three_rows() {
    let saga = given(TWO).when("reserve", done()).when("charge", done());
    let versions: Vec<u32> = saga.journal.iter().map(|decision| decision.version).collect();
    assert_eq!(versions, [1, 2, 3]);
}

#[test]
fn an_input_that_names_a_step_the_definition_lacks_is_an_error_that_names_both() {
    let mut saga = given(TWO);
    let command = saga_core::command::CommandRef { step: saga_core::id::StepIndex(9), ..saga.command("reserve") };
    let input = SagaInput::Answered { command, attempt: None, answer: done() };
    let refused = Surroundings::at(saga.state.last_at)
        .decide(|context| decide::decide(&saga.plan, &mut saga.state, &input, context));
    assert!(matches!(refused, Err(DecisionError::NoSuchStep { steps: 2, step: 9, .. })));
}

#[test]
fn every_attempt_sends_the_request_that_was_recorded_first() {
    let saga = given(
        "steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release, with: {b: \"${ event.id }\", a: \"${ saga.key }\"}}",
    );
    let first = saga.body("reserve");
    let saga = saga.when("reserve", busy()).when_due().then(&["reserve sent #2"]);
    assert_eq!(saga.body("reserve"), first);
    assert_eq!(first.to_string(), r#"{"a":"4711","b":"4711"}"#, "keys are sorted");
}

#[test]
fn an_undo_without_with_is_told_what_the_do_was_sent_and_answered() {
    let saga = given(
        "steps:
  - {step: reserve, do: stock.Reserve, with: {id: \"${ event.id }\"}, undo: stock.Release}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}",
    )
    .when("reserve", result(json!({"shelf": 3})))
    .when("charge", declined());
    assert_eq!(saga.body("undo reserve"), json!({"input": {"id": "4711"}, "result": {"shelf": 3}}));
}

#[test]
fn an_undo_by_delete_sends_no_body_and_its_path_may_name_the_do() {
    let saga = given(
        "steps:
  - {step: reserve, do: POST bank/holds, undo: \"DELETE bank/holds/${ doId }\"}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}",
    )
    .when("reserve", done())
    .when("charge", declined());
    let request = saga.state.command(saga.command("undo reserve")).request.clone().expect("it was sent");
    let CommandRequest::Http { path, body, .. } = &*request else { panic!("{request:?}") };
    assert_eq!(path, &format!("holds/{}%3Areserve%3Ado", saga.state.id));
    assert_eq!(body, &None);
}

#[test]
fn a_step_whose_if_is_false_is_skipped_and_the_next_starts() {
    const BODY: &str = "
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release, if: event.physical}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}
";
    given_event(BODY, json!({"id": 1, "physical": false})).then(&["started", "reserve skipped", "charge sent"]);
    given_event(BODY, json!({"id": 1, "physical": true})).then(&["started", "reserve sent"]);
}

#[test]
fn a_saga_whose_steps_are_all_skipped_is_completed_at_once() {
    given_event(
        "steps: [{step: reserve, do: stock.Reserve, undo: stock.Release, if: event.physical}]",
        json!({"id": 1, "physical": false}),
    )
    .then(&["started", "reserve skipped", "completed"]);
}

#[test]
fn an_if_that_cannot_be_evaluated_fails_the_step_and_nothing_is_sent() {
    given("steps: [{step: reserve, do: stock.Reserve, undo: stock.Release, if: event.nothing > 3}]")
        .then(&["started", "reserve failed (expression)", "parked (reserve: expression)"])
        .then_out(&[]);
}

#[test]
fn nobody_is_told_no_for_an_expression_before_anything_has_had_an_effect() {
    let body = "onCompensated: {publish: orders.out, type: Rejected}
steps:
  - {step: look, do: GET bank/customers, readOnly: true}
  - {step: reserve, do: stock.Reserve, undo: stock.Release, with: {a: \"${ event.cents > 100 }\"}}";
    given_event(body, json!({"id": "4711", "cents": "1000"}))
        .when("look", result(json!({})))
        .then(&["look succeeded", "reserve failed (expression)", "parked (reserve: expression)"])
        .when_operator(Cancel)
        .then_status(SagaStatus::Compensating);
}

#[test]
fn an_expression_without_a_value_undoes_what_was_done_before() {
    let body = "steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - {step: pay, do: POST bank/charges, undo: POST bank/refunds, with: {a: \"${ event.nothing }\"}}";
    given(body).when("reserve", result(json!({}))).then(&[
        "reserve succeeded",
        "pay failed (expression)",
        "goes back (pay: expression)",
        "undo reserve sent",
    ]);
}

#[test]
fn a_with_that_cannot_be_evaluated_fails_the_step_and_nothing_is_sent() {
    given("steps: [{step: reserve, do: stock.Reserve, undo: stock.Release, with: {a: \"${ event.nothing }\"}}]")
        .then(&["started", "reserve failed (expression)", "parked (reserve: expression)"]);
}

#[test]
fn a_request_over_the_limit_fails_the_step() {
    let large = "x".repeat(decide::REQUEST_LIMIT_BYTES);
    given_event(
        "steps: [{step: reserve, do: stock.Reserve, undo: stock.Release, with: {a: \"${ event.a }\"}}]",
        json!({"id": 1, "a": large}),
    )
    .then(&["started", "reserve failed (limit)", "goes back (reserve: limit)", "compensated"]);
}

const CHECKED: &str = "
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release, check: result.left > 0}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}
";

#[test]
fn a_check_that_holds_lets_the_next_step_start() {
    given(CHECKED).when("reserve", result(json!({"left": 1}))).then(&["reserve succeeded", "charge sent"]);
}

#[test]
fn a_check_that_is_false_rejects_the_step_which_is_not_retried_and_undone() {
    let saga = given(CHECKED).when("reserve", result(json!({"left": 0}))).then(&[
        "reserve rejected (check)",
        "goes back (reserve: check)",
        "undo reserve sent",
    ]);
    let shown = |saga: &Saga| saga.state.view(&saga.plan).steps[0].failure.as_ref().map(|failure| failure.code.clone());
    assert_eq!(shown(&saga).as_deref(), Some("check"), "it is shown why");
    assert_eq!(shown(&saga.when("undo reserve", done())).as_deref(), Some("check"), "also once it is undone");
}

#[test]
fn a_check_that_errs_or_is_no_boolean_rejects_the_step() {
    for answer in [json!({}), json!({"left": "many"}), json!(null)] {
        given(CHECKED).when("reserve", result(answer)).then(&[
            "reserve rejected (expression)",
            "goes back (reserve: expression)",
            "undo reserve sent",
        ]);
    }
}

#[test]
fn a_rejected_read_only_step_has_nothing_to_undo() {
    given("steps: [{step: look, do: GET bank/accounts, readOnly: true, check: result.ok}]")
        .when("look", result(json!({"ok": false})))
        .then(&["look rejected (check)", "goes back (look: check)", "compensated"]);
}

const RETRIED: &str = "
retry: {attempts: 3, delay: 2s, backoff: constant, jitter: none}
steps: [{step: reserve, do: stock.Reserve, undo: stock.Release}]
";

#[test]
fn a_retryable_failure_rests_for_the_delay_of_the_policy() {
    given(RETRIED)
        .when("reserve", busy())
        .then(&["reserve #1 failed (busy), rests"])
        .then_status(SagaStatus::Waiting)
        .then_due_in(Some(seconds(2)))
        .then_out(&[])
        .when_due()
        .then(&["reserve sent #2"])
        .then_out(&["reserve"]);
}

#[test]
fn rests_grow_by_the_multiplier() {
    given("retry: {attempts: 4, delay: 2s, multiplier: 1.5, jitter: none}\nsteps: [{step: look, do: stock.Look, readOnly: true}]")
        .when("look", busy())
        .then_due_in(Some(seconds(2)))
        .when_due()
        .when("look", busy())
        .then_due_in(Some(seconds(3)))
        .when_due()
        .when("look", busy())
        .then_due_in(Some(Duration::from_millis(4_500)));
}

#[test]
fn decorrelated_rests_grow_from_the_rest_before() {
    let mut saga = given(
        "retry: {attempts: 20, delay: 1s, maxDelay: 1h, jitter: decorrelated}
steps: [{step: look, do: stock.Look, readOnly: true}]",
    );
    let mut rests = vec![seconds(1)];
    for _ in 0..10 {
        saga = saga.when("look", busy());
        let rest = crate::given::next_due(&saga.state, &saga.plan).expect("it rests").since(saga.state.last_at);
        let before = *rests.last().expect("one at least");
        assert!(rest >= seconds(1) && rest <= before * 3, "{rest:?} after {before:?}");
        rests.push(rest);
        saga = saga.when_due();
    }
    assert!(rests.iter().any(|rest| *rest > seconds(3)), "they grow: {rests:?}");
}

#[test]
fn a_retry_waits_as_long_as_the_participant_asks() {
    let retry_after = Some(seconds(60));
    let busy =
        CommandAnswer::Failed { failure: CommandFailure::new("http.429", ""), retry: RetryAdvice::Yes, retry_after };
    given(RETRIED).when("reserve", busy).then_due_in(Some(seconds(60)));
}

#[test]
fn attempts_count_the_first_and_then_the_step_has_failed() {
    given(RETRIED)
        .when("reserve", busy())
        .when_due()
        .when("reserve", busy())
        .when_due()
        .then(&["reserve sent #3"])
        .when("reserve", busy())
        .then(&["reserve #3 failed (busy)", "reserve failed (busy)", "goes back (reserve: busy)", "compensated"]);
}

#[test]
fn a_definite_failure_ends_the_retries() {
    given(RETRIED).when("reserve", declined()).then(&[
        "reserve #1 failed (declined)",
        "reserve failed (declined)",
        "goes back (reserve: declined)",
        "compensated",
    ]);
}

#[test]
fn exhausted_retries_park_the_saga_where_the_definition_says_so() {
    given("onExhausted: park\nretry: {attempts: 1}\nsteps: [{step: a, do: stock.A, undo: stock.B}]")
        .when("a", busy())
        .then(&["a #1 failed (busy)", "a failed (busy)", "parked (a: busy)"])
        .then_status(SagaStatus::Parked)
        .then_due_in(None);
}

#[test]
fn a_failure_counts_once_for_the_attempt_that_it_names() {
    given(RETRIED)
        .when("reserve", busy())
        .when_attempt(Some(1), "reserve", busy())
        .then_ignored(&IgnoreReason::NoSuchAttempt)
        .when_due()
        .when_attempt(Some(1), "reserve", busy())
        .then_ignored(&IgnoreReason::NoSuchAttempt)
        .then_out(&["reserve"]);
}

#[test]
fn a_failure_without_a_number_counts_only_while_exactly_one_attempt_is_unanswered() {
    given(RETRIED).when_attempt(None, "reserve", busy()).then(&["reserve #1 failed (busy), rests"]);
    given(RETRIED)
        .when("reserve", lost())
        .when_due()
        .when_attempt(None, "reserve", busy())
        .then_ignored(&IgnoreReason::NoSuchAttempt);
}

#[test]
fn a_failure_of_an_earlier_attempt_does_not_end_the_one_that_is_out() {
    given(RETRIED)
        .when("reserve", lost())
        .when_due()
        .when_attempt(Some(1), "reserve", busy())
        .then(&["reserve #1 failed (busy)"])
        .then_out(&["reserve"]);
}

#[test]
fn a_success_settles_the_command_whichever_attempt_it_answers() {
    for attempt in [None, Some(1), Some(2), Some(7)] {
        given(RETRIED)
            .when("reserve", lost())
            .when_due()
            .when_attempt(attempt, "reserve", done())
            .then(&["reserve succeeded", "completed"]);
    }
    given(RETRIED).when("reserve", lost()).when("reserve", done()).then(&["reserve succeeded", "completed"]);
}

#[test]
fn a_second_answer_to_a_settled_command_changes_nothing() {
    for answer in [done(), busy(), lost(), ongoing(), not_sent()] {
        given(TWO).when("reserve", done()).when("reserve", answer).then_ignored(&IgnoreReason::Settled);
    }
}

#[test]
fn a_refusal_of_what_was_done_is_a_contradiction_if_only_one_attempt_can_be_meant() {
    given(TWO).when("reserve", done()).when("reserve", declined()).then_ignored(&IgnoreReason::Contradicted);
    let unnamed = given(TWO).when("reserve", done()).when_attempt(None, "reserve", declined());
    unnamed.then_ignored(&IgnoreReason::Settled);
    let two = given(RETRIED).when("reserve", lost()).when_due().when("reserve", done());
    two.when_attempt(Some(1), "reserve", declined()).then_ignored(&IgnoreReason::Terminal);
    let ended = given(RETRIED).when("reserve", done()).when("reserve", declined());
    ended.then_ignored(&IgnoreReason::Contradicted);
    let undone = given(TWO).when("reserve", done()).when("charge", declined()).then_out(&["undo reserve"]);
    undone.when("reserve", declined()).then_ignored(&IgnoreReason::Settled);
}

#[test]
fn an_answer_to_a_command_that_was_never_sent_changes_nothing() {
    for answer in [done(), declined(), busy(), lost(), ongoing(), not_sent()] {
        given(TWO).when("charge", answer.clone()).then_ignored(&IgnoreReason::NeverSent);
        given(TWO).when("undo reserve", answer).then_ignored(&IgnoreReason::NeverSent);
    }
}

#[test]
fn a_timer_that_is_early_changes_nothing() {
    given(TWO).when_passed(seconds(1)).then_ignored(&IgnoreReason::NotDue);
}

#[test]
fn a_wait_lasts_as_long_as_it_says() {
    given("steps: [{step: coolOff, wait: 10m}]")
        .then(&["started", "coolOff waits"])
        .then_status(SagaStatus::Waiting)
        .then_out(&[])
        .then_due_in(Some(seconds(600)))
        .when_passed(seconds(599))
        .then_ignored(&IgnoreReason::NotDue)
        .when_passed(seconds(1))
        .then(&["coolOff succeeded", "completed"]);
}
