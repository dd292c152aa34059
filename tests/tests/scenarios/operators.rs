//! Operators move sagas on with the command line.

use super::definitions::ORDER;
use anyhow::{Context, Result};
use saga_tests::{
    engine::{Engine, binary},
    oracle::{OracleExemption, judge},
    participant::{ParticipantScript, ScriptedBehaviour},
    world::{TestWorld, reaches},
};
use serde_json::json;
use std::process::Output;
use tokio::process::Command;

async fn saga(engine: &Engine, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    // Who runs the tests need not have a name.
    command.args(arguments).arg("--server").arg(engine.api().base()).env("USER", "ada");
    Ok(command.output().await?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn stuck() -> Result<Option<TestWorld>> {
    let payments = ParticipantScript::default().on("charge:do", |_| ScriptedBehaviour::status(401));
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(None) };
    world.define("order", ORDER)?;
    Ok(Some(world))
}

#[tokio::test]
async fn an_expired_token_parks_and_a_cancel_undoes() -> Result<()> {
    let Some(world) = stuck().await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let parked = reaches(&engine, "4711", &["parked"]).await?;
    let id = parked["id"].as_str().context("a saga has an id")?;
    let output = saga(&engine, &["cancel", "4711", "--reason", "the token is gone for good"]).await?;
    assert!(output.status.success(), "{}", said(&output));
    reaches(&engine, "4711", &["compensated"]).await?;
    assert_eq!(world.effects(id), ["reserve:do", "reserve:undo"]);
    let again = saga(&engine, &["cancel", "4711", "--reason", "once more"]).await?;
    assert_eq!(again.status.code(), Some(1), "a terminal saga is final: {}", said(&again));
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn abandon_ends_a_saga_as_it_is_and_records_what_stands() -> Result<()> {
    let Some(world) = stuck().await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["parked"]).await?;
    let without = saga(&engine, &["abandon", "4711"]).await?;
    assert_eq!(without.status.code(), Some(2), "a reason is needed: {}", said(&without));
    let output = saga(&engine, &["abandon", "4711", "--reason", "settled by hand"]).await?;
    assert!(output.status.success(), "{}", said(&output));
    reaches(&engine, "4711", &["abandoned"]).await?;
    let (_, history) = engine.api().get("/api/sagas/4711/history").await?;
    let text = history.to_string();
    assert!(text.contains("settled by hand") && text.contains("ada") && text.contains("reserve"), "{text}");
    Ok(())
}

#[tokio::test]
async fn nobody_by_that_name_is_said() -> Result<()> {
    let Some(world) = stuck().await? else { return Ok(()) };
    let engine = world.start().await?;
    let output = saga(&engine, &["retry", "nobody", "--reason", "try"]).await?;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("nobody"), "{}", said(&output));
    Ok(())
}

#[tokio::test]
async fn an_act_that_a_page_elsewhere_could_send_is_refused() -> Result<()> {
    let Some(world) = stuck().await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["parked"]).await?;
    let url = format!("{}/api/sagas/4711/cancel", engine.api().base());
    let act = json!({"who": "mallory", "reason": "because I can"}).to_string();
    let client = saga_tests::engine::http_client()?;
    let answer = client.post(url).header("content-type", "text/plain").body(act).send().await?;
    assert_eq!(answer.status().as_u16(), 400);
    reaches(&engine, "4711", &["parked"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_act_says_before_what_it_leads_to_and_after_what_came_of_it() -> Result<()> {
    let Some(world) = stuck().await? else { return Ok(()) };
    world.define("order", &format!("retry: {{attempts: 1}}{ORDER}"))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let parked = reaches(&engine, "4711", &["parked"]).await?;
    let id = parked["id"].as_str().context("a saga has an id")?;
    let dry = saga(&engine, &["cancel", "4711", "--reason", "what if", "--dry-run"]).await?;
    assert!(dry.status.success() && said(&dry).contains("would lead to compensating"), "{}", said(&dry));
    assert!(said(&dry).contains("undoes reserve"), "{}", said(&dry));
    assert_eq!(world.effects(id), ["reserve:do"], "nothing was done");
    let refused = saga(&engine, &["skip", "4711", "--step", "ship", "--reason", "what if", "--dry-run"]).await?;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let again = saga(&engine, &["retry", "4711", "--reason", "try", "--wait", "10"]).await?;
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("parked again at once, at charge: charge failed: http.401"), "{}", said(&again));
    let cancelled = saga(&engine, &["cancel", "4711", "--reason", "gone for good"]).await?;
    assert!(cancelled.status.success() && said(&cancelled).contains("now compensated"), "{}", said(&cancelled));
    Ok(())
}
