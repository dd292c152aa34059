//! Which of a participant's endpoints takes a call, and which of them are left out for a while.
//!
//! Three things are known of an endpoint: how many calls to it are under way, how its calls ended (failures in a row
//! leave it out for a time: outlier detection), and what its health checks say. None of them may leave out all
//! endpoints: at most half of the endpoints are left out for failures, and while fewer than half are healthy, health is
//! no reason to leave one out (Envoy's panic threshold): the rest would be overloaded with the calls of all.

mod choose;
mod config;
mod endpoint;
#[cfg(test)]
mod tests;

pub use config::{BalancingStrategy, EjectionConfig};
pub use endpoint::BalancedEndpointSnapshot;

use crate::MonotonicTime;
use choose::EndpointFilter;
use endpoint::{BalancedEndpoint, EndpointId};
use std::{num::NonZeroU32, time::Duration};

/// The endpoints of one participant.
#[derive(Debug)]
pub struct LoadBalancer {
    strategy: BalancingStrategy,
    ejection: Option<EjectionConfig>,
    endpoints: Vec<BalancedEndpoint>,
    last_id: u64,
}

/// An endpoint that was picked for one call. It counts as busy until the caller gives the call's end to
/// [`LoadBalancer::done`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the endpoint counts as busy until the pick is done"]
pub struct EndpointPick {
    index: usize,
    id: EndpointId,
    /// How often the endpoint had been left out: what was picked before says nothing about it afterwards.
    era: u32,
}

impl EndpointPick {
    /// Position of the endpoint in the list of the time of the pick.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

/// What a call says about the endpoint that took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointVerdict {
    /// It answered, be it to say no.
    Succeeded,
    /// It did not, or not in time, or with an error of its own.
    Failed,
    /// Nothing: the call was never sent, or the caller stopped waiting for its end.
    Neutral,
}

/// What followed from a call's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointTransition {
    /// The endpoint stays as it is.
    Kept,
    /// It is left out for so long.
    Ejected(Duration),
}

/// A new list's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedEndpoint {
    /// Its share of the calls, relative to the others.
    pub weight: NonZeroU32,
    /// Position in the list before, if it was there: what is known of it stays.
    pub was: Option<usize>,
}

impl LoadBalancer {
    /// One endpoint for each weight, all healthy and unused. Without `ejection` none is left out for failures.
    ///
    /// # Panics
    /// If there is no weight.
    #[must_use]
    pub fn new(weights: &[NonZeroU32], strategy: BalancingStrategy, ejection: Option<EjectionConfig>) -> LoadBalancer {
        let listed: Vec<_> = weights.iter().map(|weight| ListedEndpoint { weight: *weight, was: None }).collect();
        let mut balancer = LoadBalancer { strategy, ejection, endpoints: Vec::new(), last_id: 0 };
        balancer.configure(&listed, strategy, ejection, MonotonicTime::default());
        balancer
    }

    /// Another list, another way to pick. Endpoints that were in the list before keep what is known of them; if more
    /// than half of the new list would be left out, those whose time is over first come back at once.
    ///
    /// # Panics
    /// If the list is empty.
    pub fn configure(
        &mut self,
        listed: &[ListedEndpoint],
        strategy: BalancingStrategy,
        ejection: Option<EjectionConfig>,
        now: MonotonicTime,
    ) {
        assert!(!listed.is_empty(), "a participant has at least one endpoint");
        let mut before: Vec<Option<BalancedEndpoint>> = self.endpoints.drain(..).map(Some).collect();
        for each in listed {
            let known = each.was.and_then(|was| before.get_mut(was)?.take());
            let endpoint = match known {
                Some(known) => known.weighing(each.weight),
                None => BalancedEndpoint::new(self.next_id(), each.weight),
            };
            self.endpoints.push(endpoint);
        }
        (self.strategy, self.ejection) = (strategy, ejection);
        self.let_back_beyond_half(now);
    }

