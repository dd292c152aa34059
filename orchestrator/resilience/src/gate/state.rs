//! The guards themselves, and how they work together. Pure but for the wakers that wait in them.

use super::{AttemptKind, CallArrival, PermitRequest};
use crate::gate::{
    capacity::{AdmittedCall, PendingWakeups, TaskBulkhead},
    wait_queue::QueuedWaiter,
};
use crate::{
    failed_call::{FailedCall, RecentFailures},
    guard_events::GuardEventKind,
    permit::CallSignal,
    settings::{GateSettings, ManualOverride},
    topics::TopicAvailability,
};
use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime, PriorityLane,
    adaptive::AdaptiveLimit,
    breaker::{
        self, BreakerAdmission, BreakerTicket, BreakerTransition, CallVerdict, CircuitBreaker, TripDetails, TripReason,
    },
    budget::RetryBudget,
    bulkhead::CallBulkhead,
    line::WaitQueue,
    rate::RateLimit,
};
use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

/// How long a probe holds its slot at most: longer than most attempts. The breaker cuts it at `probeTimeout`.
const PROBE_HOLD: Duration = Duration::from_secs(60);

/// Calls that may wait for each place, where the file does not say: what a place clears within the patience at 60 ms a call. More would only
/// wait to be refused.
const WAITING_PER_PLACE: u32 = 16;

/// Who is called out of the line and has not asked yet: each reads its saga before it asks, and more at once would only queue for the
/// database.
const MAX_NOTIFIED: u32 = 256;

/// For so long one who was called counts as one who will ask: it reads its saga first. A shard that does not look at its calls must not hold
/// everybody else back.
const NOTIFICATION_TTL: Duration = Duration::from_secs(5);

/// After somebody has waited in the bulkhead's queue in vain, nobody else is sent into it for so long: calls take longer than the queue's
/// patience, and whoever goes into it comes back with two rows and no call.
const QUEUE_IS_SLOW_FOR: Duration = Duration::from_secs(10);

/// Nobody is told to come back sooner.
const SHORTEST_REST: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct GateState {
    settings: GateSettings,
    manual_override: ManualOverride,
    breaker: CircuitBreaker,
    failures: RecentFailures,
    budget: RetryBudget,
    rate: Option<RateLimit>,
    /// Calls that wait for the rate limit.
    pub(super) rate_limit_waiting: u32,
    pub(super) bulkhead: TaskBulkhead,
    /// Until then nobody is sent into the queue for a place.
    queue_is_slow_until: MonotonicTime,
    adaptive: Option<AdaptiveLimit>,
    /// Until then it works at its degraded share, because its breaker has tripped.
    degraded_until: Option<MonotonicTime>,
    pub(super) wait_queue: WaitQueue<QueuedWaiter>,
    /// Further attempts that wait for the retry budget: they hold nobody else back.
    pub(super) retry_queue: WaitQueue<QueuedWaiter>,
    /// Who was called and has not asked yet.
    pub(super) notified: NotifiedCalls,
    permits: u32,
    /// Permits that were given, ever.
    calls_begun: u64,
}

/// Who refuses, and for how long at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardRefusal {
    /// The guard that refuses.
    pub guard: GuardKind,
    /// From now until the caller may ask again.
    pub not_before: Duration,
}

/// What is told of an opening.
#[derive(Clone, Debug)]
pub(super) struct BreakerOpening {
    pub(super) tripped: Option<TripDetails>,
    pub(super) last: Option<FailedCall>,
}

/// How many may be called out of the line, and when that may be more by time alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotifyCapacity {
    pub(super) calls: u32,
    pub(super) look_again: Option<Duration>,
}

