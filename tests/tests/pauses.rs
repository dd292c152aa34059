//! Definitions and participants that operators pause: nothing begins, nothing is sent, nothing is lost.

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

const STEPS: &str = "
steps:
  - step: charge
    do: POST payments/charges
    with: {note: \"${ event.note }\"}
    undo: POST payments/refunds
";

async fn world(gate: &ScriptGate) -> Result<Option<TestWorld>> {
    let gate = gate.clone();
    let payments = ParticipantScript::default().when(move |call, _| {
        let held = || ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Held(gate.clone()));
        (call.body["note"] == "held").then(held)
    });
    let Some(world) = TestWorld::new(ParticipantScript::default(), payments).await? else { return Ok(None) };
    world.participants(&json!({}), &json!({"timeout": "60s"}))?;
    world.define("order", STEPS)?;
    Ok(Some(world))
}

async fn does(engine: &Engine, arguments: &[&str]) -> Result<()> {
    let output: Output = Command::new(binary()?)
        .args(arguments)
        .args(["--server", engine.api().base(), "--who", "ada"])
        .output()
        .await?;
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    ensure!(output.status.success() && said.contains("applied"), "{arguments:?}: {said}");
    Ok(())
}

async fn pauses(engine: &Engine) -> Result<Value> {
    let (_, listed) = engine.api().get("/api/definitions").await?;
    Ok(listed["definitions"][0]["paused"].clone())
}

/// Returns when one of the engines holds a partition of the topic of orders back.
async fn holds(world: &TestWorld, engines: &[&Engine]) -> Result<()> {
    eventually("a partition is held back", WITHIN, || async {
        for engine in engines {
            let (_, ready) = engine.api().get("/health/ready").await?;
            let text = ready["kafka"].to_string();
            if text.contains(&world.orders) && text.contains("\"held\":") {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_definition_starts_nothing_on_any_engine_and_loses_nothing() -> Result<()> {
    let gate = ScriptGate::default();
    let Some(world) = world(&gate).await? else { return Ok(()) };
    let (first, second) = (world.start().await?, world.start().await?);
    world.order("running", &json!({"note": "held"})).await?;
    reaches(&first, "running", &["running", "waiting"]).await?;
    does(&first, &["pause", "definition", "order", "--reason", "wrong prices"]).await?;
    let followed = eventually("the other engine follows", WITHIN, || async {
        Ok((pauses(&second).await?["who"] == "ada").then_some(()))
    });
    followed.await?;
    let (_, ready) = second.api().get("/health/ready").await?;
    ensure!(ready["definitionsPaused"]["order"]["reason"] == "wrong prices", "{ready}");
    let start = json!({"definition": "order", "event": {"orderId": "api", "note": ""}, "who": "bob"});
    let (status, problem) = second.api().post("/api/sagas", &start).await?;
    ensure!(status == StatusCode::CONFLICT && problem["code"] == "definition_paused", "{status}: {problem}");
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("ada") && text.contains("wrong prices")));
    world.order("waits", &json!({"note": ""})).await?;
    holds(&world, &[&first, &second]).await?;
    ensure!(find(&first, "waits").await?.is_none());
    // What runs goes on.
    gate.open();
    reaches(&first, "running", &["completed"]).await?;
    // A restart changes nothing.
    first.terminate().await?;
    second.kill().await?;
    let again = world.start().await?;
    ensure!(pauses(&again).await?["who"] == "ada");
    holds(&world, &[&again]).await?;
    ensure!(find(&again, "waits").await?.is_none());
    does(&again, &["resume", "definition", "order", "--reason", "prices are right"]).await?;
    let begun = reaches(&again, "waits", &["completed"]).await?;
    let id = begun["id"].as_str().context("an id")?;
    ensure!(world.effects(id) == ["charge:do"]);
    ensure!(pauses(&again).await?.is_null());
    let (_, audit) = again.api().get("/api/audit?on=order").await?;
    let acts: Vec<&str> =
        audit["entries"].as_array().context("entries")?.iter().filter_map(|entry| entry["action"].as_str()).collect();
    ensure!(acts.starts_with(&["resume definition", "pause definition"]), "{audit}");
    let (status, problem) =
        again.api().post("/api/definitions/ordr/pause", &json!({"who": "ada", "reason": "a slip"})).await?;
    ensure!(status == StatusCode::NOT_FOUND && problem["code"] == "no_definition", "{status}: {problem}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_participant_gets_nothing_until_it_is_resumed_or_its_time_is_over() -> Result<()> {
    let Some(world) = world(&ScriptGate::default()).await? else { return Ok(()) };
    let engine = world.start().await?;
    does(&engine, &["pause", "participant", "payments", "--reason", "they migrate"]).await?;
    let (_, ready) = engine.api().get("/health/ready").await?;
    ensure!(ready["status"] == "ready" && ready["participantsPaused"]["payments"]["who"] == "ada", "{ready}");
    world.order("o-1", &json!({"note": ""})).await?;
    let waiting = reaches(&engine, "o-1", &["waiting"]).await?;
    ensure!(waiting["waitsOn"] == json!(["breaker:payments"]), "{waiting}");
    ensure!(waiting["steps"][0]["attempts"] == 0 || waiting["steps"][0]["attempts"].is_null(), "{waiting}");
    does(&engine, &["resume", "participant", "payments", "--reason", "done"]).await?;
    reaches(&engine, "o-1", &["completed"]).await?;
    does(&engine, &["pause", "participant", "payments", "--reason", "a moment", "--for", "3s"]).await?;
    world.order("o-2", &json!({"note": ""})).await?;
    let ended = reaches(&engine, "o-2", &["completed"]).await?;
    ensure!(world.effects(ended["id"].as_str().context("an id")?) == ["charge:do"]);
    let (_, ready) = engine.api().get("/health/ready").await?;
    ensure!(ready["participantsPaused"].is_null(), "{ready}");
    let wrong = json!({"who": "ada", "reason": "r", "lasts": "5m"});
    let (status, problem) = engine.api().post("/api/guards/payments/close", &wrong).await?;
    ensure!(status == StatusCode::BAD_REQUEST && problem["code"] == "bad_body", "{status}: {problem}");
    Ok(())
}
