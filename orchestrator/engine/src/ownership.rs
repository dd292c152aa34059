//! Which shards are written here: the partitions of the inbox that the group assigns, or all of them.

use super::{
    Parts,
    dead_letter::{self, DeadLetter},
    intake::{self, Ended, Holds},
    message::{self, Body, Message, Receipt},
    router::Source,
    shard,
};
use saga_core::{
    id::Shard,
    input::{Input, OperatorAct},
    state::Plan,
};
use saga_kafka::{Ack, Consumer, ConsumerEvent, Delivered, consumer::Limits};
use saga_wire::{
    Record, TopicPartition,
    inbox::{self, CallOutcome, Inbound},
    poison::PoisonCode,
    reply::Reply,
    trigger::{self, Disposition},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// Records of the inbox that wait for one shard: its partition's share of what may be unfinished, twice for the time in which it is read again,
/// and a batch that comes before the pause.
const FEED: usize = 2 * Limits::INBOX_PARTITION + 256;

/// Between two tries to read a definition while the store is away.
const ASK_STORE_AGAIN: Duration = Duration::from_millis(500);

/// The shard tasks of this engine.
#[derive(Debug)]
pub struct Ownership {
    parts: Arc<Parts>,
    shards: HashMap<Shard, Owner>,
}

#[derive(Debug)]
struct Owner {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// What is read for it from the inbox.
    feed: mpsc::Sender<Delivered>,
    feeder: JoinHandle<()>,
}

impl Ownership {
    /// Of no shard yet.
    #[must_use]
    pub fn new(parts: Arc<Parts>) -> Ownership {
        Ownership { parts, shards: HashMap::new() }
    }

    /// Starts a shard's task: its queue is open at once, its work begins when it has claimed the shard and read what is open.
    pub fn acquire(&mut self, shard: Shard) {
        if self.shards.contains_key(&shard) {
            return;
        }
        let stop = CancellationToken::new();
        let messages = self.parts.router.open(shard);
        let task = tokio::spawn(shard::run(Arc::clone(&self.parts), shard, messages, stop.clone()));
        let (feed, records) = mpsc::channel(FEED);
        let feeder = tokio::spawn(feed_shard(Arc::clone(&self.parts), shard, records));
        self.shards.insert(shard, Owner { stop, task, feed, feeder });
        metrics::gauge!("saga_shards_owned").set(count(self.shards.len()));
    }

    /// Stops shards' tasks and waits for them: their appends are answered and their queues handed over when it returns. What was read of the
    /// inbox and is not finished is read by the next owner.
    pub async fn release(&mut self, shards: impl IntoIterator<Item = Shard>) {
        let owners: Vec<(Shard, Owner)> =
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
        let all: Vec<Shard> = self.shards.keys().copied().collect();
        self.release(all).await;
    }

    /// Follows the inbox until its consumer stops; then no shard is owned.
    pub async fn follow(mut self, consumer: Arc<Consumer>, mut events: mpsc::Receiver<ConsumerEvent>) -> Ended {
        let mut holds = Holds::new(&self.parts);
        let ended = loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => break Ended::Stopped,
                    Some(ConsumerEvent::Failed(reason)) => break Ended::Failed(reason),
                    Some(event) => self.take(event).await,
                },
                () = holds.changed() => holds.obey(&consumer),
            }
        };
        self.release_all().await;
        ended
    }

    /// What has no room is not finished, and so is read again.
    fn feed(&self, delivered: Delivered) {
        let shard = u16::try_from(delivered.record.partition).ok().map(Shard);
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
async fn feed_shard(parts: Arc<Parts>, shard: Shard, mut records: mpsc::Receiver<Delivered>) {
    while let Some(Delivered { record, ack }) = records.recv().await {
        let offset = record.offset;
        take_record(&parts, Arc::new(record), ack).await;
        parts.router.returned(shard, offset);
    }
}

fn shards(partitions: &[TopicPartition]) -> impl Iterator<Item = Shard> {
    partitions.iter().filter_map(|partition| u16::try_from(partition.partition).ok()).map(Shard)
}

#[allow(clippy::cast_precision_loss, reason = "at most 4,096 shards")]
fn count(shards: usize) -> f64 {
    shards as f64
}

/// A record of the inbox: what another engine read or learnt for a shard of ours.
async fn take_record(parts: &Arc<Parts>, record: Arc<Record>, ack: Ack) {
    let receipt = Receipt::Offset(ack);
    match inbox::receive(&record) {
        Ok(Inbound::Trigger { record: original, definition, hash, policies }) => {
            let pinned = Pinned { name: &definition, hash: &hash, policies: policies.as_deref() };
            take_trigger(parts, Arc::new(original), pinned, receipt).await;
        }
        Ok(Inbound::Reply(original)) => intake::take_reply(parts, Arc::new(original), receipt, Source::Inbox).await,
        Ok(Inbound::Outcome(CallOutcome { command, .. })) if !parts.router.has(command.saga.shard()) => {
            dead_letter::send(parts, record, receipt, DeadLetter::of_foreign_saga());
        }
        Ok(Inbound::Operator { saga, .. }) if !parts.router.has(saga.shard()) => {
            dead_letter::send(parts, record, receipt, DeadLetter::of_foreign_saga());
        }
        Ok(Inbound::Outcome(CallOutcome { command, attempt, answer })) => {
            let shard = command.saga.shard();
            let body = Body::Reply(Box::new(Reply { command, attempt, answer }));
            parts.router.route(shard, Message { body, record: None, receipt }, Source::Inbox).await;
        }
        Ok(Inbound::Operator { saga, act, definition }) => {
            let input = match input_of(parts, act, definition).await {
                Ok(input) => input,
                Err(reason) => {
                    let letter = DeadLetter::new(PoisonCode::UnknownDefinition, reason);
                    return dead_letter::send(parts, record, receipt, letter);
                }
            };
            let body = Body::Input { saga, input };
            parts.router.route(saga.shard(), Message { body, record: None, receipt }, Source::Inbox).await;
        }
        Err(poison) => dead_letter::send(parts, record, receipt, poison.into()),
    }
}

/// Whoever forwarded a retry by another definition had stored its text before.
async fn input_of(parts: &Parts, act: OperatorAct, definition: Option<(String, String)>) -> Result<Input, String> {
    let Some((hash, policies)) = &definition else { return Ok(Input::Operator(act)) };
    let plan = plan_of(parts, Pinned { name: "", hash, policies: Some(policies) }).await?;
    Ok(Input::Mended { act, plan })
}

/// What whoever judged a trigger pinned the saga to.
#[derive(Clone, Copy, Debug)]
struct Pinned<'a> {
    name: &'a str,
    hash: &'a str,
    /// `None`: a build that did not say.
    policies: Option<&'a str>,
}

