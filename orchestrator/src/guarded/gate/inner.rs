//! The guards themselves, and how they work together. Pure but for the wakers that wait in them.

use super::{
    Asking,
    line::Held,
    places::{Slots, ToWake},
};
use crate::guarded::{
    changes::What,
    permit::Said,
    settings::{GateSettings, Steering},
};
use saga_core::command::Guard;
use saga_guards::{
    Lane, Monotonic,
    adaptive::Adaptive,
    breaker::{self, Admission, Breaker, Settled, Ticket, Verdict},
    budget::Budget,
    bulkhead::Bulkhead,
    line::Line,
    rate::RateLimit,
};
use std::{num::NonZeroU32, time::Duration};

/// How long a probe holds its slot at most: longer than most attempts. The breaker cuts it at `probeTimeout`.
const PROBE_HOLD: Duration = Duration::from_secs(60);

/// Calls that may wait for each place, where the file does not say: what a place clears within the patience at 60 ms a call. More would only
/// wait to be refused.
const WAITING_PER_PLACE: u32 = 16;

/// Who is called out of the line and has not asked yet: each reads its saga before it asks, and more at once would only queue for the
/// database.
const MOST_WOKEN: u32 = 256;

#[derive(Debug)]
pub(super) struct Inner {
    settings: GateSettings,
    said: Steering,
    breaker: Breaker,
    budget: Budget,
    rate: Option<RateLimit>,
    /// Calls that wait for the rate limit, by lane.
    pub(super) pacing: [u32; 2],
    pub(super) places: Slots,
    adaptive: Option<Adaptive>,
    /// Until then it works at its degraded share, because its breaker has tripped.
    degraded_until: Option<Monotonic>,
    pub(super) line: Line<Held>,
    /// Who refused last those who wait in line.
    last_refusal: Guard,
    pub(super) woken: u32,
    permits: u32,
    /// Permits that were given, ever.
    calls_begun: u64,
}

/// Who refuses, and for how long at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) guard: Guard,
    pub(crate) not_before: Duration,
}

/// How many may be called out of the line, and when that may be more by time alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) calls: u32,
    pub(super) look_again: Option<Duration>,
}

impl Inner {
    pub(super) fn new(settings: GateSettings, now: Monotonic) -> Inner {
        let places = Bulkhead::new(settings.bulkhead.limit, queue_limit(&settings, settings.bulkhead.limit));
        Inner {
            breaker: Breaker::new(settings.breaker, now),
            budget: Budget::new(settings.budget, now),
            rate: settings.rate.map(|rate| RateLimit::new(rate, now)),
            pacing: [0; 2],
            places,
            adaptive: settings.bulkhead.adaptive.map(|config| Adaptive::new(config, now)),
            degraded_until: None,
            line: Line::default(),
            last_refusal: Guard::Breaker,
            woken: 0,
            permits: 0,
            calls_begun: 0,
            said: Steering::default(),
            settings,
        }
    }

    pub(super) fn admit(
        &mut self,
        asking: Asking,
        health: Result<(), Duration>,
        now: Monotonic,
        random: u64,
    ) -> Result<Ticket, Refused> {
        let ticket = self.admit_by_guards(asking, health, now, random);
        if let Err(refused) = ticket
            && refused.guard != Guard::RetryBudget
        {
            self.last_refusal = refused.guard;
        }
        self.permits += u32::from(ticket.is_ok());
        self.calls_begun += u64::from(ticket.is_ok());
        ticket
    }

    fn admit_by_guards(
        &mut self,
        asking: Asking,
        health: Result<(), Duration>,
        now: Monotonic,
        random: u64,
    ) -> Result<Ticket, Refused> {
        if self.heeds_health() {
            health.map_err(|not_before| Refused { guard: Guard::Health, not_before })?;
        }
        if !asking.is_woken && self.line.is_before(asking.lane) {
            return Err(Refused { guard: self.last_refusal, not_before: Duration::ZERO });
        }
        self.has_room_in_memory(now)?;
        let ticket = match self.breaker.admit(now, PROBE_HOLD, random) {
            Admission::Admitted(ticket) => ticket,
            Admission::Refused { retry_after, why: _ } => {
                return Err(Refused { guard: Guard::Breaker, not_before: spread(retry_after, random) });
            }
        };
        if !asking.is_further {
            self.budget.first(now);
            return Ok(ticket);
        }
        match self.budget.take(now) {
            Ok(()) => Ok(ticket),
            Err(not_before) => {
                let _ = self.breaker.settle(ticket, Verdict::Neutral, Duration::ZERO, now, random);
                Err(Refused { guard: Guard::RetryBudget, not_before: spread(not_before, random) })
            }
        }
    }

