//! Sagas in every status.

use super::{Case, admitted, case, refused};
use crate::given::{START, Saga, busy, declined, done, given, given_gate, lost, seconds};
use saga_core::{
    act_author::ActOrigin,
    command::CommandFailure,
    decide::AdmissionVerdict,
    event::OperatorAction::{Abandon, Cancel},
    id::{SagaId, ShardId},
    input::OutcomeDelivery,
    rerun::{self, RerunOrder},
};
use serde_json::json;

const RETRIES: &str = "retry: {attempts: 2, delay: 3s, jitter: none}";
const EVENTS: &str = "onCompleted: {publish: news, type: Done}\nonCompensated: {publish: news, type: Undone}";
const UNDO: &str = "undo: {do: stock.UndoIt, retry: {attempts: 2, delay: 3s, jitter: none}}";

/// A saga with the one step `it`.
fn one(settings: &str, it: &str) -> Saga {
    given(&text(settings, it))
}

fn text(settings: &str, it: &str) -> String {
    format!("\n{RETRIES}\n{settings}\nsteps:\n  - {{step: it, {it}}}\n")
}

/// `it`, done, and then `next`, which is out.
fn two(settings: &str) -> Saga {
    let next = "  - {step: next, do: GET bank/next, readOnly: true, attemptTimeout: 1h, retry: {attempts: 1}}\n";
    given(&format!("{}{next}", text(settings, &usual()))).when("it", done())
}

fn usual() -> String {
    format!("do: stock.It, {UNDO}")
}

/// The undo of `it` is out.
fn back(settings: &str) -> Saga {
    two(settings).when("next", declined())
}

fn refuses() -> OutcomeDelivery {
    OutcomeDelivery::Refused { failure: CommandFailure::new("broker", ""), retry_after: seconds(1) }
}

/// Sagas in every status, with the command that the answers are for.
pub(in super::super) fn sagas() -> Vec<Case> {
    [running(), waiting(), compensating(), parked(), ended()].into_iter().flatten().collect()
}

fn it(name: &str, saga: Saga) -> Case {
    case(name, "it", saga)
}

fn undo(name: &str, saga: Saga) -> Case {
    case(name, "undo it", saga)
}

fn running() -> Vec<Case> {
    vec![
        it("the last step is out", one("", &usual())),
        it("the last step is out, outcome events", one(EVENTS, &usual())),
        it("a step is out, before other steps", two_steps()),
        it("a pivot without `undo` is out", one("", "do: stock.It, pivot: true")),
        it("a pivot is out, a cancel waits", one("", &format!("{}, pivot: true", usual())).when_operator(Cancel)),
        it("a step after the pivot is out", after_pivot()),
        it("an optional step is out", one("", &format!("{}, optional: true", usual()))),
        it("the outcome event is due", one(EVENTS, &usual()).when("it", done())),
    ]
}

fn after_pivot() -> Saga {
    let steps = "  - {step: pay, do: stock.Pay, pivot: true}\n  - {step: it, do: stock.It, irreversible: true}";
    given(&format!("\n{RETRIES}\nsteps:\n{steps}\n")).when("pay", done())
}

fn two_steps() -> Saga {
    given(&format!("{}  - {{step: next, do: GET bank/next, readOnly: true}}\n", text("", &usual())))
}

fn waiting() -> Vec<Case> {
    let held = admitted(given_gate(&text("", &usual()), json!({"id": "4711"}), refused()));
    let due = || one(EVENTS, &usual()).when("it", done()).when_outcome(refuses());
    vec![
        it("on a retry delay", one("", &usual()).when("it", busy())),
        it("on the last attempt", one("", &usual()).when("it", busy()).when_due()),
        it("on a guard", held),
        it("on a `wait` step", one("", "wait: 25s")),
        it("on the outcome event", due()),
        it("on the outcome event, which is out", due().while_outcome_is_out()),
    ]
}

