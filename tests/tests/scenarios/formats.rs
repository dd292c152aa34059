//! Topics that have one format: what is read in another is a dead letter, and what is written is in Avro, by schemas of
//! a real registry. The bytes are read here by hand.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::{Engine, http_client},
    eventually::eventually,
    kafka::{ReceivedRecord, TopicRecord},
    participant::ParticipantScript,
    servers,
    world::{TestWorld, WITHIN, reaches},
};
use serde_json::{Value, json};

const RESERVE: &str = "
steps:
  - step: reserve
    do: stock.ReserveStock
    with: {orderId: \"${ event.orderId }\", quantity: \"${ event.quantity }\"}
    irreversible: true
";

const RESERVE_STOCK: &str = r#"{"type": "record", "name": "ReserveStock", "namespace": "shop", "fields": [
    {"name": "orderId", "type": "string"}, {"name": "quantity", "type": "long"}]}"#;

const ORDER_RESERVED: &str = r#"{"type": "record", "name": "OrderReserved", "namespace": "shop", "fields": [
    {"name": "sagaId", "type": "string"}, {"name": "saga", "type": "string"}, {"name": "key", "type": "string"},
    {"name": "status", "type": "string"}, {"name": "output", "type": ["null", "string"]}]}"#;

/// A world with a participant `stock` whose commands nobody takes but the test.
struct StockWorld {
    world: TestWorld,
    registry: String,
    commands: String,
    notices: String,
}

impl StockWorld {
    /// `format`: that of commands and published events.
    async fn new(format: &Value) -> Result<Option<StockWorld>> {
        let Some(registry) = servers::schema_registry() else { return Ok(None) };
        let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
            return Ok(None);
        };
        let commands = world.kafka.fresh_topic("stock", 1).await?;
        let notices = world.kafka.fresh_topic("notices", 1).await?;
        world.installation = world.installation.set("schemaRegistry", json!({"url": registry})).with(
            "topics",
            "formats",
            json!({&commands: format, &notices: format}),
        );
        world.installation.participants(&json!({"stock": {"kafka": {"commands": commands}, "timeout": "30s"}}))?;
        let outcome = format!("onCompleted: {{publish: {notices}, type: OrderReserved}}\n");
        world.define("order", &format!("{RESERVE}{outcome}"))?;
        Ok(Some(StockWorld { world, registry, commands, notices }))
    }

    fn schema(&self, file: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.world.installation.folder().join("schemas").join(file), text)?)
    }

    async fn register(&self, topic: &str, schema: &str) -> Result<()> {
        let url = format!("{}/subjects/{topic}-value/versions", self.registry);
        let answer = http_client()?
            .post(url)
            .header("content-type", "application/json")
            .body(json!({"schema": schema}).to_string())
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{}", answer.text().await?);
        Ok(())
    }

    /// The id that the registry has for the latest schema of the topic.
    async fn id(&self, topic: &str) -> Result<u32> {
        let url = format!("{}/subjects/{topic}-value/versions/latest", self.registry);
        let latest = http_client()?.get(url).send().await?.error_for_status()?.text().await?;
        let latest: Value = serde_json::from_str(&latest)?;
        Ok(u32::try_from(latest["id"].as_u64().context("an id")?)?)
    }

    async fn first(&self, topic: &str) -> Result<ReceivedRecord> {
        let read = self.world.kafka.read_until(topic, WITHIN, |records| !records.is_empty()).await?;
        read.into_iter().next().context("a record")
    }

    /// Answers a command that it succeeded.
    async fn answer(&self, command: &ReceivedRecord) -> Result<()> {
        let copied = |name: &str| Some(command.header(name)?.as_bytes().to_vec());
        let headers = vec![
            ("idempotency_key".to_owned(), copied("idempotency_key")),
            ("ce_correlationid".to_owned(), copied("ce_correlationid")),
            ("saga_outcome".to_owned(), Some(b"succeeded".to_vec())),
        ];
        let reply = TopicRecord { value: Some(b"{}".to_vec()), headers, ..TopicRecord::default() };
        self.world.send(self.world.installation.replies(), &reply).await.map(drop)
    }
}

/// Avro's long, and its string.
fn long(number: i64) -> Vec<u8> {
    let mut rest = u64::from_ne_bytes(((number << 1) ^ (number >> 63)).to_ne_bytes());
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [long(i64::try_from(text.len()).expect("it is short")), text.as_bytes().to_vec()].concat()
}

/// The frame of Confluent's registry.
fn framed(id: u32, payload: &[Vec<u8>]) -> Vec<u8> {
    [vec![0], id.to_be_bytes().to_vec(), payload.concat()].concat()
}

async fn reason(engine: &Engine, id: &Value) -> Result<String> {
    let (_, history) = engine.api().get(&format!("/api/sagas/{}/history", id.as_str().unwrap_or_default())).await?;
    Ok(history.to_string())
}

