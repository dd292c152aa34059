//! What cannot finish is undone.

use super::definitions::{ORDER, order_with_outcomes};
use anyhow::{Context, Result};
use saga_tests::{
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptedBehaviour, ScriptedDelivery},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::json;

#[tokio::test]
async fn a_refused_step_undoes_those_before_it_in_reverse() -> Result<()> {
    let inventory = ParticipantScript::default().on("ship:do", |_| ScriptedBehaviour::fail("no_carrier"));
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    world.define("order", &order_with_outcomes(&world.orders))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    let [inventory, payments] = world.ledgers();
    assert_eq!(inventory.count(&format!("{id}:ship:do")), 1, "a definite failure is not tried again");
    assert_eq!(inventory.count(&format!("{id}:ship:undo")), 0, "what certainly has no effect is not undone");
    assert_eq!(world.effects(id), ["reserve:do", "reserve:undo", "charge:do", "charge:undo"]);
    let refund = payments.calls().last().context("a refund came")?;
    assert_eq!(refund.body, json!({"input": {"orderId": "4711"}, "result": {}}), "the short form's body");

    let is_outcome = |record: &saga_tests::kafka::ReceivedRecord| record.header("ce_type") == Some("OrderRejected");
    let records = world.kafka.read_until(&world.orders, WITHIN, |all| all.iter().any(is_outcome)).await?;
    let event = records.iter().find(|record| is_outcome(record)).context("just found")?.json();
    assert_eq!((&event["status"], &event["failedStep"]), (&json!("compensated"), &json!("ship")), "{event}");
    assert!(event["reason"]["code"] == "no_carrier", "{event}");
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn an_unknown_outcome_is_undone_like_a_success() -> Result<()> {
    // Every attempt takes effect, and no answer ever comes.
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::silence().with_effect());
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.participants(&json!({}), &json!({"timeout": "200ms"}))?;
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    let payments = world.payments.participant().ledger();
    assert_eq!(
        payments.count(&format!("{id}:charge:do")),
        3,
        "an unknown outcome is asked again while attempts remain"
    );
    assert_eq!(world.effects(id), ["reserve:do", "reserve:undo", "charge:do", "charge:undo"]);
    let refund = payments.calls().last().context("a refund came")?;
    assert_eq!(refund.body["result"], json!(null), "nobody knows what the charge answered");
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_server_error_that_passes_changes_nothing() -> Result<()> {
    let passing = |nth| {
        if nth < 3 { ScriptedBehaviour::status(503).with_effect() } else { ScriptedBehaviour::succeed(json!({})) }
    };
    let Some(world) =
        TestWorld::new(ParticipantScript::default(), ParticipantScript::default().on("charge:do", passing)).await?
    else {
        return Ok(());
    };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    judge(&world, OracleExemption::default()).await
}

const PARALLEL: &str = r"
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - parallel:
      - step: charge
        do: POST payments/charges
        undo: POST payments/refunds
      - step: insure
        do: inventory.Insure
        undo: inventory.CancelInsurance
      - step: fraud
        do: POST payments/fraud
        readOnly: true
  - step: ship
    do: inventory.ShipParcel
    undo: inventory.RecallParcel
";

#[tokio::test]
async fn one_branch_fails_and_the_others_are_undone() -> Result<()> {
    let inventory = ParticipantScript::default().on("insure:do", |_| ScriptedBehaviour::fail("not_insurable"));
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    world.define("order", PARALLEL)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert!(!world.effects(id).contains(&"ship:do".to_owned()));
    judge(&world, OracleExemption { lasting: &["fraud"], ..OracleExemption::default() }).await
}

const WITH_OPTIONAL: &str = r"
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: loyalty
    do: POST payments/loyalty
    undo: POST payments/loyalty/cancel
    optional: true
  - step: ship
    do: inventory.ShipParcel
    undo: inventory.RecallParcel
";

#[tokio::test]
async fn an_optional_step_may_fail() -> Result<()> {
    let payments = ParticipantScript::default().on("loyalty:do", |_| ScriptedBehaviour::fail("not_a_member"));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define("order", WITH_OPTIONAL)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(saga["steps"][1]["phase"], "failed", "{saga}");
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert_eq!(world.effects(id), ["reserve:do", "ship:do"]);
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn an_optional_step_whose_outcome_is_unknown_is_undone_beside_what_follows() -> Result<()> {
    let payments = ParticipantScript::default().on("loyalty:do", |_| ScriptedBehaviour::silence().with_effect());
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.participants(&json!({}), &json!({"timeout": "200ms"}))?;
    world.define("order", WITH_OPTIONAL)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert_eq!(world.effects(id), ["reserve:do", "ship:do", "loyalty:do", "loyalty:undo"]);
    judge(&world, OracleExemption { optional: &["loyalty"], ..OracleExemption::default() }).await
}

#[tokio::test]
async fn a_check_that_fails_undoes_its_own_step_too() -> Result<()> {
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::succeed(json!({"score": 90})));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define(
        "order",
        &ORDER.replace("POST payments/charges\n", "POST payments/charges\n    check: result.score < 80\n"),
    )?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert_eq!(world.effects(id), ["reserve:do", "reserve:undo", "charge:do", "charge:undo"]);
    Ok(())
}

#[tokio::test]
async fn an_undo_that_is_refused_parks_the_saga_and_an_operator_moves_it_on() -> Result<()> {
    let inventory = ParticipantScript::default().on("ship:do", |_| ScriptedBehaviour::fail("no_carrier"));
    let payments = ParticipantScript::default().on("charge:undo", |nth| {
        if nth == 1 { ScriptedBehaviour::fail("account_closed") } else { ScriptedBehaviour::succeed(json!({})) }
    });
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(()) };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["parked"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert!(saga["reason"].as_str().is_some_and(|reason| reason.contains("account_closed")), "{saga}");
    assert_eq!((&saga["incidents"][0]["step"], &saga["incidents"][0]["direction"]), (&json!("charge"), &json!("undo")));
    assert_eq!(world.effects(id), ["reserve:do", "charge:do"], "the undo that failed blocks its predecessor");

    let act = json!({"who": "ada", "reason": "the account was opened again"});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/retry"), &act).await?;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("applied")), "{body}");
    reaches(&engine, "4711", &["compensated"]).await?;
    assert_eq!(world.effects(id), ["reserve:do", "reserve:undo", "charge:do", "charge:undo"]);
    let (_, history) = engine.api().get(&format!("/api/sagas/{id}/history")).await?;
    assert!(history.to_string().contains("the account was opened again"), "who and why are on record: {history}");
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_held_answer_that_comes_during_the_undo_is_waited_for() -> Result<()> {
    let gate = saga_tests::participant::ScriptGate::default();
    let held = gate.clone();
    let inventory = ParticipantScript::default().on("insure:do", |_| ScriptedBehaviour::fail("not_insurable"));
    let payments = ParticipantScript::default().on("charge:do", move |_| {
        ScriptedBehaviour::succeed(json!({"chargeId": "c"})).delivered(ScriptedDelivery::Held(held.clone()))
    });
    let Some(world) = TestWorld::new(inventory, payments).await? else { return Ok(()) };
    world.participants(&json!({}), &json!({"timeout": "50s"}))?;
    world.define("order", PARALLEL)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensating"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert!(!world.effects(id).contains(&"reserve:undo".to_owned()), "what the call depends on is not undone under it");
    gate.open();
    reaches(&engine, "4711", &["compensated"]).await?;
    let refund = world.payments.participant().ledger().calls().last().context("a refund came")?.clone();
    assert_eq!(refund.body["result"], json!({"chargeId": "c"}), "the late answer is in the undo");
    judge(&world, OracleExemption { lasting: &["fraud"], ..OracleExemption::default() }).await
}
