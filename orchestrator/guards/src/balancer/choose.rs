//! Picking one of those that may be picked.

use super::{BalancingStrategy, endpoint::BalancedEndpoint};
use crate::MonotonicTime;

/// Which endpoints may be picked at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointFilter {
    now: MonotonicTime,
    avoid: Option<usize>,
    by_health: bool,
}

impl EndpointFilter {
    /// The most demanding one that admits at least one endpoint. No filter admits an ejected endpoint: at most half are
    /// ejected at once.
    pub(super) fn first_with_any(
        endpoints: &[BalancedEndpoint],
        now: MonotonicTime,
        avoid: Option<usize>,
    ) -> EndpointFilter {
        let healthy = endpoints.iter().filter(|endpoint| endpoint.healthy).count();
        let by_health = 2 * healthy >= endpoints.len();
        let tiers = [(by_health, avoid), (by_health, None), (false, avoid), (false, None)];
        let tier = |(by_health, avoid)| EndpointFilter { now, avoid, by_health };
        let has_any = |tier: &EndpointFilter| endpoints.iter().enumerate().any(|(index, it)| tier.admits(index, it));
        tiers.map(tier).into_iter().find(has_any).unwrap_or(tier((false, None)))
    }

    fn admits(&self, index: usize, endpoint: &BalancedEndpoint) -> bool {
        let well = endpoint.healthy || !self.by_health;
        well && self.avoid != Some(index) && !endpoint.is_ejected(self.now)
    }

    fn indices<'e>(&'e self, endpoints: &'e [BalancedEndpoint]) -> impl Iterator<Item = usize> + 'e {
        endpoints.iter().enumerate().filter(|(index, it)| self.admits(*index, it)).map(|(index, _)| index)
    }
}

/// The position of the endpoint that takes the next call.
pub(super) fn one(
    endpoints: &mut [BalancedEndpoint],
    strategy: BalancingStrategy,
    tier: &EndpointFilter,
    random: u64,
) -> usize {
    let chosen = match strategy {
        BalancingStrategy::RoundRobin => in_turn(endpoints, tier),
        BalancingStrategy::LeastConnections => less_busy_of_two(endpoints, tier, random),
        BalancingStrategy::Random => by_weight(endpoints, tier, random),
    };
    chosen.expect("at most half of the endpoints are ejected, so one is in the tier")
}

/// Smooth weighted round robin, as nginx does it (commit 52327e0627f4, 2012): each round adds an endpoint's weight to
/// what it is owed; the endpoint that is owed most is picked and pays what all were given. {5, 1, 1} gives a a b a c a
/// a, not a a a a a b c.
fn in_turn(endpoints: &mut [BalancedEndpoint], tier: &EndpointFilter) -> Option<usize> {
    let mut given = 0;
    let mut most: Option<(usize, i64)> = None;
    for (index, endpoint) in endpoints.iter_mut().enumerate() {
        if !tier.admits(index, endpoint) {
            continue;
        }
        let weight = i64::from(endpoint.weight.get());
        endpoint.owed = endpoint.owed.saturating_add(weight);
        given += weight;
        if most.is_none_or(|(_, owed)| endpoint.owed > owed) {
            most = Some((index, endpoint.owed));
        }
    }
    let (index, owed) = most?;
    endpoints[index].owed = owed.saturating_sub(given);
    Some(index)
}

fn less_busy_of_two(endpoints: &[BalancedEndpoint], tier: &EndpointFilter, random: u64) -> Option<usize> {
    let count = tier.indices(endpoints).count() as u64;
    let (high, low) = (random >> 32, random & 0xffff_ffff);
    let first = below(count, high);
    let second = below(count.saturating_sub(1), low);
    // The second is drawn among the others.
    let second = if second >= first { second + 1 } else { second };
    let nth = |place: u64| tier.indices(endpoints).nth(usize::try_from(place).unwrap_or(usize::MAX));
    let first = nth(first)?;
    match nth(second) {
        Some(second) if endpoints[first].is_busier_than(&endpoints[second]) => Some(second),
        Some(_) | None => Some(first),
    }
}

/// A number below `count` from 32 random bits.
fn below(count: u64, random: u64) -> u64 {
    count.saturating_mul(random) >> 32
}

fn by_weight(endpoints: &[BalancedEndpoint], tier: &EndpointFilter, random: u64) -> Option<usize> {
    let weight = |index: &usize| u64::from(endpoints[*index].weight.get());
    let total: u64 = tier.indices(endpoints).map(|index| weight(&index)).sum();
    let mut number = u64::try_from((u128::from(random) * u128::from(total)) >> 64).unwrap_or(0);
    tier.indices(endpoints).find(|index| {
        let weight = weight(index);
        let is_here = number < weight;
        number = number.saturating_sub(weight);
        is_here
    })
}
