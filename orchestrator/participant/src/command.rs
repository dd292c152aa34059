//! What is asked of a participant, whichever way it came.

use saga_contract::{CommandDirection, CommandIdError, CommandIdentity, headers as names, idempotency_uuid};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The identity of a command, with the saga's id as it came.
pub type SagaCommandId = CommandIdentity<String>;

/// One attempt of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaCommand {
    /// Identity of the command, the same for all its attempts.
    pub id: SagaCommandId,
    /// Name of the saga's definition. Over HTTP it is not said.
    pub saga_name: Option<String>,
    /// 1, 2, 3, …; `None`: not said, or unreadable.
    pub attempt: Option<u32>,
    /// What to do: `ReserveStock` from a topic, `POST payments/charges` over HTTP.
    pub name: String,
    /// What the step's `with` came to; `null` if there was nothing.
    pub body: Value,
    /// All headers that are text, by their names in lower case; of repeated ones the last.
    pub headers: BTreeMap<String, String>,
}

impl SagaCommand {
    /// Whether it performs or undoes.
    #[must_use]
    pub fn direction(&self) -> CommandDirection {
        self.id.direction
    }

    /// A header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// A command as it lay in a topic.
    ///
    /// # Errors
    /// Names the header that is missing or cannot be read, or says that the value is not JSON.
    pub fn from_record(
        headers: impl IntoIterator<Item = (String, String)>,
        value: Option<&[u8]>,
    ) -> Result<SagaCommand, SagaCommandError> {
        let headers: BTreeMap<String, String> = headers.into_iter().collect();
        let id = id(&headers, names::IDEMPOTENCY_KEY)?;
        let name = headers.get(names::CE_TYPE).cloned().ok_or(SagaCommandError::Missing(names::CE_TYPE))?;
        let attempt = headers.get(names::SAGA_ATTEMPT).and_then(|text| text.parse().ok());
        let body = json(value.unwrap_or_default())?;
        Ok(SagaCommand { id, saga_name: headers.get(names::SAGA_NAME).cloned(), attempt, name, body, headers })
    }

    /// A command as a request brought it; `name` is `METHOD path`.
    ///
    /// # Errors
    /// Names the header that is missing or cannot be read, or says that the body is not JSON.
    pub fn from_request(
        name: impl Into<String>,
        headers: impl IntoIterator<Item = (String, String)>,
        body: &[u8],
    ) -> Result<SagaCommand, SagaCommandError> {
        let headers: BTreeMap<String, String> = headers.into_iter().collect();
        let id = id_of_request(&headers)?;
        let attempt = headers.get(names::HTTP_REQUEST_ID).and_then(|text| attempt_of(text, &id));
        Ok(SagaCommand { id, saga_name: None, attempt, name: name.into(), body: json(body)?, headers })
    }
}

/// Why something that came is no command.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SagaCommandError {
    /// A header is not there, or is not text.
    #[error("the header `{0}` is missing: a command has it")]
    Missing(&'static str),
    /// A header names no command.
    #[error("the header `{header}`: {source}")]
    Id {
        /// Name of the header that cannot be used.
        header: &'static str,
        /// What is wrong with it.
        source: CommandIdError,
    },
    /// The idempotency key is not that of the command.
    #[error("the header `idempotency-key` is not the key of the command that `x-command-id` names")]
    OtherKey,
    /// The body cannot be read.
    #[error("the body is not JSON: {0}")]
    Body(String),
}

fn id(headers: &BTreeMap<String, String>, header: &'static str) -> Result<SagaCommandId, SagaCommandError> {
    let text = headers.get(header).ok_or(SagaCommandError::Missing(header))?;
    text.parse().map_err(|source| SagaCommandError::Id { header, source })
}

/// The key is the command id; or it is derived from it, and the id stands beside it.
fn id_of_request(headers: &BTreeMap<String, String>) -> Result<SagaCommandId, SagaCommandError> {
    let key = headers.get(names::HTTP_IDEMPOTENCY_KEY).ok_or(SagaCommandError::Missing(names::HTTP_IDEMPOTENCY_KEY))?;
    let Ok(uuid) = key.parse::<Uuid>() else { return id(headers, names::HTTP_IDEMPOTENCY_KEY) };
    let command = id(headers, names::HTTP_COMMAND_ID)?;
    if idempotency_uuid(&command.to_string()) == uuid { Ok(command) } else { Err(SagaCommandError::OtherKey) }
}

/// `X-Request-ID` is the command id, `:`, and the attempt, unless a proxy has put its own there.
fn attempt_of(request: &str, id: &SagaCommandId) -> Option<u32> {
    request.strip_prefix(&id.to_string())?.strip_prefix(':')?.parse().ok()
}

fn json(bytes: &[u8]) -> Result<Value, SagaCommandError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| SagaCommandError::Body(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_record_says_what_to_do_under_which_id() {
        let headers = headers(&[
            ("ce_type", "ReserveStock"),
            ("idempotency_key", "saga-1:reserve:undo"),
            ("saga_attempt", "2"),
            ("saga_name", "order"),
        ]);
        let command = SagaCommand::from_record(headers, Some(br#"{"orderId":"4711"}"#)).expect("a command");
        assert_eq!((command.id.saga.as_str(), command.id.step.as_str()), ("saga-1", "reserve"));
        assert_eq!((command.direction(), command.attempt), (CommandDirection::Undo, Some(2)));
        assert_eq!((command.name.as_str(), command.body), ("ReserveStock", json!({"orderId": "4711"})));
        assert_eq!(command.id.of_do().to_string(), "saga-1:reserve:do");
    }

    #[test]
    fn a_request_tells_its_attempt_unless_a_proxy_wrote_over_it() {
        let of = |request| {
            let headers = headers(&[("idempotency-key", "s:charge:do"), ("x-request-id", request)]);
            SagaCommand::from_request("POST charges", headers, b"").expect("a command").attempt
        };
        assert_eq!((of("s:charge:do:3"), of("s:charge:do"), of("0af7651916cd43dd")), (Some(3), None, None));
    }

    #[test]
    fn a_key_that_is_a_uuid_is_that_of_the_command_beside_it() {
        let of = |pairs: &[(&str, &str)]| SagaCommand::from_request("POST charges", headers(pairs), b"");
        let key = idempotency_uuid("s:charge:do").to_string();
        assert_eq!(key, "09ff9d20-26de-5567-b7b0-97b707c212c5", "it is for ever");
        let command = of(&[("idempotency-key", &key), ("x-command-id", "s:charge:do")]).expect("a command");
        assert_eq!(command.id.to_string(), "s:charge:do");
        assert_eq!(of(&[("idempotency-key", &key)]), Err(SagaCommandError::Missing("x-command-id")));
        let other = of(&[("idempotency-key", &key), ("x-command-id", "s:charge:undo")]);
        assert_eq!(other, Err(SagaCommandError::OtherKey));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |pairs: &[(&str, &str)]| {
            SagaCommand::from_record(headers(pairs), None).expect_err("no command").to_string()
        };
        assert!(error(&[("ce_type", "T")]).contains("`idempotency_key` is missing"));
        assert!(error(&[("idempotency_key", "s:a:do")]).contains("`ce_type` is missing"));
        assert!(error(&[("ce_type", "T"), ("idempotency_key", "s:a:redo")]).contains("`s:a:redo` is not a command id"));
        let body = SagaCommand::from_request("POST a", headers(&[("idempotency-key", "s:a:do")]), b"{");
        assert!(matches!(body, Err(SagaCommandError::Body(_))));
    }
}
