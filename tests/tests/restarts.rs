//! Servers that stop under the engine: it waits, says so, and goes on. One test at a time: they share the servers.

use anyhow::Result;
use saga_tests::{control::Action, engine::Engine, traffic, world::World};
use serde_json::json;
use tokio::sync::Mutex;

/// Held by the test that stops servers.
static SERVERS: Mutex<()> = Mutex::const_new(());
/// Before, during and after a disturbance.
const ORDERS: usize = 20;

async fn world() -> Result<Option<World>> {
    let Some(world) = World::new(traffic::inventory(), traffic::payments()).await? else { return Ok(None) };
    world.participants(&json!({"timeout": "3s"}), &json!({"timeout": "3s"}))?;
    world.define("order", traffic::DEFINITION)?;
    Ok(Some(world))
}

async fn live(engine: &Engine) -> Result<()> {
    let (status, _) = engine.api().get("/health/live").await?;
    assert_eq!(status.as_u16(), 200, "the engine waits, it does not end");
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_killed_and_comes_back_costs_nothing_but_time() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    traffic::place(&world, 0, ORDERS).await?;
    world.kafka.perform(Action::Kill).await?;
    live(&engine).await?;
    world.kafka.perform(Action::Start).await?;
    traffic::place(&world, ORDERS, 2 * ORDERS).await?;
    traffic::ends_well(&world, &engine, 2 * ORDERS).await
}

#[tokio::test]
async fn a_database_that_is_killed_and_comes_back_costs_nothing_but_time() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    traffic::place(&world, 0, ORDERS).await?;
    world.postgres.perform(Action::Kill).await?;
    traffic::place(&world, ORDERS, 2 * ORDERS).await?;
    live(&engine).await?;
    world.postgres.perform(Action::Start).await?;
    traffic::place(&world, 2 * ORDERS, 3 * ORDERS).await?;
    traffic::ends_well(&world, &engine, 3 * ORDERS).await
}

#[tokio::test]
async fn an_engine_that_finds_no_database_waits_for_it_and_says_so() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(world) = world().await? else { return Ok(()) };
    world.postgres.perform(Action::Stop).await?;
    let mut engine = Engine::spawn(&world.installation)?;
    let said = saga_tests::eventually::eventually("it says so", saga_tests::world::WITHIN, || async {
        let log = engine.log()?;
        Ok(log.contains("store").then_some(log))
    })
    .await?;
    assert!(said.contains("waits"), "{said}");
    world.postgres.perform(Action::Start).await?;
    engine.ready().await?;
    traffic::place(&world, 0, ORDERS).await?;
    traffic::ends_well(&world, &engine, ORDERS).await
}
