//! resilience4j #332, failsafe #365, failsafe-go before 0.9.2, conjure #1147, tower-resilience #365, #367 and #382: a
//! call that was cancelled kept its permit. Here every future that holds something is dropped wherever it waits.

use super::*;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// More often than any of them waits.
const MOST_WAITS: usize = 200;

/// Ends a future where it waits for the `left`th time.
struct InterruptedFuture<F> {
    inner: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> Future for InterruptedFuture<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        match self.inner.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => {
                self.left -= 1;
                Poll::Pending
            }
        }
    }
}

/// Drops what `begin` begins before it is polled, where it waits for the first time, the second, and so on until it
/// ends; looks each time with `back` whether everything is. Answers how often it waits.
async fn wherever_it_waits<F: Future>(mut begin: impl FnMut() -> F, back: impl Fn()) -> usize {
    drop(begin());
    back();
    for left in 0..MOST_WAITS {
        let ended = InterruptedFuture { inner: Box::pin(begin()), left }.await;
        let has_ended = ended.is_some();
        drop(ended);
        back();
        if has_ended {
            return left;
        }
    }
    panic!("it does not end");
}

#[track_caller]
fn everything_is_back(guarded: &GuardRegistry) {
    use futures_util::FutureExt;
    let (gate, view) = (gate_of(guarded), gate_of(guarded).view());
    assert_eq!((view.permits, view.waiting, view.rate_limit_waiting, view.breaker.probes_out), (0, 0, 0, 0));
    let places = (0..view.limit.get()).map(|_| gate.acquire_slot(PriorityLane::Do).now_or_never());
    let places: Vec<_> = places.collect();
    assert!(places.iter().all(|place| matches!(place, Some(Ok(_)))), "{places:?}");
}

#[tokio::test]
async fn a_call_that_is_dropped_wherever_it_waits_leaves_nothing_behind() {
    let payments = MockPayments::serve(200).await;
    payments.go.add_permits(MOST_WAITS);
    let engine = payments.guarded(2);
    let waits = wherever_it_waits(|| engine.call(permit(&engine), a_call()), || everything_is_back(&engine)).await;
    assert!(waits > 0, "it waits for the answer at least");
}

#[tokio::test]
async fn a_probe_that_is_dropped_wherever_it_waits_makes_room_for_the_next() {
    let payments = MockPayments::serve(200).await;
    payments.go.add_permits(MOST_WAITS);
    let engine = payments.guarded(2);
    engine.apply_override(
        "payments",
        ManualOverride { mode: breaker::BreakerMode::ForcedOpen, ..ManualOverride::default() },
    );
    engine.apply_override("payments", ManualOverride::default());
    assert_eq!(only(&engine).breaker, BreakerState::HalfOpen);
    let waits = wherever_it_waits(|| engine.call(permit(&engine), a_call()), || everything_is_back(&engine)).await;
    assert!(waits > 0, "it waits for the answer at least");
    assert_eq!(only(&engine).breaker, BreakerState::Closed, "the one that ended closed it");
}

/// The two ways to give up: behind the rate limit, and behind a call that has the only permit.
#[tokio::test(start_paused = true)]
async fn whoever_gives_up_on_the_way_out_takes_nothing_along() {
    let count = |many| NonZeroU32::new(many).expect("not zero");
    let rate = Some(CallRate { calls: count(1_000), per: Duration::from_secs(1), burst: count(1) });
    let engine = of(GateSettings { rate, ..gate(1) });
    let gate = gate_of(&engine);
    let leave = || {
        let (held, mut permit) = (Arc::clone(&gate), permit(&engine));
        async move {
            let slot = held.acquire_slot(PriorityLane::Undo).await.expect("it is free");
            held.wait_for_rate_limit().await.expect("soon");
            let holder = async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                drop(slot);
            };
            tokio::join!(permit.acquire(), holder).0.is_ok()
        }
    };
    let waits = wherever_it_waits(leave, || everything_is_back(&engine)).await;
    assert!(waits >= 2, "for the rate and for the place: {waits}");
}

/// Who sends a command to a broker holds its place, and who decides holds its permit.
#[tokio::test(start_paused = true)]
async fn a_departure_that_is_dropped_wherever_it_waits_leaves_the_place_to_others() {
    let engine = guarded(kafka(), 1);
    let gate = gate_of(&engine);
    let leave = || {
        let (held, mut permit) = (Arc::clone(&gate), permit(&engine));
        async move {
            let slot = held.acquire_slot(PriorityLane::Undo).await.expect("it is free");
            let (departure, seat) = permit.delegate();
            let holder = async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                drop(slot);
            };
            let place = tokio::join!(departure.acquire(), holder).0.expect("soon");
            assert!(seat.set(place).is_ok());
            permit.settle(SUCCEEDED);
        }
    };
    assert!(wherever_it_waits(leave, || everything_is_back(&engine)).await >= 1);
}
