//! Servers that stop under a test come back with what they had acknowledged. One test at a time: they share the servers.

use anyhow::Result;
use saga_tests::{control::Action, kafka::Record, servers};
use serde_json::json;
use std::time::Duration;
use tokio::sync::Mutex;

/// Held by the test that stops servers.
static SERVERS: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_killed_broker_keeps_its_records() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let _alone = SERVERS.lock().await;
    let topic = kafka.fresh_topic("kept", 1).await?;
    kafka.produce(&topic, &Record::event("OrderPlaced", "1", &json!({}))).await?;
    kafka.perform(Action::Kill).await?;
    kafka.perform(Action::Start).await?;
    kafka.produce(&topic, &Record::event("OrderPlaced", "2", &json!({}))).await?;
    kafka.read_until(&topic, Duration::from_secs(60), |records| records.len() == 2).await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_database_keeps_its_commits() -> Result<()> {
    let Some(postgres) = servers::postgres() else { return Ok(()) };
    let _alone = SERVERS.lock().await;
    let database = postgres.database().await?;
    let pool = database.pool().await?;
    sqlx::query("CREATE TABLE kept AS SELECT 1 AS one").execute(&pool).await?;
    postgres.perform(Action::Kill).await?;
    postgres.perform(Action::Start).await?;
    let pool = database.pool().await?;
    assert_eq!(sqlx::query_scalar::<_, i32>("SELECT one FROM kept").fetch_one(&pool).await?, 1);
    Ok(())
}
