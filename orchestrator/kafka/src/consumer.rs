//! Intake: a thread that owns the client, delivers records with their acknowledgements and commits what is finished.
//!
//! The thread never stops polling: a slow engine, a full channel or a held partition pauses partitions instead. So the
//! consumer group never takes the thread for dead. A crash loses nothing, because only offsets below the lowest
//! unfinished record are committed.

mod ack;
mod client_errors;
mod consumer_loop;
mod context;
mod continuity;
mod control;
mod fingerprint;
mod group;
mod initial_offsets;
mod inspector;
mod log_reader;
mod partitions;
mod record_loss;
mod shutdown;
mod start_positions;
mod statistics;
mod status;
mod thread;
mod watermark;

pub(crate) use context::log;
pub(crate) use fingerprint::RecordFingerprint;
pub(crate) use log_reader::{is_of_connection, list, partitions_in};
pub(crate) use start_positions::offsets_to_trim;

pub use ack::{AckCallback, AckCondition, RecordAck};
pub use group::{ForeignMember, GroupCoverage};
pub use initial_offsets::{TopicInitialOffsets, initial_offsets};
pub use record_loss::RecordLoss;
pub use status::{ConsumerProblem, ConsumerStatus, PartitionStatus, PauseReason, problems};

use super::settings::KafkaSettings;
use consumer_loop::{ConsumerClient, ConsumerLoop, EventOutbox, HandleEnd, StatusReporter};
use control::ConsumerRequest;
use inspector::{GroupMembership, LogInspector};
use log_reader::LogReader;
use saga_core::definition::TriggerStartPosition;
use saga_wire::KafkaRecord;
use saga_wire::record::TopicPartition;
use std::{
    collections::BTreeSet,
    sync::Arc,
    thread as os_thread,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// Events that wait for the engine. One event holds up to 256 records, and the limit of unfinished records holds
/// besides. Small, because a record that waits here was fetched too early.
const EVENTS: usize = 16;

/// What a consumer reads and how.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// Names the thread and its log lines and metrics: `triggers`, `shards`.
    pub name: &'static str,
    /// The consumer group, whose offsets are committed in either mode.
    pub group: String,
    /// How partitions are assigned.
    pub mode: AssignmentMode,
    /// The topics to read, and where each begins. [`KafkaConsumer::set_topics`] replaces them.
    pub topics: Vec<TopicStart>,
    /// How much may be unfinished before partitions are paused.
    pub limits: BackpressureLimits,
    /// Bytes. No topic that is read has a larger `max.message.bytes`; see [`super::topics`].
    pub largest_batch: usize,
    /// Topics with `cleanup.policy=compact`: a record that is missing in them says nothing about the log. See
    /// [`super::topics`].
    pub compacted: BTreeSet<Arc<str>>,
}

/// How partitions are assigned to this consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignmentMode {
    /// The consumer group: partitions are shared with the other instances.
    Group,
    /// All partitions of all topics are read here. No other instance may read them.
    Manual,
}

/// A topic, and where reading begins if the group has no committed offset for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStart {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Where to begin. Used only for partitions without a committed offset of the group.
    pub from: TriggerStartPosition,
    /// Where reading of the topic began the first time, if it ever began. Without it, a partition that has no committed
    /// offset is read for the first time now.
    pub initial_offsets: Option<Arc<TopicInitialOffsets>>,
}

impl TopicStart {
    /// `topic`, from its oldest record.
    #[must_use]
    pub fn earliest(topic: &str) -> TopicStart {
        TopicStart { topic: topic.into(), from: TriggerStartPosition::Earliest, initial_offsets: None }
    }
}

/// How much may be delivered and not finished before intake pauses. It resumes at half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackpressureLimits {
    /// Records over all partitions. Also the number of acknowledgements for which there is room.
    pub unfinished_records: usize,
    /// Bytes of these records: key, value and headers.
    pub unfinished_bytes: usize,
    /// The limit of each single partition.
    pub of_partition: PartitionLimit,
}

