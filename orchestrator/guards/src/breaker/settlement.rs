use super::{
    BreakerMode, BreakerPhase, BreakerTicket, BreakerTransition, CallVerdict, CircuitBreaker, MIN_DELAY, SlowStartRamp,
    TripReason, counts::CallCounts, probe_slots::ProbeSlotId, report_throttle::TripReportThrottle,
    snapshot::TripDetails, ticket::TicketKind,
};
use crate::MonotonicTime;
use std::time::Duration;

impl CircuitBreaker {
    /// Takes a ticket back with what its call said and how long it took. If it opens, `random` decides for how long.
    // By value: a ticket is good for one verdict.
    #[allow(clippy::needless_pass_by_value)]
    pub fn settle(
        &mut self,
        ticket: BreakerTicket,
        verdict: CallVerdict,
        took: Duration,
        now: MonotonicTime,
        random: u64,
    ) -> BreakerTransition {
        if ticket.generation != self.generation {
            return self.stale(verdict);
        }
        match (self.mode, self.phase, ticket.kind) {
            (BreakerMode::ForcedClosed, _, _) => BreakerTransition::Kept,
            (BreakerMode::MetricsOnly, _, _) => self.settle_metrics_only(verdict, took, now),
            (BreakerMode::Automatic, BreakerPhase::Closed { .. }, TicketKind::Unlimited) => {
                self.record_for_shedding(verdict, now);
                self.settle_closed(verdict, took, now, random)
            }
            (BreakerMode::Automatic, BreakerPhase::Closed { .. }, TicketKind::Ramp(slot)) => {
                self.settle_ramp_call(slot, verdict);
                self.settle_closed(verdict, took, now, random)
            }
            (BreakerMode::Automatic, BreakerPhase::HalfOpen { .. }, TicketKind::Probe(slot)) => {
                self.settle_probe(slot, verdict, took, now, random)
            }
            // A breaker issues no other tickets, so this one is another breaker's.
            (BreakerMode::Automatic, BreakerPhase::Closed { .. }, TicketKind::Probe(_))
            | (BreakerMode::Automatic, BreakerPhase::HalfOpen { .. }, TicketKind::Unlimited | TicketKind::Ramp(_))
            | (BreakerMode::Automatic, BreakerPhase::Open { .. }, _)
            | (BreakerMode::ForcedOpen, _, _) => self.stale(verdict),
        }
    }

    fn stale(&mut self, verdict: CallVerdict) -> BreakerTransition {
        self.stale_results += u64::from(verdict.failed().is_some());
        BreakerTransition::Stale
    }

    /// What says nothing counts as accepted, because its request was counted: it must not make the participant look
    /// worse.
    fn record_for_shedding(&mut self, verdict: CallVerdict, now: MonotonicTime) {
        if let Some(shed) = &mut self.shed {
            shed.came_back(verdict.failed() != Some(true), now);
        }
    }

    fn settle_closed(
        &mut self,
        verdict: CallVerdict,
        took: Duration,
        now: MonotonicTime,
        random: u64,
    ) -> BreakerTransition {
        match self.count(verdict, took, now).and_then(|counts| self.config.trip(counts, self.failures_in_a_row)) {
            Some(trip) => self.open(trip, now, random),
            None => BreakerTransition::Kept,
        }
    }

    /// The same, if it only counts.
    fn settle_metrics_only(&mut self, verdict: CallVerdict, took: Duration, now: MonotonicTime) -> BreakerTransition {
        let Some(counts) = self.count(verdict, took, now) else { return BreakerTransition::Kept };
        let BreakerPhase::Closed { watch, .. } = &mut self.phase else { return BreakerTransition::Kept };
        if !watch.counted(now) {
            return BreakerTransition::Kept;
        }
        let Some(trip) = self.config.trip(counts, self.failures_in_a_row) else { return BreakerTransition::Kept };
        *watch = TripReportThrottle::told(self.config.settings().window, now);
        BreakerTransition::WouldOpen(trip)
    }

