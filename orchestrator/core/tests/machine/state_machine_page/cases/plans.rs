//! The definitions of the cases. Each has a step `it`, with two attempts.

use crate::given::{Saga, busy, declined, done, given};

/// What the step `it` can be.
pub(super) const USUAL: &str = "undo: stock.UndoIt";
pub(super) const PARKS: &str = "undo: stock.UndoIt, onExhausted: park";
pub(super) const PIVOT: &str = "undo: stock.UndoIt, pivot: true";
pub(super) const FINAL_PIVOT: &str = "pivot: true";
pub(super) const OPTIONAL: &str = "undo: stock.UndoIt, optional: true";
pub(super) const FALLBACK: &str = "undo: stock.UndoIt, fallback: [{value: {}}]";
pub(super) const REFUSABLE: &str = "undo: stock.UndoIt, fallback: [{value: {}, when: refused}]";
pub(super) const READ_ONLY: &str = "readOnly: true";

/// A step that asks a participant and can be undone.
pub(super) const ASKS: &str = "do: stock.It, undo: stock.UndoIt";

const SETTINGS: &str = "
retry: {attempts: 2, delay: 3s, jitter: none}
onCompensated: {publish: news, type: Undone}
steps:
";
const CHECK: &str = "check: \"!has(result.bad)\"";
const PATIENT: &str = "attemptTimeout: 1h, retry: {attempts: 1}";

/// The steps of `lines`, and one after them that has no effects.
fn definition(lines: &str) -> String {
    format!("{SETTINGS}{lines}\n  - {{step: next, do: GET bank/next, readOnly: true, {PATIENT}}}")
}

/// `it`, and then `next`.
pub(super) fn alone(it: &str) -> String {
    // What is rejected has happened, so it needs an undo.
    let check = if it == FINAL_PIVOT { String::new() } else { format!(", {CHECK}") };
    definition(&format!("  - {{step: it, do: stock.It, {it}{check}}}"))
}

/// `it` publishes an event, and then `next`.
pub(super) fn published() -> String {
    definition(&format!("  - {{step: it, publish: news, type: It, {USUAL}}}"))
}

/// A read-only step that can end, and then `it`.
pub(super) fn first(more: &str) -> String {
    let look = format!("  - {{step: look, do: GET bank/look, readOnly: true, {PATIENT}}}");
    definition(&format!("{look}\n  - {{step: it, {ASKS}, {more}}}"))
}

/// `before`, and then `it`.
pub(super) fn behind(it: &str) -> String {
    let before =
        format!("  - {{step: before, do: stock.Before, undo: stock.UndoBefore, {PATIENT}, onExhausted: park}}");
    definition(&format!("{before}\n  - {{step: it, {it}}}"))
}

/// `it` has not begun, and the saga goes back.
pub(super) fn behind_what_failed() -> Saga {
    let first = "  - {step: first, do: stock.First, undo: stock.UndoFirst}";
    let failed = "  - {step: failed, do: stock.Failed, undo: stock.UndoFailed}";
    let saga = given(&definition(&format!("{first}\n{failed}\n  - {{step: it, {ASKS}}}")));
    saga.when("first", done()).when("failed", declined())
}

/// `it` is after the pivot, and out.
pub(super) fn after_pivot() -> Saga {
    let pay = "  - {step: pay, do: stock.Pay, undo: stock.UndoPay, pivot: true}";
    let it = format!("  - {{step: it, do: stock.It, irreversible: true, {CHECK}}}");
    given(&definition(&format!("{pay}\n{it}"))).when("pay", done())
}

/// `it` and `beside` are out. If `beside` is declined, the saga goes back. If `beside` is busy, the saga parks.
pub(super) fn side_by_side(it: &str) -> Saga {
    let beside = format!("{{step: beside, do: stock.Beside, undo: stock.UndoBeside, {PATIENT}, onExhausted: park}}");
    given(&definition(&format!("  - parallel:\n      - {{step: it, {it}}}\n      - {beside}")))
}

/// The second of two attempts of `it` is out.
pub(super) fn last_attempt(it: &str) -> Saga {
    given(&alone(it)).when("it", busy()).when_due()
}
