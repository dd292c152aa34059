//! A saga as people and programs are shown it.

mod needs;
mod next;
mod prospect;
mod sent;

use super::{CommandOutcome, CommandPhase, CommandState, SagaPhase, SagaPlan, SagaState, SagaStatus, StepState};
use crate::{
    answerable::OutageLog,
    command::{CommandDirection, CommandFailure, CommandRef, ErrorClass, GuardKind, GuardOwner},
    definition::StepCompensation,
    event::{CompensationCause, FallbackKind, ParkReason, SagaEnd, StepFailureKind, SubstituteAnswer},
    id::StepIndex,
    time::{Timestamp, rfc3339},
};
use serde::Serialize;
use serde_json::Value;

pub use needs::{OperatorNeedView, about, acted, command, commands};
pub use next::NextActivityView;
pub use prospect::ActPreview;
pub use sent::{RequestView, TriggerView, addressed, body};

/// One saga, whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaView {
    /// Its identity.
    pub id: String,
    /// Name of its definition.
    pub saga: String,
    /// The business key.
    pub key: String,
    /// Its status.
    pub status: SagaStatus,
    /// The step it is at or waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it is where it is, if that needs a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
    /// When something happens by itself, whatever guards hold back; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_due: Option<String>,
    /// What happens next: what guards hold back goes on when they let it, and the nearest of what time brings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<NextActivityView>,
    /// When its time ends, as long as that matters: before the pivot it is undone then, after it, it is overdue. `None` while it is parked,
    /// because that time does not count. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Which guards hold something of it back: `breaker:payments`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_on: Vec<String>,
    /// Hash of its definition.
    pub definition: String,
    /// Rows of its journal.
    pub version: u32,
    /// Its time ended after the pivot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// What it waits for a person for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_person: Vec<OperatorNeedView>,
    /// What started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerView>,
    /// In the order of the definition.
    pub steps: Vec<StepView>,
    /// The output of a completed saga.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<IncidentView>,
}

/// One step of a saga.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// What became of it.
    pub phase: StepPhase,
    /// It was skipped, may have happened, and is not undone: if the saga goes back it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped_in_doubt: bool,
    /// Attempts of the do.
    pub attempts: u32,
    /// Attempts of the undo.
    #[serde(skip_serializing_if = "is_zero")]
    pub undo_attempts: u32,
    /// What the do sends, once that is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<RequestView>,
    /// What the undo sends, once that is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_sent: Option<RequestView>,
    /// What the participant answered, or what answered in its place: what `steps.<name>` reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What answered in place of the participant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<SubstituteView>,
    /// How the last attempt, of the undo if there was one, ended, if not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<CommandFailure>,
    /// When something happens to it by itself; RFC 3339, UTC. What a guard holds back goes on when the guard says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_due: Option<String>,
}

/// What answered in place of a participant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubstituteView {
    /// `cache`, or the fallback's key: `cached`, `lastKnown`, `value`, `expression`, `fail`.
    pub kind: &'static str,
    /// When the participant gave the answer that is used again; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// In words.
    pub text: String,
}

/// What became of a step, both directions in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StepPhase {
    /// Not begun.
    Pending,
    /// An attempt is out.
    Running,
    /// On a timer, a guard, or the next attempt.
    Waiting,
    /// Applied.
    Succeeded,
    /// Applied, and refused by its `check`.
    Rejected,
    /// Certainly not applied.
    Failed,
    /// May be applied.
    Unknown,
    /// Not performed.
    Skipped,
    /// Its undo is being worked on.
    Undoing,
    /// Undone.
    Undone,
    /// Its undo gave up, or was given up with the saga.
    UndoFailed,
}

