//! After the pivot a saga only goes forward.

use anyhow::{Context, Result};
use saga_tests::{
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, reaches},
};
use serde_json::json;

const WITH_PIVOT: &str = r"
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
    pivot: true
  - step: ship
    do: inventory.ShipParcel
";

#[tokio::test]
async fn what_follows_the_pivot_is_tried_until_it_succeeds() -> Result<()> {
    let stubborn =
        |nth| if nth < 6 { ScriptedBehaviour::fail_retryably("busy") } else { ScriptedBehaviour::succeed(json!({})) };
    let Some(world) =
        TestWorld::new(ParticipantScript::default().on("ship:do", stubborn), ParticipantScript::default()).await?
    else {
        return Ok(());
    };
    world.define("order", &format!("retry: {{delay: 20ms, maxDelay: 50ms}}\n{WITH_PIVOT}"))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(saga["steps"][2]["attempts"], 6, "{saga}");
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_definite_failure_after_the_pivot_parks_and_a_cancel_is_refused() -> Result<()> {
    let Some(world) = TestWorld::new(
        ParticipantScript::default().on("ship:do", |_| ScriptedBehaviour::fail("no_carrier")),
        ParticipantScript::default(),
    )
    .await?
    else {
        return Ok(());
    };
    world.define("order", WITH_PIVOT)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["parked"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    let act = json!({"who": "ada", "reason": "the customer called"});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/cancel"), &act).await?;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("refused")), "{body}");
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/skip"), &act).await?;
    assert_eq!(status.as_u16(), 200, "{body}");
    reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(world.effects(id), ["reserve:do", "charge:do"]);
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_pivot_that_fails_was_not_passed() -> Result<()> {
    let Some(world) = TestWorld::new(
        ParticipantScript::default(),
        ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::fail("no_funds")),
    )
    .await?
    else {
        return Ok(());
    };
    world.define("order", WITH_PIVOT)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    assert_eq!(world.effects(id), ["reserve:do", "reserve:undo"]);
    judge(&world, OracleExemption::default()).await
}

const CONDITIONAL: &str = r#"
timeout: 10m
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    if: event.pays
    do: POST payments/charges
    undo: POST payments/refunds
    pivot: true
  - step: ship
    do: inventory.ShipParcel
"#;

#[tokio::test]
async fn a_skipped_pivot_is_passed_and_its_saga_only_goes_forward() -> Result<()> {
    let refuses_at_first =
        |nth| if nth < 2 { ScriptedBehaviour::fail("no_carrier") } else { ScriptedBehaviour::succeed(json!({})) };
    let Some(world) =
        TestWorld::new(ParticipantScript::default().on("ship:do", refuses_at_first), ParticipantScript::default())
            .await?
    else {
        return Ok(());
    };
    world.define("order", CONDITIONAL)?;
    let engine = world.start().await?;
    world.order("4711", &json!({"pays": false})).await?;
    let saga = reaches(&engine, "4711", &["parked"]).await?;
    let id = saga["id"].as_str().context("a saga has an id")?;
    let act = json!({"who": "ada", "reason": "the customer called"});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/cancel"), &act).await?;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("refused")), "{body}");
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/retry"), &act).await?;
    assert_eq!(status.as_u16(), 200, "{body}");
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    assert!(saga.get("overdue").is_none(), "{saga}");
    assert_eq!(world.effects(id), ["reserve:do", "ship:do"]);
    judge(&world, OracleExemption::default()).await
}
