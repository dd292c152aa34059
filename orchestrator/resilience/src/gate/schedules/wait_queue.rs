//! The line: who waits in it is called when there is room, once, and not after leaving.

use super::*;
use crate::call_signal::CallSignal;
use crate::gate::wait_queue::RENOTIFY_DELAY;
use crate::gate::{SagaWaiter, WaitQueueHandle, WaitRequest, WakeSignal};
use crate::permit::CallPermit;
use crate::topic_availability::TopicAvailability;
use saga_base::sync::simulated::pass;
use saga_core::{
    command::{CommandDirection, CommandRef, GuardKind},
    id::{SagaId, ShardId, StepIndex},
    time::Timestamp,
};
use shuttle::future::block_on;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc::{Receiver, Sender, channel};

const WAITING: u16 = 4;
/// Leaves as soon as it has joined.
const LEAVES: u16 = 0;

fn join(gate: &Arc<CallGate>, number: u16, calls: Sender<WakeSignal>) -> WaitQueueHandle {
    let direction = if number.is_multiple_of(2) { CommandDirection::Do } else { CommandDirection::Undo };
    let command = CommandRef { step: StepIndex(number), direction };
    let since = WaitRequest {
        guard: GuardKind::Breaker,
        since_ms: i64::from(number),
        not_before: Duration::ZERO,
        after_failed_probe: false,
    };
    gate.enqueue(
        since,
        SagaWaiter {
            wake_sender: calls,
            saga: SagaId::new(Timestamp(1), ShardId(0), u64::from(number) << 2),
            command: Some(command),
        },
    )
}

/// Calls who may go on, as the engine's own task does, but hears nothing except the bell: a ring that is missing is
/// missed for ever. Time passes only for who could not be reached.
struct QueueTestDriver {
    gate: Arc<CallGate>,
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl QueueTestDriver {
    fn of(gate: &Arc<CallGate>) -> QueueTestDriver {
        let (gate, ended) = (Arc::clone(gate), Arc::new(AtomicBool::new(false)));
        let (kept, has_ended) = (Arc::clone(&gate), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            while !has_ended.load(SeqCst) {
                match kept.notify_waiters(WELL, TopicAvailability::All) {
                    Some(soon) if soon <= RENOTIFY_DELAY => {
                        pass(soon);
                        thread::yield_now();
                    }
                    Some(_) | None => block_on(kept.wakeup.notified()),
                }
            }
        });
        QueueTestDriver { gate, ended, thread }
    }

    fn end(self) {
        self.ended.store(true, SeqCst);
        self.gate.wakeup.notify_one();
        self.thread.join().expect("it does not panic");
    }
}

/// All commands wait in the queue. The gate notifies each that stays, and each asks again and is admitted; `end_call`
/// decides the order.
fn all_are_called(gate: &Arc<CallGate>, channel_of: usize, most_out: u32, said: CallSignal) {
    let (calls, mut called) = channel(channel_of);
    let driver = QueueTestDriver::of(gate);
    let joining: Vec<_> = (0..WAITING)
        .map(|number| {
            let (gate, calls) = (Arc::clone(gate), calls.clone());
            thread::spawn(move || Some(join(&gate, number, calls)).filter(|_| number != LEAVES))
        })
        .collect();
    drop(calls);
    let counts = ask_as_called(gate, &mut called, most_out, said);
    let places: Vec<_> = joining.into_iter().map(|thread| thread.join().expect("it does not panic")).collect();
    assert!(counts[1..].iter().all(|calls| *calls == 1) && counts[usize::from(LEAVES)] <= 1, "{counts:?}");
    assert_eq!(gate.view().queued, 0, "nobody is in line who has been called or has left");
    driver.end();
    drop((places, called));
    everything_is_back(gate);
}

/// Until all who stay have been called; how often each was.
fn ask_as_called(
    gate: &Arc<CallGate>,
    called: &mut Receiver<WakeSignal>,
    most_out: u32,
    said: CallSignal,
) -> [u32; WAITING as usize] {
    let (mut counts, out) = ([0; WAITING as usize], ConcurrencyCounter::default());
    while counts[1..].contains(&0) {
        let wake = block_on(called.recv()).expect("who stays is called");
        counts[usize::from(wake.command.expect("of a command").step.0)] += 1;
        let permit = CallPermit::request(gate, PermitRequest { arrival: CallArrival::Notified, ..FIRST }, WELL)
            .expect("who is called is admitted");
        drop(wake);
        out.one_of_at_most(most_out);
        permit.settle(said);
    }
    counts
}

#[test]
fn whoever_stays_in_line_is_called_once() {
    under_all_schedules(|| all_are_called(&gate(places(8)), 8, 8, CallSignal::NEUTRAL));
}

#[test]
fn whoever_waits_for_the_only_place_is_called_when_it_is_free() {
    under_all_schedules(|| {
        let mut settings = places(1);
        settings.bulkhead.max_waiting = Some(0);
        let gate = gate(settings);
        let holder = block_on(gate.acquire_slot(PriorityLane::Do)).expect("it is free");
        let holds = thread::spawn(move || drop(holder));
        all_are_called(&gate, 8, 1, CallSignal::NEUTRAL);
        holds.join().expect("it does not panic");
    });
}

#[test]
fn a_shard_that_is_slow_to_look_has_everybody_called_all_the_same() {
    under_all_schedules(|| all_are_called(&gate(places(8)), 1, 8, CallSignal::NEUTRAL));
}

/// A command that was notified and vanishes, with its shard for example, holds no turn.
#[test]
fn a_turn_that_nobody_takes_goes_to_the_next() {
    under_all_schedules(|| {
        let mut settings = places(1);
        settings.bulkhead.max_waiting = Some(0);
        let gate = gate(settings);
        let (calls, mut called) = channel(8);
        let places: Vec<_> = (0..WAITING).map(|number| join(&gate, number, calls.clone())).collect();
        let driver = QueueTestDriver::of(&gate);
        for _ in 0..WAITING {
            drop(block_on(called.recv()).expect("the next is called"));
        }
        driver.end();
        drop(places);
        everything_is_back(&gate);
    });
}

#[test]
fn nobody_is_called_into_a_shard_that_has_gone() {
    under_all_schedules(|| {
        let gate = gate(places(8));
        let (calls, called) = channel(1);
        let places: Vec<_> = (0..WAITING).map(|number| join(&gate, number, calls.clone())).collect();
        let driver = QueueTestDriver::of(&gate);
        let shard = thread::spawn(move || drop((calls, called)));
        let leaving = thread::spawn(move || drop(places));
        shard.join().expect("it does not panic");
        leaving.join().expect("it does not panic");
        driver.end();
        everything_is_back(&gate);
    });
}
