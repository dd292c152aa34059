//! The participant over Kafka: reads its command topic, replies where the command says.

use super::{RecordedCall, ScriptedAnswer, ScriptedBehaviour, ScriptedDelivery, TestParticipant};
use crate::{
    kafka::{LOOK_EVERY, ReceivedRecord, TestKafka, TestProducer, TopicRecord, received},
    unique,
};
use anyhow::{Context, Result};
use rdkafka::consumer::{Consumer, StreamConsumer};
use saga_brokers::BootstrapRefresher;
use std::collections::BTreeMap;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// Answers until it is dropped.
pub struct KafkaParticipant {
    participant: TestParticipant,
    topic: String,
    serving: JoinHandle<()>,
}

impl KafkaParticipant {
    /// Serves the commands of `topic`, from the oldest.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn start(participant: TestParticipant, kafka: &TestKafka, topic: &str) -> Result<KafkaParticipant> {
        let consumer: StreamConsumer = kafka
            .client()
            .set("group.id", unique("participant"))
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "6000")
            .create()?;
        consumer.subscribe(&[topic])?;
        let serving = tokio::spawn(serve(participant.clone(), kafka.brokers(), consumer, kafka.producer()?));
        Ok(KafkaParticipant { participant, topic: topic.to_owned(), serving })
    }

    /// Its command topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Its script and ledger.
    #[must_use]
    pub fn participant(&self) -> &TestParticipant {
        &self.participant
    }
}

impl Drop for KafkaParticipant {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    participant: TestParticipant,
    mut brokers: BootstrapRefresher,
    consumer: StreamConsumer,
    producer: TestProducer,
) {
    // Replies on their way and replies held back; they end with the participant.
    let mut replies = JoinSet::new();
    loop {
        brokers.check(consumer.client());
        // An error here is a broker that is away, or none is to be had yet.
        let Ok(Ok(message)) = timeout(LOOK_EVERY, consumer.recv()).await else { continue };
        let command = received(&message);
        let Some(call) = call_of(&command) else { continue };
        let behaviour = participant.perform(call);
        let producer = producer.clone();
        replies.spawn(async move { reply(&producer, &command, behaviour).await });
        while replies.try_join_next().is_some() {}
    }
}

fn call_of(command: &ReceivedRecord) -> Option<RecordedCall> {
    let text = |(name, value): &(String, Option<Vec<u8>>)| {
        Some((name.to_lowercase(), String::from_utf8(value.clone()?).ok()?))
    };
    let headers: BTreeMap<String, String> = command.record.headers.iter().filter_map(text).collect();
    Some(RecordedCall {
        command: headers.get("idempotency_key")?.clone(),
        target: headers.get("ce_type").cloned().unwrap_or_default(),
        body: command.json(),
        headers,
    })
}

async fn reply(producer: &TestProducer, command: &ReceivedRecord, behaviour: ScriptedBehaviour) -> Result<()> {
    let times = match &behaviour.delivery {
        ScriptedDelivery::Once => 1,
        ScriptedDelivery::Twice => 2,
        ScriptedDelivery::Never => return Ok(()),
        ScriptedDelivery::Held(gate) => {
            gate.pass().await;
            1
        }
    };
    let Some(record) = reply_record(command, &behaviour.answer) else { return Ok(()) };
    let topic = command.header("reply_topic").context("the command names no reply topic")?;
    for _ in 0..times {
        producer.send(topic, &record).await?;
    }
    Ok(())
}

fn reply_record(command: &ReceivedRecord, answer: &ScriptedAnswer) -> Option<TopicRecord> {
    let mut headers = Vec::new();
    for name in ["ce_correlationid", "idempotency_key", "saga_attempt"] {
        if let Some(value) = command.header(name) {
            headers.push((name, value.to_owned()));
        }
    }
    let value = match answer {
        ScriptedAnswer::Succeeded(result) => {
            headers.push(("saga_outcome", "succeeded".into()));
            Some(result.to_string().into_bytes())
        }
        ScriptedAnswer::Failed { code, message, retryable } => {
            headers.push(("saga_outcome", "failed".into()));
            headers.push(("error_code", code.clone()));
            headers.push(("error_message", message.clone()));
            headers.push(("error_retryable", retryable.to_string()));
            None
        }
        ScriptedAnswer::Ongoing => {
            headers.push(("saga_outcome", "ongoing".into()));
            None
        }
        ScriptedAnswer::Status(_) => return None,
    };
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))).collect();
    Some(TopicRecord { partition: None, key: None, value, headers })
}
