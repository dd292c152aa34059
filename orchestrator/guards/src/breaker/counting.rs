use super::{
    Breaker, Mode, Phase, Ramp, SOONEST, Settled, Ticket, Trip, Verdict, slots::SlotId, snapshot::Tripped,
    ticket::Leave, watch::Watch, window::Counts,
};
use crate::Monotonic;
use std::time::Duration;

impl Breaker {
    /// Takes a ticket back with what its call said and how long it took. If it opens, `random` decides for how long.
    // By value: a ticket is good for one verdict.
    #[allow(clippy::needless_pass_by_value)]
    pub fn settle(&mut self, ticket: Ticket, verdict: Verdict, took: Duration, now: Monotonic, random: u64) -> Settled {
        if ticket.generation != self.generation {
            return self.stale(verdict);
        }
        match (self.mode, self.phase, ticket.leave) {
            (Mode::ForcedClosed, _, _) => Settled::Kept,
            (Mode::MetricsOnly, _, _) => self.watched(verdict, took, now),
            (Mode::Automatic, Phase::Closed { .. }, Leave::Freely) => {
                self.came_back(verdict, now);
                self.called(verdict, took, now, random)
            }
            (Mode::Automatic, Phase::Closed { .. }, Leave::Ramp(slot)) => {
                self.climbed(slot, verdict);
                self.called(verdict, took, now, random)
            }
            (Mode::Automatic, Phase::HalfOpen { .. }, Leave::Probe(slot)) => {
                self.probed(slot, verdict, took, now, random)
            }
            // A breaker issues no other tickets, so this one is another breaker's.
            (Mode::Automatic, Phase::Closed { .. }, Leave::Probe(_))
            | (Mode::Automatic, Phase::HalfOpen { .. }, Leave::Freely | Leave::Ramp(_))
            | (Mode::Automatic, Phase::Open { .. }, _)
            | (Mode::ForcedOpen, _, _) => self.stale(verdict),
        }
    }

    fn stale(&mut self, verdict: Verdict) -> Settled {
        self.stale_results += u64::from(verdict.failed().is_some());
        Settled::Stale
    }

    /// What says nothing counts as accepted, because its request was counted: it must not make the participant look worse.
    fn came_back(&mut self, verdict: Verdict, now: Monotonic) {
        if let Some(shed) = &mut self.shed {
            shed.came_back(verdict.failed() != Some(true), now);
        }
    }

    fn called(&mut self, verdict: Verdict, took: Duration, now: Monotonic, random: u64) -> Settled {
        match self.count(verdict, took, now).and_then(|counts| self.config.trip(counts, self.failures_in_a_row)) {
            Some(trip) => self.open(trip, now, random),
            None => Settled::Kept,
        }
    }

    /// The same, if it only counts.
    fn watched(&mut self, verdict: Verdict, took: Duration, now: Monotonic) -> Settled {
        let Some(counts) = self.count(verdict, took, now) else { return Settled::Kept };
        let Phase::Closed { watch, .. } = &mut self.phase else { return Settled::Kept };
        if !watch.counted(now) {
            return Settled::Kept;
        }
        let Some(trip) = self.config.trip(counts, self.failures_in_a_row) else { return Settled::Kept };
        *watch = Watch::told(self.config.settings().window, now);
        Settled::WouldOpen(trip)
    }

    /// What is in the window with this call; `None` if it does not count.
    fn count(&mut self, verdict: Verdict, took: Duration, now: Monotonic) -> Option<Counts> {
        let failed = verdict.failed()?;
        self.add_to_row(verdict);
        Some(self.window.add(Counts::call(failed, self.config.is_slow(took)), now))
    }

    fn add_to_row(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Failed => self.failures_in_a_row = self.failures_in_a_row.saturating_add(1),
            Verdict::Succeeded => self.failures_in_a_row = 0,
            Verdict::Throttled | Verdict::Neutral => {}
        }
    }

    fn climbed(&mut self, slot: SlotId, verdict: Verdict) {
        self.slots.give_back(slot);
        if let Phase::Closed { ramp: Some(ramp), .. } = &mut self.phase
            && verdict == Verdict::Succeeded
        {
            ramp.succeeded();
        }
    }

    fn probed(&mut self, slot: SlotId, verdict: Verdict, took: Duration, now: Monotonic, random: u64) -> Settled {
        self.slots.give_back(slot);
        let Some(failed) = verdict.failed() else { return Settled::Kept };
        self.add_to_row(verdict);
        if failed || self.config.is_slow(took) {
            return if self.late_successes > 0 {
                self.ask_soon(now, random)
            } else {
                self.open(Trip::Probe, now, random)
            };
        }
        let Phase::HalfOpen { succeeded } = &mut self.phase else { return Settled::Kept };
        *succeeded = succeeded.saturating_add(1);
        if *succeeded < self.config.successes() {
            return Settled::Kept;
        }
        self.close(now);
        Settled::Closed
    }

    fn open(&mut self, trip: Trip, now: Monotonic, random: u64) -> Settled {
        self.opened_in_a_row = self.opened_in_a_row.saturating_add(1);
        let counted = self.window.counts(now);
        let tripped = Tripped {
            by: trip,
            calls: counted.calls,
            failures: counted.failures,
            slow: counted.slow,
            failures_in_a_row: self.failures_in_a_row,
        };
        self.tripped = self.tripped.filter(|_| trip == Trip::Probe).or(Some(tripped));
        let until = now.plus(self.config.open_span(self.opened_in_a_row, random));
        self.enter(Phase::Open { until, random }, now);
        Settled::Opened(trip)
    }

    /// A probe failed while calls that had been given up succeeded: what lies before it is being worked off, and the next probe may be in time.
    fn ask_soon(&mut self, now: Monotonic, random: u64) -> Settled {
        self.enter(Phase::Open { until: now.plus(self.short_rest().max(SOONEST)), random }, now);
        Settled::Opened(Trip::Probe)
    }

    /// A call that had been given up succeeded after all: the participant works, if late. As many of them as probes have to succeed end the
    /// time of an open breaker: probes find out at once whether it is in time again. While probes are out, one is enough for the next probe to
    /// come soon if they fail. Whether it may be asked now has just changed.
    pub fn late_success(&mut self, now: Monotonic) -> bool {
        self.late_successes = self.late_successes.saturating_add(1);
        let Phase::Open { until, random } = self.phase else { return false };
        let ends = self.mode == Mode::Automatic && now < until && self.late_successes >= self.config.successes();
        if ends {
            self.phase = Phase::Open { until: now, random };
        }
        ends
    }

    pub(super) fn close(&mut self, now: Monotonic) {
        self.opened_in_a_row = 0;
        self.tripped = None;
        // What it accepted before it broke says nothing of what it accepts now; the ramp finds out.
        self.forget_shedding();
        let ramp = Ramp::from(&self.config, now);
        self.enter(Phase::Closed { ramp, watch: Watch::Listening }, now);
    }
}
