//! Operators' acts: identified, with a person and a reason, and refused with words where they do not fit.

use crate::{
    given::{Saga, busy, declined, done, given, lost, result, seconds},
    surroundings::Surroundings,
};
use saga_core::{
    decide::{self, IgnoreReason},
    describe::StepPhase,
    event::{
        OperatorAction::{Abandon, Cancel, Retry, Skip},
        SagaDecision,
    },
    state::{self, SagaStatus},
};
use serde_json::json;

const TWO: &str = "
retry: {attempts: 2, delay: 1m, jitter: none}
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB}
";

#[test]
fn cancel_compensates() {
    given(TWO)
        .when("a", done())
        .when_operator(Cancel)
        .then(&["operator: cancel", "goes back (cancelled by ada)"])
        .then_out(&["b"])
        .when("b", done())
        .then_out(&["undo b"])
        .when("undo b", done())
        .when("undo a", done())
        .then_status(SagaStatus::Compensated);
}

#[test]
fn cancel_is_refused_where_it_cannot_matter() {
    given(TWO).when_operator(Cancel).when_operator(Cancel).then_refused("being undone already");
    given(TWO)
        .when("a", done())
        .when("b", declined())
        .when("undo a", declined())
        .when_operator(Cancel)
        .then_refused("undos gave up");
    given(&format!("onCompleted: {{publish: news, type: Done}}{TWO}"))
        .when("a", done())
        .when("b", done())
        .when_operator(Cancel)
        .then_refused("at its end");
}

#[test]
fn the_same_act_changes_nothing_twice() {
    given(TWO)
        .when("a", busy())
        .when_act("1", Retry)
        .then(&["operator: retry", "a sent #2"])
        .when_act("1", Retry)
        .then_ignored(&IgnoreReason::Repeated);
    given(TWO).when_act("1", Abandon).when_act("1", Abandon).then_ignored(&IgnoreReason::Repeated);
    given(TWO).when_act("1", Abandon).when_act("2", Retry).then_refused("cannot change any more");
}

#[test]
fn retry_makes_what_rests_leave_now_with_fresh_attempts() {
    given(TWO)
        .when("a", busy())
        .when_operator(Retry)
        .then(&["operator: retry", "a sent #2"])
        .when("a", busy())
        .then(&["a #2 failed (busy), rests"])
        .when_due()
        .when("a", busy())
        .then_status(SagaStatus::Compensated);
}

#[test]
fn retry_is_refused_where_nothing_failed_or_waits() {
    given(TWO).when_operator(Retry).then_refused("nothing to retry");
    given(&format!("onCompleted: {{publish: news, type: Done}}{TWO}"))
        .when("a", done())
        .when("b", done())
        .when_operator(Retry)
        .then_refused("until the broker accepts it");
}

#[test]
fn skip_takes_the_step_that_a_parked_saga_waits_for_as_not_applied() {
    given(&format!("onExhausted: park{TWO}"))
        .when("a", busy())
        .when_due()
        .when("a", busy())
        .when_operator(Skip)
        .then(&["operator: skip a", "a skipped", "b sent"])
        .when("b", done())
        .then_status(SagaStatus::Completed);
}

/// `a` may have happened twice when the saga parks for it.
fn parked_in_doubt() -> crate::given::Saga {
    given(&format!("onExhausted: park{TWO}"))
        .when("a", lost())
        .when_due()
        .when("a", lost())
        .then_status(SagaStatus::Parked)
}

fn skipped_in_doubt() -> crate::given::Saga {
    parked_in_doubt().when_operator(Skip).then(&["operator: skip a", "a skipped, in doubt", "b sent"])
}

