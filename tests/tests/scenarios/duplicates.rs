//! Nothing happens twice.

use super::definitions::ORDER;
use anyhow::{Context, Result};
use saga_tests::{
    engine::{Engine, http_client},
    eventually::eventually,
    oracle::{OracleExemption, count_by_status, judge},
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::json;

#[tokio::test]
async fn an_event_that_comes_again_starts_nothing() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    for _ in 0..5 {
        world.order("4711", &json!({})).await?;
    }
    reaches(&engine, "4711", &["completed"]).await?;
    // Same partition, so whatever came before the next order has been judged when that is done.
    world.order("4711", &json!({"other": "payload"})).await?;
    let last = world.order("4711", &json!({})).await?;
    let group = world.installation.group();
    eventually("all seven are judged", WITHIN, || async {
        let committed = world.kafka.committed(group, &world.orders, last.0).await?;
        Ok(committed.filter(|offset| *offset == last.1 + 1))
    })
    .await?;
    assert_eq!(count_by_status(&world).await?.values().sum::<usize>(), 1);
    let incidents = reaches(&engine, "4711", &["completed"]).await?["incidents"].clone();
    assert_eq!(incidents.as_array().map(Vec::len), Some(1), "only the other payload is one: {incidents}");
    assert_eq!(incidents[0]["failure"]["code"], "key_taken");
    let id = reaches(&engine, "4711", &["completed"]).await?["id"].as_str().context("an id")?.to_owned();
    assert!(world.ledgers().iter().all(|ledger| ledger.calls().iter().all(|call| call.command.starts_with(&id))));
    judge(&world, OracleExemption::default()).await
}

/// Records of one key: more than may be unfinished at once, so that intake stands still while they wait.
const SAME_KEY: usize = 6_000;

#[tokio::test]
async fn what_waits_for_a_key_is_answered_with_its_first_start() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let patient = json!({"timeout": "30s"});
    world.participants(&patient, &patient)?;
    world.define("order", ORDER)?;
    let (nothing, other) = (json!({}), json!({"other": "payload"}));
    let same = (0..SAME_KEY).map(|_| world.order("4711", &nothing));
    let placed = futures_util::future::try_join_all(same).await?;
    let last = world.order("4711", &other).await?;
    assert!(placed.iter().all(|(partition, _)| *partition == last.0), "one key, one partition");
    let engine = world.start().await?;
    let group = world.installation.group();
    eventually("all are judged", WITHIN, || async {
        let committed = world.kafka.committed(group, &world.orders, last.0).await?;
        Ok(committed.filter(|offset| *offset == last.1 + 1))
    })
    .await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    let figure = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok());
    assert_eq!(figure("saga_duplicates_total{other_payload=\"no\"}"), Some(SAME_KEY - 1));
    assert_eq!(figure("saga_duplicates_total{other_payload=\"yes\"}"), Some(1));
    let rows = figure("saga_commit_rows_total").context("rows are counted")?;
    assert!(rows < 20, "a duplicate asks the store for nothing: {rows} rows were written or tried");
    assert!(engine.log()?.contains("another payload came under a key that is taken"));
    judge(&world, OracleExemption::default()).await
}

/// How many records with other payloads come, and how many of them are on record.
const OTHERS: u32 = 30;
const KEPT: usize = 8;

#[tokio::test]
async fn other_payloads_under_a_taken_key_are_on_record_and_bounded() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    let patient = reqwest::Client::builder().no_proxy().build()?;
    let mut changes = patient.get(format!("{}/api/guards/events", engine.api().base())).send().await?;
    world.order("4711", &json!({})).await?;
    let version = reaches(&engine, "4711", &["completed"]).await?["version"].as_u64().context("a version")?;
    let payloads: Vec<_> = (0..OTHERS).map(|other| json!({"other": other})).collect();
    let others = payloads.iter().map(|other| world.order("4711", other));
    let (partition, offset) = *futures_util::future::try_join_all(others).await?.iter().max().context("some")?;
    let group = world.installation.group();
    let all_judged = || async {
        let committed = world.kafka.committed(group, &world.orders, partition).await?;
        Ok(committed.filter(|at| *at > offset))
    };
    eventually("all are judged", WITHIN, all_judged).await?;
    let mut told = String::new();
    while !told.contains("keyTaken") {
        told.push_str(&String::from_utf8_lossy(&changes.chunk().await?.context("the stream goes on")?));
    }
    let check = async |engine: &Engine| {
        let saga = reaches(engine, "4711", &["completed"]).await?;
        assert_eq!(saga["incidents"].as_array().map(Vec::len), Some(KEPT), "{saga}");
        assert_eq!(saga["version"].as_u64(), Some(version + u64::try_from(KEPT)?));
        let (_, found) = engine.api().get("/api/sagas?incident=key_taken").await?;
        assert_eq!(found["sagas"][0]["key"], "4711", "{found}");
        anyhow::Ok(())
    };
    check(&engine).await?;
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    for line in ["saga_incidents_total{kind=\"key_taken\"} 8", "saga_duplicates_total{other_payload=\"yes\"} 30"] {
        assert!(metrics.contains(line), "{line}");
    }
    engine.kill().await?;
    let engine = world.start().await?;
    world.order("4711", &json!({"other": 0})).await?;
    world.order("4712", &json!({})).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    check(&engine).await?;
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_reply_that_comes_twice_counts_once() -> Result<()> {
    let twice = |_| ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Twice);
    let inventory = ParticipantScript::default().on("reserve:do", twice).on("ship:do", twice);
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(saga["version"], 4, "a start and three answers: {saga}");
    judge(&world, OracleExemption::default()).await
}

#[tokio::test]
async fn a_reply_that_comes_after_the_undo_changes_nothing() -> Result<()> {
    let gate = ScriptGate::default();
    let held = gate.clone();
    let late = move |_| ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Held(held.clone()));
    let Some(world) =
        TestWorld::new(ParticipantScript::default().on("ship:do", late), ParticipantScript::default()).await?
    else {
        return Ok(());
    };
    world.participants(&json!({"timeout": "300ms"}), &json!({}))?;
    world.define("order", &format!("retry: {{attempts: 1}}\n{ORDER}"))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let version = saga["version"].clone();
    gate.open();
    world.kafka.read_until(world.installation.replies(), WITHIN, |replies| replies.len() >= 4).await?;
    world.order("4712", &json!({})).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    assert_eq!(reaches(&engine, "4711", &["compensated"]).await?["version"], version, "a terminal saga is final");
    judge(&world, OracleExemption::default()).await
}