impl GateState {
    pub(super) fn new(settings: GateSettings, now: MonotonicTime) -> GateState {
        let bulkhead = CallBulkhead::new(settings.bulkhead.limit, queue_limit(&settings, settings.bulkhead.limit));
        GateState {
            breaker: CircuitBreaker::new(settings.breaker, now),
            failures: RecentFailures::default(),
            budget: RetryBudget::new(settings.budget, now),
            rate: settings.rate.map(|rate| RateLimit::new(rate, now)),
            rate_limit_waiting: 0,
            bulkhead,
            queue_is_slow_until: MonotonicTime::default(),
            adaptive: settings.bulkhead.adaptive.map(|config| AdaptiveLimit::new(config, now)),
            degraded_until: None,
            wait_queue: WaitQueue::default(),
            retry_queue: WaitQueue::default(),
            notified: NotifiedCalls::default(),
            permits: 0,
            calls_begun: 0,
            manual_override: ManualOverride::default(),
            settings,
        }
    }

    pub(super) fn admit(
        &mut self,
        asking: PermitRequest,
        health: Result<(), Duration>,
        now: MonotonicTime,
        random: u64,
    ) -> Result<BreakerTicket, GuardRefusal> {
        let ticket = self.admit_by_guards(asking, health, now, random);
        self.permits += u32::from(ticket.is_ok());
        self.calls_begun += u64::from(ticket.is_ok());
        ticket
    }

    fn admit_by_guards(
        &mut self,
        asking: PermitRequest,
        health: Result<(), Duration>,
        now: MonotonicTime,
        random: u64,
    ) -> Result<BreakerTicket, GuardRefusal> {
        if self.respects_health_checks() {
            health.map_err(|not_before| GuardRefusal { guard: GuardKind::Health, not_before })?;
        }
        self.check_wait_queue(asking, now)?;
        self.check_memory_limits(now)?;
        let ticket = match self.breaker.admit(now, PROBE_HOLD, random) {
            BreakerAdmission::Admitted(ticket) => ticket,
            BreakerAdmission::Refused { retry_after, why: _ } => {
                return Err(GuardRefusal { guard: GuardKind::Breaker, not_before: spread(retry_after, random) });
            }
        };
        match self.charge_retry_budget(asking, now) {
            Ok(()) => Ok(ticket),
            Err(not_before) => {
                let _ = self.breaker.settle(ticket, CallVerdict::Neutral, Duration::ZERO, now, random);
                Err(GuardRefusal { guard: GuardKind::RetryBudget, not_before: spread(not_before, random) })
            }
        }
    }

    /// Who comes may go on beside those who wait in line if there is room for them all.
    fn check_wait_queue(&mut self, asking: PermitRequest, now: MonotonicTime) -> Result<(), GuardRefusal> {
        let before = match asking.arrival {
            CallArrival::Notified => return Ok(()),
            CallArrival::New => self.wait_queue.before(asking.lane, now),
            CallArrival::AfterFailedProbe => self.wait_queue.before_one_that_has_probed(now),
        };
        if before == 0 {
            return Ok(());
        }
        let (guard, room) = self.tightest(now);
        let passes = usize::try_from(room).is_ok_and(|room| room > before);
        if passes { Ok(()) } else { Err(GuardRefusal { guard, not_before: Duration::ZERO }) }
    }

    fn charge_retry_budget(&mut self, asking: PermitRequest, now: MonotonicTime) -> Result<(), Duration> {
        match asking.attempt {
            AttemptKind::First => {
                self.budget.first(now);
                Ok(())
            }
            AttemptKind::Retry => {
                let before = match asking.arrival {
                    CallArrival::Notified => 0,
                    CallArrival::New | CallArrival::AfterFailedProbe => self.retry_queue.before(PriorityLane::Do, now),
                };
                let balance = usize::try_from(self.budget.snapshot(now).balance).unwrap_or(usize::MAX);
                if before > 0 && balance <= before {
                    return Err(self.budget.wait(now).max(SHORTEST_REST));
                }
                self.budget.take(now)
            }
            AttemptKind::Repeat => Ok(()),
        }
    }

