//! Topics that take less than the engine sends, and topics that take nothing.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::Engine,
    eventually::eventually,
    kafka::{ReceivedRecord, TopicRecord},
    participant::ParticipantScript,
    unique,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the topics take at most: a few commands.
const SMALL: &str = "4096";

/// Enough for batches far above [`SMALL`].
const ORDERS: usize = 300;

/// Letters beside them.
const POISON: usize = 60;

/// Commands of some 700 bytes, and an outcome that repeats one.
fn order(news: &str) -> String {
    format!(
        r#"
steps:
  - step: reserve
    do: inventory.ReserveStock
    with: {{padding: "${{ event.padding }}"}}
    undo: inventory.ReleaseStock
output: {{padding: "${{ event.output }}"}}
onCompleted: {{publish: {news}, type: OrderFulfilled}}
onCompensated: {{publish: {news}, type: OrderRejected}}
"#
    )
}

async fn all_end(engine: &Engine, status: &str, count: usize) -> Result<()> {
    let what = format!("{count} sagas are {status}");
    eventually(&what, WITHIN, || async {
        let path = format!("/api/sagas?status={status}&limit=1000");
        let found = lines(engine, &path).await?.len();
        ensure!(found == count, "{found} are");
        Ok(Some(()))
    })
    .await
    .with_context(|| format!("--- the end of the engine's log\n{}\n---", engine.log_tail()))
}

async fn lines(engine: &Engine, path: &str) -> Result<Vec<Value>> {
    let (status, body) = engine.api().get(path).await?;
    ensure!(status.is_success(), "{status}: {body}");
    Ok(body["sagas"].as_array().cloned().unwrap_or_default())
}

fn ids(events: &[ReceivedRecord]) -> BTreeSet<&str> {
    events.iter().filter_map(|event| event.header("ce_id")).collect()
}

#[tokio::test]
async fn topics_that_take_little_cost_no_saga_no_event_and_no_letter() -> Result<()> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let news = unique("news");
    world.kafka.create_topic(&news, 1, &[("max.message.bytes", SMALL)]).await?;
    world.kafka.create_topic(world.installation.dlq(), 1, &[("max.message.bytes", SMALL)]).await?;
    world.kafka.alter_topic(world.inventory.topic(), "max.message.bytes", SMALL).await?;
    world.define("order", &order(&news))?;
    let engine = world.start().await?;
    let padding = "x".repeat(300);
    for number in 0..ORDERS {
        world.order(&format!("order-{number}"), &json!({"padding": padding, "output": padding})).await?;
    }
    let headers = vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec()))];
    let poison = TopicRecord { headers, value: Some(vec![b'x'; 700]), ..TopicRecord::default() };
    for _ in 0..POISON {
        world.send(&world.orders, &poison).await?;
    }
    all_end(&engine, "completed", ORDERS).await?;
    let events = world.kafka.read_until(&news, WITHIN, |events| ids(events).len() == ORDERS).await?;
    assert!(events.iter().all(|event| event.json()["output"]["padding"] == json!(padding)));
    let letters = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == POISON).await?;
    assert!(letters.iter().all(|letter| letter.record.value == poison.value), "letters are whole");
    only_what_is_too_large_fails(&world, &engine, &news).await
}

async fn only_what_is_too_large_fails(world: &TestWorld, engine: &Engine, news: &str) -> Result<()> {
    let large = "x".repeat(5_000);
    world.order("large-command", &json!({"padding": large, "output": "x"})).await?;
    world.order("large-output", &json!({"padding": "x", "output": large})).await?;
    let refused = reaches(engine, "large-command", &["compensated"]).await?;
    // It would fit the topic with some bytes less, its undo would not.
    assert_eq!(refused["steps"][0]["failure"]["code"], json!("limit"), "{refused}");
    let completed = reaches(engine, "large-output", &["completed"]).await?;
    let (_, whole) = engine.api().get("/api/sagas/large-output?payloads=full").await?;
    assert_eq!(whole["output"]["padding"], json!(large), "the journal has it");
    assert_eq!(completed["incidents"][0]["failure"]["code"], json!("kafka.too_large"));
    let id = format!("{}:outcome", completed["id"].as_str().unwrap_or_default());
    let events = world.kafka.read_until(news, WITHIN, |events| ids(events).contains(id.as_str())).await?;
    let event = events.iter().find(|event| event.header("ce_id") == Some(&id)).context("just found")?.json();
    assert_eq!((&event["status"], &event["output"]), (&json!("completed"), &Value::Null));
    assert_eq!(event["outputOmitted"]["code"], json!("kafka.too_large"));
    let (partition, _) = world.send(&world.orders, &too_large_to_copy()).await?;
    let partition = partition.to_string();
    let dlq = world.installation.dlq();
    let is_it = |letter: &ReceivedRecord| letter.header("saga_dlq_left_out").is_some();
    let letters = world.kafka.read_until(dlq, WITHIN, |letters| letters.iter().any(is_it)).await?;
    let letter = letters.iter().find(|letter| is_it(letter)).context("just found")?;
    assert_eq!(letter.header("saga_dlq_left_out"), Some("value,headers"), "its headers do not fit, its key does");
    assert_eq!(
        (letter.header("saga_dlq_partition"), letter.record.key.as_deref()),
        (Some(&*partition), Some(&b"k"[..]))
    );
    Ok(())
}

