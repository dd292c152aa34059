//! One shard that is owned here: its queue, and what went to the inbox because the shard did not take it.

use super::SHARD_QUEUE;
use crate::message::ShardMessage;
use saga_base::sync::UnpoisonedMutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

/// A shard that has taken nothing, or too little, for so long does not take its messages. Longer than a claim and a
/// slow commit take; all intake waits for it once.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A shard with fewer messages waiting is not behind: a busy moment brings as many.
const BEHIND: usize = SHARD_QUEUE / 4;

/// A queue that was full counts as full until it has room for so many, so that one which is filled as fast as it is
/// emptied stays full.
const ROOM: usize = SHARD_QUEUE / 2;

/// How long the last messages may take to come back from the inbox while the next one waits: a few round trips to the
/// broker.
const COMES_BACK: Duration = Duration::from_millis(200);

/// How many of them those may be. With more of them the next one goes to the inbox as well.
const NEARLY_BACK: i64 = 64;

/// After a wait in vain for them: so intake waits for a twenty-fifth of the time at most.
const WAIT_AGAIN: Duration = Duration::from_secs(5);

/// The time before the log reports the same shard again.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// A shard of this engine.
#[derive(Debug)]
pub(super) struct ShardSlot {
    queue: mpsc::Sender<ShardMessage>,
    serves: watch::Sender<bool>,
    /// The last record of the inbox that has been brought to the shard.
    returned: watch::Sender<i64>,
    state: UnpoisonedMutex<ShardSlotState>,
    /// The task that hands a message to the inbox holds it, so that messages get there in the order in which they came.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct ShardSlotState {
    /// Since when the shard's task takes nothing: it has not claimed the shard yet, or lost it.
    away_since: Option<Instant>,
    full_since: Option<Instant>,
    /// Messages that are being handed to the inbox.
    under_way: usize,
    /// The offset of the last message that the inbox has.
    handed: i64,
    /// Since when messages go through the inbox; `None`: they do not.
    by_inbox_since: Option<Instant>,
    waits_again_at: Instant,
    told: Option<Instant>,
}

/// What became of a message that was offered to a shard.
#[derive(Debug)]
pub(super) enum OfferResult {
    Taken,
    /// The queue has no room; the message is returned.
    Full(ShardMessage),
    /// The shard has stopped here; the message is returned.
    Gone(ShardMessage),
}

/// Where a message goes that comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageRoute {
    /// Into the queue: behind what waits there.
    Queue,
    /// To the inbox: behind what is on its way there and back, unless that is back any moment.
    AfterForwarded,
    /// To the inbox, if it is this shard alone that does not take what comes.
    Inbox,
}

/// Why a shard does not take its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagReason {
    /// Its task has not claimed it yet, or is reading what was open.
    NotClaimed,
    /// It gets more than it works on.
    Full,
    /// It takes them, and what was handed to the inbox is on its way back.
    Returning,
}

impl LagReason {
    /// The reason as words for operators.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LagReason::NotClaimed => "not claimed",
            LagReason::Full => "full",
            LagReason::Returning => "returning",
        }
    }
}

impl ShardSlot {
    pub(super) fn new(queue: mpsc::Sender<ShardMessage>) -> ShardSlot {
        let now = Instant::now();
        let state = ShardSlotState {
            away_since: Some(now),
            full_since: None,
            under_way: 0,
            handed: -1,
            by_inbox_since: None,
            waits_again_at: now,
            told: None,
        };
        ShardSlot {
            queue,
            serves: watch::Sender::new(false),
            returned: watch::Sender::new(-1),
            state: UnpoisonedMutex::new(state),
            turn: Arc::default(),
        }
    }

    /// The queue that the shard's task takes messages from.
    pub(super) fn queue(&self) -> &mpsc::Sender<ShardMessage> {
        &self.queue
    }

    /// Whether the shard's task takes messages from now on.
    pub(super) fn set_serves(&self, serves: bool) {
        self.state.lock().away_since = (!serves).then(Instant::now);
        self.serves.send_replace(serves);
    }

    /// Returns when the shard's task takes messages.
    pub(super) async fn wait_serving(&self) {
        // The sender is here as long as this runs.
        let _ = self.serves.subscribe().wait_for(|serves| *serves).await;
    }

    /// Offers `message`, for as long as `patience` when there is no room.
    pub(super) async fn offer(&self, message: ShardMessage, patience: Duration) -> OfferResult {
        let message = match self.queue.try_send(message) {
            Ok(()) => return OfferResult::Taken,
            Err(mpsc::error::TrySendError::Closed(message)) => return OfferResult::Gone(message),
            Err(mpsc::error::TrySendError::Full(message)) => message,
        };
        self.state.lock().full_since.get_or_insert_with(Instant::now);
        match timeout(patience, self.queue.reserve()).await {
            Ok(Ok(place)) => {
                place.send(message);
                OfferResult::Taken
            }
            Ok(Err(_closed)) => OfferResult::Gone(message),
            Err(_late) => OfferResult::Full(message),
        }
    }

