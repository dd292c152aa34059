//! What is on record, in words: one fact, one phrase. The rules use them to say why they refuse an act.

mod commands;

use crate::{
    command::{CommandDirection, CommandFailure, CommandRequest, ErrorClass, GuardKind},
    event::{CompensationCause, FallbackKind, ParkReason, StepFailureKind, SubstituteAnswer},
    id::StepIndex,
    state::SagaPlan,
    time::rfc3339,
};

pub use commands::{about, acted, command, commands};

/// What holds a command back, in words.
#[must_use]
pub fn held_back(guard: GuardKind, participant: &str) -> String {
    match guard {
        GuardKind::Breaker => format!("waits: calls to {participant} are stopped (breaker)"),
        GuardKind::Bulkhead => format!("waits: all permits for calls to {participant} are in use (bulkhead)"),
        GuardKind::RateLimit => format!("waits: no more calls to {participant} are allowed for now (rate limit)"),
        GuardKind::Transport => format!("waits: no commands reach {participant} (transport)"),
        GuardKind::RetryBudget => {
            format!("waits: too many calls to {participant} are further attempts (retry budget)")
        }
        GuardKind::Health => format!("waits: health checks report {participant} as unhealthy (health check)"),
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
    let (certain, doubted) = (told("applied permanently", false), told("may have been applied permanently", true));
    let both: Vec<String> = certain.into_iter().chain(doubted).collect();
    (!both.is_empty()).then(|| both.join("; "))
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

/// The participant that a request asks, and what for, in words.
#[must_use]
pub fn addressed(request: &CommandRequest) -> String {
    match request {
        CommandRequest::Kafka { participant, command, .. } => format!("command {command} to {participant}"),
        CommandRequest::Http { participant, method, path, .. } => format!("{} {participant}/{path}", method.as_str()),
        CommandRequest::Publish { topic, event_type, .. } => format!("event {event_type} to topic {topic}"),
    }
}
