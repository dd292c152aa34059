//! The owner is lost after any decision: the next one folds the journal, finds the same things outstanding, and comes
//! to the same end.

use crate::given::{START, Saga, declined, done, given, lost, ongoing, seconds};
use saga_core::{
    command::CommandAnswer,
    event::{OperatorAction, SagaDecision, SagaEvent},
    evolve::{self, FoldError},
    id::StepIndex,
    input::OutcomeDelivery,
    react::{SagaEffect, react},
    state::EventPosition,
    time::Timestamp,
};

/// One thing that happens in a scenario.
#[derive(Clone)]
enum Happens {
    Done(&'static str),
    Declined(&'static str),
    Lost(&'static str),
    Ongoing(&'static str),
    Due,
    Acts(OperatorAction),
    Delivered,
}

use Happens::{Acts, Declined, Delivered, Done, Due, Lost, Ongoing};

fn happens(saga: Saga, what: &Happens) -> Saga {
    match what {
        Done(command) => saga.when(command, done()),
        Declined(command) => saga.when(command, declined()),
        Lost(command) => saga.when(command, lost()),
        Ongoing(command) => saga.when(command, ongoing()),
        Due => saga.when_due(),
        Acts(action) => saga.when_operator(*action),
        Delivered => saga.when_outcome(OutcomeDelivery::Acknowledged),
    }
}

/// Runs the scenario once as it is, and once for each decision after which the owner is lost.
fn comes_to_the_same_end(body: &str, scenario: &[Happens]) {
    let whole = scenario.iter().fold(given(body), happens);
    assert!(whole.state.status().is_terminal(), "{:?}", whole.state.course);
    for cut in 0..scenario.len() {
        let before = scenario[..cut].iter().fold(given(body), happens);
        let outstanding = react(&before.plan, &before.state);
        let after = before.recovered();
        assert_eq!(react(&after.plan, &after.state), outstanding, "cut after {cut}");
        let end = scenario[cut..].iter().fold(after, happens);
        assert_eq!(end.journal, whole.journal, "cut after {cut}");
    }
}

const SHOP: &str = "
retry: {attempts: 2, delay: 3s, jitter: none}
onCompleted: {publish: news, type: Done}
onCompensated: {publish: news, type: Undone}
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - parallel:
      - {step: fraud, do: POST bank/checks, readOnly: true}
      - {step: loyalty, do: POST bank/loyalty, undo: POST bank/loyalty/cancel, optional: true}
  - {step: rest, wait: 10m}
  - {step: charge, do: POST bank/charges, pivot: true}
  - {step: ship, do: stock.Ship}
";

#[test]
fn a_saga_that_completes() {
    comes_to_the_same_end(
        SHOP,
        &[
            Done("reserve"),
            Ongoing("fraud"),
            Lost("loyalty"),
            Done("fraud"),
            Due,
            Lost("loyalty"),
            Done("undo loyalty"),
            Due,
            Lost("charge"),
            Due,
            Done("charge"),
            Due,
            Due,
            Done("ship"),
            Delivered,
        ],
    );
}

#[test]
fn a_saga_that_is_undone() {
    comes_to_the_same_end(
        SHOP,
        &[
            Lost("reserve"),
            Due,
            Done("reserve"),
            Done("loyalty"),
            Declined("fraud"),
            Lost("undo loyalty"),
            Due,
            Done("undo loyalty"),
            Due,
            Due,
            Done("undo reserve"),
            Delivered,
        ],
    );
}

#[test]
fn a_saga_that_parks_and_is_moved_on() {
    comes_to_the_same_end(
        SHOP,
        &[
            Done("reserve"),
            Done("fraud"),
            Declined("loyalty"),
            Due,
            Lost("charge"),
            Due,
            Lost("charge"),
            Acts(OperatorAction::Retry),
            Done("charge"),
            Declined("ship"),
            Acts(OperatorAction::Skip),
            Delivered,
        ],
    );
}

#[test]
fn a_saga_that_is_cancelled() {
    comes_to_the_same_end(
        SHOP,
        &[
            Done("reserve"),
            Acts(OperatorAction::Cancel),
            Done("fraud"),
            Due,
            Done("undo loyalty"),
            Declined("undo reserve"),
            Acts(OperatorAction::Skip),
            Delivered,
        ],
    );
}

/// When, and by what, everything that is outstanding was caused: the time and the cause that its records tell.
fn told(saga: &Saga) -> Vec<(Timestamp, EventPosition)> {
    let told = |effect: &SagaEffect| match effect {
        SagaEffect::Call(call) => Some((call.at, call.cause)),
        SagaEffect::Publish(publish) => Some((publish.at, publish.cause)),
        SagaEffect::Wait(_) => None,
    };
    react(&saga.plan, &saga.state).iter().filter_map(told).collect()
}

#[test]
fn what_is_sent_again_tells_the_time_and_the_cause_of_its_attempt_whatever_happened_since() {
    const BESIDE: &str = "
retry: {attempts: 2, delay: 1s, jitter: none}
onCompleted: {publish: news, type: Done}
steps:
  - parallel: [{step: a, do: stock.A, undo: stock.UndoA}, {step: b, do: stock.B, undo: stock.UndoB}]
";
    let asks = CommandAnswer::Ongoing { ask_after: Some(seconds(3)), location: None };
    let saga = given(BESIDE);
    let [first, other] = told(&saga)[..] else { panic!("two commands are out") };
    let saga = saga.at(START.plus(seconds(2))).when("b", done()).when("a", asks).when_due().then_noted();
    assert_ne!(saga.state.last_at, START);
    assert_eq!((told(&saga), other.0), (vec![first], START));
    let saga = saga.recovered();
    assert_eq!(told(&saga), [first]);
    let saga = saga.when("a", lost()).when_due().then(&["a sent #2"]);
    let cause = EventPosition { version: saga.state.version, index: 0 };
    assert_eq!(told(&saga), [(saga.state.last_at, cause)]);
    let saga = saga.when("a", done()).then(&["a succeeded", "outcome due: completed"]);
    let due = vec![(saga.state.last_at, EventPosition { version: saga.state.version, index: 1 })];
    assert_eq!((told(&saga), told(&saga.recovered())), (due.clone(), due));
}

#[test]
fn a_saga_is_pinned_to_the_hashes_of_its_definition_and_its_policies() {
    let saga = given(SHOP);
    let SagaEvent::SagaStarted { definition, policies, name, key, .. } = &saga.journal[0].events[0] else {
        panic!("{:?}", saga.journal[0])
    };
    assert_eq!((name.as_str(), key.as_str()), ("test", "4711"));
    assert_eq!(definition, &saga.plan.definition.hash);
    assert_eq!(policies, &saga.plan.policies.hash());
}

#[test]
fn rows_that_are_not_the_journal_of_one_saga_are_refused() {
    let saga = given(SHOP).when("reserve", done());
    let fold = |rows: &[SagaDecision]| evolve::fold(&saga.plan, saga.state.id, rows).map(|state| state.version);
    let (first, second) = (saga.journal[0].clone(), saga.journal[1].clone());
    let third = SagaDecision { version: 3, ..second.clone() };
    let elsewhere = SagaEvent::StepSkipped {
        step: StepIndex(99),
        direction: saga_core::command::CommandDirection::Do,
        in_doubt: false,
    };
    let foreign = SagaDecision { events: vec![elsewhere], ..second };
    let unstarted = SagaDecision { version: 1, ..second.clone() };
    let restarted = SagaDecision { version: 2, ..first.clone() };
    assert_eq!(fold(&[first.clone(), second.clone()]), Ok(2));
    assert_eq!(fold(&[]), Err(FoldError::Empty));
    assert_eq!(fold(&[second]), Err(FoldError::Gap { expected: 1, found: 2 }));
    assert_eq!(fold(&[unstarted]), Err(FoldError::NoStart { version: 1 }));
    assert_eq!(fold(&[first.clone(), restarted]), Err(FoldError::NoStart { version: 2 }));
    assert_eq!(fold(&[first.clone(), third]), Err(FoldError::Gap { expected: 2, found: 3 }));
    assert_eq!(fold(&[first, foreign]), Err(FoldError::NoSuchStep { version: 2, step: 99, steps: 6 }));
}
