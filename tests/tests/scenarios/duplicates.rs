//! Nothing happens twice.

use super::definitions::ORDER;
use anyhow::{Context, Result};
use saga_tests::{
    engine::http_client,
    eventually::eventually,
    oracle::{Exempt, count_by_status, judge},
    participant::{Behaviour, Delivery, Gate, Script},
    world::{WITHIN, World, reaches},
};
use serde_json::json;

#[tokio::test]
async fn an_event_that_comes_again_starts_nothing() -> Result<()> {
    let Some(world) = World::new(Script::default(), Script::default()).await? else { return Ok(()) };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    for _ in 0..5 {
        world.order("4711", &json!({})).await?;
    }
    reaches(&engine, "4711", &["completed"]).await?;
    // Same partition, so whatever came before the next order has been judged when that is done.
    world.order("4711", &json!({"other": "payload"})).await?;
    let last = world.order("4711", &json!({})).await?;
    let group = world.installation.group();
    eventually("all seven are judged", WITHIN, || async {
        let committed = world.kafka.committed(group, &world.orders, last.0).await?;
        Ok(committed.filter(|offset| *offset == last.1 + 1))
    })
    .await?;
    assert_eq!(count_by_status(&world).await?.values().sum::<usize>(), 1);
    let id = reaches(&engine, "4711", &["completed"]).await?["id"].as_str().context("an id")?.to_owned();
    assert!(world.ledgers().iter().all(|ledger| ledger.calls().iter().all(|call| call.command.starts_with(&id))));
    judge(&world, Exempt::default()).await
}

/// Records of one key: more than may be unfinished at once, so that intake stands still while they wait.
const SAME_KEY: usize = 6_000;

#[tokio::test]
async fn what_waits_for_a_key_is_answered_with_its_first_start() -> Result<()> {
    let Some(world) = World::new(Script::default(), Script::default()).await? else { return Ok(()) };
    let patient = json!({"timeout": "30s"});
    world.participants(&patient, &patient)?;
    world.define("order", ORDER)?;
    let (nothing, other) = (json!({}), json!({"other": "payload"}));
    let same = (0..SAME_KEY).map(|_| world.order("4711", &nothing));
    let placed = futures_util::future::try_join_all(same).await?;
    let last = world.order("4711", &other).await?;
    assert!(placed.iter().all(|(partition, _)| *partition == last.0), "one key, one partition");
    let engine = world.start().await?;
    let group = world.installation.group();
    eventually("all are judged", WITHIN, || async {
        let committed = world.kafka.committed(group, &world.orders, last.0).await?;
        Ok(committed.filter(|offset| *offset == last.1 + 1))
    })
    .await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let metrics = http_client()?.get(format!("{}/metrics", engine.api().base())).send().await?.text().await?;
    let figure = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok());
    assert_eq!(figure("saga_duplicates_total{other_payload=\"no\"}"), Some(SAME_KEY - 1));
    assert_eq!(figure("saga_duplicates_total{other_payload=\"yes\"}"), Some(1));
    let rows = figure("saga_commit_rows_total").context("rows are counted")?;
    assert!(rows < 20, "a duplicate asks the store for nothing: {rows} rows were written or tried");
    assert!(engine.log()?.contains("another payload came under a key that is taken"));
    judge(&world, Exempt::default()).await
}

#[tokio::test]
async fn a_reply_that_comes_twice_counts_once() -> Result<()> {
    let twice = |_| Behaviour::succeed(json!({})).delivered(Delivery::Twice);
    let inventory = Script::default().on("reserve:do", twice).on("ship:do", twice);
    let Some(world) = World::new(inventory, Script::default()).await? else { return Ok(()) };
    world.define("order", ORDER)?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    assert_eq!(saga["version"], 4, "a start and three answers: {saga}");
    judge(&world, Exempt::default()).await
}

#[tokio::test]
async fn a_reply_that_comes_after_the_undo_changes_nothing() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let late = move |_| Behaviour::succeed(json!({})).delivered(Delivery::Held(held.clone()));
    let Some(world) = World::new(Script::default().on("ship:do", late), Script::default()).await? else {
        return Ok(());
    };
    world.participants(&json!({"timeout": "300ms"}), &json!({}))?;
    world.define("order", &format!("retry: {{attempts: 1}}\n{ORDER}"))?;
    let engine = world.start().await?;
    world.order("4711", &json!({})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let version = saga["version"].clone();
    gate.open();
    world.kafka.read_until(world.installation.replies(), WITHIN, |replies| replies.len() >= 4).await?;
    world.order("4712", &json!({})).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    assert_eq!(reaches(&engine, "4711", &["compensated"]).await?["version"], version, "a terminal saga is final");
    judge(&world, Exempt::default()).await
}
