//! All events for other systems, from a real engine: pages, server-sent events, and the topic.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, EngineApi, http_client},
    eventually::eventually,
    kafka::ReceivedRecord,
    participant::ParticipantScript,
    traffic,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How often the engine is killed while it writes the topic.
const KILLS: usize = 4;
/// Orders between two kills.
const ORDERS: usize = 25;
/// A topic that is away is tried again after at most half a minute.
const TOPIC_IS_BACK: Duration = Duration::from_secs(90);
/// The smallest limit with which the topic takes every event without its data.
const SMALL_RECORDS: &str = "3000";

/// A world in which every order succeeds.
async fn agreeing() -> Result<Option<TestWorld>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    let steps = "steps:\n  - step: reserve\n    do: inventory.ReserveStock\n    \
                 with: {note: \"${ has(event.note) ? event.note : '' }\"}\n    undo: inventory.ReleaseStock\n";
    world.define("order", steps)?;
    Ok(Some(world))
}

/// The same world, whose engines write all events to this topic.
fn with_topic(mut world: TestWorld, topic: &str) -> TestWorld {
    world.installation = world.installation.with("topics", "events", json!(topic));
    world
}

async fn ended_orders(world: &TestWorld, engine: &Engine, keys: &[&str]) -> Result<()> {
    for key in keys {
        world.order(key, &json!({})).await?;
    }
    for key in keys {
        reaches(engine, key, &["completed"]).await?;
    }
    Ok(())
}

async fn page(api: &EngineApi, query: &str) -> Result<Value> {
    let (status, body) = api.get(&format!("/api/events?{query}")).await?;
    ensure!(status.is_success(), "{status}: {body}");
    Ok(body)
}

/// All events, in pages of `limit`.
async fn all_events(api: &EngineApi, limit: usize) -> Result<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), "oldest".to_owned());
    loop {
        let page = page(api, &format!("limit={limit}&after={after}")).await?;
        all.extend(page["events"].as_array().context("events")?.iter().cloned());
        after = page["next"].as_str().context("a cursor")?.to_owned();
        if page["more"] == false {
            return Ok(all);
        }
    }
}

/// The events of a feed that nothing is added to any more.
async fn final_events(world: &TestWorld, engine: &Engine) -> Result<Vec<Value>> {
    eventually("the feed shows every row of the journal", WITHIN, || async {
        let events = all_events(engine.api(), 500).await?;
        let shown: BTreeSet<(String, i64)> = events.iter().map(row_of).collect();
        Ok((shown == rows(world).await?).then_some(events))
    })
    .await
}

fn text(event: &Value, name: &str) -> String {
    event[name].as_str().unwrap_or_default().to_owned()
}

fn row_of(event: &Value) -> (String, i64) {
    (text(event, "id"), event["version"].as_i64().unwrap_or_default())
}

/// Saga and version of every row of the journal.
async fn rows(world: &TestWorld) -> Result<BTreeSet<(String, i64)>> {
    let rows = sqlx::query_as("SELECT stream::text, version::bigint FROM journal");
    Ok(rows.fetch_all(&world.database.pool().await?).await?.into_iter().collect())
}

/// What `ce_id` names.
fn name_of(event: &Value) -> String {
    format!("{}:{}.{}", text(event, "id"), event["version"], event["index"])
}

fn ids(records: &[ReceivedRecord]) -> BTreeSet<String> {
    records.iter().filter_map(|record| record.header("ce_id")).map(str::to_owned).collect()
}

/// The events of each saga without repeats, in the order in which the topic has them.
fn by_saga(records: &[ReceivedRecord]) -> Result<BTreeMap<String, Vec<Value>>> {
    let (mut seen, mut partitions, mut sagas) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::<_, Vec<Value>>::new());
    for record in records {
        let (event, id) = (record.json(), record.header("ce_id").context("an id")?);
        let saga = text(&event, "id");
        ensure!(record.record.key.as_deref() == Some(saga.as_bytes()), "the key of {id} is not its saga");
        ensure!(*partitions.entry(saga.clone()).or_insert(record.partition) == record.partition, "{saga} is split");
        ensure!(record.header("ce_type") == Some(&format!("saga.{}", text(&event, "type"))), "the type of {id}");
        ensure!(name_of(&event) == id, "{id} is {event}");
        if seen.insert(id.to_owned()) {
            sagas.entry(saga).or_default().push(event);
        }
    }
    Ok(sagas)
}