impl StepPhase {
    /// Of a saga that has ended nothing is worked on any more: what an abandon interrupted is as far as it is known to have come.
    fn at_the_end(self, step: &StepState) -> StepPhase {
        match self {
            StepPhase::Running | StepPhase::Waiting if !step.forward.in_doubt.is_empty() => StepPhase::Unknown,
            StepPhase::Running | StepPhase::Waiting if step.forward.attempt == 0 => StepPhase::Pending,
            StepPhase::Running | StepPhase::Waiting => StepPhase::Failed,
            StepPhase::Undoing => StepPhase::UndoFailed,
            StepPhase::Pending
            | StepPhase::Succeeded
            | StepPhase::Rejected
            | StepPhase::Failed
            | StepPhase::Unknown
            | StepPhase::Skipped
            | StepPhase::Undone
            | StepPhase::UndoFailed => self,
        }
    }
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentView {
    /// RFC 3339, UTC.
    pub at: String,
    /// The step it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which of the step's commands it is about, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<CommandDirection>,
    /// What.
    pub failure: CommandFailure,
}

impl IncidentView {
    /// What it is about and what happened, in words.
    #[must_use]
    pub fn text(&self) -> String {
        incident(self.step.as_deref(), self.direction, &self.failure)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl SagaState {
    /// The step that the saga is at or waits for, and why it is where it is: what a list shows.
    #[must_use]
    pub fn focus(&self, plan: &SagaPlan) -> (Option<StepIndex>, Option<String>) {
        match &self.course {
            SagaPhase::Forward | SagaPhase::Compensating { .. } => self.focus_on_work(plan),
            SagaPhase::Parked { reason, .. } => (parked_step(reason), Some(parked(plan, reason))),
            SagaPhase::OutcomeDue { request, waits: Some(failure), .. } => {
                let topic = request.whose().into_name();
                (None, Some(format!("the outcome event waits for topic {topic}: {}", told(failure))))
            }
            SagaPhase::OutcomeDue { waits: None, .. } => (None, Some("the outcome event is not delivered yet".into())),
            SagaPhase::Ended(SagaEnd::Completed { .. }) => (None, None),
            SagaPhase::Ended(SagaEnd::Compensated { cause, .. }) => (cause_step(cause), Some(caused(plan, cause))),
            SagaPhase::Ended(SagaEnd::Abandoned { who, reason, .. }) => (None, Some(format!("{who}: {reason}"))),
        }
    }

    /// The steps that are under way while the saga goes on or back, that of [`SagaState::focus`] first.
    #[must_use]
    pub fn under_way(&self) -> Vec<StepIndex> {
        let goes = match &self.course {
            SagaPhase::Forward | SagaPhase::Compensating { .. } => true,
            SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => false,
        };
        let mut open: Vec<_> = self.commands().filter(|(_, command)| goes && command.is_open()).collect();
        open.sort_by_key(|(_, command)| urgency(command));
        let mut steps: Vec<StepIndex> = open.into_iter().map(|(command, _)| command.step).collect();
        steps.dedup();
        steps
    }

    fn focus_on_work(&self, plan: &SagaPlan) -> (Option<StepIndex>, Option<String>) {
        let open = self.commands().filter(|(_, command)| command.is_open());
        let Some((command, it)) = open.min_by_key(|(_, command)| urgency(command)) else { return (None, None) };
        let undoing = if command.direction == CommandDirection::Undo { "undo: " } else { "" };
        let reason = waits_for(it, self.held_in_line_of(plan, command)).map(|text| format!("{undoing}{text}"));
        let cause = match &self.course {
            SagaPhase::Compensating { cause } => Some(caused(plan, cause)),
            SagaPhase::Forward | SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => None,
        };
        (Some(command.step), reason.or(cause).or_else(|| awaited(it)))
    }

    /// The saga, whole.
    #[must_use]
    pub fn view(&self, plan: &SagaPlan) -> SagaView {
        let (step, reason) = self.focus(plan);
        let name = |step: StepIndex| plan.definition.step(step).name.clone();
        SagaView {
            id: self.id.to_string(),
            saga: plan.definition.name.clone(),
            key: self.key.clone(),
            status: self.status(),
            step: step.map(name),
            reason,
            started_at: rfc3339(self.started_at),
            updated_at: rfc3339(self.last_at),
            next_due: self.next_due_beside_guards(plan).map(rfc3339),
            next: self.next_view(plan),
            deadline: self.deadline_ahead(plan).map(rfc3339),
            waits_on: self.held_by(plan).iter().map(ToString::to_string).collect(),
            definition: plan.definition.hash.clone(),
            version: self.version,
            overdue: self.overdue,
            needs_person: self.needs_view(plan),
            trigger: Some(TriggerView::of(&self.trigger)),
            steps: plan.definition.indices().map(|step| self.step_view(plan, step)).collect(),
            output: self.completed_output(),
            incidents: self
                .incidents
                .iter()
                .map(|incident| IncidentView {
                    at: rfc3339(incident.at),
                    step: incident.step.map(name),
                    direction: incident.direction,
                    failure: incident.failure.clone(),
                })
                .collect(),
        }
    }

    fn deadline_ahead(&self, plan: &SagaPlan) -> Option<Timestamp> {
        match &self.course {
            SagaPhase::Forward if !self.overdue => self.deadline(plan, &OutageLog::NONE, self.last_at),
            SagaPhase::Forward
            | SagaPhase::Compensating { .. }
            | SagaPhase::Parked { .. }
            | SagaPhase::OutcomeDue { .. }
            | SagaPhase::Ended(_) => None,
        }
    }

    fn completed_output(&self) -> Option<Value> {
        match &self.course {
            SagaPhase::Ended(SagaEnd::Completed { output }) if !output.is_null() => Some(output.clone()),
            SagaPhase::Ended(_)
            | SagaPhase::Forward
            | SagaPhase::Compensating { .. }
            | SagaPhase::Parked { .. }
            | SagaPhase::OutcomeDue { .. } => None,
        }
    }

    /// What the participant said late is known to the step's undo only.
    fn shown_result(&self, plan: &SagaPlan, index: StepIndex) -> Option<Value> {
        let step = self.step(index);
        if step.is_answered_for() {
            return self.results.get(&plan.definition.step(index).name).cloned();
        }
        step.result.clone()
    }

    /// What became of each step, by name, in the order of the definition.
    #[must_use]
    pub fn phases(&self, plan: &SagaPlan) -> Vec<(String, StepPhase)> {
        let phase_of = |index| (plan.definition.step(index).name.clone(), self.phase(plan, index));
        plan.definition.indices().map(phase_of).collect()
    }

    fn phase(&self, plan: &SagaPlan, index: StepIndex) -> StepPhase {
        let step = self.step(index);
        let undoable = matches!(plan.definition.step(index).effects, StepCompensation::Undo(_));
        let phase = phase(&step.forward, &step.undo, undoable);
        if self.has_ended() { phase.at_the_end(step) } else { phase }
    }

    fn has_ended(&self) -> bool {
        matches!(self.course, SagaPhase::Ended(_))
    }

    fn step_view(&self, plan: &SagaPlan, index: StepIndex) -> StepView {
        let (definition, step) = (plan.definition.step(index), self.step(index));
        let direction =
            if step.undo.phase == CommandPhase::Idle { CommandDirection::Do } else { CommandDirection::Undo };
        let of_shown = CommandRef { step: index, direction };
        let shown = self.command(of_shown);
        let is_over = matches!(shown.phase, CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped));
        StepView {
            step: definition.name.clone(),
            phase: self.phase(plan, index),
            skipped_in_doubt: step.forward.is_skipped() && step.may_be_applied() && !step.is_undone(),
            attempts: step.forward.attempt,
            undo_attempts: step.undo.attempt,
            sent: step.forward.request.as_deref().map(RequestView::of),
            undo_sent: step.undo.request.as_deref().map(RequestView::of),
            result: self.shown_result(plan, index).filter(|result| !result.is_null()),
            answered_by: step.substitute.as_ref().map(substitute_view),
            failure: shown.last_failure.clone().filter(|_| !is_over).or_else(|| {
                step.forward
                    .last_failure
                    .clone()
                    .filter(|_| !step.forward.is_settled() || step.forward.gave_up().is_some())
                    .or_else(|| step.rejected().cloned())
            }),
            next_due: shown
                .due(&self.parked)
                .filter(|_| !self.has_ended() && self.held_in_line_of(plan, of_shown).is_none())
                .map(rfc3339),
        }
    }
}

fn phase(forward: &CommandState, undo: &CommandState, undoable: bool) -> StepPhase {
    match &undo.phase {
        CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped) if undoable => {
            return StepPhase::Undone;
        }
        CommandPhase::Settled(_) => return StepPhase::UndoFailed,
        CommandPhase::Held { .. }
        | CommandPhase::Attempting(_)
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. } => {
            return StepPhase::Undoing;
        }
        CommandPhase::Idle => {}
    }
    match &forward.phase {
        CommandPhase::Idle => StepPhase::Pending,
        CommandPhase::Attempting(_) => StepPhase::Running,
        CommandPhase::Held { .. } | CommandPhase::Resting { .. } | CommandPhase::Sleeping { .. } => StepPhase::Waiting,
        CommandPhase::Settled(CommandOutcome::Succeeded) => StepPhase::Succeeded,
        CommandPhase::Settled(CommandOutcome::Rejected(_)) => StepPhase::Rejected,
        CommandPhase::Settled(CommandOutcome::Failed(_)) => StepPhase::Failed,
        CommandPhase::Settled(CommandOutcome::Unknown(_)) => StepPhase::Unknown,
        CommandPhase::Settled(CommandOutcome::Skipped) => StepPhase::Skipped,
    }
}

