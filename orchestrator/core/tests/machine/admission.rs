//! Guards: a refusal is not an attempt.

use crate::{
    given::{START, Saga, busy, declined, done, given, given_gate, lost, not_sent, seconds},
    surroundings::Surroundings,
};
use saga_core::{
    command::{GuardKind, GuardOwner},
    decide::{self, AdmissionVerdict, DecisionOutcome, IgnoreReason},
    describe::NextActivityView,
    event::OperatorAction,
    input::SagaInput,
    react::{SagaEffect, react},
    state::SagaStatus,
    time::rfc3339,
};
use serde_json::json;

const ONE: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
steps: [{step: reserve, do: stock.Reserve, undo: stock.Release}]
";

fn refused() -> AdmissionVerdict {
    AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START.plus(seconds(10)) }
}

#[test]
fn a_refused_call_is_recorded_as_waiting_and_not_as_started() {
    given_gate(ONE, json!({"id": 1}), refused())
        .then(&["started", "reserve held by Breaker"])
        .then_out(&["reserve waits"])
        .then_status(SagaStatus::Waiting)
        .then_due_in(Some(seconds(10)));
}

#[test]
fn a_held_call_leaves_when_the_guard_lets_it() {
    given_gate(ONE, json!({"id": 1}), refused())
        .while_gate(AdmissionVerdict::Admitted)
        .when_due()
        .then(&["reserve sent"])
        .when("reserve", busy())
        .then(&["reserve #1 failed (busy), rests"]);
}

#[test]
fn a_guard_that_names_the_past_is_asked_again_a_moment_later() {
    let past = AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START };
    given_gate(ONE, json!({"id": 1}), past).when_due().then(&["reserve held by Breaker"]).when_due();
}

#[test]
fn a_refusal_uses_up_no_attempt() {
    given(ONE)
        .when("reserve", not_sent())
        .then(&["reserve held by Bulkhead"])
        .then_due_in(Some(seconds(1)))
        .when_due()
        .when("reserve", busy())
        .when_due()
        .when("reserve", busy())
        .then_status(SagaStatus::Compensated);
}

#[test]
fn a_refusal_of_a_later_attempt_says_that_something_was_sent_before() {
    given(ONE)
        .when("reserve", lost())
        .while_gate(refused())
        .when_due()
        .then(&["reserve held by Breaker, sent before"])
        .while_gate(AdmissionVerdict::Admitted)
        .when_due()
        .then(&["reserve sent #2"]);
}

#[test]
fn deadlines_hold_while_a_guard_refuses() {
    let until_later = AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START.plus(seconds(100)) };
    given_gate(&format!("timeout: 40s{ONE}"), json!({"id": 1}), until_later)
        .then_due_in(Some(seconds(40)))
        .when_due()
        .then(&["goes back (timeout)", "reserve failed (stopped)", "compensated"]);
}

#[test]
fn a_step_whose_time_ends_and_that_never_left_is_failed() {
    const BODY: &str = "steps: [{step: reserve, do: stock.Reserve, undo: stock.Release, timeout: 5s}]";
    given_gate(BODY, json!({"id": 1}), refused()).when_due().then(&[
        "reserve failed (timeout)",
        "goes back (reserve: timeout)",
        "compensated",
    ]);
    given(BODY).when("reserve", not_sent()).while_gate(refused()).when_due().when_passed(seconds(5)).then(&[
        "reserve failed (timeout)",
        "goes back (reserve: timeout)",
        "compensated",
    ]);
}

#[test]
fn a_refused_undo_waits_and_is_not_given_up() {
    given("steps: [{step: a, do: stock.A, undo: stock.UndoA}, {step: b, do: stock.B, undo: stock.UndoB}]")
        .when("a", done())
        .while_gate(refused())
        .when("b", declined())
        .then(&["b #1 failed (declined)", "b failed (declined)", "goes back (b: declined)", "undo a held by Breaker"])
        .then_status(SagaStatus::Compensating)
        .while_gate(AdmissionVerdict::Admitted)
        .when_due()
        .then(&["undo a sent"])
        .when("undo a", not_sent())
        .then(&["undo a held by Bulkhead"])
        .when_due()
        .when("undo a", done())
        .then(&["undo a succeeded", "compensated"]);
}

