//! participants.yaml: the services that perform commands.

mod access;
mod critical_path;
mod kind;
mod read;
#[cfg(test)]
mod tests;

pub use critical_path::{CriticalPath, DependencyNode};

pub use super::terms::{AcceptedMeaning, IdempotencyKeyFormat, IntegrationKind};
pub use access::{AuthorizationConfig, ClientCredentials, ClientIdentity, CredentialPlace, TlsConfig};
pub(super) use read::own_headers;

use super::{
    diagnostic::CheckFinding,
    model::{CallTarget, ParticipantSelector, TransportKind},
};
use crate::policy::RetryRule;
use saga_guards::{
    adaptive,
    balancer::{BalancingStrategy, EjectionConfig},
    breaker, budget,
    class::ErrorClass,
    health,
    rate::CallRate,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU32,
    time::Duration,
};

/// All participants, by the name that definitions use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParticipantCatalog {
    by_name: BTreeMap<String, ParticipantConfig>,
}

/// One participant: a service that performs commands, and the guards of calls to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParticipantConfig {
    /// `description:` free text for operators; the engine does not interpret it.
    pub description: Option<String>,
    /// The transport and the addresses over which the engine reaches the participant.
    pub transport: TransportConfig,
    /// `timeout:` maximum duration of one attempt, from leaving the guard to the answer.
    pub timeout: Duration,
    /// `connectTimeout:` maximum time to open a connection (HTTP).
    pub connect_timeout: Duration,
    /// `idleTimeout:` how long the engine uses an idle connection again (HTTP).
    pub idle_timeout: Duration,
    /// `connectionMaxAge:` maximum age of a connection that the engine uses again (HTTP).
    pub connection_max_age: Duration,
    /// Applies to steps that set no `retry`, and whose saga sets none; `None`: `standard`, after the pivot for ever.
    pub retry: Option<RetryRule>,
    /// The kind of integration whose defaults apply where the participant sets no value; `None`: those of the
    /// transport.
    pub kind: Option<IntegrationKind>,
    /// `readTimeout:` maximum time between two pieces of an answer, the first one included (HTTP); `None`: as long as
    /// the attempt.
    pub read_timeout: Option<Duration>,
    /// `writeTimeout:` maximum time until the request is written (HTTP); `None`: as long as the attempt.
    pub write_timeout: Option<Duration>,
    /// When the circuit breaker opens and refuses calls, and when it closes again.
    pub breaker: breaker::BreakerConfig,
    /// How many calls may be in flight at once, and how many may wait.
    pub bulkhead: BulkheadConfig,
    /// How many calls the engine sends in a span of time; `None`: any number.
    pub rate_limit: Option<CallRate>,
    /// How much load retries may add to that of first attempts.
    pub retry_budget: budget::RetryBudgetConfig,
    /// What share of its capacity the participant gets in degraded mode, and when that mode begins.
    pub degraded: DegradationConfig,
    /// How the engine checks the participant's health; `None`: the engine does not check it.
    pub health: Option<HealthCheckConfig>,
    /// The capabilities of the participant, for steps that name a capability instead of a participant.
    pub capabilities: BTreeSet<String>,
    /// `dependsOn:` names of the participants that this one needs to work.
    pub depends_on: Vec<String>,
    /// Failures whose class differs from the default class.
    pub classes: Vec<(FailurePattern, ErrorClass)>,
    /// Classes of failure that the engine handles in another way than by default.
    pub handling: BTreeMap<ErrorClass, FailureHandling>,
    /// HTTP statuses that count as failed and may be retried.
    pub retry_on: Vec<StatusPattern>,
    /// HTTP statuses that count as failed permanently; the engine does not retry them.
    pub fail_on: Vec<StatusPattern>,
    /// The meaning of a 202 that names no place to ask for the outcome (HTTP).
    pub accepted: AcceptedMeaning,
    /// How the idempotency key of a request is written (HTTP).
    pub idempotency_key: IdempotencyKeyFormat,
    /// `maxAnswerBytes:` maximum size of an answer, in bytes.
    pub max_answer_bytes: u32,
    /// Headers that the engine adds to every request (HTTP), by name.
    pub headers: BTreeMap<String, SecretText>,
    /// The `Authorization` header of every request (HTTP); `None`: the engine sends none.
    pub authorization: Option<AuthorizationConfig>,
    /// How connections are secured (HTTP); `None`: by the authorities of the machine, without a client certificate.
    pub tls: Option<TlsConfig>,
}

