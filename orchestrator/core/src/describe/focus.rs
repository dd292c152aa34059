//! The one line that a list shows of a saga: the step that it is at, and why it is there.

use crate::{
    command::{CommandDirection, GuardOwner},
    event::SagaEnd,
    id::StepIndex,
    state::{CommandPhase, CommandState, SagaPhase, SagaPlan, SagaState},
    time::rfc3339,
    words::{caused, guard_name, held_back, parked, told},
};

impl SagaState {
    /// The step that the saga is at or waits for, and why it is where it is: what a list shows.
    #[must_use]
    pub fn focus(&self, plan: &SagaPlan) -> (Option<StepIndex>, Option<String>) {
        let (step, reason) = self.focus_of_course(plan);
        match &self.erased {
            Some(erased) => (step, Some(format!("erased by {}: {}", erased.who, erased.reason))),
            None => (step, reason),
        }
    }

    fn focus_of_course(&self, plan: &SagaPlan) -> (Option<StepIndex>, Option<String>) {
        match &self.course {
            SagaPhase::Forward | SagaPhase::Compensating { .. } => self.focus_on_work(plan),
            SagaPhase::Parked { reason, .. } => (reason.step(), Some(parked(plan, reason))),
            SagaPhase::OutcomeDue { request, waits: Some(failure), .. } => {
                let topic = request.whose().into_name();
                (None, Some(format!("the outcome event waits for topic {topic}: {}", told(failure))))
            }
            SagaPhase::OutcomeDue { waits: None, .. } => (None, Some("the outcome event is not delivered yet".into())),
            SagaPhase::Ended(SagaEnd::Completed { .. }) => (None, None),
            SagaPhase::Ended(SagaEnd::Compensated { cause, .. }) => (cause.step(), Some(caused(plan, cause))),
            SagaPhase::Ended(SagaEnd::Abandoned { who, reason, .. }) => (None, Some(format!("{who}: {reason}"))),
        }
    }

    fn focus_on_work(&self, plan: &SagaPlan) -> (Option<StepIndex>, Option<String>) {
        let Some((command, it)) = self.most_urgent() else { return (None, None) };
        let undoing = if command.direction == CommandDirection::Undo { "undo: " } else { "" };
        let reason = waits_for(it, self.held_in_line_of(plan, command)).map(|text| format!("{undoing}{text}"));
        let cause = match &self.course {
            SagaPhase::Compensating { cause } => Some(caused(plan, cause)),
            SagaPhase::Forward | SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => None,
        };
        (Some(command.step), reason.or(cause).or_else(|| awaited(it)))
    }
}

fn waits_for(command: &CommandState, line: Option<GuardOwner<&str>>) -> Option<String> {
    let failure = command.last_failure.as_ref().map(|failure| format!(" after {}", told(failure))).unwrap_or_default();
    let since = || command.refused_since.map(|at| format!(", since {}", rfc3339(at))).unwrap_or_default();
    match &command.phase {
        CommandPhase::Held { guard, not_before, .. } => Some(match line {
            Some(GuardOwner::Participant(name)) => format!("{}{}", held_back(*guard, name), since()),
            Some(GuardOwner::Topic(topic)) => format!("waits until topic {topic} takes records{}", since()),
            None => format!("held back by {} until {}", guard_name(*guard), rfc3339(*not_before)),
        }),
        CommandPhase::Resting { until } => {
            Some(format!("attempt {} at {}{failure}", command.attempt + 1, rfc3339(*until)))
        }
        CommandPhase::Sleeping { until } => Some(format!("waits until {}", rfc3339(*until))),
        CommandPhase::Attempting(attempting) if attempting.first => None,
        CommandPhase::Attempting(_) => Some(match &command.last_failure {
            Some(failure) => {
                format!("attempt {} was sent and is not answered yet; before: {}", command.attempt, told(failure))
            }
            None => format!("attempt {} was sent and is not answered yet", command.attempt),
        }),
        CommandPhase::Idle | CommandPhase::Settled(_) => None,
    }
}

/// Whose answer to its first attempt a command waits for.
fn awaited(command: &CommandState) -> Option<String> {
    let CommandPhase::Attempting(attempting) = &command.phase else { return None };
    let since = rfc3339(attempting.at);
    Some(match command.request.as_deref()?.whose() {
        GuardOwner::Participant(name) => format!("waits for the answer of {name}, since {since}"),
        GuardOwner::Topic(topic) => format!("waits for topic {topic} to take the record, since {since}"),
    })
}
