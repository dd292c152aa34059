//! Dos that have ended.

use super::{
    super::plans::{
        ASKS, FALLBACK, FINAL_PIVOT, OPTIONAL, PARKS, PIVOT, USUAL, after_pivot, alone, behind, last_attempt,
        side_by_side,
    },
    Case, it,
};
use crate::given::{Saga, busy, declined, done, given, lost, result, unreadable};
use saga_core::{command::CommandAnswer, event::OperatorAction};
use serde_json::json;

pub(super) fn settled() -> Vec<Case> {
    [succeeded(), rejected(), failed(), unknown(), answered_for(), skipped()].into_iter().flatten().collect()
}

fn ends(it: &str, answer: CommandAnswer) -> Saga {
    given(&alone(it)).when("it", answer)
}

fn succeeded() -> Vec<Case> {
    vec![
        it("usual", ends(USUAL, done())),
        it("pivot", ends(PIVOT, done())),
        it("after the pivot", after_pivot().when("it", done())),
        it("the saga is parked", ends(USUAL, done()).when_stopped()),
        it("the saga goes back", ends(USUAL, done()).when("next", declined())),
        it("the outcome event is due", ends(USUAL, done()).when("next", declined()).when("undo it", done())),
    ]
}

fn rejected() -> Vec<Case> {
    let bad = || result(json!({"bad": true}));
    vec![
        it("the saga goes back", ends(USUAL, bad())),
        it("optional", ends(OPTIONAL, bad())),
        it("the saga is parked, after the pivot", after_pivot().when("it", bad())),
        it("the outcome event is due", ends(USUAL, bad()).when("undo it", done())),
    ]
}

fn failed() -> Vec<Case> {
    let beside = side_by_side(ASKS).when("beside", done()).when("it", declined());
    vec![
        it("the saga goes back", beside),
        it("optional", ends(OPTIONAL, declined())),
        it("the saga is parked, `onExhausted: park`", last_attempt(PARKS).when("it", busy())),
        it("the saga is parked, after the pivot", after_pivot().when("it", declined())),
        it("the outcome event is due", ends(USUAL, declined())),
    ]
}

fn unknown() -> Vec<Case> {
    let twice = |it: &str| ends(it, lost()).when_due().when("it", lost());
    vec![
        it("the saga goes back", twice(USUAL)),
        it("optional", twice(OPTIONAL)),
        it("the saga is parked, `onExhausted: park`", twice(PARKS)),
        it("the saga is parked, pivot without `undo`", twice(FINAL_PIVOT)),
        it("the saga is parked, after the pivot", after_pivot().when("it", lost()).when_due().when("it", lost())),
        it("the saga is parked, its reply cannot be read", ends(USUAL, unreadable())),
        it("the saga is parked, pivot without `undo`, its reply cannot be read", ends(FINAL_PIVOT, unreadable())),
        it("the saga goes back, pivot without `undo`", skipped_pivot()),
        it("the outcome event is due", twice(USUAL).when("undo it", done())),
    ]
}

/// An operator declared that a pivot in doubt did not happen; what is before it is undone.
fn skipped_pivot() -> Saga {
    let saga = given(&behind("do: stock.It, pivot: true")).when("before", done());
    saga.when("it", lost()).when_due().when("it", lost()).when_operator(OperatorAction::Skip)
}

fn answered_for() -> Vec<Case> {
    let answered = |answer: CommandAnswer| last_attempt(FALLBACK).when("it", answer);
    vec![
        it("it failed", answered(busy())),
        it("it is unknown", answered(lost())),
        it("the saga is parked", answered(busy()).when_stopped()),
        it("it is unknown, the saga goes back", answered(lost()).when("next", declined())),
        it("it failed, the outcome event is due", answered(busy()).when("next", declined())),
    ]
}

fn skipped() -> Vec<Case> {
    let parked = || last_attempt(PARKS);
    let skip = |saga: Saga| saga.when_operator(OperatorAction::Skip);
    let unwanted = given(&behind(&format!("{ASKS}, if: has(event.no)"))).when("before", done());
    vec![
        it("its `if` was false", unwanted),
        it("an operator skipped it, it failed", skip(parked().when("it", busy()))),
        it("an operator skipped it, it is unknown", skip(parked().when("it", lost()))),
        it("the saga is parked", skip(parked().when("it", busy())).when_stopped()),
        it("it is unknown, the saga goes back", skip(parked().when("it", lost())).when("next", declined())),
        it("it failed, the outcome event is due", skip(parked().when("it", busy())).when("next", declined())),
    ]
}
