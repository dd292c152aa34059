//! Ended sagas that are run again: what is taken over, what is refused, and how the new saga goes on.

use crate::given::{Saga, declined, done, given, lost, plan, result};
use saga_core::{
    act_author::ActOrigin,
    command::CommandDirection,
    event::{OperatorAction, TakenOutcome},
    id::{SagaId, ShardId},
    input::SagaFork,
    react::{SagaEffect, react},
    rerun::{self, RerunOrder},
    state::SagaStatus,
    time::Timestamp,
};
use serde_json::json;

const ORDER: &str = "
steps:
  - {step: reserve, do: stock.Reserve, with: {id: \"${ event.id }\"}, undo: stock.Release}
  - {step: charge, do: POST bank/charges, with: {slot: \"${ steps.reserve.slot }\"}, undo: POST bank/refunds, pivot: true}
  - {step: ship, do: stock.Ship}
";

const PARALLEL: &str = "
steps:
  - parallel:
      - {step: a, do: stock.A, undo: stock.UndoA}
      - {step: look, do: stock.Look, readOnly: true}
  - {step: b, do: stock.B, undo: stock.UndoB}
  - {step: c, do: stock.C, undo: stock.UndoC}
";

fn order(from: Option<&str>, force: bool) -> RerunOrder {
    let from = from.map(str::to_owned);
    RerunOrder {
        id: "act".into(),
        who: "ada".into(),
        reason: "fixed".into(),
        from,
        force,
        origin: ActOrigin::default(),
    }
}

fn fork(saga: &Saga, from: Option<&str>, force: bool) -> Result<SagaFork, String> {
    let order = order(from, force);
    rerun::fork((&saga.plan, &saga.state), &saga.plan, &order).map_err(|refusal| refusal.to_string())
}

/// The saga that runs `saga` again.
fn rerun(saga: &Saga, from: Option<&str>, force: bool) -> Saga {
    let fork = fork(saga, from, force).unwrap_or_else(|refusal| panic!("refused: {refusal}"));
    Saga::forked(&saga.plan, second(), rerun::start_of(&saga.state), fork)
}

fn second() -> SagaId {
    SagaId::new(Timestamp(1_700_000_100_000), ShardId(3), 43)
}

#[track_caller]
fn refused(saga: &Saga, from: Option<&str>, parts: &[&str]) {
    let refusal = fork(saga, from, false).expect_err("it is not safe");
    for part in parts {
        assert!(refusal.contains(part), "`{part}` is missing in: {refusal}");
    }
}

fn taken(fork: &SagaFork, saga: &Saga) -> Vec<String> {
    fork.taken.iter().map(|(step, _)| saga.plan.definition.step(*step).name.clone()).collect()
}

fn compensated() -> Saga {
    given(ORDER).when("reserve", result(json!({"slot": 7}))).when("charge", declined()).when("undo reserve", done())
}

/// `charge` is known to have failed, and an operator ended the saga there.
fn abandoned_before_the_pivot() -> Saga {
    let saga = given(ORDER).when("reserve", result(json!({"slot": 7})));
    let forbidden = crate::given::forbidden;
    let saga = (0..3).fold(saga.when("charge", forbidden()), |saga, _| saga.when_due().when("charge", forbidden()));
    saga.when_operator(OperatorAction::Abandon).then_status(SagaStatus::Abandoned)
}

fn abandoned_behind_the_pivot() -> Saga {
    given(ORDER)
        .when("reserve", result(json!({"slot": 7})))
        .when("charge", result(json!({"receipt": "r1"})))
        .when("ship", declined())
        .when_operator(OperatorAction::Abandon)
        .then_status(SagaStatus::Abandoned)
}

#[test]
fn a_compensated_saga_runs_again_from_its_beginning() {
    let again = rerun(&compensated(), None, false)
        .then_out(&["reserve"])
        .when("reserve", result(json!({"slot": 8})))
        .when("charge", done())
        .when("ship", done())
        .then_status(SagaStatus::Completed);
    let origin = again.state.forked_from.clone().expect("it names what it runs again");
    assert_eq!((origin.saga, origin.version, origin.from.as_deref()), (compensated().state.id, 4, None));
    assert_eq!((origin.act.as_str(), origin.who.as_str(), origin.reason.as_str()), ("act", "ada", "fixed"));
    assert_eq!(again.state.key, compensated().state.key);
    assert_eq!(again.state.trigger, compensated().state.trigger);
}

#[test]
fn a_saga_that_has_not_ended_is_refused() {
    refused(&given(ORDER), None, &["the saga is running", "cancel or abandon it first"]);
}

#[test]
fn effects_that_stand_are_named_and_need_force() {
    let completed = given(ORDER).when("reserve", done_with_slot()).when("charge", done()).when("ship", done());
    refused(&completed, None, &["`reserve` is applied", "`charge` is applied", "`ship` is applied", "add --force"]);
    refused(&completed, Some("ship"), &["`ship` is applied", "behind the pivot `charge`"]);
    let again = rerun(&completed, Some("ship"), true).then_out(&["ship"]);
    assert_eq!(again.state.forked_from.as_ref().map(|origin| origin.standing.clone()), Some(vec!["ship".to_owned()]));
    again.when("ship", done()).then_status(SagaStatus::Completed);
}

fn done_with_slot() -> saga_core::command::CommandAnswer {
    result(json!({"slot": 7}))
}

#[test]
fn what_comes_before_the_step_is_taken_over_with_its_result() {
    let again = rerun(&abandoned_before_the_pivot(), Some("charge"), false)
        .then(&["started", "reserve taken over: succeeded", "charge sent"])
        .then_out(&["charge"]);
    assert_eq!(again.body("charge"), json!({"slot": 7}));
    again.when("charge", done()).when("ship", done()).then_status(SagaStatus::Completed);
}

#[test]
fn what_was_taken_over_is_undone_under_the_command_id_of_the_original() {
    let first = abandoned_before_the_pivot();
    let again = rerun(&first, Some("charge"), false).when("charge", declined()).then_out(&["undo reserve"]);
    assert_eq!(again.body("undo reserve"), json!({"input": {"id": "4711"}, "result": {"slot": 7}}));
    let effects = react(&again.plan, &again.state);
    let [SagaEffect::Call(call)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(call.id.to_string(), format!("{}:reserve:undo", first.state.id));
    assert_eq!((call.saga, call.id.direction), (second(), CommandDirection::Undo));
    again.recovered().when("undo reserve", done()).then_status(SagaStatus::Compensated);
}

#[test]
fn an_undo_that_reads_the_id_of_the_do_gets_that_of_the_original() {
    let body = ORDER.replace("undo: stock.Release}", "undo: {do: stock.Release, with: {did: \"${ doId }\"}}}");
    let first = given(&body).when("reserve", done_with_slot());
    let forbidden = crate::given::forbidden;
    let first = (0..3).fold(first.when("charge", forbidden()), |saga, _| saga.when_due().when("charge", forbidden()));
    let first = first.when_operator(OperatorAction::Abandon);
    let again = rerun(&first, Some("charge"), false).when("charge", declined());
    assert_eq!(again.body("undo reserve"), json!({"did": format!("{}:reserve:do", first.state.id)}));
}

#[test]
fn a_rerun_of_a_rerun_undoes_what_the_first_saga_did() {
    let first = abandoned_before_the_pivot();
    let forbidden = crate::given::forbidden;
    let second = rerun(&first, Some("charge"), false);
    let second = (0..3).fold(second.when("charge", forbidden()), |saga, _| saga.when_due().when("charge", forbidden()));
    let second = second.when_operator(OperatorAction::Abandon);
    let third = rerun(&second, Some("charge"), false).when("charge", declined());
    let effects = react(&third.plan, &third.state);
    let [SagaEffect::Call(call)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(call.id.to_string(), format!("{}:reserve:undo", first.state.id));
}

#[test]
fn behind_the_pivot_it_needs_force_and_only_goes_forward() {
    let first = abandoned_behind_the_pivot();
    refused(&first, Some("ship"), &["behind the pivot `charge`", "add --force"]);
    rerun(&first, Some("ship"), true)
        .then_out(&["ship"])
        .when("ship", declined())
        .then_status(SagaStatus::Parked)
        .when_operator(OperatorAction::Cancel)
        .then_refused("pivot");
}

#[test]
fn a_step_that_is_undone_cannot_be_taken_over() {
    let parts = ["`reserve` is undone", "begin at one of them"];
    let refusal = fork(&compensated(), Some("charge"), true).expect_err("force does not help");
    assert!(parts.iter().all(|part| refusal.contains(part)), "{refusal}");
}

#[test]
fn a_step_in_doubt_is_not_taken_over_and_not_performed_again_unasked() {
    let first = given(PARALLEL).when("a", lost());
    let first = first.when_operator(OperatorAction::Abandon);
    refused(&first, None, &["`a` may be applied", "add --force"]);
    refused(&first, Some("b"), &["`a` may be applied or not"]);
    let again = rerun(&first, None, true);
    assert_eq!(again.state.forked_from.as_ref().map(|origin| origin.standing.clone()), Some(vec!["a".to_owned()]));
}

#[test]
fn an_undo_that_was_sent_and_not_confirmed_leaves_its_step_in_doubt() {
    let first = given(ORDER).when("reserve", done_with_slot()).when("charge", declined());
    let first = first.then_out(&["undo reserve"]).when_operator(OperatorAction::Abandon);
    refused(&first, None, &["`reserve` may still be applied: its undo was sent and not confirmed"]);
    refused(&first, Some("charge"), &["`reserve` has an undo that was sent and not confirmed"]);
}

#[test]
fn what_does_not_depend_on_the_step_is_taken_over_if_it_stands_and_performed_again_if_not() {
    let both = given(PARALLEL).when("a", result(json!(1))).when("look", result(json!(2)));
    let both = both.when_operator(OperatorAction::Abandon);
    let from_a = fork(&both, Some("a"), true).expect("forced");
    assert_eq!(taken(&from_a, &both), ["look"]);
    let from_b = fork(&both, Some("b"), true).expect("forced");
    assert_eq!(taken(&from_b, &both), ["a", "look"]);
    assert!(from_b.taken.iter().all(|(_, taken)| taken.outcome == TakenOutcome::Succeeded));
    assert_eq!(from_b.origin.standing, ["b"], "b was sent and not answered");

    let one = given(PARALLEL).when("a", done()).when_operator(OperatorAction::Abandon);
    let from_a = fork(&one, Some("a"), true).expect("forced");
    assert_eq!(taken(&from_a, &one), Vec::<String>::new(), "look was not answered");
}

#[test]
fn steps_that_only_read_are_performed_again_without_more() {
    let body =
        "steps:\n  - {step: look, do: stock.Look, readOnly: true}\n  - {step: a, do: stock.A, undo: stock.UndoA}\n";
    let first = given(body).when("look", done()).when("a", declined()).then_status(SagaStatus::Compensated);
    rerun(&first, None, false).then_out(&["look"]);
    rerun(&first, Some("a"), false).then_out(&["a"]);
}

#[test]
fn what_an_optional_step_left_is_taken_over() {
    let body = "
steps:
  - {step: gift, do: stock.Gift, undo: stock.UndoGift, optional: true, retry: {attempts: 1}}
  - {step: skipped, if: has(event.no), do: stock.Skip, undo: stock.UndoSkip}
  - {step: a, do: stock.A, undo: stock.UndoA}
";
    let first = given(body).when("gift", declined()).when("a", declined()).then_status(SagaStatus::Compensated);
    rerun(&first, Some("a"), false)
        .then(&["started", "gift taken over: failed (declined)", "skipped taken over: skipped", "a sent"])
        .when("a", done())
        .then_status(SagaStatus::Completed);
    let unknown = given(body).when("gift", lost());
    let unknown = unknown.when("undo gift", done()).when("a", declined()).then_status(SagaStatus::Compensated);
    rerun(&unknown, Some("a"), false).then_out(&["a"]).when("a", done()).then_status(SagaStatus::Completed);
}

#[test]
fn a_mistyped_step_is_named() {
    refused(&compensated(), Some("chrage"), &["no step `chrage`", "charge"]);
}

#[test]
fn another_definition_must_be_able_to_undo_what_is_taken_over() {
    let first = abandoned_before_the_pivot();
    let by = |body: &str| rerun::fork((&first.plan, &first.state), &plan(body), &order(Some("charge"), false));
    assert!(by(&ORDER.replace("POST bank/charges", "POST bank/v2/charges")).is_ok());
    let elsewhere =
        by(&ORDER.replace("undo: stock.Release", "undo: POST bank/releases")).expect_err("another participant");
    assert!(elsewhere.to_string().contains("sends its undo to another participant"), "{elsewhere}");
    let without = by(&ORDER.replace("undo: stock.Release", "irreversible: true")).expect_err("no undo");
    assert!(without.to_string().contains("no undo for it"), "{without}");
    let renamed = ORDER.replace("step: reserve", "step: hold").replace("steps.reserve", "steps.hold");
    let missing = by(&renamed).expect_err("another step");
    assert!(missing.to_string().contains("`hold` is not in the definition that the saga ran by"), "{missing}");
    let dropped =
        rerun::fork((&first.plan, &first.state), &plan(&renamed), &order(None, false)).expect_err("it stands");
    assert!(dropped.to_string().contains("`reserve` is applied and not undone"), "{dropped}");
}

#[test]
fn the_answer_of_a_fallback_is_taken_over() {
    let body = "
steps:
  - {step: quote, do: stock.Quote, readOnly: true, retry: {attempts: 1}, fallback: [{value: {price: 3}}]}
  - {step: a, do: stock.A, with: {price: \"${ steps.quote.price }\"}, undo: stock.UndoA}
";
    let first = given(body).when("quote", crate::given::busy()).when("a", declined());
    let first = first.then_status(SagaStatus::Compensated);
    let again = rerun(&first, Some("a"), false).then_out(&["a"]);
    assert_eq!(again.body("a"), json!({"price": 3}));
}
