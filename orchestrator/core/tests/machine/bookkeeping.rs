//! What carries no news is no row: a saga that waits for a participant at work, or for a guard, costs rows at a bounded
//! rate and does not come to the limit of its journal by that.

use crate::given::{Saga, busy, done, given, lost, not_sent, ongoing, seconds};
use proptest::prelude::*;
use saga_core::{
    command::CommandAnswer,
    decide::IgnoreReason,
    event::SagaEvent,
    input::SagaInput,
    state::{CommandPhase, SagaStatus},
};
use std::time::Duration;

const KAFKA: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
steps: [{step: a, do: stock.A, undo: stock.UndoA}]
";
const HTTP: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
steps: [{step: a, do: POST bank/a, undo: POST bank/undo}]
";

/// At most one row for each of these, beside the first word of an attempt.
const RATE: Duration = Duration::from_secs(60);

fn accepted(location: Option<&str>, after: u64) -> CommandAnswer {
    CommandAnswer::Ongoing { ask_after: Some(seconds(after)), location: location.map(Into::into) }
}

fn told(saga: &Saga) -> usize {
    let events = saga.journal.iter().flat_map(|decision| &decision.events);
    events.filter(|event| matches!(event, SagaEvent::AttemptExtended { .. })).count()
}

/// It is asked, and at work still, over and over for a day.
fn polled_for_a_day(mut saga: Saga, answer: impl Fn(u64) -> CommandAnswer) -> Saga {
    const POLLS: u64 = 24 * 360;
    for poll in 0..POLLS {
        saga = saga.when("a", answer(poll)).when_due().then_noted().then_out(&["a"]);
    }
    saga
}

#[test]
fn a_day_of_polls_is_some_hundred_rows_that_do_not_count() {
    for location in [Some("jobs/1"), None] {
        let saga = polled_for_a_day(given(HTTP), |_| accepted(location, 10));
        assert!(saga.journal.len() < 200, "{} rows", saga.journal.len());
        assert_eq!(saga.state.counted_rows, 1);
        saga.when("a", done()).then(&["a succeeded", "completed"]);
    }
}

#[test]
fn a_participant_that_moves_the_place_to_ask_at_each_time_costs_no_more() {
    let saga = polled_for_a_day(given(HTTP), |poll| accepted(Some(&format!("jobs/1?poll={poll}")), 10));
    assert!(saga.journal.len() < 200, "{} rows", saga.journal.len());
    let asks = saga_core::react::react(&saga.plan, &saga.state);
    let saga_core::react::SagaEffect::Call(call) = &asks[0] else { panic!("a call") };
    assert_eq!(call.location.as_deref(), Some("jobs/1?poll=8639"), "it is asked where it said last");
}

#[test]
fn a_day_of_reports_of_progress_is_some_hundred_rows_that_do_not_count() {
    let mut saga = given(KAFKA);
    for _ in 0..24 * 180 {
        saga = saga.when_passed(seconds(20)).when("a", ongoing()).then_due_in(Some(seconds(30)));
    }
    assert!(saga.journal.len() < 200, "{} rows", saga.journal.len());
    saga.when("a", done()).then_status(SagaStatus::Completed);
}

#[test]
fn what_is_not_asked_because_a_guard_refuses_costs_no_row_however_long() {
    let mut saga = given(HTTP).when("a", accepted(Some("jobs/1"), 10)).when_due();
    let rows = saga.journal.len();
    for _ in 0..1_000 {
        saga = saga.when("a", not_sent()).then_noted().when_due().then_noted();
    }
    assert_eq!(saga.journal.len(), rows);
    saga.when("a", done()).then_status(SagaStatus::Completed);
}

#[test]
fn a_participant_that_goes_silent_after_it_was_at_work_is_unknown_after_the_attempt_s_time() {
    given(HTTP)
        .when("a", accepted(Some("jobs/1"), 10))
        .when_due()
        .when("a", accepted(Some("jobs/1"), 10))
        .then_noted()
        .when_due()
        .then_due_in(Some(seconds(7)))
        .when_due()
        .then(&["a #1 unknown (timeout), rests"]);
}

#[test]
fn a_new_owner_knows_that_the_participant_was_at_work_and_where_to_ask() {
    let saga = given(HTTP).when("a", accepted(Some("jobs/1"), 10)).when_due().recovered();
    let asks = saga_core::react::react(&saga.plan, &saga.state);
    let saga_core::react::SagaEffect::Call(call) = &asks[0] else { panic!("a call") };
    assert_eq!(call.location.as_deref(), Some("jobs/1"));
    saga.when("a", busy()).then(&["a #1 unknown (busy), rests"]);
}

/// What the participant said last is not on record.
#[test]
fn a_new_owner_gives_a_participant_at_work_its_whole_time_anew() {
    let at_work = given(KAFKA).when("a", ongoing()).when_passed(seconds(25)).when("a", ongoing()).then_noted();
    let at_work = at_work.when_passed(seconds(25)).when("a", ongoing()).then_noted().when_passed(seconds(25));
    at_work
        .taken_over()
        .then_due_in(Some(seconds(30)))
        .when_passed(seconds(29))
        .then_ignored(&IgnoreReason::NotDue)
        .when("a", ongoing())
        .then(&["a #1 ongoing"]);
}

