//! JSON of inputs that were never records. Versions of the product forward to each other through it while they are
//! rolled out: fields are added with defaults, never renamed or removed.

use super::{CallOutcome, InboxEnvelope};
use crate::poison::{PoisonCode, PoisonDiagnosis};
use saga_core::{
    act_author::ActOrigin,
    command::{CommandAnswer, CommandDirection, CommandFailure, GuardKind, RetryAdvice},
    event::OperatorAction,
    id::{CommandId, CommandIdError, SagaId, SagaIdError},
    input::{ActTarget, OperatorAct},
    rerun::RerunOrder,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeWire {
    command: String,
    /// The saga that waits, if it is not the one of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    saga: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    answer: AnswerWire,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "outcome")]
enum AnswerWire {
    Succeeded {
        #[serde(default)]
        result: Value,
    },
    Failed {
        failure: CommandFailure,
        retry: RetryAdvice,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    Unknown {
        failure: CommandFailure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry: Option<RetryAdvice>,
        /// The saga parks at once. A build before this one reads `retry`, and parks it after its retries.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        parks: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    Ongoing {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_after_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    },
    NotSent {
        guard: GuardKind,
        retry_after_ms: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OperatorWire {
    saga: String,
    id: String,
    who: String,
    reason: String,
    action: OperatorAction,
    /// A build before this one named no step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    direction: Option<CommandDirection>,
    /// Of a retry by another definition: the hashes of its text and of its policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    definition: Option<(String, String)>,
    /// A build before this one did not say.
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    origin: ActOrigin,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RerunWire {
    saga: String,
    id: String,
    who: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default)]
    force: bool,
    /// By another definition: the hashes of its text and of its policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    definition: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    origin: ActOrigin,
}

pub(super) fn outcome(outcome: &CallOutcome) -> String {
    let CallOutcome { saga, command, attempt, answer } = outcome;
    let saga = (*saga != command.saga).then(|| saga.to_string());
    json(&OutcomeWire { command: command.to_string(), saga, attempt: *attempt, answer: to_wire(answer.clone()) })
}

pub(super) fn operator(saga: SagaId, act: &OperatorAct, definition: Option<&(String, String)>) -> String {
    let OperatorAct { id, who, reason, action, about, origin } = act.clone();
    let (step, direction) = about.map_or((None, None), |about| (Some(about.step), about.direction));
    let definition = definition.cloned();
    json(&OperatorWire {
        saga: saga.to_string(),
        id,
        who,
        reason,
        action,
        step,
        direction,
        definition,
        origin: *origin,
    })
}

pub(super) fn read_outcome(bytes: &[u8]) -> Result<CallOutcome, PoisonDiagnosis> {
    let OutcomeWire { command, saga, attempt, answer } = read(bytes)?;
    let command: CommandId = command.parse().map_err(|error: CommandIdError| foreign(error.to_string()))?;
    let saga = saga.map_or(Ok(command.saga), |saga| saga_of(&saga))?;
    Ok(CallOutcome { saga, command, attempt, answer: from_wire(answer) })
}

pub(super) fn read_operator(bytes: &[u8]) -> Result<InboxEnvelope, PoisonDiagnosis> {
    let OperatorWire { saga, id, who, reason, action, step, direction, definition, origin } = read(bytes)?;
    let saga = saga_of(&saga)?;
    let about = step.map(|step| ActTarget { step, direction });
    Ok(InboxEnvelope::Operator {
        saga,
        act: OperatorAct { id, who, reason, action, about, origin: Box::new(origin) },
        definition,
    })
}

pub(super) fn rerun(saga: SagaId, order: &RerunOrder, definition: Option<&(String, String)>) -> String {
    let RerunOrder { id, who, reason, from, force, origin } = order.clone();
    let definition = definition.cloned();
    json(&RerunWire { saga: saga.to_string(), id, who, reason, from, force, definition, origin })
}

pub(super) fn read_rerun(bytes: &[u8]) -> Result<InboxEnvelope, PoisonDiagnosis> {
    let RerunWire { saga, id, who, reason, from, force, definition, origin } = read(bytes)?;
    let order = RerunOrder { id, who, reason, from, force, origin };
    Ok(InboxEnvelope::Rerun { saga: saga_of(&saga)?, order, definition })
}

fn saga_of(text: &str) -> Result<SagaId, PoisonDiagnosis> {
    text.parse().map_err(|error: SagaIdError| foreign(error.to_string()))
}

fn to_wire(answer: CommandAnswer) -> AnswerWire {
    match answer {
        CommandAnswer::Succeeded { result } => AnswerWire::Succeeded { result },
        CommandAnswer::Failed { failure, retry, retry_after } => {
            AnswerWire::Failed { failure, retry, retry_after_ms: retry_after.map(millis) }
        }
        CommandAnswer::Unknown { failure, retry, retry_after } => {
            let parks = retry == RetryAdvice::Park;
            let retry = Some(if parks { RetryAdvice::ThenPark } else { retry });
            AnswerWire::Unknown { failure, retry, parks, retry_after_ms: retry_after.map(millis) }
        }
        CommandAnswer::Ongoing { ask_after, location } => {
            AnswerWire::Ongoing { ask_after_ms: ask_after.map(millis), location }
        }
        CommandAnswer::NotSent { guard, retry_after } => {
            AnswerWire::NotSent { guard, retry_after_ms: millis(retry_after) }
        }
    }
}

fn from_wire(answer: AnswerWire) -> CommandAnswer {
    match answer {
        AnswerWire::Succeeded { result } => CommandAnswer::Succeeded { result },
        AnswerWire::Failed { failure, retry, retry_after_ms } => {
            CommandAnswer::Failed { failure, retry, retry_after: retry_after_ms.map(Duration::from_millis) }
        }
        AnswerWire::Unknown { failure, retry, parks, retry_after_ms } => CommandAnswer::Unknown {
            failure,
            retry: if parks { RetryAdvice::Park } else { retry.unwrap_or(RetryAdvice::Yes) },
            retry_after: retry_after_ms.map(Duration::from_millis),
        },
        AnswerWire::Ongoing { ask_after_ms, location } => {
            CommandAnswer::Ongoing { ask_after: ask_after_ms.map(Duration::from_millis), location }
        }
        AnswerWire::NotSent { guard, retry_after_ms } => {
            CommandAnswer::NotSent { guard, retry_after: Duration::from_millis(retry_after_ms) }
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn json(wire: &impl Serialize) -> String {
    serde_json::to_string(wire).expect("strings, numbers and JSON values always serialise")
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, PoisonDiagnosis> {
    serde_json::from_slice(bytes).map_err(|error| foreign(error.to_string()))
}

fn foreign(message: String) -> PoisonDiagnosis {
    PoisonDiagnosis::new(PoisonCode::Inbox, message)
}
