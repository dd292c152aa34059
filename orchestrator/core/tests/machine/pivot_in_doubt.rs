//! A person says that a pivot in doubt, which nothing can undo, did not happen: why the saga is undone then.

use crate::given::{Saga, busy, done, given, lost, ongoing, seconds};
use saga_core::event::OperatorAction::{Cancel, Retry, Skip};

const FIRM: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
onExhausted: park
timeout: 10m
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: pay, do: stock.P, pivot: true}
  - {step: ship, do: stock.S}
";

fn at_the_pivot() -> Saga {
    given(FIRM).when("a", done())
}

#[test]
fn it_is_undone_because_of_the_pivot_whatever_it_was_parked_for() {
    let parked = || at_the_pivot().when("pay", lost()).when_due().when_stopped();
    let in_doubt = || parked().when("pay", lost()).then(&["pay #2 unknown (lost)", "pay unknown (lost)"]);
    in_doubt().then_needs(&["pay"]).when_operator_names("pay", Skip).then(&[
        "operator: skip pay",
        "goes back (pay: lost)",
        "undo a sent",
    ]);
    in_doubt().when_operator(Retry).then(&["operator: retry", "pay sent #3"]);
}

#[test]
fn it_is_undone_because_of_the_cancel_that_waited_for_the_pivot() {
    let skipped = &["operator: skip pay", "goes back (cancelled by ada)", "undo a sent"];
    let cancelled = || at_the_pivot().when_operator(Cancel);
    cancelled().when("pay", lost()).when_operator(Skip).then(skipped);
    cancelled().when_stopped().when("pay", lost()).when_operator_names("pay", Skip).then(skipped);
    at_the_pivot().when("pay", lost()).when_operator(Cancel).when_operator(Skip).then(skipped);
}

#[test]
fn a_cancel_waits_again_when_the_pivot_is_tried_again() {
    let retried = || at_the_pivot().when_operator(Cancel).when("pay", lost()).when_operator(Retry);
    retried().then(&["operator: retry", "pay sent #2"]);
    retried().when("pay", done()).then(&["pay succeeded", "incident (cancel_too_late)", "ship sent"]);
    let failed = retried().when("pay", busy());
    failed.when_operator(Skip).then(&["operator: skip pay", "goes back (cancelled by ada)", "undo a sent"]);
}

#[test]
fn it_is_undone_because_of_its_time_if_that_was_over_before_it_was_parked() {
    let mut saga = at_the_pivot().when("pay", ongoing());
    for _ in 0..23 {
        saga = saga.when_passed(seconds(25)).when("pay", ongoing());
    }
    let parked = saga.when_passed(seconds(25)).when("pay", lost());
    parked.when_operator(Skip).then(&["operator: skip pay", "goes back (timeout)", "undo a sent"]);
}

#[test]
fn the_time_that_it_is_parked_does_not_count() {
    let parked = at_the_pivot().when("pay", lost()).when_due().when("pay", lost());
    let later = parked.now().plus(seconds(3600));
    parked.at(later).when_operator(Skip).then(&["operator: skip pay", "goes back (pay: lost)", "undo a sent"]);
}
