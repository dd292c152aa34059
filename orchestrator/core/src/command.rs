//! Commands: what the orchestrator asks of a participant, and what can come back.

use crate::id::StepIndex;
pub use saga_contract::CommandDirection;
pub use saga_guards::class::ErrorClass;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// A command within its saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandRef {
    /// Position in the definition of the step that the command belongs to.
    pub step: StepIndex,
    /// Whether the command is the step's do or its undo.
    pub direction: CommandDirection,
}

/// The methods a definition may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// `body` is sent as the query of the URL.
    Get,
    /// `body` is sent as JSON in the body of the request.
    Post,
    /// `body` is sent as JSON in the body of the request.
    Put,
    /// `body` is sent as JSON in the body of the request.
    Patch,
    /// `body` is sent as the query of the URL.
    Delete,
}

/// The participant or the topic that a guard belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuardOwner<Name> {
    /// A participant's, by its name in participants.yaml.
    Participant(Name),
    /// That of a topic that events are published to.
    Topic(Name),
}

impl<Name> GuardOwner<Name> {
    /// The same owner, its name converted by `name`.
    pub fn map<Other>(self, name: impl FnOnce(Name) -> Other) -> GuardOwner<Other> {
        match self {
            GuardOwner::Participant(participant) => GuardOwner::Participant(name(participant)),
            GuardOwner::Topic(topic) => GuardOwner::Topic(name(topic)),
        }
    }

    /// The same owner with a borrowed name.
    pub fn as_ref(&self) -> GuardOwner<&Name> {
        match self {
            GuardOwner::Participant(participant) => GuardOwner::Participant(participant),
            GuardOwner::Topic(topic) => GuardOwner::Topic(topic),
        }
    }

    /// The name of the participant or of the topic.
    pub fn into_name(self) -> Name {
        match self {
            GuardOwner::Participant(name) | GuardOwner::Topic(name) => name,
        }
    }
}

/// What is sent, evaluated once and recorded; every attempt sends the same bytes. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandRequest {
    /// A record on the participant's command topic.
    Kafka {
        /// Name of the participant that is asked, as participants.yaml has it.
        participant: String,
        /// The command's type, such as `ReserveStock`.
        command: String,
        /// The record's value, as JSON: the evaluated `with`, or its default.
        body: Value,
    },
    /// A request to one of the participant's endpoints.
    Http {
        /// Name of the participant that is asked, as participants.yaml has it.
        participant: String,
        /// Method of the HTTP request; it decides whether `body` becomes the query.
        method: HttpMethod,
        /// Below the participant's base URL, percent-encoded, without a leading slash.
        path: String,
        /// JSON body, or the query of GET and DELETE; `None` sends none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
    },
    /// An event for any consumer of the topic (`publish:` steps): it succeeds when the broker acknowledges the record.
    Publish {
        /// Name of the topic that the event is published to.
        topic: String,
        /// The event's type, which its record carries as `ce_type`.
        #[serde(rename = "type")]
        event_type: String,
        /// The record's key; the business key if the definition names none.
        key: String,
        /// The record's value, as JSON: the evaluated `with` of the step.
        body: Value,
    },
}

impl CommandRequest {
    /// Whose guards it has to pass.
    #[must_use]
    pub fn whose(&self) -> GuardOwner<&str> {
        match self {
            CommandRequest::Kafka { participant, .. } | CommandRequest::Http { participant, .. } => {
                GuardOwner::Participant(participant)
            }
            CommandRequest::Publish { topic, .. } => GuardOwner::Topic(topic),
        }
    }

    /// The participant that is asked; `None` for a published event.
    #[must_use]
    pub fn participant(&self) -> Option<&str> {
        match self {
            CommandRequest::Kafka { participant, .. } | CommandRequest::Http { participant, .. } => Some(participant),
            CommandRequest::Publish { .. } => None,
        }
    }
}

/// Code of a failure that an expression caused.
pub(crate) const EXPRESSION: &str = "expression";

/// Begins the code of a failure by a reply that cannot be read, before the code of its dead letter.
const UNREADABLE_REPLY: &str = "reply.";

/// Which part found out that a command failed. The guards believe only what a participant or the way to it says about
/// the participant: its own codes are texts that it chooses, and decide nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureOrigin {
    /// The engine: an expression, a limit, a request that cannot be built. The participant has seen nothing of it.
    #[default]
    Engine,
    /// The broker: it did not take a command's record, which the participant has not seen.
    Broker,
    /// The way to the participant: no connection, or no answer in time.
    Transport,
    /// The participant: it answered, readable or not.
    Participant {
        /// The status of its HTTP answer; `None` for a reply record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
}

impl FailureOrigin {
    /// A participant that answered by a reply record.
    pub const REPLY: FailureOrigin = FailureOrigin::Participant { status: None };

    /// A participant that answered over HTTP.
    #[must_use]
    pub fn answer(status: u16) -> FailureOrigin {
        FailureOrigin::Participant { status: Some(status) }
    }

    /// The status of the HTTP answer that was the failure.
    #[must_use]
    pub fn status(self) -> Option<u16> {
        match self {
            FailureOrigin::Participant { status } => status,
            FailureOrigin::Engine | FailureOrigin::Broker | FailureOrigin::Transport => None,
        }
    }

    fn is_engine(&self) -> bool {
        match self {
            FailureOrigin::Engine => true,
            FailureOrigin::Broker | FailureOrigin::Transport | FailureOrigin::Participant { .. } => false,
        }
    }
}

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandFailure {
    /// Stable and short: `http.409`, `timeout`, `expression`, or the participant's `error_code`.
    pub code: String,
    /// A text for people, which no rule reads; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The part that found out; absent in JSON where the engine did.
    #[serde(default, skip_serializing_if = "FailureOrigin::is_engine")]
    pub origin: FailureOrigin,
    /// What kind of failure, where a participant or the way to it failed; `None` for failures of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
}