/// Commands that are out come first, then the one that is due next.
fn urgency(command: &CommandState) -> (bool, Timestamp) {
    let is_out = matches!(command.phase, CommandPhase::Attempting(_));
    (!is_out, command.due(&OutageLog::NONE).unwrap_or(Timestamp::MAX))
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

/// What holds a command back, in words.
#[must_use]
pub fn held_back(guard: GuardKind, participant: &str) -> String {
    match guard {
        GuardKind::Breaker => format!("waits: calls to {participant} are stopped (breaker)"),
        GuardKind::Bulkhead => format!("waits: as many calls to {participant} are in flight as may be (bulkhead)"),
        GuardKind::RateLimit => format!("waits: {participant} is called as often as may be (rate limit)"),
        GuardKind::Transport => format!("waits: no commands reach {participant} (transport)"),
        GuardKind::RetryBudget => {
            format!("waits: too many calls to {participant} fail for further attempts (retry budget)")
        }
        GuardKind::Health => format!("waits: health checks find {participant} unwell"),
    }
}

/// A guard in words.
#[must_use]
pub fn guard_name(guard: GuardKind) -> &'static str {
    match guard {
        GuardKind::Breaker => "the circuit breaker",
        GuardKind::Bulkhead => "the bulkhead",
        GuardKind::RateLimit => "the rate limit",
        GuardKind::Transport => "the transport",
        GuardKind::RetryBudget => "the retry budget",
        GuardKind::Health => "the participant's health",
    }
}