    /// What was paid or taken for an attempt that did not leave after all.
    pub(super) fn refund_retry_budget(&mut self, attempt: AttemptKind, now: MonotonicTime) {
        match attempt {
            AttemptKind::First => self.budget.take_back_first(now),
            AttemptKind::Retry => self.budget.give_back(now),
            AttemptKind::Repeat => {}
        }
    }
    /// Whoever forces a breaker closed knows better than a health check.
    fn respects_health_checks(&self) -> bool {
        match self.breaker.mode() {
            breaker::BreakerMode::Automatic | breaker::BreakerMode::ForcedOpen => true,
            breaker::BreakerMode::ForcedClosed | breaker::BreakerMode::MetricsOnly => false,
        }
    }

    /// What would only be refused after its decision is refused before it: those that were decided on and have not left yet count.
    fn check_memory_limits(&mut self, now: MonotonicTime) -> Result<(), GuardRefusal> {
        if self.free_slots(now) == 0 && self.permits >= self.most_in_memory(now) {
            return Err(GuardRefusal { guard: GuardKind::Bulkhead, not_before: Duration::ZERO });
        }
        let wait = self.wait_for_rate(now);
        if wait > self.settings.bulkhead.max_wait {
            return Err(GuardRefusal { guard: GuardKind::RateLimit, not_before: wait });
        }
        Ok(())
    }

    /// How long one more call would wait for the rate limit, behind those that are on their way to it.
    fn wait_for_rate(&self, now: MonotonicTime) -> Duration {
        let Some(rate) = &self.rate else { return Duration::ZERO };
        let (ahead, room) = (self.admitted_not_started(), rate.room(now));
        if ahead < room {
            return Duration::ZERO;
        }
        let first = if room == 0 { rate.wait(now) } else { rate.rate().pace() };
        first.saturating_add(rate.rate().pace().saturating_mul(ahead - room))
    }

    /// Calls that are decided on and have not reached the rate limit yet.
    fn admitted_not_started(&self) -> u32 {
        self.permits.saturating_sub(self.bulkhead.in_flight() + self.bulkhead.waiting() + self.rate_limit_waiting)
    }

    /// Calls that find a place, or a short queue of as many.
    fn free_slots(&self, now: MonotonicTime) -> u32 {
        let most = self.bulkhead.limit().get().saturating_mul(2);
        most.min(self.most_in_memory(now)).saturating_sub(self.permits)
    }

    /// Calls that may be out or wait for a place.
    fn most_in_memory(&self, now: MonotonicTime) -> u32 {
        let queue = if now < self.queue_is_slow_until { 0 } else { self.bulkhead.queue_limit() };
        self.bulkhead.limit().get().saturating_add(queue)
    }

    /// Somebody has waited in the queue in vain.
    pub(super) fn suspend_bulkhead_queue(&mut self, now: MonotonicTime) {
        self.queue_is_slow_until = now.plus(QUEUE_IS_SLOW_FOR);
    }

