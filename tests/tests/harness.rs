//! The harness itself: what the other tests rely on without looking.

use anyhow::Result;
use reqwest::StatusCode;
use saga_tests::{
    kafka::{ReceivedRecord, TestKafka, TopicRecord},
    participant::{
        HttpParticipant, KafkaParticipant, ParticipantScript, ScriptGate, ScriptedBehaviour, ScriptedDelivery,
        TestParticipant,
    },
    servers, unique,
};
use serde_json::json;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_record_reads_back_as_it_was_written() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let topic = kafka.fresh_topic("harness", 3).await?;
    let headers = vec![("twice".into(), Some(b"1".to_vec())), ("twice".into(), None)];
    let record = TopicRecord { partition: Some(2), key: Some(vec![0, 255]), value: None, headers };
    assert_eq!(kafka.produce(&topic, &record).await?, (2, 0));
    let read = kafka.read_until(&topic, WITHIN, |records| !records.is_empty()).await?;
    assert_eq!(read, [ReceivedRecord { partition: 2, offset: 0, record }]);
    Ok(())
}

#[tokio::test]
async fn what_does_not_come_is_an_error_that_shows_what_came() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let topic = kafka.fresh_topic("harness", 1).await?;
    kafka.produce(&topic, &TopicRecord::event("OrderPlaced", "4711", &json!({"orderId": "4711"}))).await?;
    let error = kafka.read_until(&topic, Duration::from_secs(5), |records| records.len() == 2).await;
    let text = error.expect_err("there is one record").to_string();
    assert!(text.contains("1 records were read") && text.contains("4711"), "{text}");
    Ok(())
}

#[tokio::test]
async fn every_database_is_empty_and_gone_afterwards() -> Result<()> {
    let Some(postgres) = servers::postgres() else { return Ok(()) };
    let databases = "SELECT count(*) FROM pg_database WHERE datname = $1";
    let kept = postgres.database().await?;
    let dropped = postgres.database().await?;
    let pool = dropped.pool().await?;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&pool).await?, 0);
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&pool).await?;
    drop(dropped);
    let pool = kept.pool().await?;
    assert_eq!(sqlx::query_scalar::<_, i64>(databases).bind(name).fetch_one(&pool).await?, 0);
    Ok(())
}

#[tokio::test]
async fn postgres_18_is_there() -> Result<()> {
    let Some(postgres) = servers::postgres_18() else { return Ok(()) };
    let database = postgres.database().await?;
    let pool = database.pool().await?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
    assert!(version.starts_with("18."), "{version}");
    Ok(())
}

fn command(reply_topic: &str, step: &str) -> TopicRecord {
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    let mut record = TopicRecord::event("ReserveStock", "a-saga", &json!({"lines": 1}));
    record.headers.push(header("ce_correlationid", "a-saga"));
    record.headers.push(header("idempotency_key", &format!("a-saga:{step}:do")));
    record.headers.push(header("saga_attempt", "1"));
    record.headers.push(header("reply_topic", reply_topic));
    record
}

fn outcomes(replies: &[ReceivedRecord]) -> Vec<&str> {
    replies.iter().filter_map(|reply| reply.header("saga_outcome")).collect()
}

async fn topics(kafka: &TestKafka) -> Result<(String, String)> {
    Ok((kafka.fresh_topic("commands", 2).await?, kafka.fresh_topic("replies", 2).await?))
}

#[tokio::test]
async fn a_kafka_participant_replies_as_scripted() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let (commands, replies) = topics(&kafka).await?;
    let script = ParticipantScript::default()
        .on("twice:do", |_| ScriptedBehaviour::succeed(json!({"reserved": 1})).delivered(ScriptedDelivery::Twice))
        .on("refused:do", |_| ScriptedBehaviour::fail("out_of_stock"));
    let inventory = KafkaParticipant::start(TestParticipant::new(script), &kafka, &commands)?;
    kafka.produce(&commands, &command(&replies, "twice")).await?;
    kafka.produce(&commands, &command(&replies, "refused")).await?;
    let read = kafka.read_until(&replies, WITHIN, |replies| replies.len() == 3).await?;
    let mut outcomes = outcomes(&read);
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["failed", "succeeded", "succeeded"]);
    assert!(read.iter().all(|reply| reply.header("ce_correlationid") == Some("a-saga")));
    assert_eq!(inventory.participant().ledger().effects().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_held_reply_comes_when_the_gate_opens() -> Result<()> {
    let Some(kafka) = servers::kafka() else { return Ok(()) };
    let (commands, replies) = topics(&kafka).await?;
    let gate = ScriptGate::default();
    let held = gate.clone();
    let script = ParticipantScript::default()
        .on("late:do", move |_| ScriptedBehaviour::succeed(json!({})).delivered(ScriptedDelivery::Held(held.clone())));
    let _inventory = KafkaParticipant::start(TestParticipant::new(script), &kafka, &commands)?;
    kafka.produce(&commands, &command(&replies, "late")).await?;
    kafka.produce(&commands, &command(&replies, "prompt")).await?;
    let read = kafka.read_until(&replies, WITHIN, |replies| !replies.is_empty()).await?;
    assert_eq!(read[0].header("idempotency_key"), Some("a-saga:prompt:do"));
    gate.open();
    kafka.read_until(&replies, WITHIN, |replies| replies.len() == 2).await?;
    Ok(())
}

#[tokio::test]
async fn an_http_participant_answers_as_scripted() -> Result<()> {
    let script = ParticipantScript::default()
        .on("charge:do", |nth| {
            if nth == 1 { ScriptedBehaviour::status(503).with_effect() } else { ScriptedBehaviour::succeed(json!({})) }
        })
        .on("refund:do", |_| ScriptedBehaviour::fail("too_late"));
    let payments = HttpParticipant::start(TestParticipant::new(script))?;
    let client = saga_tests::engine::http_client()?;
    let saga = unique("saga");
    let ask = async |path: &str, step: &str| {
        let request =
            client.post(format!("{}/{path}", payments.url())).header("Idempotency-Key", format!("{saga}:{step}"));
        anyhow::Ok(request.body(json!({"amountCents": 1}).to_string()).send().await?.status())
    };
    assert_eq!(ask("charges", "charge:do").await?, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask("charges", "charge:do").await?, StatusCode::OK);
    assert_eq!(ask("refunds", "refund:do").await?, StatusCode::UNPROCESSABLE_ENTITY);
    let ledger = payments.participant().ledger();
    assert_eq!(ledger.effects().len(), 1, "the repeat had no effect of its own");
    assert_eq!(ledger.calls()[0].target, "POST charges");
    assert_eq!(ledger.calls()[0].body, json!({"amountCents": 1}));
    Ok(())
}