fn substitute_view(by: &SubstituteAnswer) -> SubstituteView {
    SubstituteView { kind: by.code(), at: by.answered_at().map(rfc3339), text: stood_in(by) }
}

/// What answered in place of a participant, in words.
#[must_use]
pub fn stood_in(by: &SubstituteAnswer) -> String {
    match by {
        SubstituteAnswer::Cache { at } => format!("the cache, with the answer of {}", rfc3339(*at)),
        SubstituteAnswer::Fallback { index, kind } => {
            let place = u32::from(*index) + 1;
            match kind {
                FallbackKind::Cached { at } => format!("fallback {place}, with the cached answer of {}", rfc3339(*at)),
                FallbackKind::LastKnown { at } => {
                    format!("fallback {place}, with the last known answer, of {}", rfc3339(*at))
                }
                FallbackKind::Value => format!("fallback {place}, with a fixed value"),
                FallbackKind::Expression => format!("fallback {place}, with an expression"),
                FallbackKind::Fail { failure } => format!("fallback {place}, with the failure {}", told(failure)),
            }
        }
    }
}

/// Something that a person should look at, in words.
#[must_use]
pub fn incident(step: Option<&str>, direction: Option<CommandDirection>, failure: &CommandFailure) -> String {
    match (step, direction) {
        (Some(step), Some(CommandDirection::Undo)) => format!("undo of {step}: {}", told(failure)),
        (Some(step), Some(CommandDirection::Do) | None) => format!("{step}: {}", told(failure)),
        (None, _) => told(failure),
    }
}

