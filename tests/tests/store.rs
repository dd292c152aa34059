//! What can happen to the event store that no answer tells of: silence, and a state that is older than what was
//! confirmed.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, http_client},
    eventually::eventually,
    network_path::{NetworkPath, PathPassage},
    participant::ParticipantScript,
    traffic,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};

/// Before, during and after a disturbance.
const ORDERS: usize = 10;

async fn says(engine: &Engine, words: &str) -> Result<()> {
    eventually(words, WITHIN, || async {
        ensure!(engine.log()?.contains(words), "{}", engine.log_tail());
        Ok(Some(()))
    })
    .await
}

async fn is_unready_because(engine: &Engine, words: &str) -> Result<()> {
    eventually(words, WITHIN, || async {
        let (status, body) = engine.api().get("/health/ready").await?;
        ensure!(status.as_u16() == 503 && body["reasons"].to_string().contains(words), "{status} {body}");
        Ok(Some(()))
    })
    .await
}

/// The store's address by way of `path`.
fn through(path: &NetworkPath, url: &str) -> Result<String> {
    let (before, after) = url.rsplit_once('@').context("a URL with a password")?;
    let (_, database) = after.split_once('/').context("a URL with a database")?;
    Ok(format!("{before}@{}/{database}", path.address()))
}

fn server_of(url: &str) -> Result<&str> {
    let (_, after) = url.rsplit_once('@').context("a URL with a password")?;
    Ok(after.split_once('/').context("a URL with a database")?.0)
}

#[tokio::test]
async fn a_silent_way_to_the_database_costs_nothing_but_time() -> Result<()> {
    let Some(mut world) = TestWorld::new(traffic::inventory(), traffic::payments()).await? else { return Ok(()) };
    traffic::participants(&world)?;
    world.define("order", traffic::DEFINITION)?;
    let path = NetworkPath::to(server_of(world.database.url())?).await?;
    let store = through(&path, world.database.url())?;
    world.installation = world.installation.set("store", json!(store));
    let engine = world.start().await?;
    traffic::place(&world, 0, ORDERS).await?;
    path.set(PathPassage::SilentBack);
    traffic::place(&world, ORDERS, 2 * ORDERS).await?;
    is_unready_because(&engine, "the event store has").await?;
    says(&engine, "no answer within 15s").await?;
    path.set(PathPassage::Open);
    traffic::place(&world, 2 * ORDERS, 3 * ORDERS).await?;
    traffic::ends_well(&world, &engine, 3 * ORDERS).await?;
    ensure!(engine.api().is_ready().await?);
    Ok(())
}

#[tokio::test]
async fn a_database_that_lost_commits_is_noticed_and_what_is_there_goes_on() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    world.define(
        "order",
        "steps:\n  - step: rest\n    wait: 5s\n  - step: reserve\n    do: inventory.ReserveStock\n    readOnly: true\n",
    )?;
    let engine = world.start().await?;
    world.order("kept", &json!({})).await?;
    reaches(&engine, "kept", &["waiting"]).await?;
    let snapshot = world.database.snapshot().await?;
    world.order("lost", &json!({})).await?;
    let lost = reaches(&engine, "lost", &["waiting"]).await?["id"].clone();
    world.database.steps_back_to(snapshot).await?;
    says(&engine, "the event store lost what it had confirmed").await?;
    says(&engine, "the saga is lost: the event store does not have it any more").await?;
    ensure!(engine.log()?.contains(lost.as_str().context("an id")?), "the lost saga is named");
    reaches(&engine, "kept", &["completed"]).await?;
    ensure!(find(&engine, "lost").await?.is_none());
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    ensure!(metrics.contains("saga_store_stepped_back_total 1"), "{metrics}");
    is_ready_again(&engine).await?;
    // As after the offsets were set back: what was lost starts again.
    world.order("lost", &json!({})).await?;
    let again: Value = reaches(&engine, "lost", &["completed"]).await?;
    ensure!(again["id"] != lost);
    Ok(())
}

