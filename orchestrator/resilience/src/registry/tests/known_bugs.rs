//! Faults that guards elsewhere have had where they meet tasks, as what holds here. Each names where it was reported;
//! those of the guards alone are in `saga-guards`, those that need many at once in the gate's schedules, and
//! docs/testing.md lists all.

mod dropped;
mod schedules;

use super::*;
use crate::call_signal::LoadSignal;
use saga_guards::{PriorityLane, breaker::CallVerdict, budget, rate::CallRate};

const SUCCEEDED: CallSignal =
    CallSignal { verdict: CallVerdict::Succeeded, load_signal: LoadSignal::None, retry_after: None };

fn open(guarded: &GuardRegistry) {
    for _ in 0..2 {
        permit(guarded).settle(FAILED);
    }
    assert_eq!(only(guarded).breaker, BreakerState::Open);
}

fn gate_of(guarded: &GuardRegistry) -> Arc<CallGate> {
    Arc::clone(&guarded.participants.load().get("payments").expect("it is configured").gate)
}

fn of(settings_of_gate: GateSettings) -> GuardRegistry {
    GuardRegistry::new(&[settings(kafka(), settings_of_gate)]).expect("settings that can be called")
}

/// failsafe #70, failsafe-go #142, stoplight #364: all engines find a participant dead at one moment, and must not all
/// try it at another.
#[tokio::test(start_paused = true)]
async fn engines_whose_breakers_opened_together_do_not_probe_together() {
    let engines: Vec<_> = (0..100).map(|_| guarded(kafka(), 8)).collect();
    engines.iter().for_each(open);
    let mut probes: Vec<_> = engines.iter().map(|engine| gate_of(engine).time_to_admission()).collect();
    probes.sort_unstable();
    assert!(probes[99] - probes[0] > Duration::from_secs(2), "{probes:?}");
    let most_together = probes.windows(15).filter(|some| some[14] - some[0] < Duration::from_millis(100)).count();
    assert_eq!(most_together, 0, "{probes:?}");
}

/// The same for those that one engine refused.
#[tokio::test(start_paused = true)]
async fn who_was_refused_together_does_not_ask_again_together() {
    let engine = guarded(kafka(), 8);
    open(&engine);
    let rests: BTreeSet<_> = (0..100).map(|_| refused_for(&engine, "payments").expect("open")).collect();
    assert!(rests.len() > 8, "{rests:?}");
    assert!(*rests.first().expect("some") >= gate_of(&engine).time_to_admission());
}

/// tower #689, linkerd #751: a caller that was ready held what it had reserved, whether or not it went on. Here one
/// stage after the breaker refuses.
#[tokio::test(start_paused = true)]
async fn what_is_refused_after_it_got_a_probe_slot_does_not_keep_it() {
    let budget = budget::RetryBudgetConfig { share: 0.0, reserve_per_second: 0 };
    let engine = of(GateSettings { budget, ..gate(8) });
    open(&engine);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for _ in 0..10 {
        let further = engine.admit("payments", PermitRequest { attempt: AttemptKind::Retry, ..FIRST });
        assert!(matches!(further, GuardAdmission::Refused { guard: GuardKind::RetryBudget, .. }), "{further:?}");
    }
    drop(permit(&engine));
}

/// The same of clones: a handle that does nothing holds nothing.
#[tokio::test]
async fn whoever_shares_the_guards_and_does_nothing_holds_nothing() {
    let engine = Arc::new(guarded(kafka(), 1));
    let _idle: Vec<_> = (0..100).map(|_| Arc::clone(&engine)).collect();
    assert!(permit(&engine).acquire().await.is_ok());
}