#[test]
fn a_skipped_step_that_may_have_happened_is_undone_when_the_saga_goes_back() {
    skipped_in_doubt()
        .when("b", declined())
        .then(&["b #1 failed (declined)", "b failed (declined)", "goes back (b: declined)", "undo a sent"])
        .when("undo a", done())
        .then_status(SagaStatus::Compensated);
    skipped_in_doubt().recovered().when_operator(Cancel).when("b", done()).when("undo b", done()).then_out(&["undo a"]);
    skipped_in_doubt().when_operator(Abandon).then(&["operator: abandon", "abandoned, left a, b"]);
}

#[test]
fn a_skipped_step_that_certainly_failed_is_not_undone() {
    given(&format!("onExhausted: park{TWO}"))
        .when("a", busy())
        .when_due()
        .when("a", busy())
        .when_operator(Skip)
        .when("b", declined())
        .then(&["b #1 failed (declined)", "b failed (declined)", "goes back (b: declined)", "compensated"]);
}

#[test]
fn a_success_of_a_skipped_step_is_an_incident_and_its_undo_is_due_where_the_saga_goes_back() {
    skipped_in_doubt()
        .when("a", result(json!({"no": 7})))
        .then(&["a result arrived", "incident (late_success)"])
        .when("a", done())
        .then_ignored(&IgnoreReason::Settled)
        .when("b", done())
        .then_status(SagaStatus::Completed);
    let undone = skipped_in_doubt().when("a", result(json!({"no": 7}))).when("b", declined()).then_out(&["undo a"]);
    assert_eq!(undone.body("undo a"), json!({"input": {}, "result": {"no": 7}}));
    // It certainly failed, was skipped, and the saga is going back: from now on it has to be undone.
    given(&format!("onExhausted: park{TWO}"))
        .when("a", busy())
        .when_due()
        .when("a", busy())
        .when_operator(Skip)
        .when_operator(Cancel)
        .then_out(&["b"])
        .when("a", done())
        .then(&["a result arrived", "incident (late_success)"])
        .when("b", done())
        .when("undo b", done())
        .then_out(&["undo a"]);
}

#[test]
fn a_success_of_a_skipped_step_after_the_end_is_told() {
    skipped_in_doubt()
        .when("b", done())
        .then_status(SagaStatus::Completed)
        .when("a", done())
        .then(&["a result arrived", "incident (late_success)"])
        .when("a", done())
        .then_ignored(&IgnoreReason::Terminal);
    skipped_in_doubt().when("a", done()).when("b", done()).when("a", done()).then_ignored(&IgnoreReason::Terminal);
    let undone = skipped_in_doubt().when("b", declined()).when("undo a", done()).then_status(SagaStatus::Compensated);
    undone.when("a", done()).then_ignored(&IgnoreReason::Terminal);
}

#[test]
fn an_undo_that_was_declared_done_by_hand_and_reports_success_is_an_incident() {
    let by_hand = || {
        given(&TWO.replace("undo: stock.UndoB", "undo: {do: stock.UndoB, retry: {attempts: 1}}"))
            .when("a", done())
            .when_operator(Cancel)
            .when("b", done())
            .when("undo b", lost())
            .then_status(SagaStatus::Parked)
            .when_operator(Skip)
            .then(&["operator: skip undo b", "undo b skipped", "undo a sent"])
    };
    by_hand()
        .when("undo b", done())
        .then(&["undo b succeeded", "incident (late_success)"])
        .when("undo b", done())
        .then_ignored(&IgnoreReason::Settled)
        .when("undo a", done())
        .then_status(SagaStatus::Compensated);
    let ended = by_hand().when("undo a", done());
    ended.when("undo b", done()).then(&["undo b succeeded", "incident (late_success)"]);
}

#[test]
fn the_latest_acts_are_known_as_long_as_anybody_repeats_them() {
    let mut saga = given(TWO).when("a", busy());
    for act in 0..=state::ACTS_KEPT {
        saga = saga.when_act(&act.to_string(), Retry).when("a", busy());
    }
    let latest = state::ACTS_KEPT.to_string();
    saga.when_act("1", Retry)
        .then_ignored(&IgnoreReason::Repeated)
        .when_act(&latest, Retry)
        .then_ignored(&IgnoreReason::Repeated)
        .when_act("0", Retry)
        .then_out(&["a"]);
}

