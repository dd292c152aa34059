//! All guards together, under many schedules.

use super::*;
use saga_base::sync::simulated::under_all_schedules;
use saga_core::{command::CommandRef, id::StepIndex};
use shuttle::{future::block_on, thread};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

/// Asks for everything there is to see, whenever something is logged.
struct SnapshotLayer(Arc<GuardRegistry>);

impl<S: Subscriber> Layer<S> for SnapshotLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("saga") {
            return;
        }
        assert!(!self.0.snapshot().is_empty());
        assert!(self.0.health_checks().participant_health("payments").is_none());
    }
}

/// Polly #2953: a listener that was called under the lock asked for the state, and waited for itself. What is logged is
/// published at the same places.
#[test]
fn whoever_listens_may_ask_the_guards() {
    under_all_schedules(|| {
        let engine = Arc::new(guarded(kafka(), 8));
        let looks = Arc::clone(&engine);
        let looking = thread::spawn(move || drop(looks.snapshot()));
        let listening = Registry::default().with(SnapshotLayer(Arc::clone(&engine)));
        tracing::subscriber::with_default(listening, || {
            open(&engine);
            saga_base::sync::simulated::pass(Duration::from_secs(60));
            permit(&engine).settle(SUCCEEDED);
            assert_eq!(only(&engine).breaker, BreakerState::Closed);
            assert!(matches!(engine.admit("nobody", FIRST), GuardAdmission::NotConfigured));
        });
        looking.join().expect("it does not panic");
    });
}

/// A reload while a command is about to wait: a command that waits for a participant that was removed is notified.
#[test]
fn nobody_waits_for_ever_for_a_participant_that_is_taken_out_meanwhile() {
    under_all_schedules(|| {
        let engine = Arc::new(guarded(kafka(), 8));
        engine.apply_override(
            "payments",
            ManualOverride { mode: breaker::BreakerMode::ForcedOpen, ..ManualOverride::default() },
        );
        let keeper = keep_lines(&engine);
        let reloads = Arc::clone(&engine);
        let reloading = thread::spawn(move || {
            for _ in 0..2 {
                reloads.configure(&[]).expect("nobody");
            }
        });
        let (calls, mut called) = tokio::sync::mpsc::channel(1);
        let command = CommandRef { step: StepIndex(0), direction: CommandDirection::Do };
        let since = WaitRequest {
            guard: GuardKind::Breaker,
            since_ms: 0,
            not_before: Duration::ZERO,
            after_failed_probe: false,
        };
        let place = engine.enqueue(
            "payments",
            since,
            SagaWaiter { wake_sender: calls, saga: SagaId::new(Timestamp(1), ShardId(0), 4), command: Some(command) },
        );
        drop(block_on(called.recv()).expect("it is called"));
        assert!(matches!(engine.admit("payments", FIRST), GuardAdmission::NotConfigured));
        drop(place);
        reloading.join().expect("it does not panic");
        keeper();
    });
}

/// As the engine's own task does, but only when it is rung for. What is returned ends it.
fn keep_lines(engine: &Arc<GuardRegistry>) -> impl FnOnce() {
    let (engine, ended) = (Arc::clone(engine), Arc::new(AtomicBool::new(false)));
    let (kept, has_ended) = (Arc::clone(&engine), Arc::clone(&ended));
    let keeper = thread::spawn(move || {
        while !has_ended.load(SeqCst) {
            let _ = kept.notify_waiters();
            block_on(kept.wakeup.notified());
        }
    });
    move || {
        ended.store(true, SeqCst);
        engine.wakeup.notify_one();
        keeper.join().expect("it does not panic");
    }
}
