//! What is published, and how a saga ends.

use crate::given::{Saga, busy, declined, done, given, lost, not_sent, ongoing, seconds};
use saga_core::{
    command::{CommandAnswer, CommandFailure, CommandRequest, GuardKind, RetryAdvice},
    decide::IgnoreReason,
    describe::StepPhase,
    event::OperatorAction,
    input::OutcomeDelivery,
    react::{SagaEffect, react},
    state::SagaStatus,
};
use serde_json::json;

const TWO: &str = "
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}
";

const RETRIED: &str = "
retry: {attempts: 3, delay: 2s, backoff: constant, jitter: none}
steps: [{step: reserve, do: stock.Reserve, undo: stock.Release}]
";

const TOLD: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
steps: [{step: tell, publish: news, type: Told, with: {id: \"${ event.id }\"}, irreversible: true}]
";

/// The broker will never take it.
fn too_large() -> CommandAnswer {
    CommandAnswer::Failed { failure: CommandFailure::new("size", ""), retry: RetryAdvice::No, retry_after: None }
}

/// The transport certainly did not let it leave.
fn unreachable(retry_after: u64) -> CommandAnswer {
    CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: seconds(retry_after) }
}

#[test]
fn a_published_step_succeeds_by_its_delivery_report() {
    let saga = given(TOLD).then_out(&["tell"]).when("tell", done());
    assert_eq!(saga.body("tell"), json!({"id": "4711"}));
    saga.then(&["tell succeeded", "completed"]);
}

#[test]
fn a_publication_that_the_broker_did_not_take_is_tried_again_under_the_same_id() {
    let published = |saga: &Saga| match &react(&saga.plan, &saga.state)[..] {
        [SagaEffect::Publish(publish)] => (publish.event_id.clone(), publish.request.clone()),
        other => panic!("{other:?}"),
    };
    let saga = given(TOLD);
    let first = published(&saga);
    let saga = saga.when("tell", lost()).then(&["tell #1 unknown (lost), rests"]).when_due().then(&["tell sent #2"]);
    assert_eq!(published(&saga), first);
}

#[test]
fn a_publication_that_certainly_did_not_leave_waits_and_counts_no_attempt() {
    let mut saga = given(TOLD);
    for _ in 0..5 {
        saga = saga.when("tell", unreachable(4)).then(&["tell held by Transport"]);
        let rest = crate::given::next_due(&saga.state, &saga.plan).expect("it waits").since(saga.state.last_at);
        assert!(rest >= seconds(4), "{rest:?}");
        saga = saga.when_due().then(&["tell sent #1"]);
    }
    saga.when("tell", done()).then(&["tell succeeded", "completed"]);
}

#[test]
fn a_report_about_an_earlier_attempt_says_nothing_of_the_one_that_is_out() {
    let again = || given(TOLD).when("tell", lost()).when_due().then(&["tell sent #2"]);
    for report in [lost(), unreachable(4)] {
        again().when_attempt(Some(1), "tell", report).then_ignored(&IgnoreReason::NoSuchAttempt).then_out(&["tell"]);
    }
    again().when_attempt(Some(1), "tell", done()).then(&["tell succeeded", "completed"]);
}

#[test]
fn a_publication_of_an_earlier_owner_that_cannot_leave_again_is_in_doubt_and_published_later() {
    given(TOLD)
        .recovered()
        .when("tell", unreachable(4))
        .then(&["tell #1 unknown (not_sent_again), rests"])
        .then_due_in(Some(seconds(4)))
        .when_due()
        .then(&["tell sent #2"])
        .when("tell", unreachable(4))
        .then(&["tell held by Transport, sent before"]);
}

#[test]
fn a_publication_that_the_broker_will_never_take_has_failed() {
    given(TOLD).when("tell", too_large()).then(&[
        "tell #1 failed (size)",
        "tell failed (size)",
        "goes back (tell: size)",
        "compensated",
    ]);
}

#[test]
fn a_broker_that_will_never_take_it_is_heard_on_a_later_attempt_too() {
    given(TOLD).when_due().when_due().then(&["tell sent #2"]).when("tell", too_large()).then(&[
        "tell #2 failed (size)",
        "tell unknown (size)",
        "goes back (tell: size)",
        "compensated but for tell",
    ]);
}

#[test]
fn a_saga_with_an_outcome_event_is_terminal_only_after_its_delivery() {
    let saga = given(&format!("onCompleted: {{publish: news, type: Done}}{RETRIED}"))
        .when("reserve", done())
        .then(&["reserve succeeded", "outcome due: completed"])
        .then_out(&["outcome"])
        .then_status(SagaStatus::Running)
        .when_passed(seconds(9))
        .then_ignored(&IgnoreReason::NotDue);
    saga.when_outcome(refused())
        .then(&["outcome waits (broker)"])
        .then_status(SagaStatus::Waiting)
        .then_out(&["outcome"])
        .when_outcome(OutcomeDelivery::Acknowledged)
        .then(&["completed"])
        .then_status(SagaStatus::Completed)
        .then_out(&[]);
}

fn refused() -> OutcomeDelivery {
    OutcomeDelivery::Refused { failure: CommandFailure::new("broker", "no such topic"), retry_after: seconds(1) }
}

#[test]
fn an_outcome_event_whose_topic_takes_nothing_costs_one_row_and_says_what_it_waits_for() {
    let saga = given(&format!("onCompensated: {{publish: news, type: Undone}}{RETRIED}"))
        .when("reserve", declined())
        .when_outcome(refused())
        .then(&["outcome waits (broker)"])
        .then_status(SagaStatus::Compensating);
    let shown = saga.state.view(&saga.plan);
    assert_eq!(shown.waits_on, ["transport:news"]);
    assert_eq!(shown.reason.as_deref(), Some("the outcome event waits for topic news: broker: no such topic"));
    let not_before = saga.state.last_at.plus(seconds(1));
    saga.when_outcome(refused())
        .then_ignored(&IgnoreReason::StillHeld { guard: GuardKind::Transport, not_before })
        .when_outcome(OutcomeDelivery::Acknowledged)
        .then(&["compensated"]);
}

#[test]
fn an_outcome_event_that_is_too_large_is_published_without_its_output_and_says_so() {
    let too_large =
        || OutcomeDelivery::Impossible { failure: CommandFailure::new("kafka.too_large", "Broker: too large") };
    let saga = given(&format!(
        "onCompleted: {{publish: news, type: Done}}\noutput: {{all: \"${{ steps.reserve.long }}\"}}{RETRIED}"
    ));
    let saga = saga.when("reserve", CommandAnswer::Succeeded { result: json!({"long": "x".repeat(5_000)}) });
    let published = |saga: &Saga| match &react(&saga.plan, &saga.state)[..] {
        [SagaEffect::Publish(publish)] => (publish.event_id.clone(), publish.attempt, publish.request.clone()),
        other => panic!("{other:?}"),
    };
    let whole = published(&saga);
    let saga = saga.when_outcome(too_large()).then(&["incident (kafka.too_large)", "outcome shortened"]);
    let short = published(&saga);
    assert_eq!(short.0, whole.0, "the same event");
    assert_ne!(short.1, whole.1, "it has not left yet");
    let CommandRequest::Publish { body, .. } = &*short.2 else { panic!("published") };
    assert_eq!((&body["status"], &body["output"]), (&json!("completed"), &json!(null)));
    assert_eq!(body["outputOmitted"], json!({"code": "kafka.too_large", "message": "Broker: too large"}));
    saga.when_outcome(too_large()).then(&["incident (kafka.too_large)", "completed"]);
}

#[test]
fn an_outcome_event_that_can_never_be_delivered_ends_the_saga_with_an_incident() {
    given(&format!("onCompensated: {{publish: news, type: Undone}}{RETRIED}"))
        .when("reserve", declined())
        .then_status(SagaStatus::Compensating)
        .when_outcome(OutcomeDelivery::Impossible { failure: CommandFailure::new("size", "") })
        .then(&["incident (size)", "compensated"]);
}

#[test]
fn a_late_success_while_the_outcome_event_is_due_opens_an_incident_once() {
    given(&format!("onCompensated: {{publish: news, type: Undone}}{RETRIED}"))
        .when("reserve", declined())
        .when("reserve", done())
        .then(&["reserve result arrived", "incident (late_success)"])
        .then_out(&["outcome"])
        .when("reserve", done())
        .then_ignored(&IgnoreReason::Settled);
}

#[test]
fn a_delivery_that_nothing_waits_for_changes_nothing() {
    given(TWO).when_outcome(OutcomeDelivery::Acknowledged).then_ignored(&IgnoreReason::NotPublishing);
}

#[test]
fn an_output_that_cannot_be_evaluated_parks_the_saga() {
    given(&format!("output: {{a: \"${{ event.nothing }}\"}}{RETRIED}"))
        .when("reserve", done())
        .then(&["reserve succeeded", "parked (output: expression)"]);
}

#[test]
fn a_terminal_saga_changes_no_more() {
    let completed = || given(RETRIED).when("reserve", done());
    for answer in [done(), busy(), lost(), ongoing(), not_sent()] {
        completed().when("reserve", answer).then_ignored(&IgnoreReason::Terminal);
    }
    completed().when("reserve", declined()).then_ignored(&IgnoreReason::Contradicted);
    completed().when_passed(seconds(99)).then_ignored(&IgnoreReason::Terminal);
    completed().when_outcome(OutcomeDelivery::Acknowledged).then_ignored(&IgnoreReason::Terminal);
}

#[test]
fn a_late_success_of_a_step_neither_applied_nor_undone_is_an_incident_of_a_saga_that_has_ended() {
    given(RETRIED)
        .when("reserve", declined())
        .when("reserve", done())
        .then(&["reserve result arrived", "incident (late_success)"])
        .then_status(SagaStatus::Compensated)
        .then_out(&[])
        .when("reserve", done())
        .then_ignored(&IgnoreReason::Terminal);
}

#[test]
fn an_abandoned_saga_has_no_step_that_is_worked_on_and_learns_late_what_happened() {
    let phases = |saga: &Saga| {
        let phases = saga.state.phases(&saga.plan).into_iter().map(|(_, phase)| phase);
        phases.collect::<Vec<_>>()
    };
    let out = given(TWO).when("reserve", done()).when_operator(OperatorAction::Abandon);
    assert_eq!(phases(&out), [StepPhase::Succeeded, StepPhase::Unknown]);
    assert!(out.state.view(&out.plan).steps.iter().all(|step| step.next_due.is_none()));
    let late = out.when("charge", done()).then(&["charge succeeded", "incident (late_success)"]).then_out(&[]);
    assert_eq!(phases(&late), [StepPhase::Succeeded, StepPhase::Succeeded]);
    late.then_status(SagaStatus::Abandoned).when("charge", done()).then_ignored(&IgnoreReason::Terminal);

    let resting = given(RETRIED).when("reserve", busy()).when_operator(OperatorAction::Abandon);
    assert_eq!(phases(&resting), [StepPhase::Failed]);
    let undoing = given(TWO)
        .when("reserve", done())
        .when("charge", declined())
        .then_out(&["undo reserve"])
        .when_operator(OperatorAction::Abandon);
    assert_eq!(phases(&undoing), [StepPhase::UndoFailed, StepPhase::Failed]);
    let undone = undoing.when("undo reserve", done()).then(&["undo reserve succeeded", "incident (late_success)"]);
    assert_eq!(phases(&undone)[0], StepPhase::Undone);
    undone.when("undo reserve", done()).then_ignored(&IgnoreReason::Terminal);
}

#[test]
fn an_abandon_while_the_outcome_event_is_on_its_way_awaits_what_the_broker_says() {
    let abandoned = || {
        given(&format!("onCompleted: {{publish: news, type: Done}}{RETRIED}"))
            .when("reserve", done())
            .then_out(&["outcome"])
            .when_operator(OperatorAction::Abandon)
            .then(&["operator: abandon"])
    };
    let refused = || OutcomeDelivery::Refused { failure: CommandFailure::new("broker", ""), retry_after: seconds(1) };
    abandoned()
        .when_outcome(OutcomeDelivery::Acknowledged)
        .then(&["incident (abandon_too_late)", "completed"])
        .then_status(SagaStatus::Completed);
    abandoned()
        .recovered()
        .when_outcome(refused())
        .then(&["incident (broker)", "abandoned, left reserve"])
        .then_out(&[])
        .when_outcome(OutcomeDelivery::Acknowledged)
        .then_ignored(&IgnoreReason::Terminal);
}

/// One event at a time finds out whether a topic takes records again.
#[test]
fn an_abandon_while_a_waiting_outcome_event_finds_out_awaits_what_the_broker_says() {
    let refused = || OutcomeDelivery::Refused { failure: CommandFailure::new("topic", ""), retry_after: seconds(1) };
    let waits = || {
        given(&format!("onCompleted: {{publish: news, type: Done}}{RETRIED}"))
            .when("reserve", done())
            .when_outcome(refused())
            .then(&["outcome waits (topic)"])
    };
    waits().when_operator(OperatorAction::Abandon).then(&["operator: abandon", "abandoned, left reserve"]);
    let finds_out =
        || waits().while_outcome_is_out().when_operator(OperatorAction::Abandon).then(&["operator: abandon"]);
    finds_out().when_outcome(OutcomeDelivery::Acknowledged).then(&["incident (abandon_too_late)", "completed"]);
    finds_out().when_outcome(refused()).then(&["incident (topic)", "abandoned, left reserve"]);
}
