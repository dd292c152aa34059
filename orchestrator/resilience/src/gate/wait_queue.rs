//! The wait queues of a gate: the commands that wait durably for a guard, and those of them that were notified and have
//! not asked again.
//!
//! The gate notifies a waiting command when there is capacity for it, and not before. Its saga is read from the journal
//! then, and asks for a permit again.

mod notification;
mod notified;

pub use notification::{NotifiedCall, WaitQueueHandle, WakeSignal};

use super::{CallArrival, PermitRequest};
use notification::DequeueOutcome;
pub(super) use notified::NOTIFICATION_TTL;
use notified::NotifiedCommands;
use saga_core::{
    command::{CommandDirection, CommandRef, GuardKind},
    id::SagaId,
};
use saga_guards::{
    MonotonicTime, PriorityLane,
    wait_queue::{QueueBlocking, QueueEntry, QueueTicket, WaitQueue},
};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};

/// When the gate notifies a command again whose shard had no room for the signal: it has not read its earlier ones yet.
pub(super) const RENOTIFY_DELAY: Duration = Duration::from_millis(50);

/// What waits of a saga, and where its shard is notified.
#[derive(Clone, Debug)]
pub struct SagaWaiter {
    /// Channel on which the gate notifies the saga's shard.
    pub wake_sender: mpsc::Sender<WakeSignal>,
    /// The saga that waits.
    pub saga: SagaId,
    /// The command that waits; `None`: the saga's outcome event.
    pub command: Option<CommandRef>,
}

/// Why, since when and until when at least a command waits.
#[derive(Clone, Copy, Debug)]
pub struct WaitRequest {
    /// The guard that refused the call: it decides on the queue.
    pub guard: GuardKind,
    /// Since when the command waits for its next attempt, in milliseconds since 1970: the oldest is notified first.
    pub since_ms: i64,
    /// From now until the command may be notified at the earliest.
    pub not_before: Duration,
    /// Whether its last attempt was a probe that failed: such a command waits behind all others of the breaker.
    pub after_failed_probe: bool,
}

/// A command in a queue.
#[derive(Clone, Debug)]
pub(super) struct QueuedWaiter {
    waiter: SagaWaiter,
    enqueued_at: MonotonicTime,
    guard: GuardKind,
}

/// The queues of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueKind {
    /// Commands that the participant cannot take now.
    Calls,
    /// Further attempts that wait for the retry budget: they hold no other command back.
    Retries,
}

/// The commands that wait at one gate.
#[derive(Debug, Default)]
pub(super) struct CommandQueues {
    calls: WaitQueue<QueuedWaiter>,
    retries: WaitQueue<QueuedWaiter>,
    notified: NotifiedCommands,
}

impl CommandQueues {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.retries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len() + self.retries.len()
    }

    /// Waiting commands that a call must not overtake.
    pub(super) fn ahead_of(&mut self, request: PermitRequest, now: MonotonicTime) -> usize {
        match request.arrival {
            CallArrival::Notified => 0,
            CallArrival::New => self.calls.ahead_of(request.lane, now),
            CallArrival::AfterFailedProbe => self.calls.ahead_of_failed_probe(now),
        }
    }

    /// Further attempts that wait for the retry budget and could go on if there were any of it.
    pub(super) fn retries_ahead(&mut self, now: MonotonicTime) -> usize {
        // All of them, undos too: the budget is one for both lanes.
        self.retries.ahead_of(PriorityLane::Do, now)
    }

    /// The breaker has closed: a probe that failed counts against its command no longer.
    pub(super) fn clear_probe_penalties(&mut self) {
        self.calls.clear_probe_penalties();
    }

    /// What held the commands back may be gone: all of them may be notified at once.
    pub(super) fn clear_not_before(&mut self) {
        self.calls.clear_not_before();
        self.calls.clear_probe_penalties();
        self.retries.clear_not_before();
    }

    pub(super) fn enqueue(&mut self, kind: QueueKind, entry: QueueEntry, waiter: QueuedWaiter) -> QueueTicket {
        self.queue(kind).enqueue(entry, waiter)
    }

    pub(super) fn leave(&mut self, kind: QueueKind, ticket: QueueTicket) -> Option<QueuedWaiter> {
        self.queue(kind).leave(ticket)
    }

    /// Commands that were notified lately and have not asked yet.
    pub(super) fn notified(&self, now: MonotonicTime) -> u32 {
        self.notified.count(now)
    }

    /// The command with this number has asked, or never will.
    pub(super) fn forget_notified(&mut self, number: u64) {
        self.notified.remove(number);
    }

    /// Takes the next command that may go on out of its queue, with room for its signal in the shard's channel.
    fn dequeue_and_reserve(&mut self, kind: QueueKind, now: MonotonicTime) -> Option<DequeueOutcome> {
        let next = self.queue(kind).next(now)?;
        Some(match next.waiter.waiter.wake_sender.clone().try_reserve_owned() {
            Ok(channel) => DequeueOutcome::Reached { channel, number: self.notified.add(now), queued: next.waiter },
            // Put back under the same lock: a command that leaves meanwhile would otherwise be put back after it has
            // left.
            Err(TrySendError::Full(_)) => {
                self.queue(kind).requeue(next, now.plus(RENOTIFY_DELAY));
                DequeueOutcome::Requeued
            }
            Err(TrySendError::Closed(_)) => DequeueOutcome::ReceiverClosed(next.waiter),
        })
    }

    /// When the time of the next command comes that could not go on yet, whatever the capacity is. The others wait for
    /// a wakeup.
    fn next_time(&mut self, kind: QueueKind, now: MonotonicTime) -> Option<Duration> {
        let queue = self.queue(kind);
        // Moves the commands whose time has come out of the way.
        queue.has_ready(now);
        queue.next_time().map(|time| time.since(now))
    }

    fn queue(&mut self, kind: QueueKind) -> &mut WaitQueue<QueuedWaiter> {
        match kind {
            QueueKind::Calls => &mut self.calls,
            QueueKind::Retries => &mut self.retries,
        }
    }
}

/// The lane of a command: undos go first.
#[must_use]
pub fn lane(direction: CommandDirection) -> PriorityLane {
    match direction {
        CommandDirection::Undo => PriorityLane::Undo,
        CommandDirection::Do => PriorityLane::Do,
    }
}

/// A transport that cannot take one command holds no other command back.
fn blocking_of_guard(guard: GuardKind) -> QueueBlocking {
    match guard {
        GuardKind::Breaker
        | GuardKind::Bulkhead
        | GuardKind::RateLimit
        | GuardKind::Health
        | GuardKind::RetryBudget => QueueBlocking::BlocksLater,
        GuardKind::Transport => QueueBlocking::BlocksNone,
    }
}

fn queue_of_guard(guard: GuardKind) -> QueueKind {
    match guard {
        GuardKind::Breaker | GuardKind::Bulkhead | GuardKind::RateLimit | GuardKind::Health | GuardKind::Transport => {
            QueueKind::Calls
        }
        GuardKind::RetryBudget => QueueKind::Retries,
    }
}
