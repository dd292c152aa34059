//! A journal in words, event by event.

use super::{
    RecordedSaga,
    timeline::{self, EventTiming},
};
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest},
    describe,
    direct_start::origin,
    event::{AttemptOutcome, ForkOrigin, NoRetryReason, SagaEnd, SagaEvent, TakenOutcome},
    id::StepIndex,
    state::SagaPlan,
    time::rfc3339,
    words,
};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// One event of a journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLine {
    /// The event's id in the journal, `<version>.<index>`: the version of its row, and its index there from 0.
    pub event: String,
    /// The time of the decision, in RFC 3339, UTC.
    pub at: String,
    /// Name of the step that the event is about; `None` for an event of the whole saga.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Milliseconds since the row before; `None` in the first row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_before_ms: Option<u64>,
    /// Of an event that ends an attempt, a command or the saga: how many milliseconds that took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// The attempt that the event is about, 1 for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What caused the event, in words. The id of another event: this one followed from it in the same decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What happened, in words for operators.
    pub text: String,
    /// What came in, was sent, or was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// The event as it is stored, in JSON.
    pub data: Value,
}

impl HistoryLine {
    /// How long what ended took, in words; `None`: the event ends nothing.
    #[must_use]
    pub fn took(&self) -> Option<String> {
        self.took_ms.map(span)
    }
}

/// A span of time in words, with three digits: `950 ms`, `2.31 s`, `4m 5s`, `3h 20m`, `2d 4h`.
#[must_use]
pub fn span(ms: u64) -> String {
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{seconds}.{:02} s", ms % 1_000 / 10),
        10_000..60_000 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60_000..3_600_000 => format!("{minutes}m {}s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{}d {}h", hours / 24, hours % 24),
    }
}

