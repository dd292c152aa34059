//! The commands of a shard that wait in the guards' wait queues, and what happens when a guard calls them. A waiting
//! command does not need its saga in memory: the shard reads the saga again when the command is called.

mod backlog;
mod outcomes;
mod queue_entries;

use super::{ShardLoop, live_saga::LiveSaga};
use crate::message::{MessageContent, MessageReceipt, ShardMessage};
use outcomes::OutcomeEventWait;
use queue_entries::SagaQueueEntries;
use saga_core::{
    command::CommandRef, decide::IgnoreReason, id::SagaId, input::SagaInput, react::react, time::Timestamp,
};
use saga_resilience::gate::{SagaWaiter, WakeSignal};
use std::collections::HashMap;
use tokio::sync::mpsc;

#[cfg(test)]
pub(super) use backlog::MOST;
pub(super) use queue_entries::{GuardWait, WaitKind, WaitOrigin, WaitStatus};

/// Calls that a shard has not looked at yet: what some participants call at once when they are back. More are called a
/// moment later.
const CALLS: usize = 1024;

/// The places in wait queues that a shard's commands have. The drop leaves all queues.
#[derive(Debug)]
pub(super) struct WaitRegistry {
    places: SagaQueueEntries,
    /// Sagas whose outcome event waits for its topic.
    outcomes: HashMap<SagaId, OutcomeEventWait>,
    calls: mpsc::Sender<WakeSignal>,
    called: mpsc::Receiver<WakeSignal>,
}

impl Default for WaitRegistry {
    fn default() -> WaitRegistry {
        let (calls, called) = mpsc::channel(CALLS);
        WaitRegistry { places: SagaQueueEntries::default(), outcomes: HashMap::new(), calls, called }
    }
}

impl WaitRegistry {
    /// The next command that a guard calls out of a wait queue.
    pub(super) async fn next_notified(&mut self) -> Option<WakeSignal> {
        self.called.recv().await
    }

    /// Where a further sending of an attempt stands; `None`: nowhere.
    pub(super) fn sending(&self, saga: SagaId, command: CommandRef) -> Option<WaitStatus> {
        self.places.standing(saga, command, WaitKind::Sending)
    }

    /// The command was called, and asks: its places are given up.
    pub(super) fn mark_retrying(&mut self, saga: SagaId, command: CommandRef) {
        self.places.forget(saga, command);
    }

    fn waiter(&self, saga: SagaId) -> SagaWaiter {
        SagaWaiter { wake_sender: self.calls.clone(), saga, command: None }
    }
}

impl ShardLoop {
    /// After this call exactly `waits` of the saga wait in queues.
    pub(super) fn sync_wait_queues(&mut self, saga: SagaId, waits: &[GuardWait]) {
        self.table.waits.places.retain(saga, waits);
        self.enqueue_waits(saga, waits);
    }

    fn enqueue_waits(&mut self, saga: SagaId, waits: &[GuardWait]) {
        let now = self.context.clock.now();
        let called_up = self.table.waits.places.take_backlogged();
        if !waits.is_empty() {
            let waiter = self.table.waits.waiter(saga);
            self.table.waits.places.join(self.context.sources.guards(), now, waits, &waiter);
        }
        self.table.waits.places.mark_loaded(saga);
        called_up.into_iter().filter(|other| *other != saga).for_each(|other| self.load_backlogged(other, now));
    }

    /// Looked at, it joins the line. Those that are not in memory are read together, no more of them at once than turns
    /// allow.
    fn load_backlogged(&mut self, saga: SagaId, now: Timestamp) {
        if self.table.sagas.contains_key(&saga) {
            self.table.deferred_inputs.push((saga, SagaInput::TimeReached));
        } else {
            self.table.due.look_at(saga, now);
        }
    }

    /// A guard called a command, which may ask again.
    pub(super) fn on_waiter_notified(&mut self, wake: WakeSignal) {
        let WakeSignal { saga, command, notified: woken } = wake;
        let Some(command) = command else { return self.on_outcome_notified(saga, woken) };
        let input = match self.table.waits.places.take_notified(saga, command) {
            // The saga is looked at, and its outstanding effects ask to be sent.
            Some(WaitKind::Sending) => SagaInput::TimeReached,
            Some(WaitKind::Attempt) | None => SagaInput::Released { command },
        };
        let body = MessageContent::Input { saga, input };
        self.handle_input(saga, ShardMessage { body, record: None, receipt: MessageReceipt::Woken(woken) });
    }

    /// A command that was called and found the guard closed again waits on, at least until the time that the guard
    /// gives.
    pub(super) fn requeue(&mut self, saga: SagaId, live: &LiveSaga, input: &SagaInput, ignored: &IgnoreReason) {
        let SagaInput::Released { command } = input else { return };
        let mut waits: Vec<GuardWait> =
            react(&live.plan, &live.state).into_iter().filter_map(GuardWait::on_record).collect();
        for wait in &mut waits {
            wait.origin = WaitOrigin::RefusedNow;
            if let IgnoreReason::StillHeld { guard: by, not_before: until } = ignored
                && wait.effect.command == *command
            {
                (wait.effect.guard, wait.effect.not_before) = (*by, *until);
            }
        }
        self.table.waits.places.forget(saga, *command);
        self.enqueue_waits(saga, &waits);
    }
}
