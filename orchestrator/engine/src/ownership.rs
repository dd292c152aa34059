//! Which shards are written here: the partitions of the inbox that the group assigns, or all of them.

use super::{
    Parts,
    dead_letter::DeadLetter,
    intake::{self, IntakeExit},
    message::{self, MessageContent, MessageReceipt, ShardMessage},
    partition_holds::ConsumerHolds,
    router::MessageSource,
    shard,
};
use saga_core::{
    id::ShardId,
    input::{OperatorAct, SagaInput},
    state::SagaPlan,
};
use saga_kafka::{ConsumerEvent, DeliveredRecord, KafkaConsumer, RecordAck, consumer::BackpressureLimits};
use saga_wire::{
    KafkaRecord, TopicPartition,
    inbox::{self, CallOutcome, InboxEnvelope},
    poison::PoisonCode,
    reply::CommandReply,
    trigger::{self, TriggerOutcome},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// Records of the inbox that wait for one shard: its partition's share of what may be unfinished, twice for the time in which it is read again,
/// and a batch that comes before the pause.
const FEED: usize = 2 * BackpressureLimits::INBOX_PARTITION + 256;

/// Between two tries to read a definition while the store is away.
const ASK_STORE_AGAIN: Duration = Duration::from_millis(500);

/// The shard tasks of this engine.
#[derive(Debug)]
pub struct ShardOwnership {
    parts: Arc<Parts>,
    shards: HashMap<ShardId, ShardTaskHandle>,
}

#[derive(Debug)]
struct ShardTaskHandle {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// What is read for it from the inbox.
    feed: mpsc::Sender<DeliveredRecord>,
    feeder: JoinHandle<()>,
}

impl ShardOwnership {
    /// Of no shard yet.
    #[must_use]
    pub fn new(parts: Arc<Parts>) -> ShardOwnership {
        ShardOwnership { parts, shards: HashMap::new() }
    }

    /// Starts a shard's task: its queue is open at once, its work begins when it has claimed the shard and read what is open.
    pub fn acquire(&mut self, shard: ShardId) {
        if self.shards.contains_key(&shard) {
            return;
        }
        let stop = CancellationToken::new();
        let messages = self.parts.router.open(shard);
        let task = tokio::spawn(shard::run(Arc::clone(&self.parts), shard, messages, stop.clone()));
        let (feed, records) = mpsc::channel(FEED);
        let feeder = tokio::spawn(feed_shard(Arc::clone(&self.parts), shard, records));
        self.shards.insert(shard, ShardTaskHandle { stop, task, feed, feeder });
        metrics::gauge!("saga_shards_owned").set(count(self.shards.len()));
    }

    /// Stops shards' tasks and waits for them: their appends are answered and their queues handed over when it returns. What was read of the
    /// inbox and is not finished is read by the next owner.
    pub async fn release(&mut self, shards: impl IntoIterator<Item = ShardId>) {
        let owners: Vec<(ShardId, ShardTaskHandle)> =
            shards.into_iter().filter_map(|shard| Some((shard, self.shards.remove(&shard)?))).collect();
        for (shard, owner) in &owners {
            self.parts.router.close(*shard);
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

    /// Stops all of them.
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
        let mut holds = ConsumerHolds::new(&self.parts.holds);
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
        intake::report("shards", &event);
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

/// Brings the shard what is read for it, in the order of its partition. It waits for its shard, and nobody else does.
async fn feed_shard(parts: Arc<Parts>, shard: ShardId, mut records: mpsc::Receiver<DeliveredRecord>) {
    while let Some(DeliveredRecord { record, ack }) = records.recv().await {
        let offset = record.offset;
        take_record(&parts, Arc::new(record), ack).await;
        parts.router.returned(shard, offset);
    }
}

fn shards(partitions: &[TopicPartition]) -> impl Iterator<Item = ShardId> {
    partitions.iter().filter_map(|partition| u16::try_from(partition.partition).ok()).map(ShardId)
}

#[allow(clippy::cast_precision_loss, reason = "at most 4,096 shards")]
fn count(shards: usize) -> f64 {
    shards as f64
}

/// A record of the inbox: what another engine read or learnt for a shard of ours.
async fn take_record(parts: &Arc<Parts>, record: Arc<KafkaRecord>, ack: RecordAck) {
    let receipt = MessageReceipt::Offset(ack);
    match inbox::receive(&record) {
        Ok(InboxEnvelope::Trigger { record: original, definition, hash, policies }) => {
            let pinned = PinnedDefinition { name: &definition, hash: &hash, policies: policies.as_deref() };
            take_trigger(parts, Arc::new(original), pinned, receipt).await;
        }
        Ok(InboxEnvelope::Reply(original)) => {
            intake::take_reply(parts, Arc::new(original), receipt, MessageSource::Inbox).await;
        }
        Ok(InboxEnvelope::Outcome(CallOutcome { command, .. })) if !parts.router.has(command.saga.shard()) => {
            parts.letters.send(record, receipt, DeadLetter::of_foreign_saga());
        }
        Ok(InboxEnvelope::Operator { saga, .. }) if !parts.router.has(saga.shard()) => {
            parts.letters.send(record, receipt, DeadLetter::of_foreign_saga());
        }
        Ok(InboxEnvelope::Outcome(CallOutcome { command, attempt, answer })) => {
            let shard = command.saga.shard();
            let body = MessageContent::Reply(Box::new(CommandReply { command, attempt, answer }));
            parts.router.route(shard, ShardMessage { body, record: None, receipt }, MessageSource::Inbox).await;
        }
        Ok(InboxEnvelope::Operator { saga, act, definition }) => {
            let input = match input_of(parts, act, definition).await {
                Ok(input) => input,
                Err(reason) => {
                    let letter = DeadLetter::new(PoisonCode::UnknownDefinition, reason);
                    return parts.letters.send(record, receipt, letter);
                }
            };
            let body = MessageContent::Input { saga, input };
            parts.router.route(saga.shard(), ShardMessage { body, record: None, receipt }, MessageSource::Inbox).await;
        }
        Err(poison) => parts.letters.send(record, receipt, poison.into()),
    }
}

/// Whoever forwarded a retry by another definition had stored its text before.
async fn input_of(parts: &Parts, act: OperatorAct, definition: Option<(String, String)>) -> Result<SagaInput, String> {
    let Some((hash, policies)) = &definition else { return Ok(SagaInput::Operator(act)) };
    let plan = plan_of(parts, PinnedDefinition { name: "", hash, policies: Some(policies) }).await?;
    Ok(SagaInput::Mended { act, plan })
}

/// What whoever judged a trigger pinned the saga to.
#[derive(Clone, Copy, Debug)]
struct PinnedDefinition<'a> {
    name: &'a str,
    hash: &'a str,
    /// `None`: a build that did not say.
    policies: Option<&'a str>,
}

/// The forwarded trigger names the definition that wants it, by hash; that may be a version which this engine has only in the store.
async fn take_trigger(
    parts: &Arc<Parts>,
    original: Arc<KafkaRecord>,
    pinned: PinnedDefinition<'_>,
    receipt: MessageReceipt,
) {
    let definition = pinned.name;
    let plan = match plan_of(parts, pinned).await {
        Ok(plan) => plan,
        Err(reason) => {
            let letter = DeadLetter::new(PoisonCode::UnknownDefinition, reason).of(definition);
            return parts.letters.send(original, receipt, letter);
        }
    };
    match trigger::judge_for(&original, &plan.definition) {
        TriggerOutcome::Start(start) => {
            intake::begin(parts, &plan, *start, &original, (receipt, MessageSource::Inbox)).await;
        }
        TriggerOutcome::Poison(poison) => {
            parts.letters.send(original, receipt, DeadLetter::from(poison).of(definition));
        }
        TriggerOutcome::Unwanted => receipt.settle(message::MessageOutcome::Ignored("unwanted".into())),
    }
}

/// The plan of exactly this text: another text of the same name may want other records. Whoever forwarded the trigger had stored the text
/// before; a store that is away is waited for.
async fn plan_of(parts: &Parts, pinned: PinnedDefinition<'_>) -> Result<Arc<SagaPlan>, String> {
    let PinnedDefinition { name, hash, policies } = pinned;
    let live = parts.current.keep();
    let is_it = |plan: &&Arc<SagaPlan>| {
        plan.definition.hash == hash && policies.is_none_or(|policies| policies == plan.policies_hash)
    };
    if let Some(plan) = live.catalog.named(name).filter(is_it) {
        return Ok(Arc::clone(plan));
    }
    loop {
        let plan = match policies {
            Some(policies) => parts.plans.exactly(parts.store.as_ref(), hash, policies).await,
            None => parts.plans.stored(parts.store.as_ref(), hash, &live.participants).await,
        };
        match plan {
            Ok(plan) => return Ok(plan),
            Err(error) if error.is_transient() => {
                parts.store_health.missed("read the definition of a forwarded trigger", &error);
                tokio::time::sleep(ASK_STORE_AGAIN).await;
            }
            Err(error) => return Err(format!("definition `{name}`: {error}")),
        }
    }
}
