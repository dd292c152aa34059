//! Undos in every phase.

use super::{Case, admitted, case, refused};
use crate::given::{Saga, busy, declined, done, given, lost, not_sent, seconds};
use saga_core::{command::CommandAnswer, event::OperatorAction};

const SETTINGS: &str = "
retry: {attempts: 2, delay: 3s, jitter: none}
onCompensated: {publish: news, type: Undone}
steps:
";
const IT: &str = "step: it, do: stock.It, undo: {do: stock.UndoIt, retry: {attempts: 2, delay: 3s, jitter: none}}";
const OTHER: &str =
    "step: other, do: stock.Other, undo: {do: stock.UndoOther, attemptTimeout: 1h, retry: {attempts: 1}}";
const NEXT: &str = "  - {step: next, do: GET bank/next, readOnly: true, attemptTimeout: 1h, retry: {attempts: 1}}";

pub(super) fn undos() -> Vec<Case> {
    [idle(), held(), attempting(), resting(), succeeded(), given_up(), skipped()].into_iter().flatten().collect()
}

/// A case that is about the undo of the step `it`.
fn undo(name: &str, saga: Saga) -> Case {
    case(name, "undo it", saga)
}

/// `it` is done, and `next` is out.
fn done_alone() -> Saga {
    given(&format!("{SETTINGS}  - {{{IT}}}\n{NEXT}")).when("it", done())
}

/// The undo of `it` is out, the only one.
fn alone() -> Saga {
    done_alone().when("next", declined())
}

/// `it` and `other` are done, the one after the other if `after`, and `next` is out.
fn done_both(after: bool) -> Saga {
    let steps = match after {
        true => format!("  - {{{IT}}}\n  - {{{OTHER}}}"),
        false => format!("  - parallel:\n      - {{{IT}}}\n      - {{{OTHER}}}"),
    };
    given(&format!("{SETTINGS}{steps}\n{NEXT}")).when("it", done()).when("other", done())
}

/// The undos of `it` and of `other` are out.
fn both() -> Saga {
    done_both(false).when("next", declined())
}

/// `it` is optional and failed in doubt: its undo is out while the saga goes forward.
fn optional() -> Saga {
    let text = format!("{SETTINGS}  - {{{IT}, optional: true}}\n{NEXT}");
    given(&text).when("it", lost()).when_due().when("it", lost())
}

/// The undo gives up.
fn gives_up(saga: Saga, last: CommandAnswer) -> Saga {
    saga.when("undo it", busy()).when_due().when("undo it", last)
}

fn idle() -> Vec<Case> {
    let waits = || done_both(true).when("next", declined());
    let out = given(&format!("{SETTINGS}  - parallel:\n      - {{{IT}}}\n      - {{{OTHER}}}\n{NEXT}"));
    vec![
        undo("the saga goes forward", done_alone()),
        undo("the saga is parked, a later step failed", done_alone().when_stopped().when("next", declined())),
        undo("a later step waits for its retry", before_next().when("next", busy())),
        undo("the saga is parked for a later step", before_next().when("next", busy()).when_due().when("next", busy())),
        undo("the saga is parked for a pivot in doubt", before_pivot()),
        undo("it waits for the undo of a later step", waits()),
        undo("the saga is parked, a later step is undone", waits().when_stopped().when("undo other", done())),
        undo("its do is out", out.when("other", declined())),
        undo("its do did not happen", done_both_but_it()),
        undo("the saga is parked", done_alone().when_stopped()),
        undo("the outcome event is due", given(&format!("{SETTINGS}  - {{{IT}}}\n{NEXT}")).when("it", declined())),
    ]
}

/// `it` is done, and `next` may be tried twice.
fn before_next() -> Saga {
    let next = "  - {step: next, do: GET bank/next, readOnly: true, onExhausted: park}";
    given(&format!("{SETTINGS}  - {{{IT}}}\n{next}")).when("it", done())
}

/// `it` is done, and the saga is parked for a pivot that may have happened.
fn before_pivot() -> Saga {
    let saga = given(&format!("{SETTINGS}  - {{{IT}}}\n  - {{step: pay, do: stock.Pay, pivot: true}}"));
    saga.when("it", done()).when("pay", lost()).when_due().when("pay", lost())
}

