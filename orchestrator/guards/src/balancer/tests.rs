use super::{BalancingStrategy, *};
use proptest::prelude::*;
use std::collections::BTreeMap;

const EJECTION: EjectionConfig = EjectionConfig {
    consecutive_failures: NonZeroU32::new(3).expect("3 is not zero"),
    eject_for: Duration::from_secs(30),
    max_eject_for: Duration::from_secs(70),
};

fn at(seconds: u64) -> MonotonicTime {
    MonotonicTime::since_origin(Duration::from_secs(seconds))
}

fn weights(weights: &[u32]) -> Vec<NonZeroU32> {
    weights.iter().map(|weight| NonZeroU32::new(*weight).expect("a weight is not zero")).collect()
}

fn balancer(shares: &[u32], strategy: BalancingStrategy) -> LoadBalancer {
    LoadBalancer::new(&weights(shares), strategy, Some(EJECTION))
}

/// Calls until the endpoint at `index` has failed so often; the others succeed.
fn fail(balancer: &mut LoadBalancer, index: usize, times: u32, now: MonotonicTime) -> EndpointTransition {
    let mut failed = 0;
    let mut last = EndpointTransition::Kept;
    while failed < times {
        let pick = balancer.pick(now, 0, None);
        let hit = pick.index() == index;
        failed += u32::from(hit);
        let settled = balancer.done(pick, if hit { EndpointVerdict::Failed } else { EndpointVerdict::Succeeded }, now);
        last = if hit { settled } else { last };
    }
    last
}

fn picked(balancer: &mut LoadBalancer, now: MonotonicTime, times: usize) -> Vec<usize> {
    (0..times)
        .map(|_| {
            let pick = balancer.pick(now, 0, None);
            let index = pick.index();
            balancer.done(pick, EndpointVerdict::Neutral, now);
            index
        })
        .collect()
}

#[test]
fn in_turn_means_smoothly_by_weight() {
    let mut balancer = balancer(&[5, 1, 1], BalancingStrategy::RoundRobin);
    assert_eq!(picked(&mut balancer, at(0), 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(picked(&mut balancer, at(0), 7), [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn of_two_the_less_busy_takes_the_call() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::LeastConnections);
    let held: Vec<EndpointPick> = (0..10).map(|call| balancer.pick(at(0), call << 62, None)).collect();
    let busy: Vec<u32> = balancer.snapshot(at(0)).iter().map(|it| it.in_flight).collect();
    assert_eq!(busy, [5, 5]);
    held.into_iter()
        .for_each(|pick| assert_eq!(balancer.done(pick, EndpointVerdict::Neutral, at(0)), EndpointTransition::Kept));
}

#[test]
fn an_endpoint_with_twice_the_weight_carries_twice_the_calls() {
    let mut balancer = balancer(&[1, 2], BalancingStrategy::LeastConnections);
    let held: Vec<EndpointPick> = (0..30).map(|_| balancer.pick(at(0), 7, None)).collect();
    let busy: Vec<u32> = balancer.snapshot(at(0)).iter().map(|it| it.in_flight).collect();
    assert_eq!(busy, [10, 20]);
    held.into_iter()
        .for_each(|pick| assert_eq!(balancer.done(pick, EndpointVerdict::Neutral, at(0)), EndpointTransition::Kept));
}

#[test]
fn whoever_fails_in_a_row_is_left_out_and_comes_back_by_time() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    assert_eq!(fail(&mut balancer, 1, 2, at(0)), EndpointTransition::Kept);
    assert_eq!(fail(&mut balancer, 1, 1, at(0)), EndpointTransition::Ejected(Duration::from_secs(30)));
    assert!(!picked(&mut balancer, at(29), 8).contains(&1));
    assert_eq!(balancer.snapshot(at(29))[1].ejected_for, Some(Duration::from_secs(1)));
    assert_eq!(balancer.come_back(at(29)).count(), 0);
    assert_eq!(balancer.come_back(at(30)).collect::<Vec<_>>(), [1]);
    assert_eq!(balancer.come_back(at(31)).count(), 0, "told once");
    assert!(picked(&mut balancer, at(30), 8).contains(&1));
}

#[test]
fn each_time_it_is_left_out_for_longer_up_to_the_longest_and_successes_forgive_one_by_one() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    let ejected = |seconds| EndpointTransition::Ejected(Duration::from_secs(seconds));
    assert_eq!(fail(&mut balancer, 1, 3, at(0)), ejected(30));
    assert_eq!(fail(&mut balancer, 1, 3, at(100)), ejected(60));
    assert_eq!(fail(&mut balancer, 1, 3, at(200)), ejected(70));
    succeed(&mut balancer, 1, 2, at(300));
    assert_eq!(fail(&mut balancer, 1, 3, at(300)), ejected(60));
    succeed(&mut balancer, 1, 5, at(400));
    assert_eq!(fail(&mut balancer, 1, 3, at(400)), ejected(30));
}

fn succeed(balancer: &mut LoadBalancer, index: usize, times: u32, now: MonotonicTime) {
    let mut done = 0;
    while done < times {
        let pick = balancer.pick(now, 0, None);
        let hit = pick.index() == index;
        done += u32::from(hit);
        balancer.done(pick, if hit { EndpointVerdict::Succeeded } else { EndpointVerdict::Neutral }, now);
    }
}

#[test]
fn a_success_between_two_failures_starts_the_count_again() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    for _ in 0..5 {
        assert_eq!(fail(&mut balancer, 1, 2, at(0)), EndpointTransition::Kept);
        succeed(&mut balancer, 1, 1, at(0));
    }
}

