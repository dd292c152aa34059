//! What is let in can be read back, sent, and undone: one limit of depth and one budget of size, kept for the way back
//! too.

use crate::given::{Saga, declined, given_event, lost, result};
use saga_core::{
    command::CommandRequest,
    decide::REQUEST_LIMIT_BYTES,
    event::{SagaDecision, SagaEvent},
    json::MAX_DEPTH,
    state::{CommandOutcome, CommandPhase, SagaStatus},
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
    let incident = |event: &SagaEvent| match event {
        SagaEvent::IncidentOpened { failure, .. } => Some(failure.code.clone()),
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
        assert_eq!(&serde_json::from_slice::<SagaDecision>(&row).expect("it reads back"), decision);
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
    saga.when("undo charge", result(json!({}))).then_status(SagaStatus::Compensated);
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
    let refused = sent(SHORT, room + 1).then_out(&[]).then_status(SagaStatus::Compensated);
    let told = failure_of_charge(&refused);
    assert!(told.starts_with("the command is not sent, because it could not be undone: the request within"), "{told}");
    sent("DELETE bank/charges/1", room + 1).then_out(&["charge"]);
    let twice = "{do: POST bank/refunds, with: {a: \"${ input.t }\", b: \"${ input.t }\"}}";
    sent(twice, room / 2).then_out(&["charge"]);
    sent(twice, room / 2 + 100).then_out(&[]).then_status(SagaStatus::Compensated);
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
    sent(MAX_DEPTH - 1).then_out(&[]).then_status(SagaStatus::Compensated);
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
    assert!(matches!(
        saga.state.command(saga.command("undo charge")).request.as_deref(),
        Some(CommandRequest::Http { .. })
    ));
}

#[test]
fn an_output_that_no_row_and_no_event_could_hold_parks() {
    let wide = "
output: {all: \"${ event }\", again: \"${ event }\"}
steps: [{step: look, do: GET bank/accounts, readOnly: true}]
";
    let event = json!({"id": 1, "text": "x".repeat(600 * 1024)});
    given_event(wide, event).when("look", result(json!(1))).then_status(SagaStatus::Parked);
    let deep = json!({"id": 1, "deep": nested(MAX_DEPTH - 1)});
    given_event(wide, deep).when("look", result(json!(1))).then_status(SagaStatus::Parked);
}

/// The topic of `stock` takes less than what every request may have.
fn over_kafka(event: Value, room: usize) -> Saga {
    const BODY: &str = "
steps:
  - {step: look, do: GET bank/accounts, readOnly: true}
  - {step: ship, do: stock.Ship, with: {t: \"${ event.text }\"}, undo: stock.Return}
  - {step: pack, do: POST bank/packs, undo: POST bank/unpacks}
";
    given_event(BODY, event).while_room(room).when("look", result(json!(1)))
}

#[test]
fn what_its_own_topic_could_not_take_back_is_not_sent() {
    let order = || json!({"id": 1, "text": "x".repeat(5_000)});
    over_kafka(order(), 6_000).then_out(&["ship"]);
    let refused = over_kafka(order(), 4_000).then_out(&[]).then_status(SagaStatus::Compensated);
    let told =
        refused.state.step(refused.command("ship").step).forward.gave_up().expect("it failed").to_owned().message;
    assert!(
        told.starts_with("the command is not sent, because it could not be undone") && told.ends_with("takes 4000"),
        "{told}"
    );
}

#[test]
fn a_result_that_the_topic_of_the_undo_does_not_take_is_left_out() {
    let shipped = over_kafka(json!({"id": 1, "text": "x"}), 4_000).when("ship", result(json!("y".repeat(5_000))));
    let saga = shipped.when("pack", declined());
    assert_eq!(saga.body("undo ship"), json!({"input": {"t": "x"}, "result": null}));
    assert_eq!(incidents(&saga), ["undo_without_result"]);
}

#[test]
fn of_an_undo_that_no_topic_seems_to_take_the_broker_has_the_last_word() {
    let shipped = over_kafka(json!({"id": 1, "text": "x".repeat(500)}), 4_000).when("ship", result(json!({"n": 1})));
    let saga = shipped.while_room(100).when("pack", declined()).then_out(&["undo ship"]);
    assert_eq!(saga.body("undo ship")["result"], json!({"n": 1}));
}

/// The undo of the first step reads what the second answered.
const READS_ANOTHER: &str = "
steps:
  - step: charge
    do: POST bank/charges
    undo: {do: stock.Refund, with: {id: \"${ doId }\", rate: \"${ has(steps.rate) ? steps.rate.text : '' }\"}}
  - {step: rate, do: POST bank/rates, undo: POST bank/unrates}
  - {step: pack, do: POST bank/packs, undo: POST bank/unpacks}
";

#[test]
fn a_result_that_leaves_no_way_back_for_another_step_is_rejected() {
    let rated = |room: usize| {
        let charged = given_event(READS_ANOTHER, json!({"id": 1})).while_room(room).when("charge", result(json!({})));
        charged.when("rate", result(json!({"text": "y".repeat(5_000)})))
    };
    rated(6_000).then(&["rate succeeded", "pack sent"]);
    let saga = rated(4_000).then_out(&["undo rate"]);
    let CommandPhase::Settled(CommandOutcome::Rejected(failure)) = &saga.state.command(saga.command("rate")).phase
    else {
        panic!("it is rejected")
    };
    assert!(failure.message.starts_with("with this result charge could not be undone"), "{}", failure.message);
    let saga = saga.when("undo rate", result(json!({}))).then_out(&["undo charge"]);
    assert_eq!(saga.body("undo charge")["rate"], json!(""));
    saga.when("undo charge", result(json!({}))).then_status(SagaStatus::Compensated);
}

#[test]
fn a_result_that_is_too_large_for_the_undo_of_another_step_is_rejected_over_http_too() {
    let over_http = READS_ANOTHER.replace("stock.Refund", "POST bank/refunds");
    let twice = over_http.replace("${ doId }", "${ has(steps.rate) ? steps.rate.text : '' }");
    let charged = given_event(&twice, json!({"id": 1})).when("charge", result(json!({})));
    let saga = charged.when("rate", result(json!({"text": "y".repeat(600 * 1024)})));
    saga.then_out(&["undo rate"]);
}