#[tokio::test]
async fn commands_and_outcome_events_are_in_avro_and_their_schemas_are_registered() -> Result<()> {
    let Some(stock) = StockWorld::new(&json!({"format": "avro", "register": true})).await? else { return Ok(()) };
    stock.schema("reserve-stock.avsc", RESERVE_STOCK)?;
    stock.schema("order-reserved.avsc", ORDER_RESERVED)?;
    let engine = stock.world.start().await?;
    stock.world.order("4711", &json!({"quantity": 300})).await?;
    let command = stock.first(&stock.commands).await?;
    assert_eq!(command.header("content-type"), Some("application/avro"));
    assert_eq!(command.header("ce_type"), Some("ReserveStock"));
    let id = stock.id(&stock.commands).await?;
    assert_eq!(command.record.value, Some(framed(id, &[string("4711"), long(300)])));
    stock.answer(&command).await?;

    let saga = reaches(&engine, "4711", &["completed"]).await?;
    let notice = stock.first(&stock.notices).await?;
    let id = stock.id(&stock.notices).await?;
    let saga_id = saga["id"].as_str().context("an id")?;
    let payload = [string(saga_id), string("order"), string("4711"), string("completed"), long(0)];
    assert_eq!(notice.record.value, Some(framed(id, &payload)));
    assert_eq!(notice.header("ce_id"), Some(format!("{saga_id}:outcome").as_str()));
    let history = reason(&engine, &saga["id"]).await?;
    ensure!(history.contains(r#""quantity":300"#), "the journal has JSON: {history}");
    Ok(())
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_schema_fails_the_step() -> Result<()> {
    let Some(stock) = StockWorld::new(&json!({"format": "avro", "register": true})).await? else { return Ok(()) };
    stock.schema("reserve-stock.avsc", RESERVE_STOCK)?;
    let engine = stock.world.start().await?;
    stock.world.order("4711", &json!({"quantity": "many"})).await?;
    let saga = reaches(&engine, "4711", &["compensated"]).await?;
    let history = reason(&engine, &saga["id"]).await?;
    ensure!(history.contains("avro.unfit") && history.contains("quantity"), "{history}");
    assert_eq!(stock.world.kafka.count(&stock.commands).await?, 0, "nothing was sent");
    Ok(())
}

#[tokio::test]
async fn a_schema_that_is_not_registered_is_waited_for() -> Result<()> {
    let Some(stock) = StockWorld::new(&json!("avro")).await? else { return Ok(()) };
    stock.schema("reserve-stock.avsc", RESERVE_STOCK)?;
    let engine = stock.world.start().await?;
    stock.world.order("4711", &json!({"quantity": 1})).await?;
    eventually("the log says what is missing", WITHIN, || async {
        let log = engine.log()?;
        let is_told = log.contains("the topic does not take records") && log.contains("register: true");
        Ok(is_told.then_some(()))
    })
    .await?;
    reaches(&engine, "4711", &["waiting"]).await?;
    stock.register(&stock.commands, RESERVE_STOCK).await?;
    let command = stock.first(&stock.commands).await?;
    let id = stock.id(&stock.commands).await?;
    assert_eq!(command.record.value, Some(framed(id, &[string("4711"), long(1)])));
    // The folder has no schema of the event: the subject's latest version is that of its bytes.
    stock.register(&stock.notices, ORDER_RESERVED).await?;
    stock.answer(&command).await?;
    reaches(&engine, "4711", &["completed"]).await?;
    let notice = stock.first(&stock.notices).await?;
    let begins = framed(stock.id(&stock.notices).await?, &[]);
    ensure!(notice.record.value.as_ref().is_some_and(|value| value.starts_with(&begins)), "{notice:?}");
    Ok(())
}

#[tokio::test]
async fn a_record_in_another_format_than_its_topic_has_is_a_dead_letter() -> Result<()> {
    for (format, wrong, right) in
        [("avro", &br#"{"orderId": "4712"}"#[..], None), ("json", b"\0\0\0\0\x01\x084712", Some(json!({})))]
    {
        let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
            return Ok(());
        };
        let orders = world.orders.clone();
        world.installation = world.installation.with("topics", "formats", json!({&orders: format}));
        world.define("order", super::definitions::ORDER)?;
        let engine = world.start().await?;
        let headers = vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec()))];
        let record = TopicRecord { value: Some(wrong.to_vec()), headers, ..TopicRecord::default() };
        world.send(&orders, &record).await?;
        let letters = world.kafka.read_until(world.installation.dlq(), WITHIN, |letters| letters.len() == 1).await?;
        assert_eq!(letters[0].header("saga_dlq_code"), Some("wrong_format"), "{format}");
        assert_eq!(letters[0].record.value, record.value);
        if let Some(more) = right {
            world.order("4711", &more).await?;
            reaches(&engine, "4711", &["completed"]).await?;
        }
    }
    Ok(())
}