#[test]
fn a_participant_that_is_gone_parks_the_saga_until_it_is_back() {
    given_gate(ONE, json!({"id": 1}), AdmissionVerdict::Gone)
        .then(&["started", "reserve failed (participant_gone)", "parked (reserve: participant_gone)"])
        .while_gate(AdmissionVerdict::Admitted)
        .when_operator(OperatorAction::Retry)
        .then(&["operator: retry", "reserve sent"])
        .when("reserve", done())
        .then_status(SagaStatus::Completed);
}

#[test]
fn a_participant_that_is_gone_between_two_attempts_parks_the_saga() {
    given(ONE)
        .when("reserve", lost())
        .while_gate(AdmissionVerdict::Gone)
        .when_due()
        .then(&["reserve unknown (participant_gone)", "parked (reserve unknown: participant_gone)"]);
}

#[test]
fn a_command_that_is_refused_again_and_again_rests_longer_each_time() {
    let past = AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START };
    let mut saga = given_gate(ONE, json!({"id": 1}), past);
    let mut rests = Vec::new();
    for _ in 0..10 {
        saga = saga.when_due();
        let due = crate::given::next_due(&saga.state, &saga.plan).expect("it waits");
        rests.push(due.since(saga.state.last_at));
    }
    assert!(rests.iter().all(|rest| *rest <= seconds(30)), "{rests:?}");
    assert!(rests[0] <= seconds(1) && rests[9] >= seconds(15), "{rests:?}");
    saga.while_gate(AdmissionVerdict::Admitted).when_due().then(&["reserve sent"]);
}

#[test]
fn a_first_refusal_keeps_the_time_that_the_guard_names_and_so_does_the_first_after_an_answer() {
    let held =
        |saga: &Saga| crate::given::next_due(&saga.state, &saga.plan).expect("it waits").since(saga.state.last_at);
    let mut saga = given(ONE);
    for _ in 0..6 {
        saga = saga.when("reserve", not_sent()).when_due();
    }
    let long = saga.when("reserve", not_sent());
    assert!(held(&long) > seconds(5), "{:?}", held(&long));
    long.when_due()
        .when("reserve", lost())
        .when_due()
        .when("reserve", not_sent())
        .then(&["reserve held by Bulkhead, sent before"])
        .then_due_in(Some(seconds(1)));
}

#[test]
fn a_retried_step_begins_with_short_rests_again() {
    let mut saga = given("onExhausted: park\nsteps: [{step: a, do: stock.A, undo: stock.UndoA, timeout: 40s}]");
    while saga.state.status() != SagaStatus::Parked {
        saga = if saga.state.command(saga.command("a")).attempt > 0 {
            saga.when("a", not_sent())
        } else {
            saga.when_due()
        };
    }
    saga.when_operator(OperatorAction::Retry)
        .then(&["operator: retry", "a sent #1"])
        .when("a", not_sent())
        .then_due_in(Some(seconds(1)));
}

#[test]
fn rows_of_waiting_for_a_guard_do_not_count_against_the_limit_of_a_journal() {
    let mut asked =
        given_gate(ONE, json!({"id": 1}), AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: START });
    let mut offered = given(ONE);
    let (rows_asked, rows_offered) = (asked.state.counted_rows, offered.state.counted_rows);
    for _ in 0..20 {
        asked = asked.when_due().then(&["reserve held by Breaker"]);
        offered = offered.when("reserve", not_sent()).when_due().then(&["reserve sent #1"]);
    }
    assert_eq!(asked.state.counted_rows, rows_asked);
    assert_eq!(offered.state.counted_rows, rows_offered);
}

