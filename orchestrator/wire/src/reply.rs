//! What a participant's reply means.

use super::{
    payload,
    poison::{Poison, PoisonCode},
    record::Record,
};
use saga_base::secrets;
use saga_core::{
    command::{Answer, ErrorClass, Failure, Retryable},
    id::CommandId,
};
use serde_json::Value;

/// Of a participant's error message, this much is kept: it is read by people and stored in the journal.
const MESSAGE_BYTES: usize = 4096;

/// `error_code` of a failure that names none.
const UNNAMED: &str = "failed";

/// What came back for a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Which command it answers; carries the saga and thereby the shard.
    pub command: CommandId,
    /// Which attempt, if the participant said so.
    pub attempt: Option<u32>,
    /// What it says.
    pub answer: Answer,
}

/// A reply that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// It says what it has to.
    Reply(Reply),
    /// It does not. It goes to the DLQ, and where it names its command, that attempt is unknown.
    Poison {
        /// Why.
        poison: Poison,
        /// The same as an answer; `None` if not even the command can be told.
        unknown: Option<Reply>,
    },
}

/// Reads a reply. Total: whatever the bytes, there is an answer or a diagnosis.
#[must_use]
pub fn parse(record: &Record) -> Parsed {
    let command = match command(record) {
        Ok(command) => command,
        Err(poison) => return Parsed::Poison { poison: covered(&poison), unknown: None },
    };
    let (attempt, answer) = match attempt(record) {
        Ok(attempt) => (attempt, correlated(record).and_then(|_| answer(record))),
        Err(poison) => (None, Err(poison)),
    };
    match answer {
        Ok(answer) => Parsed::Reply(Reply { command, attempt, answer: secrets::cover_answer(answer) }),
        Err(poison) => {
            let poison = covered(&poison);
            let failure = Failure::new(format!("reply.{}", poison.code), poison.message.as_str());
            let failure = failure.of_class(ErrorClass::Unknown);
            let unknown = Some(Reply { command, attempt, answer: Answer::unknown(failure) });
            Parsed::Poison { poison, unknown }
        }
    }
}

/// The idempotency key names the command; a correlation id that names another saga makes both worthless. One that cannot be read leaves the
/// answer unknown.
fn command(record: &Record) -> Result<CommandId, Poison> {
    let unreadable = |message: String| Poison::new(PoisonCode::NoCommand, message);
    let key = payload::header(record, "idempotency_key").map_err(|poison| unreadable(poison.message))?;
    let key = key.ok_or_else(|| unreadable("no header idempotency_key".into()))?;
    let command: CommandId =
        key.parse().map_err(|error: saga_core::id::NotACommandId| unreadable(error.to_string()))?;
    match correlated(record) {
        Ok(Some(saga)) if !saga.eq_ignore_ascii_case(&command.saga.to_string()) => {
            Err(unreadable(format!("ce_correlationid `{saga}` is not the saga of idempotency_key `{key}`")))
        }
        Ok(Some(_) | None) | Err(_) => Ok(command),
    }
}

/// The saga that the correlation id names, if there is one.
fn correlated(record: &Record) -> Result<Option<&str>, Poison> {
    payload::header(record, "ce_correlationid")
}

fn attempt(record: &Record) -> Result<Option<u32>, Poison> {
    let Some(text) = payload::header(record, "saga_attempt")? else { return Ok(None) };
    let number = text.parse().ok().filter(|attempt| *attempt > 0);
    let wrong = || Poison::new(PoisonCode::Header, "saga_attempt is not a number from 1");
    number.ok_or_else(wrong).map(Some)
}

fn answer(record: &Record) -> Result<Answer, Poison> {
    if record.size() > payload::LARGEST_RECORD {
        return Err(Poison::new(PoisonCode::Oversize, format!("{} bytes, at most 1 MiB", record.size())));
    }
    match payload::header(record, "saga_outcome")? {
        Some("succeeded") => Ok(Answer::Succeeded { result: result(record)? }),
        Some("failed") => failed(record),
        Some("ongoing") => Ok(Answer::Ongoing { ask_after: None, location: None }),
        Some(other) => Err(Poison::new(
            PoisonCode::Outcome,
            format!("saga_outcome is `{other}`, expected succeeded, failed or ongoing"),
        )),
        None => Err(Poison::new(PoisonCode::Outcome, "no header saga_outcome: expected succeeded, failed or ongoing")),
    }
}

fn result(record: &Record) -> Result<Value, Poison> {
    match record.value.as_deref() {
        None | Some([]) => Ok(Value::Null),
        Some(bytes) => payload::json(bytes),
    }
}

fn failed(record: &Record) -> Result<Answer, Poison> {
    let code = payload::header(record, "error_code")?.filter(|code| !code.is_empty()).unwrap_or(UNNAMED);
    let message = payload::header(record, "error_message")?.unwrap_or_default();
    let retry = retryable(record)?;
    let failure = Failure::new(shortened(code), shortened(message)).of_class(class(retry));
    Ok(Answer::Failed { failure, retry, retry_after: None })
}

/// A reply has no status: all that is known is whether trying again may help. The participant's own `errors` may say more of a code.
fn class(retry: Retryable) -> ErrorClass {
    match retry {
        Retryable::No => ErrorClass::ClientError,
        Retryable::Yes | Retryable::Conflict | Retryable::ThenPark => ErrorClass::Unknown,
    }
}

/// A participant that says nothing has refused for good, as a 4xx answer would.
fn retryable(record: &Record) -> Result<Retryable, Poison> {
    match payload::header(record, "error_retryable")?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(Retryable::No),
        Some("true") => Ok(Retryable::Yes),
        Some(other) => {
            Err(Poison::new(PoisonCode::Header, format!("error_retryable is `{other}`, expected true or false")))
        }
    }
}

/// What it quotes may be a secret; the record itself stays as it came.
fn covered(poison: &Poison) -> Poison {
    Poison::new(poison.code, secrets::covered(&poison.message).into_owned())
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES)]
}

#[cfg(test)]
mod tests;
