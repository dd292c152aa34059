use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn call(breaker: &mut Breaker, verdict: Verdict, now: Duration) {
    let permit = breaker.admit(now).expect("the breaker lets calls through here");
    breaker.record(permit, verdict, now);
}

/// Opened at 0 s, half-open from 10 s.
fn opened() -> Breaker {
    let mut breaker = Breaker::new(Config::default());
    (0..10).for_each(|_| call(&mut breaker, Verdict::Failure, at(0)));
    assert_eq!(breaker.state(at(0)), State::Open);
    breaker
}

#[test]
fn opens_at_the_rate_once_enough_calls_were_seen() {
    let mut breaker = Breaker::new(Config::default());
    (0..4).for_each(|_| call(&mut breaker, Verdict::Failure, at(0)));
    (0..5).for_each(|_| call(&mut breaker, Verdict::Success, at(1)));
    assert_eq!(breaker.state(at(1)), State::Closed);
    call(&mut breaker, Verdict::Failure, at(1));
    assert_eq!(breaker.admit(at(2)).expect_err("half of ten calls failed"), Refused { not_before: at(11) });
}

#[test]
fn forgets_failures_that_left_the_window() {
    let mut breaker = Breaker::new(Config::default());
    (0..9).for_each(|_| call(&mut breaker, Verdict::Failure, at(0)));
    (0..9).for_each(|_| call(&mut breaker, Verdict::Failure, at(40)));
    assert_eq!(breaker.state(at(40)), State::Closed);
}

#[test]
fn closes_when_all_probes_succeeded() {
    let mut breaker = opened();
    (0..2).for_each(|_| call(&mut breaker, Verdict::Success, at(10)));
    assert_eq!(breaker.state(at(10)), State::HalfOpen);
    call(&mut breaker, Verdict::Success, at(10));
    assert_eq!(breaker.state(at(10)), State::Closed);
}

#[test]
fn opens_again_when_a_probe_fails() {
    let mut breaker = opened();
    call(&mut breaker, Verdict::Success, at(10));
    call(&mut breaker, Verdict::Failure, at(11));
    assert_eq!(breaker.admit(at(20)).expect_err("it opened at 11 s").not_before, at(21));
}

#[test]
fn refuses_when_all_probes_are_under_way() {
    let mut breaker = opened();
    let permits: Vec<_> = (0..3).map(|_| breaker.admit(at(10)).expect("a probe is free")).collect();
    assert_eq!(breaker.admit(at(10)).expect_err("no probe is free").not_before, at(15));
    for permit in permits {
        breaker.give_back(permit, at(11));
    }
    assert!(breaker.admit(at(11)).is_ok());
}

#[test]
fn a_probe_that_never_comes_back_loses_its_slot_and_its_say() {
    let mut breaker = opened();
    let lost: Vec<_> = (0..3).map(|_| breaker.admit(at(10)).expect("a probe is free")).collect();
    let later = at(10) + PROBE_TIMEOUT;
    (0..2).for_each(|_| call(&mut breaker, Verdict::Success, later));
    for permit in lost {
        breaker.record(permit, Verdict::Failure, later);
    }
    assert_eq!(breaker.state(later), State::HalfOpen);
}

#[test]
fn a_result_from_before_it_opened_changes_nothing() {
    let mut breaker = Breaker::new(Config::default());
    let old = breaker.admit(at(0)).expect("closed");
    (0..10).for_each(|_| call(&mut breaker, Verdict::Failure, at(0)));
    let probe = breaker.admit(at(10)).expect("half-open");
    breaker.record(old, Verdict::Failure, at(10));
    assert_eq!(breaker.state(at(10)), State::HalfOpen);
    breaker.record(probe, Verdict::Success, at(10));
}