/// Neither its value nor its headers fit.
fn too_large_to_copy() -> TopicRecord {
    let headers =
        vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec())), ("large".to_owned(), Some(vec![b'h'; 5_000]))];
    TopicRecord { partition: Some(0), key: Some(b"k".to_vec()), value: Some(vec![b'x'; 5_000]), headers }
}

/// A step that publishes to one topic, an outcome event for another; both are deleted while the engine runs.
#[tokio::test]
async fn what_is_published_to_a_topic_that_is_gone_waits_on_record_and_one_record_finds_out() -> Result<()> {
    const SAGAS: usize = 200;
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let (told, news) = (unique("told"), unique("news"));
    let tell = format!("  - {{step: tell, publish: {told}, type: Told, with: {{}}, irreversible: true}}");
    world.define("order", &format!("steps:\n{tell}\nonCompleted: {{publish: {news}, type: Done}}\n"))?;
    let engine = world.start().await?;
    for topic in [&told, &news] {
        world.kafka.delete_topic(topic).await?;
    }
    for number in 0..SAGAS {
        world.order(&format!("order-{number}"), &json!({})).await?;
    }
    for topic in [&told, &news] {
        waits_for(&engine, topic, SAGAS).await?;
        let saga = reaches(&engine, "order-7", &["waiting"]).await?;
        assert!(saga["reason"].as_str().is_some_and(|reason| reason.contains(topic.as_str())), "{saga}");
        let said = engine.log()?.lines().filter(|line| line.contains("does not take records")).count();
        assert!(said <= 3, "one line for a topic that begins to refuse, not one for each saga: {said}");
        world.kafka.create_topic(topic, 1, &[]).await?;
    }
    all_end(&engine, "completed", SAGAS).await?;
    let events = world.kafka.read_until(&news, WITHIN, |events| ids(events).len() == SAGAS).await?;
    assert_eq!(events.len(), SAGAS, "each once");
    let log = engine.log()?;
    let back = log.lines().filter(|line| line.contains("the topic takes records again")).count();
    assert_eq!(back, 2, "{}", engine.log_tail());
    Ok(())
}

/// One of them finds out whether the topic is back, whichever that is.
#[tokio::test]
async fn whoever_is_abandoned_while_it_waits_for_a_topic_is_not_published_and_holds_nobody_up() -> Result<()> {
    const SAGAS: usize = 5;
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let news = unique("news");
    let look = "steps:\n  - {step: look, do: GET payments/accounts, readOnly: true}\n";
    world.define("order", &format!("{look}onCompleted: {{publish: {news}, type: Done}}\n"))?;
    let engine = world.start().await?;
    world.kafka.delete_topic(&news).await?;
    for number in 0..SAGAS {
        world.order(&format!("order-{number}"), &json!({})).await?;
    }
    waits_for(&engine, &news, SAGAS).await?;
    for number in 1..SAGAS {
        let act = json!({"who": "ada", "reason": "settled by hand"});
        let (status, body) = engine.api().post(&format!("/api/sagas/order-{number}/abandon"), &act).await?;
        ensure!(status.is_success(), "{status} {body}");
    }
    for number in 1..SAGAS {
        reaches(&engine, &format!("order-{number}"), &["abandoned"]).await?;
    }
    world.kafka.create_topic(&news, 1, &[]).await?;
    let completed = reaches(&engine, "order-0", &["completed"]).await?;
    let id = format!("{}:outcome", completed["id"].as_str().unwrap_or_default());
    let events = world.kafka.read_until(&news, WITHIN, |events| !events.is_empty()).await?;
    assert_eq!(ids(&events), BTreeSet::from([id.as_str()]));
    Ok(())
}

async fn waits_for(engine: &Engine, topic: &str, count: usize) -> Result<()> {
    let path = format!("/api/sagas?waitingOn=transport:{topic}&limit=1000");
    eventually(&format!("{count} sagas wait for {topic}"), WITHIN, || async {
        let waiting = lines(engine, &path).await?.len();
        ensure!(waiting == count, "{waiting} do");
        Ok(Some(()))
    })
    .await
    .with_context(|| format!("--- the end of the engine's log\n{}\n---", engine.log_tail()))
}
