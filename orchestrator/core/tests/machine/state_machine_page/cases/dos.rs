//! Dos in every phase.

mod settled;
mod under_way;

use super::{
    Case, admitted, case,
    plans::{ASKS, FINAL_PIVOT, PARKS, USUAL, alone, behind, behind_what_failed, first, side_by_side},
    refused,
};
use crate::given::{START, Saga, busy, declined, done, given, given_gate, given_known, lost, not_sent, ongoing};
use saga_core::{
    decide::{AdmissionVerdict, PreviousAnswer},
    event::OperatorAction,
};
use serde_json::json;

pub(super) fn dos() -> Vec<Case> {
    let open = [idle(), unfit(), held(), under_way::attempting(), under_way::resting(), under_way::sleeping()];
    open.into_iter().chain([settled::settled()]).flatten().collect()
}

/// A case that is about the step `it`.
fn it(name: &str, saga: Saga) -> Case {
    case(name, "it", saga)
}

fn idle() -> Vec<Case> {
    let behind = |it: &str| given(&behind(it));
    vec![
        it("usual", behind(ASKS)),
        it("a `wait` step", behind("wait: 25s")),
        it("its `if` is false", behind(&format!("{ASKS}, if: has(event.no)"))),
        it("its `cache` has an answer", cached()),
        it("it has a fallback for refusals", behind(&format!("{ASKS}, fallback: [{{value: {{}}, when: refused}}]"))),
        it("it has a fallback", behind(&format!("{ASKS}, fallback: [{{value: {{}}}}]"))),
        it("the saga is parked", behind(ASKS).when_stopped()),
        it("the saga is parked, the step before is done", behind(ASKS).when_stopped().when("before", done())),
        it(
            "a `wait` step, the saga is parked, the step before is done",
            behind("wait: 25s").when_stopped().when("before", done()),
        ),
        it("the saga is parked for the step before", behind(ASKS).when("before", busy())),
        it("the saga goes back", behind_what_failed()),
        it("the outcome event is due", behind(ASKS).when("before", declined())),
    ]
}

/// Steps that cannot begin.
fn unfit() -> Vec<Case> {
    let unfit = |more: &str| given(&behind(&format!("{ASKS}{more}, with: {{x: \"${{ event.no }}\"}}")));
    let harmless = given(&first("with: {x: \"${ event.no }\"}"));
    vec![
        it("its request has no value", unfit("")),
        it("its request has no value, optional", unfit(", optional: true")),
        it("its request has no value, and nothing had an effect", harmless),
    ]
}

fn cached() -> Saga {
    let known = PreviousAnswer { at: START, result: json!({}) };
    let text = behind("do: GET bank/it, readOnly: true, cache: 1h");
    given_known(&text, json!({"id": "4711"}), AdmissionVerdict::Admitted, Some(known))
}

/// The saga is parked, and meanwhile the step beside is declined.
fn stopped(saga: Saga) -> Saga {
    saga.when_stopped().when("beside", declined())
}

/// An operator retries what parked the saga, and a guard refuses.
fn in_doubt_and_held() -> Saga {
    let parked = given(&alone(PARKS)).when("it", lost()).when_due().when("it", lost());
    admitted(parked.while_gate(refused()).when_operator(OperatorAction::Retry))
}

fn held() -> Vec<Case> {
    let unsent = admitted(given_gate(&alone(USUAL), json!({"id": "4711"}), refused()));
    let again = |it: &str, answer| admitted(given(&alone(it)).when("it", answer).while_gate(refused()).when_due());
    let doubtful = again(USUAL, lost());
    vec![
        it("nothing was sent", unsent),
        it("attempt 1 was taken back", given(&alone(USUAL)).when("it", not_sent())),
        it("attempt 1 failed", again(USUAL, busy())),
        it("attempt 1 is unknown", doubtful),
        it("attempt 1 is unknown, pivot without `undo`", again(FINAL_PIVOT, lost())),
        it("attempts 1 and 2 are unknown", in_doubt_and_held()),
        it("another step is out", side_by_side(ASKS).when("it", not_sent())),
        it("another step is in progress", side_by_side(ASKS).when("it", not_sent()).when("beside", ongoing())),
        it("the saga is parked", side_by_side(ASKS).when("it", not_sent()).when("beside", busy())),
        it("the saga is parked, another step failed", stopped(side_by_side(ASKS).when("it", not_sent()))),
    ]
}
