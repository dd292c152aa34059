//! What a participant's reply means.

use super::{
    payload,
    payload_schema::{PayloadSchema, PayloadSchemaName, RecordContent},
    poison::{PoisonCode, PoisonDiagnosis},
    record::{KafkaRecord, RecordHeader},
};
use saga_base::{panics::caught, secrets};
use saga_contract::{ReplyOutcome, headers as names};
use saga_core::{
    command::{CommandAnswer, CommandDirection, CommandFailure, ErrorClass, FailureOrigin, RetryAdvice},
    id::{CommandId, SagaId},
};
use serde_json::Value;

/// Of a participant's error message, this much is kept: it is read by people and stored in the journal.
const MESSAGE_BYTES: usize = 4096;

/// `error_code` of a failure that names none.
const UNNAMED: &str = "failed";

/// What came back for a command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandReply {
    /// The saga that waits for the answer. Its id carries the shard.
    pub saga: SagaId,
    /// Which command it answers. The saga in it is another one if that one performed the step, and this one undoes it.
    pub command: CommandId,
    /// Which attempt, if the participant said so.
    pub attempt: Option<u32>,
    /// What the participant answers to the command.
    pub answer: CommandAnswer,
}

/// A reply that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum ParsedReply {
    /// It says what it has to.
    Reply(CommandReply),
    /// It does not. It goes to the DLQ, and where it names its command, that attempt is unknown and its saga parks.
    Poison {
        /// Why the reply cannot be used.
        poison: PoisonDiagnosis,
        /// The reply as an answer; `None` if the reply does not even name its command.
        unknown: Option<CommandReply>,
    },
}

/// The schema that has to be known before the reply is read; `None`: it names none, or its value is not read.
#[must_use]
pub fn schema_needed(record: &KafkaRecord) -> Option<PayloadSchemaName> {
    PayloadSchemaName::of(record).filter(|_| outcome(record).is_ok_and(has_result))
}

/// Reads a reply. Total: whatever the bytes, there is an answer or a diagnosis. `schema` is that of the reply's value,
/// where [`schema_needed`] names one. A panic on the way is a fault of the record.
#[must_use]
pub fn parse(record: &KafkaRecord, schema: &PayloadSchema) -> ParsedReply {
    let poison = |panic: String| covered(&PoisonDiagnosis::of_panic("reading the reply", &panic));
    caught(|| read(record, schema)).unwrap_or_else(|panic| ParsedReply::Poison { poison: poison(panic), unknown: None })
}

fn read(record: &KafkaRecord, schema: &PayloadSchema) -> ParsedReply {
    let (saga, command) = match command(record) {
        Ok(found) => found,
        Err(poison) => return ParsedReply::Poison { poison: covered(&poison), unknown: None },
    };
    let (attempt, answer) = match attempt(record) {
        Ok(attempt) => (attempt, correlated(record).and_then(|_| answer(record, schema))),
        Err(poison) => (None, Err(poison)),
    };
    match answer {
        Ok(answer) => {
            ParsedReply::Reply(CommandReply { saga, command, attempt, answer: secrets::cover_answer(answer) })
        }
        Err(poison) => {
            let poison = covered(&poison);
            let message = format!("{}; the reply {} is a dead letter", poison.message, record.coordinates());
            let failure = CommandFailure::unreadable_reply(poison.code.as_str(), &message);
            let answer = CommandAnswer::Unknown { failure, retry: RetryAdvice::Park, retry_after: None };
            let unknown = Some(CommandReply { saga, command, attempt, answer });
            ParsedReply::Poison { poison, unknown }
        }
    }
}

/// The idempotency key names the command, and the correlation id the saga that sent it; without one it is the saga of
/// the key. They differ where a saga undoes what the saga did that it runs again; those two are in one shard, and every
/// other pair is worthless. A correlation id that cannot be read leaves the answer unknown.
fn command(record: &KafkaRecord) -> Result<(SagaId, CommandId), PoisonDiagnosis> {
    let unreadable = |message: String| PoisonDiagnosis::new(PoisonCode::NoCommand, message);
    let key = payload::header(record, names::IDEMPOTENCY_KEY).map_err(|poison| unreadable(poison.message))?;
    let key = key.ok_or_else(|| unreadable("no header idempotency_key".into()))?;
    let command: CommandId =
        key.parse().map_err(|error: saga_core::id::CommandIdError| unreadable(error.to_string()))?;
    match correlated(record) {
        Ok(Some(said)) => match said.parse::<SagaId>() {
            Ok(saga) if saga == command.saga || is_undone_by(saga, &command) => Ok((saga, command)),
            Ok(_) | Err(_) => {
                Err(unreadable(format!("ce_correlationid `{said}` is not the saga of idempotency_key `{key}`")))
            }
        },
        Ok(None) | Err(_) => Ok((command.saga, command)),
    }
}

/// Whether `saga` may have sent the undo of what another saga did. The owner of the shard knows.
fn is_undone_by(saga: SagaId, command: &CommandId) -> bool {
    command.direction == CommandDirection::Undo && saga.shard() == command.saga.shard()
}

