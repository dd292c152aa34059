//! One installation with the participants that its sagas need: `inventory` over Kafka, `payments` over HTTP.

use crate::{
    engine::{Engine, EngineInstallation},
    eventually::eventually,
    kafka::{TestKafka, TestProducer, TopicRecord},
    participant::{EffectLedger, HttpParticipant, KafkaParticipant, ParticipantScript, TestParticipant},
    postgres::{PostgresServer, TestDatabase},
    servers,
};
use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

/// For one saga to get where it goes: a cold consumer group, a few retries of a second, a loaded machine of two cores.
pub const WITHIN: Duration = Duration::from_secs(60);

/// How often a call is tried, and how fast, where a test says nothing else.
const RETRY: &str = "{attempts: 3, delay: 50ms, maxDelay: 200ms}";

/// Servers, participants and an installation; the engine is started by the test.
pub struct TestWorld {
    /// The broker.
    pub kafka: TestKafka,
    /// The server of [`TestWorld::database`].
    pub postgres: PostgresServer,
    /// Where the engine keeps its journal.
    pub database: TestDatabase,
    /// What the engine runs on.
    pub installation: EngineInstallation,
    /// The topic of orders: triggers and outcome events.
    pub orders: String,
    /// Over Kafka.
    pub inventory: KafkaParticipant,
    /// Over HTTP.
    pub payments: HttpParticipant,
    producer: TestProducer,
}

impl TestWorld {
    /// A world whose participants follow these scripts; `None`: a server is missing, which has been reported.
    ///
    /// # Errors
    /// When a server does not do its part.
    pub async fn new(inventory: ParticipantScript, payments: ParticipantScript) -> Result<Option<TestWorld>> {
        let Some(kafka) = servers::kafka() else { return Ok(None) };
        TestWorld::on(kafka, inventory, payments).await
    }

    /// The same on a broker of the test's own.
    ///
    /// # Errors
    /// As [`TestWorld::new`].
    pub async fn on(
        kafka: TestKafka,
        inventory: ParticipantScript,
        payments: ParticipantScript,
    ) -> Result<Option<TestWorld>> {
        let Some(postgres) = servers::postgres() else { return Ok(None) };
        let database = postgres.database().await?;
        let installation = EngineInstallation::new(&kafka, database.url())?;
        let (orders, commands) = (kafka.fresh_topic("orders", 3).await?, kafka.fresh_topic("inventory", 3).await?);
        let inventory = KafkaParticipant::start(TestParticipant::new(inventory), &kafka, &commands)?;
        let payments = HttpParticipant::start(TestParticipant::new(payments))?;
        let producer = kafka.producer()?;
        let world = TestWorld { kafka, postgres, database, installation, orders, inventory, payments, producer };
        world.participants(&json!({}), &json!({}))?;
        Ok(Some(world))
    }

    /// Writes participants.yaml with more keys for each of the two.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn participants(&self, inventory: &Value, payments: &Value) -> Result<()> {
        let merged = |mut base: Value, more: &Value| {
            for (key, value) in more.as_object().expect("participants are objects") {
                base[key] = value.clone();
            }
            base
        };
        let base = json!({"kafka": {"commands": self.inventory.topic()}, "timeout": "1s"});
        let http = json!({"http": {"url": self.payments.url()}, "timeout": "1s"});
        self.installation
            .participants(&json!({"inventory": merged(base, inventory), "payments": merged(http, payments)}))
    }

    /// Writes the definition `name`, triggered by `OrderPlaced` and keyed by `orderId`, with fast retries; `rest` is
    /// the YAML of its other keys.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn define(&self, name: &str, rest: &str) -> Result<()> {
        let retry = if rest.lines().any(|line| line.starts_with("retry:")) {
            String::new()
        } else {
            format!("retry: {RETRY}\n")
        };
        let orders = &self.orders;
        let trigger = format!("trigger: {{topic: {orders}, type: OrderPlaced, key: \"${{ event.orderId }}\"}}\n");
        self.installation.definition(name, &format!("saga: {name}\n{trigger}{retry}{rest}"))
    }

    /// Writes the configuration by which a command in the installation's folder finds its topics, store and
    /// definitions.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self) -> Result<()> {
        let installation = &self.installation;
        let config = json!({
            "store": self.database.url(),
            "kafka": {"bootstrapServers": self.kafka.bootstrap(), "group": installation.group()},
            "topics": {"inbox": installation.inbox(), "replies": installation.replies(), "dlq": installation.dlq()},
            "sagas": installation.folder().join("sagas"),
        });
        Ok(std::fs::write(installation.folder().join("config.yaml"), config.to_string())?)
    }

    /// Starts the engine and returns when it is ready.
    ///
    /// # Errors
    /// When it is not.
    pub async fn start(&self) -> Result<Engine> {
        Engine::start(&self.installation).await
    }

    /// Publishes `OrderPlaced` for the order `id`, with more fields.
    ///
    /// # Errors
    /// When the broker does not acknowledge it.
    pub async fn order(&self, id: &str, more: &Value) -> Result<(i32, i64)> {
        let mut payload = json!({"orderId": id});
        for (key, value) in more.as_object().expect("an event is an object") {
            payload[key] = value.clone();
        }
        self.producer.send(&self.orders, &TopicRecord::event("OrderPlaced", id, &payload)).await
    }

    /// Sends a record as it is.
    ///
    /// # Errors
    /// When the broker does not acknowledge it.
    pub async fn send(&self, topic: &str, record: &TopicRecord) -> Result<(i32, i64)> {
        self.producer.send(topic, record).await
    }

    /// Both ledgers.
    #[must_use]
    pub fn ledgers(&self) -> [EffectLedger; 2] {
        [self.inventory.participant().ledger(), self.payments.participant().ledger()]
    }

    /// Effects of the saga `id` at both participants, as `step:do` and `step:undo`, each participant in its order.
    #[must_use]
    pub fn effects(&self, id: &str) -> Vec<String> {
        let own = |effect: &crate::participant::RecordedEffect| {
            effect.command.strip_prefix(id)?.strip_prefix(':').map(str::to_owned)
        };
        self.ledgers().iter().flat_map(|ledger| ledger.effects().iter().filter_map(own).collect::<Vec<_>>()).collect()
    }
}

/// The saga with this key, as the API shows it; `None` while there is none.
///
/// # Errors
/// When the API does not answer as it should.
pub async fn find(engine: &Engine, key: &str) -> Result<Option<Value>> {
    let (status, body) = engine.api().get(&format!("/api/sagas/{key}")).await?;
    if status == StatusCode::NOT_FOUND && body["code"] == "no_saga" {
        return Ok(None);
    }
    ensure!(status == StatusCode::OK, "{status}: {body}");
    Ok(Some(body))
}

/// Waits until the saga with this key has one of the statuses, and returns it.
///
/// # Errors
/// When it does not get there within [`WITHIN`]; the message shows where it is.
pub async fn reaches(engine: &Engine, key: &str, statuses: &[&str]) -> Result<Value> {
    let what = format!("saga {key} is {}", statuses.join(" or "));
    eventually(&what, WITHIN, || async {
        let saga = find(engine, key).await?.context("no such saga")?;
        let status = saga["status"].as_str().unwrap_or_default().to_owned();
        ensure!(statuses.contains(&status.as_str()), "it is {saga}");
        Ok(Some(saga))
    })
    .await
    .with_context(|| format!("--- the end of the engine's log\n{}\n---", engine.log_tail()))
}