    /// Whoever forces a breaker closed knows better than a health check.
    fn heeds_health(&self) -> bool {
        match self.breaker.mode() {
            breaker::Mode::Automatic | breaker::Mode::ForcedOpen => true,
            breaker::Mode::ForcedClosed | breaker::Mode::MetricsOnly => false,
        }
    }

    /// What would only be refused after its decision is refused before it.
    fn has_room_in_memory(&mut self, now: Monotonic) -> Result<(), Refused> {
        if self.places.in_flight() >= self.places.limit().get() && self.places.queue_room() == 0 {
            return Err(Refused { guard: Guard::Bulkhead, not_before: Duration::ZERO });
        }
        let wait = self.wait_for_rate(now);
        if wait > self.settings.bulkhead.max_wait {
            return Err(Refused { guard: Guard::RateLimit, not_before: wait });
        }
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        ticket: Ticket,
        said: Said,
        took: Duration,
        now: Monotonic,
        random: u64,
    ) -> Settled {
        self.permits = self.permits.saturating_sub(1);
        let settled = self.breaker.settle(ticket, said.verdict, took, now, random);
        if let Some(pause) = said.pause {
            self.breaker.open_for_at_least(pause, now);
        }
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.finished(said.load(took), self.places.in_flight(), now);
        }
        if let (Settled::Closed, Some(span)) = (settled, self.settings.degraded.after_trip) {
            self.degraded_until = Some(now.plus(span));
        }
        settled
    }

    /// Gives the bulkhead and the rate limit the size that holds at `now`; whoever gets a place by that has to be woken.
    pub(super) fn fit(&mut self, now: Monotonic) -> ToWake {
        let share = self.share(now);
        let limit = self.limit(share);
        if limit != self.places.limit() {
            self.places.resize(limit);
            self.places.resize_queue(queue_limit(&self.settings, limit));
        }
        self.fit_rate(share, now);
        ToWake::all_of(&mut self.places)
    }

    fn fit_rate(&mut self, share: f64, now: Monotonic) {
        let wanted =
            self.said.rate.or(self.settings.rate).map(|rate| if share < 1.0 { rate.scaled(share) } else { rate });
        match (&mut self.rate, wanted) {
            (Some(limit), Some(rate)) if limit.rate() == rate => {}
            (Some(limit), Some(rate)) => limit.configure(rate, now),
            (none @ None, Some(rate)) => *none = Some(RateLimit::new(rate, now)),
            (limit, None) => *limit = None,
        }
    }

    /// The share of its capacity that it works at.
    pub(super) fn share(&self, now: Monotonic) -> f64 {
        self.said.share.or(self.share_after_trip(now)).unwrap_or(1.0)
    }

    fn share_after_trip(&self, now: Monotonic) -> Option<f64> {
        self.degraded_until.filter(|until| now < *until).map(|_| self.settings.degraded.share)
    }

    /// The share that it works at from now on because its breaker, which has just closed, had tripped.
    pub(super) fn share_now_after_trip(&self, settled: Settled, now: Monotonic) -> Option<f64> {
        let is_news = settled == Settled::Closed && self.said.share.is_none();
        is_news.then(|| self.share_after_trip(now)).flatten().filter(|share| *share < 1.0)
    }

    /// Whether the time after a trip is over since this was last asked, and all of the capacity is used again.
    pub(super) fn is_restored(&mut self, now: Monotonic) -> bool {
        let over = self.degraded_until.take_if(|until| *until <= now).is_some();
        over && self.said.share.is_none() && self.settings.degraded.share < 1.0
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn limit(&self, share: f64) -> NonZeroU32 {
        let adapted = self.adaptive.as_ref().map(Adaptive::limit);
        let whole = self.said.bulkhead.or(adapted).unwrap_or(self.settings.bulkhead.limit);
        NonZeroU32::new((f64::from(whole.get()) * share) as u32).unwrap_or(NonZeroU32::MIN)
    }

    pub(super) fn configure(&mut self, settings: GateSettings, now: Monotonic) {
        self.breaker.configure(settings.breaker, now);
        self.budget.configure(settings.budget);
        match (&mut self.adaptive, settings.bulkhead.adaptive) {
            (Some(adaptive), Some(config)) => adaptive.configure(config),
            (adaptive, config) => *adaptive = config.map(|config| Adaptive::new(config, now)),
        }
        self.settings = settings;
        // What held them back may hold for another time now.
        self.line.forgive_times();
    }

    /// Answers what is different by that.
    pub(super) fn apply(&mut self, said: Steering, now: Monotonic) -> Vec<What> {
        let (mut told, before) = (Vec::new(), self.share(now));
        if said.resets != self.said.resets {
            self.breaker.reset(now);
            self.degraded_until = None;
            told.push(What::Reset);
        }
        if said.mode != self.breaker.mode() {
            self.breaker.set_mode(said.mode, now);
            told.push(What::ModeChanged { mode: said.mode.into() });
        }
        if said != self.said {
            self.line.forgive_times();
        }
        self.said = said;
        told.extend(change_of_share(before, self.share(now)));
        told
    }

    pub(super) fn state(&self) -> breaker::State {
        self.breaker.state()
    }

    pub(super) fn opens_in(&mut self, now: Monotonic) -> Duration {
        let room = self.breaker.room(now);
        if room.calls > 0 { Duration::ZERO } else { room.look_again.unwrap_or(breaker::FORCED_REST) }
    }

    /// How many may be called out of the line: as many as would be admitted, and find a place or a short queue.
    pub(super) fn room(&mut self, health: Result<(), Duration>, now: Monotonic) -> Room {
        if let (true, Err(later)) = (self.heeds_health(), health) {
            return Room { calls: 0, look_again: Some(later) };
        }
        let breaker = self.breaker.room(now);
        let places = self.places.limit().get().saturating_sub(self.places.in_flight());
        let queue = self.places.queue_room().min(self.places.limit().get());
        let (paced, pace) = self.room_of_rate(now);
        let calls = breaker.calls.min(places.saturating_add(queue)).min(paced).min(MOST_WOKEN);
        let degraded = self.degraded_until.map(|until| until.since(now)).filter(|left| !left.is_zero());
        let times = [breaker.look_again, pace, degraded];
        Room { calls: calls.saturating_sub(self.woken), look_again: times.into_iter().flatten().min() }
    }

    /// Those whom the rate lets pass within the short wait in memory.
    fn room_of_rate(&self, now: Monotonic) -> (u32, Option<Duration>) {
        let Some(rate) = &self.rate else { return (u32::MAX, None) };
        let soon = self.settings.bulkhead.max_wait.as_nanos() / rate.rate().pace().as_nanos();
        let soon = u32::try_from(soon).unwrap_or(u32::MAX);
        let room = rate.room(now).saturating_add(soon).saturating_sub(self.paced());
        (room, Some(rate.wait(now).max(rate.rate().pace())))
    }

    /// How long one who comes now waits for the rate limit, behind those who do already.
    pub(super) fn wait_for_rate(&self, now: Monotonic) -> Duration {
        let Some(rate) = &self.rate else { return Duration::ZERO };
        rate.wait(now).saturating_add(rate.rate().pace().saturating_mul(self.paced()))
    }

    /// A do lets the undos go first that wait already.
    pub(super) fn take_rate(&mut self, lane: Lane, now: Monotonic) -> Result<(), Duration> {
        let Some(rate) = &mut self.rate else { return Ok(()) };
        let before = match lane {
            Lane::Undo => 0,
            Lane::Do => self.pacing[Lane::Undo.index()],
        };
        if before > 0 { Err(rate.wait(now) + rate.rate().pace() * before) } else { rate.take(now) }
    }

    fn paced(&self) -> u32 {
        self.pacing.iter().sum()
    }

    pub(super) fn max_wait(&self) -> Duration {
        self.settings.bulkhead.max_wait
    }

    pub(super) fn somebody_waits(&self) -> bool {
        !self.line.is_empty()
    }

    pub(super) fn view(&mut self, now: Monotonic) -> super::GateView {
        super::GateView {
            breaker: self.breaker.snapshot(now),
            permits: self.permits,
            calls_begun: self.calls_begun,
            limit: self.places.limit(),
            waiting: self.places.waiting(),
            pacing: self.paced(),
            rate_room: self.rate.as_ref().map(|rate| rate.room(now)),
            budget: self.budget.snapshot(now),
            share: self.share(now),
            in_line: u32::try_from(self.line.len()).unwrap_or(u32::MAX),
        }
    }
}

fn queue_limit(settings: &GateSettings, limit: NonZeroU32) -> u32 {
    settings.bulkhead.max_waiting.unwrap_or(limit.get().saturating_mul(WAITING_PER_PLACE))
}

#[expect(clippy::float_cmp, reason = "a share that nobody touched is the same bits")]
fn change_of_share(before: f64, after: f64) -> Option<What> {
    if before == after {
        return None;
    }
    Some(if after < 1.0 { What::Degraded { share: after } } else { What::Restored })
}

/// Up to a quarter later, so that everybody who was refused does not come back at once.
fn spread(rest: Duration, random: u64) -> Duration {
    let sixteenths = u32::try_from(random % 16).unwrap_or(0);
    rest + rest / 4 * sixteenths / 16
}