fn events_by_saga(events: &[Value]) -> BTreeMap<String, Vec<Value>> {
    let mut sagas = BTreeMap::<String, Vec<Value>>::new();
    for event in events {
        sagas.entry(text(event, "id")).or_default().push(event.clone());
    }
    sagas
}

#[tokio::test]
async fn the_topic_of_an_engine_that_is_killed_has_every_event_in_the_order_of_its_saga() -> Result<()> {
    let Some(world) = TestWorld::new(traffic::inventory(), traffic::payments()).await? else { return Ok(()) };
    let topic = world.kafka.fresh_topic("events", 4).await?;
    let world = with_topic(world, &topic);
    traffic::participants(&world)?;
    world.define("order", traffic::DEFINITION)?;
    for nth in 0..KILLS {
        let engine = Engine::spawn(&world.installation)?;
        traffic::place(&world, nth * ORDERS, (nth + 1) * ORDERS).await?;
        let before = world.kafka.count(&topic).await?;
        eventually("the topic gets events", traffic::SETTLED, || async {
            Ok((world.kafka.count(&topic).await? > before + 10).then_some(()))
        })
        .await?;
        engine.kill().await?;
    }
    let engine = world.start().await?;
    traffic::all_end(&world, &engine, KILLS * ORDERS).await?;
    let events = final_events(&world, &engine).await?;
    let names: BTreeSet<String> = events.iter().map(name_of).collect();
    ensure!(names.len() == events.len(), "the feed has every event once");
    let records = world.kafka.read_until(&topic, WITHIN, |all| ids(all).is_superset(&names)).await?;
    ensure!(ids(&records) == names, "the topic has events that the feed does not have");
    let (sent, recorded) = (by_saga(&records)?, events_by_saga(&events));
    for (saga, events) in &recorded {
        ensure!(sent.get(saga) == Some(events), "{saga}: the topic has {:?}, the feed {events:?}", sent.get(saga));
    }
    Ok(())
}

async fn standing(api: &EngineApi) -> Result<Value> {
    let (status, body) = api.get("/health/ready").await?;
    ensure!(status.is_success(), "the topic of all events makes no engine unready: {status} {body}");
    Ok(body["eventsTopic"].clone())
}

#[tokio::test]
async fn a_topic_that_is_gone_holds_no_saga_up_and_gets_all_events_when_it_is_back() -> Result<()> {
    let Some(world) = agreeing().await? else { return Ok(()) };
    let topic = world.kafka.fresh_topic("events", 2).await?;
    let world = with_topic(world, &topic);
    let engine = world.start().await?;
    ended_orders(&world, &engine, &["before"]).await?;
    let sent = final_events(&world, &engine).await?.iter().map(name_of).collect::<BTreeSet<_>>();
    world.kafka.read_until(&topic, WITHIN, |all| ids(all) == sent).await?;

    world.kafka.delete_topic(&topic).await?;
    ended_orders(&world, &engine, &["one", "two"]).await?;
    let told = eventually("the engine says why the topic gets nothing", TOPIC_IS_BACK, || async {
        let standing = standing(engine.api()).await?;
        Ok(standing["problem"].is_string().then_some(standing))
    })
    .await?;
    ensure!(told["topic"] == json!(topic) && told["behindMs"].as_u64() > Some(0), "{told}");

    world.kafka.create_topic(&topic, 2, &[]).await?;
    let names: BTreeSet<String> = final_events(&world, &engine).await?.iter().map(name_of).collect();
    let missing: BTreeSet<String> = names.difference(&sent).cloned().collect();
    world.kafka.read_until(&topic, TOPIC_IS_BACK, |all| ids(all).is_superset(&missing)).await?;
    eventually("the engine says that the topic has all events", WITHIN, || async {
        let standing = standing(engine.api()).await?;
        Ok((standing == json!({"topic": topic, "behindMs": 0})).then_some(()))
    })
    .await
}

