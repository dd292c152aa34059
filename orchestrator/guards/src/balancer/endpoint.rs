//! What is known of one endpoint.

use super::EjectionConfig;
use crate::MonotonicTime;
use std::{num::NonZeroU32, time::Duration};

/// Identity of an endpoint, whatever its position becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndpointId(pub(super) u64);

#[derive(Debug)]
pub(super) struct BalancedEndpoint {
    pub(super) id: EndpointId,
    pub(super) weight: NonZeroU32,
    /// What smooth round robin owes it; of all that are picked from, these add up to zero.
    pub(super) owed: i64,
    pub(super) in_flight: u32,
    pub(super) healthy: bool,
    /// Failures since the last success, or since it was left out.
    pub(super) failures: u32,
    /// What the next time that it is left out is multiplied by, less one; forgiven one by one.
    ejections: u32,
    pub(super) ejections_ever: u32,
    pub(super) ejected_until: Option<MonotonicTime>,
    picked: u64,
    failed: u64,
}

/// An endpoint at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancedEndpointSnapshot {
    /// Its share of the calls, relative to the others.
    pub weight: NonZeroU32,
    /// Calls to it that are picked and not done.
    pub in_flight: u32,
    /// What its health checks say; true until one says no.
    pub healthy: bool,
    /// Failures in a row.
    pub failures: u32,
    /// How much longer it is left out; `None`: it is not.
    pub ejected_for: Option<Duration>,
    /// How often it was left out.
    pub ejections: u32,
    /// Calls that were given to it.
    pub picked: u64,
    /// How many of them failed.
    pub failed: u64,
}

impl BalancedEndpoint {
    pub(super) fn new(id: EndpointId, weight: NonZeroU32) -> BalancedEndpoint {
        BalancedEndpoint {
            id,
            weight,
            owed: 0,
            in_flight: 0,
            healthy: true,
            failures: 0,
            ejections: 0,
            ejections_ever: 0,
            ejected_until: None,
            picked: 0,
            failed: 0,
        }
    }

    /// Round robin begins anew: what was owed was owed by another list.
    pub(super) fn weighing(self, weight: NonZeroU32) -> BalancedEndpoint {
        BalancedEndpoint { weight, owed: 0, ..self }
    }

    pub(super) fn begin(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.picked = self.picked.saturating_add(1);
    }

    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.ejections = self.ejections.saturating_sub(1);
    }

    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.failed = self.failed.saturating_add(1);
    }

    pub(super) fn is_ejected(&self, now: MonotonicTime) -> bool {
        self.ejected_until.is_some_and(|until| until > now)
    }

    /// Leaves it out, each time for longer.
    pub(super) fn eject(&mut self, ejection: &EjectionConfig, now: MonotonicTime) -> Duration {
        self.ejections = self.ejections.saturating_add(1);
        self.ejections_ever = self.ejections_ever.wrapping_add(1);
        self.failures = 0;
        let span = ejection.eject_for.saturating_mul(self.ejections).min(ejection.max_eject_for);
        self.ejected_until = Some(now.plus(span));
        span
    }

    pub(super) fn let_back(&mut self, now: MonotonicTime) {
        self.ejected_until = self.ejected_until.map(|until| until.min(now));
    }

    /// Whether it was left out until a moment that is over; asked again, no.
    pub(super) fn comes_back(&mut self, now: MonotonicTime) -> bool {
        self.ejected_until.take_if(|until| *until <= now).is_some()
    }

    /// The load that one more call would make, for the weight, against that of `other`.
    pub(super) fn is_busier_than(&self, other: &BalancedEndpoint) -> bool {
        let load = |endpoint: &BalancedEndpoint, weight: NonZeroU32| {
            (u64::from(endpoint.in_flight) + 1) * u64::from(weight.get())
        };
        load(self, other.weight) > load(other, self.weight)
    }

    pub(super) fn snapshot(&self, now: MonotonicTime) -> BalancedEndpointSnapshot {
        let rest = self.ejected_until.map(|until| until.since(now));
        BalancedEndpointSnapshot {
            weight: self.weight,
            in_flight: self.in_flight,
            healthy: self.healthy,
            failures: self.failures,
            ejected_for: rest.filter(|rest| !rest.is_zero()),
            ejections: self.ejections_ever,
            picked: self.picked,
            failed: self.failed,
        }
    }
}
