//! Everything goes as it should.

use super::definitions::order_with_outcomes;
use anyhow::{Context, Result};
use saga_tests::{
    kafka::ReceivedRecord,
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::json;

fn of_type<'a>(records: &'a [ReceivedRecord], event_type: &str) -> Option<&'a ReceivedRecord> {
    records.iter().find(|record| record.header("ce_type") == Some(event_type))
}

#[tokio::test]
async fn an_order_is_fulfilled_over_both_transports() -> Result<()> {
    let inventory =
        ParticipantScript::default().on("reserve:do", |_| ScriptedBehaviour::succeed(json!({"reservationId": "r-1"})));
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    world.define("order", &order_with_outcomes(&world.orders))?;
    let engine = world.start().await?;
    world.order("4711", &json!({"amountCents": 100})).await?;

    let saga = reaches(&engine, "4711", &["completed"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert_eq!(saga["output"], json!({"reservation": "r-1"}));
    assert_eq!(world.effects(id), ["reserve:do", "ship:do", "charge:do"]);

    let records = world.kafka.read_until(&world.orders, WITHIN, |all| of_type(all, "OrderFulfilled").is_some()).await?;
    let event = of_type(&records, "OrderFulfilled").context("just found")?;
    assert_eq!(event.header("ce_id"), Some(format!("{id}:outcome").as_str()));
    assert_eq!(event.record.key.as_deref(), Some(b"4711".as_slice()));
    let expected =
        json!({"sagaId": id, "saga": "order", "key": "4711", "status": "completed", "output": {"reservation": "r-1"}});
    assert_eq!(event.json(), expected);
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn commands_carry_what_participants_are_promised() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", super::definitions::ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;

    let [inventory, payments] = world.ledgers();
    let reserve = &inventory.calls()[0];
    for (header, value) in [
        ("ce_specversion", "1.0"),
        ("ce_type", "ReserveStock"),
        ("ce_source", "/sagas/order"),
        ("ce_correlationid", id),
        ("saga_name", "order"),
        ("saga_step", "reserve"),
        ("saga_direction", "do"),
        ("saga_attempt", "1"),
        ("reply_topic", world.installation.replies()),
        ("content-type", "application/json"),
    ] {
        assert_eq!(reserve.headers.get(header).map(String::as_str), Some(value), "{header}");
    }
    for header in ["ce_id", "ce_time", "ce_causationid", "traceparent"] {
        assert!(reserve.headers.contains_key(header), "{header}: {:?}", reserve.headers);
    }
    let charge = &payments.calls()[0];
    assert_eq!((charge.target.as_str(), &charge.body), ("POST charges", &json!({"orderId": "4711"})));
    assert_eq!(charge.headers.get("idempotency-key"), Some(&format!("{id}:charge:do")));
    for header in ["x-request-id", "x-correlation-id", "traceparent"] {
        assert!(charge.headers.contains_key(header), "{header}: {:?}", charge.headers);
    }
    Ok(())
}

#[tokio::test]
async fn a_step_is_skipped_a_timer_waited_for_and_an_event_published() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let told = world.kafka.fresh_topic("told", 1).await?;
    let steps = format!(
        "
steps:
  - step: gift
    if: event.gift
    do: inventory.WrapGift
    undo: inventory.UnwrapGift
  - step: coolOff
    wait: 200ms
  - step: tell
    publish: {told}
    type: OrderSettled
    key: ${{ event.orderId }}
    with: {{orderId: \"${{ event.orderId }}\"}}
    irreversible: true
"
    );
    world.define("order", &steps)?;
    let engine = world.start().await?;
    world.order("4711", &json!({"gift": false})).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(saga["steps"][0]["phase"], "skipped", "{saga}");
    let records = world.kafka.read_until(&told, WITHIN, |records| !records.is_empty()).await?;
    assert_eq!(records[0].json(), json!({"orderId": "4711"}));
    assert_eq!(records[0].header("ce_type"), Some("OrderSettled"));
    assert!(world.inventory.participant().ledger().calls().is_empty());
    Ok(())
}
