//! The places that a shard's commands have in the guards' wait queues. A million commands may wait there, so a place is
//! small and needs no saga's state.

use super::backlog::{BacklogTable, WaitQueueKey};
use saga_core::{
    command::{CommandRef, GuardKind, GuardOwner},
    id::SagaId,
    react::{SagaEffect, WaitEffect},
    time::Timestamp,
};
use saga_resilience::{
    gate::{SagaWaiter, WaitQueueHandle, WaitRequest},
    registry::GuardRegistry,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// The commands that wait, and their wait queues. The drop leaves all queues.
#[derive(Debug, Default)]
pub(super) struct SagaQueueEntries {
    /// Exactly as many as there are: mostly one.
    of_sagas: HashMap<SagaId, Box<[CommandQueueEntry]>>,
    /// Of participants and topics, each once: as many as definitions and participants.yaml name.
    names: HashSet<Arc<str>>,
    backlogs: BacklogTable,
}

/// A command's place. A command that was called keeps it until the decision about the call is made, so that it is not
/// called twice.
#[derive(Debug)]
struct CommandQueueEntry {
    command: CommandRef,
    guard: GuardKind,
    what: WaitKind,
    whose: GuardOwner<Arc<str>>,
    lines: QueueMembership,
}

/// The part of a command that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum WaitKind {
    /// Its next attempt, which is on record as held back.
    Attempt,
    /// A further sending of an attempt that is outstanding since an earlier owner.
    Sending,
}

/// Left when dropped; one for each participant that may take the command.
#[derive(Debug)]
enum QueueMembership {
    /// The command has left its queues, because a guard called it.
    Notified,
    One(#[expect(dead_code, reason = "for its drop")] WaitQueueHandle),
    Several(#[expect(dead_code, reason = "for its drop")] Box<[WaitQueueHandle]>),
}

/// A command that waits for a guard.
#[derive(Clone, Debug)]
pub(in crate::shard) struct GuardWait {
    pub(in crate::shard) effect: WaitEffect,
    pub(in crate::shard) what: WaitKind,
    pub(in crate::shard) origin: WaitOrigin,
}

/// How a command knows before when it is no use to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum WaitOrigin {
    /// The time when the command was refused. By now its guard knows better which command may go on. The guard's room
    /// alone must decide, or the random retry times would decide, and not the longest wait.
    Recorded,
    /// The command asked and was refused although there was room: asking again immediately would not end.
    RefusedNow,
}

/// Where a waiting command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum WaitStatus {
    /// The command is in the wait queue of this guard.
    Queued(GuardKind),
    /// The command is called, and is about to ask.
    Notified,
}

impl SagaQueueEntries {
    /// Where `what` of the command stands; `None`: nowhere.
    pub(super) fn standing(&self, saga: SagaId, command: CommandRef, what: WaitKind) -> Option<WaitStatus> {
        let places = self.of_sagas.get(&saga)?;
        let place = places.iter().find(|place| place.command == command && place.what == what)?;
        Some(match place.lines {
            QueueMembership::Notified => WaitStatus::Notified,
            QueueMembership::One(_) | QueueMembership::Several(_) => WaitStatus::Queued(place.guard),
        })
    }

    /// The command is called: what of it waited may ask.
    pub(super) fn take_notified(&mut self, saga: SagaId, command: CommandRef) -> Option<WaitKind> {
        let place = self.of_sagas.get_mut(&saga)?.iter_mut().find(|place| place.command == command)?;
        place.lines = QueueMembership::Notified;
        Some(place.what)
    }

    pub(super) fn forget(&mut self, saga: SagaId, command: CommandRef) {
        self.keep(saga, |place| place.command != command);
    }

    /// Keeps the places of what still waits, and no others.
    pub(super) fn retain(&mut self, saga: SagaId, waits: &[GuardWait]) {
        self.keep(saga, |place| waits.iter().any(|wait| place.is_of(wait)));
    }