/// Everything that happened to a saga, oldest first.
#[must_use]
pub fn history(recorded: &RecordedSaga) -> Vec<HistoryLine> {
    let plan = &recorded.plan;
    let numbered = recorded
        .decisions
        .iter()
        .flat_map(|decision| decision.events.iter().enumerate().map(move |(index, event)| (decision, index, event)));
    let events: Vec<&SagaEvent> = recorded.decisions.iter().flat_map(|decision| &decision.events).collect();
    let timings = timeline::timings(plan, &recorded.decisions);
    numbered
        .zip(left(&events))
        .zip(timings)
        .map(|(((decision, index, event), left), EventTiming { since_before, took, attempt, cause })| HistoryLine {
            event: format!("{}.{index}", decision.version),
            at: rfc3339(decision.at),
            step: saga_core::evolve::step_of(event).map(|step| plan.definition.step(step).name.clone()),
            since_before_ms: since_before.map(whole_ms),
            took_ms: took.map(whole_ms),
            attempt,
            cause: Some(cause),
            text: describe(plan, event, left),
            payload: payload(event).filter(|payload| !payload.is_null()).cloned(),
            data: serde_json::to_value(event).unwrap_or(Value::Null),
        })
        .collect()
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What an event carries: the trigger, a request, an answer, an output.
fn payload(event: &SagaEvent) -> Option<&Value> {
    match event {
        SagaEvent::SagaStarted { trigger, .. } => Some(&trigger.event),
        SagaEvent::StepStarted { request, .. }
        | SagaEvent::OutcomeDue { request, .. }
        | SagaEvent::OutcomeShortened { request } => describe::body(request),
        SagaEvent::StepSucceeded { result, .. }
        | SagaEvent::StepRejected { result, .. }
        | SagaEvent::StepAnswered { result, .. }
        | SagaEvent::ResultArrived { result, .. } => Some(result),
        SagaEvent::StepTakenOver { taken, .. } => Some(&taken.result),
        SagaEvent::SagaEnded { end: SagaEnd::Completed { output } } => Some(output),
        SagaEvent::SagaEnded { end: SagaEnd::Compensated { .. } | SagaEnd::Abandoned { .. } }
        | SagaEvent::WaitStarted { .. }
        | SagaEvent::AttemptStarted { .. }
        | SagaEvent::AttemptFailed { .. }
        | SagaEvent::AttemptExtended { .. }
        | SagaEvent::StepWaiting { .. }
        | SagaEvent::StepFailed { .. }
        | SagaEvent::StepSkipped { .. }
        | SagaEvent::CompensationStarted { .. }
        | SagaEvent::SagaOverdue
        | SagaEvent::SagaParked { .. }
        | SagaEvent::SagaResumed
        | SagaEvent::OperatorActed { .. }
        | SagaEvent::DefinitionChanged { .. }
        | SagaEvent::OutcomeWaiting { .. }
        | SagaEvent::IncidentOpened { .. } => None,
    }
}

/// One event in words.
#[must_use]
pub fn describe(plan: &SagaPlan, event: &SagaEvent, left: SendStatus) -> String {
    match event {
        SagaEvent::SagaStarted { name, key, forked_from: Some(origin), .. } => {
            let from = origin.from.as_ref().map(|step| format!(" from {step}")).unwrap_or_default();
            let ForkOrigin { saga, who, reason, .. } = origin.as_ref();
            format!("saga {name} for key {key} runs {saga} again{from}; {who}: {reason}{}", left_standing(origin))
        }
        SagaEvent::StepTakenOver { step, taken } => {
            let outcome = match &taken.outcome {
                TakenOutcome::Succeeded => "succeeded".to_owned(),
                TakenOutcome::Skipped => "skipped".to_owned(),
                TakenOutcome::Failed { failure } => format!("failed: {}", told(failure)),
            };
            format!("{} taken over from {}: {outcome}", name(plan, *step), taken.done_in)
        }
        SagaEvent::SagaStarted { name, key, trigger, .. } => {
            format!("saga {name} started for key {key} by {}", origin(trigger))
        }
        SagaEvent::StepStarted { step, direction, request, probe } => {
            format!("{} {}: {}", command(plan, *step, *direction), left.sent(*probe), sent(request))
        }
        SagaEvent::WaitStarted { step, until } => format!("{} waits until {}", name(plan, *step), rfc3339(*until)),
        SagaEvent::AttemptStarted { step, direction, attempt, probe } => {
            format!("{}: attempt {attempt} {}", command(plan, *step, *direction), left.sent(*probe))
        }
        SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person: _ } => {
            let next =
                retry_at.map_or_else(|| "no further attempt".to_owned(), |at| format!("next one at {}", rfc3339(at)));
            let outcome = self::outcome(*outcome);
            format!("{}: attempt {attempt} {outcome} ({}); {next}", command(plan, *step, *direction), told(failure))
        }
        SagaEvent::AttemptExtended { step, direction, attempt, deadline, .. } => {
            let command = command(plan, *step, *direction);
            format!("{command}: the participant works on attempt {attempt}, it has until {}", rfc3339(*deadline))
        }
        SagaEvent::StepWaiting { step, direction, guard, participant, not_before, .. } => {
            let command = command(plan, *step, *direction);
            let not_sent = if left == SendStatus::No { " was not sent:" } else { "" };
            match participant {
                Some(participant) => format!("{command}{not_sent} {}", words::held_back(*guard, participant)),
                None => {
                    format!(
                        "{command}{not_sent} held back by {} until {}",
                        words::guard_name(*guard),
                        rfc3339(*not_before)
                    )
                }
            }
        }
        SagaEvent::StepSucceeded { step, direction: CommandDirection::Do, .. } => {
            format!("{} succeeded", name(plan, *step))
        }
        SagaEvent::StepSucceeded { step, direction: CommandDirection::Undo, .. } => {
            format!("{} undone", name(plan, *step))
        }
        SagaEvent::StepRejected { step, failure, .. } => format!("{} rejected: {}", name(plan, *step), told(failure)),
        SagaEvent::StepFailed { step, direction, outcome, failure, ending } => {
            let outcome = match outcome {
                AttemptOutcome::Failed => "failed",
                AttemptOutcome::Unknown => "result unknown, it may have happened",
            };
            let command = command(plan, *step, *direction);
            format!("{command} {outcome}: {}{}", told(failure), because(*ending))
        }
        SagaEvent::StepAnswered { step, by, .. } => {
            format!("{} answered by {}", name(plan, *step), words::stood_in(by))
        }
        SagaEvent::StepSkipped { step, direction: CommandDirection::Do, in_doubt } => {
            let doubt = if *in_doubt { "; it may have happened" } else { "" };
            format!("{} skipped{doubt}", name(plan, *step))
        }
        SagaEvent::StepSkipped { step, direction: CommandDirection::Undo, .. } => {
            format!("the undo of {} is marked as done by hand", name(plan, *step))
        }
        SagaEvent::ResultArrived { step, .. } => format!("{} reports a late success", name(plan, *step)),
        SagaEvent::CompensationStarted { cause } => format!("compensation starts: {}", words::caused(plan, cause)),
        SagaEvent::SagaOverdue => "the saga's time ended after its pivot: overdue, it goes on".into(),
        SagaEvent::SagaParked { reason } => format!("parked: {}", words::parked(plan, reason)),
        SagaEvent::SagaResumed => "goes on: what it was parked for resolved itself".into(),
        SagaEvent::OperatorActed { who, reason, action, command, .. } => {
            format!("{who}: {} ({reason})", words::acted(plan, *action, *command))
        }
        SagaEvent::DefinitionChanged { from, definition, .. } => {
            format!("from here on it runs by the definition {definition}, before by {from}")
        }
        SagaEvent::OutcomeDue { request, .. } => format!("the outcome event will be published: {}", sent(request)),
        SagaEvent::OutcomeWaiting { failure } => format!("the outcome event waits for its topic: {}", told(failure)),
        SagaEvent::OutcomeShortened { request } => {
            format!("the outcome event will be published without output: {}", sent(request))
        }
        SagaEvent::SagaEnded { end } => ended(plan, end),
        SagaEvent::IncidentOpened { step, direction, failure } => {
            format!("incident: {}", words::incident(step.map(|step| name(plan, step)), *direction, failure))
        }
    }
}

fn left_standing(origin: &ForkOrigin) -> String {
    match origin.standing.as_slice() {
        [] => String::new(),
        steps => format!("; effects that stay beside those of this saga: {}", steps.join(", ")),
    }
}

