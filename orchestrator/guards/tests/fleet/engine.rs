//! One engine: its guards of the participant, put together as the orchestrator's gate does, and the commands it has to
//! get done.

use crate::{Lots, at, participant::Participant};
use saga_guards::{
    MonotonicTime, PriorityLane,
    breaker::{BreakerAdmission, BreakerConfig, BreakerParameters, BreakerTicket, CallVerdict, CircuitBreaker},
    budget::{self, RetryBudget},
    bulkhead::CallBulkhead,
    retry::RetryPolicy,
    wait_queue::{QueueBlocking, QueueEntry, WaitQueue},
};
use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

pub(crate) const PROBES: usize = 2;
pub(crate) const SHARE: f64 = 0.2;
pub(crate) const RESERVE_PER_SECOND: u32 = 1;
const PLACES: u32 = 8;
const QUEUE: u32 = 16;
const HOLD: Duration = Duration::from_secs(5);

/// A command, and what became of it.
pub(crate) struct Command {
    pub(crate) lane: PriorityLane,
    pub(crate) arrived: Duration,
    pub(crate) ended: Option<Duration>,
    pub(crate) attempts: u32,
}

struct UnderWay {
    command: usize,
    ticket: BreakerTicket,
    left: Duration,
    ends: Duration,
    verdict: CallVerdict,
}

pub(crate) struct Engine {
    breaker: CircuitBreaker,
    budget: RetryBudget,
    places: CallBulkhead<(usize, BreakerTicket)>,
    line: WaitQueue<usize>,
    under_way: Vec<UnderWay>,
    /// Commands that failed, and when they may be tried again.
    resting: BTreeSet<(Duration, usize)>,
    pub(crate) commands: Vec<Command>,
    still_open: usize,
    /// When each call left.
    pub(crate) calls: Vec<Duration>,
    /// Probes that were out at once at most.
    pub(crate) most_probes: usize,
}

