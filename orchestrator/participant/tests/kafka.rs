//! The command loop on a real broker, with the barrier in a SQLite file.

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{Consumer, StreamConsumer},
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
    topic_partition_list::Offset,
};
use saga_participant::{
    CommandBarrier, CommandHandler, HandlerError, ParticipantAnswer, PriorOutcome, SagaCommand, SagaParticipant,
    kafka::{CommandListener, ListenerError, ListenerSettings, ListenerStats, PoisonReason, PoisonRecord},
};
use serde_json::{Value, json};
use sqlx::{Sqlite, SqliteConnection, sqlite::SqlitePoolOptions};
use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use uuid::Uuid;

/// Bootstrap servers.
const KAFKA: &str = "SAGA_TEST_KAFKA";
/// Much longer than anything takes, so that only a fault comes near.
const WITHIN: Duration = Duration::from_secs(30);

/// Reserves; refuses a unicorn; numbers its work in the order in which it is done.
struct Stock;

impl CommandHandler<Sqlite> for Stock {
    async fn perform(
        &self,
        tx: &mut SqliteConnection,
        command: &SagaCommand,
        _: PriorOutcome,
    ) -> Result<ParticipantAnswer, HandlerError> {
        if command.body["sku"] == "unicorn" {
            return Ok(ParticipantAnswer::refused("out_of_stock", "there are no unicorns"));
        }
        let insert = sqlx::query_scalar("INSERT INTO work (command) VALUES (?1) RETURNING number");
        let number: i64 = insert.bind(command.id.to_string()).fetch_one(tx).await?;
        Ok(ParticipantAnswer::Succeeded(json!({"number": number})))
    }
}

/// A broker with two topics of one test, and a service.
struct Stage {
    config: ClientConfig,
    producer: FutureProducer,
    commands: String,
    replies: String,
    pool: sqlx::SqlitePool,
    poison: Arc<Mutex<Vec<PoisonReason>>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<ListenerStats, ListenerError>>,
}

