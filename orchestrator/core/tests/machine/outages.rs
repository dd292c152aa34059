//! Deadlines count only time in which an answer could have been read.

use crate::given::{START, busy, done, given, ongoing, seconds};
use saga_core::{
    answerable::ALWAYS,
    decide::IgnoreReason,
    state::{SagaPlan, SagaState, SagaTimers, SendTime},
};

const ONCE: &str = "
retry: {attempts: 1}
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB}
";

#[test]
fn nothing_times_out_before_the_answers_that_lie_there_have_been_read() {
    given(ONCE)
        .when_passed(seconds(10))
        .while_cut_off()
        .recovered()
        .when_passed(seconds(300))
        .then_ignored(&IgnoreReason::NotDue)
        .while_reached()
        .when("a", done())
        .then(&["a succeeded", "b sent"]);
}

#[test]
fn an_attempt_has_the_rest_of_its_time_after_an_outage() {
    given(ONCE)
        .when_passed(seconds(10))
        .while_cut_off()
        .when_passed(seconds(300))
        .while_reached()
        .then_due_in(Some(seconds(20)))
        .when_passed(seconds(19))
        .then_ignored(&IgnoreReason::NotDue)
        .when_passed(seconds(1))
        .then(&["a #1 unknown (timeout)", "a unknown (timeout)", "goes back (a: timeout)", "undo a sent"]);
}

#[test]
fn what_is_prolonged_stands_still_too() {
    given(ONCE)
        .when_passed(seconds(10))
        .when("a", ongoing())
        .while_cut_off()
        .when_passed(seconds(100))
        .while_reached()
        .then_due_in(Some(seconds(30)));
}

#[test]
fn an_attempt_that_has_not_left_has_its_whole_time_from_when_it_leaves() {
    let left = START.plus(seconds(100));
    given(ONCE)
        .while_departure("a", SendTime::NotYet)
        .when_passed(seconds(100))
        .then_ignored(&IgnoreReason::NotDue)
        .then_due_in(Some(seconds(30)))
        .while_departure("a", SendTime::At(left))
        .when_passed(seconds(29))
        .then_ignored(&IgnoreReason::NotDue)
        .when_passed(seconds(1))
        .then(&["a #1 unknown (timeout)", "a unknown (timeout)", "goes back (a: timeout)", "undo a sent"]);
}

#[test]
fn what_waits_in_line_to_be_sent_once_more_is_due_when_it_has_left() {
    let mut saga = given(ONCE).recovered();
    let a = saga.command("a");
    let dues =
        |state: &SagaState, plan: &SagaPlan| state.dues_beside_lines(plan, &ALWAYS, START, |command| command == a);
    let sent_before = dues(&saga.state, &saga.plan);
    assert_eq!(sent_before, saga.state.dues(&saga.plan, &ALWAYS, START), "its time runs");
    saga.state.departs(a, 1, SendTime::NotYet);
    assert_eq!(dues(&saga.state, &saga.plan), SagaTimers::default());
}

#[test]
fn what_is_told_of_an_attempt_that_is_over_changes_nothing() {
    let mut saga = given(ONCE).when("a", done());
    let (before, a) = (saga.state.clone(), saga.command("a"));
    saga.state.departs(a, 1, SendTime::NotYet);
    assert_eq!(saga.state, before);
}

#[test]
fn a_rest_that_ends_in_an_outage_is_over_all_the_same() {
    given("retry: {attempts: 2, delay: 3s, jitter: none}\nsteps: [{step: a, do: POST bank/a, undo: POST bank/ua}]")
        .when("a", busy())
        .while_cut_off()
        .when_passed(seconds(3))
        .then(&["a sent #2"]);
}

const TIMED: &str = "
timeout: 10m
steps:
  - {step: a, wait: 5m}
  - {step: b, do: stock.B, undo: stock.UndoB, timeout: 4m, attemptTimeout: 3m}
";

#[test]
fn the_times_of_a_saga_and_of_a_step_are_extended_by_outages() {
    given(TIMED)
        .when_passed(seconds(300))
        .then(&["a succeeded", "b sent"])
        .while_cut_off()
        .when_passed(seconds(3600))
        .then_ignored(&IgnoreReason::NotDue)
        .while_reached()
        .then_due_in(Some(seconds(180)))
        .when_passed(seconds(170))
        .when("b", done())
        .then(&["b succeeded", "completed"]);
}

#[test]
fn times_that_count_outages_end_when_they_would_have_and_after_the_answers_were_read() {
    let counted = given(&format!("onOutage: count{TIMED}")).when_passed(seconds(300)).while_cut_off();
    let counted = counted.when_passed(seconds(3600)).then_ignored(&IgnoreReason::NotDue).while_reached();
    counted.when_due().then(&["goes back (timeout)"]).then_out(&["b"]);
    let answered = given(&format!("onOutage: count{TIMED}")).when_passed(seconds(300)).while_cut_off();
    let answered = answered.when_passed(seconds(3600)).while_reached();
    answered.when("b", done()).then(&["b succeeded", "completed"]);
}

#[test]
fn a_step_may_count_what_its_saga_does_not() {
    given(&TIMED.replace("timeout: 4m,", "timeout: 4m, onOutage: count,"))
        .when_passed(seconds(300))
        .while_cut_off()
        .when_passed(seconds(3600))
        .while_reached()
        .when_due()
        .then(&["b unknown (timeout)", "goes back (b: timeout)", "undo b sent"]);
}