/// How the engine reaches a participant.
#[derive(Clone, Debug, PartialEq)]
pub enum TransportConfig {
    /// The engine writes commands to a topic and reads replies.
    Kafka {
        /// The topic that the participant reads its commands from.
        commands: String,
    },
    /// The engine sends each attempt of a command as one HTTP request.
    Http {
        /// The instances of the participant; at least one.
        endpoints: Vec<EndpointConfig>,
        /// How the engine picks one endpoint for a call.
        balance: BalancingStrategy,
        /// When the engine leaves an endpoint out; `None`: never.
        ejection: Option<EjectionConfig>,
    },
}

impl TransportConfig {
    /// The transport over which the engine sends commands.
    #[must_use]
    pub fn over(&self) -> TransportKind {
        match self {
            TransportConfig::Kafka { .. } => TransportKind::Kafka,
            TransportConfig::Http { .. } => TransportKind::Http,
        }
    }
}

/// How many calls may be in flight at once, and how many may wait for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadConfig {
    /// Number of permits: calls to the participant that may be in flight at once.
    pub limit: NonZeroU32,
    /// Number of calls that may wait in memory for a permit; `None`: 16 for each permit.
    pub max_waiting: Option<u32>,
    /// Maximum wait in memory before the call is recorded as waiting; at most a second.
    pub max_wait: Duration,
    /// Bounds within which the engine adapts the limit to the participant's answers; `None`: the limit is fixed.
    pub adaptive: Option<adaptive::AdaptiveLimitConfig>,
}

impl BulkheadConfig {
    /// A bulkhead of `limit` permits, with the default wait queue and a fixed limit.
    #[must_use]
    pub const fn of(limit: NonZeroU32) -> BulkheadConfig {
        BulkheadConfig { limit, max_waiting: None, max_wait: BULKHEAD_WAIT, adaptive: None }
    }
}

/// Degraded mode: the participant gets a share of its capacity, and other calls wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DegradationConfig {
    /// Share of the permits and of the rate, more than 0 and at most 1.
    pub share: f64,
    /// Duration of degraded mode after the breaker tripped and closed again; `None`: only an operator sets the mode.
    pub after_trip: Option<Duration>,
}

impl Default for DegradationConfig {
    fn default() -> DegradationConfig {
        DegradationConfig { share: 0.25, after_trip: None }
    }
}

/// How and how often the engine checks a participant's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheckConfig {
    /// The request or connection that the engine makes for a check.
    pub check: HealthCheckMethod,
    /// Interval of the checks, and how many results change the health.
    pub config: health::HealthTrackerConfig,
}

/// What the engine does to check a participant's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheckMethod {
    /// `GET` on this path of each endpoint; a 2xx means healthy.
    Path(String),
    /// `GET` on this URL, for participants that take commands over Kafka; a 2xx means healthy.
    Url(String),
    /// Opening a connection to each endpoint; an open connection means healthy.
    Connect,
}

/// Which failures of a participant an entry of its `errors` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailurePattern {
    /// Failures with this status, or with a status of this class.
    Status(StatusPattern),
    /// Failures whose `error_code` is this text.
    Code(String),
}

/// What the engine does with a step after a failure of a given class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureHandling {
    /// The engine retries the command as the retry policy says.
    Retry,
    /// The engine does not retry the command.
    Fail,
    /// The engine retries the command as the policy says; then the saga is parked for an operator.
    RetryThenPark,
}

/// One instance of an HTTP participant that calls can go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Base URL of all paths, without a slash at its end.
    pub url: String,
    /// The endpoint's share of the calls, relative to the weights of the other endpoints.
    pub weight: NonZeroU32,
}

/// An HTTP status, or a class of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPattern {
    /// Exactly this status, such as `409`.
    Exactly(u16),
    /// All statuses of a class, by the first digit: `5xx` is 5.
    Class(u16),
}

impl StatusPattern {
    /// Whether the pattern includes `status`.
    #[must_use]
    pub fn matches(self, status: u16) -> bool {
        match self {
            StatusPattern::Exactly(exact) => status == exact,
            StatusPattern::Class(class) => status / 100 == class,
        }
    }
}