fn compensating() -> Vec<Case> {
    let held = admitted(two("").while_gate(refused()).when("next", declined()));
    vec![
        undo("an undo is out", back("")),
        undo("an undo is out, last attempt", back("").when("undo it", busy()).when_due()),
        undo("an undo is out, outcome events", back(EVENTS)),
        undo("an undo waits for its retry delay", back("").when("undo it", busy())),
        undo("a guard holds an undo", held),
        it("a do is out", awaited()),
        it("the outcome event is due", one(EVENTS, &usual()).when("it", declined())),
        it("the outcome event waits", one(EVENTS, &usual()).when("it", declined()).when_outcome(refuses())),
    ]
}

/// The saga goes back, and the answer to `it` is awaited.
fn awaited() -> Saga {
    let steps = "      - {step: it, do: stock.It, undo: stock.UndoIt}
      - {step: other, do: stock.Other, undo: stock.UndoOther}";
    given(&format!("\n{RETRIES}\nsteps:\n  - parallel:\n{steps}\n")).when("other", declined())
}

fn parked() -> Vec<Case> {
    let park = one("onExhausted: park", &usual()).when("it", busy()).when_due().when("it", busy());
    let pivot = one("", "do: stock.It, pivot: true").when("it", lost()).when_due().when("it", lost());
    let gave_up = |saga: Saga| saga.when("undo it", busy()).when_due().when("undo it", busy());
    let optional = one("", &format!("{}, optional: true", usual())).when("it", lost()).when_due().when("it", lost());
    let output = one("output: {x: \"${ event.no }\"}", &usual()).when("it", done());
    vec![
        it("`StepFailed`", park),
        it("`PivotUnknown`", pivot),
        undo("`UndoFailed`, the saga goes back", gave_up(back(""))),
        undo("`UndoFailed`, the saga goes forward", gave_up(optional)),
        it("`Output`", output),
        it("`Limit`, the step is out", one("", &usual()).when_stopped()),
        undo("`Limit`, the undo is out", back("").when_stopped()),
    ]
}

fn ended() -> Vec<Case> {
    let unknown = one("", &usual()).when("it", lost()).when_due().when("it", lost()).when_operator(Abandon);
    let optional = one("", &format!("{}, optional: true", usual())).when("it", declined());
    vec![
        it("its step succeeded", one("", &usual()).when("it", done())),
        it("its step failed, optional", optional),
        it("its step failed", one("", &usual()).when("it", declined())),
        undo("its step is undone", back("").when("undo it", done())),
        it("its step is unknown", unknown),
        it("its step was out", one("", &usual()).when_operator(Abandon)),
    ]
}

/// Sagas right after their start.
/// `it` is done in the ended saga, and `next` is out in the one that runs it again.
fn from_next() -> Saga {
    let ended = two("").when_operator(Abandon);
    let from = Some("next".to_owned());
    let (id, who, reason) = ("again".to_owned(), "ada".to_owned(), "fixed".to_owned());
    let order = RerunOrder { id, who, reason, from, force: false, origin: ActOrigin::default() };
    let fork = rerun::fork((&ended.plan, &ended.state), &ended.plan, &order).expect("what is taken over stands");
    let id = SagaId::new(START, ShardId(3), 43);
    Saga::forked(&ended.plan, id, rerun::start_of(&ended.state), fork)
}

pub(in super::super) fn starts() -> Vec<Case> {
    let no_value = "with: {x: \"${ event.no }\"}";
    let gate = |admission| given_gate(&text("", &usual()), json!({"id": "4711"}), admission);
    vec![
        it("usual", one("", &usual())),
        it("a guard refuses", gate(refused())),
        it("no such participant", gate(AdmissionVerdict::Gone)),
        it("a `wait` step", one("", "wait: 25s")),
        it("the `if` of every step is false", one("", &format!("{}, if: has(event.no)", usual()))),
        it("the same, outcome events", one(EVENTS, &format!("{}, if: has(event.no)", usual()))),
        it("the request has no value", one("", &format!("{}, {no_value}", usual()))),
        it("runs an ended saga again, from `next`", from_next()),
        it("the request has no value, optional", one("", &format!("{}, optional: true, {no_value}", usual()))),
    ]
}
