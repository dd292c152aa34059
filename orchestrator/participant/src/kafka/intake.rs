//! Reads records, hands them to the lane of their saga, and commits behind the lanes.

use super::{
    ListenerError, ListenerSettings, ListenerStats, PoisonCallback, PoisonRecord,
    lane::{CommandLane, LaneOutcome, QueuedCommand, skip},
    offsets::{CommandOffset, CommitTracker},
    record,
};
use crate::participant::CommandService;
use rdkafka::{
    ClientContext, Message,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer},
    error::KafkaError,
    message::OwnedMessage,
    producer::{FutureProducer, Producer as _},
};
use saga_brokers::{BootstrapRefresher, BrokerCheckResult};
use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{debug, warn};

/// Commands that wait in each lane. Enough that a lane need not wait for the topic, and few, because a full lane holds
/// up the others.
const WAITING: usize = 8;

/// How often the brokers of the clients are checked. A check sends nothing.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Counts revocations, so that an offset of an earlier assignment is recognised.
#[derive(Debug, Default)]
struct AssignmentCounter(AtomicU64);

impl ClientContext for AssignmentCounter {}

impl ConsumerContext for AssignmentCounter {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(super) struct CommandIntake {
    consumer: Arc<StreamConsumer<AssignmentCounter>>,
    /// One task that checks the brokers. A task of its own, because the intake may wait for a lane and the lane for a
    /// broker.
    looking: JoinSet<()>,
    lanes: Vec<mpsc::Sender<QueuedCommand>>,
    at_work: JoinSet<()>,
    finished: mpsc::Receiver<(CommandOffset, LaneOutcome)>,
    offsets: CommitTracker,
    on_poison: PoisonCallback,
    served: ListenerStats,
}

impl CommandIntake {
    pub(super) fn start<A: CommandService>(
        settings: &ListenerSettings,
        answering: &Arc<A>,
        on_poison: &PoisonCallback,
    ) -> Result<CommandIntake, ListenerError> {
        let consumer: StreamConsumer<AssignmentCounter> =
            settings.consumer().create_with_context(AssignmentCounter::default()).map_err(ListenerError::Client)?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(ListenerError::Client)?;
        let producer: FutureProducer = settings.producer().create().map_err(ListenerError::Client)?;
        let count = settings.at_once.max(1);
        // Room for all that can be at work, so that no lane ever waits for the intake, which may be waiting for a lane.
        let (tell, finished) = mpsc::channel(count * (WAITING + 1) + 1);
        let mut at_work = JoinSet::new();
        let lane = |_| {
            let (works, to_do) = mpsc::channel(WAITING);
            let lane = CommandLane {
                answering: Arc::clone(answering),
                producer: producer.clone(),
                on_poison: Arc::clone(on_poison),
                finished: tell.clone(),
            };
            at_work.spawn(lane.run(to_do));
            works
        };
        let lanes = (0..count).map(lane).collect();
        let on_poison = Arc::clone(on_poison);
        let (offsets, served) = (CommitTracker::default(), ListenerStats::default());
        let consumer = Arc::new(consumer);
        let mut looking = JoinSet::new();
        looking.spawn(check_brokers(settings.bootstrap_servers.clone(), Arc::clone(&consumer), producer));
        Ok(CommandIntake { consumer, looking, lanes, at_work, finished, offsets, on_poison, served })
    }

