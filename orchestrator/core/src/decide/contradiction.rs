//! A participant that says the opposite of what it said before.

use crate::{
    command::{CommandAnswer, CommandDirection, CommandRef, RetryAdvice},
    state::{CommandOutcome, CommandPhase, SagaState},
};

/// Whether `answer` says for good that an attempt failed which has been said to be done. The journal does not keep
/// which attempt succeeded, so only a command of one attempt can be told. A do that reaches its participant once more
/// after its undo is refused rightly.
pub(super) fn contradicts(
    state: &SagaState,
    command: CommandRef,
    attempt: Option<u32>,
    answer: &CommandAnswer,
) -> bool {
    let it = state.command(command);
    let was_done = match it.phase {
        CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Rejected(_)) => true,
        CommandPhase::Settled(CommandOutcome::Failed(_) | CommandOutcome::Unknown(_) | CommandOutcome::Skipped)
        | CommandPhase::Idle
        | CommandPhase::Held { .. }
        | CommandPhase::Attempting(_)
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. } => false,
    };
    let is_refused = matches!(answer, CommandAnswer::Failed { retry: RetryAdvice::No, .. });
    let may_be_undone = command.direction == CommandDirection::Do && state.step(command.step).undo.request.is_some();
    was_done && is_refused && !may_be_undone && attempt == Some(1) && it.attempt == 1
}
