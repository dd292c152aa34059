//! Participants that say themselves that they are not well.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    oracle::{OracleExemption, judge},
    participant::ParticipantScript,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use tokio::process::Command;

const PAYING: &str = r"
steps:
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
";

/// As `GET /api/guards/payments` shows them, once they are in that phase of their life.
async fn payments_are(engine: &Engine, lifecycle: &str) -> Result<Value> {
    eventually(&format!("payments are {lifecycle}"), WITHIN, || async {
        let (_, answer) = engine.api().get("/api/guards/payments").await?;
        let guard = answer["guard"].clone();
        ensure!(guard["lifecycle"] == lifecycle, "they are {guard}");
        Ok(Some(guard))
    })
    .await
}

/// Keys of the sagas that `saga list --waiting-on` shows.
async fn waiting_on(world: &TestWorld, guard: &str) -> Result<Vec<String>> {
    let arguments = ["list", "--store", world.database.url(), "--waiting-on", guard, "--output", "json"];
    let output = Command::new(binary()?).args(arguments).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    let key = |line: &str| {
        let saga: Value = serde_json::from_str(line)?;
        Ok(saga["key"].as_str().context("a saga has a key")?.to_owned())
    };
    let mut keys = lines.lines().map(key).collect::<Result<Vec<_>>>()?;
    keys.sort_unstable();
    Ok(keys)
}

#[tokio::test]
async fn nobody_calls_a_participant_that_says_it_is_unwell_and_all_goes_on_when_it_is_well() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let health = json!({"path": "health", "interval": "300ms", "unhealthyAfter": 2});
    world.participants(&json!({}), &json!({"health": health, "dependsOn": ["inventory"]}))?;
    world.define("paying", PAYING)?;
    world.payments.say_unwell(true);
    let engine = world.start().await?;
    let guard = payments_are(&engine, "failed").await?;
    assert_eq!((&guard["health"]["state"], &guard["breaker"]), (&json!("unhealthy"), &json!("closed")));
    assert_eq!(guard["endpoints"][0]["health"]["history"][0]["passed"], false, "{guard}");

    let orders = ["1", "2", "3"];
    for order in orders {
        world.order(order, &json!({})).await?;
    }
    for order in orders {
        reaches(&engine, order, &["waiting"]).await?;
    }
    assert_eq!(waiting_on(&world, "health:payments").await?, orders);
    let (_, answer) = engine.api().get("/api/guards").await?;
    assert_eq!(answer["criticalPath"]["names"], json!(["payments", "inventory"]), "{answer}");
    assert!(world.ledgers()[1].calls().is_empty(), "they were called all the same");

    world.payments.say_unwell(false);
    for order in orders {
        let saga = reaches(&engine, order, &["completed"]).await?;
        assert_eq!(saga["steps"][1]["attempts"], 1, "to wait is no attempt: {saga}");
    }
    assert_eq!(waiting_on(&world, "health:").await?, [""; 0]);
    payments_are(&engine, "running").await?;
    judge(&world, OracleExemption::default()).await
}
