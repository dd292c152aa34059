//! Participants with several instances.

use anyhow::{Context, Result};
use saga_tests::{
    engine::http_client,
    oracle::{OracleExemption, judge},
    participant::ParticipantScript,
    world::{TestWorld, reaches},
};
use serde_json::json;

const PAYING: &str = r"
steps:
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
";

const ORDERS: u64 = 8;

#[tokio::test]
async fn an_endpoint_that_is_away_is_left_out_after_a_few_failures() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    // Nobody can listen on port 1 but the superuser, and nobody does.
    let endpoints = json!([{"url": "http://127.0.0.1:1"}, {"url": world.payments.url()}]);
    let ejection = json!({"consecutiveFailures": 2, "ejectFor": "4m"});
    world.participants(&json!({}), &json!({"http": {"endpoints": endpoints, "ejection": ejection}}))?;
    world.define("paying", PAYING)?;
    let engine = world.start().await?;
    let mut attempts = 0;
    for order in 0..ORDERS {
        let key = order.to_string();
        world.order(&key, &json!({})).await?;
        let saga = reaches(&engine, &key, &["completed"]).await?;
        attempts += saga["steps"][0]["attempts"].as_u64().context("a step counts its attempts")?;
    }
    // Each failure is an attempt at most, and after two nobody is sent there.
    assert!(attempts <= ORDERS + 2, "{attempts} attempts of {ORDERS} commands");
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    let ejections = metrics.lines().find(|line| line.starts_with("saga_endpoint_ejections_total"));
    assert!(ejections.is_some_and(|line| line.contains("127.0.0.1:1") && line.ends_with(" 1")), "{ejections:?}");
    judge(&world, OracleExemption::default()).await
}
