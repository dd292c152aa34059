//! How and where an engine writes dead letters: in which dialects of headers, in which order, to which topic.

use anyhow::{Context, Result};
use saga_tests::{
    kafka::{ReceivedRecord, TopicRecord},
    participant::ParticipantScript,
    world::{TestWorld, WITHIN},
};
use serde_json::json;

const WAIT: &str = "steps:\n  - step: rest\n    wait: 1s\n";
/// More than a client sends at once.
const MANY: usize = 300;

fn poison(number: usize) -> TopicRecord {
    let headers = vec![("ce_type".to_owned(), Some(b"OrderPlaced".to_vec()))];
    TopicRecord { partition: Some(0), key: None, value: Some(format!("{{{number}").into_bytes()), headers }
}

fn bytes<'a>(letter: &'a ReceivedRecord, name: &str) -> Option<&'a [u8]> {
    let (_, value) = letter.record.headers.iter().rev().find(|(candidate, _)| candidate == name)?;
    value.as_deref()
}

#[tokio::test]
async fn letters_have_the_headers_of_other_programs_and_come_in_the_order_of_their_partition() -> Result<()> {
    let Some(mut world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(());
    };
    let dialects = json!(["saga", "spring", "kafkaConnect"]);
    world.installation = world.installation.with("deadLetters", "headers", dialects);
    world.define("order", WAIT)?;
    let producer = world.kafka.producer()?;
    for number in 0..MANY {
        producer.send(&world.orders, &poison(number)).await?;
    }
    let engine = world.start().await?;
    let dlq = world.installation.dlq();
    let letters = world.kafka.read_until(dlq, WITHIN, |letters| letters.len() == MANY).await?;
    let offsets: Vec<usize> =
        letters.iter().filter_map(|letter| letter.header("saga_dlq_offset")?.parse().ok()).collect();
    assert_eq!(offsets, (0..MANY).collect::<Vec<_>>(), "in the order of the partition");

    let letter = letters.get(14).context("a letter")?;
    assert_eq!(bytes(letter, "kafka_dlt-original-topic"), Some(world.orders.as_bytes()));
    assert_eq!(bytes(letter, "kafka_dlt-original-partition"), Some(&[0, 0, 0, 0][..]));
    assert_eq!(bytes(letter, "kafka_dlt-original-offset"), Some(&[0, 0, 0, 0, 0, 0, 0, 14][..]));
    assert_eq!(bytes(letter, "kafka_dlt-exception-fqcn"), Some(&b"saga.poison.not_json"[..]));
    assert_eq!(bytes(letter, "__connect.errors.offset"), Some(&b"14"[..]));
    assert_eq!(bytes(letter, "__connect.errors.exception.class.name"), Some(&b"saga.poison.not_json"[..]));
    let own = letter.record.headers.iter().take_while(|(name, _)| name != "saga_dlq_topic").count();
    assert_eq!(own, 1, "the original's headers come first: {letter:?}");
    engine.kill().await
}