/// A secret text that is never printed; its `Debug` output is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text itself, for the request that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Attempt timeout of HTTP participants that set none.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempt timeout of Kafka participants that set none, and of published events.
pub const KAFKA_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time to open a connection, for participants that set none.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long idle connections are used again, of participants that say nothing. Widespread servers close theirs after 5
/// s (Node, uvicorn, Apache); a request that meets a closing connection may have an unknown outcome.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How old connections may be and are used again, of participants that say nothing: so long a name that points
/// elsewhere goes unnoticed.
pub const CONNECTION_MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// Calls over HTTP that may be in flight at once, for participants that set no limit.
pub const BULKHEAD: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");
/// The same over Kafka, where the topic is a queue already and a command is in flight until its reply: enough that 10
/// ms a command allow 100,000 a second, few enough that a participant which is down is not sent everything there is.
pub const KAFKA_BULKHEAD: NonZeroU32 = NonZeroU32::new(1024).expect("1024 is not zero");
/// Maximum wait of a call for a permit in memory.
pub const BULKHEAD_WAIT: Duration = Duration::from_secs(1);
/// Maximum size of an answer in bytes, for participants that set none.
pub const MAX_ANSWER_BYTES: u32 = 1024 * 1024;

impl ParticipantCatalog {
    /// The participant called `name`; `None` if the file has no such participant.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ParticipantConfig> {
        self.by_name.get(name)
    }

    /// The participants that have `capability` and are reached over this transport, sorted by name.
    pub fn with_capability(
        &self,
        capability: &str,
        over: TransportKind,
    ) -> impl Iterator<Item = (&str, &ParticipantConfig)> {
        self.iter().filter(move |(_, it)| it.transport.over() == over && it.capabilities.contains(capability))
    }

    /// Those that may be asked to perform what goes to `target`: the one that is named, or all that have the
    /// capability.
    pub fn candidates(&self, target: &CallTarget) -> impl Iterator<Item = &ParticipantConfig> {
        let (named, capable) = match target.whom() {
            ParticipantSelector::Participant(name) => (self.get(name), None),
            ParticipantSelector::Capability(name) => (None, Some(self.with_capability(name, target.over()))),
        };
        named.into_iter().chain(capable.into_iter().flatten().map(|(_, participant)| participant))
    }

    /// The names of all participants, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The same catalog, with stand-ins. A participant with the transport of its shipped namesake gets the stand-in's
    /// transport. A participant that equals its shipped namesake in everything is replaced by the stand-in. The second
    /// value has the names of all that were changed.
    #[must_use]
    pub fn with_stand_ins(
        mut self,
        StubParticipants { shipped, here }: &StubParticipants,
    ) -> (ParticipantCatalog, Vec<String>) {
        let mut names = Vec::new();
        for (name, participant) in &mut self.by_name {
            let (Some(original), Some(stand_in)) = (shipped.get(name), here.get(name)) else { continue };
            if participant == original {
                *participant = stand_in.clone();
            } else if participant.transport == original.transport {
                participant.transport = stand_in.transport.clone();
            } else {
                continue;
            }
            names.push(name.clone());
        }
        (self, names)
    }

    /// All participants with their names, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParticipantConfig)> {
        self.by_name.iter().map(|(name, participant)| (name.as_str(), participant))
    }
}

/// Participants that this process runs itself: they stand in for those of a file that are reached as they ship.
#[derive(Clone, Debug)]
pub struct StubParticipants {
    /// The participants of the shipped file, to recognise those that an operator did not change.
    pub shipped: ParticipantCatalog,
    /// The same participants with the addresses that they have in this process.
    pub here: ParticipantCatalog,
}

/// Reads participants.yaml. `env` answers for `${ env.NAME }`, asked for `NAME`, and for
/// `${ file.PATH }`, asked for `file.PATH`.
///
/// # Errors
/// Every finding of the file, warnings included, if one of them is an error.
pub fn parse(
    file_name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<ParticipantCatalog, Vec<CheckFinding>> {
    read(file_name, text, env, MissingVariablePolicy::Refused).map(|read| read.participants)
}

/// How the reader treats a variable of the file that is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingVariablePolicy {
    /// A missing variable is an error, and the file is refused.
    #[default]
    Refused,
    /// A missing variable is a warning: the reader does not check the text that needs it. For checks of definitions
    /// without
    /// the secrets.
    Allowed,
}

/// Validated participants, together with the warnings that an author should read.
#[derive(Clone, Debug)]
pub struct ParsedParticipants {
    /// The validated participants of the file.
    pub participants: ParticipantCatalog,
    /// Findings that do not stop the engine from using the participants.
    pub warnings: Vec<CheckFinding>,
}

/// The same as [`parse`], with its warnings; `missing` says what becomes of variables that are not set.
///
/// # Errors
/// As [`parse`].
pub fn read(
    file_name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    missing: MissingVariablePolicy,
) -> Result<ParsedParticipants, Vec<CheckFinding>> {
    read::read(file_name, text, env, missing)
}
