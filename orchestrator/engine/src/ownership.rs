//! Which shards are written here: the partitions of the inbox that the group assigns, or all of them.

use super::{
    inbox_intake::InboxIntake,
    router::ShardRouter,
    shard::{self, ShardContext},
    trigger_intake::{self, IntakeExit},
};
use saga_core::id::ShardId;
use saga_kafka::{ConsumerEvent, DeliveredRecord, KafkaConsumer, consumer::BackpressureLimits};
use saga_wire::TopicPartition;
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// Records of the inbox that wait for one shard: its partition's share of what may be unfinished, twice for the time in
/// which it is read again, and a batch that comes before the pause.
const FEED: usize = 2 * BackpressureLimits::INBOX_PARTITION + 256;

/// The shard tasks of this engine.
#[derive(Debug)]
pub struct ShardOwnership {
    shard: Arc<ShardContext>,
    inbox: InboxIntake,
    router: ShardRouter,
    shards: HashMap<ShardId, ShardTaskHandle>,
}

#[derive(Debug)]
struct ShardTaskHandle {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Takes the inbox records that are read for the shard.
    feed: mpsc::Sender<DeliveredRecord>,
    feeder: JoinHandle<()>,
}

impl ShardOwnership {
    /// A shard ownership that owns no shard yet.
    pub(crate) fn new(shard: Arc<ShardContext>, inbox: InboxIntake, router: ShardRouter) -> ShardOwnership {
        ShardOwnership { shard, inbox, router, shards: HashMap::new() }
    }

    /// Starts a shard's task: its queue is open at once, its work begins when it has claimed the shard and read what is
    /// open.
    pub fn acquire(&mut self, shard: ShardId) {
        if self.shards.contains_key(&shard) {
            return;
        }
        let stop = CancellationToken::new();
        let messages = self.router.open(shard);
        let task = tokio::spawn(shard::run(Arc::clone(&self.shard), shard, messages, stop.clone()));
        let (feed, records) = mpsc::channel(FEED);
        let feeder = tokio::spawn(feed_shard(self.inbox.clone(), self.router.clone(), shard, records));
        self.shards.insert(shard, ShardTaskHandle { stop, task, feed, feeder });
        metrics::gauge!("saga_shards_owned").set(count(self.shards.len()));
    }

    /// Stops shards' tasks and waits for them: their appends are answered and their queues handed over when it returns.
    /// What was read of the inbox and is not finished is read by the next owner.
    pub async fn release(&mut self, shards: impl IntoIterator<Item = ShardId>) {
        let owners: Vec<(ShardId, ShardTaskHandle)> =
            shards.into_iter().filter_map(|shard| Some((shard, self.shards.remove(&shard)?))).collect();
        // All shards get the stop signal before the caller waits for one: they finish their appends side by side.
        for (shard, owner) in &owners {
            self.router.close(*shard);
            owner.stop.cancel();
            owner.feeder.abort();
        }
        for (shard, owner) in owners {
            if let Err(error) = owner.task.await {
                error!(shard = shard.0, %error, "a shard's task broke off");
            }
        }
        metrics::gauge!("saga_shards_owned").set(count(self.shards.len()));
    }

    /// Stops the tasks of all shards.
    pub async fn release_all(&mut self) {
        let all: Vec<ShardId> = self.shards.keys().copied().collect();
        self.release(all).await;
    }

    /// Follows the inbox until its consumer stops; then no shard is owned.
    pub async fn follow(
        mut self,
        consumer: Arc<KafkaConsumer>,
        mut events: mpsc::Receiver<ConsumerEvent>,
    ) -> IntakeExit {
        let mut holds = self.inbox.consumer_holds();
        let ended = loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => break IntakeExit::Stopped,
                    Some(ConsumerEvent::Failed(reason)) => break IntakeExit::Failed(reason),
                    Some(event) => self.take(event).await,
                },
                () = holds.changed() => holds.apply(&consumer),
            }
        };
        self.release_all().await;
        ended
    }

    /// What has no room is not finished, and so is read again.
    fn feed(&self, delivered: DeliveredRecord) {
        let shard = u16::try_from(delivered.record.partition).ok().map(ShardId);
        let Some(owner) = shard.and_then(|shard| self.shards.get(&shard)) else { return };
        if let Err(refused) = owner.feed.try_send(delivered) {
            warn!(shard = shard.map(|shard| shard.0), %refused, "a record of the inbox is read again");
        }
    }

    async fn take(&mut self, event: ConsumerEvent) {
        trigger_intake::report("shards", &event);
        match event {
            ConsumerEvent::Assigned(partitions) => shards(&partitions).for_each(|shard| self.acquire(shard)),
            ConsumerEvent::Revoked(partitions) => self.release(shards(&partitions)).await,
            ConsumerEvent::Records(records) => records.into_iter().for_each(|one| self.feed(one)),
            ConsumerEvent::FirstContact { .. }
            | ConsumerEvent::OffsetsLost { .. }
            | ConsumerEvent::Trouble(_)
            | ConsumerEvent::Recovered
            | ConsumerEvent::Failed(_) => {}
        }
    }
}

/// Brings the shard the records that are read for it, in the order of its partition. Only this task waits for the
/// shard.
async fn feed_shard(
    inbox: InboxIntake,
    router: ShardRouter,
    shard: ShardId,
    mut records: mpsc::Receiver<DeliveredRecord>,
) {
    while let Some(DeliveredRecord { record, ack }) = records.recv().await {
        let offset = record.offset;
        inbox.take_record(Arc::new(record), ack).await;
        router.returned(shard, offset);
    }
}

fn shards(partitions: &[TopicPartition]) -> impl Iterator<Item = ShardId> {
    partitions.iter().filter_map(|partition| u16::try_from(partition.partition).ok()).map(ShardId)
}

#[allow(clippy::cast_precision_loss, reason = "at most 4,096 shards")]
fn count(shards: usize) -> f64 {
    shards as f64
}
