//! The waiting line before a gate: who waits durably is called out of it when the gate has room, and no sooner.

use super::CallGate;
use crate::gate::state::GateState;
use crate::topics::TopicAvailability;
use saga_core::{
    command::{CommandDirection, CommandRef, GuardKind},
    id::SagaId,
};
use saga_guards::{
    MonotonicTime, PriorityLane,
    line::{QueueBlocking, QueueEntry, QueueTicket, WaitQueue},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::{self, OwnedPermit, error::TrySendError};

/// When one is called again whose shard has not yet looked at those that were called before.
pub(super) const RENOTIFY_DELAY: Duration = Duration::from_millis(50);

/// What waits of a saga, and where to call it.
#[derive(Clone, Debug)]
pub struct SagaWaiter {
    /// Where its shard is notified.
    pub wake_sender: mpsc::Sender<WakeSignal>,
    /// Its saga.
    pub saga: SagaId,
    /// Which command; `None`: the outcome event.
    pub command: Option<CommandRef>,
}

/// One who waits in a line, since when, and for whom.
#[derive(Clone, Debug)]
pub(super) struct QueuedWaiter {
    who: SagaWaiter,
    joined: MonotonicTime,
    guard: GuardKind,
}

/// Something of a saga may ask again.
#[derive(Debug)]
pub struct WakeSignal {
    /// The saga that is read again.
    pub saga: SagaId,
    /// Which command; `None`: the outcome event.
    pub command: Option<CommandRef>,
    /// Held until it has asked.
    pub notified: NotifiedCall,
}

/// One who was called and has not asked yet counts as one who is admitted. Dropped when it has.
#[derive(Debug)]
pub struct NotifiedCall {
    gate: Arc<CallGate>,
    call: u64,
}

/// A place in a line, left when dropped.
#[derive(Debug)]
pub struct WaitQueueHandle {
    gate: Arc<CallGate>,
    which: QueueKind,
    ticket: QueueTicket,
}

/// Which of a gate's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueKind {
    /// Of those whom the participant cannot take.
    Calls,
    /// Of those whom the retry budget holds back.
    Retries,
}

/// When and how somebody waits.
#[derive(Clone, Copy, Debug)]
pub struct WaitRequest {
    /// Who refused.
    pub guard: GuardKind,
    /// Since when the command waits for its next attempt, in milliseconds since 1970: the oldest goes first.
    pub since_ms: i64,
    /// No use to ask before, from now.
    pub not_before: Duration,
    /// Its last attempt was a probe.
    pub after_failed_probe: bool,
}

impl CallGate {
    /// Waits in line until it is called.
    pub(crate) fn enqueue(self: &Arc<CallGate>, since: WaitRequest, waiter: SagaWaiter) -> WaitQueueHandle {
        let joined = self.now();
        let waiting = QueueEntry {
            lane: waiter.command.map_or(PriorityLane::Do, |command| lane(command.direction)),
            since_ms: since.since_ms,
            not_before: joined.plus(since.not_before),
            standing: blocking_of_guard(since.guard),
            after_failed_probe: since.after_failed_probe && since.guard == GuardKind::Breaker,
        };
        let which = queue_of_guard(since.guard);
        let held = QueuedWaiter { who: waiter, joined, guard: since.guard };
        let ticket = self.lock_state().queue(which).join(waiting, held);
        self.wakeup.notify_one();
        WaitQueueHandle { gate: Arc::clone(self), which, ticket }
    }

