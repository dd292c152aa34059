use super::*;
use saga_core::{
    command::Direction,
    id::{SagaId, Shard},
    time::Timestamp,
};
use serde_json::json;

async fn memory(folder: &tempfile::TempDir) -> Memory {
    late_by(folder, Duration::ZERO).await
}

async fn late_by(folder: &tempfile::TempDir, late: Duration) -> Memory {
    Memory { ledger: Ledger::open(&folder.path().join("participants.db")).await.expect("the ledger opens"), late }
}

fn command(target: &str, step: &str, direction: Direction, body: Value) -> Command {
    let saga = SagaId::new(Timestamp(1_000), Shard(1), 7);
    Command { id: CommandId { saga, step: step.into(), direction }, target: target.into(), body }
}

fn charge(cents: i64) -> Command {
    command("POST payments/charges", "charge", Direction::Do, json!({"orderId": "1", "amountCents": cents}))
}

fn reserve(sku: &str) -> Command {
    command("inventory.ReserveStock", "reserve", Direction::Do, json!({"lines": [{"sku": sku, "quantity": 1}]}))
}

fn code(verdict: Option<Verdict>) -> String {
    match verdict {
        Some(Verdict::Declined { code, .. }) => code,
        other => panic!("not declined: {other:?}"),
    }
}

#[tokio::test]
async fn a_late_answer_is_late_once_and_the_effect_happens_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (begun, late) = (std::time::Instant::now(), Duration::from_millis(20));
    let first = late_by(&folder, late).await.hear(&charge(9_999)).await;
    assert!(begun.elapsed() >= late);
    let memory = late_by(&folder, Duration::from_hours(1)).await;
    assert_eq!(memory.hear(&charge(9_999)).await, first);
}

#[tokio::test]
async fn a_charge_without_an_answer_was_made_and_can_be_undone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    assert_eq!(memory.hear(&charge(66_600)).await, None);
    let refund = command("POST payments/refunds", "charge", Direction::Undo, json!({}));
    assert_eq!(memory.hear(&refund).await, Some(Verdict::Done(json!({"undone": true}))));
}

#[tokio::test]
async fn a_command_that_nobody_noticed_leaves_nothing_to_undo() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    assert_eq!(memory.hear(&reserve("piano")).await, None);
    let release = command("inventory.ReleaseStock", "reserve", Direction::Undo, json!({}));
    assert_eq!(memory.hear(&release).await, Some(Verdict::Done(json!({"undone": false}))));
}

#[tokio::test]
async fn refusals_say_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    assert_eq!(code(memory.hear(&reserve("unicorn")).await), "out_of_stock");
    assert_eq!(code(memory.hear(&charge(100_000)).await), "card_declined");
    let nonsense = command("inventory.Dance", "dance", Direction::Do, Value::Null);
    assert_eq!(code(memory.hear(&nonsense).await), "unknown_command");
}

#[tokio::test]
async fn a_courier_goes_to_atlantis_when_somebody_insists() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = memory(&folder).await;
    let ship = command("shipping.CreateParcel", "ship", Direction::Do, json!({"address": {"city": "Atlantis"}}));
    assert_eq!(code(memory.hear(&ship).await), "undeliverable");
    assert!(matches!(memory.hear(&ship).await, Some(Verdict::Done(_))));
}