impl CommandFailure {
    /// A failure that the engine found, with `code` and `message`.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> CommandFailure {
        CommandFailure { code: code.into(), message: message.into(), origin: FailureOrigin::Engine, class: None }
    }

    /// Whether no answer came in time: what came of the attempt is then not known.
    pub fn is_silence(&self) -> bool {
        self.origin == FailureOrigin::Transport && self.code == "timeout"
    }

    /// The failure of an attempt whose reply record cannot be read; `poison` is the code of its dead letter.
    #[must_use]
    pub fn unreadable_reply(poison: &str, message: &str) -> CommandFailure {
        let failure = CommandFailure::new(format!("{UNREADABLE_REPLY}{poison}"), message);
        failure.of_origin(FailureOrigin::REPLY).of_class(ErrorClass::Unknown)
    }

    /// Whether the participant replied by a record that cannot be read, if the outcome is unknown: the code of a reply
    /// that can be read is the participant's own text.
    #[must_use]
    pub fn is_unreadable_reply(&self) -> bool {
        self.origin == FailureOrigin::REPLY && self.code.starts_with(UNREADABLE_REPLY)
    }

    /// The same failure, found by `origin`.
    #[must_use]
    pub fn of_origin(self, origin: FailureOrigin) -> CommandFailure {
        CommandFailure { origin, ..self }
    }

    /// The same failure with the error class `class`.
    #[must_use]
    pub fn of_class(self, class: ErrorClass) -> CommandFailure {
        CommandFailure { class: Some(class), ..self }
    }
}

/// What came back for one attempt of a command, or what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandAnswer {
    /// It was done; whichever attempt this answers, the command is settled.
    Succeeded {
        /// What the participant answered, as JSON; `null` for an empty body.
        result: Value,
    },
    /// The attempt certainly had no effect.
    Failed {
        /// What the participant, the transport or the engine said of it.
        failure: CommandFailure,
        /// Whether another attempt may help.
        retry: RetryAdvice,
        /// What the participant asked for (`Retry-After`), capped by the caller.
        retry_after: Option<Duration>,
    },
    /// It may have happened: timeout, broken connection, 5xx.
    Unknown {
        /// Why it is not known whether the command had its effect.
        failure: CommandFailure,
        /// Whether another attempt is made, as by a policy it usually is. Whatever this says, the outcome stays
        /// unknown.
        retry: RetryAdvice,
        /// What the participant asked for (`Retry-After`), capped by the caller.
        retry_after: Option<Duration>,
    },
    /// The participant works on it: the attempt's timeout starts again. No attempt is counted.
    Ongoing {
        /// When to ask (202 with `Location`, 425) after this span; `None`: the participant reports by itself.
        ask_after: Option<Duration>,
        /// Where to ask (path and query on the same host); `None`: repeat the request.
        location: Option<String>,
    },
    /// A guard or the transport let nothing out this time: not an attempt. One that was sent or accepted before is
    /// under way all the same, which the saga's state tells.
    NotSent {
        /// The guard, or the transport, that refused.
        guard: GuardKind,
        /// The command may ask again after this time at the earliest.
        retry_after: Duration,
    },
}

impl CommandAnswer {
    /// The result of a success.
    #[must_use]
    pub fn result(&self) -> Option<&Value> {
        match self {
            CommandAnswer::Succeeded { result } => Some(result),
            CommandAnswer::Failed { .. }
            | CommandAnswer::Unknown { .. }
            | CommandAnswer::Ongoing { .. }
            | CommandAnswer::NotSent { .. } => None,
        }
    }

    /// Nothing is known, for this reason; it is tried again by policy.
    #[must_use]
    pub fn unknown(failure: CommandFailure) -> CommandAnswer {
        CommandAnswer::Unknown { failure, retry: RetryAdvice::Yes, retry_after: None }
    }
}

/// Whether and how a failure may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAdvice {
    /// No: the refusal is definite, and another attempt would not change it.
    No,
    /// By policy; exhausted means the step failed.
    Yes,
    /// As `Yes` while another sending of the command can still run, because this one may only have met it; then as `No`
    /// (409 to a command that was sent before).
    Conflict,
    /// By policy; exhausted means the saga parks (401, 403, 407: an expired token must not undo every saga).
    ThenPark,
    /// No, and the saga parks: a person has to look first (a reply that cannot be read: the participant has answered,
    /// and would answer the same again).
    Park,
}

/// What can hold a command back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GuardKind {
    /// The participant's circuit breaker is open.
    Breaker,
    /// The participant's bulkhead is full.
    Bulkhead,
    /// The participant's rate limit is reached.
    RateLimit,
    /// The transport cannot take it: unknown topic, missing authorisation, producer queue full.
    Transport,
    /// Further attempts would add too much to the participant's load.
    RetryBudget,
    /// The participant's own health check says that it is unhealthy.
    Health,
}

impl GuardKind {
    /// Every kind of guard.
    pub const ALL: [GuardKind; 6] = [
        GuardKind::Breaker,
        GuardKind::Bulkhead,
        GuardKind::RateLimit,
        GuardKind::Transport,
        GuardKind::RetryBudget,
        GuardKind::Health,
    ];

    /// Its word, the same as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GuardKind::Breaker => "breaker",
            GuardKind::Bulkhead => "bulkhead",
            GuardKind::RateLimit => "rateLimit",
            GuardKind::Transport => "transport",
            GuardKind::RetryBudget => "retryBudget",
            GuardKind::Health => "health",
        }
    }

    /// The guard with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<GuardKind> {
        GuardKind::ALL.into_iter().find(|guard| guard.as_str() == word)
    }
}
