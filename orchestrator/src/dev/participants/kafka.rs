//! The sample participants that take commands from topics: each command is performed and replied to where it says.

use super::Memory;
use bytes::Bytes;
use saga_kafka::{
    Consumer, ConsumerEvent, Delivered, Producer, Settings,
    consumer::{Limits, Mode, Plan, TopicStart},
    settings::USUAL_BATCH,
};
use saga_participant::{Answer, Command};
use saga_wire::{Outgoing, Record, record::text_header};
use std::{collections::BTreeSet, sync::Arc};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tracing::{debug, warn};

/// Commands that are being performed: each is a task, and a late answer holds its own for seconds.
const AT_WORK: usize = 256;
/// Headers of a command that its reply repeats.
const REPEATED: [&str; 3] = ["ce_correlationid", "idempotency_key", "saga_attempt"];

/// Consumes until it is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    /// Dropping it ends the thread of the client.
    _consumer: Consumer,
    serving: JoinHandle<()>,
}

impl Listening {
    /// Reads all partitions by hand: on this broker nobody shares them, and a group would make the first member wait.
    pub(super) fn start(
        settings: &Settings,
        topics: &[String],
        producer: Producer,
        memory: Arc<Memory>,
    ) -> anyhow::Result<Listening> {
        let plan = Plan {
            name: "participants",
            group: "sample-participants".into(),
            mode: Mode::Manual,
            topics: topics.iter().map(|topic| TopicStart::earliest(topic)).collect(),
            limits: Limits { unfinished_records: AT_WORK, ..Limits::default() },
            largest_batch: USUAL_BATCH,
            compacted: BTreeSet::new(),
        };
        let (consumer, events) = Consumer::start(settings, plan)?;
        Ok(Listening { _consumer: consumer, serving: tokio::spawn(serve(events, producer, memory)) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut events: mpsc::Receiver<ConsumerEvent>, producer: Producer, memory: Arc<Memory>) {
    // They end with this task.
    let mut at_work = JoinSet::new();
    while let Some(event) = events.recv().await {
        match event {
            ConsumerEvent::Records(records) => {
                for delivered in records {
                    at_work.spawn(perform(delivered, producer.clone(), Arc::clone(&memory)));
                }
            }
            ConsumerEvent::Failed(reason) => warn!(reason, "the sample participants take no more commands from Kafka"),
            other => debug!(event = ?other, "consumer of the sample participants"),
        }
        while at_work.try_join_next().is_some() {}
    }
}

async fn perform(delivered: Delivered, producer: Producer, memory: Arc<Memory>) {
    let Delivered { record, ack } = delivered;
    if let Some(reply) = reply(&record, &memory).await {
        let outcome = producer.send(&reply).await;
        if !outcome.is_delivered() {
            debug!(?outcome, "a reply was not delivered; the command comes again");
        }
    }
    ack.finish();
}

/// `None`: the record is no command, or is left without an answer.
async fn reply(record: &Record, memory: &Memory) -> Option<Outgoing> {
    let texts =
        record.headers.iter().filter_map(|(name, _)| Some((name.clone(), record.header_text(name)?.to_owned())));
    let command = Command::from_record(texts, record.value.as_deref());
    let command = command.inspect_err(|error| debug!(%error, "not a command")).ok()?;
    let topic = Arc::from(command.header("reply_topic")?);
    let participant = record.topic.strip_suffix(".commands").unwrap_or(&record.topic);
    let name = format!("{participant}.{}", command.name);
    let answer = memory.hear(Command { name, ..command }).await?;
    Some(reply_record(topic, record, &answer))
}

fn reply_record(topic: Arc<str>, command: &Record, answer: &Answer) -> Outgoing {
    let repeated = |name: &&str| Some(text_header(name, command.header_text(name)?));
    let mut headers: Vec<_> = REPEATED.iter().filter_map(repeated).collect();
    let value = match answer {
        Answer::Succeeded(result) => {
            headers.push(text_header("saga_outcome", "succeeded"));
            Some(Bytes::from(result.to_string()))
        }
        Answer::Failed { code, message, retryable } => {
            headers.push(text_header("saga_outcome", "failed"));
            headers.push(text_header("error_code", code.as_str()));
            headers.push(text_header("error_message", message.as_str()));
            headers.push(text_header("error_retryable", retryable.to_string()));
            None
        }
        Answer::Ongoing => {
            headers.push(text_header("saga_outcome", "ongoing"));
            None
        }
    };
    Outgoing { topic, partition: None, key: command.key.clone(), value, headers }
}