    /// An endpoint for one call, by the strategy, among those that are neither left out nor unhealthy; there is always
    /// one. `avoid` (the position of one that just failed the same command) is picked only if no other may be.
    pub fn pick(&mut self, now: MonotonicTime, random: u64, avoid: Option<usize>) -> EndpointPick {
        let tier = EndpointFilter::first_with_any(&self.endpoints, now, avoid);
        let index = choose::one(&mut self.endpoints, self.strategy, &tier, random);
        let endpoint = &mut self.endpoints[index];
        endpoint.begin();
        EndpointPick { index, id: endpoint.id, era: endpoint.ejections_ever }
    }

    /// The call of `pick` is over. Of an endpoint that was left out since, or is not listed any more, it says nothing.
    #[expect(clippy::needless_pass_by_value, reason = "a pick ends once")]
    pub fn done(&mut self, pick: EndpointPick, verdict: EndpointVerdict, now: MonotonicTime) -> EndpointTransition {
        let Some(index) = self.position(&pick) else { return EndpointTransition::Kept };
        let endpoint = &mut self.endpoints[index];
        endpoint.end();
        if endpoint.ejections_ever != pick.era {
            return EndpointTransition::Kept;
        }
        match verdict {
            EndpointVerdict::Neutral => EndpointTransition::Kept,
            EndpointVerdict::Succeeded => {
                endpoint.succeeded();
                EndpointTransition::Kept
            }
            EndpointVerdict::Failed => {
                endpoint.failed();
                self.eject_if_due(index, now)
            }
        }
    }

    /// What the health check of the endpoint at `index` says. Changes nothing if no endpoint has that position.
    pub fn set_health(&mut self, index: usize, healthy: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.healthy = healthy;
        }
    }

    /// Positions of the endpoints whose time of being left out is over, each once. That they get calls again does not
    /// wait for it.
    pub fn come_back(&mut self, now: MonotonicTime) -> impl Iterator<Item = usize> + '_ {
        let all = self.endpoints.iter_mut().enumerate();
        all.filter_map(move |(index, endpoint)| endpoint.comes_back(now).then_some(index))
    }

    /// The endpoints at this moment, by position.
    #[must_use]
    pub fn snapshot(&self, now: MonotonicTime) -> Vec<BalancedEndpointSnapshot> {
        self.endpoints.iter().map(|endpoint| endpoint.snapshot(now)).collect()
    }

    /// How many endpoints there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Lists change rarely, so the position of the pick is nearly always still the endpoint's.
    fn position(&self, pick: &EndpointPick) -> Option<usize> {
        let is_it = |endpoint: &BalancedEndpoint| endpoint.id == pick.id;
        match self.endpoints.get(pick.index) {
            Some(endpoint) if is_it(endpoint) => Some(pick.index),
            Some(_) | None => self.endpoints.iter().position(is_it),
        }
    }

    fn eject_if_due(&mut self, index: usize, now: MonotonicTime) -> EndpointTransition {
        let Some(ejection) = self.ejection else { return EndpointTransition::Kept };
        let out = self.endpoints.iter().filter(|endpoint| endpoint.is_ejected(now)).count();
        let has_room = 2 * (out + 1) <= self.endpoints.len();
        let endpoint = &mut self.endpoints[index];
        if endpoint.failures < ejection.consecutive_failures.get() || endpoint.is_ejected(now) || !has_room {
            return EndpointTransition::Kept;
        }
        EndpointTransition::Ejected(endpoint.eject(&ejection, now))
    }

    fn let_back_beyond_half(&mut self, now: MonotonicTime) {
        let most = if self.ejection.is_some() { self.endpoints.len() / 2 } else { 0 };
        loop {
            let out = self.endpoints.iter_mut().filter(|endpoint| endpoint.is_ejected(now));
            let (count, first) = out.fold((0, None), |(count, first), endpoint| (count + 1, sooner(first, endpoint)));
            match first {
                Some(endpoint) if count > most => endpoint.let_back(now),
                Some(_) | None => return,
            }
        }
    }

    fn next_id(&mut self) -> EndpointId {
        self.last_id += 1;
        EndpointId(self.last_id)
    }
}

/// The one of the two that is left out for a shorter time.
fn sooner<'e>(
    first: Option<&'e mut BalancedEndpoint>,
    other: &'e mut BalancedEndpoint,
) -> Option<&'e mut BalancedEndpoint> {
    match first {
        Some(first) if first.ejected_until <= other.ejected_until => Some(first),
        Some(_) | None => Some(other),
    }
}