/// How much of one partition may be delivered beyond its oldest unfinished record before the partition is paused. It
/// resumes at half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLimit {
    /// Records, including those that are finished and cannot be committed yet because an older one is not.
    pub records: usize,
    /// Bytes of the records that are not finished.
    pub bytes: usize,
}

impl Default for BackpressureLimits {
    /// Some seconds of work for one engine, and no more memory than one large batch.
    fn default() -> BackpressureLimits {
        // What is finished is a few bytes a record. It is read again after a crash: some seconds of work.
        let of_partition = PartitionLimit { records: 65_536, bytes: usize::MAX };
        BackpressureLimits { unfinished_records: 4096, unfinished_bytes: 64 * 1024 * 1024, of_partition }
    }
}

impl BackpressureLimits {
    /// Of one partition of the inbox, records: enough for a busy shard until a commit is answered.
    pub const INBOX_PARTITION: usize = 512;

    /// Of the inbox: a shard that does not take its messages has no more than its share, so that it leaves room for the
    /// others.
    #[must_use]
    pub fn of_inbox(shards: u16) -> BackpressureLimits {
        let all = BackpressureLimits::default();
        let of_partition =
            PartitionLimit { records: BackpressureLimits::INBOX_PARTITION, bytes: all.unfinished_bytes / 16 };
        // Half of the shards may have their whole share. The bytes bound the memory.
        let unfinished_records = usize::from(shards) * BackpressureLimits::INBOX_PARTITION;
        BackpressureLimits {
            unfinished_records: unfinished_records.clamp(all.unfinished_records, 65_536),
            of_partition,
            ..all
        }
    }
}

/// Events from intake to the engine, in order.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// These partitions are read here from now on. The list may be empty: the group has no partition to give.
    Assigned(Vec<TopicPartition>),
    /// These partitions are not read here any more. Acknowledgements of their records are ignored.
    Revoked(Vec<TopicPartition>),
    /// The group reads this topic for the first time.
    FirstContact {
        /// Name of the topic.
        topic: Arc<str>,
        /// Offsets between the start position and the end, over the partitions that are assigned here.
        records: u64,
    },
    /// Records. Those of one partition are in the order of their offsets.
    Records(Vec<DeliveredRecord>),
    /// A position is not valid any more: the records after it were removed, or the topic has another log. What the
    /// topic holds now is read whole.
    OffsetsLost {
        /// The partition whose position is not valid.
        partition: TopicPartition,
        /// Offset of the record that would have come next.
        expected: i64,
        /// Offset of the record that comes next instead.
        resumed: i64,
        /// Why, and how many records are known to be lost.
        loss: RecordLoss,
    },
    /// Intake is hindered: the broker cannot be reached, or refuses something. Intake goes on trying. Sent once for
    /// each new reason.
    Trouble(String),
    /// The reason of the last [`ConsumerEvent::Trouble`] is over.
    Recovered,
    /// Intake cannot go on and has ended; no event follows. Never sent for an orderly stop.
    Failed(String),
}

/// A record and the duty to say when it is finished.
#[derive(Debug)]
pub struct DeliveredRecord {
    /// The record as it was read.
    pub record: KafkaRecord,
    /// To be finished when the engine has recorded what it does with the record for every definition.
    pub ack: RecordAck,
}

/// The result of [`KafkaConsumer::stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerStopOutcome {
    /// Every record was finished, the offsets are committed, and the consumer has left the group.
    Clean,
    /// The consumer has left the group, and this many records were not finished. They are delivered again.
    Unfinished(usize),
    /// The deadline passed, or the broker cannot be reached. To the group this looks like a crash, which loses nothing.
    Abandoned,
}