#[test]
fn what_a_person_is_needed_for_is_shown_with_what_fits() {
    let saga = parked_in_doubt();
    let view = saga.state.view(&saga.plan);
    assert_eq!(view.reason.as_deref(), Some("whether a happened is unknown: lost"));
    let needs = serde_json::to_value(&view.needs_person).expect("JSON");
    let expected = json!([{"step": "a", "direction": "do", "phase": "unknown", "failure": {"code": "lost"},
        "acts": ["retry", "skip", "cancel", "abandon"]}]);
    assert_eq!(needs, expected);
    let undos = given(TWO).when("a", done()).when("b", declined()).when("undo a", declined());
    let needs = serde_json::to_value(undos.state.view(&undos.plan).needs_person).expect("JSON");
    let expected = json!([{"step": "a", "direction": "undo", "phase": "undoFailed", "failure": {"code": "declined"},
        "acts": ["retry", "skip", "abandon"]}]);
    assert_eq!(needs, expected);
}

#[test]
fn a_skipped_step_that_was_undone_is_undone_and_no_more_in_doubt() {
    let undone = skipped_in_doubt().when("b", declined()).when("undo a", done());
    let step = &undone.state.view(&undone.plan).steps[0];
    assert_eq!((step.phase, step.skipped_in_doubt), (StepPhase::Undone, false));
}

#[test]
fn skip_is_refused_unless_the_saga_is_parked() {
    given(TWO).when_operator(Skip).then_refused("only a parked saga");
}

#[test]
fn cancel_of_a_parked_saga_undoes_what_may_be_applied() {
    given(&format!("onExhausted: park{TWO}"))
        .when("a", lost())
        .when_due()
        .when("a", busy())
        .then(&["a #2 failed (busy)", "a unknown (busy)", "parked (a unknown: busy)"])
        .when_operator(Cancel)
        .then(&["operator: cancel", "goes back (cancelled by ada)", "undo a sent"]);
}

#[test]
fn abandon_ends_the_saga_and_records_what_is_left_undone() {
    given(TWO)
        .when("a", done())
        .when_operator(Abandon)
        .then(&["operator: abandon", "abandoned, left a, b"])
        .then_status(SagaStatus::Abandoned)
        .then_out(&[])
        .then_due_in(None);
    given(TWO)
        .when("a", done())
        .when("b", declined())
        .when("undo a", declined())
        .when_operator(Abandon)
        .then(&["operator: abandon", "abandoned, left a"]);
    given(TWO).when("a", busy()).when_operator(Abandon).then(&["operator: abandon", "abandoned"]);
}

#[test]
fn a_late_success_settles_what_the_saga_is_parked_for_although_an_optional_undo_gave_up() {
    const BODY: &str = "
onExhausted: park
retry: {attempts: 1}
steps:
  - {step: extra, do: stock.E, undo: stock.UndoE, optional: true}
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB}
";
    given(BODY)
        .when("extra", lost())
        .when("undo extra", declined())
        .when("a", busy())
        .then_status(SagaStatus::Parked)
        .when("a", done())
        .then(&["a succeeded", "resumed", "b sent"]);
}

#[test]
fn a_late_success_that_the_check_refuses_compensates_the_parked_saga() {
    given(
        "onExhausted: park\nretry: {attempts: 1}\nsteps: [{step: a, do: stock.A, undo: stock.UndoA, check: result.ok}]",
    )
    .when("a", busy())
    .when("a", done())
    .then(&["a rejected (expression)", "resumed", "goes back (a: expression)", "undo a sent"]);
}