/// `it` failed, and the undo of `other` is out.
fn done_both_but_it() -> Saga {
    let text = format!("{SETTINGS}  - parallel:\n      - {{{IT}}}\n      - {{{OTHER}}}\n{NEXT}");
    given(&text).when("other", done()).when("it", declined())
}

/// The undo gave up, and it may have happened.
fn in_doubt() -> Saga {
    alone().when("undo it", lost()).when_due().when("undo it", lost())
}

fn held() -> Vec<Case> {
    let unsent = |saga: Saga| admitted(saga.while_gate(refused()).when("next", declined()));
    let again = |answer| admitted(alone().when("undo it", answer).while_gate(refused()).when_due());
    vec![
        undo("nothing was sent", unsent(done_alone())),
        undo("attempt 1 was taken back", alone().when("undo it", not_sent())),
        undo(
            "attempts 1 and 2 are unknown",
            admitted(in_doubt().while_gate(refused()).when_operator(OperatorAction::Retry)),
        ),
        undo("another undo is out", both().when("undo it", not_sent())),
        undo("attempt 1 failed", again(busy())),
        undo("attempt 1 is unknown", again(lost())),
        undo("the saga is parked", unsent(done_alone()).when_stopped()),
    ]
}

fn attempting() -> Vec<Case> {
    let last = |saga: Saga| saga.when("undo it", busy()).when_due();
    let asked = CommandAnswer::Ongoing { ask_after: Some(seconds(10)), location: None };
    vec![
        undo("an attempt is left", alone()),
        undo("an earlier owner sent it", alone().taken_over()),
        undo("in progress, to be asked", alone().when("undo it", asked)),
        undo("last attempt", last(alone())),
        undo("last attempt, another one is unknown", alone().when("undo it", lost()).when_due()),
        undo(
            "last attempt, another one was unknown long ago",
            alone().when("undo it", lost()).when_passed(seconds(300)),
        ),
        undo("last attempt, another undo is out", last(both())),
        undo("an attempt is left, optional, the saga goes forward", optional()),
        undo("last attempt, optional, the saga goes forward", last(optional())),
        undo("the saga is parked", alone().when_stopped()),
    ]
}

fn resting() -> Vec<Case> {
    vec![
        undo("attempt 1 failed", alone().when("undo it", busy())),
        undo("attempt 1 is unknown", alone().when("undo it", lost())),
        undo("attempts 1 to 3 are unknown", in_doubt().when_operator(OperatorAction::Retry).when("undo it", lost())),
        undo("another undo is out", both().when("undo it", busy())),
        undo("optional, the saga goes forward", optional().when("undo it", busy())),
        undo("the saga is parked", alone().when("undo it", busy()).when_stopped()),
    ]
}

fn succeeded() -> Vec<Case> {
    vec![
        undo("another undo is out", both().when("undo it", done())),
        undo("optional, the saga goes forward", optional().when("undo it", done())),
        undo("the saga is parked", both().when("undo it", done()).when_stopped()),
        undo("the outcome event is due", alone().when("undo it", done())),
    ]
}

/// Failed, or unknown.
fn given_up() -> Vec<Case> {
    let each = |last: fn() -> CommandAnswer| {
        [
            undo("another undo is out", gives_up(both(), last())),
            undo("the saga is parked", gives_up(alone(), last())),
            undo("optional, the saga goes forward", gives_up(optional(), last())),
            undo("optional, the saga is parked", gives_up(optional(), last()).when("next", done())),
        ]
    };
    each(busy).into_iter().chain(each(lost)).collect()
}

fn skipped() -> Vec<Case> {
    let skip = |saga: Saga| saga.when_operator_names("undo it", OperatorAction::Skip);
    let two = || gives_up(both(), busy()).when("undo other", busy());
    vec![
        undo("another undo gave up, the saga is parked", skip(two())),
        undo("the outcome event is due", skip(gives_up(alone(), busy()))),
        undo("another undo is tried again", skip(two()).when_operator(OperatorAction::Retry)),
    ]
}
