//! What metrics are told of commands that have ended.

use saga_core::{
    command::{CommandDirection, CommandRef},
    event::{SagaDecision, SagaEvent},
    state::SagaState,
};
use saga_resilience::metrics::{RetryResultKind, retried};

/// Counts the commands that `decision` ended; `state` is the saga after it. Published events have no participant and do not count.
pub(super) fn ended(state: &SagaState, decision: &SagaDecision) {
    for (command, is_success) in decision.events.iter().filter_map(end_of) {
        let it = state.command(command);
        let Some(participant) = it.request.as_ref().and_then(|request| request.participant()) else { continue };
        retried(participant, kind(is_success, it.attempt > 1));
    }
}

/// A participant that answered what `check` rejects has done its part.
fn end_of(event: &SagaEvent) -> Option<(CommandRef, bool)> {
    if let SagaEvent::StepSucceeded { step, direction, .. } = event {
        return Some((CommandRef { step: *step, direction: *direction }, true));
    }
    if let SagaEvent::StepRejected { step, .. } = event {
        return Some((CommandRef { step: *step, direction: CommandDirection::Do }, true));
    }
    if let SagaEvent::StepFailed { step, direction, .. } = event {
        return Some((CommandRef { step: *step, direction: *direction }, false));
    }
    None
}

fn kind(is_success: bool, is_late: bool) -> RetryResultKind {
    match (is_success, is_late) {
        (true, false) => RetryResultKind::SuccessfulWithoutRetry,
        (true, true) => RetryResultKind::SuccessfulWithRetry,
        (false, false) => RetryResultKind::FailedWithoutRetry,
        (false, true) => RetryResultKind::FailedWithRetry,
    }
}
