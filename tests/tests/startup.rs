//! What the engine says when it is given something that it cannot run on: it names the place, or waits for what is
//! away.

use anyhow::Result;
use saga_tests::{
    engine::{Engine, EngineInstallation, binary},
    eventually::eventually,
    kafka::TestKafka,
    participant::{ParticipantScript, ScriptedBehaviour},
    servers, unique,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::json;
use std::path::Path;
use tokio::process::Command;

const WAITING: &str = "
steps:
  - step: rest
    wait: 2s
  - step: reserve
    do: inventory.ReserveStock
    undo: inventory.ReleaseStock
";

fn definition() -> String {
    format!("saga: order\ntrigger: {{topic: t, type: T, key: \"${{ event.id }}\"}}\n{WAITING}")
}

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", WAITING)?;
    Ok(Some(world))
}

/// Starts an engine that must end by itself with exit 1, and returns what it said.
async fn refused(installation: &EngineInstallation) -> Result<String> {
    let mut engine = Engine::spawn(installation)?;
    let status = engine.end().await?;
    let said = engine.log()?;
    assert_eq!(status.code(), Some(1), "{said}");
    Ok(said)
}

async fn says(engine: &Engine, words: &str) -> Result<()> {
    eventually(words, WITHIN, || async {
        let log = engine.log()?;
        anyhow::ensure!(log.contains(words), "{log}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_and_a_stop_is_heard() -> Result<()> {
    let Some(postgres) = servers::postgres() else { return Ok(()) };
    let database = postgres.database().await?;
    let installation = EngineInstallation::new(&TestKafka::new("127.0.0.1:1".into(), None), database.url())?;
    installation.participants(&json!({"inventory": {"kafka": {"commands": "c"}}}))?;
    installation.definition("order", &definition())?;
    let engine = Engine::spawn(&installation)?;
    says(&engine, "kafka.bootstrapServers").await?;
    says(&engine, "does not answer; the engine waits and tries again").await?;
    waits_for(&engine, "127.0.0.1:1").await?;
    assert!(engine.terminate().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_and_probes_are_answered() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let installation = EngineInstallation::new(&kafka, "postgres://saga:hunter2@127.0.0.1:1/saga")?;
    installation.definition("order", &definition())?;
    installation.participants(&json!({"inventory": {"kafka": {"commands": "c"}}}))?;
    let engine = Engine::spawn(&installation)?;
    waits_for(&engine, "postgres at 127.0.0.1:1").await?;
    says(&engine, "postgres at 127.0.0.1:1: ").await?;
    let (status, body) = engine.api().get("/api/sagas").await?;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("starting")), "{body}");
    assert!(!engine.log()?.contains("hunter2"));
    assert!(engine.terminate().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_before_anything_is_waited_for() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let installation = EngineInstallation::new(&kafka, "postgres://saga@127.0.0.1:1/saga")?;
    installation.definition("order", &definition())?;
    installation.participants(&json!({"inventory": {"kafka": {"commands": "c"}}}))?;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let listen = taken.local_addr()?.to_string();
    let serve =
        Command::new(binary()?).args(["serve", "--listen", &listen, "--config"]).arg(installation.config()?).output();
    let output = tokio::time::timeout(WITHIN, serve).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot listen on") && said.contains("--listen"), "{said}");
    Ok(())
}

/// The process lives, is not ready, and says that it waits for `what`.
async fn waits_for(engine: &Engine, what: &str) -> Result<()> {
    eventually("it says what it waits for", WITHIN, || async {
        let (status, body) = engine.api().get("/health/ready").await?;
        anyhow::ensure!(status.as_u16() == 503 && body["status"] == "starting", "{status} {body}");
        let waits = body["waitingFor"].as_str().is_some_and(|waiting| waiting.contains(what));
        Ok(waits.then_some(()))
    })
    .await?;
    assert_eq!(engine.api().get("/health/live").await?.0.as_u16(), 200);
    Ok(())
}

#[tokio::test]
async fn a_store_of_another_number_of_shards_is_refused() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    drop(world.start().await?);
    let said = refused(&world.installation.set("shards", json!(16))).await?;
    assert!(said.contains("8 shards") && said.contains("set `shards: 8`"), "{said}");
    Ok(())
}

#[tokio::test]
async fn an_inbox_of_another_number_of_partitions_is_refused() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    world.kafka.create_topic(world.installation.inbox(), 5, &[("retention.ms", "-1")]).await?;
    let said = refused(&world.installation).await?;
    assert!(said.contains("5 partitions") && said.contains("`shards` is 8"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_deleted_inbox_stops_the_engine_with_the_reason_and_a_start_makes_it_anew() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let mut engine = world.start().await?;
    world.kafka.delete_topic(world.installation.inbox()).await?;
    let status = engine.end().await?;
    let said = engine.log()?;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("the inbox {} was deleted", world.installation.inbox())), "{said}");
    let engine = world.start().await?;
    says(&engine, "had been deleted and is created again").await?;
    world.order("o-1", &json!({})).await?;
    reaches(&engine, "o-1", &["completed"]).await?;
    Ok(())
}

#[tokio::test]
async fn replies_that_would_drop_records_are_refused_with_what_to_run() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    world.kafka.create_topic(world.installation.replies(), 1, &[]).await?;
    let said = refused(&world.installation).await?;
    assert!(said.contains("--add-config retention.ms=-1"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_store_and_an_inbox_that_do_not_belong_together_are_refused() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    drop(world.start().await?);
    let other = world.postgres.database().await?;
    let said = refused(&world.installation.set("store", json!(other.url()))).await?;
    assert!(said.contains("belongs to installation"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_build_is_refused() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    drop(world.start().await?);
    let newer = "INSERT INTO schema_versions (version, description, success, checksum, execution_time)
        VALUES (999, 'of the future', true, 'sum', 0)";
    sqlx::query(newer).execute(&world.database.pool().await?).await?;
    let said = refused(&world.installation).await?;
    assert!(said.contains("999"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_definition_that_is_removed_starts_nothing_and_its_sagas_go_on() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["waiting"]).await?;
    engine.kill().await?;
    world.installation.remove_definition("order")?;
    world.define("other", WAITING)?;
    let engine = world.start().await?;
    world.order("4712", &json!({})).await?;
    let id = |saga: &str, key: &str| format!("/api/sagas?saga={saga}&key={key}");
    let ended = |path: String| {
        let api = engine.api().clone();
        async move {
            eventually(&path, WITHIN, || async {
                let (_, list) = api.get(&path).await?;
                anyhow::ensure!(list["sagas"][0]["status"] == "completed", "{list}");
                Ok(Some(()))
            })
            .await
        }
    };
    ended(id("order", "4711")).await?;
    ended(id("other", "4712")).await?;
    let (_, list) = engine.api().get(&id("order", "4712")).await?;
    assert_eq!(list["sagas"], json!([]), "a removed definition starts nothing");
    Ok(())
}

#[tokio::test]
async fn a_participant_that_is_gone_parks_its_sagas_and_retry_brings_them_on() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    eventually("it is there", WITHIN, || find(&engine, "4711")).await?;
    engine.kill().await?;
    world.installation.remove_definition("order")?;
    world.define("unrelated", "steps: [{step: rest, wait: 1s}]\n")?;
    let inventory = json!({"kafka": {"commands": world.inventory.topic()}});
    world.installation.participants(&json!({"payments": {"http": {"url": world.payments.url()}}}))?;
    let engine = world.start().await?;
    let parked = eventually("it parks", WITHIN, || async {
        let (_, list) = engine.api().get("/api/sagas?saga=order&key=4711").await?;
        anyhow::ensure!(list["sagas"][0]["status"] == "parked", "{list}");
        Ok(Some(list["sagas"][0].clone()))
    })
    .await?;
    assert!(parked["reason"].as_str().is_some_and(|reason| reason.contains("inventory")), "{parked}");
    engine.kill().await?;
    world.installation.participants(&json!({"inventory": inventory}))?;
    let engine = world.start().await?;
    let id = parked["id"].as_str().unwrap_or_default();
    let act = json!({"who": "ada", "reason": "inventory is back"});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/retry"), &act).await?;
    // Accepted, if the group takes its time to give the engine its shards after a kill.
    assert!([200, 202].contains(&status.as_u16()), "{status} {body}");
    eventually("it completes", WITHIN, || async {
        let saga = find(&engine, id).await?;
        Ok(saga.filter(|saga| saga["status"] == "completed"))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_second_engine_on_one_sqlite_file_is_refused_and_readers_are_not() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let store = format!("sqlite:{}", folder.path().join("saga.db").display());
    let installation = EngineInstallation::new(&kafka, &store)?;
    installation.participants(&json!({"payments": {"http": {"url": "http://127.0.0.1:1"}}}))?;
    let trigger = format!("trigger: {{topic: {}, type: T, key: \"${{ event.id }}\"}}", unique("t"));
    let step = "steps: [{step: pay, do: POST payments/charges, undo: POST payments/refunds}]";
    installation.definition("order", &format!("saga: order\n{trigger}\n{step}\n"))?;
    let _first = Engine::start(&installation).await?;
    let said = refused(&installation).await?;
    assert!(said.contains("in use by another engine"), "{said}");
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, json!({"store": store}).to_string())?;
    let listed = list(&config).await?;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    Ok(())
}

async fn list(config: &Path) -> Result<std::process::Output> {
    Ok(Command::new(binary()?).args(["list", "--config"]).arg(config).output().await?)
}

#[tokio::test]
async fn all_that_is_wrong_with_a_configuration_is_said_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "shards: none\nstore: mysql://x\napi: {listen: nowhere}\nkafka: {bootstrapServer: a:1}\n")?;
    let output = list(&config).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in
        ["shards", "none", "store", "mysql://", "api.listen", "nowhere", "did you mean `kafka.bootstrapServers`"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_is_orderly() -> Result<()> {
    let slow = ParticipantScript::default().on("reserve:do", |_| ScriptedBehaviour::silence());
    let Some(world) = TestWorld::new(slow, ParticipantScript::default()).await? else { return Ok(()) };
    world.define("order", &WAITING.replace("wait: 2s", "wait: 1ms"))?;
    let engine = world.start().await?;
    let (partition, offset) = world.order("4711", &json!({})).await?;
    reaches(&engine, "4711", &["running", "waiting"]).await?;
    assert!(engine.terminate().await?.success());
    let committed = world.kafka.committed(world.installation.group(), &world.orders, partition).await?;
    assert_eq!(committed, Some(offset + 1), "offsets are committed");
    Ok(())
}

#[tokio::test]
async fn a_store_is_bound_to_its_group_and_topics() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    drop(world.start().await?);
    let other = world.installation.with("topics", "inbox", json!(unique("other")));
    let other = other.with("topics", "replies", json!(unique("other"))).with("topics", "dlq", json!(unique("other")));
    let said = refused(&other.with("kafka", "group", json!(unique("other")))).await?;
    for (what, key) in [
        ("the store belongs to the inbox", "set topics.inbox to"),
        ("the store belongs to the replies topic", "set topics.replies to"),
        ("the store belongs to the DLQ topic", "set topics.dlq to"),
        ("the store belongs to the consumer group", "set kafka.group to"),
    ] {
        assert!(said.contains(what) && said.contains(key), "{what}: {said}");
    }
    Ok(())
}
