use super::*;
use saga_core::{
    id::{SagaId, Shard},
    time::Timestamp,
};
use serde_json::json;

fn reserve(direction: Direction) -> CommandId {
    CommandId { saga: SagaId::new(Timestamp(1_000), Shard(1), 7), step: "reserve".into(), direction }
}

fn declined(_: Past) -> Verdict {
    Verdict::Declined { code: "out_of_stock".into(), message: "none left".into() }
}

async fn ledger(folder: &tempfile::TempDir) -> Ledger {
    Ledger::open(&folder.path().join("participants.db")).await.expect("the ledger opens")
}

async fn answer(ledger: &Ledger, command: CommandId, perform: impl FnOnce(Past) -> Verdict) -> (Verdict, Hearing) {
    ledger.answer(&command, perform).await.expect("the ledger answers")
}

#[tokio::test]
async fn what_was_done_is_answered_alike_for_ever_after_a_restart_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = ledger(&folder).await;
    let first = answer(&before, reserve(Direction::Do), |_| Verdict::Done(json!({"reservationId": 1}))).await;
    assert_eq!(first, (Verdict::Done(json!({"reservationId": 1})), Hearing::First));
    drop(before);
    let again = answer(&ledger(&folder).await, reserve(Direction::Do), |_| panic!("it was done")).await;
    assert_eq!(again, (first.0, Hearing::Again));
}

#[tokio::test]
async fn an_undo_whose_do_never_came_is_accepted_and_the_late_do_does_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ledger = ledger(&folder).await;
    let nothing_to_undo = |past| {
        assert_eq!(past, Past::Nothing);
        Verdict::Done(json!({"undone": false}))
    };
    let undo = answer(&ledger, reserve(Direction::Undo), nothing_to_undo).await;
    assert!(matches!(undo, (Verdict::Done(_), Hearing::First)));
    for _ in 0..2 {
        let late = answer(&ledger, reserve(Direction::Do), |_| panic!("its undo came first")).await;
        assert!(matches!(late.0, Verdict::Declined { code, .. } if code == UNDONE));
    }
}

#[tokio::test]
async fn an_undo_learns_what_became_of_its_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ledger = ledger(&folder).await;
    answer(&ledger, reserve(Direction::Do), |_| Verdict::Done(json!({}))).await;
    let undo = |past| Verdict::Done(json!({"undone": past == Past::Done}));
    assert_eq!(answer(&ledger, reserve(Direction::Undo), undo).await.0, Verdict::Done(json!({"undone": true})));
    let repeated = answer(&ledger, reserve(Direction::Undo), |_| panic!("it was undone")).await;
    assert_eq!(repeated.1, Hearing::Again);
}

#[tokio::test]
async fn a_refusal_had_no_effect_so_who_insists_is_heard_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ledger = ledger(&folder).await;
    answer(&ledger, reserve(Direction::Do), declined).await;
    let insisted = answer(&ledger, reserve(Direction::Do), |past| {
        assert_eq!(past, Past::Declined);
        Verdict::Done(json!({}))
    });
    assert_eq!(insisted.await, (Verdict::Done(json!({})), Hearing::First));
    let again = answer(&ledger, reserve(Direction::Do), |_| panic!("it was done")).await;
    assert_eq!(again.1, Hearing::Again);
}

#[tokio::test]
async fn the_commands_of_two_sagas_or_steps_do_not_know_of_each_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ledger = ledger(&folder).await;
    let charge = CommandId { step: "charge".into(), ..reserve(Direction::Undo) };
    let other_saga = CommandId { saga: SagaId::new(Timestamp(1_000), Shard(1), 8 << 2), ..reserve(Direction::Undo) };
    for undo in [charge, other_saga] {
        answer(&ledger, undo, |_| Verdict::Done(json!({}))).await;
    }
    assert_eq!(answer(&ledger, reserve(Direction::Do), |_| Verdict::Done(json!(1))).await.0, Verdict::Done(json!(1)));
}