#[test]
fn at_most_half_are_left_out_at_once() {
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        let mut balancer = balancer(&vec![1; count], BalancingStrategy::RoundRobin);
        for _ in 0..100 {
            let pick = balancer.pick(at(0), 0, None);
            balancer.done(pick, EndpointVerdict::Failed, at(0));
        }
        let out = balancer.snapshot(at(0)).iter().filter(|it| it.ejected_for.is_some()).count();
        assert_eq!(out, most, "of {count}");
    }
}

#[test]
fn one_that_there_was_no_room_for_is_left_out_when_there_is() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    fail(&mut balancer, 0, 3, at(0));
    assert_eq!(fail(&mut balancer, 1, 9, at(0)), EndpointTransition::Kept);
    assert_eq!(fail(&mut balancer, 1, 1, at(30)), EndpointTransition::Ejected(Duration::from_secs(30)));
}

#[test]
fn a_late_answer_says_nothing_about_an_endpoint_that_was_left_out_since() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    let late: Vec<EndpointPick> = (0..8).map(|_| balancer.pick(at(0), 0, None)).collect();
    fail(&mut balancer, 1, 3, at(0));
    for pick in late.into_iter().filter(|pick| pick.index() == 1) {
        assert_eq!(balancer.done(pick, EndpointVerdict::Failed, at(31)), EndpointTransition::Kept);
    }
    assert_eq!(balancer.snapshot(at(31))[1].in_flight, 0);
    assert_eq!(balancer.snapshot(at(31))[1].failures, 0);
}

#[test]
fn the_unhealthy_are_left_out_unless_fewer_than_half_are_healthy() {
    let mut balancer = balancer(&[1, 1, 1, 1], BalancingStrategy::RoundRobin);
    balancer.set_health(0, false);
    balancer.set_health(1, false);
    assert!(picked(&mut balancer, at(0), 12).iter().all(|index| *index >= 2));
    balancer.set_health(2, false);
    for index in 0..4 {
        assert!(picked(&mut balancer, at(0), 12).contains(&index), "{index} is needed");
    }
    balancer.set_health(0, true);
    assert!(!picked(&mut balancer, at(0), 12).contains(&1));
}

#[test]
fn where_the_only_healthy_one_is_left_out_an_unhealthy_one_takes_the_call() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    fail(&mut balancer, 0, 3, at(0));
    balancer.set_health(1, false);
    assert_eq!(picked(&mut balancer, at(0), 3), [1, 1, 1]);
}