#[test]
fn a_saga_at_the_limit_of_its_journal_goes_on_waiting_and_parks_when_it_does_more() {
    let at_limit = || {
        let mut saga = given_gate(ONE, json!({"id": 1}), refused());
        saga.state.counted_rows = decide::HISTORY_LIMIT - 1;
        saga
    };
    for (gate, parks) in [(refused(), false), (AdmissionVerdict::Admitted, true)] {
        let mut saga = at_limit();
        let now = crate::given::next_due(&saga.state, &saga.plan).expect("it waits");
        let outcome = Surroundings::at(now)
            .gate(gate)
            .decide(|context| decide::decide(&saga.plan, &mut saga.state, &SagaInput::TimeReached, context));
        assert!(matches!(outcome, Ok(DecisionOutcome::Decided(_))));
        assert_eq!(saga.state.status() == SagaStatus::Parked, parks, "{gate:?}");
    }
}

#[test]
fn a_guard_that_still_refuses_costs_no_row() {
    given_gate(ONE, json!({"id": 1}), refused())
        .when_released("reserve")
        .then_ignored(&IgnoreReason::StillHeld { guard: GuardKind::Breaker, not_before: START.plus(seconds(10)) })
        .then_status(SagaStatus::Waiting)
        .while_gate(AdmissionVerdict::Refused { guard: GuardKind::RateLimit, not_before: START.plus(seconds(5)) })
        .when_released("reserve")
        .then(&["reserve held by RateLimit"])
        .while_gate(AdmissionVerdict::Admitted)
        .when_released("reserve")
        .then(&["reserve sent"]);
}

#[test]
fn a_publication_waits_in_the_line_of_its_topic_and_costs_one_row() {
    let tell = "steps: [{step: tell, publish: news, type: Told, with: {}, irreversible: true}]";
    let saga = given_gate(tell, json!({"id": 1}), refused()).then(&["started", "tell held by Breaker"]);
    let waits = react(&saga.plan, &saga.state);
    let [SagaEffect::Wait(wait)] = waits.as_slice() else { panic!("it waits in a line: {waits:?}") };
    assert_eq!(wait.whose, GuardOwner::Topic("news".into()));
    assert_eq!(saga.state.next_due_beside_guards(&saga.plan), None);
    assert_eq!(saga.state.view(&saga.plan).waits_on, ["breaker:news"]);
    let not_before = START.plus(seconds(10));
    saga.when_released("tell").then_ignored(&IgnoreReason::StillHeld { guard: GuardKind::Breaker, not_before });
}

#[test]
fn only_what_a_guard_holds_is_released() {
    given(ONE)
        .when_released("reserve")
        .then_ignored(&IgnoreReason::NotDue)
        .when("reserve", busy())
        .when_released("reserve")
        .then_ignored(&IgnoreReason::NotDue);
}

#[test]
fn what_a_guard_holds_waits_in_its_line_and_deadlines_hold_beside_it() {
    let saga = given_gate(&format!("timeout: 40s{ONE}"), json!({"id": 1}), refused());
    let waits: Vec<_> = react(&saga.plan, &saga.state).into_iter().collect();
    let [SagaEffect::Wait(wait)] = waits.as_slice() else { panic!("it waits in a line: {waits:?}") };
    assert_eq!(
        (wait.whose.clone(), wait.guard, wait.since),
        (GuardOwner::Participant("stock".into()), GuardKind::Breaker, START)
    );
    assert_eq!(saga.state.next_due_beside_guards(&saga.plan), Some(START.plus(seconds(40))));
    assert_eq!(crate::given::next_due(&saga.state, &saga.plan), Some(START.plus(seconds(10))));
    let next: Vec<String> = saga.state.view(&saga.plan).next.iter().map(NextActivityView::text).collect();
    let ends = format!("the saga's time ends (then it is compensated) at {}", rfc3339(START.plus(seconds(40))));
    assert_eq!(next, ["reserve is sent when calls to stock are let through".to_owned(), ends]);
}

