//! A reply that cannot be read: its saga parks, what comes later is recorded and waits, other sagas go on, and the
//! mended reply moves the saga on.

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use saga_tests::{
    engine::{Engine, binary},
    eventually::eventually,
    kafka::TopicRecord,
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

const BESIDE: &str = r#"
steps:
  - parallel:
      - {step: reserve, do: inventory.ReserveStock, undo: inventory.ReleaseStock}
      - {step: label, do: inventory.PrintLabel, undo: inventory.VoidLabel}
  - {step: ship, do: inventory.ShipParcel, with: {label: "${ steps.label }", stock: "${ steps.reserve.stock }"},
     undo: inventory.RecallParcel}
"#;

/// The participant reserves and says nothing, because the test replies in its place; labels wait for the gate.
async fn world(gate: &ScriptGate) -> Result<Option<TestWorld>> {
    let gate = gate.clone();
    let script = ParticipantScript::default()
        .on("reserve:do", |_| ScriptedBehaviour::silence().with_effect())
        .on("label:do", move |_| {
            ScriptedBehaviour::succeed(json!({"label": 7})).delivered(ScriptedDelivery::Held(gate.clone()))
        });
    let Some(world) = TestWorld::new(script, ParticipantScript::default()).await? else { return Ok(None) };
    world.participants(&json!({"timeout": "60s"}), &json!({}))?;
    world.define("order", BESIDE)?;
    Ok(Some(world))
}

/// The saga's id, once the participant has both commands.
async fn asked(world: &TestWorld, engine: &Engine, key: &str) -> Result<String> {
    world.order(key, &json!({})).await?;
    let saga = reaches(engine, key, &["running"]).await?;
    let id = saga["id"].as_str().context("an id")?.to_owned();
    eventually("both commands are with the participant", WITHIN, || async {
        let [inventory, _] = world.ledgers();
        let both = ["reserve:do", "label:do"].map(|command| inventory.count(&format!("{id}:{command}")));
        Ok((both == [1, 1]).then_some(()))
    })
    .await?;
    Ok(id)
}

/// A reply to the reservation of a saga. All are of one partition.
fn reply(saga: &str, headers: &[(&str, &str)], value: &str) -> TopicRecord {
    let command = format!("{saga}:reserve:do");
    let own = [("ce_correlationid", saga), ("idempotency_key", command.as_str()), ("saga_attempt", "1")];
    let headers = own.iter().chain(headers);
    TopicRecord {
        partition: Some(0),
        key: Some(saga.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: headers.map(|(name, value)| ((*name).into(), Some(value.as_bytes().to_vec()))).collect(),
    }
}

const SUCCEEDED: &[(&str, &str)] = &[("saga_outcome", "succeeded")];

/// What the API says of a path, once it says what is wanted.
async fn shows(engine: &Engine, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    eventually(&format!("{path} is as it should be"), WITHIN, || async {
        let (status, body) = engine.api().get(path).await?;
        ensure!(status == StatusCode::OK && wanted(&body), "{status}: {body}");
        Ok(Some(body))
    })
    .await
}

/// Edits the only letter, and brings it back.
async fn mend(world: &TestWorld, engine: &Engine, edit: &[&str]) -> Result<String> {
    let by = ["--reason", "the reply is mended", "--who", "ada", "--server", engine.api().base()];
    dlq(world, &[&["edit", "0/0"][..], edit, &by].concat()).await?;
    dlq(world, &[&["redrive", "0/0"][..], &by].concat()).await
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_parks_its_saga_until_it_is_mended() -> Result<()> {
    let gate = ScriptGate::default();
    let Some(world) = world(&gate).await? else { return Ok(()) };
    let engine = world.start().await?;
    let (id, other) = (asked(&world, &engine, "4711").await?, asked(&world, &engine, "4712").await?);
    let replies = world.installation.replies();
    world.send(replies, &reply(&id, SUCCEEDED, "{not json")).await?;
    world.send(replies, &reply(&other, SUCCEEDED, r#"{"stock": 2}"#)).await?;
    let parked = reaches(&engine, "4711", &["parked"]).await?;
    let reason = parked["reason"].as_str().context("a reason")?;
    assert!(reason.contains("reply.not_json") && reason.contains(&format!("the reply {replies}/0/0 is a dead letter")));

    // What comes later is on record, and nothing follows from it; the other saga goes on.
    gate.open();
    reaches(&engine, "4712", &["completed"]).await?;
    let labelled = |saga: &Value| {
        saga["steps"]
            .as_array()
            .is_some_and(|steps| steps.iter().any(|it| it["step"] == "label" && it["phase"] == "succeeded"))
    };
    let waits = shows(&engine, "/api/sagas/4711", labelled).await?;
    assert_eq!(waits["status"], "parked", "{waits}");
    assert_eq!(world.ledgers()[0].count(&format!("{id}:ship:do")), 0);

    let path = format!("/api/dead-letters?sagaId={id}");
    let letters = shows(&engine, &path, |body| body["letters"].as_array().is_some_and(|all| all.len() == 1)).await?;
    assert_eq!((&letters["letters"][0]["code"], &letters["letters"][0]["sagaId"]), (&json!("not_json"), &json!(id)));
    world.configure()?;
    let told = dlq(&world, &["show", "0/0"]).await?;
    for part in ["its saga", "order 4711 · parked", "this reply", "not_json"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }

    let dlq_place = format!("{}/0/0", world.installation.dlq());
    let shown = String::from_utf8(saga(&world, &["show", "4711"]).await?.stdout)?;
    for act in ["dlq edit", "dlq redrive"] {
        assert!(shown.contains(&format!("{act} {dlq_place}")), "a possible act is to mend the reply: {shown}");
    }

    std::fs::write(world.installation.folder().join("mended.json"), r#"{"stock": 1}"#)?;
    let done = mend(&world, &engine, &["--file", "mended.json"]).await?;
    assert!(done.contains("answered"), "{done}");
    reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(world.ledgers()[0].count(&format!("{id}:reserve:do")), 1, "nothing was asked again");

    // Nobody takes the reply any more, and the commands say so before anything is done.
    let by = ["--reason", "the reply is mended", "--who", "ada", "--server", engine.api().base()];
    let foretold = output(&world, &[&["redrive", "0/0", "--again", "--dry-run"][..], &by].concat()).await?;
    let said = String::from_utf8_lossy(&foretold.stdout).into_owned();
    assert!(said.contains("ignored") && said.contains("has ended"), "{said}");
    let refused = output(&world, &[&["edit", "0/0", "--file", "mended.json"][..], &by].concat()).await?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("the saga would not take the reply"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_reply_that_is_mended_to_a_refusal_undoes_its_saga() -> Result<()> {
    let gate = ScriptGate::default();
    gate.open();
    let Some(world) = world(&gate).await? else { return Ok(()) };
    let engine = world.start().await?;
    let id = asked(&world, &engine, "4711").await?;
    world.send(world.installation.replies(), &reply(&id, &[("saga_outcome", "refused")], "{}")).await?;
    reaches(&engine, "4711", &["parked"]).await?;
    shows(&engine, "/api/dead-letters?status=new", |body| body["letters"].as_array().is_some_and(|all| all.len() == 1))
        .await?;
    world.configure()?;
    let headers = ["--header", "saga_outcome=failed", "--header", "error_code=SOLD_OUT"];
    let done = mend(&world, &engine, &headers).await?;
    assert!(done.contains("answered"), "{done}");
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    assert!(saga["reason"].as_str().is_some_and(|reason| reason.contains("SOLD_OUT")), "{saga}");
    assert_eq!(world.ledgers()[0].count(&format!("{id}:reserve:undo")), 0, "it certainly was not done");
    Ok(())
}

/// What `saga dlq` prints.
async fn dlq(world: &TestWorld, arguments: &[&str]) -> Result<String> {
    let output = output(world, arguments).await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn output(world: &TestWorld, arguments: &[&str]) -> Result<Output> {
    saga(world, &[&["dlq"], arguments].concat()).await
}

async fn saga(world: &TestWorld, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.current_dir(world.installation.folder()).args(arguments).env_remove("SAGA_CONFIG");
    Ok(command.output().await?)
}