    /// A command without a place joins a queue. A command with a place keeps it, with its time, which may be later than
    /// the one on record. If the queue is full, the saga is remembered and read when the queue is shorter: its wait is
    /// on record.
    pub(super) fn join(&mut self, guarded: &GuardRegistry, now: Timestamp, waits: &[GuardWait], waiter: &SagaWaiter) {
        let mut places = self.of_sagas.remove(&waiter.saga).map(Vec::from).unwrap_or_default();
        for wait in waits {
            if !places.iter().any(|place| place.is_of(wait)) {
                let place = self.place(wait);
                if wait.can_be_remembered() && !self.backlogs.has_room(&place.queue(), waiter.saga) {
                    self.backlogs.remember(place.queue(), wait.effect.since, waiter.saga);
                    continue;
                }
                let waiter = SagaWaiter { command: Some(wait.effect.command), ..waiter.clone() };
                let lines = QueueMembership::of(guarded.enqueue_all(&wait.effect, wait.since(now), &waiter));
                self.backlogs.joined(place.queue());
                places.push(CommandQueueEntry { lines, ..place });
            }
        }
        self.put(waiter.saga, places);
    }

    /// The sagas that had no place and are to be looked at, because a queue is shorter now.
    pub(super) fn take_backlogged(&mut self) -> Vec<SagaId> {
        self.backlogs.take_backlogged()
    }

    /// The saga was looked at: whatever it waits for has joined.
    pub(super) fn mark_loaded(&mut self, saga: SagaId) {
        self.backlogs.mark_loaded(saga);
    }

    fn place(&mut self, wait: &GuardWait) -> CommandQueueEntry {
        let WaitEffect { command, guard, ref whose, .. } = wait.effect;
        let whose = whose.as_ref().map(|name| self.name(name));
        CommandQueueEntry { command, guard, what: wait.what, whose, lines: QueueMembership::Notified }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }

    fn keep(&mut self, saga: SagaId, keeps: impl Fn(&CommandQueueEntry) -> bool) {
        if let Some(places) = self.of_sagas.remove(&saga) {
            let (kept, left): (Vec<CommandQueueEntry>, Vec<CommandQueueEntry>) =
                Vec::from(places).into_iter().partition(keeps);
            left.iter().for_each(|place| self.backlogs.left(&place.queue()));
            self.put(saga, kept);
        }
    }

    fn put(&mut self, saga: SagaId, places: Vec<CommandQueueEntry>) {
        if !places.is_empty() {
            self.of_sagas.insert(saga, places.into_boxed_slice());
        }
    }
}

impl CommandQueueEntry {
    fn queue(&self) -> WaitQueueKey {
        (self.whose.clone(), self.command.direction)
    }

    /// Whether it is that wait's, whatever their times.
    fn is_of(&self, wait: &GuardWait) -> bool {
        let whose = self.whose.as_ref().map(|name| &**name);
        (self.command, self.guard, self.what) == (wait.effect.command, wait.effect.guard, wait.what)
            && whose == wait.effect.whose.as_ref().map(String::as_str)
    }
}

impl QueueMembership {
    fn of(mut lines: Vec<WaitQueueHandle>) -> QueueMembership {
        match lines.pop() {
            None => QueueMembership::Notified,
            Some(only) if lines.is_empty() => QueueMembership::One(only),
            Some(last) => {
                lines.push(last);
                QueueMembership::Several(lines.into_boxed_slice())
            }
        }
    }
}

impl GuardWait {
    /// Whether reading the saga again brings the wait back. A command that has just asked keeps its place.
    fn can_be_remembered(&self) -> bool {
        self.origin == WaitOrigin::Recorded
    }

    /// The wait that the journal records for this effect; `None` for a call or a publication.
    pub(in crate::shard) fn on_record(effect: SagaEffect) -> Option<GuardWait> {
        match effect {
            SagaEffect::Wait(effect) => {
                Some(GuardWait { effect, what: WaitKind::Attempt, origin: WaitOrigin::Recorded })
            }
            SagaEffect::Call(_) | SagaEffect::Publish(_) => None,
        }
    }

    fn since(&self, now: Timestamp) -> WaitRequest {
        let effect = &self.effect;
        let not_before = match (effect.guard, self.origin) {
            // Of one that had set out to leave: asking again before that would go round in a circle, with rows.
            (GuardKind::Transport | GuardKind::RateLimit | GuardKind::Bulkhead, _) | (_, WaitOrigin::RefusedNow) => {
                effect.not_before.since(now)
            }
            (GuardKind::Breaker | GuardKind::RetryBudget | GuardKind::Health, WaitOrigin::Recorded) => Duration::ZERO,
        };
        let (since_ms, has_probed) = (effect.since.0, effect.has_probed);
        WaitRequest { guard: effect.guard, since_ms, not_before, after_failed_probe: has_probed }
    }
}
