//! The life of the thread: turns until told to stop, then an orderly end.

use super::{
    ConsumerEvent, Stopped,
    intake::{Intake, Turn},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Part of a stop's deadline that is kept for committing and leaving the group.
const LEAVE: Duration = Duration::from_secs(5);

/// A stop that has begun.
#[derive(Debug)]
pub(super) struct Stop {
    by: Instant,
    /// Until then records that are being worked on are waited for.
    drain_by: Instant,
    done: oneshot::Sender<Stopped>,
}

impl Stop {
    pub(super) fn new(by: Instant, done: oneshot::Sender<Stopped>, now: Instant) -> Stop {
        let leave = LEAVE.min(by.saturating_duration_since(now) / 2);
        Stop { by, drain_by: by - leave, done }
    }

    pub(super) fn drained_or_late(&self, unfinished: usize, now: Instant) -> bool {
        unfinished == 0 || now >= self.drain_by
    }
}

/// Runs `intake` to its end. A panic ends it as a failure that is told, never silently.
pub(super) fn run(mut intake: Intake) {
    let events = intake.events();
    let end = catch_unwind(AssertUnwindSafe(|| turns(&mut intake)));
    let failure = match end {
        Ok(Turn::Stop(stop)) => return leave(intake, stop),
        Ok(Turn::Go | Turn::Unheard) => None,
        Ok(Turn::Failed(message)) => Some(message),
        Err(_) => Some("the intake thread panicked".to_owned()),
    };
    intake.abandon();
    if let Some(message) = failure {
        // The receiver may be gone, and then nobody needs to know.
        let _ = events.blocking_send(ConsumerEvent::Failed(message));
    }
}

fn turns(intake: &mut Intake) -> Turn {
    if let Err(error) = intake.begin() {
        return Turn::Failed(error.to_string());
    }
    loop {
        match intake.turn() {
            Turn::Go => {}
            end @ (Turn::Stop(_) | Turn::Unheard | Turn::Failed(_)) => return end,
        }
    }
}

fn leave(mut intake: Intake, stop: Stop) {
    let unfinished = intake.unfinished();
    let stopped = match intake.leave(stop.by) {
        false => Stopped::Abandoned,
        true if unfinished > 0 => Stopped::Unfinished(unfinished),
        true => Stopped::Clean,
    };
    if stopped == Stopped::Abandoned {
        intake.abandon();
    } else {
        // The client closes itself once more and calls it an error that it is closed.
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || drop(intake));
    }
    let _ = stop.done.send(stopped);
}
