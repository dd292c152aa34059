//! What phases and statuses are, in a sentence each. A new one does not compile without one.

use crate::transitions::Phase;
use saga_core::state::SagaStatus;

/// The diagram that has the edges out of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chapter {
    Beginning,
    Attempts,
    Ended,
}

impl Chapter {
    pub(super) const ALL: [Chapter; 3] = [Chapter::Beginning, Chapter::Attempts, Chapter::Ended];

    pub(super) fn title(self) -> &'static str {
        match self {
            Chapter::Beginning => "Before an attempt is out",
            Chapter::Attempts => "While attempts are made",
            Chapter::Ended => "After the end of the command",
        }
    }
}

/// Where the edges out of `phase` are drawn.
pub(super) fn chapter(phase: Phase) -> Chapter {
    match phase {
        Phase::Idle | Phase::Held | Phase::Sleeping => Chapter::Beginning,
        Phase::Attempting | Phase::Resting => Chapter::Attempts,
        Phase::Succeeded | Phase::Rejected | Phase::Failed => Chapter::Ended,
        Phase::Unknown | Phase::AnsweredFor | Phase::Skipped => Chapter::Ended,
    }
}

/// What a command does in `phase`.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "The command has not begun.",
        Phase::Held => "A guard holds the command back. No attempt is out.",
        Phase::Attempting => "An attempt is out, and the engine waits for its answer.",
        Phase::Resting => "An attempt ended without success. The next one starts when its retry delay is over.",
        Phase::Sleeping => "A `wait` step waits.",
        Phase::Succeeded => "The step is applied; of an undo: the step is undone.",
        Phase::Rejected => "The step is applied, and its `check` refused the result.",
        Phase::Failed => "The command ended, and it certainly had no effect.",
        Phase::Unknown => "The command ended, and it may have had its effect.",
        Phase::AnsweredFor => "The do failed or is unknown, and a fallback gave a result in its place.",
        Phase::Skipped => "The `if` was false, or an operator skipped the command.",
    }
}

/// What a saga does in `status`.
pub(super) fn status(status: SagaStatus) -> &'static str {
    match status {
        SagaStatus::Running => {
            "A first attempt is out. Or all steps are done, and the outcome event is not yet delivered."
        }
        SagaStatus::Waiting => {
            "The saga goes forward and waits: for a timer, a guard, or the answer to a further attempt."
        }
        SagaStatus::Compensating => {
            "The saga undoes its steps. Or all are undone, and the outcome event is not yet delivered."
        }
        SagaStatus::Parked => {
            "The saga cannot go on by itself. It goes on after an act of an operator or a late success."
        }
        SagaStatus::Completed => "The end: every step is applied, skipped, or optional.",
        SagaStatus::Compensated => "The end: everything that was or may have been applied is undone.",
        SagaStatus::Abandoned => "The end: an operator ended the saga as it was.",
    }
}
