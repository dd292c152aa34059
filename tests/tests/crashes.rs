//! The engine is killed at any moment and started again: every saga goes on where it was.

use anyhow::Result;
use saga_tests::{engine::Engine, traffic, world::TestWorld};
use std::time::Duration;

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
    saga_tests::eventually::eventually("calls arrive", Duration::from_secs(60), || async {
        Ok((calls() >= goal).then_some(()))
    })
    .await
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
