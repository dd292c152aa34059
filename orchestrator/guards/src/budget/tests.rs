use super::*;
use proptest::prelude::*;

fn at(millis: u64) -> MonotonicTime {
    MonotonicTime::since_origin(Duration::from_millis(millis))
}

fn budget(share: f64, reserve_per_second: u32) -> RetryBudget {
    RetryBudget::new(RetryBudgetConfig { share, reserve_per_second }, at(0))
}

fn taken(budget: &mut RetryBudget, asked: u32, now: u64) -> usize {
    (0..asked).filter(|_| budget.take(at(now)).is_ok()).count()
}

#[test]
fn five_first_attempts_pay_for_one_further_attempt() {
    let mut budget = budget(0.2, 0);
    (0..4).for_each(|_| budget.first(at(0)));
    assert_eq!(taken(&mut budget, 1, 0), 0);
    (0..6).for_each(|_| budget.first(at(0)));
    assert_eq!(taken(&mut budget, 5, 0), 2);
}

#[test]
fn a_participant_with_no_traffic_has_its_reserve() {
    let mut budget = budget(0.2, 10);
    assert_eq!(taken(&mut budget, 1_000, 500), 100);
    assert_eq!(budget.take(at(500)), Err(Duration::from_millis(10_500)));
    assert_eq!(taken(&mut budget, 1_000, 10_999), 0);
    assert_eq!(taken(&mut budget, 1_000, 11_000), 100);
}

#[test]
fn what_was_paid_is_worth_nothing_after_ten_seconds() {
    let mut budget = budget(1.0, 0);
    (0..10).for_each(|_| budget.first(at(0)));
    assert_eq!(budget.snapshot(at(9_999)).balance, 10);
    assert_eq!(budget.snapshot(at(10_000)).balance, 0);
    assert_eq!(budget.take(at(10_000)), Err(SPAN));
}

/// envoy-mobile #811, envoy gateway #2769: a budget that is a share of what is under way is empty when nothing comes
/// back.
#[test]
fn in_a_total_outage_a_share_of_the_calls_is_still_retried() {
    let mut budget = budget(0.2, 0);
    let mut retried = 0;
    for millis in (0..60_000).step_by(20) {
        budget.first(at(millis));
        // All fail, and all want to be tried again, three times each.
        retried += taken(&mut budget, 3, millis);
    }
    let firsts = 60_000 / 20;
    assert!((firsts * 15 / 100..=firsts / 5).contains(&retried), "{retried} of {firsts}");
}

#[test]
fn a_new_configuration_keeps_what_was_counted() {
    let mut budget = budget(0.2, 1);
    assert_eq!(taken(&mut budget, 20, 0), 10);
    budget.configure(RetryBudgetConfig { share: 0.2, reserve_per_second: 2 });
    assert_eq!(budget.snapshot(at(0)), RetryBudgetSnapshot { balance: 10, firsts: 0, further: 10, refused: 10 });
}

#[test]
fn numbers_that_make_no_sense_pay_nothing_and_break_nothing() {
    for share in [f64::NAN, -1.0] {
        let mut budget = budget(share, 0);
        budget.first(at(0));
        assert_eq!(budget.take(at(0)), Err(SPAN));
    }
    let mut boundless = budget(f64::INFINITY, u32::MAX);
    boundless.first(at(0));
    assert_eq!(boundless.snapshot(at(0)).balance, u32::MAX);
}

proptest! {
    #[test]
    fn further_attempts_of_any_ten_seconds_stay_within_the_share_and_the_reserve(
        share in prop_oneof![Just(0.0), Just(0.1), Just(0.2), Just(1.0)],
        reserve in 0u32..4,
        steps in prop::collection::vec((0u64..900, any::<bool>(), 0u32..8), 0..300),
    ) {
        let mut budget = budget(share, reserve);
        let (mut now, mut firsts, mut further) = (0, Vec::new(), Vec::new());
        for (rest, is_first, asked) in steps {
            now += rest;
            if is_first {
                budget.first(at(now));
                firsts.push(now);
            }
            for _ in 0..asked {
                if let Err(rest) = budget.take(at(now)) {
                    prop_assert!(rest > Duration::ZERO && rest <= Duration::from_secs(11));
                    continue;
                }
                further.push(now);
                let lately = |all: &[u64]| all.iter().filter(|made| *made + 10_000 > now).count() as f64;
                prop_assert!(lately(&further) <= share * lately(&firsts) + f64::from(reserve) * 10.0);
            }
        }
    }
}
