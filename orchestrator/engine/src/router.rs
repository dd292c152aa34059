//! Brings every message to the shard that owns its saga: in this engine, or through the inbox to another engine.
//!
//! A sender of messages to many shards waits for none of them: a message that a shard does not take in time goes to the
//! inbox too, and comes back when the shard takes it. If most shards are as slow, the store is slow, and the sender
//! waits.

mod inbox;
mod slot;
#[cfg(test)]
pub(super) mod tests;

pub(crate) use inbox::InboxForwarder;
pub use slot::LagReason;

use super::message::ShardMessage;
use futures_util::future::join_all;
use saga_core::id::ShardId;
use slot::{MessageRoute, OfferResult, PATIENCE, ShardSlot};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    sync::{OwnedMutexGuard, mpsc},
    time::Instant,
};
use tracing::{info, warn};

/// Messages that may wait for one shard. Beyond this number the sender waits, or the messages go to the inbox.
const SHARD_QUEUE: usize = 512;

/// Between two looks whether a full queue is one shard's trouble.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Between two looks whether a shard that is not claimed is the only one.
const LOOK_AGAIN_AWAY: Duration = Duration::from_secs(1);

/// And for each shard, so that an engine with thousands of them, of which none is claimed, is not kept busy by looking.
const LOOK_AGAIN_PER_SHARD: Duration = Duration::from_millis(10);

/// Knows which shards are owned here. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct ShardRouter {
    slots: Arc<ShardRoutes>,
    inbox: InboxForwarder,
}

/// Read for every message and written when a shard comes or goes: a lock held for a clone of a handle, never across an
/// await.
type ShardRoutes = RwLock<Vec<Option<Arc<ShardSlot>>>>;

/// The sender of a message, which decides what the router does when the shard does not take the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageSource {
    /// A sender that has messages for other shards too, or has no bound of its own: topics, operators. The message goes
    /// to the inbox.
    Outside,
    /// The inbox. The task that feeds the shard waits.
    Inbox,
    /// A task of its own for one call of one saga. The task waits.
    Call,
}

/// A shard that does not take its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaggingShard {
    /// The shard, which this engine owns.
    pub shard: ShardId,
    /// The reason, as its queue shows it.
    pub why: LagReason,
    /// When that began, by this process's monotonic clock.
    pub since: Instant,
}

impl ShardRouter {
    /// A router that owns no shard yet.
    #[must_use]
    pub(crate) fn new(shards: u16, inbox: InboxForwarder) -> ShardRouter {
        ShardRouter { slots: Arc::new(RwLock::new(vec![None; usize::from(shards)])), inbox }
    }

    /// How many shards the installation has.
    #[must_use]
    pub(crate) fn shards(&self) -> u16 {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        u16::try_from(slots.len()).expect("made from a u16")
    }

    /// Whether the installation has the shard. An id from outside the installation can name a shard that it does not
    /// have.
    #[must_use]
    pub(crate) fn has(&self, shard: ShardId) -> bool {
        shard.0 < self.shards()
    }

    /// Whether this engine does what one engine does for the installation: it owns the first shard, or is about to, as
    /// its task may still claim it.
    #[must_use]
    pub(crate) fn owns_first_shard(&self) -> bool {
        self.owner(ShardId(0)).is_some()
    }

    /// Brings `message` to the owner of its shard. Returns when that has it: its queue, or the inbox by delivery
    /// report. Never loses the message. How long it may wait for the shard is `source`'s matter.
    pub(crate) async fn route(&self, shard: ShardId, message: ShardMessage, source: MessageSource) {
        let Some(slot) = self.owner(shard) else {
            self.forward(shard, message).await;
            return;
        };
        match source {
            MessageSource::Outside if self.inbox.carries(&message) => self.bring(shard, &slot, message).await,
            MessageSource::Outside | MessageSource::Call => self.wait(shard, &slot, message).await,
            MessageSource::Inbox => {
                slot.wait_serving().await;
                self.wait(shard, &slot, message).await;
            }
        }
    }