#[test]
fn one_that_is_to_be_avoided_is_picked_only_if_there_is_no_other() {
    let mut two = balancer(&[100, 1], BalancingStrategy::RoundRobin);
    for _ in 0..10 {
        let pick = two.pick(at(0), 0, Some(0));
        assert_eq!(pick.index(), 1);
        two.done(pick, EndpointVerdict::Succeeded, at(0));
    }
    let mut one = balancer(&[1], BalancingStrategy::Random);
    let pick = one.pick(at(0), 0, Some(0));
    assert_eq!(pick.index(), 0);
}

#[test]
fn another_list_keeps_what_is_known_of_those_that_stay() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    fail(&mut balancer, 1, 3, at(0));
    let held = balancer.pick(at(0), 0, None);
    assert_eq!(held.index(), 0);
    let weight = NonZeroU32::MIN;
    let listed = [
        ListedEndpoint { weight, was: None },
        ListedEndpoint { weight, was: Some(1) },
        ListedEndpoint { weight, was: Some(0) },
    ];
    balancer.configure(&listed, BalancingStrategy::Random, Some(EJECTION), at(1));
    let snapshot = balancer.snapshot(at(1));
    assert_eq!(snapshot[1].ejected_for, Some(Duration::from_secs(29)));
    assert_eq!([0, 1, 2].map(|index| snapshot[index].in_flight), [0, 0, 1]);
    balancer.done(held, EndpointVerdict::Succeeded, at(1));
    assert_eq!(balancer.snapshot(at(1))[2].in_flight, 0);
}

#[test]
fn a_list_that_shrinks_lets_back_whom_it_needs() {
    let mut balancer = balancer(&[1, 1, 1, 1], BalancingStrategy::RoundRobin);
    fail(&mut balancer, 0, 3, at(0));
    fail(&mut balancer, 1, 3, at(5));
    let weight = NonZeroU32::MIN;
    let both = [ListedEndpoint { weight, was: Some(1) }, ListedEndpoint { weight, was: Some(0) }];
    balancer.configure(&both, BalancingStrategy::RoundRobin, Some(EJECTION), at(6));
    let out: Vec<bool> = balancer.snapshot(at(6)).iter().map(|it| it.ejected_for.is_some()).collect();
    assert_eq!(out, [true, false]);
    assert_eq!(balancer.come_back(at(6)).collect::<Vec<_>>(), [1]);
    balancer.configure(&both[..1], BalancingStrategy::RoundRobin, None, at(6));
    assert_eq!(picked(&mut balancer, at(6), 1), [0]);
}

#[test]
fn a_call_to_an_endpoint_that_is_gone_ends_without_a_trace() {
    let mut balancer = balancer(&[1, 1], BalancingStrategy::RoundRobin);
    let held = [balancer.pick(at(0), 0, None), balancer.pick(at(0), 0, None)];
    balancer.configure(
        &[ListedEndpoint { weight: NonZeroU32::MIN, was: Some(1) }],
        BalancingStrategy::RoundRobin,
        None,
        at(0),
    );
    for pick in held {
        assert_eq!(balancer.done(pick, EndpointVerdict::Failed, at(0)), EndpointTransition::Kept);
    }
    assert_eq!(balancer.snapshot(at(0))[0].in_flight, 0);
}

fn strategy() -> impl proptest::strategy::Strategy<Value = BalancingStrategy> {
    prop_oneof![
        Just(BalancingStrategy::RoundRobin),
        Just(BalancingStrategy::LeastConnections),
        Just(BalancingStrategy::Random)
    ]
}

#[derive(Clone, Debug)]
enum BalancerOperation {
    Pick { random: u64, avoid: Option<usize> },
    Done { which: usize, verdict: EndpointVerdict },
    Health { index: usize, healthy: bool },
    Pass(u64),
    Relist(Vec<(u32, Option<usize>)>),
}

