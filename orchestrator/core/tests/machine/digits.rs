//! No digit is lost on the way through a saga: event, request, result, undo, outcome, and the row that records them.

use crate::given::{declined, given, given_event, result};
use saga_core::{event::SagaDecision, state::SagaStatus};
use serde_json::Value;

const EVENT: &str = r#"{
    "id": 25000000000000000001, "amount": 12345678901234567.89, "rate": 1.10, "huge": 1e400, "minus": -0
}"#;

const STEPS: &str = "
output: {id: \"${ event.id }\", charge: \"${ steps.charge.id }\"}
onCompleted: {publish: done, type: Done}
steps:
  - step: charge
    do: POST bank/charges/${ event.id }
    with: {all: \"${ event }\", amount: \"${ event.amount }\", text: \"for ${ event.amount }\", literal: 25000000000000000001, more: [1.50, 1e400, 0.1e-400]}
    undo: POST bank/refunds
  - step: ship
    do: stock.Ship
    with: {charge: \"${ steps.charge }\"}
    undo: stock.Return
";

fn json(text: &str) -> Value {
    saga_core::json::read(text.as_bytes()).expect("JSON")
}

#[test]
fn what_is_only_passed_on_keeps_its_digits() {
    let saga = given_event(STEPS, json(EVENT));
    let all = r#"{"amount":12345678901234567.89,"huge":1e+400,"id":25000000000000000001,"minus":-0,"rate":1.10}"#;
    let sent = format!(
        r#"{{"all":{all},"amount":12345678901234567.89,"literal":25000000000000000001,"more":[1.50,1e+400,0.1e-400],"text":"for 12345678901234567.89"}}"#
    );
    assert_eq!(saga.body("charge").to_string(), sent);
    let answer = r#"{"fee":0.12345678901234567891,"id":98765432109876543210}"#;
    let saga = saga.when("charge", result(json(answer)));
    assert_eq!(saga.body("ship").to_string(), format!(r#"{{"charge":{answer}}}"#));
    let undone = given_event(STEPS, json(EVENT)).when("charge", result(json(answer))).when("ship", declined());
    assert_eq!(undone.body("undo charge").to_string(), format!(r#"{{"input":{sent},"result":{answer}}}"#));
    let done = saga.when("ship", result(json("1.0")));
    let rows = serde_json::to_string(&done.journal).expect("a journal");
    assert!(rows.contains(r#""output":{"charge":98765432109876543210,"id":25000000000000000001}"#), "{rows}");
    let back: Vec<SagaDecision> = serde_json::from_str(&rows).expect("it reads back");
    assert_eq!(back, done.journal);
    assert_eq!(serde_json::to_string(&back).expect("a journal"), rows);
}

#[test]
fn two_ids_that_differ_in_the_last_digit_are_two() {
    let steps = "
steps:
  - step: look
    if: event.a != event.b && event.a < event.b && !(event.a in [event.b])
    do: GET bank/accounts/${ event.a }
    readOnly: true
";
    let event = r#"{"id": 1, "a": 250000000000000000011, "b": 250000000000000000012}"#;
    given_event(steps, json(event)).then(&["started", "look sent"]);
}

#[test]
fn what_cannot_be_computed_exactly_fails_before_anything_is_sent() {
    let steps = "
steps:
  - step: charge
    do: POST bank/charges
    with: {amount: \"${ event.amount * 2.0 }\"}
    undo: POST bank/refunds
";
    given_event(steps, json(EVENT)).then_out(&[]).then_status(SagaStatus::Parked);
    given(steps).then_out(&[]);
}