#[test]
fn an_output_that_cannot_be_evaluated_is_skipped_or_cancelled() {
    let parked = || given(&format!("output: {{x: \"${{ event.nothing }}\"}}{TWO}")).when("a", done()).when("b", done());
    parked().when_operator(Retry).then(&["operator: retry", "parked (output: expression)"]);
    parked().when_operator(Skip).then(&["operator: skip", "completed"]);
    parked().when_operator(Cancel).then_out(&["undo b"]);
}

fn parked_by_hand(saga: &mut Saga) -> Option<SagaDecision> {
    Surroundings::at(saga.state.last_at)
        .decide(|context| decide::park(&saga.plan, &mut saga.state, "panicked".into(), context))
}

/// Parks the saga as whoever cannot decide on it does.
fn stopped(mut saga: Saga) -> Saga {
    let decision = parked_by_hand(&mut saga).expect("it is on its way");
    saga.journal.push(decision);
    saga
}

#[test]
fn a_saga_stopped_at_a_limit_goes_on_where_it_was() {
    stopped(given(TWO).when("a", done()))
        .then_status(SagaStatus::Parked)
        .then_out(&["b"])
        .when("b", busy())
        .then(&["b #1 failed (busy), rests"])
        .then_due_in(None)
        .when_operator(Retry)
        .then_status(SagaStatus::Waiting)
        .when_due()
        .then(&["b sent #2"])
        .when("b", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn a_saga_stopped_at_a_limit_can_be_cancelled() {
    stopped(given(TWO).when("a", done()))
        .when_operator(Cancel)
        .then(&["operator: cancel", "goes back (cancelled by ada)"]);
}

#[test]
fn a_saga_stopped_on_its_way_back_is_being_undone_already() {
    stopped(given(TWO).when("a", done()).when("b", declined()))
        .when_operator(Cancel)
        .then_refused("being undone already");
}

#[test]
fn a_saga_stopped_while_its_pivot_is_out_awaits_the_answer_before_it_is_cancelled() {
    const BODY: &str =
        "steps: [{step: a, do: stock.A, undo: stock.UndoA}, {step: pay, do: stock.P, undo: stock.UndoP, pivot: true}]";
    let cancelled =
        || stopped(given(BODY).when("a", done())).when_operator(Cancel).then(&["operator: cancel"]).then_out(&["pay"]);
    cancelled().when("pay", done()).then(&["pay succeeded", "incident (cancel_too_late)", "completed"]);
    cancelled().when("pay", declined()).then(&[
        "pay #1 failed (declined)",
        "pay failed (declined)",
        "goes back (cancelled by ada)",
        "undo a sent",
    ]);
}

#[test]
fn a_saga_stopped_before_its_pivot_ended_unknown_parks_for_the_pivot_when_it_is_cancelled() {
    stopped(given("steps: [{step: pay, do: stock.P, pivot: true, retry: {attempts: 1}}]"))
        .when("pay", lost())
        .then(&["pay #1 unknown (lost)", "pay unknown (lost)"])
        .when_operator(Cancel)
        .then(&["operator: cancel", "parked (pivot pay unknown: lost)"]);
}

#[test]
fn only_a_saga_on_its_way_can_be_stopped() {
    let mut saga = given(TWO).when_operator(Abandon);
    assert_eq!(parked_by_hand(&mut saga), None);
}

#[test]
fn a_journal_that_is_too_long_parks_the_saga_and_a_person_moves_it_on() {
    let mut saga = given("steps: [{step: a, do: stock.A, undo: stock.UndoA}]");
    saga.state.counted_rows = decide::HISTORY_LIMIT - 1;
    let command = saga.command("a");
    let input = saga_core::input::SagaInput::Answered { command, attempt: Some(1), answer: lost() };
    let outcome = Surroundings::at(saga.state.last_at.plus(seconds(1)))
        .decide(|context| decide::decide(&saga.plan, &mut saga.state, &input, context))
        .expect("legal");
    assert!(matches!(outcome, decide::DecisionOutcome::Decided(_)));
    assert_eq!(saga.state.status(), SagaStatus::Parked);
}