#[test]
fn the_nearest_of_what_time_brings_is_what_is_next() {
    let next = |saga: &Saga| -> Vec<String> {
        saga.state.view(&saga.plan).next.iter().map(|next| next.what.clone()).collect()
    };
    let saga = given(ONE);
    assert_eq!(next(&saga), ["attempt 1 of reserve times out"]);
    assert_eq!(next(&saga.when("reserve", busy())), ["attempt 2 of reserve is sent"]);
}

#[test]
fn a_probe_that_failed_waits_behind_who_has_waited_since_before() {
    let since = |saga: &Saga| match react(&saga.plan, &saga.state).as_slice() {
        [SagaEffect::Wait(wait)] => wait.since,
        other => panic!("it waits in a line: {other:?}"),
    };
    let saga = given_gate(ONE, json!({"id": 1}), refused()).when_due();
    assert_eq!(since(&saga), START, "however often it is refused");
    let saga = saga.while_gate(AdmissionVerdict::Admitted).when_due().when("reserve", busy());
    let saga = saga.while_gate(refused()).when_due();
    assert!(since(&saga) > START.plus(seconds(10)), "{:?}", since(&saga));
}

#[test]
fn what_was_never_tried_has_the_age_of_its_saga() {
    let two = "steps:\n  - {step: a, do: stock.A, undo: stock.UndoA}\n  - {step: b, do: stock.B, undo: stock.UndoB}";
    let saga = given(two).when_passed(seconds(10)).while_gate(refused()).when("a", done());
    let waits = react(&saga.plan, &saga.state);
    let [SagaEffect::Wait(wait)] = waits.as_slice() else { panic!("it waits in a line: {waits:?}") };
    assert_eq!(wait.since, START);
}

#[test]
fn nothing_waits_in_a_line_for_a_saga_that_is_parked() {
    let saga = given_gate(ONE, json!({"id": 1}), refused()).while_gate(AdmissionVerdict::Gone).when_released("reserve");
    saga.then_status(SagaStatus::Parked).then_out(&[]);
}

#[test]
fn what_holds_a_saga_is_each_guard_once_and_only_while_it_goes_on() {
    const TWO: &str = "
steps:
  - parallel:
      - {step: reserve, do: stock.Reserve, undo: stock.Release}
      - {step: note, do: stock.Note, undo: stock.Forget}
      - {step: charge, do: POST bank/charges, undo: POST bank/refunds}
";
    given_gate(TWO, json!({"id": 1}), refused())
        .then_held_by(&["breaker:bank", "breaker:stock"])
        .while_gate(AdmissionVerdict::Admitted)
        .when_due()
        .then_held_by(&[]);
}

#[test]
fn an_attempt_that_finds_out_whether_the_participant_is_back_is_not_counted() {
    let mut saga = given(ONE).when("reserve", busy());
    for attempt in 2..6 {
        saga = saga.while_gate(AdmissionVerdict::Probe).when_due();
        assert_eq!(saga.state.command(saga.command("reserve")).attempt, attempt);
        saga = saga.when("reserve", lost()).then_status(SagaStatus::Waiting);
    }
    saga.while_gate(AdmissionVerdict::Admitted)
        .when_due()
        .when("reserve", lost())
        .then_status(SagaStatus::Compensating);
}

#[test]
fn a_probe_that_a_guard_took_back_may_begin_again_and_count() {
    let saga = given_gate(ONE, json!({"id": 1}), AdmissionVerdict::Probe).when("reserve", not_sent());
    let saga = saga.while_gate(AdmissionVerdict::Admitted).when_due().when("reserve", busy());
    assert_eq!(saga.state.command(saga.command("reserve")).attempts_used(), 1);
}