/// The forwarded trigger names the definition that wants it, by hash; that may be a version which this engine has only in the store.
async fn take_trigger(parts: &Arc<Parts>, original: Arc<Record>, pinned: Pinned<'_>, receipt: Receipt) {
    let definition = pinned.name;
    let plan = match plan_of(parts, pinned).await {
        Ok(plan) => plan,
        Err(reason) => {
            let letter = DeadLetter::new(PoisonCode::UnknownDefinition, reason).of(definition);
            return dead_letter::send(parts, original, receipt, letter);
        }
    };
    match trigger::judge_for(&original, &plan.definition) {
        Disposition::Start(start) => intake::begin(parts, &plan, *start, &original, (receipt, Source::Inbox)).await,
        Disposition::Poison(poison) => {
            dead_letter::send(parts, original, receipt, DeadLetter::from(poison).of(definition));
        }
        Disposition::Unwanted => receipt.settle(message::Disposition::Ignored("unwanted".into())),
    }
}

/// The plan of exactly this text: another text of the same name may want other records. Whoever forwarded the trigger had stored the text
/// before; a store that is away is waited for.
async fn plan_of(parts: &Parts, pinned: Pinned<'_>) -> Result<Arc<Plan>, String> {
    let Pinned { name, hash, policies } = pinned;
    let live = parts.current.keep();
    let is_it = |plan: &&Arc<Plan>| {
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