impl Stage {
    /// `None`: there is no broker, which has been reported.
    async fn set() -> Result<Option<Stage>> {
        let Some(servers) = std::env::var(KAFKA).ok().filter(|servers| !servers.is_empty()) else {
            report_not_run();
            return Ok(None);
        };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("broker.address.family", "v4");
        let run = Uuid::new_v4().simple().to_string();
        let (commands, replies) = (format!("kit-commands-{run}"), format!("kit-replies-{run}"));
        let admin: AdminClient<_> = config.create()?;
        let topics = [&commands, &replies].map(|name| NewTopic::new(name, 2, TopicReplication::Fixed(1)));
        for created in admin.create_topics(&topics, &AdminOptions::new()).await? {
            created.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        // One connection, so that the database in memory is one.
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
        sqlx::raw_sql("CREATE TABLE work (number INTEGER PRIMARY KEY, command TEXT)").execute(&pool).await?;
        let producer = config.clone().set("enable.idempotence", "true").set("linger.ms", "1").create()?;
        Ok(Some(Stage { config, producer, commands, replies, pool, poison: Arc::default() }))
    }

    async fn listen(&self) -> Result<Running> {
        let servers = self.config.get("bootstrap.servers").context("it was set")?;
        let settings = ListenerSettings::new(servers, self.commands.clone(), &[&self.commands]);
        let barrier = CommandBarrier::create(&self.pool).await?;
        let participant = SagaParticipant::new(self.pool.clone(), barrier, Stock);
        let seen = Arc::clone(&self.poison);
        let keep = move |poison: &PoisonRecord| seen.lock().expect("no panic under it").push(poison.reason.clone());
        let listener = CommandListener::new(settings, participant).on_poison(keep);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(listener.run(async move { drop(stopped.await) }));
        Ok(Running { stop, serving })
    }

    async fn send(&self, saga: &str, headers: &[(&str, &str)], body: &str) -> Result<()> {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        let record = FutureRecord::to(&self.commands).key(saga).payload(body).headers(headers);
        self.producer.send(record, WITHIN).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    async fn command(&self, id: &str, attempt: &str, body: &Value) -> Result<()> {
        let saga = id.split(':').next().unwrap_or_default();
        let headers = [
            ("ce_type", "ReserveStock"),
            ("ce_correlationid", saga),
            ("idempotency_key", id),
            ("saga_attempt", attempt),
            ("reply_topic", &self.replies),
        ];
        self.send(saga, &headers, &body.to_string()).await
    }

    /// The first `count` replies, by partition and offset.
    async fn replies(&self, count: usize) -> Result<Vec<OwnedMessage>> {
        let consumer: StreamConsumer = self.config.clone().set("group.id", "unused").create()?;
        let mut all = TopicPartitionList::new();
        for partition in 0..2 {
            all.add_partition_offset(&self.replies, partition, Offset::Beginning)?;
        }
        consumer.assign(&all)?;
        let mut replies = Vec::new();
        while replies.len() < count {
            replies.push(timeout(WITHIN, consumer.recv()).await.context("no further reply")??.detach());
        }
        Ok(replies)
    }
}

impl Running {
    async fn stop(self) -> Result<ListenerStats> {
        drop(self.stop);
        Ok(timeout(WITHIN, self.serving).await???)
    }
}

fn header(record: &OwnedMessage, name: &str) -> Option<String> {
    let header = record.headers()?.iter().find(|header| header.key == name)?;
    String::from_utf8(header.value?.to_vec()).ok()
}

fn number(record: &OwnedMessage) -> i64 {
    let value: Value = serde_json::from_slice(record.payload().unwrap_or_default()).unwrap_or_default();
    value["number"].as_i64().unwrap_or(-1)
}

fn report_not_run() {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} cannot run: {KAFKA} is not set");
    // Written to the stream itself: what `eprintln!` prints is kept from view while a test passes.
    let line = format!("NOT RUN: {test}: {KAFKA} is not set; `tests/run` provides it\n");
    std::io::stderr().write_all(line.as_bytes()).expect("the standard error stream takes a line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_answered_where_they_say_and_alike_when_repeated() -> Result<()> {
    let Some(stage) = Stage::set().await? else { return Ok(()) };
    let running = stage.listen().await?;
    stage.command("s1:reserve:do", "1", &json!({"sku": "teapot"})).await?;
    stage.command("s1:reserve:do", "2", &json!({"sku": "teapot"})).await?;
    stage.command("s1:other:do", "1", &json!({"sku": "unicorn"})).await?;
    let replies = stage.replies(3).await?;
    let of = |name: &str| replies.iter().map(|reply| header(reply, name).unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(of("saga_outcome"), ["succeeded", "succeeded", "failed"]);
    assert_eq!(of("idempotency_key"), ["s1:reserve:do", "s1:reserve:do", "s1:other:do"]);
    assert_eq!(
        (of("saga_attempt"), of("ce_correlationid")),
        (vec!["1".into(), "2".into(), "1".into()], vec!["s1".to_owned(); 3])
    );
    assert_eq!(of("error_code"), ["", "", "out_of_stock"]);
    assert_eq!(of("error_retryable"), ["", "", "false"]);
    assert_eq!(replies.iter().map(number).collect::<Vec<_>>(), [1, 1, -1]);
    assert_eq!(running.stop().await?, ListenerStats { replied: 3, ..ListenerStats::default() });
    Ok(())
}

/// Offsets move behind the replies: a later run answers what came meanwhile, and nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_run_goes_on_where_the_stop_was() -> Result<()> {
    let Some(stage) = Stage::set().await? else { return Ok(()) };
    let sagas = 20;
    let running = stage.listen().await?;
    for number in 0..sagas {
        stage.command(&format!("s{number}:reserve:do"), "1", &json!({})).await?;
    }
    stage.replies(sagas).await?;
    assert_eq!(running.stop().await?.replied, sagas as u64);
    stage.command("later:reserve:do", "1", &json!({})).await?;
    let running = stage.listen().await?;
    let replies = stage.replies(sagas + 1).await?;
    assert_eq!(running.stop().await?.replied, 1);
    assert!(replies.iter().any(|reply| header(reply, "idempotency_key").as_deref() == Some("later:reserve:do")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_a_saga_are_performed_in_their_order() -> Result<()> {
    let Some(stage) = Stage::set().await? else { return Ok(()) };
    let (sagas, steps) = (3, 10);
    for step in 0..steps {
        for saga in 0..sagas {
            stage.command(&format!("s{saga}:step{step}:do"), "1", &json!({})).await?;
        }
    }
    let running = stage.listen().await?;
    let replies = stage.replies(sagas * steps).await?;
    for saga in 0..sagas {
        let mut of_saga: Vec<(i64, String)> = replies
            .iter()
            .map(|reply| (number(reply), header(reply, "idempotency_key").unwrap_or_default()))
            .filter(|(_, id)| id.starts_with(&format!("s{saga}:")))
            .collect();
        of_saga.sort();
        let order: Vec<String> = of_saga.into_iter().map(|(_, id)| id).collect();
        assert_eq!(order, (0..steps).map(|step| format!("s{saga}:step{step}:do")).collect::<Vec<_>>());
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_told_of_and_skipped() -> Result<()> {
    let Some(stage) = Stage::set().await? else { return Ok(()) };
    let running = stage.listen().await?;
    stage.send("s1", &[("ce_type", "T"), ("reply_topic", &stage.replies)], "{}").await?;
    stage.send("s1", &[("ce_type", "T"), ("idempotency_key", "s1:a:do")], "{}").await?;
    let lost = [("ce_type", "T"), ("idempotency_key", "s1:a:do"), ("reply_topic", "no topic of that name")];
    stage.send("s1", &lost, "{}").await?;
    stage.command("s1:reserve:do", "1", &json!({})).await?;
    assert_eq!(header(&stage.replies(1).await?[0], "idempotency_key").as_deref(), Some("s1:reserve:do"));
    assert_eq!(running.stop().await?, ListenerStats { replied: 1, unsettled: 0, poison: 3 });
    let reasons: Vec<String> =
        stage.poison.lock().expect("no panic under it").iter().map(PoisonReason::to_string).collect();
    assert!(reasons[0].contains("`idempotency_key` is missing"), "{reasons:?}");
    assert!(reasons[1].contains("`reply_topic` is missing"), "{reasons:?}");
    assert!(reasons[2].contains("no topic of that name"), "{reasons:?}");
    Ok(())
}
