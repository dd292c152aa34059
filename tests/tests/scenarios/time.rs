//! The saga's own timeout.

use anyhow::{Context, Result};
use saga_tests::{
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, reaches},
};
use serde_json::json;

#[tokio::test]
async fn a_saga_whose_time_ends_is_undone() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define(
        "order",
        r"
timeout: 700ms
steps:
  - step: reserve
    do: inventory.ReserveStock
    attemptTimeout: 200ms
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    attemptTimeout: 100ms
    retry: {attempts: 1000, delay: 100ms, maxDelay: 200ms}
    undo: POST payments/refunds
",
    )?;
    let engine = world.start().await?;
    world.order("warm", &json!({})).await?;
    reaches(&engine, "warm", &["completed", "compensated"]).await?;
    Ok(())
}

#[tokio::test]
async fn time_that_ends_while_a_step_is_retried_undoes_the_saga() -> Result<()> {
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::fail_retryably("busy"));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(()) };
    world.define(
        "order",
        r"
timeout: 3s
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    retry: {attempts: 1000, delay: 100ms, maxDelay: 200ms}
    undo: POST payments/refunds
",
    )?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert!(saga["reason"].as_str().is_some_and(|reason| reason.contains("time")), "{saga}");
    let calls = world.payments.participant().ledger().count(&format!("{id}:charge:do"));
    assert!((2..1000).contains(&calls), "{calls} attempts");
    judge(&world, OracleExemption::default()).await
}
