//! Into the wait queue and out of it: a command is enqueued, is notified, and has asked again.

use super::{QueueKind, QueuedWaiter, SagaWaiter, WaitRequest, blocking_of_guard, lane, queue_of_guard};
use crate::{gate::CallGate, topic_availability::TopicAvailability};
use saga_core::{
    command::{CommandRef, GuardKind},
    id::SagaId,
};
use saga_guards::{
    MonotonicTime, PriorityLane,
    wait_queue::{QueueEntry, QueueTicket},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::OwnedPermit;

/// A notification: the command may ask for a permit again.
#[derive(Debug)]
pub struct WakeSignal {
    /// The saga that has to be read.
    pub saga: SagaId,
    /// The command that may go on; `None`: the saga's outcome event.
    pub command: Option<CommandRef>,
    /// Held until the command has asked.
    pub notified: NotifiedCall,
}

/// Takes capacity for a command that was notified and has not asked yet. Dropped when it has.
#[derive(Debug)]
pub struct NotifiedCall {
    gate: Arc<CallGate>,
    number: u64,
}

/// A command's entry in a wait queue; dropping it leaves the queue.
#[derive(Debug)]
pub struct WaitQueueHandle {
    gate: Arc<CallGate>,
    kind: QueueKind,
    ticket: QueueTicket,
}

impl CallGate {
    /// Enqueues a command until it is notified.
    pub(crate) fn enqueue(self: &Arc<CallGate>, request: WaitRequest, waiter: SagaWaiter) -> WaitQueueHandle {
        let enqueued_at = self.now();
        let entry = QueueEntry {
            lane: waiter.command.map_or(PriorityLane::Do, |command| lane(command.direction)),
            since_ms: request.since_ms,
            not_before: enqueued_at.plus(request.not_before),
            blocking: blocking_of_guard(request.guard),
            after_failed_probe: request.after_failed_probe && request.guard == GuardKind::Breaker,
        };
        let kind = queue_of_guard(request.guard);
        let queued = QueuedWaiter { waiter, enqueued_at, guard: request.guard };
        let ticket = self.lock_state().queues.enqueue(kind, entry, queued);
        self.wakeup.notify_one();
        WaitQueueHandle { gate: Arc::clone(self), kind, ticket }
    }

    /// Notifies as many commands as there is capacity for. Answers when to look again if no wakeup comes before;
    /// `None`: no command waits.
    pub(crate) fn notify_waiters(
        self: &Arc<CallGate>,
        health: Result<(), Duration>,
        topic: TopicAvailability,
    ) -> Option<Duration> {
        let now = self.now();
        let mut state = self.lock_state();
        if state.queues.is_empty() {
            return None;
        }
        let wakeups = state.resize_limits(now);
        let capacity = state.notify_capacity(health, topic, now);
        let of_retries = state.retry_notify_capacity(now);
        let queues = &mut state.queues;
        let mut dequeued: Vec<_> =
            (0..capacity.calls).map_while(|_| queues.dequeue_and_reserve(QueueKind::Calls, now)).collect();
        // A retry needs both: capacity for its call, and a share of the budget.
        let left = capacity.calls.saturating_sub(u32::try_from(dequeued.len()).unwrap_or(u32::MAX));
        let retries = left.min(of_retries.calls);
        dequeued.extend((0..retries).map_while(|_| queues.dequeue_and_reserve(QueueKind::Retries, now)));
        let next_times = [QueueKind::Calls, QueueKind::Retries].map(|kind| queues.next_time(kind, now));
        drop(state);
        // Outside of the lock: what is woken or dropped here may take it.
        wakeups.wake(self);
        dequeued.into_iter().for_each(|one| self.send_wake_signal(one, now));
        [capacity.check_again_in, of_retries.check_again_in].into_iter().chain(next_times).flatten().min()
    }

    fn send_wake_signal(self: &Arc<CallGate>, dequeued: DequeueOutcome, now: MonotonicTime) {
        match dequeued {
            DequeueOutcome::Reached { channel, number, queued } => {
                let QueuedWaiter { waiter: SagaWaiter { saga, command, .. }, enqueued_at, guard } = queued;
                self.meters.waited(guard, now.since(enqueued_at));
                let notified = NotifiedCall { gate: Arc::clone(self), number };
                drop(channel.send(WakeSignal { saga, command, notified }));
            }
            DequeueOutcome::Requeued | DequeueOutcome::ReceiverClosed(_) => {}
        }
    }
}

/// What became of a command that was taken out of its queue.
pub(super) enum DequeueOutcome {
    /// There is room for its signal. It counts as notified under `number`.
    Reached { channel: OwnedPermit<WakeSignal>, number: u64, queued: QueuedWaiter },
    /// Its shard has not read its earlier signals yet: the command is back in the queue.
    Requeued,
    /// Its shard is gone, and the next owner waits in its place. Dropped outside of the lock: the last waiter of a
    /// shard drops the shard's channel, with notifications in it that take the lock.
    ReceiverClosed(#[expect(dead_code, reason = "for its drop")] QueuedWaiter),
}

impl Drop for NotifiedCall {
    fn drop(&mut self) {
        let mut state = self.gate.lock_state();
        state.queues.forget_notified(self.number);
        let has_waiters = !state.queues.is_empty();
        drop(state);
        if has_waiters {
            self.gate.wakeup.notify_one();
        }
    }
}

impl Drop for WaitQueueHandle {
    fn drop(&mut self) {
        let left = self.gate.lock_state().queues.leave(self.kind, self.ticket);
        // Outside of the lock, because the last waiter of a shard drops the shard's channel.
        drop(left);
    }
}
