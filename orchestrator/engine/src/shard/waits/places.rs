//! The places in the guards' lines that a shard's commands have. A million may wait there, so a place is small and nobody's state is needed for it.

use super::backlog::{Backlogs, Queue};
use saga_core::{
    command::{CommandRef, Guard, Whose},
    id::SagaId,
    react::{Effect, WaitEffect},
    time::Timestamp,
};
use saga_resilience::{
    gate::{InLine, Since, Waiter},
    registry::Guarded,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// Which commands wait in which lines. Dropped, all lines are left.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Exactly as many as there are: mostly one.
    of_sagas: HashMap<SagaId, Box<[Place]>>,
    /// Of participants and topics, each once: as many as definitions and participants.yaml name.
    names: HashSet<Arc<str>>,
    backlogs: Backlogs,
}

/// A command's place. Who was called keeps it until what it did about the call is decided, so that it is not called twice.
#[derive(Debug)]
struct Place {
    command: CommandRef,
    guard: Guard,
    what: What,
    whose: Whose<Arc<str>>,
    lines: Lines,
}

/// What of a command waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum What {
    /// Its next attempt, which is on record as held back.
    Attempt,
    /// A further sending of an attempt that is outstanding since an earlier owner.
    Sending,
}

/// Left when dropped; one for each participant that may take the command.
#[derive(Debug)]
enum Lines {
    /// None any more.
    Called,
    One(#[expect(dead_code, reason = "for its drop")] InLine),
    Several(#[expect(dead_code, reason = "for its drop")] Box<[InLine]>),
}

/// Something that waits for a guard.
#[derive(Clone, Debug)]
pub(in crate::shard) struct Wait {
    pub(in crate::shard) effect: WaitEffect,
    pub(in crate::shard) what: What,
    pub(in crate::shard) told: Told,
}

/// How a command knows before when it is no use to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Told {
    /// When it was refused. By now its guard knows better who may go on: its room alone decides, or the times that were drawn would, and not
    /// who has waited longest.
    OnRecord,
    /// It asked and was refused although there was room: asking again at once would go round in a circle.
    JustNow,
}

/// Where somebody stands who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Standing {
    /// In line for this guard.
    InLine(Guard),
    /// Called, and about to ask.
    Called,
}

impl Places {
    /// Where `what` of the command stands; `None`: nowhere.
    pub(super) fn standing(&self, saga: SagaId, command: CommandRef, what: What) -> Option<Standing> {
        let places = self.of_sagas.get(&saga)?;
        let place = places.iter().find(|place| place.command == command && place.what == what)?;
        Some(match place.lines {
            Lines::Called => Standing::Called,
            Lines::One(_) | Lines::Several(_) => Standing::InLine(place.guard),
        })
    }

    /// The command is called: what of it waited may ask.
    pub(super) fn called_out(&mut self, saga: SagaId, command: CommandRef) -> Option<What> {
        let place = self.of_sagas.get_mut(&saga)?.iter_mut().find(|place| place.command == command)?;
        place.lines = Lines::Called;
        Some(place.what)
    }

    pub(super) fn forget(&mut self, saga: SagaId, command: CommandRef) {
        self.keep(saga, |place| place.command != command);
    }

    /// Keeps the places of what still waits, and no others.
    pub(super) fn retain(&mut self, saga: SagaId, waits: &[Wait]) {
        self.keep(saga, |place| waits.iter().any(|wait| place.is_of(wait)));
    }

    /// Whatever has no place joins a line; who has one keeps it, with its time, which may be later than the one on record. Where the line is
    /// full, the saga is remembered, to be read when it is shorter: its wait is on record.
    pub(super) fn join(&mut self, guarded: &Guarded, now: Timestamp, waits: &[Wait], waiter: &Waiter) {
        let mut places = self.of_sagas.remove(&waiter.saga).map(Vec::from).unwrap_or_default();
        for wait in waits {
            if !places.iter().any(|place| place.is_of(wait)) {
                let place = self.place(wait);
                if wait.can_be_remembered() && !self.backlogs.has_room(&place.queue(), waiter.saga) {
                    self.backlogs.remember(place.queue(), wait.effect.since, waiter.saga);
                    continue;
                }
                let waiter = Waiter { command: Some(wait.effect.command), ..waiter.clone() };
                let lines = Lines::of(guarded.join_all(&wait.effect, wait.since(now), &waiter));
                self.backlogs.joined(place.queue());
                places.push(Place { lines, ..place });
            }
        }
        self.put(waiter.saga, places);
    }

    /// Who had no place and is to be looked at, because a line is shorter now.
    pub(super) fn call_up(&mut self) -> Vec<SagaId> {
        self.backlogs.call_up()
    }

    /// The saga was looked at: whatever it waits for has joined.
    pub(super) fn has_come(&mut self, saga: SagaId) {
        self.backlogs.has_come(saga);
    }

    fn place(&mut self, wait: &Wait) -> Place {
        let WaitEffect { command, guard, ref whose, .. } = wait.effect;
        let whose = whose.as_ref().map(|name| self.name(name));
        Place { command, guard, what: wait.what, whose, lines: Lines::Called }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }

    fn keep(&mut self, saga: SagaId, keeps: impl Fn(&Place) -> bool) {
        if let Some(places) = self.of_sagas.remove(&saga) {
            let (kept, left): (Vec<Place>, Vec<Place>) = Vec::from(places).into_iter().partition(keeps);
            left.iter().for_each(|place| self.backlogs.left(&place.queue()));
            self.put(saga, kept);
        }
    }

    fn put(&mut self, saga: SagaId, places: Vec<Place>) {
        if !places.is_empty() {
            self.of_sagas.insert(saga, places.into_boxed_slice());
        }
    }
}

impl Place {
    fn queue(&self) -> Queue {
        (self.whose.clone(), self.command.direction)
    }

    /// Whether it is that wait's, whatever their times.
    fn is_of(&self, wait: &Wait) -> bool {
        let whose = self.whose.as_ref().map(|name| &**name);
        (self.command, self.guard, self.what) == (wait.effect.command, wait.effect.guard, wait.what)
            && whose == wait.effect.whose.as_ref().map(String::as_str)
    }
}

impl Lines {
    fn of(mut lines: Vec<InLine>) -> Lines {
        match lines.pop() {
            None => Lines::Called,
            Some(only) if lines.is_empty() => Lines::One(only),
            Some(last) => {
                lines.push(last);
                Lines::Several(lines.into_boxed_slice())
            }
        }
    }
}

impl Wait {
    /// Whether reading the saga again brings it back. Who has just asked keeps its place.
    fn can_be_remembered(&self) -> bool {
        self.told == Told::OnRecord
    }

    /// What waits by the journal.
    pub(in crate::shard) fn on_record(effect: Effect) -> Option<Wait> {
        match effect {
            Effect::Wait(effect) => Some(Wait { effect, what: What::Attempt, told: Told::OnRecord }),
            Effect::Call(_) | Effect::Publish(_) => None,
        }
    }

    fn since(&self, now: Timestamp) -> Since {
        let effect = &self.effect;
        let not_before = match (effect.guard, self.told) {
            // Of one that had set out to leave: asking again before that would go round in a circle, with rows.
            (Guard::Transport | Guard::RateLimit | Guard::Bulkhead, _) | (_, Told::JustNow) => {
                effect.not_before.since(now)
            }
            (Guard::Breaker | Guard::RetryBudget | Guard::Health, Told::OnRecord) => Duration::ZERO,
        };
        let (since_ms, has_probed) = (effect.since.0, effect.has_probed);
        Since { guard: effect.guard, since_ms, not_before, has_probed }
    }
}