#[test]
fn a_new_owner_asks_before_it_gives_up_whoever_was_to_be_asked() {
    let polled = (0..5).fold(given(HTTP), |saga, _| saga.when("a", accepted(Some("jobs/1"), 10)).when_due());
    polled.recovered_and_not_sent().when_passed(seconds(600)).then_noted().then_out(&["a"]);
}

#[test]
fn a_new_owner_waits_no_longer_than_that_for_a_participant_that_has_gone_silent() {
    let at_work = given(KAFKA).when("a", ongoing()).when_passed(seconds(25)).taken_over();
    at_work.when_passed(seconds(30)).then(&["a #1 unknown (timeout), rests"]);
}

fn happens(saga: Saga, what: u8, span: u64) -> Saga {
    match what {
        0 => saga.when("a", accepted(Some("jobs/1"), span)),
        1 => saga.when("a", accepted(None, span)),
        2 => saga.when("a", ongoing()),
        3 => saga.when("a", not_sent()),
        4 => saga.when("a", lost()),
        _ => saga.when_passed(seconds(span)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// However a participant and the guards mix what they say, rows without a step ahead come at a bounded rate.
    #[test]
    fn rows_are_bounded_by_attempts_and_time(http in any::<bool>(), life in prop::collection::vec((0..9u8, 1..20u64), 1..120)) {
        let mut saga = given(if http { HTTP } else { KAFKA });
        let begun = saga.now();
        for (what, span) in life {
            saga = happens(saga, what, span);
        }
        let attempts = saga.journal.iter().flat_map(|decision| &decision.events).filter(|event| {
            matches!(event, SagaEvent::StepStarted { .. } | SagaEvent::AttemptStarted { .. })
        }).count();
        let elapsed = usize::try_from(saga.now().since(begun).as_secs() / RATE.as_secs()).expect("small");
        let most = attempts + elapsed;
        prop_assert!(told(&saga) <= most, "{} rows of work under way, at most {most}", told(&saga));
    }
}

/// One who says in time, each time, that he is at work, or answers in time when he is asked.
#[derive(Clone, Copy, Debug)]
enum Work {
    Says,
    /// Another owner takes the saga over, so long before he says it again.
    TakenOver(u64),
    /// And no answer can be read for so long, which he waits for.
    CutOff(u64),
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![Just(Work::Says), (0..25u64).prop_map(Work::TakenOver), (0..300u64).prop_map(Work::CutOff)]
}

fn goes_on(saga: Saga, work: Work) -> Saga {
    match work {
        Work::Says => saga,
        Work::TakenOver(after) => saga.when_passed(seconds(after)).taken_over(),
        Work::CutOff(span) => saga.while_cut_off().when_passed(seconds(span)).taken_over().while_reached(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_reports_in_time_is_never_given_up_however_often_the_owner_changes(life in prop::collection::vec((work(), 0..5u64), 1..60)) {
        let mut saga = given(KAFKA);
        for (work, rest) in life {
            saga = goes_on(saga, work).when_passed(seconds(rest)).when("a", ongoing());
            prop_assert!(is_at_its_first_attempt(&saga), "{:?}", saga.state.command(saga.command("a")));
        }
        saga.when("a", done()).then_status(SagaStatus::Completed);
    }

    #[test]
    fn whoever_answers_when_asked_is_never_given_up_however_often_the_owner_changes(life in prop::collection::vec((work(), 1..20u64), 1..60)) {
        let mut saga = given(HTTP);
        for (work, after) in life {
            let saga_told = saga.when("a", accepted(Some("jobs/1"), after));
            saga = match work {
                Work::Says => saga_told.when_passed(seconds(after)),
                // It is asked at once, and answers within the attempt's time.
                Work::TakenOver(at) => goes_on(saga_told, Work::TakenOver(at.min(after))).when_passed(seconds(4)),
                Work::CutOff(_) => goes_on(saga_told, work).when_passed(seconds(4)),
            };
            prop_assert!(is_at_its_first_attempt(&saga), "{:?}", saga.state.command(saga.command("a")));
        }
        saga.when("a", done()).then_status(SagaStatus::Completed);
    }
}

fn is_at_its_first_attempt(saga: &Saga) -> bool {
    let command = saga.state.command(saga.command("a"));
    command.attempt == 1 && matches!(command.phase, CommandPhase::Attempting(_))
}

#[test]
fn an_input_that_notes_is_no_disposition_of_a_saga_that_has_ended() {
    let saga = given(KAFKA).when("a", done()).then_status(SagaStatus::Completed);
    let command = saga.command("a");
    saga.input(&SagaInput::Answered { command, attempt: Some(1), answer: ongoing() })
        .then_ignored(&saga_core::decide::IgnoreReason::Terminal);
}
