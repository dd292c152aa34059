//! A record with another payload under the key of a saga.

use crate::given::{Saga, done, given};
use saga_core::{
    decide::{IgnoreReason, KEY_TAKEN_KEPT},
    input::SagaInput,
    state::SagaStatus,
};

const ONE: &str = "steps: [{step: reserve, do: stock.Reserve, undo: stock.Release}]\n";

fn taken(saga: Saga, record: usize) -> Saga {
    saga.input(&SagaInput::KeyTaken { record: format!("orders/0/{record}"), payload: format!("sha256 {record}…") })
}

#[test]
fn it_is_an_incident_whether_the_saga_runs_or_has_ended_and_changes_nothing_else() {
    let saga = taken(given(ONE), 1).then(&["incident (key_taken)"]).then_status(SagaStatus::Running);
    let saga = saga.when("reserve", done()).then(&["reserve succeeded", "completed"]);
    let saga = taken(saga, 2).then(&["incident (key_taken)"]).then_status(SagaStatus::Completed);
    assert_eq!(saga.state.incidents.len(), 2);
    assert!(saga.state.incidents[1].failure.message.contains("record orders/0/2 with another payload"));
}

#[test]
fn a_record_that_is_read_again_is_on_record_once() {
    let saga = taken(given(ONE), 1).recovered();
    taken(saga, 1).then_ignored(&IgnoreReason::KeyTaken { is_full: false });
}

#[test]
fn ten_thousand_of_them_are_not_ten_thousand_rows() {
    let saga = (0..10_000).fold(given(ONE), taken);
    let saga = saga.then_ignored(&IgnoreReason::KeyTaken { is_full: true });
    assert_eq!(saga.state.version as usize, 1 + KEY_TAKEN_KEPT);
    let last = saga.state.incidents.last().expect("there are some");
    assert!(last.failure.message.contains("the engine counts further ones"), "{}", last.failure.message);
}
