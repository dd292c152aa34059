//! Triggers in Avro, and a schema registry that comes and goes.

use super::definitions::ORDER;
use anyhow::{Result, ensure};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use saga_tests::{
    engine::Engine,
    eventually::eventually,
    kafka::TopicRecord,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN, find, reaches},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const SCHEMA: &str = include_str!("../../../schemas/order-placed.avsc");

/// The order 4711 by the Avro serialiser of confluent-kafka for Python, by the schema 1.
const ORDER_4711: &[u8] = b"\0\0\0\0\x01\x084711\x06c-1\x9e\x1f\0\0\x02\x08book\x02\x9e\x1f\0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegistrySwitch {
    Down,
    Up,
}

/// Confluent's API with one schema; its address, and the switch that makes it answer.
async fn registry(standing: RegistrySwitch) -> Result<(String, watch::Sender<RegistrySwitch>)> {
    let (switch, standing) = watch::channel(standing);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route("/schemas/ids/{id}", get(schema)).with_state(standing);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((address, switch))
}

async fn schema(State(standing): State<watch::Receiver<RegistrySwitch>>, Path(id): Path<u32>) -> (StatusCode, String) {
    match (*standing.borrow(), id) {
        (RegistrySwitch::Down, _) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        (RegistrySwitch::Up, 1) => (StatusCode::OK, json!({"schema": SCHEMA}).to_string()),
        (RegistrySwitch::Up, 2) => {
            (StatusCode::OK, json!({"schemaType": "JSON", "schema": r#"{"type": "object"}"#}).to_string())
        }
        (RegistrySwitch::Up, _) => {
            let unknown = json!({"error_code": 40403, "message": "Schema not found"});
            (StatusCode::NOT_FOUND, unknown.to_string())
        }
    }
}

/// A record without a type, in one partition.
fn framed(value: &[u8]) -> TopicRecord {
    let headers = vec![("binary".to_owned(), Some(vec![0xff, 0]))];
    TopicRecord { partition: Some(0), key: Some(b"k\0\xff".to_vec()), value: Some(value.to_vec()), headers }
}

/// The same order under another number of four digits.
fn order(number: &str) -> TopicRecord {
    let mut value = ORDER_4711.to_vec();
    value[6..10].copy_from_slice(number.as_bytes());
    framed(&value)
}

async fn world(registry: &str) -> Result<Option<TestWorld>> {
    let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.installation = world.installation.set("schemaRegistry", json!({"url": registry}));
    world.define("order", ORDER)?;
    Ok(Some(world))
}

/// What clients wrote: confluent-kafka's Avro serialiser and its JSON one, fastavro, and kafkajs' registry for npm.
const NUL_BY_CONFLUENT: &[u8] = b"\0\0\0\0\x01\x0a47\x0013\x06c-1\x9e\x1f\0\0\x02\x08book\x02\x9e\x1f\0";
const JSON_BY_CONFLUENT: &[u8] = b"\0\0\0\0\x02{\"orderId\":\"4718\"}";
const SINGLE_OBJECT_BY_FASTAVRO: &[u8] =
    b"\xc3\x01\x2b\x99\xe9\x0c\x9a\x35\x4f\x1b\x084717\x06c-1\x9e\x1f\0\0\x02\x08book\x02\x9e\x1f\0";
const ORDER_4719_BY_NPM: &[u8] = b"\0\0\0\0\x01\x084719\x06c-1\x9e\x1f\0\0\x02\x08book\x02\x9e\x1f\0";

#[tokio::test]
async fn records_of_other_clients_start_sagas_or_are_dead_letters_that_say_why() -> Result<()> {
    let (address, _switch) = registry(RegistrySwitch::Up).await?;
    let Some(world) = world(&address).await? else { return Ok(()) };
    std::fs::write(world.installation.folder().join("schemas/order-placed.avsc"), SCHEMA)?;
    let engine = world.start().await?;
    for value in [SINGLE_OBJECT_BY_FASTAVRO, ORDER_4719_BY_NPM] {
        world.send(&world.orders, &framed(value)).await?;
    }
    let mut unknown = SINGLE_OBJECT_BY_FASTAVRO.to_vec();
    unknown[2] ^= 1;
    let mut no_text = ORDER_4711.to_vec();
    no_text[6..10].copy_from_slice(b"4\xff\xfe1");
    let poison = [
        (NUL_BY_CONFLUENT, "nul"),
        (JSON_BY_CONFLUENT, "schema_mismatch"),
        (&unknown, "unknown_schema"),
        (&no_text, "avro"),
    ];
    for (value, _) in poison {
        world.send(&world.orders, &framed(value)).await?;
    }
    for key in ["4717", "4719"] {
        reaches(&engine, key, &["completed"]).await?;
    }
    let letters =
        world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == poison.len()).await?;
    for (value, code) in poison {
        let letter = letters.iter().find(|letter| letter.record.value.as_deref() == Some(value));
        let found = letter.and_then(|letter| letter.header("saga_dlq_code"));
        ensure!(found == Some(code), "expected {code}, found {found:?} for {value:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_an_answer_of_the_registry_letters_are_not_judged_and_nobody_waits_for_ever() -> Result<()> {
    let (address, switch) = registry(RegistrySwitch::Up).await?;
    let Some(world) = world(&address).await? else { return Ok(()) };
    let engine = world.start().await?;
    for _ in 0..2 {
        world.send(&world.orders, &framed(NUL_BY_CONFLUENT)).await?;
    }
    world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 2).await?;
    engine.terminate().await?;
    switch.send_replace(RegistrySwitch::Down);
    let engine = world.start().await?;
    let open = || async {
        let (_, body) = engine.api().get("/api/dead-letters").await?;
        Ok(body["letters"].as_array().filter(|found| found.len() == 2).map(|_| ()))
    };
    eventually("the letters are in the table", WITHIN, open).await?;

    let began = Instant::now();
    let order = json!({"who": "ada", "reason": "a try", "filter": {"status": "open"}, "dryRun": true});
    let (_, body) = engine.api().post("/api/dead-letters/jobs", &order).await?;
    let job = format!("/api/dead-letters/jobs/{}", body["job"]["id"].as_str().unwrap_or_default());
    let done = eventually("the dry run ends", WITHIN, || async {
        let (_, body) = engine.api().get(&job).await?;
        Ok(body["job"]["endedAt"].is_string().then_some(body))
    })
    .await?;
    ensure!(began.elapsed() < Duration::from_secs(20), "the second letter does not wait again");
    assert_eq!(done["job"]["counts"], json!({"not judged": 2}), "{done}");
    let said = done["items"][1]["message"].as_str().unwrap_or_default();
    ensure!(said.contains("has not answered within 10 s"), "{done}");

    switch.send_replace(RegistrySwitch::Up);
    world.send(&world.orders, &framed(ORDER_4711)).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let (_, shown) = engine.api().get("/api/dead-letters/0/0").await?;
    let told = shown["original"]["value"]["avro"]["unread"].as_str().unwrap_or_default();
    ensure!(told.contains("orderId, byte") && told.contains("--json FILE"), "{shown}");
    Ok(())
}

async fn outage(engine: &Engine) -> Result<Value> {
    let (status, body) = engine.api().get("/health/ready").await?;
    ensure!(status.as_u16() == 200, "{body}");
    Ok(body["schemaRegistry"].clone())
}

#[tokio::test]
async fn an_avro_record_starts_a_saga_and_one_by_an_unknown_schema_is_a_dead_letter() -> Result<()> {
    let (address, _switch) = registry(RegistrySwitch::Up).await?;
    let Some(world) = world(&address).await? else { return Ok(()) };
    let engine = world.start().await?;
    let unknown = framed(b"\0\0\0\0\x09\x084713");
    let cut_off = framed(&ORDER_4711[..12]);
    for record in [&unknown, &cut_off, &framed(ORDER_4711)] {
        world.send(&world.orders, record).await?;
    }
    world.order("4712", &json!({})).await?;
    reaches(&engine, "4712", &["completed"]).await?;
    let saga = reaches(&engine, "4711", &["completed"]).await?;
    let id = saga["id"].as_str().unwrap_or_default();
    let (_, history) = engine.api().get(&format!("/api/sagas/{id}/history")).await?;
    ensure!(history.to_string().contains(r#""amountCents":1999"#), "{history}");

    let letters = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 2).await?;
    for (record, code) in [(&unknown, "unknown_schema"), (&cut_off, "avro")] {
        let letter = letters.iter().find(|letter| letter.header("saga_dlq_code") == Some(code));
        let Some(letter) = letter else { anyhow::bail!("no letter with {code}: {letters:?}") };
        assert_eq!((&letter.record.key, &letter.record.value), (&record.key, &record.value));
        assert_eq!(&letter.record.headers[..record.headers.len()], &record.headers[..]);
    }
    Ok(())
}

#[tokio::test]
async fn records_wait_for_a_registry_that_does_not_answer_and_then_go_on() -> Result<()> {
    let (address, switch) = registry(RegistrySwitch::Down).await?;
    let Some(world) = world(&address).await? else { return Ok(()) };
    let engine = world.start().await?;
    for number in ["4711", "4712"] {
        world.send(&world.orders, &order(number)).await?;
    }
    let behind =
        TopicRecord { partition: Some(0), ..TopicRecord::event("OrderPlaced", "4713", &json!({"orderId": "4713"})) };
    world.send(&world.orders, &behind).await?;
    let other =
        TopicRecord { partition: Some(1), ..TopicRecord::event("OrderPlaced", "4714", &json!({"orderId": "4714"})) };
    world.send(&world.orders, &other).await?;
    let shown = eventually("readiness names the registry", WITHIN, || async {
        let outage = outage(&engine).await?;
        Ok(outage["registry"].is_string().then_some(outage))
    });
    let shown = shown.await?;
    ensure!(shown["registry"] == format!("{address}/") && shown["since"].is_string(), "{shown}");
    reaches(&engine, "4714", &["completed"]).await?;
    ensure!(find(&engine, "4713").await?.is_none(), "it is behind records that wait");

    switch.send_replace(RegistrySwitch::Up);
    for number in ["4711", "4712", "4713"] {
        reaches(&engine, number, &["completed"]).await?;
    }
    ensure!(outage(&engine).await?.is_null(), "the outage is over");
    let log = engine.log()?;
    ensure!(!log.contains("goes to the DLQ"), "nothing became a dead letter: {log}");
    let told = log.matches("records wait for the schema registry").count();
    ensure!(told == 1, "the log says it {told} times");
    Ok(())
}
