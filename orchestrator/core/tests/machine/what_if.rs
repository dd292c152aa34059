//! Recorded sagas by another definition.

use crate::given::{Saga, busy, declined, done, given, lost, plan, result, seconds, start_with};
use saga_core::{
    event::OperatorAction::{Retry, Skip},
    state::SagaStatus,
    what_if::{AssumedAnswers, WhatIfResult, what_if},
};
use serde_json::json;

const TWO: &str = "
steps:
  - {step: a, do: stock.A, with: {id: \"${ event.id }\"}, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB, retry: {attempts: 2, delay: 1s}}
";

/// What `saga` would have done by the definition that `body` completes.
fn by(saga: &Saga, body: &str) -> WhatIfResult {
    by_assuming(saga, body, &AssumedAnswers::default())
}

fn by_assuming(saga: &Saga, body: &str, assumed: &AssumedAnswers) -> WhatIfResult {
    let start = start_with(json!({"id": "4711"}));
    what_if(&plan(body), start, (&saga.plan, &saga.state, &saga.journal), assumed)
}

fn an_hour_later(saga: Saga) -> Saga {
    let then = saga.now().plus(seconds(3600));
    saga.at(then)
}

fn names<T: ToString>(names: &[T]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn by_its_own_definition_a_saga_does_what_it_did() {
    for saga in [
        given(TWO).when("a", done()).when("b", done()),
        given(TWO).when("a", done()).when("b", declined()).when("undo a", done()),
        given(TWO).when("a", done()).when("b", busy()).when_due().when("b", done()),
        given(TWO).when("a", declined()),
        given(TWO)
            .when("a", done())
            .when("b", lost())
            .when_due()
            .when("b", lost())
            .when("undo b", done())
            .when("undo a", done()),
        // The answer was there before the deadline was looked at.
        an_hour_later(given(TWO)).when("a", done()).when("b", done()),
        an_hour_later(given(TWO).when("a", done())).when("b", declined()).when("undo a", done()),
    ] {
        let same = by(&saga, TWO);
        assert_eq!(same.undecided, None, "{:#?}", saga.journal);
        assert!(same.ends_alike(), "{same:#?}");
        assert_eq!((same.recorded.calls.clone(), same.parts_at()), (same.simulated.calls.clone(), None));
    }
}

#[test]
fn a_shorter_timeout_ends_what_took_longer() {
    let saga = an_hour_later(given(TWO)).when("a", done()).when("b", done());
    let shorter = TWO.replace("do: stock.A,", "do: stock.A, timeout: 10s, retry: {attempts: 1},");
    let other = by(&saga, &shorter);
    assert!(!other.ends_alike(), "{other:#?}");
    assert_eq!(other.parts_at().map(|it| it.to_string()).as_deref(), Some("a"));
}

#[test]
fn a_check_that_is_added_rejects_by_the_recorded_result() {
    let checked = TWO.replace("undo: stock.UndoA}", "undo: stock.UndoA, check: result.score < 80}");
    let saga = given(TWO).when("a", result(json!({"score": 95}))).when("b", done());
    let other = by(&saga, &checked);
    // Nothing says how the undo would have been answered.
    let undecided = other.undecided.as_ref().expect("an undo that was never sent");
    assert_eq!(undecided.command.as_ref().map(ToString::to_string).as_deref(), Some("undo of a"));
    assert_eq!(names(&other.added_calls()), ["undo of a"]);
    assert_eq!(names(&other.missing_calls()), ["b"]);
    assert_eq!(other.parts_at().map(|it| it.to_string()).as_deref(), Some("a"));
    let assumed = AssumedAnswers { undos_are_done: true, ..AssumedAnswers::default() };
    let other = by_assuming(&saga, &checked, &assumed);
    assert_eq!((other.undecided, other.simulated.status), (None, SagaStatus::Compensated));
    let saga = given(TWO).when("a", result(json!({"score": 5}))).when("b", done());
    assert!(by(&saga, &checked).ends_alike());
    // What the second step does now comes before what is undone of the first.
    let late = TWO.replace("undo: stock.UndoB,", "undo: stock.UndoB, check: result.score < 80,");
    let saga = given(TWO).when("a", done()).when("b", result(json!({"score": 95})));
    let parts_at = by_assuming(&saga, &late, &assumed).parts_at();
    assert_eq!(parts_at.map(|it| it.to_string()).as_deref(), Some("b"));
}

#[test]
fn an_optional_step_completes_what_was_compensated() {
    let optional = TWO.replace("undo: stock.UndoB,", "undo: stock.UndoB, optional: true,");
    let saga = given(TWO).when("a", done()).when("b", declined()).when("undo a", done());
    let other = by(&saga, &optional);
    assert_eq!(other.undecided, None);
    assert_eq!((other.recorded.status, other.simulated.status), (SagaStatus::Compensated, SagaStatus::Completed));
    assert_eq!(names(&other.missing_calls()), ["undo of a"]);
}

#[test]
fn what_was_never_answered_is_named_and_can_be_assumed() {
    let added = format!("{TWO}  - {{step: c, do: stock.C, with: {{from: \"${{ steps.b }}\"}}, undo: stock.UndoC}}\n");
    let saga = given(TWO).when("a", done()).when("b", done());
    let other = by(&saga, &added);
    let undecided = other.undecided.clone().expect("a step that was never sent");
    assert_eq!(undecided.command.map(|it| it.to_string()).as_deref(), Some("c"));
    assert_eq!(undecided.reason, "it was never sent");
    assert_eq!(names(&other.added_calls()), ["c"]);
    let results = [("c".to_owned(), json!({"ok": true}))].into_iter().collect();
    let assumed = AssumedAnswers { results, undos_are_done: false };
    let other = by_assuming(&saga, &added, &assumed);
    assert_eq!(other.undecided, None);
    assert!(other.ends_alike());
}

#[test]
fn more_attempts_than_were_made_are_not_decided() {
    let patient = TWO.replace("attempts: 2", "attempts: 5");
    let saga = given(TWO).when("a", done()).when("b", busy()).when_due().when("b", busy()).when("undo a", done());
    let other = by(&saga, &patient);
    assert_eq!(other.undecided.map(|it| it.reason).as_deref(), Some("attempt 3 was never made"));
}

#[test]
fn a_changed_request_is_told() {
    let changed = TWO.replace("{id: \"${ event.id }\"}", "{order: \"${ event.id }\"}");
    let saga = given(TWO).when("a", done()).when("b", done());
    let other = by(&saga, &changed);
    assert_eq!(names(&other.changed_calls()), ["a"]);
    assert!(other.ends_alike() && other.undecided.is_none());
}

#[test]
fn operators_act_as_they_did() {
    let parking = TWO.replace("retry: {attempts: 2, delay: 1s}", "onExhausted: park, retry: {attempts: 1}");
    let parked = || given(&parking).when("a", done()).when("b", busy());
    for saga in [parked().when_operator(Retry).when("b", done()), parked().when_operator(Skip), parked()] {
        let same = by(&saga, &parking);
        assert!(same.undecided.is_none() && same.ends_alike(), "{same:#?}");
    }
}
