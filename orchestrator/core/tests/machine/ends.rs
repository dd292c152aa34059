//! What is published, and how a saga ends.

use crate::given::{busy, declined, done, given, lost, not_sent, ongoing, seconds};
use saga_core::{command::Failure, decide::Ignored, input::Delivery, state::Status};
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

#[test]
fn a_published_step_succeeds_by_its_delivery_report() {
    let saga = given(TOLD).then_out(&["tell"]).when_published("tell", Delivery::Acknowledged);
    assert_eq!(saga.body("tell"), json!({"id": "4711"}));
    saga.then(&["tell succeeded", "completed"]);
}

#[test]
fn a_publication_that_the_broker_did_not_take_is_tried_again_under_the_same_id() {
    let refused = Delivery::Refused { failure: Failure::new("broker", ""), retry_after: seconds(4) };
    given(TOLD)
        .when_published("tell", refused)
        .then(&["tell #1 unknown (broker), rests"])
        .then_due_in(Some(seconds(4)))
        .when_due()
        .then(&["tell sent #2"]);
}

#[test]
fn a_publication_that_the_broker_will_never_take_has_failed() {
    let impossible = Delivery::Impossible { failure: Failure::new("size", "") };
    given(TOLD).when_published("tell", impossible).then(&[
        "tell #1 failed (size)",
        "tell failed (size)",
        "goes back (tell: size)",
        "compensated",
    ]);
}

#[test]
fn a_broker_that_will_never_take_it_is_heard_on_a_later_attempt_too() {
    let impossible = Delivery::Impossible { failure: Failure::new("size", "") };
    given(TOLD).when_due().when_due().then(&["tell sent #2"]).when_published("tell", impossible).then(&[
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
        .then_status(Status::Running)
        .when_passed(seconds(9))
        .then_ignored(&Ignored::NotDue);
    let refused = Delivery::Refused { failure: Failure::new("broker", ""), retry_after: seconds(1) };
    saga.when_outcome(refused)
        .then_ignored(&Ignored::NotPublishing)
        .then_out(&["outcome"])
        .when_outcome(Delivery::Acknowledged)
        .then(&["completed"])
        .then_status(Status::Completed)
        .then_out(&[]);
}

#[test]
fn an_outcome_event_that_can_never_be_delivered_ends_the_saga_with_an_incident() {
    given(&format!("onCompensated: {{publish: news, type: Undone}}{RETRIED}"))
        .when("reserve", declined())
        .then_status(Status::Compensating)
        .when_outcome(Delivery::Impossible { failure: Failure::new("size", "") })
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
        .then_ignored(&Ignored::Settled);
}

#[test]
fn a_delivery_that_nothing_waits_for_changes_nothing() {
    given(TWO).when_outcome(Delivery::Acknowledged).then_ignored(&Ignored::NotPublishing);
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
    for answer in [done(), declined(), busy(), lost(), ongoing(), not_sent()] {
        completed().when("reserve", answer).then_ignored(&Ignored::Terminal);
    }
    completed().when_passed(seconds(99)).then_ignored(&Ignored::Terminal);
    completed().when_outcome(Delivery::Acknowledged).then_ignored(&Ignored::Terminal);
}

#[test]
fn a_late_success_of_a_step_neither_applied_nor_undone_is_told_after_the_end() {
    let compensated = given(RETRIED).when("reserve", declined());
    let step = compensated.command("reserve").step;
    compensated.when("reserve", done()).then_ignored(&Ignored::LateSuccess { step });
}