/// The saga that a reply with these headers is about, as far as they say: for people who look for its letter. It may be
/// another one than a reply that can be read would go to.
#[must_use]
pub fn named_saga(headers: &[RecordHeader]) -> Option<SagaId> {
    let said = |name: &str| {
        let (_, value) = headers.iter().rev().find(|(other, _)| other == name)?;
        payload::text(value.as_deref()?)
    };
    let command = said(names::IDEMPOTENCY_KEY).and_then(|key| key.parse::<CommandId>().ok());
    let is_reply = command.is_some() || said(names::SAGA_OUTCOME).is_some();
    let correlated = said(names::CE_CORRELATION_ID).and_then(|id| id.parse().ok());
    correlated.filter(|_| is_reply).or(command.map(|command| command.saga))
}

/// The saga that the correlation id names, if there is one.
fn correlated(record: &KafkaRecord) -> Result<Option<&str>, PoisonDiagnosis> {
    payload::header(record, names::CE_CORRELATION_ID)
}

fn attempt(record: &KafkaRecord) -> Result<Option<u32>, PoisonDiagnosis> {
    let Some(text) = payload::header(record, names::SAGA_ATTEMPT)? else { return Ok(None) };
    let number = text.parse().ok().filter(|attempt| *attempt > 0);
    let wrong = || PoisonDiagnosis::new(PoisonCode::Header, "saga_attempt is not a number from 1");
    number.ok_or_else(wrong).map(Some)
}

fn answer(record: &KafkaRecord, schema: &PayloadSchema) -> Result<CommandAnswer, PoisonDiagnosis> {
    if record.size() > payload::LARGEST_RECORD {
        return Err(PoisonDiagnosis::new(PoisonCode::Oversize, format!("{} bytes, at most 1 MiB", record.size())));
    }
    match outcome(record)? {
        ReplyOutcome::Succeeded => Ok(CommandAnswer::Succeeded { result: result(record, schema)? }),
        ReplyOutcome::Failed => failed(record),
        ReplyOutcome::Ongoing => Ok(CommandAnswer::Ongoing { ask_after: None, location: None }),
    }
}

fn outcome(record: &KafkaRecord) -> Result<ReplyOutcome, PoisonDiagnosis> {
    let said = payload::header(record, names::SAGA_OUTCOME)?;
    let wrong = |found: String| {
        let message = format!("{found}: expected succeeded, failed or ongoing");
        PoisonDiagnosis::new(PoisonCode::Outcome, message)
    };
    let text = said.ok_or_else(|| wrong("no header saga_outcome".into()))?;
    text.parse().map_err(|_| wrong(format!("saga_outcome is `{text}`")))
}

fn has_result(outcome: ReplyOutcome) -> bool {
    match outcome {
        ReplyOutcome::Succeeded => true,
        ReplyOutcome::Failed | ReplyOutcome::Ongoing => false,
    }
}

fn result(record: &KafkaRecord, schema: &PayloadSchema) -> Result<Value, PoisonDiagnosis> {
    match record.value.as_deref() {
        None | Some([]) => Ok(Value::Null),
        Some(_) => RecordContent::of(record, schema).read(record),
    }
}

fn failed(record: &KafkaRecord) -> Result<CommandAnswer, PoisonDiagnosis> {
    let code = payload::header(record, names::ERROR_CODE)?.filter(|code| !code.is_empty()).unwrap_or(UNNAMED);
    let message = payload::header(record, names::ERROR_MESSAGE)?.unwrap_or_default();
    let retry = retryable(record)?;
    let failure = CommandFailure::new(shortened(code), shortened(message));
    let failure = failure.of_origin(FailureOrigin::REPLY).of_class(class(retry));
    Ok(CommandAnswer::Failed { failure, retry, retry_after: None })
}

/// A reply has no status: all that is known is whether trying again may help. The participant's own `errors` may say
/// more of a code.
fn class(retry: RetryAdvice) -> ErrorClass {
    match retry {
        RetryAdvice::No => ErrorClass::ClientError,
        RetryAdvice::Yes | RetryAdvice::Conflict | RetryAdvice::ThenPark | RetryAdvice::Park => ErrorClass::Unknown,
    }
}

/// A participant that does not set the header has refused permanently, as a 4xx answer would.
fn retryable(record: &KafkaRecord) -> Result<RetryAdvice, PoisonDiagnosis> {
    match payload::header(record, names::ERROR_RETRYABLE)?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(RetryAdvice::No),
        Some("true") => Ok(RetryAdvice::Yes),
        Some(other) => Err(PoisonDiagnosis::new(
            PoisonCode::Header,
            format!("error_retryable is `{other}`, expected true or false"),
        )),
    }
}

/// What it quotes may be a secret; the record itself stays as it came.
fn covered(poison: &PoisonDiagnosis) -> PoisonDiagnosis {
    PoisonDiagnosis::new(poison.code, secrets::covered(&poison.message).into_owned())
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES)]
}

#[cfg(test)]
mod tests;