fn act() -> impl proptest::strategy::Strategy<Value = BalancerOperation> {
    let verdict = prop_oneof![1 => Just(EndpointVerdict::Succeeded), 3 => Just(EndpointVerdict::Failed), 1 => Just(EndpointVerdict::Neutral)];
    prop_oneof![
        8 => (any::<u64>(), prop::option::of(0usize..6)).prop_map(|(random, avoid)| BalancerOperation::Pick { random, avoid }),
        8 => (any::<usize>(), verdict).prop_map(|(which, verdict)| BalancerOperation::Done { which, verdict }),
        2 => (0usize..6, any::<bool>()).prop_map(|(index, healthy)| BalancerOperation::Health { index, healthy }),
        2 => (0u64..40).prop_map(BalancerOperation::Pass),
        1 => prop::collection::vec((1u32..9, prop::option::of(0usize..6)), 1..6).prop_map(BalancerOperation::Relist),
    ]
}

proptest! {
    #[test]
    fn there_is_always_a_pick_never_more_than_half_are_out_and_no_call_is_counted_for_ever(
        shares in prop::collection::vec(1u32..9, 1..6),
        strategy in strategy(),
        acts in prop::collection::vec(act(), 0..300),
    ) {
        let mut balancer = balancer(&shares, strategy);
        let mut held: Vec<EndpointPick> = Vec::new();
        let mut now = at(0);
        for act in acts {
            match act {
                BalancerOperation::Pick { random, avoid } => {
                    let pick = balancer.pick(now, random, avoid);
                    prop_assert!(pick.index() < balancer.len());
                    prop_assert!(balancer.snapshot(now)[pick.index()].ejected_for.is_none());
                    held.push(pick);
                }
                BalancerOperation::Done { .. } if held.is_empty() => {}
                BalancerOperation::Done { which, verdict } => {
                    let pick = held.swap_remove(which % held.len());
                    balancer.done(pick, verdict, now);
                }
                BalancerOperation::Health { index, healthy } => balancer.set_health(index, healthy),
                BalancerOperation::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
                BalancerOperation::Relist(list) => {
                    let listed = list.into_iter().map(|(weight, was)| ListedEndpoint { weight: NonZeroU32::new(weight).expect("not zero"), was });
                    balancer.configure(&listed.collect::<Vec<_>>(), strategy, Some(EJECTION), now);
                }
            }
            let snapshot = balancer.snapshot(now);
            let out = snapshot.iter().filter(|it| it.ejected_for.is_some()).count();
            prop_assert!(2 * out <= snapshot.len(), "{out} of {}", snapshot.len());
            let busy: u32 = snapshot.iter().map(|it| it.in_flight).sum();
            prop_assert!(busy as usize <= held.len());
        }
        for pick in held {
            balancer.done(pick, EndpointVerdict::Neutral, now);
        }
        prop_assert!(balancer.snapshot(now).iter().all(|it| it.in_flight == 0));
    }

    #[test]
    fn everybody_gets_the_share_of_his_weight(
        shares in prop::collection::vec(1u32..9, 1..6),
        seed in any::<u64>(),
        by_chance in any::<bool>(),
    ) {
        const CALLS: u32 = 2_000;
        let strategy = if by_chance { BalancingStrategy::Random } else { BalancingStrategy::RoundRobin };
        let mut balancer = LoadBalancer::new(&weights(&shares), strategy, None);
        let mut got: BTreeMap<usize, u32> = BTreeMap::new();
        for call in 0..CALLS {
            // Weyl's sequence: evenly spread, whatever the seed.
            let random = seed.wrapping_add(u64::from(call).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let pick = balancer.pick(at(0), random, None);
            *got.entry(pick.index()).or_default() += 1;
            balancer.done(pick, EndpointVerdict::Succeeded, at(0));
        }
        let total: u32 = shares.iter().sum();
        for (index, share) in shares.iter().enumerate() {
            let due = f64::from(CALLS) * f64::from(*share) / f64::from(total);
            let got = f64::from(got.get(&index).copied().unwrap_or(0));
            prop_assert!((got - due).abs() <= f64::from(CALLS) * 0.01, "{index} got {got} of {due}");
        }
    }
}
