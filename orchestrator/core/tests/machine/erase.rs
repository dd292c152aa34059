//! A saga that has ended loses its content, and nothing changes it from then on.

use crate::given::{Saga, act, declined, done, given, given_event, lost, result, saga_id};
use saga_core::{
    command::{CommandAnswer, CommandFailure, RetryAdvice},
    decide::IgnoreReason,
    event::{OperatorAction, SagaDecision},
    evolve,
    input::SagaInput,
    state::SagaStatus,
};
use serde_json::json;

const TWO: &str = "
steps:
  - {step: reserve, do: stock.Reserve, with: {note: \"${ event.note }\"}, undo: stock.Release}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds}
";
const CANARY: &str = "Canary0123456789";

/// Undone, because the participant refused it and said why.
fn refused() -> Saga {
    let failure = CommandFailure::new("declined", CANARY);
    let answer = CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None };
    given_event(TWO, json!({"id": "4711", "note": CANARY}))
        .when("reserve", result(json!({"said": CANARY})))
        .when("charge", answer)
        .when("undo reserve", done())
        .then_status(SagaStatus::Compensated)
}

fn erased(saga: &Saga) -> Vec<SagaDecision> {
    saga.journal.iter().map(SagaDecision::erased).collect()
}

#[test]
fn only_a_saga_that_has_ended_is_erased() {
    given(TWO).when_operator(OperatorAction::Erase).then_refused("cancel or abandon it first");
    let parked = given(TWO).when("reserve", lost()).when_operator(OperatorAction::Erase);
    parked.then_refused("cancel or abandon it first").when_operator(OperatorAction::Abandon);
    let ended = refused().when_operator(OperatorAction::Erase).then(&["operator: erase"]);
    let by = ended.state.erased.clone().expect("it is erased");
    assert_eq!(ended.state.view(&ended.plan).reason, Some(format!("erased by {}: {}", by.who, by.reason)));
    ended.then_status(SagaStatus::Compensated).then_out(&[]);
}

#[test]
fn an_erasure_is_done_once() {
    let ended = refused().when_act("one", OperatorAction::Erase).when_act("one", OperatorAction::Erase);
    let ended = ended.then_ignored(&IgnoreReason::Repeated);
    ended.when_act("two", OperatorAction::Erase).then_refused("has erased the saga already");
}

#[test]
fn nothing_changes_an_erased_saga() {
    let abandoned = given(TWO).when_operator(OperatorAction::Abandon).then_status(SagaStatus::Abandoned);
    let erased = abandoned.when_operator(OperatorAction::Erase).then(&["operator: erase"]);
    let erased = erased.when("reserve", result(json!({"said": CANARY}))).then_ignored(&IgnoreReason::Terminal);
    let taken = SagaInput::KeyTaken { record: "orders/0/7".into(), payload: "a1b2".into() };
    let erased = erased.input(&taken).then_ignored(&IgnoreReason::Terminal);
    erased.input(&act("other", OperatorAction::Retry)).then_refused("has ended");
}

#[test]
fn an_erased_journal_tells_the_same_course_and_nothing_of_what_was_said() {
    for saga in [refused(), given_event(TWO, json!({"id": "4711", "note": CANARY})).when("reserve", declined())] {
        let rows = erased(&saga);
        let text = serde_json::to_string(&rows).expect("rows are JSON");
        assert!(!text.contains(CANARY), "{text}");
        let folded = evolve::fold(&saga.plan, saga_id(), &rows).expect("a journal");
        let seen = |saga: &saga_core::state::SagaState, plan| {
            let steps: Vec<_> = saga.view(plan).steps.into_iter().map(|step| (step.step, step.phase)).collect();
            (saga.status(), saga.version, saga.last_at, saga.stands(), steps)
        };
        assert_eq!(seen(&folded, &saga.plan), seen(&saga.state, &saga.plan));
    }
}
