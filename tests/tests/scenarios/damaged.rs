//! A row of the journal that the database itself cannot return any more: its saga parks alone, and all others go on.

use super::definitions::ORDER;
use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::Engine,
    eventually::eventually,
    oracle::statuses_by_key,
    participant::{ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery},
    servers::report_not_run,
    traffic::SETTLED,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::json;
use sqlx::PgPool;
use std::collections::BTreeMap;

/// Some for each of the eight shards.
const ORDERS: usize = 60;

/// The only one whose rows are too large to be kept in their place.
const BAD: &str = "order-7";

fn key(number: usize) -> String {
    format!("order-{number}")
}

/// Nothing makes it small.
fn note() -> String {
    (0..1000).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect()
}

async fn can_damage(pool: &PgPool) -> Result<bool> {
    let available = sqlx::query_scalar("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_surgery'");
    let available: i64 = available.fetch_one(pool).await?;
    Ok(available > 0)
}

/// As a broken disk leaves them: the rows are there, the first piece of each large value is gone.
async fn damage(pool: &PgPool) -> Result<()> {
    let damage = "DO $$ DECLARE v_toast regclass; v_chunks tid[]; BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_surgery;
        SELECT c.reltoastrelid::regclass INTO v_toast FROM pg_class c
            WHERE c.oid = (SELECT j.tableoid FROM journal j ORDER BY j.stream DESC LIMIT 1);
        EXECUTE format('SELECT array_agg(t.ctid) FROM %s t WHERE t.chunk_seq = 0', v_toast) INTO v_chunks;
        PERFORM heap_force_kill(v_toast, v_chunks);
    END $$";
    sqlx::raw_sql(damage).execute(pool).await?;
    let whole = sqlx::query("SELECT sum(length(convert_from(payload, 'UTF8'))) FROM journal").execute(pool).await;
    ensure!(whole.is_err(), "no value of the journal was large enough to be damaged");
    Ok(())
}

async fn all_started(world: &TestWorld) -> Result<()> {
    eventually("all sagas wait for their answers", SETTLED, || async {
        let statuses = statuses_by_key(world).await?;
        ensure!(statuses.len() == ORDERS, "there are {}", statuses.len());
        Ok(Some(()))
    })
    .await
}

/// All but the bad one.
async fn others_completed(world: &TestWorld, engine: &Engine) -> Result<()> {
    eventually("all others completed", SETTLED, || async {
        let mut statuses: BTreeMap<String, String> = statuses_by_key(world).await?;
        statuses.remove(BAD);
        let open: Vec<_> = statuses.iter().filter(|(_, status)| *status != "completed").collect();
        ensure!(
            open.is_empty() && statuses.len() == ORDERS - 1,
            "{} are open, for example {:?}",
            open.len(),
            open.first()
        );
        Ok(Some(()))
    })
    .await
    .with_context(|| engine.log_tail())
}

#[tokio::test]
async fn a_saga_that_the_database_cannot_return_parks_alone_and_can_be_abandoned() -> Result<()> {
    let gate = ScriptGate::default();
    let held = gate.clone();
    let inventory = ParticipantScript::default().on("reserve:do", move |_| {
        ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Held(held.clone()))
    });
    let Some(world) = TestWorld::new(inventory, ParticipantScript::default()).await? else { return Ok(()) };
    let pool = world.database.pool().await?;
    if !can_damage(&pool).await? {
        report_not_run("the server has no extension `pg_surgery` to damage a value with");
        return Ok(());
    }
    // The answers are awaited for as long as the test holds them back.
    world.participants(&json!({"timeout": "5m"}), &json!({}))?;
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    for number in 0..ORDERS {
        let more = if key(number) == BAD { json!({"note": note()}) } else { json!({}) };
        world.order(&key(number), &more).await?;
    }
    all_started(&world).await?;
    ensure!(engine.terminate().await?.success());
    damage(&pool).await?;

    let engine = world.start().await?;
    gate.open();
    others_completed(&world, &engine).await?;
    let (_, body) = engine.api().get("/health/ready").await?;
    ensure!(body["status"] == "ready" && body.get("shardsBehind").is_none(), "{body}");
    let shown = reaches(&engine, BAD, &["parked"]).await?;
    ensure!(shown["reason"].as_str().is_some_and(|reason| reason.contains("cannot be read")), "{shown}");
    eventually("the list shows it as parked", WITHIN, || async {
        let (_, list) = engine.api().get(&format!("/api/sagas?key={BAD}")).await?;
        ensure!(list["sagas"][0]["status"] == "parked", "{list}");
        Ok(Some(()))
    })
    .await
    .with_context(|| engine.log_tail())?;

    let id = shown["id"].as_str().context("a saga has an id")?;
    abandons(&engine, id).await?;
    reaches(&engine, BAD, &["abandoned"]).await?;
    world.order("order-after", &json!({})).await?;
    reaches(&engine, "order-after", &["completed"]).await?;
    ensure!(find(&engine, BAD).await?.is_some_and(|saga| saga["status"] == "abandoned"));
    Ok(())
}

/// An act that nobody has taken in time is accepted first.
async fn abandons(engine: &Engine, id: &str) -> Result<()> {
    let act = json!({"who": "ada", "reason": "settled by hand"});
    eventually("the saga is abandoned", WITHIN, || async {
        let (status, body) = engine.api().post(&format!("/api/sagas/{id}/abandon"), &act).await?;
        ensure!((status.as_u16(), &body["status"]) == (200, &json!("applied")), "{status}: {body}");
        Ok(Some(()))
    })
    .await
}