#[test]
fn refuses_numbers_that_make_no_sense() {
    let with_rate = |rate| Config::new(rate, 10, 30 * SECOND, 10 * SECOND, 3);
    assert!(with_rate(1.0).is_ok());
    assert_eq!(with_rate(0.0), Err(ConfigError::FailureRate(0.0)));
    assert!(with_rate(f64::NAN).is_err());
    assert_eq!(Config::new(0.5, 0, SECOND, SECOND, 1), Err(ConfigError::MinimumCalls));
    assert_eq!(Config::new(0.5, 1, Duration::ZERO, SECOND, 1), Err(ConfigError::Window(Duration::ZERO)));
    assert_eq!(Config::new(0.5, 1, SECOND, Duration::ZERO, 1), Err(ConfigError::OpenFor));
    assert_eq!(Config::new(0.5, 1, SECOND, SECOND, 0), Err(ConfigError::Probes(0)));
}

/// What can happen to a breaker.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Wait(u64),
    Ask,
    Record(usize, bool),
    GiveBack(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0u64..8_000).prop_map(Happening::Wait),
        Just(Happening::Ask),
        Just(Happening::Ask),
        (any::<usize>(), any::<bool>()).prop_map(|(which, good)| Happening::Record(which, good)),
        any::<usize>().prop_map(Happening::GiveBack),
    ]
}

proptest! {
    #[test]
    fn keeps_its_promises_whatever_happens(happenings in prop::collection::vec(happening(), 1..300)) {
        let config = Config::new(0.5, 4, 10 * SECOND, 5 * SECOND, 2).expect("sensible");
        let mut breaker = Breaker::new(config);
        let mut now = Duration::ZERO;
        let mut permits: Vec<(Permit, Duration)> = Vec::new();
        for happening in happenings {
            match happening {
                Happening::Wait(millis) => now += Duration::from_millis(millis),
                Happening::Ask => match breaker.admit(now) {
                    Ok(permit) => permits.push((permit, now)),
                    Err(refused) => {
                        prop_assert!(refused.not_before > now);
                        prop_assert!(refused.not_before <= now + 5 * SECOND);
                        prop_assert_ne!(breaker.state(now), State::Closed);
                    }
                },
                Happening::Record(which, good) if !permits.is_empty() => {
                    let (permit, _) = permits.swap_remove(which % permits.len());
                    let (stale, before) = (permit.generation != breaker.generation, breaker.generation);
                    breaker.record(permit, if good { Verdict::Success } else { Verdict::Failure }, now);
                    prop_assert!(!stale || breaker.generation == before, "a stale result changed the state");
                }
                Happening::GiveBack(which) if !permits.is_empty() => {
                    let (permit, _) = permits.swap_remove(which % permits.len());
                    let before = breaker.generation;
                    breaker.give_back(permit, now);
                    prop_assert_eq!(breaker.generation, before);
                }
                Happening::Record(..) | Happening::GiveBack(_) => {}
            }
            let probing = permits.iter().filter(|(permit, since)| {
                permit.generation == breaker.generation && permit.probe.is_some() && now < *since + PROBE_TIMEOUT
            });
            prop_assert!(probing.count() <= 2);
        }
        prop_assert!(breaker.state(now + 5 * SECOND) != State::Open);
    }

    #[test]
    fn never_refuses_a_participant_that_answers(waits in prop::collection::vec(0u64..5_000, 1..200)) {
        let mut breaker = Breaker::new(Config::default());
        let mut now = Duration::ZERO;
        for wait in waits {
            now += Duration::from_millis(wait);
            let permit = breaker.admit(now);
            prop_assert!(permit.is_ok());
            breaker.record(permit.expect("just checked"), Verdict::Success, now);
        }
    }

    #[test]
    fn a_window_counts_what_lies_within_it(waits in prop::collection::vec(0u64..3_000, 1..100)) {
        let mut window = Window::new(10 * SECOND, Duration::ZERO);
        let (mut now, mut times) = (Duration::ZERO, Vec::new());
        for wait in waits {
            now += Duration::from_millis(wait);
            window.count(Verdict::Failure, now);
            times.push(now);
            let counted = window.counts(now).failures as usize;
            let within = |length: Duration| times.iter().filter(|time| now - **time < length).count();
            prop_assert!(counted >= within(9 * SECOND) && counted <= within(10 * SECOND));
        }
    }
}
