//! Branches: what is in flight when another one fails.

use crate::given::{busy, declined, done, forbidden, given, lost, ongoing, seconds, unreadable};
use saga_core::{
    decide::IgnoreReason,
    event::OperatorAction::{Abandon, Cancel, Retry, Skip},
    state::SagaStatus,
};
use serde_json::json;

const FORK: &str = "
retry: {attempts: 2, delay: 5s, jitter: none}
steps:
  - parallel:
      - {step: left, do: stock.L, undo: stock.UndoL}
      - {step: right, do: stock.X, undo: stock.UndoX}
  - {step: last, do: stock.Z, undo: stock.UndoZ}
";

#[test]
fn steps_of_a_block_start_together_and_the_next_item_after_all_of_them() {
    given(FORK)
        .then(&["started", "left sent", "right sent"])
        .when("right", done())
        .then(&["right succeeded"])
        .when("left", done())
        .then(&["left succeeded", "last sent"]);
}

#[test]
fn all_steps_that_are_out_are_under_way_and_none_that_has_ended() {
    let saga = given(FORK);
    let under_way = |saga: &crate::given::Saga| {
        let steps = saga.state.under_way().into_iter();
        steps.map(|step| saga.plan.definition.step(step).name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(under_way(&saga), ["left", "right"]);
    let saga = saga.when("left", done());
    assert_eq!(under_way(&saga), ["right"]);
    let saga = saga.when("right", done()).when("last", done());
    assert!(under_way(&saga).is_empty());
}

#[test]
fn a_call_in_flight_is_awaited_and_undone_when_it_succeeds() {
    given(FORK)
        .when("left", declined())
        .then(&["left #1 failed (declined)", "left failed (declined)", "goes back (left: declined)"])
        .then_out(&["right"])
        .when("right", done())
        .then(&["right succeeded", "undo right sent"]);
}

#[test]
fn a_call_in_flight_that_fails_while_going_back_is_not_tried_again() {
    given(FORK).when("left", declined()).when("right", busy()).then(&[
        "right #1 failed (busy)",
        "right failed (busy)",
        "compensated",
    ]);
}

#[test]
fn a_call_in_flight_is_unknown_after_its_attempt_timeout_and_undone() {
    given(FORK).when("left", declined()).when_passed(seconds(30)).then(&[
        "right #1 unknown (timeout)",
        "right unknown (timeout)",
        "undo right sent",
    ]);
}

#[test]
fn a_call_in_flight_that_is_ongoing_is_awaited_longer() {
    given(FORK)
        .when("left", declined())
        .when_passed(seconds(20))
        .when("right", ongoing())
        .then(&["right #1 ongoing"])
        .then_due_in(Some(seconds(30)));
}

#[test]
fn compensation_ends_retries_waits_and_timers() {
    given(
        "retry: {attempts: 2, delay: 5s, jitter: none}
steps:
  - parallel:
      - {step: left, do: stock.L, undo: stock.UndoL}
      - {step: right, do: stock.X, undo: stock.UndoX}
  - {step: coolOff, wait: 1h, after: []}",
    )
    .when("right", busy())
    .when("left", declined())
    .then(&[
        "left #1 failed (declined)",
        "left failed (declined)",
        "goes back (left: declined)",
        "right failed (busy)",
        "coolOff failed (stopped)",
        "compensated",
    ])
    .then_due_in(None);
}

#[test]
fn a_step_that_rests_after_an_unknown_attempt_is_undone() {
    given(FORK).when("right", lost()).when("left", declined()).then(&[
        "left #1 failed (declined)",
        "left failed (declined)",
        "goes back (left: declined)",
        "right unknown (lost)",
        "undo right sent",
    ]);
}

#[test]
fn the_first_cause_of_going_back_is_the_one_that_is_told() {
    let saga = given(&format!("onCompensated: {{publish: news, type: Undone}}{FORK}"))
        .when("left", declined())
        .when("right", busy())
        .then_out(&["outcome"]);
    let saga_core::state::SagaPhase::OutcomeDue { request, .. } = &saga.state.course else {
        panic!("{:?}", saga.state)
    };
    let saga_core::command::CommandRequest::Publish { body, key, .. } = request else { panic!("{request:?}") };
    assert_eq!(key, "4711");
    assert_eq!(
        body,
        &json!({
            "sagaId": saga.state.id.to_string(), "saga": "test", "key": "4711", "status": "compensated", "output": null,
            "failedStep": "left", "reason": {"code": "declined", "message": ""},
        })
    );
}

const PARKING: &str = "
onExhausted: park
retry: {attempts: 1}
steps:
  - parallel:
      - {step: left, do: stock.L, undo: stock.UndoL}
      - {step: right, do: stock.X, undo: stock.UndoX}
";

#[test]
fn a_branch_goes_on_while_the_saga_is_parked_for_another() {
    given(PARKING)
        .when("left", busy())
        .then_status(SagaStatus::Parked)
        .then_out(&["right"])
        .when("right", done())
        .then(&["right succeeded"])
        .when_operator(Retry)
        .then(&["operator: retry", "left sent #2"])
        .when("left", done())
        .then(&["left succeeded", "completed"]);
}

#[test]
fn a_second_branch_that_is_exhausted_while_the_saga_is_parked_is_retried_with_the_first() {
    given(PARKING)
        .when("left", busy())
        .when("right", busy())
        .then(&["right #1 failed (busy)", "right failed (busy)"])
        .when_operator(Retry)
        .then(&["operator: retry", "left sent #2", "right sent #2"])
        .when("left", done())
        .when("right", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn where_both_branches_need_a_person_a_skip_names_the_one_that_it_settles() {
    let parked = || given(PARKING).when("left", busy()).when("right", busy()).then_needs(&["left", "right"]);
    parked().when_operator(Skip).then_refused("several steps need a person: left (busy), right (busy)");
    parked()
        .when_operator_names("right", Skip)
        .then(&["operator: skip right", "right skipped", "parked (left: busy)"])
        .then_needs(&["left"])
        .when_operator(Skip)
        .then(&["operator: skip left", "left skipped", "completed"]);
}

#[test]
fn a_repeat_of_a_skip_settles_nothing_more() {
    let skipped = || given(PARKING).when("left", busy()).when("right", busy()).when_act_names("7", "left", Skip);
    skipped().when_act_names("7", "left", Skip).then_ignored(&IgnoreReason::Repeated).then_needs(&["right"]);
    skipped().when_act("7", Skip).then_ignored(&IgnoreReason::Repeated);
    skipped().recovered().when_act_names("7", "left", Skip).then_ignored(&IgnoreReason::Repeated);
    // Under another id it is another act, for a step that waits for nobody any more.
    skipped().when_act_names("8", "left", Skip).then_refused("the saga does not wait for do of left: right (busy)");
    skipped().when_act_names("7", "right", Skip).then_refused("is that of a skip of left");
    skipped().when_act_names("7", "left", Retry).then_refused("is that of a skip of left");
}

#[test]
fn a_skip_of_what_the_saga_is_not_parked_for_is_refused() {
    let parked = || given(PARKING).when("left", busy()).then_needs(&["left"]);
    parked().when_operator_names("right", Skip).then_refused("the saga does not wait for do of right: left (busy)");
    parked().when_operator_names("undo left", Skip).then_refused("the saga does not wait for undo of left");
    parked().when_operator_names("middle", Skip).then_refused("no step `middle`");
    parked().when_operator_names("left", Cancel).then_refused("name no step");
    parked().when_operator_names("left", Abandon).then_refused("name no step");
}

#[test]
fn a_retry_that_names_a_branch_leaves_the_other_where_it_is() {
    given(PARKING)
        .when("left", busy())
        .when("right", busy())
        .when_operator_names("right", Retry)
        .then(&["operator: retry right", "right sent #2", "parked (left: busy)"])
        .when("right", done())
        .then(&["right succeeded"])
        .when_operator_names("left", Retry)
        .when("left", done())
        .then(&["left succeeded", "completed"]);
    given(PARKING)
        .when("left", busy())
        .when("right", declined())
        .when_operator_names("left", Retry)
        .then_refused("right (declined) would send the saga back at once: retry that step to send it again");
    given(&PARKING.replace("onExhausted: park", "onExhausted: compensate"))
        .when("left", forbidden())
        .when("right", busy())
        .when_operator_names("left", Retry)
        .then_refused("right (busy) would send the saga back at once: retry without a step tries both again");
}

#[test]
fn a_retry_does_not_send_again_what_was_refused_for_good_in_another_branch() {
    let parked = || given(PARKING).when("left", unreadable()).when("right", declined()).then_needs(&["left"]);
    let undone = ["operator: retry", "goes back (right: declined)", "undo left sent"];
    parked().when_operator(Retry).then(&undone);
    parked()
        .recovered()
        .when_operator(Retry)
        .then(&undone)
        .when("undo left", done())
        .then_status(SagaStatus::Compensated);
    let rejected = PARKING.replace("undo: stock.UndoX", "undo: stock.UndoX, check: result.ok");
    let checked = given(&rejected).when("left", unreadable()).when("right", done());
    checked.when_operator(Retry).then_status(SagaStatus::Compensating);
}

#[test]
fn a_retry_of_a_saga_stopped_at_a_limit_does_not_send_again_what_was_refused_for_good() {
    let stopped = given(PARKING).when_stopped().when("right", declined());
    stopped.when_operator(Retry).then(&["operator: retry", "goes back (right: declined)"]).then_out(&["left"]);
}

#[test]
fn what_was_refused_for_good_is_sent_again_where_the_operator_names_it() {
    let parked = || given(PARKING).when("left", unreadable()).when("right", declined());
    let named = parked().when_operator_names("right", Retry).then(&[
        "operator: retry right",
        "right sent #2",
        "parked (left unknown: reply.not_json)",
    ]);
    named
        .when("right", done())
        .when_operator(Retry)
        .then(&["operator: retry", "left sent #2"])
        .when("left", done())
        .then_status(SagaStatus::Completed);
}

const THREE: &str = "
onExhausted: park
retry: {attempts: 1}
steps:
  - parallel:
      - {step: first, do: stock.F, undo: stock.UndoF}
      - {step: second, do: stock.S, undo: stock.UndoS}
      - {step: third, do: stock.T, undo: stock.UndoT}
";

#[test]
fn of_several_that_were_refused_for_good_each_is_sent_again_by_name() {
    let parked = given(THREE).when("third", unreadable()).when("first", declined()).when("second", declined());
    parked
        .when_operator_names("second", Retry)
        .then(&["operator: retry second", "second sent #2", "parked (third unknown: reply.not_json)"])
        .when_operator_names("third", Retry)
        .then_refused("first (declined) would send the saga back at once")
        .when_operator_names("first", Retry)
        .then(&["operator: retry first", "first sent #2", "parked (third unknown: reply.not_json)"])
        .when_operator_names("third", Retry)
        .then(&["operator: retry third", "third sent #2"])
        .when("first", done())
        .when("second", done())
        .when("third", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn a_branch_refused_while_the_saga_is_parked_is_seen_when_it_is_moved_on() {
    given(PARKING)
        .when("left", busy())
        .when("right", declined())
        .then_status(SagaStatus::Parked)
        .then_needs(&["left"])
        .when_operator(Skip)
        .then(&["operator: skip left", "left skipped", "goes back (right: declined)", "compensated"]);
}

#[test]
fn a_branch_that_a_person_can_mend_still_waits_for_one_when_the_saga_is_moved_on() {
    let parked = || {
        given(&PARKING.replace("onExhausted: park", "onExhausted: compensate"))
            .when("left", forbidden())
            .when("right", forbidden())
            .then(&["right #1 failed (http.401)", "right failed (http.401)"])
            .then_status(SagaStatus::Parked)
    };
    parked().when_operator_names("left", Skip).then(&[
        "operator: skip left",
        "left skipped",
        "parked (right: http.401)",
    ]);
    parked().when("left", done()).then(&["left succeeded", "resumed", "parked (right: http.401)"]);
    parked().recovered().when_operator_names("left", Skip).then(&[
        "operator: skip left",
        "left skipped",
        "parked (right: http.401)",
    ]);
}

#[test]
fn a_branch_that_is_exhausted_while_the_saga_is_parked_for_another_reason_compensates_by_its_policy() {
    given(&PARKING.replace("onExhausted: park", "onExhausted: compensate"))
        .when("left", forbidden())
        .when("right", busy())
        .then_status(SagaStatus::Parked)
        .when_operator(Skip)
        .then(&["operator: skip left", "left skipped", "goes back (right: busy)", "compensated"]);
}
