//! What metrics are told of commands that have ended.

use saga_core::{
    command::{CommandRef, Direction},
    event::{Decision, Event},
    state::State,
};
use saga_resilience::metrics::{Retried, retried};

/// Counts the commands that `decision` ended; `state` is the saga after it. Published events have no participant and do not count.
pub(super) fn ended(state: &State, decision: &Decision) {
    for (command, is_success) in decision.events.iter().filter_map(end_of) {
        let it = state.command(command);
        let Some(participant) = it.request.as_ref().and_then(|request| request.participant()) else { continue };
        retried(participant, kind(is_success, it.attempt > 1));
    }
}

/// A participant that answered what `check` rejects has done its part.
fn end_of(event: &Event) -> Option<(CommandRef, bool)> {
    if let Event::StepSucceeded { step, direction, .. } = event {
        return Some((CommandRef { step: *step, direction: *direction }, true));
    }
    if let Event::StepRejected { step, .. } = event {
        return Some((CommandRef { step: *step, direction: Direction::Do }, true));
    }
    if let Event::StepFailed { step, direction, .. } = event {
        return Some((CommandRef { step: *step, direction: *direction }, false));
    }
    None
}

fn kind(is_success: bool, is_late: bool) -> Retried {
    match (is_success, is_late) {
        (true, false) => Retried::SuccessfulWithoutRetry,
        (true, true) => Retried::SuccessfulWithRetry,
        (false, false) => Retried::FailedWithoutRetry,
        (false, true) => Retried::FailedWithRetry,
    }
}