    /// Whether the shard has more to do than it should: many such shards have one cause.
    pub(super) fn is_behind(&self) -> bool {
        let waiting = SHARD_QUEUE - self.queue.capacity();
        waiting >= BEHIND || self.state.lock().away_since.is_some()
    }

    /// Why the shard does not take what comes, if that lasts longer than it should, and since when.
    pub(super) fn lag(&self) -> Option<(LagReason, Instant)> {
        let (mut state, now) = (self.state.lock(), Instant::now());
        if self.queue.capacity() >= ROOM {
            state.full_since = None;
        }
        let is_long = |since: &Instant| now.duration_since(*since) >= PATIENCE;
        let away = state.away_since.filter(is_long).map(|since| (LagReason::NotClaimed, since));
        away.or_else(|| state.full_since.filter(is_long).map(|since| (LagReason::Full, since)))
    }

    /// Where a message goes that comes now, so that it overtakes none. What waits in the queue of a shard that is not
    /// claimed is handed to the inbox by the shard's task.
    pub(super) fn way(&self) -> MessageRoute {
        let late = self.lag();
        let is_forwarding = self.is_forwarding();
        let is_away = self.state.lock().away_since.is_some();
        let something_waits = self.queue.capacity() < SHARD_QUEUE;
        match late {
            _ if is_away && something_waits => MessageRoute::Queue,
            _ if is_forwarding => MessageRoute::AfterForwarded,
            Some(_) => MessageRoute::Inbox,
            None => MessageRoute::Queue,
        }
    }

    /// Why the shard is not as it should be, and since when.
    pub(super) fn trouble(&self) -> Option<(LagReason, Instant)> {
        let returning = || self.state.lock().by_inbox_since.map(|since| (LagReason::Returning, since));
        self.lag().or_else(returning)
    }

    /// Whether messages that came before are on their way through the inbox.
    pub(super) fn is_forwarding(&self) -> bool {
        self.state.lock().some_are_on_their_way(*self.returned.borrow())
    }

    /// Whether all of them have come back, if that is to be expected any moment. So the way through the inbox ends
    /// although messages never cease.
    pub(super) async fn wait_returned(&self) -> bool {
        let Some(last) = self.last_if_nearly_back() else { return false };
        let mut returned = self.returned.subscribe();
        let came_back = timeout(COMES_BACK, returned.wait_for(|returned| *returned >= last)).await.is_ok();
        if !came_back {
            self.state.lock().waits_again_at = Instant::now() + WAIT_AGAIN;
        }
        came_back && !self.is_forwarding()
    }

    fn last_if_nearly_back(&self) -> Option<i64> {
        let state = self.state.lock();
        let takes = state.away_since.is_none() && self.queue.capacity() >= ROOM;
        let is_near = state.under_way == 0 && state.handed - *self.returned.borrow() <= NEARLY_BACK;
        (takes && is_near && Instant::now() >= state.waits_again_at).then_some(state.handed)
    }

    /// A message is about to be handed to the inbox.
    pub(super) fn begin_handing(&self) -> InboxHandoff<'_> {
        let mut state = self.state.lock();
        state.under_way += 1;
        state.by_inbox_since.get_or_insert_with(Instant::now);
        InboxHandoff(self)
    }

    /// Whether the log should report the shard now.
    pub(super) fn is_to_be_told(&self) -> bool {
        let (mut state, now) = (self.state.lock(), Instant::now());
        let is_to_be_told = state.told.is_none_or(|told| now.duration_since(told) >= TELL_AGAIN);
        if is_to_be_told {
            state.told = Some(now);
        }
        is_to_be_told
    }

    /// The record of the inbox at `offset`, and all before it, have been brought to the shard. Since when messages went
    /// that way, if none does any more.
    pub(super) fn returned(&self, offset: i64) -> Option<Instant> {
        self.returned.send_if_modified(|returned| std::mem::replace(returned, offset.max(*returned)) < offset);
        let mut state = self.state.lock();
        if state.some_are_on_their_way(*self.returned.borrow()) { None } else { state.by_inbox_since.take() }
    }
}

impl ShardSlotState {
    fn some_are_on_their_way(&self, returned: i64) -> bool {
        self.under_way > 0 || self.handed > returned
    }
}

/// A message on its way to the inbox. Dropped, it is no more, whether or not it got there.
#[derive(Debug)]
pub(super) struct InboxHandoff<'a>(&'a ShardSlot);

impl InboxHandoff<'_> {
    /// Records that the inbox has the message at this offset.
    pub(super) fn is_at(&self, offset: i64) {
        let mut state = self.0.state.lock();
        state.handed = state.handed.max(offset);
    }
}

impl Drop for InboxHandoff<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        if !state.some_are_on_their_way(*self.0.returned.borrow()) {
            state.by_inbox_since = None;
        }
    }
}
