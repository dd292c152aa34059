//! An operator moves a saga to another text of its definition, if it fits where the saga stands.

use crate::given::{Saga, busy, conflict, declined, done, given, lost, result, seconds};
use saga_core::{
    command::CommandAnswer,
    event::OperatorAction::{Abandon, Cancel, Retry},
    state::SagaStatus::{Compensated, Compensating, Completed, Parked, Running, Waiting},
};
use serde_json::json;

const ORDER: &str = "
timeout: 15m
retry: {attempts: 3, delay: 2s, backoff: constant, jitter: none}
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - {step: cool, wait: 10s}
  - {step: charge, do: POST bank/charges, undo: POST bank/refunds, pivot: true}
  - {step: ship, do: stock.Ship}
";

/// The same with one step more, below all others.
fn longer() -> String {
    format!("{ORDER}  - {{step: tell, do: stock.Tell}}\n")
}

fn changed(from: &str, to: &str) -> String {
    assert!(ORDER.contains(from), "{from}");
    ORDER.replace(from, to)
}

#[test]
fn a_saga_under_way_goes_on_by_the_new_text_without_a_pause() {
    given(ORDER)
        .when_migrated(&longer())
        .then(&["another definition", "operator: migrate"])
        .then_status(Running)
        .then_out(&["reserve"])
        .recovered()
        .when("reserve", done())
        .when_due()
        .when("charge", done())
        .when("ship", done())
        .then_out(&["tell"])
        .when("tell", done())
        .then_status(Completed);
}

#[test]
fn what_is_new_and_has_nothing_to_wait_for_begins_with_the_move() {
    let beside = changed(
        "{step: ship, do: stock.Ship}",
        "{step: ship, do: stock.Ship}\n  - {step: tell, do: stock.Tell, after: [charge]}",
    );
    given(ORDER)
        .when("reserve", done())
        .when_due()
        .when("charge", done())
        .when_migrated(&beside)
        .then(&["another definition", "operator: migrate", "tell sent"])
        .then_out(&["ship", "tell"]);
}

#[test]
fn what_waits_between_attempts_waits_on_and_what_is_undone_is_undone() {
    given(ORDER)
        .when("reserve", busy())
        .then_status(Waiting)
        .when_migrated(&longer())
        .then(&["another definition", "operator: migrate"])
        .then_due_in(Some(seconds(2)))
        .when_due()
        .when("reserve", done())
        .when_operator(Cancel)
        .then_status(Compensating)
        .when_migrated(ORDER)
        .then(&["another definition", "operator: migrate"])
        .recovered()
        .when("undo reserve", done())
        .then_status(Compensated);
}

#[test]
fn a_parked_saga_stays_parked_and_is_retried_by_the_new_text() {
    let mended = changed("do: stock.Ship", "do: stock.ShipNow");
    let typo = changed("do: stock.Ship}", "do: stock.Ship, with: {to: \"${ event.adress }\"}}");
    given(&typo)
        .when("reserve", done())
        .when_due()
        .when("charge", done())
        .then_status(Parked)
        .when_migrated(&mended)
        .then(&["another definition", "operator: migrate"])
        .then_status(Parked)
        .then_out(&[])
        .recovered()
        .when_operator(Retry)
        .then(&["operator: retry", "ship sent"])
        .when("ship", done())
        .then_status(Completed);
}

#[test]
fn the_same_act_changes_nothing_twice_and_its_id_is_its_own() {
    let saga = given(ORDER).when_migrated(&longer());
    let again = saga.clone().when_act("act-1", Cancel);
    again.then_refused("that of a migrate on record");
    saga.when_migrated(&longer()).then_refused("already");
}

#[test]
fn a_text_that_does_not_fit_is_refused_with_the_reason_and_nothing_changes() {
    let reserve = "{step: reserve, do: stock.Reserve, undo: stock.Release}";
    let misfits = [
        (
            changed(
                reserve,
                "{step: look, do: GET bank/x, readOnly: true}\n  - {step: reserve, do: stock.Reserve, undo: stock.Release}",
            ),
            "number 1 and is number 2",
        ),
        (changed("step: reserve", "step: hold"), "there it is missing"),
        (changed("stock.Reserve", "stock.Hold"), "step `reserve` is under way, and there it asks for something else"),
        (changed("stock.Reserve", "POST bank/reserve"), "under way"),
        (changed(reserve, "{step: reserve, wait: 5s}"), "begun as one that asks a participant"),
        (changed("undo: stock.Release}", "irreversible: true}"), "there it has no undo"),
        (changed("stock.Release", "POST bank/release"), "sends its undo to another participant"),
        (changed("15m", "2m"), "the saga's `timeout` there is over already"),
        (
            changed("undo: stock.Release}", "undo: stock.Release, timeout: 2m}"),
            "the `timeout` of step `reserve` there is over already",
        ),
    ];
    for (text, why) in misfits {
        given(ORDER).at(crate::given::START.plus(seconds(180))).when_migrated(&text).then_refused(why);
    }
    given(ORDER).when_migrated(ORDER).then_refused("already");
    given(ORDER).when_operator(Abandon).when_migrated(&longer()).then_refused("cannot change any more");
}

