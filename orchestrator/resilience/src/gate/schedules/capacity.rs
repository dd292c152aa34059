//! Places in the bulkhead, and the rate limit's pace.

use super::*;
use crate::call_signal::CallSignal;
use crate::permit::CallPermit;
use futures_util::FutureExt;
use saga_base::sync::simulated::pass;
use saga_guards::rate::CallRate;
use shuttle::future::block_on;

fn lane(number: usize) -> PriorityLane {
    PriorityLane::ALL[number % 2]
}

fn works(gate: &Arc<CallGate>, number: usize, out: &ConcurrencyCounter, most: u32) {
    let slot = block_on(gate.acquire_slot(lane(number))).expect("nobody's patience ends");
    out.one_of_at_most(most);
    drop(slot);
}

/// tower-resilience #363; envoy acknowledges as much in a comment of its adaptive limit.
#[test]
fn whoever_waits_gets_a_place_and_never_are_more_taken_than_there_are() {
    under_all_schedules(|| {
        let (gate, out) = (gate(places(2)), ConcurrencyCounter::default());
        let shared = Arc::clone(&gate);
        together(5, move |number| works(&shared, number, &out, 2));
        everything_is_back(&gate);
    });
}

/// tokio #6450: a permit that was given to a waiter that did not look any more was lost to all others.
#[test]
fn a_place_given_to_somebody_who_has_left_is_passed_on() {
    under_all_schedules(|| {
        let (gate, out) = (gate(places(1)), ConcurrencyCounter::default());
        let shared = Arc::clone(&gate);
        together(5, move |number| match number {
            0 | 1 => drop(shared.acquire_slot(lane(number)).now_or_never()),
            _ => works(&shared, number, &out, 1),
        });
        everything_is_back(&gate);
    });
}

#[test]
fn a_place_that_comes_as_patience_ends_is_passed_on() {
    under_all_schedules(|| {
        let mut settings = places(1);
        settings.bulkhead.max_wait = Duration::ZERO;
        let (gate, out) = (gate(settings), ConcurrencyCounter::default());
        let shared = Arc::clone(&gate);
        together(4, move |number| {
            if let Ok(slot) = block_on(shared.acquire_slot(lane(number))) {
                out.one_of_at_most(1);
                drop(slot);
            }
        });
        everything_is_back(&gate);
    });
}

#[test]
fn more_places_wake_who_waits_and_fewer_hold_for_who_comes() {
    under_all_schedules(|| {
        let (gate, out) = (gate(places(1)), ConcurrencyCounter::default());
        let shared = Arc::clone(&gate);
        together(5, move |number| match number {
            0 => [3, 1, 2].into_iter().for_each(|limit| shared.configure(places(limit))),
            _ => works(&shared, number, &out, 3),
        });
        everything_is_back(&gate);
    });
}

/// The sender of a command holds the place, the shard the permit, and either may end first.
#[test]
fn the_place_of_an_awaited_reply_is_free_whoever_ends_first() {
    under_all_schedules(|| {
        let gate = gate(places(1));
        let shared = Arc::clone(&gate);
        together(3, move |_| {
            let mut permit = CallPermit::request(&shared, FIRST, WELL).expect("closed");
            let (departure, seat) = permit.delegate();
            let sender = thread::spawn(move || {
                let slot = block_on(departure.acquire()).expect("nobody's patience ends");
                drop(seat.set(slot));
            });
            permit.settle(CallSignal::NEUTRAL);
            sender.join().expect("it does not panic");
        });
        everything_is_back(&gate);
    });
}

/// governor #196: a call that waits until it may pass has passed, and a call that gives up has not.
#[test]
fn as_many_pass_as_the_rate_allows_whoever_else_gives_up() {
    under_all_schedules(|| {
        let count = |many| NonZeroU32::new(many).expect("not zero");
        let mut settings = places(8);
        settings.rate = Some(CallRate { calls: count(1), per: Duration::from_secs(60), burst: count(2) });
        settings.bulkhead.max_wait = Duration::from_secs(3_600);
        let (gate, passed) = (gate(settings), Arc::new(AtomicU32::new(0)));
        let (shared, counted) = (Arc::clone(&gate), Arc::clone(&passed));
        let try_to_pass = move |_| {
            if let Some(Ok(())) = shared.wait_for_rate_limit().now_or_never() {
                counted.fetch_add(1, SeqCst);
            }
        };
        together(4, try_to_pass.clone());
        assert_eq!(passed.load(SeqCst), 2);
        everything_is_back(&gate);
        pass(Duration::from_secs(60));
        together(3, try_to_pass);
        assert_eq!(passed.load(SeqCst), 3);
        everything_is_back(&gate);
    });
}