#[tokio::test]
async fn an_event_that_the_topic_does_not_take_goes_without_its_data() -> Result<()> {
    let Some(world) = agreeing().await? else { return Ok(()) };
    let topic = world.kafka.fresh_topic("events", 1).await?;
    world.kafka.alter_topic(&topic, "max.message.bytes", SMALL_RECORDS).await?;
    let world = with_topic(world, &topic);
    let engine = world.start().await?;
    let note: String = (0..2_000).map(|number| format!("{number:x}")).collect();
    world.order("large", &json!({"note": note})).await?;
    reaches(&engine, "large", &["completed"]).await?;
    let events = final_events(&world, &engine).await?;
    let names: BTreeSet<String> = events.iter().map(name_of).collect();
    let records = world.kafka.read_until(&topic, WITHIN, |all| ids(all).is_superset(&names)).await?;
    let mut omitted = 0;
    for (record, event) in records.iter().map(ReceivedRecord::json).zip(&events) {
        if record.get("dataOmitted").is_none() {
            ensure!(record == *event, "{record} is not {event}");
            continue;
        }
        omitted += 1;
        ensure!(record["dataOmitted"] == json!(event["data"].to_string().len()), "{record}");
        ensure!(record["data"] == Value::Null && name_of(&record) == name_of(event), "{record}");
    }
    ensure!(omitted > 0 && omitted < events.len(), "{omitted} of {} events are without data", events.len());
    Ok(())
}

#[tokio::test]
async fn a_topic_that_is_named_later_begins_with_the_oldest_event_where_it_is_told_so() -> Result<()> {
    let Some(world) = agreeing().await? else { return Ok(()) };
    let engine = world.start().await?;
    ended_orders(&world, &engine, &["old"]).await?;
    ensure!(engine.terminate().await?.success());
    let (all, new) = (world.kafka.fresh_topic("all", 1).await?, world.kafka.fresh_topic("new", 1).await?);
    let mut world = with_topic(world, &new);
    let engine = world.start().await?;
    ended_orders(&world, &engine, &["new"]).await?;
    let events = final_events(&world, &engine).await?;
    let of = |key: &str| events.iter().filter(|event| event["key"] == *key).map(name_of).collect::<BTreeSet<_>>();
    let records = world.kafka.read_until(&new, WITHIN, |all| ids(all).is_superset(&of("new"))).await?;
    ensure!(ids(&records) == of("new"), "only what came after the start: {:?}", ids(&records));
    ensure!(engine.terminate().await?.success());

    world = with_topic(world, &all);
    world.installation = world.installation.with("topics", "eventsFrom", json!("oldest"));
    let _engine = world.start().await?;
    let names: BTreeSet<String> = events.iter().map(name_of).collect();
    let records = world.kafka.read_until(&all, WITHIN, |all| ids(all).is_superset(&names)).await?;
    ensure!(by_saga(&records)? == events_by_saga(&events), "each saga has its order");
    Ok(())
}

/// One server-sent event: its id, its name and its data.
type SentEvent = (String, String, Value);

/// Follows the feed until `count` events have come.
async fn streamed(api: &EngineApi, query: &str, last_id: Option<&str>, count: usize) -> Result<Vec<SentEvent>> {
    let mut request = http_client()?.get(format!("{}/api/events?{query}", api.base()));
    request = request.header("accept", "text/event-stream");
    if let Some(id) = last_id {
        request = request.header("last-event-id", id);
    }
    let mut answer = request.send().await?.error_for_status()?;
    let (mut text, mut events) = (String::new(), Vec::new());
    while events.len() < count {
        text.push_str(std::str::from_utf8(&answer.chunk().await?.context("the stream ended")?)?);
        while let Some((block, rest)) = text.split_once("\n\n") {
            events.extend(sent_event(block)?);
            text = rest.to_owned();
        }
    }
    events.truncate(count);
    Ok(events)
}

