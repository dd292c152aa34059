//! The waiting line before a gate: who waits durably is called out of it when the gate has room, and no sooner.

use super::Gate;
use crate::gate::state::Inner;
use crate::topics::Takes;
use saga_core::{
    command::{CommandRef, Direction, Guard},
    id::SagaId,
};
use saga_guards::{
    Lane, Monotonic,
    line::{Line, LineTicket, Standing, Waiting},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::{self, OwnedPermit, error::TrySendError};

/// When one is called again whose shard has not yet looked at those that were called before.
pub(super) const CALL_AGAIN: Duration = Duration::from_millis(50);

/// What waits of a saga, and where to call it.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Where its shard is notified.
    pub calls: mpsc::Sender<Wake>,
    /// Its saga.
    pub saga: SagaId,
    /// Which command; `None`: the outcome event.
    pub command: Option<CommandRef>,
}

/// One who waits in a line, since when, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Held {
    who: Waiter,
    joined: Monotonic,
    guard: Guard,
}

/// Something of a saga may ask again.
#[derive(Debug)]
pub struct Wake {
    /// The saga that is read again.
    pub saga: SagaId,
    /// Which command; `None`: the outcome event.
    pub command: Option<CommandRef>,
    /// Held until it has asked.
    pub woken: Woken,
}

/// One who was called and has not asked yet counts as one who is admitted. Dropped when it has.
#[derive(Debug)]
pub struct Woken {
    gate: Arc<Gate>,
    call: u64,
}

/// A place in a line, left when dropped.
#[derive(Debug)]
pub struct InLine {
    gate: Arc<Gate>,
    which: Which,
    ticket: LineTicket,
}

/// Which of a gate's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// Of those whom the participant cannot take.
    Calls,
    /// Of those whom the retry budget holds back.
    Retries,
}

/// When and how somebody waits.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    /// Who refused.
    pub guard: Guard,
    /// Since when the command waits for its next attempt, in milliseconds since 1970: the oldest goes first.
    pub since_ms: i64,
    /// No use to ask before, from now.
    pub not_before: Duration,
    /// Its last attempt was a probe.
    pub has_probed: bool,
}

impl Gate {
    /// Waits in line until it is called.
    pub(crate) fn join(self: &Arc<Gate>, since: Since, waiter: Waiter) -> InLine {
        let joined = self.now();
        let waiting = Waiting {
            lane: waiter.command.map_or(Lane::Do, |command| lane(command.direction)),
            since_ms: since.since_ms,
            not_before: joined.plus(since.not_before),
            standing: standing(since.guard),
            has_probed: since.has_probed && since.guard == Guard::Breaker,
        };
        let which = which(since.guard);
        let held = Held { who: waiter, joined, guard: since.guard };
        let ticket = self.inner().line_of(which).join(waiting, held);
        self.bell.notify_one();
        InLine { gate: Arc::clone(self), which, ticket }
    }

    /// Calls as many as there is room for; answers when to look again, if not rung before.
    pub(crate) fn call_who_may_go_on(self: &Arc<Gate>, health: Result<(), Duration>, takes: Takes) -> Option<Duration> {
        let now = self.now();
        let mut inner = self.inner();
        if !inner.somebody_waits() {
            return None;
        }
        let to_wake = inner.fit(now);
        let room = inner.room(health, takes, now);
        let further = inner.room_of_retries(now);
        let mut called: Vec<_> = (0..room.calls).map_while(|_| inner.call(Which::Calls, now)).collect();
        let left = room.calls.saturating_sub(u32::try_from(called.len()).unwrap_or(u32::MAX));
        called.extend((0..left.min(further.calls)).map_while(|_| inner.call(Which::Retries, now)));
        let next_times = [Which::Calls, Which::Retries].map(|which| inner.next_time(which, now));
        drop(inner);
        to_wake.wake(self);
        called.into_iter().for_each(|one| self.reach(one, now));
        let looks = [room.look_again, further.look_again];
        looks.into_iter().chain(next_times).flatten().min()
    }

    fn reach(self: &Arc<Gate>, one: OneCalled, now: Monotonic) {
        match one {
            OneCalled::Reached { place, call, held } => {
                let Held { who: Waiter { saga, command, .. }, joined, guard } = held;
                self.meters.waited(guard, now.since(joined));
                drop(place.send(Wake { saga, command, woken: Woken { gate: Arc::clone(self), call } }));
            }
            OneCalled::TakenBack | OneCalled::Gone(_) => {}
        }
    }
}

/// One who was called out of a line.
enum OneCalled {
    /// With room where the call goes, under the call's number.
    Reached { place: OwnedPermit<Wake>, call: u64, held: Held },
    /// Its shard has not yet looked at those that were called before.
    TakenBack,
    /// Its shard is gone, and the next owner waits in its place. Dropped outside of the lock: the last of a shard takes its channel along,
    /// with turns in it that are given back under the lock.
    Gone(#[expect(dead_code, reason = "for its drop")] Held),
}

impl Inner {
    fn line_of(&mut self, which: Which) -> &mut Line<Held> {
        match which {
            Which::Calls => &mut self.line,
            Which::Retries => &mut self.retries,
        }
    }

    /// Who cannot be reached now goes back, under the same lock: whoever leaves meanwhile would otherwise be put back after leaving.
    fn call(&mut self, which: Which, now: Monotonic) -> Option<OneCalled> {
        let called = self.line_of(which).next(now)?;
        Some(match called.waiter.who.calls.clone().try_reserve_owned() {
            Ok(place) => OneCalled::Reached { place, call: self.woken.add(now), held: called.waiter },
            Err(TrySendError::Full(_)) => {
                self.line_of(which).take_back(called, now.plus(CALL_AGAIN));
                OneCalled::TakenBack
            }
            Err(TrySendError::Closed(_)) => OneCalled::Gone(called.waiter),
        })
    }

    /// When the time of the next one comes who could not go on yet were there room; those who could wait for a bell.
    fn next_time(&mut self, which: Which, now: Monotonic) -> Option<Duration> {
        let line = self.line_of(which);
        line.has_ready(now);
        line.next_time().map(|time| time.since(now))
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        let mut inner = self.gate.inner();
        inner.woken.remove(self.call);
        let somebody_waits = inner.somebody_waits();
        drop(inner);
        if somebody_waits {
            self.gate.bell.notify_one();
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let left = self.gate.inner().line_of(self.which).leave(self.ticket);
        // Outside of the lock, as whoever is the last of a shard.
        drop(left);
    }
}

/// The lane of a command: undos go first.
#[must_use]
pub fn lane(direction: Direction) -> Lane {
    match direction {
        Direction::Undo => Lane::Undo,
        Direction::Do => Lane::Do,
    }
}

/// A transport that cannot take one command holds nobody else back.
fn standing(guard: Guard) -> Standing {
    match guard {
        Guard::Breaker | Guard::Bulkhead | Guard::RateLimit | Guard::Health | Guard::RetryBudget => Standing::InLine,
        Guard::Transport => Standing::Alone,
    }
}

fn which(guard: Guard) -> Which {
    match guard {
        Guard::Breaker | Guard::Bulkhead | Guard::RateLimit | Guard::Health | Guard::Transport => Which::Calls,
        Guard::RetryBudget => Which::Retries,
    }
}
