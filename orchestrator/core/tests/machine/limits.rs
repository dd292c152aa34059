//! What is let in can be read back, sent, and undone: one limit of depth and one budget of size, kept for the way back too.

use crate::given::{Saga, declined, given_event, lost, result};
use saga_core::{
    command::Request,
    decide::REQUEST_LIMIT_BYTES,
    event::{Decision, Event},
    json::MAX_DEPTH,
    state::Status,
};
use serde_json::{Value, json};

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

fn two_steps(with: &str, undo: &str) -> String {
    format!(
        "
steps:
  - step: charge
    do: POST bank/charges
    with: {with}
    undo: {undo}
  - step: ship
    do: stock.Ship
    undo: stock.Return
"
    )
}

const SHORT: &str = "POST bank/refunds";

fn incidents(saga: &Saga) -> Vec<String> {
    let events = saga.journal.iter().flat_map(|decision| &decision.events);
    let incident = |event: &Event| match event {
        Event::IncidentOpened { failure, .. } => Some(failure.code.clone()),
        _ => None,
    };
    events.filter_map(incident).collect()
}

fn failure_of_charge(saga: &Saga) -> String {
    let charge = saga.command("charge");
    saga.state.step(charge.step).forward.gave_up().expect("it failed").to_owned().message
}

fn reads_back(saga: &Saga) {
    for decision in &saga.journal {
        let row = serde_json::to_vec(decision).expect("a row");
        assert_eq!(&serde_json::from_slice::<Decision>(&row).expect("it reads back"), decision);
    }
}

#[test]
fn an_undo_leaves_whatever_the_participant_answered() {
    let body = two_steps("{all: \"${ event }\"}", SHORT);
    let event = json!({"id": 1, "text": "x".repeat(700 * 1024)});
    let answer = json!({"id": "ch-1", "text": "y".repeat(700 * 1024)});
    let saga = given_event(&body, event).when("charge", result(answer)).when("ship", declined());
    let undo = saga.body("undo charge");
    assert_eq!((undo["result"].clone(), undo["input"] == saga.body("charge")), (Value::Null, true));
    assert!(undo.to_string().len() <= REQUEST_LIMIT_BYTES);
    assert_eq!(incidents(&saga), ["undo_without_result"]);
    reads_back(&saga);
    saga.when("undo charge", result(json!({}))).then_status(Status::Compensated);
}

#[test]
fn a_result_that_fits_is_told() {
    let body = two_steps("{id: \"${ event.id }\"}", SHORT);
    let answer = json!({"text": "y".repeat(900 * 1024)});
    let saga = given_event(&body, json!({"id": 1})).when("charge", result(answer.clone())).when("ship", declined());
    assert_eq!(saga.body("undo charge")["result"], answer);
    assert!(incidents(&saga).is_empty());
}

#[test]
fn what_could_not_be_undone_is_not_sent() {
    let room = REQUEST_LIMIT_BYTES - r#"{"input":{"t":""},"result":null}"#.len();
    let sent = |undo: &str, bytes: usize| {
        let body = two_steps("{t: \"${ event.text }\"}", undo);
        given_event(&body, json!({"id": 1, "text": "x".repeat(bytes)}))
    };
    sent(SHORT, room).then_out(&["charge"]);
    let refused = sent(SHORT, room + 1).then_out(&[]).then_status(Status::Compensated);
    let told = failure_of_charge(&refused);
    assert!(told.starts_with("nothing is sent, since it could not be undone: the request within"), "{told}");
    sent("DELETE bank/charges/1", room + 1).then_out(&["charge"]);
    let twice = "{do: POST bank/refunds, with: {a: \"${ input.t }\", b: \"${ input.t }\"}}";
    sent(twice, room / 2).then_out(&["charge"]);
    sent(twice, room / 2 + 100).then_out(&[]).then_status(Status::Compensated);
}

#[test]
fn an_undo_of_ones_own_words_does_without_a_result_that_is_too_large() {
    let undo = "{do: POST bank/refunds, with: {by: \"${ doId }\", text: \"${ event.text }\", answer: \"${ result }\"}}";
    let body = two_steps("{id: \"${ event.id }\"}", undo);
    let event = json!({"id": 1, "text": "x".repeat(700 * 1024)});
    let saga = given_event(&body, event).when("charge", result(json!("y".repeat(700 * 1024)))).when("ship", declined());
    let undo = saga.body("undo charge");
    assert_eq!(undo["answer"], Value::Null);
    assert!(undo["by"].as_str().is_some_and(|id| id.ends_with(":charge:do")));
}

#[test]
fn depth_has_one_limit_on_both_ways() {
    let sent = |levels: usize| {
        let body = two_steps("{deep: \"${ event.deep }\"}", SHORT);
        given_event(&body, json!({"id": 1, "deep": nested(levels)}))
    };
    // One level is the map of `with`, another one that of the undo.
    let saga = sent(MAX_DEPTH - 2).then_out(&["charge"]);
    reads_back(&saga);
    sent(MAX_DEPTH - 1).then_out(&[]).then_status(Status::Compensated);
    let saga = saga.when("charge", result(nested(MAX_DEPTH))).when("ship", declined());
    reads_back(&saga);
    assert_eq!(saga.body("undo charge")["result"], Value::Null);
    assert_eq!(saga_core::json::depth(&saga.body("undo charge")), MAX_DEPTH);
    let told = incidents(&saga);
    assert_eq!(told, ["undo_without_result"]);
}

#[test]
fn an_unknown_outcome_is_undone_within_the_same_limits() {
    let body = two_steps("{all: \"${ event }\"}", SHORT);
    let event = json!({"id": 1, "text": "x".repeat(1000 * 1024)});
    let saga = (0..5).fold(given_event(&body, event), |saga, attempt| {
        let saga = saga.when("charge", lost());
        if attempt < 4 { saga.when_due() } else { saga }
    });
    assert!(saga.body("undo charge").to_string().len() <= REQUEST_LIMIT_BYTES);
    assert!(matches!(saga.state.command(saga.command("undo charge")).request.as_deref(), Some(Request::Http { .. })));
}

#[test]
fn an_output_that_no_row_and_no_event_could_hold_parks() {
    let wide = "
output: {all: \"${ event }\", again: \"${ event }\"}
steps: [{step: look, do: GET bank/accounts, readOnly: true}]
";
    let event = json!({"id": 1, "text": "x".repeat(600 * 1024)});
    given_event(wide, event).when("look", result(json!(1))).then_status(Status::Parked);
    let deep = json!({"id": 1, "deep": nested(MAX_DEPTH - 1)});
    given_event(wide, deep).when("look", result(json!(1))).then_status(Status::Parked);
}
