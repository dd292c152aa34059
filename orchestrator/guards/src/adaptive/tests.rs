use super::*;
use proptest::prelude::*;

fn config(min: u32, start: u32, max: u32) -> AdaptiveLimitConfig {
    let count = |count| NonZeroU32::new(count).expect("not zero");
    AdaptiveLimitConfig::new(count(min), count(start), count(max)).expect("in order")
}

/// A participant that works on `capacity` calls at once, each for `work`; further ones wait in its own queue.
struct QueueingParticipant {
    capacity: u32,
    work: Duration,
}

impl QueueingParticipant {
    fn answers_after(&self, in_flight: u32) -> Duration {
        self.work.mul_f64(f64::from(in_flight.max(self.capacity)) / f64::from(self.capacity))
    }
}

/// As many calls as the limit allows, for `seconds`; the limits at the end of each second.
fn drive(adaptive: &mut AdaptiveLimit, participant: &QueueingParticipant, from: u64, seconds: u64) -> Vec<u32> {
    let mut now = Duration::from_secs(from);
    let mut limits = Vec::new();
    while now < Duration::from_secs(from + seconds) {
        let in_flight = adaptive.limit().get();
        let took = participant.answers_after(in_flight);
        now += took / in_flight;
        adaptive.finished(LoadSample::Answered(took), in_flight, MonotonicTime::since_origin(now));
        if now.as_secs() > from + limits.len() as u64 {
            limits.push(in_flight);
        }
    }
    limits
}

#[test]
fn it_grows_to_what_the_participant_takes_and_not_far_beyond() {
    let mut adaptive = AdaptiveLimit::new(config(1, 4, 200), MonotonicTime::default());
    let limits = drive(&mut adaptive, &QueueingParticipant { capacity: 50, work: Duration::from_millis(20) }, 0, 30);
    let settled = &limits[limits.len() / 2..];
    assert!(settled.iter().all(|limit| (35..=120).contains(limit)), "{limits:?}");
}

#[test]
fn it_shrinks_when_the_participant_slows_down() {
    let mut adaptive = AdaptiveLimit::new(config(1, 50, 200), MonotonicTime::default());
    drive(&mut adaptive, &QueueingParticipant { capacity: 100, work: Duration::from_millis(20) }, 0, 2);
    let before = adaptive.limit();
    let slow = QueueingParticipant { capacity: 10, work: Duration::from_millis(20) };
    let limits = drive(&mut adaptive, &slow, 2, 2);
    assert!(limits.iter().any(|limit| *limit < before.get()), "{before} then {limits:?}");
}

#[test]
fn a_participant_that_asks_for_less_gets_less() {
    let mut adaptive = AdaptiveLimit::new(config(2, 20, 200), MonotonicTime::default());
    for ms in (0..1_000).step_by(10) {
        adaptive.finished(LoadSample::Overload, 20, MonotonicTime::since_origin(Duration::from_millis(ms)));
    }
    assert_eq!(adaptive.limit().get(), 2);
}

#[test]
fn a_limit_that_nobody_reaches_does_not_grow() {
    let mut adaptive = AdaptiveLimit::new(config(1, 20, 200), MonotonicTime::default());
    for ms in (0..5_000).step_by(10) {
        adaptive.finished(
            LoadSample::Answered(Duration::from_millis(5)),
            3,
            MonotonicTime::since_origin(Duration::from_millis(ms)),
        );
    }
    assert_eq!(adaptive.limit().get(), 20);
}

/// Its work takes longer than it once did, and as many are done at once as ever.
#[test]
fn a_participant_that_has_become_slower_for_good_is_believed() {
    let mut adaptive = AdaptiveLimit::new(config(2, 10, 20), MonotonicTime::default());
    drive(&mut adaptive, &QueueingParticipant { capacity: 100, work: Duration::from_millis(20) }, 0, 2);
    let limits = drive(&mut adaptive, &QueueingParticipant { capacity: 100, work: Duration::from_millis(400) }, 2, 60);
    assert_eq!(limits.last(), Some(&20), "{limits:?}");
    let limits = drive(&mut adaptive, &QueueingParticipant { capacity: 100, work: Duration::from_millis(20) }, 62, 5);
    assert_eq!(limits.last(), Some(&20), "{limits:?}");
}

#[test]
fn how_long_answers_take_is_not_the_making_of_a_limit_that_is_not_half_used() {
    let mut adaptive = AdaptiveLimit::new(config(1, 20, 200), MonotonicTime::default());
    for ms in (0..20_000).step_by(10) {
        let took = Duration::from_millis(if ms < 1_000 { 5 } else { 5 + ms % 97 });
        adaptive.finished(LoadSample::Answered(took), 3, MonotonicTime::since_origin(Duration::from_millis(ms)));
    }
    assert_eq!(adaptive.limit().get(), 20);
}

#[test]
fn what_says_nothing_changes_nothing() {
    let mut adaptive = AdaptiveLimit::new(config(1, 20, 200), MonotonicTime::default());
    for ms in (0..5_000).step_by(10) {
        adaptive.finished(LoadSample::None, 20, MonotonicTime::since_origin(Duration::from_millis(ms)));
    }
    assert_eq!(adaptive.limit().get(), 20);
}

proptest! {
    #[test]
    fn it_stays_within_its_bounds(calls in prop::collection::vec((0u8..3, 0u64..5_000, 0u32..300), 0..300)) {
        let mut adaptive = AdaptiveLimit::new(config(3, 10, 40), MonotonicTime::default());
        let mut now = Duration::ZERO;
        for (kind, took_ms, in_flight) in calls {
            now += Duration::from_millis(took_ms / 10);
            let took = Duration::from_millis(took_ms);
            let load = [LoadSample::Answered(took), LoadSample::Overload, LoadSample::None][usize::from(kind)];
            adaptive.finished(load, in_flight, MonotonicTime::since_origin(now));
            prop_assert!((3..=40).contains(&adaptive.limit().get()));
        }
    }
}