/// gobreaker drops results of another generation silently (#122), and a setting that is changed elsewhere begins a new
/// breaker, into which old results fall (Temporal loses its state).
#[tokio::test(start_paused = true)]
async fn results_of_before_a_reload_or_a_reset_are_counted_and_decide_nothing() {
    let engine = guarded(kafka(), 8);
    let before: Vec<_> = (0..4).map(|_| permit(&engine)).collect();
    engine.apply_override("payments", ManualOverride { resets: 1, ..ManualOverride::default() });
    engine.configure(&[settings(kafka(), gate(9))]).expect("settings that can be called");
    before.into_iter().for_each(|permit| permit.settle(FAILED));
    assert_eq!(stands(&engine), (BreakerState::Closed, 0, 0));
    assert_eq!(gate_of(&engine).view().breaker.stale_results, 4);
}

/// A reload alone is no new generation: what is under way still says how the participant is.
#[tokio::test]
async fn calls_that_are_out_across_a_reload_still_count() {
    let engine = guarded(kafka(), 8);
    let before = [permit(&engine), permit(&engine)];
    engine.configure(&[settings(kafka(), gate(9))]).expect("settings that can be called");
    before.into_iter().for_each(|permit| permit.settle(FAILED));
    assert_eq!(stands(&engine), (BreakerState::Open, 0, 0));
}

/// A name that is removed and added again is another participant: the new one does not learn the results of the old.
#[tokio::test]
async fn calls_to_a_participant_that_was_taken_out_say_nothing_about_the_one_that_came_back() {
    let engine = guarded(kafka(), 8);
    let before = [permit(&engine), permit(&engine)];
    engine.configure(&[]).expect("nobody");
    engine.configure(&[settings(kafka(), gate(8))]).expect("settings that can be called");
    before.into_iter().for_each(|permit| permit.settle(FAILED));
    assert_eq!(stands(&engine), (BreakerState::Closed, 0, 0));
}

/// governor #203: rates above one a nanosecond wrapped around.
#[tokio::test(start_paused = true)]
async fn a_rate_faster_than_the_clock_holds_nobody_up() {
    let most = NonZeroU32::new(u32::MAX).expect("not zero");
    let rate = Some(CallRate { calls: most, per: Duration::from_nanos(1), burst: most });
    let engine = of(GateSettings { rate, ..gate(8) });
    let began = tokio::time::Instant::now();
    for _ in 0..10_000 {
        assert!(permit(&engine).acquire().await.is_ok());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// governor #196: who had waited until it might pass asked again, and paid twice.
#[tokio::test(start_paused = true)]
async fn waiting_for_the_rate_pays_once() {
    let count = |many| NonZeroU32::new(many).expect("not zero");
    let rate = Some(CallRate { calls: count(100), per: Duration::from_secs(1), burst: count(1) });
    let engine = of(GateSettings { rate, ..gate(8) });
    let began = tokio::time::Instant::now();
    for _ in 0..11 {
        assert!(permit(&engine).acquire().await.is_ok());
    }
    let took = began.elapsed();
    assert!((100..=111).contains(&took.as_millis()), "{took:?}");
}

/// tower-resilience #363, and fairness of tokio's semaphore (#8371): of the waiting commands the first undo is next,
/// and no command that comes in between.
#[tokio::test(start_paused = true)]
async fn a_place_that_gets_free_goes_to_who_waits_and_not_to_who_comes() {
    use futures_util::FutureExt;
    let gate = gate_of(&guarded(kafka(), 1));
    let held = gate.acquire_slot(PriorityLane::Do).await.expect("it is free");
    let (mut first, mut undo) =
        (Box::pin(gate.acquire_slot(PriorityLane::Do)), Box::pin(gate.acquire_slot(PriorityLane::Undo)));
    assert!((&mut first).now_or_never().is_none() && (&mut undo).now_or_never().is_none());
    drop(held);
    assert!(
        gate.acquire_slot(PriorityLane::Do).now_or_never().is_none(),
        "the place is the undo's, although it has not looked yet"
    );
    let place = (&mut undo).now_or_never().expect("it has a place");
    assert!((&mut first).now_or_never().is_none());
    drop(place);
    assert!((&mut first).now_or_never().is_some_and(|place| place.is_ok()));
}
