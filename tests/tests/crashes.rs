//! The engine is killed at any moment and started again: every saga goes on where it was.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, binary, http_client},
    eventually::eventually,
    participant::{ParticipantScript, ScriptedBehaviour},
    traffic,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::process::Command;

/// How often the engine is killed.
const KILLS: usize = 8;
/// Orders between two kills.
const ORDERS: usize = 25;

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(traffic::inventory(), traffic::payments()).await? else { return Ok(None) };
    traffic::participants(&world)?;
    world.define("order", traffic::DEFINITION)?;
    Ok(Some(world))
}

/// Lets the engine live until it has done something new: not a time, so that a slow machine is killed at work too.
async fn until_work_is_under_way(world: &TestWorld, nth: usize) -> Result<()> {
    let calls = || world.ledgers().iter().map(|ledger| ledger.calls().len()).sum::<usize>();
    let goal = calls() + 1 + nth * 7 % 40;
    eventually("calls arrive", Duration::from_secs(60), || async { Ok((calls() >= goal).then_some(())) }).await
}

#[tokio::test]
async fn killed_in_a_loop_the_engine_loses_nothing_and_repeats_nothing() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    for nth in 0..KILLS {
        let engine = Engine::spawn(&world.installation)?;
        traffic::place(&world, nth * ORDERS, (nth + 1) * ORDERS).await?;
        until_work_is_under_way(&world, nth).await?;
        engine.kill().await?;
    }
    let engine = world.start().await?;
    traffic::ends_well(&world, &engine, KILLS * ORDERS).await
}

#[tokio::test]
async fn two_engines_share_the_work_and_one_takes_over_when_the_other_is_killed() -> Result<()> {
    let Some(world) = world().await? else { return Ok(()) };
    let (first, second) = (world.start().await?, world.start().await?);
    traffic::place(&world, 0, ORDERS).await?;
    until_work_is_under_way(&world, 1).await?;
    first.kill().await?;
    traffic::place(&world, ORDERS, 2 * ORDERS).await?;
    traffic::ends_well(&world, &second, 2 * ORDERS).await?;
    let third = world.start().await?;
    traffic::place(&world, 2 * ORDERS, 3 * ORDERS).await?;
    traffic::ends_well(&world, &third, 3 * ORDERS).await?;
    assert!(second.terminate().await?.success(), "an end in good order");
    traffic::place(&world, 3 * ORDERS, 4 * ORDERS).await?;
    traffic::ends_well(&world, &third, 4 * ORDERS).await
}

/// As many acts as make more than a snapshot's rows: each is two rows.
const ACTS: usize = 265;

async fn metrics(engine: &Engine) -> Result<String> {
    Ok(http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?)
}

/// A retry that fails again, as often as `times`. Returns the version of the last row.
async fn fails_again(engine: &Engine, id: &str, times: usize) -> Result<u64> {
    let act = json!({"who": "ada", "reason": "once more"});
    for _ in 0..times {
        let before = reaches(engine, id, &["parked"]).await?["version"].as_u64().context("a version")?;
        let (status, body) = engine.api().post(&format!("/api/sagas/{id}/retry"), &act).await?;
        ensure!(status.is_success(), "{status}: {body}");
        eventually("the retry failed", WITHIN, || async {
            let shown = find(engine, id).await?.context("no such saga")?;
            Ok((shown["status"] == "parked" && shown["version"].as_u64() > Some(before + 1)).then_some(()))
        })
        .await?;
    }
    reaches(engine, id, &["parked"]).await?["version"].as_u64().context("a version")
}

/// What `saga replay verify` reports.
async fn verified(world: &TestWorld) -> Result<Value> {
    let verify = ["replay", "verify", "--output", "json", "--store", world.database.url()];
    let output = Command::new(binary()?).args(verify).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last: Value = serde_json::from_str(text.lines().last().context("a report")?)?;
    Ok(last["report"].clone())
}

#[tokio::test]
async fn a_long_saga_goes_on_from_its_snapshot_and_without_it() -> Result<()> {
    let refuses = Arc::new(AtomicBool::new(true));
    let refusing = Arc::clone(&refuses);
    let inventory = ParticipantScript::default().on("reserve:do", move |_| {
        if refusing.load(Ordering::SeqCst) {
            ScriptedBehaviour::fail_retryably("out_of_stock")
        } else {
            ScriptedBehaviour::succeed(json!({}))
        }
    });
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    world.define(
        "order",
        "onExhausted: park\nretry: {attempts: 1}\nsteps:\n  - {step: reserve, do: inventory.Reserve, undo: inventory.Release}\n",
    )?;
    let pool = world.database.pool().await?;
    let snapshots = || async {
        let found = sqlx::query_scalar::<_, i64>("SELECT coalesce(sum(version), 0)::bigint FROM snapshots");
        Ok::<i64, anyhow::Error>(found.fetch_one(&pool).await?)
    };
    let engine = world.start().await?;
    world.order("1", &json!({})).await?;
    let id = reaches(&engine, "1", &["parked"]).await?["id"].as_str().context("an id")?.to_owned();
    let version = fails_again(&engine, &id, ACTS).await?;
    ensure!(version > 500, "the saga has {version} rows");
    eventually("a snapshot is kept", WITHIN, || async { Ok((snapshots().await? == 500).then_some(())) }).await?;
    engine.kill().await?;

    let engine = world.start().await?;
    let after = fails_again(&engine, &id, 2).await?;
    ensure!(after == version + 4, "rows follow the last one: {version}, {after}");
    ensure!(metrics(&engine).await?.contains("saga_snapshots_total{outcome=\"used\"}"), "the snapshot is used");
    let report = verified(&world).await?;
    ensure!((&report["snapshots"], &report["divergences"]) == (&json!(1), &json!(0)), "{report}");
    engine.kill().await?;

    sqlx::query("UPDATE snapshots SET state = 'x'").execute(&pool).await?;
    let report = verified(&world).await?;
    ensure!(report["divergences"] == 1, "the damaged snapshot is named: {report}");
    let engine = world.start().await?;
    let last = fails_again(&engine, &id, 1).await?;
    ensure!(last == after + 2, "rows follow the last one: {after}, {last}");
    let told = metrics(&engine).await?;
    ensure!(told.contains("saga_snapshots_ignored_total{reason=\"unreadable\"}"), "{told}");

    sqlx::query("DELETE FROM snapshots").execute(&pool).await?;
    refuses.store(false, Ordering::SeqCst);
    let act = json!({"who": "ada", "reason": "it is in stock"});
    let (status, body) = engine.api().post(&format!("/api/sagas/{id}/retry"), &act).await?;
    ensure!(status.is_success(), "{status}: {body}");
    reaches(&engine, &id, &["completed"]).await?;
    ensure!(snapshots().await? == 0);
    let report = verified(&world).await?;
    ensure!((&report["snapshots"], &report["divergences"]) == (&json!(0), &json!(0)), "{report}");
    Ok(())
}
