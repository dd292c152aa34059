//! Brings every message to the shard that owns its saga: here, or through the inbox to wherever that is.

use super::{
    message::{Body, Disposition, Message},
    sending,
};
use crate::{
    guarded::Topics,
    kafka::{
        Producer,
        envelope::{self, CallOutcome, Inbound, OperatorAct},
    },
};
use saga_core::{
    id::{SagaId, Shard},
    input::Input,
};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::mpsc;
use tracing::{error, warn};

/// Messages that may wait for one shard; beyond it whoever brings them waits.
pub(super) const SHARD_QUEUE: usize = 512;

/// Knows which shards are owned here. A cheap handle.
#[derive(Clone, Debug)]
pub struct Router {
    slots: Arc<Slots>,
    inbox: Inbox,
}

/// Where messages go whose shard is not owned here.
#[derive(Clone, Debug)]
pub enum Inbox {
    /// To the shard's partition of this topic.
    Topic {
        /// Name of the inbox topic.
        topic: Arc<str>,
        /// Takes them there.
        producer: Producer,
        /// Whether it takes records.
        topics: Arc<Topics>,
    },
    /// There is no other owner: all shards are owned here for as long as the process lives.
    Nowhere,
}

/// Read for every message and written when a shard comes or goes: a lock held for a clone of a sender, never across an await.
type Slots = RwLock<Vec<Option<mpsc::Sender<Message>>>>;

impl Router {
    /// A router that owns no shard yet.
    #[must_use]
    pub fn new(shards: u16, inbox: Inbox) -> Router {
        Router { slots: Arc::new(RwLock::new(vec![None; usize::from(shards)])), inbox }
    }

    /// How many shards the installation has.
    #[must_use]
    pub fn shards(&self) -> u16 {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        u16::try_from(slots.len()).expect("made from a u16")
    }

    /// Whether the installation has the shard. An id that somebody else made can name one that it has not.
    #[must_use]
    pub fn has(&self, shard: Shard) -> bool {
        shard.0 < self.shards()
    }

    /// Brings `message` to the owner of its shard. Returns when that has it: its queue, or the inbox by delivery report. Waits while the
    /// owner's queue is full or the inbox cannot be written; never loses the message.
    pub async fn route(&self, shard: Shard, message: Message) {
        let Some(queue) = self.owner(shard) else {
            self.forward(shard, message).await;
            return;
        };
        if let Err(mpsc::error::SendError(message)) = queue.send(message).await {
            self.forward(shard, message).await;
        }
    }

    /// Brings an outcome to the saga's shard.
    pub async fn route_saga(&self, saga: SagaId, message: Message) {
        self.route(saga.shard(), message).await;
    }

    /// Whether the shard is owned here.
    #[must_use]
    pub fn owns(&self, shard: Shard) -> bool {
        self.owner(shard).is_some()
    }

    /// How many shards are owned here.
    #[must_use]
    pub fn owned(&self) -> usize {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().filter(|slot| slot.is_some()).count()
    }

    /// The shards that are owned here.
    pub(super) fn owned_shards(&self) -> impl Iterator<Item = Shard> + use<> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let owned: Vec<Shard> =
            (0u16..).zip(slots.iter()).filter(|(_, slot)| slot.is_some()).map(|(shard, _)| Shard(shard)).collect();
        owned.into_iter()
    }

    /// Puts `message` behind all that is in the shard's queue here; where the queue is full, or elsewhere, it is dropped.
    pub(super) fn try_tell(&self, shard: Shard, message: Message) {
        if let Some(queue) = self.owner(shard) {
            // A shard that has more to do than its queue holds is told the next time.
            let _ = queue.try_send(message);
        }
    }

    /// Opens the shard's queue here; messages wait in it until the shard's task has claimed it.
    pub(super) fn open(&self, shard: Shard) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(SHARD_QUEUE);
        self.put(shard, Some(sender));
        receiver
    }

    /// Messages for the shard go to the inbox from now on.
    pub(super) fn close(&self, shard: Shard) {
        self.put(shard, None);
    }

    fn put(&self, shard: Shard, sender: Option<mpsc::Sender<Message>>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(usize::from(shard.0)) {
            *slot = sender;
        }
    }

    fn owner(&self, shard: Shard) -> Option<mpsc::Sender<Message>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(usize::from(shard.0)).cloned().flatten()
    }

    /// Hands the message to the inbox, with the bytes it came as. Timers and deliveries are not handed on: the next owner derives both
    /// from the journal.
    pub(super) async fn forward(&self, shard: Shard, message: Message) {
        let Inbox::Topic { topic, producer, topics } = &self.inbox else {
            warn!(
                shard = shard.0,
                "a message came for a shard that has stopped; the journal brings its cause back at the next start"
            );
            return;
        };
        let Some(inbound) = inbound(&message) else {
            message.receipt.settle(Disposition::Forwarded);
            return;
        };
        let outgoing = envelope::forward(topic, shard, &inbound);
        if let Err(undelivered) = sending::until_taken(producer, topics, &outgoing).await {
            return never_forwarded(shard, message, &undelivered.to_string());
        }
        metrics::counter!("saga_forwarded_total").increment(1);
        message.receipt.settle(Disposition::Forwarded);
    }
}

/// The inbox will never take it. Of a record the offset is not finished, so that it is read again, by then perhaps where its shard is owned;
/// the outcome of a call is had again by asking again, which the next owner does.
fn never_forwarded(shard: Shard, message: Message, reason: &str) {
    error!(
        shard = shard.0,
        reason,
        "a message is too large for the inbox: its cause is read or asked again; raise max.message.bytes of the inbox"
    );
    metrics::counter!("saga_not_forwarded_total").increment(1);
    drop(message);
}

/// `None`: the next owner has it from the journal.
fn inbound(message: &Message) -> Option<Inbound> {
    match (&message.body, message.record.as_deref()) {
        (Body::Start { plan, .. }, Some(record)) => Some(Inbound::Trigger {
            record: record.clone(),
            definition: plan.definition.name.clone(),
            hash: plan.definition.hash.clone(),
            policies: Some(plan.policies_hash.clone()),
        }),
        (Body::Start { .. }, None) | (Body::ReadUntil(_), _) => None,
        (Body::Reply(_), Some(record)) => Some(Inbound::Reply(record.clone())),
        (Body::Reply(reply), None) => Some(Inbound::Outcome(CallOutcome {
            command: reply.command.clone(),
            attempt: reply.attempt,
            answer: reply.answer.clone(),
        })),
        (Body::Input { saga, input: Input::Operator { id, who, reason, action } }, _) => {
            Some(Inbound::Operator(OperatorAct {
                saga: *saga,
                id: id.clone(),
                who: who.clone(),
                reason: reason.clone(),
                action: *action,
            }))
        }
        (
            Body::Input {
                input: Input::TimeReached | Input::Released { .. } | Input::Delivered { .. } | Input::Answered { .. },
                ..
            },
            _,
        ) => None,
    }
}
