//! The sample participants that take commands from topics: each command is performed and replied to where it says.

use super::SampleAnswerStore;
use bytes::Bytes;
use saga_contract::{ReplyOutcome, headers as names};
use saga_kafka::{
    ConsumerEvent, DeliveredRecord, KafkaConsumer, KafkaProducer, KafkaSettings,
    consumer::{AssignmentMode, BackpressureLimits, ConsumerSettings, TopicStart},
    settings::USUAL_BATCH,
};
use saga_participant::{ParticipantAnswer, SagaCommand};
use saga_wire::{KafkaRecord, OutgoingRecord, record::text_header};
use std::{collections::BTreeSet, sync::Arc};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tracing::{debug, warn};

/// Commands that are being performed: each is a task, and a late answer holds its own for seconds.
const AT_WORK: usize = 256;

/// Consumes until it is dropped.
#[derive(Debug)]
pub(super) struct SampleKafkaListener {
    /// Dropping it ends the thread of the client.
    _consumer: KafkaConsumer,
    serving: JoinHandle<()>,
}

impl SampleKafkaListener {
    /// Reads all partitions without a group: no other member shares them, and a group would let the first member wait.
    pub(super) fn start(
        settings: &KafkaSettings,
        topics: &[String],
        producer: KafkaProducer,
        memory: Arc<SampleAnswerStore>,
    ) -> anyhow::Result<SampleKafkaListener> {
        let plan = ConsumerSettings {
            name: "participants",
            group: "sample-participants".into(),
            mode: AssignmentMode::Manual,
            topics: topics.iter().map(|topic| TopicStart::earliest(topic)).collect(),
            limits: BackpressureLimits { unfinished_records: AT_WORK, ..BackpressureLimits::default() },
            largest_batch: USUAL_BATCH,
            compacted: BTreeSet::new(),
        };
        let (consumer, events) = KafkaConsumer::start(settings, plan)?;
        Ok(SampleKafkaListener { _consumer: consumer, serving: tokio::spawn(serve(events, producer, memory)) })
    }
}

impl Drop for SampleKafkaListener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut events: mpsc::Receiver<ConsumerEvent>, producer: KafkaProducer, memory: Arc<SampleAnswerStore>) {
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

async fn perform(delivered: DeliveredRecord, producer: KafkaProducer, memory: Arc<SampleAnswerStore>) {
    let DeliveredRecord { record, ack } = delivered;
    if let Some(reply) = reply(&record, &memory).await {
        let outcome = producer.send(&reply).await;
        if !outcome.is_delivered() {
            debug!(?outcome, "a reply was not delivered; the command comes again");
        }
    }
    ack.finish();
}

/// `None`: the record is no command, or is left without an answer.
async fn reply(record: &KafkaRecord, memory: &SampleAnswerStore) -> Option<OutgoingRecord> {
    let texts =
        record.headers.iter().filter_map(|(name, _)| Some((name.clone(), record.header_text(name)?.to_owned())));
    let command = SagaCommand::from_record(texts, record.value.as_deref());
    let command = command.inspect_err(|error| debug!(%error, "not a command")).ok()?;
    let topic = Arc::from(command.header(names::REPLY_TOPIC)?);
    let participant = record.topic.strip_suffix(".commands").unwrap_or(&record.topic);
    let name = format!("{participant}.{}", command.name);
    let answer = memory.hear(SagaCommand { name, ..command }).await?;
    Some(reply_record(topic, record, &answer))
}

fn reply_record(topic: Arc<str>, command: &KafkaRecord, answer: &ParticipantAnswer) -> OutgoingRecord {
    let repeated = |name: &&str| Some(text_header(name, command.header_text(name)?));
    let mut headers: Vec<_> = names::REPEATED_IN_REPLY.iter().filter_map(repeated).collect();
    let value = match answer {
        ParticipantAnswer::Succeeded(result) => {
            headers.push(text_header(names::SAGA_OUTCOME, ReplyOutcome::Succeeded.as_str()));
            Some(Bytes::from(result.to_string()))
        }
        ParticipantAnswer::Failed { code, message, retryable } => {
            headers.push(text_header(names::SAGA_OUTCOME, ReplyOutcome::Failed.as_str()));
            headers.push(text_header(names::ERROR_CODE, code.as_str()));
            headers.push(text_header(names::ERROR_MESSAGE, message.as_str()));
            headers.push(text_header(names::ERROR_RETRYABLE, retryable.to_string()));
            None
        }
        ParticipantAnswer::Ongoing => {
            headers.push(text_header(names::SAGA_OUTCOME, ReplyOutcome::Ongoing.as_str()));
            None
        }
    };
    OutgoingRecord { topic, partition: None, key: command.key.clone(), value, headers }
}
