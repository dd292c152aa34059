//! Steps that name a capability: who performs them is chosen once, and recorded.

use crate::given::{START, Saga, busy, declined, done, given_chosen, given_gate, lost, plan, seconds};
use saga_core::{
    command::GuardKind, decide::AdmissionVerdict, event::OperatorAction, policy::AttemptLimit, state::SagaStatus,
};
use serde_json::json;

const ONE: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
steps: [{step: read, do: 'capability:text-analysis.Analyze', undo: 'capability:text-analysis.Forget'}]
";

const TWO: &str = "
steps:
  - {step: read, do: 'capability:text-analysis.Analyze', undo: 'capability:text-analysis.Forget'}
  - {step: charge, do: stock.Reserve, undo: stock.Release}
";

fn whom(saga: &Saga, command: &str) -> Option<String> {
    let request = saga.state.command(saga.command(command)).request.clone();
    request.and_then(|request| request.participant().map(str::to_owned))
}

#[test]
fn the_chosen_one_is_recorded_and_stays_for_all_attempts() {
    let saga = given_chosen(ONE, Some("reader-a"))
        .then(&["started", "read sent"])
        .when("read", busy())
        .while_chosen(Some("reader-b"))
        .when_due()
        .then(&["read sent #2"])
        .recovered();
    assert_eq!(whom(&saga, "read").as_deref(), Some("reader-a"));
}

#[test]
fn its_undo_goes_to_whom_the_do_went_to() {
    let begun = || given_chosen(TWO, Some("reader-b")).while_chosen(Some("reader-a"));
    let succeeded = begun().when("read", done()).when("charge", declined());
    let in_doubt = begun().when("read", lost()).when_operator(OperatorAction::Cancel);
    for saga in [succeeded, in_doubt] {
        assert_eq!(whom(&saga, "undo read").as_deref(), Some("reader-b"));
    }
}

#[test]
fn an_undo_that_names_another_goes_there() {
    const BODY: &str = "
steps:
  - {step: read, do: 'capability:text-analysis.Analyze', undo: stock.Release}
  - {step: charge, do: stock.Reserve, undo: stock.Release}
";
    let saga = given_chosen(BODY, Some("reader-a")).when("read", done()).when("charge", declined());
    assert_eq!(whom(&saga, "undo read").as_deref(), Some("stock"));
}

#[test]
fn a_do_by_name_may_be_undone_by_capability() {
    const BODY: &str = "
steps:
  - {step: read, do: stock.Reserve, undo: 'capability:text-analysis.Forget'}
  - {step: charge, do: stock.Reserve, undo: stock.Release}
";
    let saga = given_chosen(BODY, Some("reader-a")).when("read", done()).when("charge", declined());
    assert_eq!(whom(&saga, "undo read").as_deref(), Some("reader-a"));
}

#[test]
fn while_its_guard_refuses_nobody_is_chosen_for_good() {
    let refused = |at| AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START.plus(seconds(at)) };
    let saga = given_gate(ONE, json!({"id": 1}), refused(10))
        .then(&["started", "read held by Breaker"])
        .while_chosen(Some("reader-b"))
        .while_gate(AdmissionVerdict::Admitted)
        .when_due()
        .then(&["read sent"]);
    assert_eq!(whom(&saga, "read").as_deref(), Some("reader-b"));
}

#[test]
fn what_was_never_sent_chooses_nobody_for_its_undo() {
    let refused = AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START.plus(seconds(10)) };
    given_gate(ONE, json!({"id": 1}), refused)
        .while_chosen(None)
        .when_operator(OperatorAction::Cancel)
        .then_status(SagaStatus::Compensated);
}

#[test]
fn where_nobody_has_the_capability_the_saga_parks_until_somebody_has() {
    given_chosen(ONE, None)
        .then(&["started", "read failed (participant_gone)", "parked (read: participant_gone)"])
        .while_chosen(Some("reader-a"))
        .when_operator(OperatorAction::Retry)
        .then(&["operator: retry", "read sent"]);
}

#[test]
fn a_step_is_as_patient_as_the_most_patient_of_those_who_may_be_chosen() {
    let plan =
        plan("steps: [{step: read, do: 'capability:text-analysis.Analyze', undo: 'capability:text-analysis.Forget'}]");
    let policy = &plan.policies.steps[0];
    assert_eq!(policy.forward.attempt_timeout, seconds(45));
    assert_eq!(policy.undo.attempt_timeout, seconds(45));
    assert!(matches!(policy.forward.retry.attempts, AttemptLimit::Limited(count) if count.get() == 9));
}