    /// What is in the window with this call; `None` if it does not count.
    fn count(&mut self, verdict: CallVerdict, took: Duration, now: MonotonicTime) -> Option<CallCounts> {
        let failed = verdict.failed()?;
        self.count_in_a_row(verdict);
        Some(self.window.add(CallCounts::call(failed, self.config.is_slow(took)), now))
    }

    fn count_in_a_row(&mut self, verdict: CallVerdict) {
        match verdict {
            CallVerdict::Failed => self.failures_in_a_row = self.failures_in_a_row.saturating_add(1),
            CallVerdict::Succeeded => self.failures_in_a_row = 0,
            CallVerdict::Throttled | CallVerdict::Neutral => {}
        }
    }

    fn settle_ramp_call(&mut self, slot: ProbeSlotId, verdict: CallVerdict) {
        self.slots.give_back(slot);
        if let BreakerPhase::Closed { ramp: Some(ramp), .. } = &mut self.phase
            && verdict == CallVerdict::Succeeded
        {
            ramp.succeeded();
        }
    }

    fn settle_probe(
        &mut self,
        slot: ProbeSlotId,
        verdict: CallVerdict,
        took: Duration,
        now: MonotonicTime,
        random: u64,
    ) -> BreakerTransition {
        self.slots.give_back(slot);
        let Some(failed) = verdict.failed() else { return BreakerTransition::Kept };
        self.count_in_a_row(verdict);
        if failed || self.config.is_slow(took) {
            return if self.late_successes > 0 {
                self.reopen_briefly(now, random)
            } else {
                self.open(TripReason::Probe, now, random)
            };
        }
        let BreakerPhase::HalfOpen { succeeded } = &mut self.phase else { return BreakerTransition::Kept };
        *succeeded = succeeded.saturating_add(1);
        if *succeeded < self.config.successes() {
            return BreakerTransition::Kept;
        }
        self.close(now);
        BreakerTransition::Closed
    }

    fn open(&mut self, trip: TripReason, now: MonotonicTime, random: u64) -> BreakerTransition {
        self.opened_in_a_row = self.opened_in_a_row.saturating_add(1);
        let counted = self.window.counts(now);
        let tripped = TripDetails {
            by: trip,
            calls: counted.calls,
            failures: counted.failures,
            slow: counted.slow,
            failures_in_a_row: self.failures_in_a_row,
        };
        self.tripped = self.tripped.filter(|_| trip == TripReason::Probe).or(Some(tripped));
        let until = now.plus(self.config.open_span(self.opened_in_a_row, random));
        self.enter(BreakerPhase::Open { until, random }, now);
        BreakerTransition::Opened(trip)
    }

    /// A probe failed while calls that had been given up succeeded: what lies before it is being worked off, and the
    /// next probe may be in time.
    fn reopen_briefly(&mut self, now: MonotonicTime, random: u64) -> BreakerTransition {
        self.enter(BreakerPhase::Open { until: now.plus(self.short_delay().max(MIN_DELAY)), random }, now);
        BreakerTransition::Opened(TripReason::Probe)
    }

    /// A call that had been given up succeeded after all: the participant works, if late. As many of them as probes
    /// have to succeed end the time of an open breaker: probes find out at once whether it is in time again. While
    /// probes are out, one is enough for the next probe to come soon if they fail. Whether it may be asked now has just
    /// changed.
    pub fn late_success(&mut self, now: MonotonicTime) -> bool {
        self.late_successes = self.late_successes.saturating_add(1);
        let BreakerPhase::Open { until, random } = self.phase else { return false };
        let ends = self.mode == BreakerMode::Automatic && now < until && self.late_successes >= self.config.successes();
        if ends {
            self.phase = BreakerPhase::Open { until: now, random };
        }
        ends
    }

    pub(super) fn close(&mut self, now: MonotonicTime) {
        self.opened_in_a_row = 0;
        self.tripped = None;
        // What it accepted before it broke says nothing of what it accepts now; the ramp finds out.
        self.forget_shedding();
        let ramp = SlowStartRamp::from(&self.config, now);
        self.enter(BreakerPhase::Closed { ramp, watch: TripReportThrottle::Listening }, now);
    }
}