/// A failure in words.
#[must_use]
pub fn told(failure: &CommandFailure) -> String {
    let class = failure.class.map(ErrorClass::as_str).filter(|class| *class != failure.code);
    let class = class.map(|class| format!(" [{class}]")).unwrap_or_default();
    if failure.message.is_empty() {
        format!("{}{class}", failure.code)
    } else {
        format!("{}{class}: {}", failure.code, failure.message)
    }
}

/// Why a saga goes back, in words.
#[must_use]
pub fn caused(plan: &SagaPlan, cause: &CompensationCause) -> String {
    match cause {
        CompensationCause::Step { step, failure } => format!("{}: {}", plan.definition.step(*step).name, told(failure)),
        CompensationCause::Timeout => "the saga's time was over".into(),
        CompensationCause::Cancelled { who, reason } => format!("cancelled by {who}: {reason}"),
    }
}

/// What stays applied of a compensated saga because it cannot be undone, in words; `None`: nothing.
#[must_use]
pub fn stays(plan: &SagaPlan, irreversible: &[StepIndex], in_doubt: &[StepIndex]) -> Option<String> {
    let told = |what: &str, doubted: bool| {
        let these = irreversible.iter().filter(|step| in_doubt.contains(step) == doubted);
        let names: Vec<&str> = these.map(|step| plan.definition.step(*step).name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let (certain, doubted) = (told("applied for good", false), told("may have been applied for good", true));
    let both: Vec<String> = certain.into_iter().chain(doubted).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

fn cause_step(cause: &CompensationCause) -> Option<StepIndex> {
    match cause {
        CompensationCause::Step { step, .. } => Some(*step),
        CompensationCause::Timeout | CompensationCause::Cancelled { .. } => None,
    }
}

/// Why a saga is parked, in words.
#[must_use]
pub fn parked(plan: &SagaPlan, reason: &ParkReason) -> String {
    let name = |step: &StepIndex| plan.definition.step(*step).name.clone();
    match reason {
        ParkReason::StepFailed { step, failure, end } => {
            let (name, failure) = (name(step), told(failure));
            match end {
                StepFailureKind::Failed => format!("{name} failed: {failure}"),
                StepFailureKind::Unknown => format!("whether {name} happened is unknown: {failure}"),
                StepFailureKind::Rejected => format!("{name} was rejected by its check: {failure}"),
            }
        }
        ParkReason::PivotUnknown { step, failure } => {
            format!("whether the pivot {} happened is unknown: {}", name(step), told(failure))
        }
        ParkReason::UndoFailed { steps, failure } => {
            let names: Vec<String> = steps.iter().map(name).collect();
            format!("the undo of {} gave up: {}", names.join(", "), told(failure))
        }
        ParkReason::Output { failure } => format!("the output cannot be evaluated: {}", told(failure)),
        ParkReason::Limit { message } => message.clone(),
    }
}

fn parked_step(reason: &ParkReason) -> Option<StepIndex> {
    match reason {
        ParkReason::StepFailed { step, .. } | ParkReason::PivotUnknown { step, .. } => Some(*step),
        ParkReason::UndoFailed { steps, .. } => steps.first().copied(),
        ParkReason::Output { .. } | ParkReason::Limit { .. } => None,
    }
}