/// The consumer cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The client refused its settings.
    #[error("cannot create the `{name}` consumer of Kafka")]
    Create {
        /// Name of the consumer: [`ConsumerSettings::name`].
        name: &'static str,
        /// The error of the Kafka client.
        source: rdkafka::error::KafkaError,
    },
    /// The operating system refused a thread.
    #[error("cannot start the thread of the `{name}` consumer")]
    Thread {
        /// Name of the consumer: [`ConsumerSettings::name`].
        name: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// Handle of the thread. Dropping it abandons the consumer as a crash would; [`KafkaConsumer::stop`] ends it in order.
#[derive(Debug)]
pub struct KafkaConsumer {
    control: control::ControlSender,
    status: watch::Receiver<ConsumerStatus>,
}

impl KafkaConsumer {
    /// Starts the thread. Does not wait for the broker: if it cannot be reached, [`ConsumerEvent::Trouble`] says so.
    ///
    /// # Errors
    /// The client refuses the settings, or no thread can be had.
    pub fn start(
        settings: &KafkaSettings,
        plan: ConsumerSettings,
    ) -> Result<(KafkaConsumer, mpsc::Receiver<ConsumerEvent>), ConsumerError> {
        let name = plan.name;
        let create = |source| ConsumerError::Create { name, source };
        let client = ConsumerClient::open(name, settings, &plan.group, plan.largest_batch).map_err(create)?;
        let reader = LogReader::open(settings, &plan.group, plan.largest_batch).map_err(create)?;
        let membership = GroupMembership::of(settings, &plan);
        let inspector = LogInspector::start(name, reader, plan.compacted.clone(), membership)
            .map_err(|source| ConsumerError::Thread { name, source })?;
        let (events, received) = mpsc::channel(EVENTS);
        let (control, controlled) = control::channel(plan.topics.clone());
        let (report, status) = watch::channel(ConsumerStatus::default());
        let handle =
            HandleEnd { control: controlled, outbox: EventOutbox::new(events), status: StatusReporter::new(report) };
        let intake = ConsumerLoop::new(client, plan, handle, inspector);
        os_thread::Builder::new()
            .name(format!("kafka-{name}"))
            .spawn(move || thread::run(intake))
            .map_err(|source| ConsumerError::Thread { name, source })?;
        Ok((KafkaConsumer { control, status }, received))
    }

    /// Replaces the topics. Takes effect at the next poll; a partition whose topic is not in the list is given back.
    pub fn set_topics(&self, topics: Vec<TopicStart>) {
        self.control.set_topics(topics);
    }

    /// Pauses `partition` until [`KafkaConsumer::release`], whether or not it is read here now. Records that were
    /// delivered stay delivered.
    pub fn hold(&self, partition: TopicPartition) {
        self.control.hold(partition);
    }

    /// Takes a hold back; without one nothing happens.
    pub fn release(&self, partition: &TopicPartition) {
        self.control.release(partition);
    }

    /// How intake is doing; changes a few times a second at most.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ConsumerStatus> {
        self.status.clone()
    }

    /// How far each partition that is read here has been finished: every record below the offset has all its
    /// dispositions, and nothing else is known to lie there. `None`: intake has ended. Answered within a poll, unless
    /// the thread waits for the broker.
    pub async fn finished(&self) -> Option<Vec<(TopicPartition, i64)>> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.control.request(ConsumerRequest::Finished(answer)).await;
        answered.await.ok()
    }

    /// Stops intake at once, waits for the records that are being worked on, commits and leaves the group: all within
    /// `deadline`. The events must still be received meanwhile. The channel closes at the end.
    pub async fn stop(&self, deadline: Duration) -> ConsumerStopOutcome {
        let (done, answer) = tokio::sync::oneshot::channel();
        let stop = ConsumerRequest::Stop { by: Instant::now() + deadline, done };
        let stopped = async {
            self.control.request(stop).await;
            answer.await
        };
        match tokio::time::timeout(deadline, stopped).await {
            Ok(Ok(stopped)) => stopped,
            Ok(Err(_)) | Err(_) => ConsumerStopOutcome::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests;
