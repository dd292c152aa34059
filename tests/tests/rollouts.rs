//! A new version of the definitions is rolled out while engines with the old one run, and rolled back.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, EngineInstallation},
    eventually::eventually,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN},
};
use serde_json::json;
use std::time::Duration;

/// Orders placed at once.
const ORDERS: usize = 100;

/// A dead engine's partitions move after its session's 10 s, and who takes a topic again waits for 10 s more.
const TAKEN_OVER: Duration = Duration::from_secs(120);

const REST: &str = "steps: [{step: rest, wait: 1ms}]\n";

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("old", REST)?;
    Ok(Some(world))
}

/// Adds a definition to a version, triggered as all others; `from` is a key of its trigger.
fn add(world: &TestWorld, version: &EngineInstallation, name: &str, from: &str, rest: &str) -> Result<()> {
    let trigger = format!("{{topic: {}, type: OrderPlaced, key: \"${{ event.orderId }}\"{from}}}", world.orders);
    version.definition(name, &format!("saga: {name}\ntrigger: {trigger}\n{rest}"))
}

async fn place(world: &TestWorld, orders: std::ops::Range<usize>) -> Result<()> {
    for order in orders {
        world.order(&order.to_string(), &json!({})).await?;
    }
    Ok(())
}

async fn count(world: &TestWorld, definition: &str, status: &str) -> Result<usize> {
    let count = "SELECT count(*) FROM streams WHERE category = $1 AND status LIKE $2";
    let pool = world.database.pool().await?;
    let counted: i64 = sqlx::query_scalar(count).bind(definition).bind(status).fetch_one(&pool).await?;
    Ok(usize::try_from(counted)?)
}

async fn reaches(world: &TestWorld, definition: &str, sagas: usize, within: Duration) -> Result<()> {
    eventually(&format!("{sagas} sagas of {definition}"), within, || async {
        let found = count(world, definition, "%").await?;
        ensure!(found == sagas, "there are {found}");
        Ok(Some(()))
    })
    .await
}

/// Returns when the group's committed positions say that so many orders are finished: a definition that is added begins
/// there.
async fn committed(world: &TestWorld, orders: usize) -> Result<()> {
    const PARTITIONS: std::ops::Range<i32> = 0..3;
    eventually(&format!("{orders} orders are committed"), WITHIN, || async {
        let mut sum = 0;
        for partition in PARTITIONS {
            let group = world.installation.group();
            sum += world.kafka.committed(group, &world.orders, partition).await?.unwrap_or(0);
        }
        ensure!(usize::try_from(sum)? == orders, "{sum} are");
        Ok(Some(()))
    })
    .await
}

async fn leaves(engine: &Engine, topic: &str) -> Result<()> {
    eventually("it leaves the topic to others", WITHIN, || async {
        let (_, body) = engine.api().get("/health/ready").await?;
        let reason = body["leftToOthers"][topic].as_str().with_context(|| body.to_string())?;
        ensure!(reason.contains("no file of `added`"), "{reason}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn a_definition_that_is_added_starts_for_every_record_from_where_it_begins() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let old = world.start().await?;
    place(&world, 0..ORDERS).await?;
    reaches(&world, "old", ORDERS, WITHIN).await?;
    committed(&world, ORDERS).await?;
    let version = world.installation.another_version()?;
    add(&world, &version, "added", "", REST)?;
    add(&world, &version, "whole", ", from: earliest", REST)?;
    let new = Engine::start(&version).await?;
    place(&world, ORDERS..3 * ORDERS).await?;
    reaches(&world, "added", 2 * ORDERS, WITHIN).await?;
    reaches(&world, "whole", 3 * ORDERS, WITHIN).await?;
    reaches(&world, "old", 3 * ORDERS, WITHIN).await?;
    leaves(&old, &world.orders).await?;
    assert!(old.log()?.contains("stops reading the topic"), "{}", old.log_tail());
    assert!(new.log()?.contains("gets no older records"), "{}", new.log_tail());
    // The new version is gone for good: the old one takes the topic again.
    new.kill().await?;
    place(&world, 3 * ORDERS..4 * ORDERS).await?;
    reaches(&world, "old", 4 * ORDERS, TAKEN_OVER).await?;
    // And comes after all: what was read without its definitions is read again for them.
    let _new = Engine::start(&version).await?;
    reaches(&world, "added", 3 * ORDERS, TAKEN_OVER).await?;
    reaches(&world, "whole", 4 * ORDERS, WITHIN).await?;
    reaches(&world, "old", 4 * ORDERS, WITHIN).await
}

#[tokio::test]
async fn a_participant_that_only_newer_engines_know_is_waited_for() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    world.installation.participants(&json!({}))?;
    let old = world.start().await?;
    let version = world.installation.another_version()?;
    version.participants(&json!({"payments": {"http": {"url": world.payments.url()}, "capabilities": ["paying"]}}))?;
    let by = [("added", "payments"), ("anyone", "capability:paying")];
    for (name, whom) in by {
        add(
            &world,
            &version,
            name,
            "",
            &format!("steps: [{{step: pay, do: 'POST {whom}/charges', readOnly: true}}]\n"),
        )?;
    }
    let new = Engine::start(&version).await?;
    place(&world, 0..ORDERS).await?;
    for (name, _) in by {
        reaches(&world, name, ORDERS, WITHIN).await?;
        assert!(count(&world, name, "waiting").await? > 0, "{name}: the old engine owns some of the shards");
        assert_eq!(count(&world, name, "parked").await?, 0, "{name}");
    }
    assert!(old.terminate().await?.success());
    eventually("all complete", TAKEN_OVER, || async {
        let done = count(&world, "added", "completed").await? + count(&world, "anyone", "completed").await?;
        ensure!(done == 2 * ORDERS, "{done} did\n{}", new.log_tail());
        Ok(Some(()))
    })
    .await
}
