use super::*;
use saga_participant::{CommandDirection, SagaCommandId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn memory(folder: &tempfile::TempDir) -> SampleAnswerStore {
    late_by(folder, Duration::ZERO).await
}

async fn late_by(folder: &tempfile::TempDir, late: Duration) -> SampleAnswerStore {
    SampleAnswerStore::open(&folder.path().join("participants.db"), late).await.expect("the memory opens")
}

fn command(target: &str, step: &str, direction: CommandDirection, body: Value) -> SagaCommand {
    SagaCommand {
        id: SagaCommandId { saga: "01234567-89ab-7cde".into(), step: step.into(), direction },
        saga_name: None,
        attempt: Some(1),
        name: target.into(),
        body,
        headers: BTreeMap::new(),
    }
}

fn charge(cents: i64) -> SagaCommand {
    command("POST payments/charges", "charge", CommandDirection::Do, json!({"orderId": "1", "amountCents": cents}))
}

fn reserve(sku: &str) -> SagaCommand {
    command("inventory.ReserveStock", "reserve", CommandDirection::Do, json!({"lines": [{"sku": sku, "quantity": 1}]}))
}

fn code(answer: Option<ParticipantAnswer>) -> String {
    match answer {
        Some(ParticipantAnswer::Failed { code, .. }) => code,
        other => panic!("not declined: {other:?}"),
    }
}

#[tokio::test]
async fn a_late_answer_is_late_once_and_the_effect_happens_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (begun, late) = (std::time::Instant::now(), Duration::from_millis(20));
    let first = late_by(&folder, late).await.hear(charge(9_999)).await;
    assert!(begun.elapsed() >= late);
    let memory = late_by(&folder, Duration::from_hours(1)).await;
    assert_eq!(memory.hear(charge(9_999)).await, first);
}

#[tokio::test]
async fn a_charge_without_an_answer_was_made_and_can_be_undone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    assert_eq!(memory.hear(charge(66_600)).await, None);
    let refund = command("POST payments/refunds", "charge", CommandDirection::Undo, json!({}));
    assert_eq!(memory.hear(refund).await, Some(ParticipantAnswer::Succeeded(json!({"undone": true}))));
}

#[tokio::test]
async fn a_command_that_nobody_noticed_leaves_nothing_to_undo() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    assert_eq!(memory.hear(reserve("piano")).await, None);
    let release = command("inventory.ReleaseStock", "reserve", CommandDirection::Undo, json!({}));
    assert_eq!(memory.hear(release).await, Some(ParticipantAnswer::Succeeded(json!({"undone": false}))));
}

#[tokio::test]
async fn refusals_say_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    assert_eq!(code(memory.hear(reserve("unicorn")).await), "out_of_stock");
    assert_eq!(code(memory.hear(charge(100_000)).await), "card_declined");
    let nonsense = command("inventory.Dance", "dance", CommandDirection::Do, Value::Null);
    assert_eq!(code(memory.hear(nonsense).await), "unknown_command");
}

#[tokio::test]
async fn a_courier_goes_to_atlantis_when_somebody_insists() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    let ship = command("shipping.CreateParcel", "ship", CommandDirection::Do, json!({"address": {"city": "Atlantis"}}));
    for _ in 0..2 {
        assert_eq!(code(memory.hear(ship.clone()).await), "undeliverable", "the same attempt gets the same answer");
    }
    let insisted = SagaCommand { attempt: Some(2), ..ship };
    assert!(matches!(memory.hear(insisted).await, Some(ParticipantAnswer::Succeeded(_))));
}