#[test]
fn a_step_that_has_begun_keeps_its_side_of_the_pivot() {
    let no_pivot = changed(", pivot: true", "")
        .replace("{step: ship, do: stock.Ship}", "{step: ship, do: stock.Ship, pivot: true, undo: stock.Back}");
    given(ORDER).when("reserve", done()).when_due().when_migrated(&no_pivot).then_refused("other side of the pivot");
    given(ORDER).when("reserve", done()).when_migrated(&no_pivot).then(&["another definition", "operator: migrate"]);
}

const BESIDE: &str = "
retry: {attempts: 1}
steps:
  - {step: a, do: stock.A, undo: stock.UndoA}
  - {step: b, do: stock.B, undo: stock.UndoB}
  - {step: c, do: stock.C, undo: stock.UndoC}
";

#[test]
fn steps_that_have_begun_keep_their_order() {
    let beside = BESIDE.replace("undo: stock.UndoB", "undo: stock.UndoB, after: []");
    given(BESIDE).when("a", done()).when_migrated(&beside).then_refused("step `b` followed `a`, and there it does not");
    given(&beside)
        .when_migrated(BESIDE)
        .then_refused("step `b` has begun, and there it follows `a`, which is not done");
    given(&beside).when("a", done()).when_migrated(BESIDE).then(&["another definition", "operator: migrate"]);
    let waits = BESIDE.replace("undo: stock.UndoB}", "undo: stock.UndoB, after: [a, d]}")
        + "  - {step: d, do: stock.D, undo: stock.UndoD, after: [a]}\n";
    given(BESIDE).when("a", done()).when_migrated(&waits).then_refused("follows `d`, which has not");
}

#[test]
fn what_follows_from_a_bad_end_follows_there_as_well() {
    let park = |more: &str| {
        format!(
            "onExhausted: park\n{}",
            BESIDE.trim_start().replace("undo: stock.UndoA}", &format!("undo: stock.UndoA{more}}}"))
        )
    };
    let parked = || given(&park("")).when("a", lost()).then_status(Parked);
    parked().when_migrated(&park(", optional: true")).then_refused("something else follows");
    parked().when_migrated(&park(", onExhausted: compensate")).then_refused("something else follows");
    parked().when_migrated(&park("").replace("stock.C", "stock.C2")).then_status(Parked);
    let optional = BESIDE.replace("undo: stock.UndoA}", "undo: stock.UndoA, optional: true}");
    given(&optional).when("a", declined()).when_migrated(BESIDE).then_refused("something else follows");
}

#[test]
fn a_saga_at_its_end_and_another_saga_s_text_are_refused() {
    let told = format!("onCompleted: {{publish: news, type: Done}}{}", BESIDE);
    let due = given(&told).when("a", done()).when("b", done()).when("c", done()).then_out(&["outcome"]);
    due.when_migrated(BESIDE).then_refused("at its end");
}

/// Lives that end in every way, as the answers to what is asked, in turn.
fn lives() -> Vec<Vec<CommandAnswer>> {
    let id = || result(json!({"id": 7}));
    vec![
        vec![id(), done(), done(), done()],
        vec![busy(), id(), lost(), done(), done(), done()],
        vec![id(), declined(), done(), done()],
        vec![id(), conflict(), conflict(), conflict(), done(), busy(), done()],
        vec![lost(), lost(), lost(), busy(), done()],
        vec![declined(), done()],
    ]
}

/// Goes on until it ends: what is out gets the next answer, else time passes. Moved after `moved` inputs.
fn lived(answers: &[CommandAnswer], moved: Option<usize>) -> Saga {
    let mut saga = given(ORDER);
    let mut answers = answers.iter().cloned();
    for count in 0..40 {
        if moved == Some(count) {
            saga = saga.when_migrated(&format!("{ORDER}# moved\n"));
            assert!(saga.state.status().is_terminal() || saga.journal.len() > 1 && saga.plan.before.is_some());
        }
        if saga.state.status().is_terminal() {
            break;
        }
        let out = saga.out();
        saga = match out.first().filter(|out| !out.ends_with(" waits")) {
            Some(command) => {
                let answer = answers.next().unwrap_or_else(done);
                saga.when(command, answer)
            }
            None if saga.state.status() == Parked => saga.when_operator(Retry),
            None => saga.when_due(),
        };
    }
    assert!(saga.state.status().is_terminal(), "{:?}", saga.state.course);
    saga
}

#[test]
fn a_saga_that_is_moved_to_an_equal_text_at_any_moment_ends_as_it_would_have() {
    for answers in lives() {
        let stayed = lived(&answers, None);
        for moment in 0..stayed.journal.len() + 3 {
            let moved = lived(&answers, Some(moment));
            assert_eq!(moved.state.course, stayed.state.course, "moved after {moment} inputs");
            assert_eq!(moved.state.steps.len(), stayed.state.steps.len());
            assert_eq!(moved.state.results, stayed.state.results, "moved after {moment} inputs");
        }
    }
}
