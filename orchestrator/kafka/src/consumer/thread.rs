//! The intake thread: iterations of the loop until a stop is asked for, then an orderly end.

use super::{
    ConsumerEvent, ConsumerStopOutcome,
    consumer_loop::{ConsumerLoop, PollOutcome},
    shutdown::ConsumerShutdown,
};
use saga_base::panics::caught;

/// Runs `intake` to its end. A panic ends it with [`ConsumerEvent::Failed`], never silently.
pub(super) fn run(mut intake: ConsumerLoop) {
    let events = intake.events();
    let failure = match caught(|| run_until_end(&mut intake)) {
        Ok(PollOutcome::Stop(stop)) => return finish(intake, stop),
        Ok(PollOutcome::Continue | PollOutcome::Disconnected) => None,
        Ok(PollOutcome::Failed(message)) => Some(message),
        Err(panic) => Some(format!("the intake thread {panic}")),
    };
    intake.abandon();
    if let Some(message) = failure {
        // The engine may not receive any more; then it has ended as well.
        let _ = events.blocking_send(ConsumerEvent::Failed(message));
    }
}

fn run_until_end(intake: &mut ConsumerLoop) -> PollOutcome {
    if let Err(error) = intake.start() {
        return PollOutcome::Failed(error.to_string());
    }
    loop {
        match intake.run_once() {
            PollOutcome::Continue => {}
            end @ (PollOutcome::Stop(_) | PollOutcome::Disconnected | PollOutcome::Failed(_)) => return end,
        }
    }
}

fn finish(mut intake: ConsumerLoop, stop: ConsumerShutdown) {
    let unfinished = intake.unfinished();
    let stopped = match intake.close(stop.by) {
        false => ConsumerStopOutcome::Abandoned,
        true if unfinished > 0 => ConsumerStopOutcome::Unfinished(unfinished),
        true => ConsumerStopOutcome::Clean,
    };
    if stopped == ConsumerStopOutcome::Abandoned {
        intake.abandon();
    } else {
        // The client closes itself once more and calls it an error that it is closed.
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || drop(intake));
    }
    let _ = stop.done.send(stopped);
}