    /// How many shards this engine owns.
    #[must_use]
    pub(crate) fn owned(&self) -> usize {
        self.all().len()
    }

    /// Those of them that do not take their messages.
    #[must_use]
    pub(crate) fn lagging(&self) -> Vec<LaggingShard> {
        let behind = |(shard, slot): (ShardId, Arc<ShardSlot>)| {
            let (why, since) = slot.trouble()?;
            Some(LaggingShard { shard, why, since })
        };
        self.all().into_iter().filter_map(behind).collect()
    }

    /// The shards that this engine owns.
    pub(crate) fn owned_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        self.all().into_iter().map(|(shard, _)| shard)
    }

    /// Puts `message` behind all that is in the shard's queue here; where the queue is full, or elsewhere, it is
    /// dropped.
    pub(super) fn try_send_here(&self, shard: ShardId, message: ShardMessage) {
        if let Some(slot) = self.owner(shard) {
            // A shard with a full queue is notified the next time.
            let _ = slot.queue().try_send(message);
        }
    }

    /// Opens the shard's queue here; messages wait in it until the shard's task has claimed it.
    pub(super) fn open(&self, shard: ShardId) -> mpsc::Receiver<ShardMessage> {
        let (sender, receiver) = mpsc::channel(SHARD_QUEUE);
        self.put(shard, Some(Arc::new(ShardSlot::new(sender))));
        receiver
    }

    /// Messages for the shard go to the inbox from now on.
    pub(super) fn close(&self, shard: ShardId) {
        self.put(shard, None);
    }

    /// The shard's task takes messages until the value is dropped.
    pub(super) fn serving(&self, shard: ShardId) -> ServingGuard {
        let slot = self.owner(shard);
        slot.iter().for_each(|slot| slot.set_serves(true));
        ServingGuard(slot)
    }

    /// The record of the inbox at `offset` has been brought to the shard.
    pub(super) fn returned(&self, shard: ShardId, offset: i64) {
        let Some(since) = self.owner(shard).and_then(|slot| slot.returned(offset)) else { return };
        info!(
            shard = shard.0,
            seconds = since.elapsed().as_secs(),
            "the shard has taken all messages that the engine had put into the inbox"
        );
    }

    /// Returns when what waits in the queue of a shard that is not claimed is to be handed to the inbox: it has waited
    /// for too long, and other shards are claimed. Never for a shard that is not owned here.
    pub(super) async fn wait_stale(&self, shard: ShardId) {
        loop {
            let is_late = self.owner(shard).is_some_and(|slot| slot.lag().is_some());
            if is_late && self.is_trouble_of_few() {
                return;
            }
            let shards = u32::try_from(self.owned()).unwrap_or(u32::MAX);
            tokio::time::sleep(if is_late { LOOK_AGAIN_AWAY + LOOK_AGAIN_PER_SHARD * shards } else { PATIENCE }).await;
        }
    }

    /// Hands the message to the inbox. What follows it goes the same way until it has come back, if the shard is owned
    /// here.
    pub(super) async fn forward(&self, shard: ShardId, message: ShardMessage) {
        match self.owner(shard) {
            Some(slot) => self.hand(shard, &slot, message).await,
            None => drop(self.inbox.take(shard, message).await),
        }
    }

    /// Hands messages to the inbox, in this order, and gives the turn back.
    pub(super) async fn forward_all(
        self,
        shard: ShardId,
        messages: Vec<ShardMessage>,
        turn: HandoffTurn,
    ) -> HandoffTurn {
        match self.owner(shard) {
            Some(slot) => drop(join_all(messages.into_iter().map(|one| self.hand_in_turn(shard, &slot, one))).await),
            None => drop(join_all(messages.into_iter().map(|one| self.inbox.take(shard, one))).await),
        }
        turn
    }

    /// The turn to hand what waits for the shard to the inbox; `None`: it is not owned here.
    pub(super) async fn turn(&self, shard: ShardId) -> Option<HandoffTurn> {
        let slot = self.owner(shard)?;
        Some(HandoffTurn(Arc::clone(&slot.turn).lock_owned().await))
    }

    /// Whether messages that came before are on their way to the shard through the inbox.
    pub(super) fn is_forwarding(&self, shard: ShardId) -> bool {
        self.owner(shard).is_some_and(|slot| slot.is_forwarding())
    }

    async fn bring(&self, shard: ShardId, slot: &ShardSlot, mut message: ShardMessage) {
        loop {
            if self.is_to_be_handed(slot).await {
                return self.hand(shard, slot, message).await;
            }
            message = match slot.offer(message, LOOK_AGAIN).await {
                OfferResult::Taken => return,
                OfferResult::Gone(message) => return self.forward(shard, message).await,
                OfferResult::Full(message) => message,
            };
        }
    }

    async fn is_to_be_handed(&self, slot: &ShardSlot) -> bool {
        match slot.way() {
            MessageRoute::Queue => false,
            MessageRoute::AfterForwarded => !slot.wait_returned().await,
            MessageRoute::Inbox => self.is_trouble_of_few(),
        }
    }

    async fn wait(&self, shard: ShardId, slot: &ShardSlot, message: ShardMessage) {
        if let Err(mpsc::error::SendError(message)) = slot.queue().send(message).await {
            self.forward(shard, message).await;
        }
    }

    async fn hand(&self, shard: ShardId, slot: &ShardSlot, message: ShardMessage) {
        // Counted from here on, so that nothing overtakes it while it waits for its turn.
        let _under_way = slot.begin_handing();
        let _turn = slot.turn.lock().await;
        self.hand_in_turn(shard, slot, message).await;
    }

    async fn hand_in_turn(&self, shard: ShardId, slot: &ShardSlot, message: ShardMessage) {
        let handing = slot.begin_handing();
        if slot.is_to_be_told() {
            let why = slot.lag().map(|(why, _)| why.as_str());
            warn!(
                shard = shard.0,
                why, "the shard does not take its messages: they go to the inbox until it does; other shards go on"
            );
        }
        if let Some(offset) = self.inbox.take(shard, message).await {
            handing.is_at(offset);
            metrics::counter!("saga_handed_to_inbox_total").increment(1);
        }
    }

    /// Whether no more than half of the shards here are behind: then it is theirs. Else it is the store's, and what is
    /// read would only be copied from one topic to another.
    fn is_trouble_of_few(&self) -> bool {
        let all = self.all();
        let behind = all.iter().filter(|(_, slot)| slot.is_behind()).count();
        behind * 2 <= all.len()
    }

    fn put(&self, shard: ShardId, owner: Option<Arc<ShardSlot>>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(usize::from(shard.0)) {
            *slot = owner;
        }
    }

    fn owner(&self, shard: ShardId) -> Option<Arc<ShardSlot>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(usize::from(shard.0)).cloned().flatten()
    }

    fn all(&self) -> Vec<(ShardId, Arc<ShardSlot>)> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        (0u16..)
            .zip(slots.iter())
            .filter_map(|(shard, slot)| Some((ShardId(shard), Arc::clone(slot.as_ref()?))))
            .collect()
    }
}

/// The task that has this turn hands messages of a shard to the inbox; the other tasks wait.
#[derive(Debug)]
pub(super) struct HandoffTurn(#[allow(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

/// While it is held, the shard's task takes messages.
#[derive(Debug)]
pub(super) struct ServingGuard(Option<Arc<ShardSlot>>);

impl Drop for ServingGuard {
    fn drop(&mut self) {
        self.0.iter().for_each(|slot| slot.set_serves(false));
    }
}
