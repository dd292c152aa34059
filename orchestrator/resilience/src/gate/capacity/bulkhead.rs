//! The bulkhead of a participant: its slots, the short queue for them, and the adaptive limit.

use crate::gate::acquire::{PendingWakeups, TaskBulkhead};
use saga_core::definition::participants::BulkheadConfig;
use saga_guards::{
    MonotonicTime,
    adaptive::{AdaptiveLimit, LoadSample},
    bulkhead::CallBulkhead,
};
use std::{num::NonZeroU32, time::Duration};

/// Calls that may wait for each slot, where the file does not say: what a slot clears within `maxWait` at 60 ms a call.
/// More calls would only wait to be refused.
const WAITING_PER_SLOT: u32 = 16;

/// After one call has waited in the queue in vain, no call is sent into it for so long: calls take longer than
/// `maxWait`, and a call that goes into the queue comes back with two rows in the journal and no call made.
const QUEUE_SUSPENSION: Duration = Duration::from_secs(10);

/// The slots for calls in flight.
#[derive(Debug)]
pub(in crate::gate) struct BulkheadState {
    config: BulkheadConfig,
    /// What operators have set in place of the configured and of the adaptive limit.
    manual_limit: Option<NonZeroU32>,
    adaptive: Option<AdaptiveLimit>,
    slots: TaskBulkhead,
    queue_suspended_until: MonotonicTime,
}

impl BulkheadState {
    pub(super) fn new(config: BulkheadConfig, now: MonotonicTime) -> BulkheadState {
        BulkheadState {
            manual_limit: None,
            adaptive: config.adaptive.map(|adaptive| AdaptiveLimit::new(adaptive, now)),
            slots: CallBulkhead::new(config.limit, queue_limit(config, config.limit)),
            queue_suspended_until: MonotonicTime::default(),
            config,
        }
    }

    pub(super) fn configure(&mut self, config: BulkheadConfig, now: MonotonicTime) {
        match (&mut self.adaptive, config.adaptive) {
            (Some(adaptive), Some(config)) => adaptive.configure(config),
            (adaptive, config) => *adaptive = config.map(|config| AdaptiveLimit::new(config, now)),
        }
        self.config = config;
    }

    pub(super) fn set_manual_limit(&mut self, limit: Option<NonZeroU32>) {
        self.manual_limit = limit;
    }

    /// Works at `share` of the limit from now on. The calls for which there is a slot by that have to be woken.
    pub(super) fn resize(&mut self, share: f64) -> PendingWakeups {
        let limit = self.limit_at(share);
        self.slots.resize(limit);
        self.slots.resize_queue(queue_limit(self.config, limit));
        PendingWakeups::all_of(&mut self.slots)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn limit_at(&self, share: f64) -> NonZeroU32 {
        let adapted = self.adaptive.as_ref().map(AdaptiveLimit::limit);
        let whole = self.manual_limit.or(adapted).unwrap_or(self.config.limit);
        NonZeroU32::new((f64::from(whole.get()) * share) as u32).unwrap_or(NonZeroU32::MIN)
    }

    /// What a call that has ended says of the participant's load. Its own slot still counts as taken.
    pub(in crate::gate) fn record_load(&mut self, load: LoadSample, now: MonotonicTime) {
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.finished(load, self.slots.in_flight(), now);
        }
    }

    /// A call has waited in the queue in vain.
    pub(in crate::gate) fn suspend_queue(&mut self, now: MonotonicTime) {
        self.queue_suspended_until = now.plus(QUEUE_SUSPENSION);
    }

    /// Calls that may be in flight or wait for a slot.
    pub(super) fn max_in_memory(&self, now: MonotonicTime) -> u32 {
        let queue = if now < self.queue_suspended_until { 0 } else { self.slots.queue_limit() };
        self.slots.limit().get().saturating_add(queue)
    }

    pub(super) fn has_free_slot(&self) -> bool {
        self.slots.in_flight() < self.slots.limit().get()
    }

    pub(super) fn enter(&mut self) -> bool {
        self.slots.try_acquire()
    }

    /// The slots and their queue, for the call that takes one.
    pub(in crate::gate) fn slots(&mut self) -> &mut TaskBulkhead {
        &mut self.slots
    }

    pub(in crate::gate) fn max_wait(&self) -> Duration {
        self.config.max_wait
    }

    pub(in crate::gate) fn limit(&self) -> NonZeroU32 {
        self.slots.limit()
    }

    pub(in crate::gate) fn in_flight(&self) -> u32 {
        self.slots.in_flight()
    }

    pub(in crate::gate) fn waiting(&self) -> u32 {
        self.slots.waiting()
    }
}

fn queue_limit(config: BulkheadConfig, limit: NonZeroU32) -> u32 {
    config.max_waiting.unwrap_or(limit.get().saturating_mul(WAITING_PER_SLOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_queue_holds_also_where_the_limit_stays() {
        let now = MonotonicTime::default();
        let config = BulkheadConfig::of(NonZeroU32::new(4).expect("not zero"));
        let mut bulkhead = BulkheadState::new(config, now);
        assert_eq!(bulkhead.max_in_memory(now), 4 + 4 * WAITING_PER_SLOT);
        bulkhead.configure(BulkheadConfig { max_waiting: Some(3), ..config }, now);
        drop(bulkhead.resize(1.0));
        assert_eq!(bulkhead.max_in_memory(now), 7);
    }
}