async fn is_ready_again(engine: &Engine) -> Result<()> {
    eventually("the engine is ready again", WITHIN, || async { Ok(engine.api().is_ready().await?.then_some(())) }).await
}

const LOST: &str = "the event store lost what it had confirmed";

fn tells_of_no_loss(engine: &Engine) -> Result<()> {
    ensure!(!engine.log()?.contains(LOST), "nothing was lost: {}", engine.log_tail());
    Ok(())
}

/// A world with one quick saga.
async fn quick() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", "steps:\n  - step: reserve\n    do: inventory.ReserveStock\n    readOnly: true\n")?;
    Ok(Some(world))
}

async fn completes(world: &TestWorld, engine: &Engine, order: &str) -> Result<()> {
    world.order(order, &json!({})).await?;
    reaches(engine, order, &["completed"]).await.map(drop)
}

#[tokio::test]
async fn what_was_lost_while_no_engine_ran_is_told_once_by_the_next() -> Result<()> {
    let Some(world) = quick().await? else { return Ok(()) };
    let engine = world.start().await?;
    completes(&world, &engine, "kept").await?;
    let snapshot = world.database.snapshot().await?;
    completes(&world, &engine, "lost").await?;
    ensure!(engine.terminate().await?.success());
    world.database.steps_back_to(snapshot).await?;
    let engine = world.start().await?;
    says(&engine, LOST).await?;
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    ensure!(metrics.contains("saga_store_stepped_back_total 1"), "{metrics}");
    ensure!(find(&engine, "kept").await?.is_some() && find(&engine, "lost").await?.is_none());
    completes(&world, &engine, "lost").await?;
    ensure!(engine.terminate().await?.success());
    let engine = world.start().await?;
    completes(&world, &engine, "later").await?;
    tells_of_no_loss(&engine)
}

#[tokio::test]
async fn whatever_ends_an_engine_nothing_is_told_when_nothing_was_lost() -> Result<()> {
    let Some(world) = quick().await? else { return Ok(()) };
    let (first, second) = (world.start().await?, world.start().await?);
    completes(&world, &first, "before").await?;
    ensure!(first.terminate().await?.success());
    let third = world.start().await?;
    tells_of_no_loss(&third)?;
    completes(&world, &third, "rolled").await?;
    second.kill().await?;
    third.kill().await?;
    let engine = world.start().await?;
    completes(&world, &engine, "killed").await?;
    tells_of_no_loss(&engine)?;
    ensure!(engine.terminate().await?.success());
    let standby = world.database.snapshot().await?;
    world.database.steps_back_to(standby).await?;
    let engine = world.start().await?;
    completes(&world, &engine, "failed over").await?;
    tells_of_no_loss(&engine)
}

#[tokio::test]
async fn an_older_copy_of_a_sqlite_file_is_noticed() -> Result<()> {
    let Some(mut world) = quick().await? else { return Ok(()) };
    let folder = world.installation.folder().join("file");
    std::fs::create_dir(&folder)?;
    world.installation = world.installation.set("store", json!(format!("sqlite:{}", folder.join("saga.db").display())));
    let engine = world.start().await?;
    completes(&world, &engine, "kept").await?;
    ensure!(engine.terminate().await?.success());
    let copy = folder.with_extension("copy");
    let cp = |from: &std::path::Path, to: &std::path::Path| {
        std::process::Command::new("cp").arg("-r").args([from, to]).status()
    };
    ensure!(cp(&folder, &copy)?.success());
    let engine = world.start().await?;
    tells_of_no_loss(&engine)?;
    completes(&world, &engine, "lost").await?;
    ensure!(engine.terminate().await?.success());
    std::fs::remove_dir_all(&folder)?;
    std::fs::rename(&copy, &folder)?;
    let engine = world.start().await?;
    says(&engine, LOST).await?;
    ensure!(find(&engine, "lost").await?.is_none());
    completes(&world, &engine, "lost").await
}
