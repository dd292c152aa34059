//! One shard stands still: sagas of all other shards start, are answered, wait, expire and end meanwhile, and nothing
//! of it is lost.

use anyhow::{Context, Result, ensure};
use saga_core::id::ShardId;
use saga_tests::{
    engine::{Engine, http_client},
    eventually::eventually,
    oracle::{OracleExemption, judge, statuses_by_key},
    participant::{ParticipantScript, RecordedCall, ScriptedBehaviour},
    traffic::SETTLED,
    world::{TestWorld, WITHIN},
};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use std::collections::BTreeSet;

const SHARDS: u16 = 8;
const HELD: ShardId = ShardId(3);

/// More than the queue of one shard holds.
const OF_THE_HELD: usize = 700;
const OF_THE_OTHERS: usize = 300;

/// A step over Kafka, one over HTTP, and a rest.
const ORDER: &str = r#"
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {orderId: "${ event.orderId }"}
    undo: inventory.ReleaseStock
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
    pivot: true
  - step: rest
    wait: 100ms
"#;

/// Keys of the held shard, or of all others.
fn keys(of_held: bool, from: usize) -> impl Iterator<Item = String> {
    let keys = (from..).map(|number| format!("order-{number}"));
    keys.filter(move |key| (ShardId::of("order", key, SHARDS) == HELD) == of_held)
}

/// As an engine that hangs in the middle of a claim: whoever claims the shard waits for it.
async fn hold(pool: &PgPool) -> Result<PoolConnection<Postgres>> {
    let mut session = pool.acquire().await?;
    // The number is that of the event store's own locks.
    sqlx::query("SELECT pg_advisory_lock(1396786001, $1)").bind(i32::from(HELD.0)).execute(&mut *session).await?;
    Ok(session)
}

async fn let_go(mut session: PoolConnection<Postgres>) -> Result<()> {
    let unlock = sqlx::query("SELECT pg_advisory_unlock(1396786001, $1)").bind(i32::from(HELD.0));
    unlock.execute(&mut *session).await?;
    Ok(())
}

async fn place(world: &TestWorld, keys: &[String]) -> Result<()> {
    for key in keys {
        world.order(key, &json!({})).await?;
    }
    Ok(())
}

/// Waits until the sagas with these keys, and no others, have ended well.
async fn end_well(world: &TestWorld, engine: &Engine, keys: &BTreeSet<String>) -> Result<()> {
    let all = || async {
        let statuses = statuses_by_key(world).await?;
        let completed: BTreeSet<String> =
            statuses.iter().filter(|(_, status)| *status == "completed").map(|(key, _)| key.clone()).collect();
        ensure!(completed == *keys, "{} of {} completed, there are {}", completed.len(), keys.len(), statuses.len());
        Ok(Some(()))
    };
    eventually("all of them completed", SETTLED, all).await.with_context(|| engine.log_tail())
}

/// What readiness says of shards that do not take their messages.
async fn behind(engine: &Engine) -> Result<Vec<Value>> {
    let (status, body) = engine.api().get("/health/ready").await?;
    ensure!(status.as_u16() == 200, "{body}");
    Ok(body["shardsBehind"].as_array().cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_shard_that_cannot_be_claimed_holds_up_no_other() -> Result<()> {
    // Of every tenth order the first command is not answered: its time has to run out although a shard hears nothing of
    // answers.
    let is_tenth = |call: &RecordedCall| call.body["orderId"].as_str().is_some_and(|id| id.ends_with('0'));
    let is_reserve = |call: &RecordedCall| call.command.ends_with(":reserve:do");
    let inventory = ParticipantScript::default()
        .when(move |call, nth| (nth == 1 && is_reserve(call) && is_tenth(call)).then(ScriptedBehaviour::silence));
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    world.define("order", ORDER)?;
    let pool = world.database.pool().await?;
    let held = hold(&pool).await?;
    let engine = world.start().await?;
    let of_the_held: Vec<String> = keys(true, 0).take(OF_THE_HELD).collect();
    let mut of_the_others: Vec<String> = keys(false, 0).take(OF_THE_OTHERS).collect();

    place(&world, &of_the_held).await?;
    place(&world, &of_the_others).await?;
    let mut expected: BTreeSet<String> = of_the_others.iter().cloned().collect();
    end_well(&world, &engine, &expected).await?;
    let behind_now = behind(&engine).await?;
    ensure!(behind_now.len() == 1 && behind_now[0]["shard"] == HELD.0, "{behind_now:?}");
    ensure!(behind_now[0]["why"] == "not claimed", "{behind_now:?}");
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    ensure!(metrics.contains("saga_shards_behind{why=\"not claimed\"} 1"), "{metrics}");
    let told = engine.log()?.matches("the shard does not take its messages").count();
    ensure!((1..5).contains(&told), "people are told once a minute, not {told} times");

    let_go(held).await?;
    of_the_others = keys(false, 10_000).take(50).collect();
    place(&world, &of_the_others).await?;
    // Triggers that come twice start nothing, whichever way each of them comes.
    place(&world, &of_the_held[..50]).await?;
    expected.extend(of_the_others);
    expected.extend(of_the_held);
    end_well(&world, &engine, &expected).await?;
    eventually("no shard is behind", WITHIN, || async { Ok(behind(&engine).await?.is_empty().then_some(())) }).await?;
    ensure!(engine.terminate().await?.success());
    judge(&world, OracleExemption::default()).await
}