impl Engine {
    pub(crate) fn new(now: MonotonicTime) -> Engine {
        let settings = BreakerParameters {
            consecutive_failures: NonZeroU32::new(10),
            max_open_for: Duration::from_secs(20),
            probes: PROBES as u32,
            ..BreakerParameters::default()
        };
        let budget = budget::RetryBudgetConfig { share: SHARE, reserve_per_second: RESERVE_PER_SECOND };
        Engine {
            breaker: CircuitBreaker::new(BreakerConfig::new(settings).expect("valid settings"), now),
            budget: RetryBudget::new(budget, now),
            places: CallBulkhead::new(NonZeroU32::new(PLACES).expect("some"), QUEUE),
            line: WaitQueue::default(),
            under_way: Vec::new(),
            resting: BTreeSet::new(),
            commands: Vec::new(),
            still_open: 0,
            calls: Vec::new(),
            most_probes: 0,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.still_open == 0
    }

    /// Somebody wants a command done.
    pub(crate) fn arrive(&mut self, lane: PriorityLane, time: Duration) {
        self.commands.push(Command { lane, arrived: time, ended: None, attempts: 0 });
        self.still_open += 1;
        let command = self.commands.len() - 1;
        self.resting.insert((time, command));
    }

    /// All that happens at `time`: calls end, those who rested ask, and those who are called out of the line.
    pub(crate) fn tick(&mut self, time: Duration, participant: &mut Participant, lots: &mut Lots) {
        self.end_calls(time, participant, lots);
        while let Some((rested, command)) = self.resting.pop_first() {
            if rested > time {
                self.resting.insert((rested, command));
                break;
            }
            self.ask(command, false, time, participant, lots);
        }
        for _ in 0..self.room(time) {
            let Some(called) = self.line.next(at(time)) else { break };
            self.ask(called.waiter, true, time, participant, lots);
        }
    }

    fn end_calls(&mut self, time: Duration, participant: &mut Participant, lots: &mut Lots) {
        let (ended, still): (Vec<_>, Vec<_>) = self.under_way.drain(..).partition(|call| call.ends <= time);
        self.under_way = still;
        for UnderWay { command, ticket, left, verdict, .. } in ended {
            self.breaker.settle(ticket, verdict, time - left, at(time), lots.draw());
            match verdict {
                CallVerdict::Succeeded => self.end(command, time),
                CallVerdict::Failed | CallVerdict::Throttled | CallVerdict::Neutral => self.rest(command, time, lots),
            }
            if let Some((next, ticket)) = self.places.leave() {
                self.leave(next, ticket, time, participant, lots);
            }
        }
    }

    fn end(&mut self, command: usize, time: Duration) {
        self.commands[command].ended = Some(time);
        self.still_open -= 1;
    }

    fn rest(&mut self, command: usize, time: Duration, lots: &mut Lots) {
        let attempts = self.commands[command].attempts;
        let rest = RetryPolicy::quick().delay_before(attempts + 1, None, lots.draw());
        self.resting.insert((time + rest, command));
    }

    fn queue_room(&self) -> u32 {
        self.places.queue_limit() - self.places.waiting()
    }

    fn room(&mut self, time: Duration) -> u32 {
        let free = self.places.limit().get().saturating_sub(self.places.in_flight());
        self.breaker.room(at(time)).calls.min(free + self.queue_room().min(PLACES))
    }

    fn ask(&mut self, command: usize, is_woken: bool, time: Duration, participant: &mut Participant, lots: &mut Lots) {
        let lane = self.commands[command].lane;
        let is_full = self.places.in_flight() >= self.places.limit().get() && self.queue_room() == 0;
        let before = self.line.ahead_of(lane, at(time));
        let overtakes = before > 0 && usize::try_from(self.room(time)).is_ok_and(|room| room <= before);
        if (!is_woken && overtakes) || is_full {
            return self.wait(command, time, QueueBlocking::BlocksLater);
        }
        match self.breaker.admit(at(time), HOLD, lots.draw()) {
            BreakerAdmission::Refused { retry_after, why: _ } => {
                self.wait(command, time + retry_after, QueueBlocking::BlocksLater);
            }
            BreakerAdmission::Admitted(ticket) => self.pay(command, ticket, time, participant, lots),
        }
    }

    fn pay(
        &mut self,
        command: usize,
        ticket: BreakerTicket,
        time: Duration,
        participant: &mut Participant,
        lots: &mut Lots,
    ) {
        if self.commands[command].attempts == 0 {
            self.budget.first(at(time));
        } else if let Err(later) = self.budget.take(at(time)) {
            self.breaker.settle(ticket, CallVerdict::Neutral, Duration::ZERO, at(time), lots.draw());
            return self.wait(command, time + later, QueueBlocking::BlocksNone);
        }
        if self.places.try_acquire() {
            self.leave(command, ticket, time, participant, lots);
        } else {
            let lane = self.commands[command].lane;
            assert!(self.places.enqueue(lane, (command, ticket)).is_ok(), "it has been asked for room");
        }
    }

    fn wait(&mut self, command: usize, until: Duration, standing: QueueBlocking) {
        let Command { lane, arrived, .. } = self.commands[command];
        let since_ms = i64::try_from(arrived.as_millis()).expect("minutes");
        self.line.enqueue(
            QueueEntry { lane, since_ms, not_before: at(until), blocking: standing, after_failed_probe: false },
            command,
        );
    }

    fn leave(
        &mut self,
        command: usize,
        ticket: BreakerTicket,
        time: Duration,
        participant: &mut Participant,
        lots: &mut Lots,
    ) {
        let (verdict, took) = participant.answer(time, lots);
        self.commands[command].attempts += 1;
        self.calls.push(time);
        self.under_way.push(UnderWay { command, ticket, left: time, ends: time + took, verdict });
        assert!(self.under_way.len() <= PLACES as usize);
        let probes = self.under_way.iter().filter(|call| call.ticket.is_probe() && call.left + HOLD > time).count();
        self.most_probes = self.most_probes.max(probes);
    }
}
