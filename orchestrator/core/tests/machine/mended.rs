//! A mended definition reaches a saga that waits for it, if it fits where the saga stands.

use crate::given::{Saga, busy, declined, done, given, result};
use saga_core::{
    event::OperatorAction::{Abandon, Retry, Skip},
    state::SagaStatus,
};
use serde_json::json;

const FAULTY: &str = "
steps:
  - {step: pay, do: POST bank/charges, undo: POST bank/refunds, pivot: true}
  - {step: ship, do: stock.Ship, with: {to: \"${ event.adress }\"}}
output: {to: \"${ steps.ship.to }\"}
";

const MENDED: &str = "
steps:
  - {step: pay, do: POST bank/charges, undo: POST bank/refunds, pivot: true}
  - {step: ship, do: stock.Ship, with: {to: \"${ event.id }\"}}
  - {step: tell, do: stock.Tell}
output: {to: \"${ steps.ship.to }\"}
";

fn parked() -> Saga {
    given(FAULTY).when("pay", done()).then(&["pay succeeded", "ship failed (expression)", "parked (ship: expression)"])
}

#[test]
fn a_typing_error_after_the_pivot_is_mended_and_the_saga_goes_on() {
    parked()
        .when_mended(MENDED)
        .then(&["another definition", "operator: retry", "ship sent"])
        .then_out(&["ship"])
        .recovered()
        .when("ship", result(json!({"to": "4711"})))
        .then_out(&["tell"])
        .when("tell", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn what_it_was_parked_for_is_tried_though_it_is_optional_now() {
    let optional = MENDED.replace("do: stock.Ship,", "do: stock.Ship, optional: true,");
    let output = optional.replace("steps.ship.to", "has(steps.ship) ? steps.ship.to : 'nowhere'");
    parked()
        .when_mended(&output)
        .then(&["another definition", "operator: retry", "ship sent"])
        .recovered()
        .when("ship", declined())
        .then_out(&["tell"])
        .when("tell", done())
        .then_status(SagaStatus::Completed);
    let still_faulty = output.replace("event.id", "event.nothing");
    parked().when_mended(&still_faulty).then(&[
        "another definition",
        "operator: retry",
        "ship failed (expression)",
        "incident (expression)",
        "tell sent",
    ]);
}

#[test]
fn an_undo_that_could_not_run_is_mended() {
    let body = |undo: &str| {
        format!(
            "steps:\n  - {{step: a, do: stock.A, undo: {{do: stock.UndoA, with: {{x: \"${{ {undo} }}\"}}}}}}\n  - {{step: b, do: stock.B, undo: stock.UndoB}}\n"
        )
    };
    given(&body("event.nothing"))
        .when("a", done())
        .when("b", declined())
        .then_status(SagaStatus::Parked)
        .when_mended(&body("doId"))
        .then(&["another definition", "operator: retry", "undo a sent"])
        .recovered()
        .when("undo a", done())
        .then_status(SagaStatus::Compensated);
}

#[test]
fn what_has_begun_keeps_its_request() {
    let body = |path: &str| format!("steps:\n  - {{step: pay, do: POST bank/{path}, undo: POST bank/refunds}}\n");
    let saga = given(&body("charges")).when("pay", busy());
    let before = saga.state.steps[0].forward.request.clone();
    let saga = saga.when_mended(&body("payments")).then(&["another definition", "operator: retry", "pay sent #2"]);
    assert_eq!(saga.state.steps[0].forward.request, before);
}

#[test]
fn a_definition_that_does_not_fit_is_refused_with_the_step_and_nothing_changes() {
    let pay = "{step: pay, do: POST bank/charges, undo: POST bank/refunds, pivot: true}";
    let ship = "{step: ship, do: stock.Ship}";
    let of =
        |steps: &[&str]| format!("steps:\n{}", steps.iter().map(|step| format!("  - {step}\n")).collect::<String>());
    for (steps, why) in [
        (
            vec!["{step: check, do: GET bank/x, readOnly: true}", pay, ship],
            "`pay` has begun as number 1 and is number 2",
        ),
        (
            vec!["{step: paid, do: POST bank/charges, undo: POST bank/refunds, pivot: true}", ship],
            "there it is missing",
        ),
        (
            vec![
                "{step: pay, do: POST bank/charges, undo: POST bank/refunds}",
                "{step: ship, do: stock.Ship, irreversible: true}",
            ],
            "other side of the pivot",
        ),
        (vec!["{step: pay, wait: 1s}", "{step: ship, do: stock.Ship, pivot: true}"], "`pay`"),
        (
            vec![pay, "{step: ship, do: stock.Ship, after: [pay, pack]}", "{step: pack, do: stock.Pack, after: [pay]}"],
            "follows `pack`",
        ),
    ] {
        parked().when_mended(&of(&steps)).then_refused(why);
    }
    parked().when_mended(FAULTY).then_refused("already");
    parked().when_operator(Abandon).when_mended(MENDED).then_refused("cannot change any more");
    given(FAULTY).when_mended(MENDED).then_refused("nothing to retry");
}

#[test]
fn what_may_be_applied_keeps_an_undo() {
    let body = |undo: &str| {
        format!(
            "retry: {{attempts: 1}}\nonExhausted: park\nsteps:\n  - {{step: a, do: stock.A, {undo}}}\n  - {{step: b, do: stock.B, undo: stock.UndoB}}\n"
        )
    };
    let saga = || given(&body("undo: stock.UndoA")).when("a", done()).when("b", busy()).then_status(SagaStatus::Parked);
    saga().when_mended(&body("irreversible: true")).then_refused("no undo");
    saga().when_mended(&body("undo: POST bank/undo")).then_refused("sends its undo to another participant");
    saga().when_mended(&body("undo: stock.OtherUndo")).then(&["another definition", "operator: retry", "b sent #2"]);
}

#[test]
fn a_saga_can_be_mended_more_than_once_and_go_on_as_ever() {
    let other = MENDED.replace("event.id", "event.nothing");
    parked()
        .when_mended(&other)
        .then(&["another definition", "operator: retry", "ship failed (expression)", "parked (ship: expression)"])
        .recovered()
        .when_mended(MENDED)
        .then_out(&["ship"])
        .recovered()
        .when("ship", declined())
        .when_operator(Skip)
        .when_operator(Retry)
        .then_refused("nothing to retry");
}
