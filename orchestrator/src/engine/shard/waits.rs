//! What of a shard waits in the guards' lines, and what happens when it is called.

mod outcomes;

use super::{live::Live, owned::Owned};
use crate::{
    engine::message::{Body, Message, Receipt},
    guarded::{Guarded, InLine, Since, Waiter, Wake},
};
use outcomes::Outcome;
use saga_core::{
    command::{CommandRef, Guard},
    decide::Ignored,
    id::SagaId,
    input::Input,
    react::{Effect, WaitEffect, react},
    time::Timestamp,
};
use std::{collections::HashMap, time::Duration};
use tokio::sync::mpsc;

/// Calls that a shard has not looked at yet: what some participants call at once when they are back. More are called a moment later.
const CALLS: usize = 1024;

/// The places in lines that a shard's commands have. Dropped, all are left.
#[derive(Debug)]
pub(super) struct Waits {
    places: HashMap<SagaId, Vec<Place>>,
    /// Sagas whose outcome event waits for its topic.
    outcomes: HashMap<SagaId, Outcome>,
    calls: mpsc::Sender<Wake>,
    called: mpsc::Receiver<Wake>,
}

/// A command's place. Who was called keeps it until what it did about the call is decided, so that it is not called twice.
#[derive(Debug)]
struct Place {
    effect: WaitEffect,
    /// Left when dropped; one for each participant that may take the command. Empty once it is called.
    lines: Vec<InLine>,
}

impl Default for Waits {
    fn default() -> Waits {
        let (calls, called) = mpsc::channel(CALLS);
        Waits { places: HashMap::new(), outcomes: HashMap::new(), calls, called }
    }
}

impl Waits {
    /// The next who is called out of a line.
    pub(super) async fn called(&mut self) -> Option<Wake> {
        self.called.recv().await
    }

    fn called_out(&mut self, saga: SagaId, command: CommandRef) {
        for place in self.places.get_mut(&saga).into_iter().flatten() {
            if place.effect.command == command {
                place.lines.clear();
            }
        }
    }

    fn forget(&mut self, saga: SagaId, command: CommandRef) {
        self.places.entry(saga).and_modify(|places| places.retain(|place| place.effect.command != command));
    }

    /// Exactly what `effects` says waits; who has a place keeps it, with its time, which may be later than the one on record.
    fn keep(&mut self, guarded: &Guarded, now: Timestamp, saga: SagaId, effects: &[Effect], told: Told) {
        let waiting = || effects.iter().filter_map(waits);
        if waiting().next().is_none() {
            self.places.remove(&saga);
            return;
        }
        let places = self.places.entry(saga).or_default();
        places.retain(|place| waiting().any(|effect| is_same(effect, &place.effect)));
        for effect in waiting() {
            if !places.iter().any(|place| is_same(effect, &place.effect)) {
                let waiter = Waiter { calls: self.calls.clone(), saga, command: Some(effect.command) };
                let lines = guarded.join_all(effect, since(effect, now, told), &waiter);
                places.push(Place { effect: effect.clone(), lines });
            }
        }
    }
}

impl Owned {
    pub(super) fn wait_in_lines(&mut self, saga: SagaId, effects: &[Effect]) {
        self.waits.keep_outcome(saga, effects);
        self.waits.keep(&self.parts.guarded, self.parts.clock.now(), saga, effects, Told::OnRecord);
    }

    /// Something may ask again.
    pub(super) fn called(&mut self, wake: Wake) {
        let Wake { saga, command, woken } = wake;
        let Some(command) = command else { return self.outcome_called(saga, woken) };
        self.waits.called_out(saga, command);
        let body = Body::Input { saga, input: Input::Released { command } };
        self.take_input(saga, Message { body, record: None, receipt: Receipt::Woken(woken) });
    }

    /// Who was called and found the guard closed again waits on, not before it says.
    pub(super) fn wait_again(&mut self, saga: SagaId, live: &Live, input: &Input, ignored: &Ignored) {
        let Input::Released { command } = input else { return };
        let mut effects = react(&live.plan, &live.state);
        if let Ignored::StillHeld { guard: by, not_before: until } = ignored {
            for effect in &mut effects {
                if let Effect::Wait(wait) = effect
                    && wait.command == *command
                {
                    (wait.guard, wait.not_before) = (*by, *until);
                }
            }
        }
        self.waits.forget(saga, *command);
        self.waits.keep(&self.parts.guarded, self.parts.clock.now(), saga, &effects, Told::JustNow);
    }
}

/// Whether both are the same wait, whatever their times.
fn is_same(one: &WaitEffect, other: &WaitEffect) -> bool {
    (one.command, &one.whose, one.guard) == (other.command, &other.whose, other.guard)
}

fn waits(effect: &Effect) -> Option<&WaitEffect> {
    match effect {
        Effect::Wait(wait) => Some(wait),
        Effect::Call(_) | Effect::Publish(_) => None,
    }
}

/// How a command knows before when it is no use to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// When it was refused. By now its guard knows better who may go on: its room alone decides, or the times that were drawn would, and not
    /// who has waited longest.
    OnRecord,
    /// It asked and was refused although there was room: asking again at once would go round in a circle.
    JustNow,
}

fn since(effect: &WaitEffect, now: Timestamp, told: Told) -> Since {
    let not_before = match (effect.guard, told) {
        // Of one that had set out to leave: asking again before that would go round in a circle, with rows.
        (Guard::Transport | Guard::RateLimit | Guard::Bulkhead, _) | (_, Told::JustNow) => effect.not_before.since(now),
        (Guard::Breaker | Guard::RetryBudget | Guard::Health, Told::OnRecord) => Duration::ZERO,
    };
    Since { guard: effect.guard, since_ms: effect.since.0, not_before, has_probed: effect.has_probed }
}
