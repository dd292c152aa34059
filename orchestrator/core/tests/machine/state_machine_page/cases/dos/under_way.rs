//! Dos that are under way.

use super::{
    super::plans::{
        ASKS, FALLBACK, FINAL_PIVOT, OPTIONAL, PARKS, PIVOT, READ_ONLY, REFUSABLE, USUAL, after_pivot, alone,
        last_attempt, published, side_by_side,
    },
    Case, it, stopped,
};
use crate::given::{Saga, busy, declined, forbidden, given, lost, ongoing, seconds};
use saga_core::{command::CommandAnswer, event::OperatorAction};

/// What follows from an attempt's end depends on what the step is when no attempt is left.
pub(super) fn attempting() -> Vec<Case> {
    let asked = CommandAnswer::Ongoing { ask_after: Some(seconds(10)), location: None };
    let mut cases = vec![
        it("an attempt is left", given(&alone(USUAL))),
        it("in progress, to be asked", given(&alone(USUAL)).when("it", asked)),
        it("in progress", given(&alone(USUAL)).when("it", ongoing())),
        it("an earlier owner sent it", given(&alone(USUAL)).taken_over()),
        it("an earlier owner published it", given(&published()).recovered()),
        it("last attempt", last_attempt(USUAL)),
        it("last attempt, another one is unknown", given(&alone(USUAL)).when("it", lost()).when_due()),
        it("last attempt, `onExhausted: park`", last_attempt(PARKS)),
        it("last attempt, pivot with `undo`", last_attempt(PIVOT)),
        it("last attempt, pivot without `undo`", last_attempt(FINAL_PIVOT)),
        it("last attempt, after the pivot", after_pivot().when("it", busy()).when_due()),
        it("last attempt, optional", last_attempt(OPTIONAL)),
        it("last attempt, it has a fallback", last_attempt(FALLBACK)),
        it("last attempt, read-only", last_attempt(READ_ONLY)),
    ];
    cases.extend(awaited());
    cases
}

/// The saga's course is decided, and the answer is awaited.
fn awaited() -> Vec<Case> {
    vec![
        it("another step is out", side_by_side(ASKS)),
        it("last attempt, another one was unknown long ago", long_ago()),
        it("it has a fallback for refusals", given(&alone(REFUSABLE))),
        it("pivot, a cancel waits", given(&alone(PIVOT)).when_operator(OperatorAction::Cancel)),
        it("the saga goes back", side_by_side(ASKS).when("beside", declined())),
        it("the saga goes back, another attempt is unknown", second_attempt().when("beside", declined())),
        it("the saga is parked", side_by_side(ASKS).when("beside", busy())),
    ]
}

fn second_attempt() -> Saga {
    side_by_side(ASKS).when("it", lost()).when_due()
}

/// No sending of the first attempt can still run.
fn long_ago() -> Saga {
    given(&alone(USUAL)).when("it", lost()).when_passed(seconds(300))
}

/// An operator retries what parked the saga, and the attempt is unknown again.
fn in_doubt_again() -> Saga {
    let parked = given(&alone(PARKS)).when("it", lost()).when_due().when("it", lost());
    parked.when_operator(OperatorAction::Retry).when("it", lost())
}

pub(super) fn resting() -> Vec<Case> {
    let rests = |it: &str| given(&alone(it)).when("it", busy());
    vec![
        it("attempt 1 failed", rests(USUAL)),
        it("attempt 1 is unknown", given(&alone(USUAL)).when("it", lost())),
        it("attempts 1 to 3 are unknown", in_doubt_again()),
        it("attempt 1 needs a person", given(&alone(USUAL)).when("it", forbidden())),
        it("attempt 1 failed, pivot without `undo`", rests(FINAL_PIVOT)),
        it("attempt 1 is unknown, pivot without `undo`", given(&alone(FINAL_PIVOT)).when("it", lost())),
        it("attempt 1 failed, `onExhausted: park`", rests(PARKS)),
        it("attempt 1 failed, after the pivot", after_pivot().when("it", busy())),
        it("attempt 1 failed, optional", rests(OPTIONAL)),
        it("attempt 1 failed, it has a fallback", rests(FALLBACK)),
        it("another step is out", side_by_side(ASKS).when("it", busy())),
        it("another step is in progress", side_by_side(ASKS).when("it", busy()).when("beside", ongoing())),
        it("the saga is parked", side_by_side(ASKS).when("it", busy()).when("beside", busy())),
        it("the saga is parked, another step failed", stopped(side_by_side(ASKS).when("it", busy()))),
        it("it is unknown, the saga is parked, another step failed", stopped(side_by_side(ASKS).when("it", lost()))),
    ]
}

pub(super) fn sleeping() -> Vec<Case> {
    vec![
        it("usual", side_by_side("wait: 25s")),
        it("the saga is parked", side_by_side("wait: 25s").when("beside", busy())),
        it("the saga is parked, another step failed", stopped(side_by_side("wait: 25s"))),
    ]
}
