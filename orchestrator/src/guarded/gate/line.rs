//! The waiting line before a gate: who waits durably is called out of it when the gate has room, and no sooner.

use super::Gate;
use saga_core::{
    command::{CommandRef, Direction, Guard},
    id::SagaId,
};
use saga_guards::{
    Lane, Monotonic,
    line::{Called, LineTicket, Standing, Waiting},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::{self, error::TrySendError};

/// When one is called again whose shard has not yet looked at those that were called before.
const CALL_AGAIN: Duration = Duration::from_millis(50);

/// A command that waits, and where to call it.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) calls: mpsc::Sender<Wake>,
    pub(crate) saga: SagaId,
    pub(crate) command: CommandRef,
}

/// One who waits in a line, since when, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Held {
    who: Waiter,
    joined: Monotonic,
    guard: Guard,
}

/// A command may ask again.
#[derive(Debug)]
pub(crate) struct Wake {
    pub(crate) saga: SagaId,
    pub(crate) command: CommandRef,
    /// Held until it has asked.
    pub(crate) woken: Woken,
}

/// One who was called and has not asked yet counts as one who is admitted. Dropped when it has.
#[derive(Debug)]
pub struct Woken(Arc<Gate>);

/// A place in a line, left when dropped.
#[derive(Debug)]
pub struct InLine {
    gate: Arc<Gate>,
    ticket: LineTicket,
}

/// When and how somebody waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    /// Who refused.
    pub(crate) guard: Guard,
    /// Since when the command is worked on, in milliseconds since 1970: the oldest goes first.
    pub(crate) since_ms: i64,
    /// No use to ask before, from now.
    pub(crate) not_before: Duration,
}

impl Gate {
    /// Waits in line until it is called.
    pub(crate) fn join(self: &Arc<Gate>, since: Since, waiter: Waiter) -> InLine {
        let joined = self.now();
        let waiting = Waiting {
            lane: lane(waiter.command.direction),
            since_ms: since.since_ms,
            not_before: joined.plus(since.not_before),
            standing: standing(since.guard),
        };
        let ticket = self.inner().line.join(waiting, Held { who: waiter, joined, guard: since.guard });
        self.bell.notify_one();
        InLine { gate: Arc::clone(self), ticket }
    }

    /// Calls as many as there is room for; answers when to look again, if not rung before.
    pub(crate) fn call_who_may_go_on(self: &Arc<Gate>, health: Result<(), Duration>) -> Option<Duration> {
        let now = self.now();
        let mut inner = self.inner();
        if inner.line.is_empty() {
            return None;
        }
        let to_wake = inner.fit(now);
        let room = inner.room(health, now);
        let called: Vec<_> = (0..room.calls).map_while(|_| inner.line.next(now)).collect();
        inner.woken += u32::try_from(called.len()).unwrap_or(u32::MAX);
        drop(inner);
        to_wake.wake(self);
        called.into_iter().for_each(|one| self.call(one, now));
        let next_time = self.inner().line.next_time().map(|time| time.since(now));
        [room.look_again, next_time].into_iter().flatten().min()
    }

    fn call(self: &Arc<Gate>, called: Called<Held>, now: Monotonic) {
        let woken = Woken(Arc::clone(self));
        match called.waiter.who.calls.clone().try_reserve_owned() {
            Ok(call) => {
                let Held { who: Waiter { saga, command, .. }, joined, guard } = called.waiter;
                self.meters.waited(guard, now.since(joined));
                drop(call.send(Wake { saga, command, woken }));
            }
            Err(TrySendError::Full(_)) => self.inner().line.take_back(called, now.plus(CALL_AGAIN)),
            // The shard is gone, and its next owner waits in its place.
            Err(TrySendError::Closed(_)) => {}
        }
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        let mut inner = self.0.inner();
        inner.woken -= 1;
        let somebody_waits = inner.somebody_waits();
        drop(inner);
        if somebody_waits {
            self.0.bell.notify_one();
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let _ = self.gate.inner().line.leave(self.ticket);
    }
}

pub(crate) fn lane(direction: Direction) -> Lane {
    match direction {
        Direction::Undo => Lane::Undo,
        Direction::Do => Lane::Do,
    }
}

/// A transport that cannot take one command, and a budget for further attempts, hold nobody else back.
fn standing(guard: Guard) -> Standing {
    match guard {
        Guard::Breaker | Guard::Bulkhead | Guard::RateLimit | Guard::Health => Standing::InLine,
        Guard::Transport | Guard::RetryBudget => Standing::Alone,
    }
}