    /// Answers also how long the participant is left alone now because it asks for that.
    pub(super) fn settle(
        &mut self,
        ticket: BreakerTicket,
        said: CallSignal,
        took: Duration,
        now: MonotonicTime,
        random: u64,
    ) -> (BreakerTransition, Option<Duration>) {
        self.permits = self.permits.saturating_sub(1);
        let settled = self.breaker.settle(ticket, said.verdict, took, now, random);
        let pause = said.retry_after.and_then(|pause| self.breaker.open_for_at_least(pause, now));
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.finished(said.load(took), self.bulkhead.in_flight(), now);
        }
        match settled {
            BreakerTransition::Opened(
                TripReason::FailureRate | TripReason::SlowCallRate | TripReason::ConsecutiveFailures,
            ) => {
                self.failures.opened();
            }
            BreakerTransition::Closed => self.failures.closed(),
            BreakerTransition::Opened(TripReason::Probe)
            | BreakerTransition::Kept
            | BreakerTransition::Stale
            | BreakerTransition::WouldOpen(_) => {}
        }
        if settled == BreakerTransition::Closed {
            self.wait_queue.forgive_probes();
            self.degraded_until = self.settings.degraded.after_trip.map(|span| now.plus(span));
        }
        (settled, pause)
    }

    pub(super) fn failed(&mut self, failed: FailedCall) {
        self.failures.add(failed);
    }

    /// A call that had been given up succeeded after all. Whether the breaker asks its participant earlier for it.
    pub(super) fn late_success(&mut self, now: MonotonicTime) -> bool {
        let asks = self.breaker.late_success(now);
        if asks {
            self.clear_not_before();
        }
        asks
    }

    /// What opened the breaker, and the failures before that.
    pub(super) fn opening(&mut self, now: MonotonicTime) -> BreakerOpening {
        let snapshot = self.breaker.snapshot(now);
        BreakerOpening { tripped: snapshot.tripped, last: self.failures.last().into_iter().next() }
    }

    /// Gives the bulkhead and the rate limit the size that holds at `now`; whoever gets a place by that has to be woken.
    pub(super) fn resize_limits(&mut self, now: MonotonicTime) -> PendingWakeups {
        let share = self.share(now);
        let limit = self.limit(share);
        if limit != self.bulkhead.limit() {
            self.bulkhead.resize(limit);
            self.bulkhead.resize_queue(queue_limit(&self.settings, limit));
        }
        self.fit_rate(share, now);
        PendingWakeups::all_of(&mut self.bulkhead)
    }

    fn fit_rate(&mut self, share: f64, now: MonotonicTime) {
        let wanted = self
            .manual_override
            .rate
            .or(self.settings.rate)
            .map(|rate| if share < 1.0 { rate.scaled(share) } else { rate });
        match (&mut self.rate, wanted) {
            (Some(limit), Some(rate)) if limit.rate() == rate => {}
            (Some(limit), Some(rate)) => limit.configure(rate, now),
            (none @ None, Some(rate)) => *none = Some(RateLimit::new(rate, now)),
            (limit, None) => *limit = None,
        }
    }

    /// The share of its capacity that it works at.
    pub(super) fn share(&self, now: MonotonicTime) -> f64 {
        self.manual_override.share.or(self.share_after_trip(now)).unwrap_or(1.0)
    }

    fn share_after_trip(&self, now: MonotonicTime) -> Option<f64> {
        self.degraded_until.filter(|until| now < *until).map(|_| self.settings.degraded.share)
    }

    /// The share that it works at from now on because its breaker, which has just closed, had tripped.
    pub(super) fn share_now_after_trip(&self, settled: BreakerTransition, now: MonotonicTime) -> Option<f64> {
        let is_news = settled == BreakerTransition::Closed && self.manual_override.share.is_none();
        is_news.then(|| self.share_after_trip(now)).flatten().filter(|share| *share < 1.0)
    }

    /// Whether the time after a trip is over since this was last asked, and all of the capacity is used again.
    pub(super) fn is_restored(&mut self, now: MonotonicTime) -> bool {
        let over = self.degraded_until.take_if(|until| *until <= now).is_some();
        over && self.manual_override.share.is_none() && self.settings.degraded.share < 1.0
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn limit(&self, share: f64) -> NonZeroU32 {
        let adapted = self.adaptive.as_ref().map(AdaptiveLimit::limit);
        let whole = self.manual_override.bulkhead.or(adapted).unwrap_or(self.settings.bulkhead.limit);
        NonZeroU32::new((f64::from(whole.get()) * share) as u32).unwrap_or(NonZeroU32::MIN)
    }

    pub(super) fn configure(&mut self, settings: GateSettings, now: MonotonicTime) {
        self.breaker.configure(settings.breaker, now);
        self.budget.configure(settings.budget);
        match (&mut self.adaptive, settings.bulkhead.adaptive) {
            (Some(adaptive), Some(config)) => adaptive.configure(config),
            (adaptive, config) => *adaptive = config.map(|config| AdaptiveLimit::new(config, now)),
        }
        self.settings = settings;
        // What held them back may hold for another time now.
        self.clear_not_before();
    }

    pub(super) fn clear_not_before(&mut self) {
        self.wait_queue.forgive_times();
        self.wait_queue.forgive_probes();
        self.retry_queue.forgive_times();
    }

    /// Answers what is different by that.
    pub(super) fn apply(&mut self, said: ManualOverride, now: MonotonicTime) -> Vec<GuardEventKind> {
        let (mut told, before) = (Vec::new(), self.share(now));
        if said.resets != self.manual_override.resets {
            self.breaker.reset(now);
            self.failures.closed();
            if self.has_waiters() {
                self.breaker.close_for_those_who_waited(now);
            }
            self.degraded_until = None;
            told.push(GuardEventKind::Reset);
        }
        if said.mode != self.breaker.mode() {
            self.breaker.set_mode(said.mode, now);
            told.push(GuardEventKind::ModeChanged { mode: said.mode.into() });
        }
        if said != self.manual_override {
            self.clear_not_before();
        }
        self.manual_override = said;
        told.extend(change_of_share(before, self.share(now)));
        told
    }

    pub(super) fn state(&self) -> breaker::BreakerState {
        self.breaker.state()
    }

    pub(super) fn opens_in(&mut self, now: MonotonicTime) -> Duration {
        let room = self.breaker.room(now);
        if room.calls > 0 { Duration::ZERO } else { room.look_again.unwrap_or(breaker::FORCED_REST) }
    }

    /// How many may be called out of the line: as many as would be admitted, and find a place or a short queue.
    pub(super) fn notify_capacity(
        &mut self,
        health: Result<(), Duration>,
        takes: TopicAvailability,
        now: MonotonicTime,
    ) -> NotifyCapacity {
        if let (true, Err(later)) = (self.respects_health_checks(), health) {
            return NotifyCapacity { calls: 0, look_again: Some(later) };
        }
        let most = match takes {
            TopicAvailability::All => MAX_NOTIFIED,
            TopicAvailability::Probe => 1,
            TopicAvailability::Nothing(later) => return NotifyCapacity { calls: 0, look_again: Some(later) },
        };
        let woken = self.notified.count(now);
        let calls = self.tightest(now).1.min(most).saturating_sub(woken);
        let breaker = self.breaker.room(now).look_again;
        let pace = self.rate.as_ref().map(|rate| rate.wait(now).max(rate.rate().pace()));
        let degraded = self.degraded_until.map(|until| until.since(now)).filter(|left| !left.is_zero());
        let called = (woken > 0).then_some(NOTIFICATION_TTL);
        NotifyCapacity { calls, look_again: [breaker, pace, degraded, called].into_iter().flatten().min() }
    }

    /// How many of them may be further attempts, and when that may be more.
    pub(super) fn retry_notify_capacity(&mut self, now: MonotonicTime) -> NotifyCapacity {
        let look_again = Some(self.budget.wait(now)).filter(|wait| !wait.is_zero());
        NotifyCapacity { calls: self.budget.snapshot(now).balance, look_again }
    }

    /// The guard with the least room, and how much that is.
    fn tightest(&mut self, now: MonotonicTime) -> (GuardKind, u32) {
        let breaker = self.breaker.room(now).calls;
        let (places, paced) = (self.free_slots(now), self.rate_limit_capacity(now));
        if breaker <= places.min(paced) {
            (GuardKind::Breaker, breaker)
        } else if places <= paced {
            (GuardKind::Bulkhead, places)
        } else {
            (GuardKind::RateLimit, paced)
        }
    }

    /// Those whom the rate lets pass within the short wait in memory.
    fn rate_limit_capacity(&self, now: MonotonicTime) -> u32 {
        let Some(rate) = &self.rate else { return u32::MAX };
        let left = self.settings.bulkhead.max_wait.saturating_sub(rate.wait(now));
        let soon = left.as_nanos() / rate.rate().pace().as_nanos();
        let soon = u32::try_from(soon).unwrap_or(u32::MAX);
        rate.room(now).saturating_add(soon).saturating_sub(self.admitted_not_started())
    }

    /// Whether the breaker still lets a call leave that it has admitted.
    pub(super) fn check_still_admitted(
        &mut self,
        leaving: AdmittedCall,
        now: MonotonicTime,
    ) -> Result<(), GuardRefusal> {
        let recalled = self.breaker.recalls(leaving.generation, now);
        recalled.map_or(Ok(()), |not_before| Err(GuardRefusal { guard: GuardKind::Breaker, not_before }))
    }

    pub(super) fn reserve(&mut self, patience: Duration, now: MonotonicTime) -> Result<Duration, Duration> {
        self.rate.as_mut().map_or(Ok(Duration::ZERO), |rate| rate.reserve(patience, now))
    }

    pub(super) fn refund_rate_limit(&mut self) {
        self.rate.iter_mut().for_each(RateLimit::give_back);
    }

    pub(super) fn max_wait(&self) -> Duration {
        self.settings.bulkhead.max_wait
    }

    pub(super) fn has_waiters(&self) -> bool {
        !self.wait_queue.is_empty() || !self.retry_queue.is_empty()
    }

    pub(super) fn view(&mut self, now: MonotonicTime) -> super::GateView {
        super::GateView {
            now,
            breaker: self.breaker.snapshot(now),
            last_failures: self.failures.last(),
            failures_before_opening: self.failures.failures_before_opening(),
            permits: self.permits,
            calls_begun: self.calls_begun,
            limit: self.bulkhead.limit(),
            waiting: self.bulkhead.waiting(),
            rate_limit_waiting: self.rate_limit_waiting,
            rate_room: self.rate.as_ref().map(|rate| rate.room(now)),
            budget: self.budget.snapshot(now),
            share: self.share(now),
            queued: u32::try_from(self.wait_queue.len() + self.retry_queue.len()).unwrap_or(u32::MAX),
        }
    }
}

