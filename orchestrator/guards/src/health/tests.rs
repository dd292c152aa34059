use super::*;
use std::num::NonZeroU32;

const PASSED: Outcome = Outcome::Passed { took: Duration::from_millis(20) };

fn at(seconds: u64) -> Monotonic {
    Monotonic::since_origin(Duration::from_secs(seconds))
}

fn health(unhealthy_after: u32, healthy_after: u32) -> Health {
    let count = |count| NonZeroU32::new(count).expect("not zero");
    Health::new(Config {
        unhealthy_after: count(unhealthy_after),
        healthy_after: count(healthy_after),
        ..Config::default()
    })
}

fn checked(health: &mut Health, outcomes: &[Outcome]) -> Vec<Checked> {
    outcomes.iter().map(|outcome| health.checked(*outcome, at(0))).collect()
}

#[test]
fn who_was_never_checked_is_taken_for_well() {
    let health = health(3, 1);
    assert_eq!(health.state(), State::Unknown);
    assert!(health.is_healthy());
    assert!(!health.is_fresh(at(0)));
    assert_eq!(health.until_next(at(0)), Duration::ZERO);
}

#[test]
fn at_the_start_one_success_suffices() {
    let mut health = health(3, 5);
    assert_eq!(health.checked(PASSED, at(0)), Checked::Became(State::Healthy));
}

#[test]
fn failures_in_a_row_make_it_unhealthy_and_successes_in_a_row_healthy() {
    let mut health = health(2, 2);
    let kept = Checked::Kept;
    let all = checked(&mut health, &[PASSED, Outcome::Failed, PASSED, Outcome::Failed, Outcome::Failed]);
    assert_eq!(all, [Checked::Became(State::Healthy), kept, kept, kept, Checked::Became(State::Unhealthy)]);
    assert!(!health.is_healthy());
    let all = checked(&mut health, &[PASSED, Outcome::Failed, PASSED, PASSED, PASSED]);
    assert_eq!(all, [kept, kept, kept, Checked::Became(State::Healthy), kept]);
    assert!(health.is_healthy());
}

#[test]
fn one_that_never_passed_needs_its_failures_too() {
    let mut health = health(2, 1);
    assert_eq!(checked(&mut health, &[Outcome::Failed])[0], Checked::Kept);
    assert!(health.is_healthy());
    assert_eq!(checked(&mut health, &[Outcome::Failed])[0], Checked::Became(State::Unhealthy));
}

#[test]
fn an_answer_holds_for_an_interval() {
    let mut health = health(1, 1);
    health.checked(Outcome::Failed, at(10));
    assert!(health.is_fresh(at(39)));
    assert_eq!(health.until_next(at(39)), Duration::from_secs(1));
    assert!(!health.is_fresh(at(40)));
    assert_eq!(health.until_next(at(99)), Duration::ZERO);
}

#[test]
fn a_trend_needs_two_of_eight_and_as_many_checks_before() {
    let trend = |before: usize, failed_before: usize, failed_recently: usize| {
        let mut health = health(1, 1);
        let outcome = |failed: bool| if failed { Outcome::Failed } else { PASSED };
        (0..before).for_each(|check| {
            health.checked(outcome(check < failed_before), at(0));
        });
        (0..RECENT).for_each(|check| {
            health.checked(outcome(check < failed_recently), at(0));
        });
        health.snapshot(at(0)).trend
    };
    assert_eq!(trend(8, 0, 1), Trend::Steady);
    assert_eq!(trend(8, 0, 2), Trend::Worsening);
    assert_eq!(trend(8, 8, 0), Trend::Improving);
    assert_eq!(trend(8, 4, 4), Trend::Steady);
    assert_eq!(trend(7, 0, 8), Trend::Steady);
}

#[test]
fn a_snapshot_holds_the_last_checks_and_how_long_they_took() {
    let mut health = health(1, 1);
    for second in 0..100 {
        let took = Duration::from_millis(if second < 92 { 10 } else { 50 });
        health.checked(Outcome::Passed { took }, at(second));
    }
    let snapshot = health.snapshot(at(100));
    assert_eq!(snapshot.history.len(), HISTORY);
    assert_eq!(snapshot.history[0].ago, Duration::from_secs(1));
    assert_eq!(snapshot.checked_ago, Some(Duration::from_secs(1)));
    assert_eq!(snapshot.overall.latency, Some(Duration::from_millis(15)));
    assert_eq!(snapshot.recent, Summary { checks: 8, passed: 8, latency: Some(Duration::from_millis(50)) });
    assert_eq!(snapshot.overall.share(), Some(1.0));
    assert_eq!(snapshot.streak, 100);
}

#[test]
fn other_settings_leave_what_is_known() {
    let mut health = health(3, 1);
    checked(&mut health, &[Outcome::Failed, Outcome::Failed]);
    health.configure(Config { unhealthy_after: NonZeroU32::MIN, ..Config::default() });
    assert!(health.is_healthy());
    assert_eq!(checked(&mut health, &[Outcome::Failed])[0], Checked::Became(State::Unhealthy));
}

#[test]
fn the_unhealthy_refuse_until_the_next_check_and_nobody_once_checks_have_ceased() {
    let mut health = health(1, 1);
    assert_eq!(health.refuses(at(0)), None);
    health.checked(Outcome::Failed, at(0));
    assert_eq!(health.refuses(at(10)), Some(Duration::from_secs(20)));
    assert_eq!(health.refuses(at(31)), Some(Duration::from_secs(4)));
    assert_eq!(health.refuses(at(35)), None);
    health.checked(PASSED, at(31));
    assert_eq!(health.refuses(at(32)), None);
}