/// A comment is no event.
fn sent_event(block: &str) -> Result<Option<SentEvent>> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let Some(data) = field("data") else { return Ok(None) };
    let (id, event) = (field("id").context("an id")?, field("event").context("a name")?);
    Ok(Some((id.to_owned(), event.to_owned(), serde_json::from_str(data)?)))
}

#[tokio::test]
async fn pages_and_the_stream_have_the_same_events_and_a_reader_goes_on_after_its_last() -> Result<()> {
    let Some(world) = agreeing().await? else { return Ok(()) };
    let engine = world.start().await?;
    let api = engine.api();
    ended_orders(&world, &engine, &["one", "two", "three"]).await?;
    let events = final_events(&world, &engine).await?;
    ensure!(events.len() > 10, "{} events", events.len());
    ensure!(all_events(api, 3).await? == events, "pages of another size have the same events");
    let ended = page(api, "type=sagaEnded").await?;
    // Sagas of different keys end in any order.
    let mut keys: Vec<String> =
        ended["events"].as_array().context("events")?.iter().map(|event| text(event, "key")).collect();
    keys.sort_unstable();
    ensure!(keys == ["one", "three", "two"], "{ended}");

    let followed = streamed(api, "after=oldest", None, events.len()).await?;
    let expected: Vec<SentEvent> =
        events.iter().map(|event| (text(event, "cursor"), text(event, "type"), event.clone())).collect();
    ensure!(followed == expected, "the stream has what pages have");
    // The address of an `EventSource` stays what it was; the header counts.
    for (position, (id, _, _)) in expected.iter().enumerate().take(events.len() - 1) {
        let next = streamed(api, "after=oldest", Some(id), 1).await?;
        ensure!(next == expected[position + 1..=position + 1], "after {id} comes {next:?}");
    }
    let newest = page(api, "after=newest").await?;
    ensure!(newest["events"] == json!([]) && newest["behindMs"] == 0, "{newest}");
    let query = format!("after={}", text(&newest, "next"));
    let (first, ended) = tokio::join!(streamed(api, &query, None, 1), ended_orders(&world, &engine, &["four"]));
    ended?;
    let (_, kind, event) = &first?[0];
    ensure!(kind == "sagaStarted" && event["key"] == "four", "{event}");
    Ok(())
}

#[tokio::test]
async fn a_cursor_of_another_store_is_gone_and_the_answer_says_where_to_go_on() -> Result<()> {
    let Some(world) = agreeing().await? else { return Ok(()) };
    let engine = world.start().await?;
    let api = engine.api();
    ended_orders(&world, &engine, &["one"]).await?;
    let events = final_events(&world, &engine).await?;
    let own = text(&events[0], "cursor");
    let other_row = own.split('.').enumerate().map(|(part, it)| if part == 3 { "0badcafe" } else { it });
    let foreign = [other_row.collect::<Vec<_>>().join("."), "1.999999999999.1.9c0d1e2f".to_owned()];
    for cursor in &foreign {
        let (status, body) = api.get(&format!("/api/events?after={cursor}")).await?;
        ensure!(status.as_u16() == 410 && body["code"] == "cursor_gone", "{status}: {body}");
        let oldest = body["oldest"].as_str().context("where to go on")?;
        let again = page(api, &format!("after={oldest}&limit=1000")).await?;
        ensure!(again["events"] == json!(events), "nothing is missing after {oldest}: {again}");
        let stream = http_client()?.get(format!("{}/api/events?after={cursor}", api.base()));
        let refused = stream.header("accept", "text/event-stream").send().await?;
        ensure!(refused.status().as_u16() == 410, "a stream is refused as well: {}", refused.status());
    }
    let (status, body) = api.get("/api/events?after=nonsense").await?;
    ensure!(status.as_u16() == 400, "{status}: {body}");
    Ok(())
}
