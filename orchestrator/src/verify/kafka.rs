//! Sends commands to a topic and reads replies from another topic.

use anyhow::{Context, bail};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};
use saga_base::clock::EngineClock;
use saga_contract::headers as names;
use saga_core::{
    command::{CommandAnswer, CommandFailure, CommandRequest, FailureOrigin},
    definition::TriggerStartPosition,
};
use saga_engine::delivery;
use saga_kafka::{
    ConsumerEvent, DeliveredRecord, KafkaConsumer, KafkaProducer, KafkaSettings, RecordAck,
    consumer::{AssignmentMode, BackpressureLimits, ConsumerSettings, TopicStart},
    producer::ProduceOutcome,
    settings::USUAL_BATCH,
};
use saga_resilience::transport::ParticipantCall;
use saga_wire::{
    KafkaRecord, PayloadSchema, cloudevents,
    reply::{self, CommandReply, ParsedReply},
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use tracing::debug;

/// Maximum time to create or remove a topic.
const ADMIN: Duration = Duration::from_secs(10);
/// Attempt timeouts that a participant may use in all when it answers `ongoing`.
const ONGOING: u32 = 3;
/// Headers that every reply has to copy.
const COPIED: [&str; 2] = [names::IDEMPOTENCY_KEY, names::CE_CORRELATION_ID];

/// The topic of replies.
#[derive(Debug)]
pub(super) struct ReplyTopic {
    name: Arc<str>,
    origin: ReplyTopicOrigin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyTopicOrigin {
    Given,
    Made,
}

impl ReplyTopic {
    /// The given topic, or a new one, so that no engine reads these replies.
    pub(super) async fn find(settings: &KafkaSettings, given: Option<&str>) -> anyhow::Result<ReplyTopic> {
        if let Some(name) = given {
            return Ok(ReplyTopic { name: name.into(), origin: ReplyTopicOrigin::Given });
        }
        let name = format!("saga.verify-{:016x}", fastrand::u64(..));
        let admin: AdminClient<DefaultClientContext> = settings.client().create().context("no client of Kafka")?;
        let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().operation_timeout(Some(ADMIN)).request_timeout(Some(ADMIN));
        let made = admin.create_topics([&topic], &options).await;
        let made =
            made.with_context(|| format!("the broker {} creates no topic for replies", settings.bootstrap_servers))?;
        if let Some(Err((_, code))) =
            made.into_iter().next().filter(|made| !matches!(made, Err((_, RDKafkaErrorCode::TopicAlreadyExists))))
        {
            bail!(
                "the broker does not create a topic for replies ({code}): name one with --reply-topic that no engine reads"
            );
        }
        Ok(ReplyTopic { name: name.into(), origin: ReplyTopicOrigin::Made })
    }

    /// Reading of a given topic starts at its end: older records answer no command of this run.
    fn beginning(&self) -> TriggerStartPosition {
        match self.origin {
            ReplyTopicOrigin::Given => TriggerStartPosition::Latest,
            ReplyTopicOrigin::Made => TriggerStartPosition::Earliest,
        }
    }

    /// Removes the topic if this run created it.
    pub(super) async fn remove(self, settings: &KafkaSettings) {
        if self.origin == ReplyTopicOrigin::Given {
            return;
        }
        let Ok(admin) = settings.client().create::<AdminClient<DefaultClientContext>>() else { return };
        let removed = admin.delete_topics(&[&self.name], &AdminOptions::new().operation_timeout(Some(ADMIN))).await;
        debug!(topic = %self.name, ?removed, "topic of replies");
    }
}

/// The transport to one participant and back.
pub(super) struct KafkaTrialTransport {
    commands: Arc<str>,
    replies: Arc<str>,
    producer: KafkaProducer,
    /// Dropping it ends the client.
    _consumer: KafkaConsumer,
    events: mpsc::Receiver<ConsumerEvent>,
    /// Read and not yet processed: at most one batch.
    waiting: VecDeque<KafkaRecord>,
    /// Never finished, so that no offset is committed and no group remains; bounded by the limits of intake.
    held: Vec<RecordAck>,
    lapses: Vec<String>,
}

impl KafkaTrialTransport {
    pub(super) async fn start(
        settings: &KafkaSettings,
        commands: &str,
        topic: &ReplyTopic,
    ) -> anyhow::Result<KafkaTrialTransport> {
        let plan = ConsumerSettings {
            name: "verify",
            group: format!("saga.verify-{:016x}", fastrand::u64(..)),
            mode: AssignmentMode::Manual,
            topics: vec![TopicStart { topic: Arc::clone(&topic.name), from: topic.beginning(), initial_offsets: None }],
            limits: BackpressureLimits::default(),
            largest_batch: USUAL_BATCH,
            compacted: BTreeSet::new(),
        };
        let (consumer, events) = KafkaConsumer::start(settings, plan)?;
        let producer = KafkaProducer::start(settings)?;
        // Only after the assignment does reading from the end have a position.
        let mut status = consumer.status();
        let assigned = tokio::time::timeout(ADMIN, status.wait_for(|status| status.assigned > 0)).await;
        assigned.with_context(|| format!("topic {} cannot be read", topic.name))?.context("intake ended")?;
        let (commands, replies) = (Arc::from(commands), Arc::clone(&topic.name));
        let (waiting, held, lapses) = (VecDeque::new(), Vec::new(), Vec::new());
        Ok(KafkaTrialTransport { commands, replies, producer, _consumer: consumer, events, waiting, held, lapses })
    }

    /// Shortcomings of replies, each different one once.
    pub(super) fn lapses(&self) -> &[String] {
        &self.lapses
    }

    /// Sends `calls` at the same time and returns their answers.
    pub(super) async fn ask(&mut self, calls: &[ParticipantCall]) -> Vec<CommandAnswer> {
        let mut answers: Vec<Option<CommandAnswer>> = Vec::with_capacity(calls.len());
        for call in calls {
            answers.push(self.send(call).await);
        }
        let timeout = calls.iter().map(|call| call.attempt_timeout).max().unwrap_or_default();
        let last = Instant::now() + timeout * ONGOING;
        let mut until = Instant::now() + timeout;
        while answers.iter().any(Option::is_none) {
            let Ok(Some(record)) = tokio::time::timeout_at(until.min(last), self.record()).await else { break };
            if self.take(&record, calls, &mut answers) {
                until = Instant::now() + timeout;
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| silence(timeout, &self.replies))).collect()
    }

    /// The answer if the broker did not take the command; else `None`.
    async fn send(&self, call: &ParticipantCall) -> Option<CommandAnswer> {
        let CommandRequest::Kafka { command, body, .. } = call.request.as_ref() else { return None };
        let record = cloudevents::CommandRecord {
            saga: call.saga,
            id: &call.id,
            command,
            body,
            saga_name: &call.saga_name,
            attempt: call.attempt,
            reply_topic: &self.replies,
            causation: "1.0",
            traceparent: call.traceparent.as_deref(),
            at: EngineClock::Wall.now(),
        };
        match self.producer.send(&cloudevents::command(&self.commands, &record)).await {
            ProduceOutcome::Delivered { .. } => None,
            ProduceOutcome::Undelivered(undelivered) => Some(delivery::command_answer(&undelivered)),
        }
    }

    /// The topic of commands.
    pub(super) fn commands(&self) -> &str {
        &self.commands
    }

    /// The next record of the topic of replies; `None`: no more records will come.
    async fn record(&mut self) -> Option<KafkaRecord> {
        loop {
            if let Some(record) = self.waiting.pop_front() {
                return Some(record);
            }
            match self.events.recv().await? {
                ConsumerEvent::Records(records) => {
                    for DeliveredRecord { record, ack } in records {
                        self.waiting.push_back(record);
                        self.held.push(ack);
                    }
                }
                ConsumerEvent::Failed(reason) => {
                    debug!(reason, "no more replies");
                    return None;
                }
                other => debug!(event = ?other, "consumer of replies"),
            }
        }
    }

    /// Reads a reply. True: it says `ongoing`.
    fn take(&mut self, record: &KafkaRecord, calls: &[ParticipantCall], answers: &mut [Option<CommandAnswer>]) -> bool {
        let missing: BTreeSet<&str> = COPIED.into_iter().filter(|name| record.header_text(name).is_none()).collect();
        for name in missing {
            self.lapse(format!("a reply lacks the header {name}"));
        }
        let (reply, poison) = match reply::parse(record, &PayloadSchema::Unneeded) {
            ParsedReply::Reply(reply) => (Some(reply), None),
            ParsedReply::Poison { poison, unknown } => (unknown, Some(poison)),
        };
        if let Some(poison) = poison {
            self.lapse(format!("a reply cannot be read: {}", poison.message));
        }
        let Some(reply) = reply else { return false };
        if matches!(reply.answer, CommandAnswer::Ongoing { .. }) {
            return true;
        }
        if let Some(at) = unanswered(&reply, calls, answers) {
            answers[at] = Some(reply.answer);
        }
        false
    }

    fn lapse(&mut self, lapse: String) {
        if !self.lapses.contains(&lapse) {
            self.lapses.push(lapse);
        }
    }
}

/// The call that a reply answers: the attempt that it names, or the first one of its command.
fn unanswered(reply: &CommandReply, calls: &[ParticipantCall], answers: &[Option<CommandAnswer>]) -> Option<usize> {
    let meant = |call: &ParticipantCall| {
        call.id == reply.command && reply.attempt.is_none_or(|attempt| attempt == call.attempt)
    };
    calls.iter().zip(answers).position(|(call, answer)| meant(call) && answer.is_none())
}

fn silence(timeout: Duration, replies: &str) -> CommandAnswer {
    let message = format!("no reply within {timeout:?} on {replies}, the topic in the header reply_topic");
    CommandAnswer::unknown(CommandFailure::new("timeout", message).of_origin(FailureOrigin::Transport))
}