fn queue_limit(settings: &GateSettings, limit: NonZeroU32) -> u32 {
    settings.bulkhead.max_waiting.unwrap_or(limit.get().saturating_mul(WAITING_PER_PLACE))
}

#[expect(clippy::float_cmp, reason = "a share that nobody touched is the same bits")]
fn change_of_share(before: f64, after: f64) -> Option<GuardEventKind> {
    if before == after {
        return None;
    }
    Some(if after < 1.0 { GuardEventKind::Degraded { share: after } } else { GuardEventKind::Restored })
}

/// Up to a quarter later, so that everybody who was refused does not come back at once.
fn spread(rest: Duration, random: u64) -> Duration {
    let sixteenths = u32::try_from(random % 16).unwrap_or(0);
    rest + rest / 4 * sixteenths / 16
}

/// Those who were called out of the line and have not asked yet, each with the time of the call.
#[derive(Debug, Default)]
pub(super) struct NotifiedCalls {
    since: BTreeMap<u64, MonotonicTime>,
    last: u64,
}

impl NotifiedCalls {
    pub(super) fn add(&mut self, now: MonotonicTime) -> u64 {
        self.last += 1;
        self.since.insert(self.last, now);
        self.last
    }

    pub(super) fn remove(&mut self, call: u64) {
        self.since.remove(&call);
    }

    pub(super) fn count(&self, now: MonotonicTime) -> u32 {
        let recent = self.since.values().filter(|since| now.since(**since) < NOTIFICATION_TTL);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }
}