fn name(plan: &SagaPlan, step: StepIndex) -> &str {
    &plan.definition.step(step).name
}

fn command(plan: &SagaPlan, step: StepIndex, direction: CommandDirection) -> String {
    words::command(plan, CommandRef { step, direction })
}

/// Whether a decided attempt was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStatus {
    /// The attempt was sent, as far as the journal shows.
    Yes,
    /// A guard held it back at the last moment, which the journal says after it. Of what a guard holds back: an attempt
    /// of it was decided on.
    No,
}

impl SendStatus {
    fn sent(self, probe: bool) -> &'static str {
        match (self, probe) {
            (SendStatus::Yes, false) => "sent",
            (SendStatus::Yes, true) => "sent as a probe (does not count as an attempt)",
            (SendStatus::No, false) => "chosen to be sent, but not sent (see below)",
            (SendStatus::No, true) => "chosen as a probe, but not sent (see below)",
        }
    }
}

/// Of each event whether the attempt that it is about left: a start that the next event of its command takes back did
/// not.
fn left(events: &[&SagaEvent]) -> Vec<SendStatus> {
    let mut left = vec![SendStatus::Yes; events.len()];
    let mut started: BTreeMap<CommandRef, usize> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if let SagaEvent::StepStarted { step, direction, .. } | SagaEvent::AttemptStarted { step, direction, .. } =
            event
        {
            started.insert(CommandRef { step: *step, direction: *direction }, index);
        } else if let SagaEvent::StepWaiting { step, direction, .. } = event {
            if let Some(start) = started.remove(&CommandRef { step: *step, direction: *direction }) {
                (left[start], left[index]) = (SendStatus::No, SendStatus::No);
            }
        } else if let Some(step) = saga_core::evolve::step_of(event) {
            started.retain(|command, _| command.step != step);
        }
    }
    left
}

fn sent(request: &CommandRequest) -> String {
    words::addressed(request)
}

fn told(failure: &CommandFailure) -> String {
    words::told(failure)
}

fn outcome(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::Unknown => "is unknown",
    }
}

fn because(ending: NoRetryReason) -> &'static str {
    match ending {
        NoRetryReason::Definite => "; permanently",
        NoRetryReason::Exhausted => "",
        NoRetryReason::NeedsPerson => "; for a person to look at",
    }
}

fn ended(plan: &SagaPlan, end: &SagaEnd) -> String {
    match end {
        SagaEnd::Completed { .. } => "completed".into(),
        SagaEnd::Compensated { cause, irreversible, in_doubt } => {
            let stays = words::stays(plan, irreversible, in_doubt).map(|stays| format!("; {stays}"));
            format!("compensated ({}){}", words::caused(plan, cause), stays.unwrap_or_default())
        }
        SagaEnd::Abandoned { who, reason, left } => {
            let names: Vec<&str> = left.iter().map(|step| name(plan, *step)).collect();
            let left = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            format!("abandoned by {who} ({reason}); left undone: {left}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{command::GuardKind, time::Timestamp};

    const STEP: StepIndex = StepIndex(0);

    fn started(direction: CommandDirection) -> SagaEvent {
        SagaEvent::AttemptStarted { step: STEP, direction, attempt: 2, probe: true }
    }

    fn held(direction: CommandDirection) -> SagaEvent {
        SagaEvent::StepWaiting {
            step: STEP,
            direction,
            guard: GuardKind::Breaker,
            participant: Some("payouts".into()),
            not_before: Timestamp(0),
            ever_sent: true,
        }
    }

    fn failed() -> SagaEvent {
        SagaEvent::AttemptFailed {
            step: STEP,
            direction: CommandDirection::Do,
            attempt: 2,
            outcome: AttemptOutcome::Failed,
            failure: CommandFailure::new("busy", ""),
            retry_at: None,
            needs_person: false,
        }
    }

    fn of(events: &[SagaEvent]) -> Vec<SendStatus> {
        left(&events.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_span_is_told_with_three_digits() {
        let spans = [0, 999, 1_000, 2_319, 59_999, 60_000, 245_000, 3_600_000, 12_000_000, 187_200_000].map(span);
        let expected = ["0 ms", "999 ms", "1.00 s", "2.31 s", "59.9 s", "1m 0s", "4m 5s", "1h 0m", "3h 20m", "2d 4h"];
        assert_eq!(spans, expected);
    }

    #[test]
    fn an_attempt_that_a_guard_took_back_is_told_as_not_sent_from_the_start() {
        let (go, back) = (CommandDirection::Do, CommandDirection::Undo);
        assert_eq!(of(&[started(go), held(go)]), [SendStatus::No, SendStatus::No]);
        assert_eq!(of(&[held(go), started(go), failed(), held(go)]), [SendStatus::Yes; 4]);
        // What is about the undo says nothing of the do.
        assert_eq!(of(&[started(go), held(back)]), [SendStatus::Yes; 2]);
        assert_eq!(SendStatus::No.sent(true), "chosen as a probe, but not sent (see below)");
    }
}