    /// Takes records until `stop`.
    pub(super) async fn take_until(&mut self, stop: impl Future<Output = ()>) -> Result<(), ListenerError> {
        tokio::pin!(stop);
        let consumer = Arc::clone(&self.consumer);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                // No lane ends before its queue is closed, unless it panics.
                Some(_) = self.at_work.join_next() => return Err(ListenerError::Panicked),
                Some((place, end)) = self.finished.recv() => self.finish(&place, end),
                message = consumer.recv() => match message {
                    Ok(message) => {
                        let Some((lane, work)) = self.read(message.detach()) else { continue };
                        tokio::select! {
                            () = &mut stop => return Ok(()),
                            sent = lane.send(work) => sent.map_err(|_| ListenerError::Panicked)?,
                        }
                    }
                    Err(KafkaError::MessageConsumptionFatal(code)) => {
                        return Err(ListenerError::Fatal(KafkaError::MessageConsumptionFatal(code)));
                    }
                    Err(error) => warn!(%error, "reading commands"),
                },
            }
        }
    }

    /// Lets the lanes end, commits what they finished and leaves the group.
    pub(super) async fn end(mut self, grace: Duration) -> ListenerStats {
        self.lanes.clear();
        let ending = async {
            while let Some(ended) = self.at_work.join_next().await {
                if let Err(error) = ended {
                    warn!(%error, "a lane of commands");
                }
            }
        };
        if tokio::time::timeout(grace, ending).await.is_err() {
            warn!(?grace, "commands are still at work at the end; they come again");
            self.at_work.abort_all();
        }
        while let Ok((place, end)) = self.finished.try_recv() {
            self.finish(&place, end);
        }
        self.looking.shutdown().await;
        let consumer = self.consumer;
        // Leaving the group waits for the broker.
        let left = tokio::task::spawn_blocking(move || {
            if let Err(error) = consumer.commit_consumer_state(CommitMode::Sync) {
                debug!(%error, "the last offsets were not committed; their commands come again");
            }
            drop(consumer);
        });
        drop(left.await);
        self.served
    }

    /// The lane of a record's saga. `None`: the record was skipped.
    fn read(&mut self, record: OwnedMessage) -> Option<(mpsc::Sender<QueuedCommand>, QueuedCommand)> {
        let place = CommandOffset {
            topic: record.topic().to_owned(),
            partition: record.partition(),
            offset: record.offset(),
            assignment: self.consumer.context().0.load(Ordering::Relaxed),
        };
        self.offsets.begin(&place);
        match record::command(&record) {
            Ok((command, reply_topic)) => {
                let lane = self.lane(&command.id.saga);
                Some((lane, QueuedCommand { command, reply_topic, place, record }))
            }
            Err(reason) => {
                skip(&self.on_poison, &PoisonRecord { reason, record });
                self.finish(&place, LaneOutcome::Poison);
                None
            }
        }
    }

    fn lane(&self, saga: &str) -> mpsc::Sender<QueuedCommand> {
        let mut hasher = DefaultHasher::new();
        saga.hash(&mut hasher);
        let index = hasher.finish() % (self.lanes.len() as u64);
        self.lanes[usize::try_from(index).unwrap_or_default()].clone()
    }

    fn finish(&mut self, place: &CommandOffset, end: LaneOutcome) {
        match end {
            LaneOutcome::Replied => self.served.replied += 1,
            LaneOutcome::Unsettled => self.served.unsettled += 1,
            LaneOutcome::Poison => self.served.poison += 1,
        }
        let Some(next) = self.offsets.finish(place) else { return };
        if let Err(error) = self.consumer.store_offset(&place.topic, place.partition, next - 1) {
            debug!(%error, topic = place.topic, "the partition was taken away; its commands come again elsewhere");
        }
    }
}

/// A client that has lost every broker never finds one again by itself, so it gets the bootstrap servers again.
async fn check_brokers(servers: String, consumer: Arc<StreamConsumer<AssignmentCounter>>, producer: FutureProducer) {
    let (mut reading, mut writing) = (BootstrapRefresher::new(&servers), BootstrapRefresher::new(&servers));
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        for found in [reading.check(consumer.client()), writing.check(producer.client())] {
            match found {
                BrokerCheckResult::Healthy | BrokerCheckResult::StillLost => {}
                BrokerCheckResult::Lost => {
                    warn!("a client has lost every broker and gets the bootstrap servers again");
                }
            }
        }
    }
}
