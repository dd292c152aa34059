//! Servers that stop under the engine: it waits, says so, and goes on. One test at a time: they share the servers.

use anyhow::{Context as _, Result};
use saga_tests::{
    control::ServerAction,
    engine::Engine,
    eventually::eventually,
    traffic,
    world::{TestWorld, WITHIN},
};
use std::time::Duration;
use tokio::sync::Mutex;

/// Held by the test that stops servers.
static SERVERS: Mutex<()> = Mutex::const_new(());
/// The controller takes a broker's session after 9 s. When the broker goes on it lists no broker until it has a new
/// one.
const LONGER_THAN_ITS_SESSION: Duration = Duration::from_secs(13);
/// A client that has lost its brokers is told of them within seconds, on two cores and with a group that forms anew.
const FOUND_AGAIN: Duration = Duration::from_secs(30);
/// Before, during and after a disturbance.
const ORDERS: usize = 20;

async fn world() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(traffic::inventory(), traffic::payments()).await? else { return Ok(None) };
    traffic::participants(&world)?;
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
    world.kafka.perform(ServerAction::Kill).await?;
    live(&engine).await?;
    world.kafka.perform(ServerAction::Start).await?;
    traffic::place(&world, ORDERS, 2 * ORDERS).await?;
    traffic::ends_well(&world, &engine, 2 * ORDERS).await
}

#[tokio::test]
async fn a_broker_that_is_silent_is_told_by_readiness_and_its_return_too() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(world) = world().await? else { return Ok(()) };
    let mut engine = world.start().await?;
    traffic::place(&world, 0, ORDERS).await?;
    world.kafka.perform(ServerAction::Pause).await?;
    let said = eventually("it is not ready", WITHIN, || async {
        let (status, body) = engine.api().get("/health/ready").await?;
        Ok((status.as_u16() == 503).then(|| body.to_string()))
    })
    .await;
    // Before anything is judged: other tests need the broker.
    world.kafka.perform(ServerAction::Unpause).await?;
    let said = said?;
    assert!(said.contains("Kafka"), "{said}");
    engine.ready().await?;
    traffic::ends_well(&world, &engine, ORDERS).await
}

#[tokio::test]
async fn a_broker_that_stood_still_for_longer_than_its_session_is_found_again() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    traffic::place(&world, 0, ORDERS / 2).await?;
    traffic::ends_well(&world, &engine, ORDERS / 2).await?;
    traffic::place(&world, ORDERS / 2, ORDERS).await?;
    world.kafka.stand_still(LONGER_THAN_ITS_SESSION).await?;
    traffic::place(&world, ORDERS, 2 * ORDERS).await?;
    let one_more = || async { Ok((traffic::ended_orders(&world, 2 * ORDERS).await? > ORDERS).then_some(())) };
    eventually("an order of afterwards has ended", FOUND_AGAIN, one_more).await.with_context(|| engine.log_tail())?;
    traffic::ends_well(&world, &engine, 2 * ORDERS).await
}

#[tokio::test]
async fn a_database_that_is_killed_and_comes_back_costs_nothing_but_time() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(world) = world().await? else { return Ok(()) };
    let engine = world.start().await?;
    traffic::place(&world, 0, ORDERS).await?;
    world.postgres.perform(ServerAction::Kill).await?;
    traffic::place(&world, ORDERS, 2 * ORDERS).await?;
    live(&engine).await?;
    world.postgres.perform(ServerAction::Start).await?;
    traffic::place(&world, 2 * ORDERS, 3 * ORDERS).await?;
    traffic::ends_well(&world, &engine, 3 * ORDERS).await
}

#[tokio::test]
async fn an_engine_that_finds_no_database_waits_for_it_and_says_so() -> Result<()> {
    let _alone = SERVERS.lock().await;
    let Some(world) = world().await? else { return Ok(()) };
    world.postgres.perform(ServerAction::Stop).await?;
    let mut engine = Engine::spawn(&world.installation)?;
    let said = eventually("it says so", WITHIN, || async {
        let log = engine.log()?;
        Ok(log.contains("store").then_some(log))
    })
    .await?;
    assert!(said.contains("waits"), "{said}");
    world.postgres.perform(ServerAction::Start).await?;
    engine.ready().await?;
    traffic::place(&world, 0, ORDERS).await?;
    traffic::ends_well(&world, &engine, ORDERS).await
}
