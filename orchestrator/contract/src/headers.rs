//! Names of headers. Those of records are in lower case with underscores, as the CloudEvents binding for Kafka has its
//! own; those of requests are in lower case, as HTTP compares them.

/// The version of CloudEvents that a record follows.
pub const CE_SPECVERSION: &str = "ce_specversion";
/// The identity of an event; of a command its command id.
pub const CE_ID: &str = "ce_id";
/// Who wrote the record: `/sagas/<definition>`.
pub const CE_SOURCE: &str = "ce_source";
/// The type of an event or of a command.
pub const CE_TYPE: &str = "ce_type";
/// When the record's cause was committed, RFC 3339.
pub const CE_TIME: &str = "ce_time";
/// The saga's id.
pub const CE_CORRELATION_ID: &str = "ce_correlationid";
/// The event of the saga's journal that caused the record.
pub const CE_CAUSATION_ID: &str = "ce_causationid";

/// The run that publishes a recorded event once more. Engines ignore records that have it, unless a definition accepts
/// them.
pub const CE_REPLAY: &str = "ce_replay";

/// The media type of a record's value.
pub const CONTENT_TYPE: &str = "content-type";
/// The W3C trace context that the saga began with, in records and requests.
pub const TRACEPARENT: &str = "traceparent";

/// Name of the saga's definition.
pub const SAGA_NAME: &str = "saga_name";
/// Name of the step.
pub const SAGA_STEP: &str = "saga_step";
/// `do` or `undo`.
pub const SAGA_DIRECTION: &str = "saga_direction";
/// Which attempt of the command a record is or answers: 1, 2, 3, …
pub const SAGA_ATTEMPT: &str = "saga_attempt";
/// The command id, the same for every attempt.
pub const IDEMPOTENCY_KEY: &str = "idempotency_key";
/// The topic that takes the reply.
pub const REPLY_TOPIC: &str = "reply_topic";

/// What became of a command, a word of [`ReplyOutcome`](crate::ReplyOutcome).
pub const SAGA_OUTCOME: &str = "saga_outcome";
/// Why it failed: stable and short.
pub const ERROR_CODE: &str = "error_code";
/// Why it failed, for people.
pub const ERROR_MESSAGE: &str = "error_message";
/// `true` if another attempt may succeed, else `false`.
pub const ERROR_RETRYABLE: &str = "error_retryable";

/// Headers of a command that its reply repeats.
pub const REPEATED_IN_REPLY: [&str; 3] = [CE_CORRELATION_ID, IDEMPOTENCY_KEY, SAGA_ATTEMPT];

/// The command id of a request, or the UUID that is derived from it.
pub const HTTP_IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The command id of a request whose idempotency key is a UUID.
pub const HTTP_COMMAND_ID: &str = "x-command-id";
/// `<command id>:<attempt>`.
pub const HTTP_REQUEST_ID: &str = "x-request-id";
/// The saga's id.
pub const HTTP_CORRELATION_ID: &str = "x-correlation-id";
/// The `x-request-id` of the saga's trigger, if it had one.
pub const HTTP_ORIGIN_REQUEST_ID: &str = "x-origin-request-id";
/// The `x-correlation-id` of the saga's trigger, if it had one.
pub const HTTP_ORIGIN_CORRELATION_ID: &str = "x-origin-correlation-id";
