//! A mistake of a definition is mended in its file, and the sagas that wait for it go on by the mended one.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::Engine,
    oracle::{OracleExemption, judge},
    participant::ParticipantScript,
    world::{TestWorld, reaches},
};
use serde_json::{Value, json};

fn order(ship: &str) -> String {
    format!(
        "
steps:
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
    pivot: true
  - step: ship
    do: inventory.ShipParcel
    with: {{to: \"${{ {ship} }}\"}}
"
    )
}

async fn retry(engine: &Engine, id: &str, definition: &str) -> Result<(u16, Value)> {
    let act = json!({"who": "ada", "reason": "a typing error", "definition": definition});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/retry"), &act).await?;
    Ok((status.as_u16(), body))
}

#[tokio::test]
async fn a_typing_error_after_the_pivot_is_mended_for_the_sagas_that_run() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", &order("event.adress"))?;
    let engine = world.start().await?;
    world.order("4711", &json!({"address": "Main Street"})).await?;
    let parked = reaches(&engine, "4711", &["parked"]).await?;
    let (id, began_with) = (parked["id"].as_str().context("an id")?, parked["definition"].clone());
    let (status, body) = retry(&engine, id, "current").await?;
    ensure!((status, body.to_string().contains("already")) == (409, true), "{status}: {body}");
    let (status, body) = retry(&engine, id, "0123456789").await?;
    ensure!(status == 409, "{status}: {body}");

    engine.terminate().await?;
    world.define("order", &order("event.address"))?;
    let engine = world.start().await?;
    let (status, body) = retry(&engine, id, "current").await?;
    ensure!((status, &body["status"]) == (200, &json!("applied")), "{status}: {body}");
    let completed = reaches(&engine, "4711", &["completed"]).await?;
    ensure!(completed["definition"] != began_with, "it shows what it runs by: {completed}");
    assert_eq!(world.effects(id), ["ship:do", "charge:do"], "nothing is done twice");
    let shipped = world.inventory.participant().ledger().calls().last().context("a parcel was shipped")?.body.clone();
    assert_eq!(shipped, json!({"to": "Main Street"}));

    // Another owner folds the journal by both.
    engine.kill().await?;
    let engine = world.start().await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let (_, history) = engine.api().get(&format!("/api/sagas/{id}/history")).await?;
    ensure!(history.to_string().contains("definitionChanged"), "{history}");
    judge(&world, OracleExemption::default()).await
}
