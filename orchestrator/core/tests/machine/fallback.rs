//! What answers for a step whose participant does not.

use crate::given::{
    START, Saga, busy, declined, done, forbidden, given, given_event, given_gate, given_known, lost, not_sent, result,
    seconds,
};
use saga_core::{
    decide::{AdmissionVerdict, IgnoreReason, PreviousAnswer},
    event::OperatorAction,
    state::{CommandOutcome, CommandPhase, SagaStatus},
};
use serde_json::{Value, json};

/// `score` reads something, with what `more` says; `use` is sent its result.
fn look(more: &str) -> String {
    format!(
        "
steps:
  - {{step: score, do: GET bank/scores, readOnly: true, retry: {{attempts: 1}}, {more}}}
  - {{step: use, do: stock.Use, with: {{score: \"${{ steps.score }}\"}}, undo: stock.Unuse}}
"
    )
}

/// The same with a step that has effects.
fn act(more: &str) -> String {
    format!(
        "
retry: {{attempts: 1}}
steps:
  - {{step: score, do: stock.Score, undo: stock.Unscore, {more}}}
  - {{step: use, do: stock.Use, with: {{score: \"${{ steps.score }}\"}}, undo: stock.Unuse}}
"
    )
}

fn used(saga: &Saga) -> Value {
    saga.body("use")["score"].clone()
}

fn settled(saga: &Saga) -> CommandOutcome {
    let CommandPhase::Settled(settled) = &saga.state.command(saga.command("score")).phase else { panic!("it goes on") };
    settled.clone()
}

fn refused() -> AdmissionVerdict {
    AdmissionVerdict::Refused { guard: saga_core::command::GuardKind::Breaker, not_before: START.plus(seconds(10)) }
}

const LITERAL: &str = "fallback: [{value: {score: 50}}]";

#[test]
fn a_value_answers_for_a_step_whose_attempts_are_used_up_or_that_is_refused_for_good() {
    for (answer, code) in [(busy(), "busy"), (declined(), "declined")] {
        let saga = given(&look(LITERAL)).when("score", answer).then(&[
            &format!("score #1 failed ({code})"),
            &format!("score failed ({code})"),
            "score answered by fallback 0 (value)",
            "use sent",
        ]);
        assert_eq!(used(&saga), json!({"score": 50}));
        saga.when("use", done()).then(&["use succeeded", "completed"]);
    }
}

#[test]
fn a_step_answers_for_itself_while_it_has_attempts_left() {
    let two = look(LITERAL).replace("attempts: 1", "attempts: 2, delay: 1s, jitter: none");
    let saga = given(&two).when("score", busy()).then(&["score #1 failed (busy), rests"]).when_due();
    let saga = saga.when("score", result(json!({"score": 7})));
    assert_eq!(used(&saga), json!({"score": 7}));
}

#[test]
fn a_fallback_answers_when_the_time_of_the_step_is_over_though_nothing_ever_left() {
    let held = look("timeout: 5s, fallback: [{value: 1}]");
    let saga = given_gate(&held, json!({"id": "4711"}), refused()).while_gate(AdmissionVerdict::Admitted);
    saga.when_passed(seconds(5)).then(&["score failed (timeout)", "score answered by fallback 0 (value)", "use sent"]);
}

#[test]
fn a_value_is_taken_as_it_is_and_an_expression_is_evaluated() {
    let saga = given(&look("fallback: [{value: {of: '${ event.id }'}}]")).when("score", busy());
    assert_eq!(used(&saga), json!({"of": "${ event.id }"}));
    let saga = given(&look("fallback: [{expression: {of: '${ event.id }', saga: '${ saga.name }'}}]"));
    assert_eq!(used(&saga.when("score", busy())), json!({"of": "4711", "saga": "test"}));
}

#[test]
fn an_expression_without_a_value_leaves_it_to_the_next() {
    let saga = given(&look("fallback: [{expression: '${ event.nothing }'}, {value: 2}]")).when("score", busy());
    assert_eq!(used(&saga), json!(2));
}

#[test]
fn the_check_of_the_step_holds_for_what_answers_in_its_place() {
    let body = look("check: result.score > 10, fallback: [{value: {score: 1}}, {value: {score: 11}}]");
    let saga = given(&body).when("score", busy()).then(&[
        "score #1 failed (busy)",
        "score failed (busy)",
        "score answered by fallback 1 (value)",
        "use sent",
    ]);
    assert_eq!(used(&saga), json!({"score": 11}));
}

#[test]
fn a_result_that_the_check_rejects_is_an_answer_and_stays_it() {
    let body = look("check: result.score > 10, fallback: [{value: {score: 11}}]");
    given(&body).when("score", result(json!({"score": 1}))).then(&[
        "score rejected (check)",
        "goes back (score: check)",
        "compensated",
    ]);
}

#[test]
fn a_step_whose_fallbacks_cannot_answer_ends_as_it_would_without() {
    let saga = given(&look("fallback: [{lastKnown: true}]"));
    saga.when("score", busy()).then_status(SagaStatus::Compensated);
}

#[test]
fn what_cannot_be_evaluated_is_not_hidden_by_a_fallback() {
    let body = look("with: {id: '${ event.nothing }'}, fallback: [{value: 1}]");
    given(&body).then(&["started", "score failed (expression)", "parked (score: expression)"]);
}

#[test]
fn a_step_left_unknown_stays_unknown_and_the_saga_goes_on() {
    let saga = given(&act(LITERAL)).when("score", lost()).then(&[
        "score #1 unknown (lost)",
        "score unknown (lost)",
        "score answered by fallback 0 (value)",
        "use sent",
    ]);
    assert!(matches!(settled(&saga), CommandOutcome::Unknown(_)));
    saga.when("use", done()).then(&["use succeeded", "completed"]);
}

#[test]
fn a_compensation_undoes_what_is_unknown_though_it_was_answered_for() {
    let saga = given(&act(LITERAL)).when("score", lost()).when("use", declined()).then(&[
        "use #1 failed (declined)",
        "use failed (declined)",
        "goes back (use: declined)",
        "undo score sent",
    ]);
    assert_eq!(saga.body("undo score"), json!({"input": {}, "result": null}));
    saga.when("undo score", done()).then_status(SagaStatus::Compensated);
}

#[test]
fn a_compensation_has_nothing_to_undo_of_what_certainly_failed() {
    given(&act(LITERAL)).when("score", declined()).when("use", declined()).then_status(SagaStatus::Compensated);
}

#[test]
fn a_late_success_is_for_the_undo_and_changes_nothing_for_what_has_read_the_fallback() {
    let saga = given(&act(LITERAL))
        .when("score", lost())
        .when("score", result(json!({"id": "s-1"})))
        .then(&["score result arrived"])
        .then_out(&["use"]);
    assert_eq!(saga.state.results["score"], json!({"score": 50}));
    let view = saga.state.view(&saga.plan);
    assert_eq!(view.steps[0].result, Some(json!({"score": 50})));
    let saga = saga.when("use", declined());
    assert_eq!(saga.body("undo score"), json!({"input": {}, "result": {"id": "s-1"}}));
}

#[test]
fn a_failed_step_that_succeeds_late_is_undone_though_it_was_answered_for() {
    given(&act(LITERAL))
        .when("score", declined())
        .when_attempt(Some(1), "score", done())
        .then(&["score result arrived"])
        .when("use", declined())
        .then_out(&["undo score"]);
}

#[test]
fn a_late_success_in_a_parked_saga_does_not_replace_what_was_read() {
    let parks = act(LITERAL).replace("step: use,", "step: use, onExhausted: park,");
    given(&parks)
        .when("score", lost())
        .when("use", busy())
        .then_status(SagaStatus::Parked)
        .when("score", result(json!({"id": "s-1"})))
        .then(&["score result arrived"])
        .when_operator(OperatorAction::Retry)
        .then(&["operator: retry", "use sent #2"]);
}

#[test]
fn a_failure_is_definite_where_the_saga_would_have_parked() {
    let body = act("onExhausted: park, fallback: [{fail: {code: NO_SCORE}}]");
    given(&body).when("score", busy()).then(&[
        "score #1 failed (busy)",
        "score failed (busy)",
        "score answered by fallback 0 (fail)",
        "goes back (score: NO_SCORE)",
        "compensated",
    ]);
}

#[test]
fn a_failure_leaves_a_step_unknown_that_is_unknown() {
    let saga = given(&act("fallback: [{fail: {code: NO_SCORE}}]")).when("score", lost()).then(&[
        "score #1 unknown (lost)",
        "score unknown (lost)",
        "score answered by fallback 0 (fail)",
        "goes back (score: NO_SCORE)",
        "undo score sent",
    ]);
    assert!(matches!(settled(&saga), CommandOutcome::Unknown(_)));
}

#[test]
fn a_failure_after_the_pivot_parks_the_saga_and_a_retry_asks_again() {
    let body = "
steps:
  - {step: pay, do: bank.Pay, undo: bank.Refund, pivot: true}
  - {step: ship, do: stock.Ship, retry: {attempts: 1}, fallback: [{fail: {code: NO_TRUCK}}]}
"
    .replace("bank.Pay", "stock.Pay")
    .replace("bank.Refund", "stock.Refund");
    given(&body)
        .when("pay", done())
        .when("ship", busy())
        .then(&[
            "ship #1 failed (busy)",
            "ship failed (busy)",
            "ship answered by fallback 0 (fail)",
            "parked (ship: NO_TRUCK)",
        ])
        .when_operator(OperatorAction::Retry)
        .then(&["operator: retry", "ship sent #2"])
        .when("ship", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn what_a_person_can_mend_is_answered_with_a_result_and_never_failed() {
    let value = given(&act(LITERAL)).when("score", forbidden());
    value.then_out(&["use"]);
    let fail = given(&act("fallback: [{fail: {code: NO_SCORE}}]")).when("score", forbidden());
    fail.then_status(SagaStatus::Parked);
    given_gate(&act(LITERAL), json!({"id": "4711"}), AdmissionVerdict::Gone).then(&[
        "started",
        "score failed (participant_gone)",
        "score answered by fallback 0 (value)",
        "use failed (participant_gone)",
        "parked (use: participant_gone)",
    ]);
}

#[test]
fn an_optional_step_that_is_answered_for_is_not_undone_at_once() {
    let optional = act(&format!("optional: true, {LITERAL}")).replace("${ steps.score }", "${ has(steps.score) }");
    let saga = given(&optional).when("score", lost()).then_out(&["use"]);
    assert_eq!(used(&saga), json!(true));
    saga.when("use", declined()).then_out(&["undo score"]);
    let fails =
        act("optional: true, fallback: [{fail: {code: NO}}]").replace("${ steps.score }", "${ has(steps.score) }");
    let saga = given(&fails).when("score", lost()).then_out(&["undo score", "use"]);
    assert_eq!(used(&saga), json!(false));
}

#[test]
fn on_the_way_back_nothing_is_answered_for() {
    let body = "
retry: {attempts: 1}
steps:
  - parallel:
      - {step: score, do: stock.Score, undo: stock.Unscore, fallback: [{value: 1}]}
      - {step: other, do: stock.Other, undo: stock.Unother}
";
    given(body).when("other", declined()).when("score", lost()).then(&[
        "score #1 unknown (lost)",
        "score unknown (lost)",
        "undo score sent",
    ]);
}

#[test]
fn a_step_of_a_parked_saga_is_answered_for_when_it_ends_and_what_follows_waits() {
    let body = "
retry: {attempts: 1}
onExhausted: park
steps:
  - parallel:
      - {step: score, do: stock.Score, undo: stock.Unscore, fallback: [{value: 1}]}
      - {step: other, do: stock.Other, undo: stock.Unother}
  - {step: use, do: stock.Use, undo: stock.Unuse}
";
    given(body)
        .when("other", busy())
        .when("score", lost())
        .then(&["score #1 unknown (lost)", "score unknown (lost)", "score answered by fallback 0 (value)"])
        .then_status(SagaStatus::Parked)
        .when_operator(OperatorAction::Skip)
        .then(&["operator: skip other", "other skipped", "use sent"]);
}

#[test]
fn a_fallback_does_not_wait_for_a_guard_if_it_says_so() {
    let event = || json!({"id": "4711"});
    let refuses = look("fallback: [{value: 1, when: refused}]");
    given_gate(&refuses, event(), refused()).then(&[
        "started",
        "score failed (refused)",
        "score answered by fallback 0 (value)",
        "use held by Breaker",
    ]);
    given_gate(&look("fallback: [{value: 1}]"), event(), refused()).then(&["started", "score held by Breaker"]);
    let fails = look("fallback: [{fail: {code: CLOSED}, when: refused}]");
    given_gate(&fails, event(), refused()).then(&[
        "started",
        "score failed (refused)",
        "score answered by fallback 0 (fail)",
        "goes back (score: CLOSED)",
        "compensated",
    ]);
}

#[test]
fn a_guard_that_refuses_behind_the_decision_is_answered_for_too() {
    given(&look("fallback: [{value: 1, when: refused}]")).when("score", not_sent()).then(&[
        "score held by Bulkhead",
        "score failed (refused)",
        "score answered by fallback 0 (value)",
        "use sent",
    ]);
}

#[test]
fn what_has_left_waits_for_the_guard_although_a_fallback_would_not() {
    let body =
        look("fallback: [{value: 1, when: refused}]").replace("attempts: 1", "attempts: 2, delay: 1s, jitter: none");
    given(&body).when("score", lost()).while_gate(refused()).when_due().then(&["score held by Breaker, sent before"]);
}

#[test]
fn an_answer_that_is_recent_enough_is_used_before_one_that_is_last_known() {
    let body = look("fallback: [{cached: 10m}, {lastKnown: true}]");
    let old = given(&body).while_known(START.minus(seconds(601)), json!(1)).when("score", busy());
    old.then(&[
        "score #1 failed (busy)",
        "score failed (busy)",
        "score answered by fallback 1 (lastKnown)",
        "use sent",
    ]);
    let young = given(&body).while_known(START.minus(seconds(600)), json!(2)).when("score", busy());
    assert_eq!(used(&young), json!(2));
    let view = young.state.view(&young.plan);
    let by = view.steps[0].answered_by.clone().expect("a fallback answered");
    assert_eq!((by.kind, by.at.as_deref()), ("cached", Some("2023-11-14T22:03:20.000Z")));
}

#[test]
fn a_fresh_answer_is_used_instead_of_a_call() {
    let known = |age| Some(PreviousAnswer { at: START.minus(seconds(age)), result: json!({"score": 3}) });
    let event = || json!({"id": "4711"});
    let body = look("cache: 5m, check: result.score < 10");
    let saga = given_known(&body, event(), refused(), known(300)).while_gate(AdmissionVerdict::Admitted);
    let saga = saga.then(&["started", "score answered by cache", "use held by Breaker"]).when_passed(seconds(10));
    assert_eq!(used(&saga), json!({"score": 3}));
    assert_eq!(settled(&saga), CommandOutcome::Succeeded);
    assert_eq!(saga.state.command(saga.command("score")).attempt, 0);
    saga.when("use", declined()).then_status(SagaStatus::Compensated);
    given_known(&body, event(), AdmissionVerdict::Admitted, known(301)).then(&["started", "score sent"]);
    let strict = look("cache: 5m, check: result.score < 3");
    given_known(&strict, event(), AdmissionVerdict::Admitted, known(1)).then(&["started", "score sent"]);
}

#[test]
fn nothing_answers_for_what_was_answered_from_the_cache() {
    let known = Some(PreviousAnswer { at: START, result: json!(1) });
    given_known(&look("cache: 5m"), json!({"id": "4711"}), AdmissionVerdict::Admitted, known)
        .when("score", done())
        .then_ignored(&IgnoreReason::Settled);
}

#[test]
fn a_recorded_answer_is_folded_without_asking_anybody() {
    let saga = given(&look("fallback: [{lastKnown: true}]")).while_known(START, json!(9)).when("score", busy());
    assert_eq!(used(&saga.recovered()), json!(9));
}

#[test]
fn a_step_that_is_skipped_asks_nobody() {
    let body = look("cache: 5m, if: event.no").replace("${ steps.score }", "${ has(steps.score) }");
    let saga = given_event(&body, json!({"id": "4711", "no": false}));
    assert_eq!(used(&saga), json!(false));
}