    /// Calls as many as there is room for; answers when to look again, if not rung before.
    pub(crate) fn notify_waiters(
        self: &Arc<CallGate>,
        health: Result<(), Duration>,
        takes: TopicAvailability,
    ) -> Option<Duration> {
        let now = self.now();
        let mut inner = self.lock_state();
        if !inner.has_waiters() {
            return None;
        }
        let to_wake = inner.resize_limits(now);
        let room = inner.notify_capacity(health, takes, now);
        let further = inner.retry_notify_capacity(now);
        let mut called: Vec<_> =
            (0..room.calls).map_while(|_| inner.dequeue_and_reserve(QueueKind::Calls, now)).collect();
        let left = room.calls.saturating_sub(u32::try_from(called.len()).unwrap_or(u32::MAX));
        called.extend((0..left.min(further.calls)).map_while(|_| inner.dequeue_and_reserve(QueueKind::Retries, now)));
        let next_times = [QueueKind::Calls, QueueKind::Retries].map(|which| inner.next_time(which, now));
        drop(inner);
        to_wake.wake(self);
        called.into_iter().for_each(|one| self.send_wake_signal(one, now));
        let looks = [room.look_again, further.look_again];
        looks.into_iter().chain(next_times).flatten().min()
    }

    fn send_wake_signal(self: &Arc<CallGate>, one: DequeueOutcome, now: MonotonicTime) {
        match one {
            DequeueOutcome::Reached { place, call, held } => {
                let QueuedWaiter { who: SagaWaiter { saga, command, .. }, joined, guard } = held;
                self.meters.waited(guard, now.since(joined));
                drop(place.send(WakeSignal { saga, command, notified: NotifiedCall { gate: Arc::clone(self), call } }));
            }
            DequeueOutcome::Requeued | DequeueOutcome::Gone(_) => {}
        }
    }
}

/// One who was called out of a line.
enum DequeueOutcome {
    /// With room where the call goes, under the call's number.
    Reached { place: OwnedPermit<WakeSignal>, call: u64, held: QueuedWaiter },
    /// Its shard has not yet looked at those that were called before.
    Requeued,
    /// Its shard is gone, and the next owner waits in its place. Dropped outside of the lock: the last of a shard takes its channel along,
    /// with turns in it that are given back under the lock.
    Gone(#[expect(dead_code, reason = "for its drop")] QueuedWaiter),
}

impl GateState {
    fn queue(&mut self, which: QueueKind) -> &mut WaitQueue<QueuedWaiter> {
        match which {
            QueueKind::Calls => &mut self.wait_queue,
            QueueKind::Retries => &mut self.retry_queue,
        }
    }

    /// Who cannot be reached now goes back, under the same lock: whoever leaves meanwhile would otherwise be put back after leaving.
    fn dequeue_and_reserve(&mut self, which: QueueKind, now: MonotonicTime) -> Option<DequeueOutcome> {
        let called = self.queue(which).next(now)?;
        Some(match called.waiter.who.wake_sender.clone().try_reserve_owned() {
            Ok(place) => DequeueOutcome::Reached { place, call: self.notified.add(now), held: called.waiter },
            Err(TrySendError::Full(_)) => {
                self.queue(which).take_back(called, now.plus(RENOTIFY_DELAY));
                DequeueOutcome::Requeued
            }
            Err(TrySendError::Closed(_)) => DequeueOutcome::Gone(called.waiter),
        })
    }

    /// When the time of the next one comes who could not go on yet were there room; those who could wait for a bell.
    fn next_time(&mut self, which: QueueKind, now: MonotonicTime) -> Option<Duration> {
        let line = self.queue(which);
        line.has_ready(now);
        line.next_time().map(|time| time.since(now))
    }
}

impl Drop for NotifiedCall {
    fn drop(&mut self) {
        let mut inner = self.gate.lock_state();
        inner.notified.remove(self.call);
        let somebody_waits = inner.has_waiters();
        drop(inner);
        if somebody_waits {
            self.gate.wakeup.notify_one();
        }
    }
}

impl Drop for WaitQueueHandle {
    fn drop(&mut self) {
        let left = self.gate.lock_state().queue(self.which).leave(self.ticket);
        // Outside of the lock, as whoever is the last of a shard.
        drop(left);
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

/// A transport that cannot take one command holds nobody else back.
fn blocking_of_guard(guard: GuardKind) -> QueueBlocking {
    match guard {
        GuardKind::Breaker
        | GuardKind::Bulkhead
        | GuardKind::RateLimit
        | GuardKind::Health
        | GuardKind::RetryBudget => QueueBlocking::InLine,
        GuardKind::Transport => QueueBlocking::Alone,
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
