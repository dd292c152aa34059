use super::{
    history::{HISTORY, RECENT},
    *,
};
use std::num::NonZeroU32;

const PASSED: HealthCheckOutcome = HealthCheckOutcome::Passed { took: Duration::from_millis(20) };

fn at(seconds: u64) -> MonotonicTime {
    MonotonicTime::since_origin(Duration::from_secs(seconds))
}

fn health(unhealthy_after: u32, healthy_after: u32) -> HealthTracker {
    let count = |count| NonZeroU32::new(count).expect("not zero");
    HealthTracker::new(HealthTrackerConfig {
        unhealthy_after: count(unhealthy_after),
        healthy_after: count(healthy_after),
        ..HealthTrackerConfig::default()
    })
}

fn checked(health: &mut HealthTracker, outcomes: &[HealthCheckOutcome]) -> Vec<HealthTransition> {
    outcomes.iter().map(|outcome| health.checked(*outcome, at(0))).collect()
}

#[test]
fn who_was_never_checked_is_taken_for_well() {
    let health = health(3, 1);
    assert_eq!(health.state(), HealthState::Unknown);
    assert!(health.is_healthy());
    assert!(!health.is_fresh(at(0)));
}

#[test]
fn at_the_start_one_success_suffices() {
    let mut health = health(3, 5);
    assert_eq!(health.checked(PASSED, at(0)), HealthTransition::Became(HealthState::Healthy));
}

#[test]
fn failures_in_a_row_make_it_unhealthy_and_successes_in_a_row_healthy() {
    let mut health = health(2, 2);
    let kept = HealthTransition::Kept;
    let all = checked(
        &mut health,
        &[PASSED, HealthCheckOutcome::Failed, PASSED, HealthCheckOutcome::Failed, HealthCheckOutcome::Failed],
    );
    assert_eq!(
        all,
        [
            HealthTransition::Became(HealthState::Healthy),
            kept,
            kept,
            kept,
            HealthTransition::Became(HealthState::Unhealthy)
        ]
    );
    assert!(!health.is_healthy());
    let all = checked(&mut health, &[PASSED, HealthCheckOutcome::Failed, PASSED, PASSED, PASSED]);
    assert_eq!(all, [kept, kept, kept, HealthTransition::Became(HealthState::Healthy), kept]);
    assert!(health.is_healthy());
}

#[test]
fn one_that_never_passed_needs_its_failures_too() {
    let mut health = health(2, 1);
    assert_eq!(checked(&mut health, &[HealthCheckOutcome::Failed])[0], HealthTransition::Kept);
    assert!(health.is_healthy());
    assert_eq!(
        checked(&mut health, &[HealthCheckOutcome::Failed])[0],
        HealthTransition::Became(HealthState::Unhealthy)
    );
}

#[test]
fn an_answer_holds_for_an_interval() {
    let mut health = health(1, 1);
    health.checked(HealthCheckOutcome::Failed, at(10));
    assert!(health.is_fresh(at(39)));
    assert!(!health.is_fresh(at(40)));
}

#[test]
fn a_trend_needs_two_of_eight_and_as_many_checks_before() {
    let trend = |before: usize, failed_before: usize, failed_recently: usize| {
        let mut health = health(1, 1);
        let outcome = |failed: bool| if failed { HealthCheckOutcome::Failed } else { PASSED };
        (0..before).for_each(|check| {
            health.checked(outcome(check < failed_before), at(0));
        });
        (0..RECENT).for_each(|check| {
            health.checked(outcome(check < failed_recently), at(0));
        });
        health.snapshot(at(0)).trend
    };
    assert_eq!(trend(8, 0, 1), HealthTrend::Steady);
    assert_eq!(trend(8, 0, 2), HealthTrend::Worsening);
    assert_eq!(trend(8, 8, 0), HealthTrend::Improving);
    assert_eq!(trend(8, 4, 4), HealthTrend::Steady);
    assert_eq!(trend(7, 0, 8), HealthTrend::Steady);
}

#[test]
fn a_snapshot_holds_the_last_checks_and_how_long_they_took() {
    let mut health = health(1, 1);
    for second in 0..100 {
        let took = Duration::from_millis(if second < 92 { 10 } else { 50 });
        health.checked(HealthCheckOutcome::Passed { took }, at(second));
    }
    let snapshot = health.snapshot(at(100));
    assert_eq!(snapshot.history.len(), HISTORY);
    assert_eq!(snapshot.history[0].ago, Duration::from_secs(1));
    assert_eq!(snapshot.checked_ago, Some(Duration::from_secs(1)));
    assert_eq!(snapshot.overall.latency, Some(Duration::from_millis(15)));
    assert_eq!(snapshot.recent, HealthSummary { checks: 8, passed: 8, latency: Some(Duration::from_millis(50)) });
    assert_eq!(snapshot.overall.share(), Some(1.0));
    assert_eq!(snapshot.streak, 100);
}

#[test]
fn other_settings_leave_what_is_known() {
    let mut health = health(3, 1);
    checked(&mut health, &[HealthCheckOutcome::Failed, HealthCheckOutcome::Failed]);
    health.configure(HealthTrackerConfig { unhealthy_after: NonZeroU32::MIN, ..HealthTrackerConfig::default() });
    assert!(health.is_healthy());
    assert_eq!(
        checked(&mut health, &[HealthCheckOutcome::Failed])[0],
        HealthTransition::Became(HealthState::Unhealthy)
    );
}

#[test]
fn the_unhealthy_refuse_until_the_next_check_and_nobody_once_checks_have_ceased() {
    let mut health = health(1, 1);
    assert_eq!(health.refuses(at(0)), None);
    health.checked(HealthCheckOutcome::Failed, at(0));
    assert_eq!(health.refuses(at(10)), Some(Duration::from_secs(20)));
    assert_eq!(health.refuses(at(31)), Some(Duration::from_secs(4)));
    assert_eq!(health.refuses(at(35)), None);
    health.checked(PASSED, at(31));
    assert_eq!(health.refuses(at(32)), None);
}
